//! Programs that a command of the config builds: `make`, `cmake`, `meson`, `go build`, a compiler.
//!
//! Every build begins with a fresh copy of the sources at one path. Such builds do not notice other flags, so objects of
//! an earlier one would stay. A binary whose sources, command and settings were the same before is taken from then.

use super::cache;
use super::decided::{self, sha256};
use super::error::BuildError;
use super::workspace::{Workspace, store_binary};
use crate::config::MadeProgram;
use crate::design::BuildPlan;
use crate::support::interrupt;
use crate::support::machine::sha256_of;
use crate::support::progress::{human, note};
use ablate_format::{BuildFailure, BuildRecord};
use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Builds a program, or takes that of an earlier build.
///
/// # Errors
/// [`BuildError::Git`], [`BuildError::Io`]; a build that fails is a record.
pub(super) fn build(
    plan: &BuildPlan,
    program: &MadeProgram,
    workspace: &Workspace,
    log: &Path,
) -> Result<BuildRecord, BuildError> {
    let started = Instant::now();
    let mut settings = decided::by(plan, None, &workspace.root);
    settings.insert("command".to_owned(), shell_words::join(program.command.iter().chain(&plan.settings.args)));
    settings.extend(program.env.clone());
    // A level has the last word, as it has for the command.
    settings.extend(plan.settings.env.clone());
    let sources = match &workspace.revisions {
        Some(revisions) => {
            let revision = revisions.of(plan)?;
            settings.remove("revision");
            let checkout = revisions.check_out(revision, &workspace.target)?;
            revisions.within(&checkout, &workspace.root)
        }
        None => workspace.root.clone(),
    };
    let files = files(&sources, &workspace.target)?;
    let key = cache::key(&(&files, &settings, &program.artefact), Path::new(""));
    if let Some(revisions) = &workspace.revisions {
        revisions.of(plan)?.describe(&mut settings);
    }
    if let Some(record) = cache::find(&workspace.target, &key, plan) {
        note("  built before");
        return Ok(BuildRecord { settings, ..record });
    }
    let folder = fresh_copy(&sources, files.keys(), &workspace.target)?;
    let mut record = BuildRecord {
        id: plan.id.clone(),
        features: Vec::new(),
        settings,
        seconds: None,
        result: Err(BuildFailure { message: String::new(), log: log.display().to_string() }),
        layouts: Vec::new(),
    };
    let artefact = folder.join(&program.artefact);
    match make(plan, program, &folder, log)? {
        Err(message) => record.result = Err(BuildFailure { message, log: log.display().to_string() }),
        Ok(()) if !artefact.is_file() => {
            let message = format!("the command succeeded and made no file {}", program.artefact);
            record.result = Err(BuildFailure { message, log: log.display().to_string() });
        }
        Ok(()) => {
            record.result = Ok(store_binary(&artefact, plan, Path::new(&program.artefact), workspace)?);
            cache::keep(&workspace.target, &key, &record);
            record.seconds = Some(started.elapsed().as_secs_f64());
            note(&format!("  built in {}", human(started.elapsed())));
        }
    }
    Ok(record)
}

/// Runs the command. The inner error is the line of its log that gives a reason.
fn make(plan: &BuildPlan, program: &MadeProgram, folder: &Path, log: &Path) -> Result<Result<(), String>, BuildError> {
    let io = |doing| BuildError::io(log, doing);
    let file = File::create(log).map_err(io("creating the log"))?;
    let also = file.try_clone().map_err(io("creating the log"))?;
    let (name, own) = program.command.split_first().map_or(("", &[][..]), |(name, own)| (name.as_str(), own));
    let mut command = Command::new(name);
    command.args(own).args(&plan.settings.args).envs(&program.env).envs(&plan.settings.env).current_dir(folder);
    // The command ends with this process, because the next call builds at the same path.
    let end_together = || {
        // SAFETY: numbers only.
        match unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    };
    // SAFETY: one system call between fork and exec; it neither allocates nor takes a lock.
    unsafe { command.pre_exec(end_together) };
    let status = command.stdin(Stdio::null()).stdout(file).stderr(also).status();
    let status = match status {
        Ok(status) => status,
        Err(e) => return Ok(Err(format!("`{name}` cannot be run: {e}; install it, or correct `command`"))),
    };
    // What a build left that was ended is no program, even when its shell ended well.
    if interrupt::asked() {
        return Err(BuildError::Interrupted);
    }
    if status.success() {
        return Ok(Ok(()));
    }
    let text = std::fs::read(log).map_err(io("reading the log"))?;
    let text = String::from_utf8_lossy(&text);
    let is_reason = |line: &&str| line.contains("error:") || line.contains("Error:") || line.contains("fatal:");
    let line = text.lines().find(is_reason).or_else(|| text.lines().rev().find(|line| !line.trim().is_empty()));
    Ok(Err(format!("{status}: {}", line.unwrap_or("no message").trim())))
}

/// The files of the sources with their hashes, without those of git and of ablate.
pub(crate) fn files(sources: &Path, target: &Path) -> Result<BTreeMap<PathBuf, String>, BuildError> {
    let mut out = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        let here = sources.join(&folder);
        let failed = |e: std::io::Error| BuildError::io(&here, "reading the folder")(e);
        for entry in std::fs::read_dir(&here).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let path = folder.join(entry.file_name());
            let full = sources.join(&path);
            let kind = entry.file_type().map_err(failed)?;
            if entry.file_name() == ".git" || full == *target {
                continue;
            } else if kind.is_dir() {
                folders.push(path);
            } else if kind.is_symlink() {
                let to = std::fs::read_link(&full).map_err(BuildError::io(&full, "reading the link"))?;
                out.insert(path, format!("link {}", to.display()));
            } else if kind.is_file() {
                out.insert(path, sha256_of(&full).map_err(BuildError::io(&full, "reading the file"))?);
            }
        }
    }
    Ok(out)
}

/// A new copy of the sources, at the same path for every build of this folder.
fn fresh_copy<'p>(
    sources: &Path,
    files: impl Iterator<Item = &'p PathBuf>,
    target: &Path,
) -> Result<PathBuf, BuildError> {
    let name = sha256(sources.as_os_str().as_encoded_bytes());
    let folder = target.join("ablate/made").join(&name[..12]);
    clear(&folder).map_err(BuildError::io(&folder, "removing the last build"))?;
    for path in files {
        let (from, to) = (sources.join(path), folder.join(path));
        let copy = || {
            std::fs::create_dir_all(to.parent().unwrap_or(&folder))?;
            match std::fs::read_link(&from) {
                Ok(link) => std::os::unix::fs::symlink(link, &to),
                Err(_) => std::fs::copy(&from, &to).map(drop),
            }
        };
        copy().map_err(BuildError::io(&to, "copying the sources"))?;
    }
    std::fs::create_dir_all(&folder).map_err(BuildError::io(&folder, "creating the folder"))?;
    Ok(folder)
}

/// Most folders of killed builds that cannot be removed yet.
const MOST_LEFT: u32 = 16;

/// Takes the last build out of the way, and removes it. Processes of a build whose call was killed may still write there:
/// they go with the folder, and what they keep from being removed is removed by a later build.
fn clear(folder: &Path) -> std::io::Result<()> {
    let lefts = || (0..MOST_LEFT).map(|number| folder.with_extension(format!("left-{number}")));
    for left in lefts().filter(|left| left.exists()) {
        let _ = std::fs::remove_dir_all(left);
    }
    if folder.exists() {
        let free = lefts().find(|left| !left.exists()).unwrap_or_else(|| folder.with_extension("left"));
        std::fs::rename(folder, &free)?;
        let _ = std::fs::remove_dir_all(free);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(command: &[&str]) -> MadeProgram {
        MadeProgram {
            command: command.iter().map(|word| word.to_string()).collect(),
            artefact: "out/program".into(),
            sources: PathBuf::new(),
            env: BTreeMap::new(),
        }
    }

    #[test]
    fn a_build_is_fresh_and_one_that_was_made_before_is_found() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let root = dir.path().join("sources");
        std::fs::create_dir_all(root.join("sub")).expect("creates");
        std::fs::write(root.join("sub/text"), "hello").expect("writes");
        let workspace = Workspace {
            root: root.clone(),
            target: root.join("target"),
            manifest: None,
            package: None,
            revisions: None,
        };
        let log = dir.path().join("log");
        // It fails where an earlier build left its output, and counts its runs outside.
        let script = format!(
            "test ! -e out && mkdir out && cat sub/text > out/program && echo \"$WORD $1\" >> out/program && echo run \
             >> {}",
            dir.path().join("count").display()
        );
        let mut program = made(&["sh", "-c", &script, "sh"]);
        program.env.insert("WORD".into(), "of all levels".into());
        let mut plan =
            BuildPlan { id: "full".into(), features: Vec::new(), settings: Default::default(), command: None };
        plan.settings.args = vec!["x".into()];
        plan.settings.env.insert("WORD".into(), "w".into());
        let build = |plan: &BuildPlan| build(plan, &program, &workspace, &log).expect("builds");
        let first = build(&plan);
        let binary = first.result.as_ref().expect("is made");
        assert_eq!(std::fs::read_to_string(&binary.path).expect("is there"), "hellow x\n");
        assert!(first.settings["command"].ends_with(" x") && first.settings["WORD"] == "w", "{:?}", first.settings);
        let again = build(&plan);
        assert_eq!((&again.result, again.seconds), (&first.result, None), "it was built before");
        plan.settings.args = vec!["y".into()];
        assert_ne!(build(&plan).result, first.result);
        plan.settings.env.insert("WORD".into(), "v".into());
        let other = build(&plan).result.expect("is made");
        assert_eq!(std::fs::read_to_string(&other.path).expect("is there"), "hellov y\n", "no earlier build is taken");
        std::fs::write(root.join("sub/text"), "other").expect("writes");
        assert!(build(&plan).result.is_ok());
        let runs = std::fs::read_to_string(dir.path().join("count")).expect("is there").lines().count();
        assert_eq!(runs, 4);
    }

    #[test]
    fn what_is_left_of_a_killed_build_is_out_of_the_way_of_the_next_one() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = dir.path().join("0123456789ab");
        for round in 0..3 {
            std::fs::create_dir_all(folder.join("deep")).expect("creates");
            std::fs::write(folder.join("deep/object"), "").expect("writes");
            // A process that stays in its folder, wherever that is.
            let script = "while echo x > here-$$; do :; done 2> /dev/null";
            let mut command = Command::new("sh");
            let mut left = command.args(["-c", script]).current_dir(&folder).spawn().expect("starts");
            clear(&folder).expect("is out of the way");
            assert!(!folder.exists(), "round {round}");
            left.kill().and_then(|()| left.wait()).expect("ends");
        }
        clear(&folder).expect("there is none");
        assert_eq!(std::fs::read_dir(dir.path()).expect("lists").count(), 0);
    }

    #[test]
    fn a_build_that_fails_tells_why() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let workspace = Workspace {
            root: dir.path().to_owned(),
            target: dir.path().join("target"),
            package: None,
            manifest: None,
            revisions: None,
        };
        let plan = BuildPlan { id: "full".into(), features: Vec::new(), settings: Default::default(), command: None };
        let why = |command: &[&str]| {
            let record = build(&plan, &made(command), &workspace, &dir.path().join("log")).expect("runs");
            record.result.expect_err("makes nothing").message
        };
        let said = why(&["sh", "-c", "echo first; echo x.c:1: error: no; echo last; exit 2"]);
        assert!(said.contains("exit status: 2") && said.contains("x.c:1: error: no"), "{said}");
        assert!(why(&["true"]).contains("made no file out/program"));
        assert!(why(&["no-such-program-here"]).contains("no-such-program-here"));
    }
}
