//! What happens at the edges: handlers of signals, objects of several allocators, libraries that come and go.

use super::*;

/// Runs a program of ours under the library with these arguments, to its end.
fn under_the_library(program_path: &Path, arguments: &[&str]) -> Output {
    finish(program(program_path).args(arguments).env("LD_PRELOAD", &*ALL_FACTORS))
}

/// The handler may allocate and fork: the signal is raised while no lock is held, and never in the allocator's own thread.
#[test]
fn an_abort_handler_may_allocate_and_fork() {
    let path = compile("abort_handler");
    let free = |what: &str| format!("hakmem: {what}\n");
    let inside = "a pointer inside an object, not at its start";
    for bytes in ["64", "700", "9000", "100000", "700000", "2097152", "9437184"] {
        for (misuse, sentence) in [
            ("twice", free("double free")),
            ("other-thread", free("double free")),
            ("background", free("double free")),
            ("interior", free(&format!("free of {inside}"))),
            ("ended-thread", free(&format!("free of {inside}"))),
            ("realloc", free(&format!("realloc of {inside}"))),
        ] {
            let output = under_the_library(&path, &[misuse, bytes]);
            let (stdout, stderr) = texts(&output);
            assert_eq!((output.status.code(), &*stderr), (Some(77), &*sentence), "{misuse} of {bytes}: {stdout}");
        }
    }
}

/// Builds the library, or with `flags` the program, that brings hakmem as its own allocator; returns the folder.
fn build_plugin(name: &str, target: &str, flags: &str) -> PathBuf {
    let (root, source) = (Path::new(env!("CARGO_MANIFEST_DIR")), source("plugin.rs"));
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("preload").join(name);
    std::fs::create_dir_all(&folder).expect("the folder for temporary files is writable");
    let manifest = format!(
        "[package]\nname = \"plugin\"\nversion = \"0.1.0\"\nedition = \"2024\"\n{target}\npath = {source:?}\n\
         [dependencies]\nhakmem = {{ path = {root:?} }}\n[workspace]\n"
    );
    std::fs::write(folder.join("Cargo.toml"), manifest).expect("the folder is writable");
    std::fs::copy(root.join("Cargo.lock"), folder.join("Cargo.lock")).expect("the lock file is there");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--offline", "--release", "--target-dir", "target"]).current_dir(&folder);
    run(cargo.env("RUSTFLAGS", flags).env_remove("CARGO_TARGET_DIR"));
    folder.join("target/release")
}

/// The allocator's thread, its callbacks and the thread's destructors outlive a library that is closed.
#[test]
fn a_library_with_the_allocator_may_be_closed() {
    let library = build_plugin("plugin", "[lib]\ncrate-type = [\"cdylib\"]", "").join("libplugin.so");
    let other = library.with_file_name("libanother.so");
    std::fs::copy(&library, &other).expect("the folder is writable");
    let host = compile("plugin_host");
    for (libraries, preloaded) in [(vec![&library], None), (vec![&library, &other], Some(&*ALL_FACTORS))] {
        for mode in ["main", "thread", "destructor"] {
            let mut command = program(&host);
            command.arg(mode).args(&libraries).envs(preloaded.map(|library| ("LD_PRELOAD", library)));
            let stdout = run(&mut command);
            assert!(stdout.ends_with(" checks, 0 failures\n"), "{mode}, {libraries:?}: {stdout}");
        }
    }
}

/// A program without a loader needs none, and one with a loader is left alone.
#[test]
fn a_program_needs_no_loader() {
    for (name, flags) in [("static", "-Ctarget-feature=+crt-static"), ("dynamic", "")] {
        let folder = build_plugin(name, "[[bin]]\nname = \"plugin\"", flags);
        let stdout = run(&mut program(folder.join("plugin")));
        assert!(stdout.ends_with("bytes live\n"), "{name}: {stdout}");
        let headers = readelf("-lW", &folder.join("plugin"));
        assert_eq!(headers.contains("INTERP"), name == "dynamic", "{headers}");
    }
}
