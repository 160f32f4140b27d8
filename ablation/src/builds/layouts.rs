//! Code layouts: the same objects linked with their sections in other orders. The mean over layouts separates an effect
//! between two binaries from the effect of one order of their code.
//!
//! Only the linker runs again. Cargo gets a small script as the linker, which calls the real one once for each layout
//! while the objects still exist. No crate is compiled again.

use super::cargo::{self, cargo};
use super::error::BuildError;
use super::workspace::{Workspace, copy_once};
use crate::config::CargoProgram;
use crate::support::call::quoted;
use crate::support::files;
use ablate_format::BuiltBinary;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// A linker that shuffles sections, and the script that links every layout with it.
#[derive(Debug)]
pub(super) struct Shuffler {
    /// The script.
    pub(super) script: PathBuf,
    /// Folder of the linked layouts, `pending-1`, `pending-2`, ….
    dir: PathBuf,
    /// Number of layouts, at least 2.
    pub(super) layouts: u32,
}

impl Shuffler {
    /// Finds the linker of a workspace and tries whether it can shuffle sections. The inner error says why it cannot.
    ///
    /// # Errors
    /// [`BuildError::NoCargo`] or [`BuildError::Io`].
    pub(super) fn new(workspace: &Workspace, layouts: u32) -> Result<Result<Shuffler, String>, BuildError> {
        let linker = match linker(workspace)? {
            Ok(linker) => linker,
            Err(why) => return Ok(Err(why)),
        };
        // The number is in the path, so that cargo links again when the study asks for another number of layouts.
        let dir = workspace.target.join(format!("ablate/link/{layouts}"));
        std::fs::create_dir_all(&dir).map_err(BuildError::io(&dir, "creating the folder"))?;
        // rustc infers the kind of a linker from its name.
        let script = dir.join(Path::new(&linker).file_name().unwrap_or_default());
        let text = script_text(&linker, &dir, layouts);
        files::replace_script(&script, &text).map_err(BuildError::io(&script, "writing"))?;
        Ok(Ok(Shuffler { script, dir, layouts }))
    }

    /// Removes the layouts of an earlier build.
    pub(super) fn clear(&self) {
        for layout in 1..self.layouts {
            // Usually no such file exists.
            let _ = std::fs::remove_file(self.pending(layout));
        }
    }

    fn pending(&self, layout: u32) -> PathBuf {
        self.dir.join(format!("pending-{layout}"))
    }

    /// Layouts 1, 2, … of a binary that was just built, copied beside it. When cargo had nothing to link, those of the
    /// earlier build. `None`: layouts are missing, and the program has to be linked again.
    ///
    /// # Errors
    /// [`BuildError::Io`].
    pub(super) fn take(&self, program: &CargoProgram, stored: &Path) -> Result<Option<Vec<BuiltBinary>>, BuildError> {
        let mut out = Vec::new();
        for layout in 1..self.layouts {
            let copy = stored.with_file_name(format!("layout-{layout}")).join(&program.binary);
            let pending = self.pending(layout);
            let from = if pending.is_file() { &pending } else { &copy };
            if !from.is_file() {
                return Ok(None);
            }
            out.push(copy_once(from, &copy)?);
        }
        Ok(Some(out))
    }

    /// Makes cargo link a program again, by removing the linked files in its target folder.
    pub(super) fn forget(workspace: &Workspace, built: &Path, program: &CargoProgram) {
        let folder = built.parent().unwrap_or(&workspace.target);
        // A benchmark is among the linked files itself.
        let folder = if folder.ends_with("deps") { folder.to_owned() } else { folder.join("deps") };
        let prefix = format!("{}-", program.binary);
        for entry in std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok) {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.starts_with(&prefix) && !name.contains('.') {
                // When a file cannot be removed, cargo does not link again and the study has one layout.
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }
}

/// A script that calls the real linker, and then once more for each other layout. A layout that cannot be linked is
/// missing.
fn script_text(linker: &str, dir: &Path, layouts: u32) -> String {
    let linker = shell_words::quote(linker);
    let mut text = format!("#!/bin/sh\n# Written by ablate: links a program in {layouts} orders of its sections.\n");
    text.push_str(&format!("{linker} \"$@\" || exit\n"));
    for layout in 1..layouts {
        let out = dir.join(format!("pending-{layout}"));
        let out = quoted(&out);
        // gcc and clang use the last of two outputs.
        text.push_str(&format!("{linker} \"$@\" {} -o {out} || rm -f {out}\n", shuffle(layout)));
    }
    text.push_str("exit 0\n");
    text
}

/// The linker's argument for a layout (ld.lld(1)).
fn shuffle(layout: u32) -> String {
    format!("'-Wl,--shuffle-sections=*={layout}'")
}

/// The linker that cargo uses in this workspace, from the build of an empty program. The inner error is the reason when
/// it cannot shuffle sections.
pub(super) fn linker(workspace: &Workspace) -> Result<Result<String, String>, BuildError> {
    let dir = workspace.target.join("ablate/link/probe");
    let (manifest, src) = (dir.join("Cargo.toml"), dir.join("src"));
    std::fs::create_dir_all(&src).map_err(BuildError::io(&src, "creating the folder"))?;
    let text = "[package]\nname = \"probe\"\nversion = \"0.0.0\"\nedition = \"2021\"\n\n[workspace]\n";
    std::fs::write(&manifest, text).map_err(BuildError::io(&manifest, "writing"))?;
    // Written anew for every call, so that cargo links it every time.
    std::fs::write(src.join("main.rs"), "fn main() {}\n").map_err(BuildError::io(&src, "writing"))?;
    let mut command = cargo();
    command.args(["rustc", "--quiet", "--manifest-path"]).arg(&manifest);
    command.args(["--", "--print", "link-args", "-C", "link-arg=-Wl,--shuffle-sections=*=1"]);
    command.env("CARGO_TARGET_DIR", cargo::target(workspace)).current_dir(&workspace.root);
    let out = command.stdin(Stdio::null()).output().map_err(|source| BuildError::NoCargo { source })?;
    let said = String::from_utf8_lossy(&out.stdout);
    if !out.status.success() {
        let errors = String::from_utf8_lossy(&out.stderr).into_owned();
        let why =
            errors.lines().map(str::trim).find(|line| line.contains("shuffle-sections") && !line.contains("-Wl,"));
        let why = why.map_or_else(|| cargo::first_error(&errors), str::to_owned);
        return Ok(Err(format!("the linker cannot shuffle sections ({why}); use rust-lld or lld, which can")));
    }
    Ok(program_of(&said).ok_or_else(|| "rustc did not print the command of its linker".to_owned()))
}

/// The program in rustc's link line: variables like `LC_ALL="C"` first, then `"cc"`, then arguments.
fn program_of(said: &str) -> Option<String> {
    let words = shell_words::split(said.lines().find(|line| line.contains('"'))?).ok()?;
    let is_variable = |word: &str| word.split_once('=').is_some_and(|(name, _)| !name.contains(['/', '-', '.']));
    words.into_iter().find(|word| !is_variable(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_linker_is_read_from_the_link_line() {
        let line = "LC_ALL=\"C\" PATH=\"/a b:/c\" VSLANG=\"1033\" \"cc\" \"-m64\" \"x.o\"\n";
        assert_eq!(program_of(line).as_deref(), Some("cc"));
        assert_eq!(program_of("\"/opt/my cc\" \"x.o\"").as_deref(), Some("/opt/my cc"));
        assert_eq!(program_of("nothing"), None);
        assert_eq!(program_of("A=\"1\""), None);
    }

    #[test]
    fn the_script_links_every_layout_and_survives_one_that_fails() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        // A linker that writes its arguments to what `-o` names last, and refuses to shuffle with seed 2.
        let linker = dir.path().join("it's a linker");
        let text = "#!/bin/sh\nfor arg; do case $arg in *=2) exit 1;; esac; [ \"$last\" = -o ] && out=$arg; last=$arg; \
                    done\necho \"$@\" > \"$out\"\n";
        std::fs::write(&linker, text).expect("writes");
        let script = dir.path().join("link");
        std::fs::write(&script, script_text(&linker.display().to_string(), dir.path(), 4)).expect("writes");
        for path in [&linker, &script] {
            std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("permits");
        }
        // Through the shell, because a file that was just written may still be open in a fork of another test.
        let mut command = std::process::Command::new("sh");
        let status = command.arg(&script).args(["x.o", "-o"]).arg(dir.path().join("out")).status();
        assert!(status.expect("runs").success());
        let written = |name: &str| std::fs::read_to_string(dir.path().join(name)).ok();
        assert!(written("out").is_some_and(|text| !text.contains("shuffle")));
        assert!(
            written("pending-1").is_some_and(|text| text.contains("x.o") && text.contains("--shuffle-sections=*=1"))
        );
        assert_eq!(written("pending-2"), None);
        assert!(written("pending-3").is_some_and(|text| text.contains("--shuffle-sections=*=3")));
    }
}
