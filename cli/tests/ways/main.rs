//! The ways to use hakmem, as their users go them: `hakmem run`, and programs that are linked with an installation.
//!
//! `packaging/install.sh` is run once, in a target folder of this test's own. The compilers are there wherever the crate
//! was built. What else is missing (c++, pkg-config, cmake) is named in the output, and is an error where `CI` is set.

mod linked;
mod run;

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

/// The folder of this test's files.
fn scratch() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("ways");
    std::fs::create_dir_all(&folder).expect("the folder for temporary files is writable");
    folder
}

/// The repository's folder.
fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().expect("the repository is there")
}

/// Where hakmem is installed.
static PREFIX: LazyLock<PathBuf> = LazyLock::new(|| {
    let prefix = scratch().join("prefix");
    succeed(&mut install(&prefix));
    prefix
});

/// The command that installs this build of the program.
fn install(prefix: &Path) -> Command {
    let mut script = command("bash");
    script.arg(repository().join("packaging/install.sh")).arg(prefix);
    script.env("BINARY", env!("CARGO_BIN_EXE_hakmem")).env("CARGO_TARGET_DIR", scratch().join("build"));
    script.env("CARGO_NET_OFFLINE", "true").env_remove("DESTDIR").env_remove("LIBDIR").env_remove("FEATURES");
    script
}

/// A command that reads nothing, and gets nothing of hakmem's from this process.
fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"HAKMEM_")) {
        command.env_remove(name);
    }
    command.env_remove("LD_PRELOAD").env("LC_ALL", "C").stdin(Stdio::null());
    command
}

/// The installed program with these arguments.
fn hakmem(arguments: &[&str]) -> Command {
    let mut hakmem = command(PREFIX.join("bin/hakmem"));
    hakmem.args(arguments);
    hakmem
}

#[track_caller]
fn finish(command: &mut Command) -> (Output, String, String) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let texts = (text(&output.stdout), text(&output.stderr));
    (output, texts.0, texts.1)
}

/// Runs a command that must succeed, and returns what it printed.
#[track_caller]
fn succeed(command: &mut Command) -> String {
    let (output, stdout, stderr) = finish(command);
    assert!(output.status.success(), "{command:?}: {}\n{stdout}\n{stderr}", output.status);
    stdout + &stderr
}

/// Whether a tool is installed.
fn has(tool: &str) -> bool {
    let has = command(tool).arg("--version").output().is_ok();
    if !has {
        println!("not run: {tool} is not installed");
        assert!(env::var_os("CI").is_none(), "{tool} is not installed");
    }
    has
}

/// Compiles a text with `cc`.
#[track_caller]
fn compile(name: &str, text: &str, arguments: &[&OsStr]) -> PathBuf {
    let (source, program) = (scratch().join(format!("{name}.c")), scratch().join(name));
    std::fs::write(&source, text).expect("writable");
    succeed(command("cc").args(["-O1", "-w", "-fno-builtin", "-o"]).arg(&program).arg(source).args(arguments));
    program
}
