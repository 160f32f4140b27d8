//! Installed programs: they are found and hashed, never built.

use super::error::BuildError;
use super::pointed::pointed;
use crate::config::Study;
use crate::design::BuildPlan;
use crate::support::machine::{sha256_of, sha256_of_text};
use ablate_format::{BuildRecord, BuiltBinary, path_to_text};
use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// The record of a program that a command names.
///
/// # Errors
/// [`BuildError::Config`] when there is no such program, or [`BuildError::Io`].
pub(crate) fn find(study: &Study, plan: &BuildPlan, command: &[String]) -> Result<BuildRecord, BuildError> {
    let path = locate(study, command.first().map_or("", String::as_str))?;
    let mut sha256 = sha256_of(&path).map_err(BuildError::io(&path, "reading the program"))?;
    // An interpreter's script is one of its arguments. All files among the arguments are hashed.
    for argument in command.iter().skip(1).chain(&study.subject.args) {
        let file = study.folder().join(argument);
        if file.is_file() {
            sha256 += "+";
            sha256 += &sha256_of(&file).map_err(BuildError::io(&file, "reading a file among the arguments"))?;
        }
    }
    if let Some(own) = of_workloads(study)? {
        sha256 += "+";
        sha256 += &own;
    }
    let result = Ok(BuiltBinary { path: path_to_text(&path), sha256, code_sha256: None });
    let (features, layouts) = (Vec::new(), Vec::new());
    Ok(BuildRecord { id: plan.id.clone(), features, settings: Default::default(), seconds: None, result, layouts })
}

/// One hash of the programs that workloads have instead of the subject's, and of the files among their arguments; `None`
/// where no workload has one.
fn of_workloads(study: &Study) -> Result<Option<String>, BuildError> {
    let mut all = String::new();
    for command in study.workloads.iter().filter_map(|workload| workload.command.as_ref()) {
        let path = locate(study, command.first().map_or("", String::as_str))?;
        all += &sha256_of(&path).map_err(BuildError::io(&path, "reading the program"))?;
        for file in command.iter().skip(1).map(|argument| study.folder().join(argument)).filter(|file| file.is_file()) {
            all += &sha256_of(&file).map_err(BuildError::io(&file, "reading a file among the arguments"))?;
        }
    }
    Ok((!all.is_empty()).then(|| sha256_of_text(&all)))
}

/// Absolute path of a program. A name with a slash is relative to the config's folder; any other is on the `PATH`.
///
/// # Errors
/// [`BuildError::Config`], pointing at the name.
pub(crate) fn locate(study: &Study, program: &str) -> Result<PathBuf, BuildError> {
    let wrong = |message: String| Err(pointed(study, &["command"], program, message));
    if program.contains('/') {
        let path = study.folder().join(program);
        let path = std::path::absolute(&path).map_err(BuildError::io(&path, "finding the program"))?;
        return match is_program(&path) {
            true => Ok(path),
            false if path.exists() => wrong(format!("{} cannot be executed; make it a program", path.display())),
            false => wrong(format!("there is no program {}; paths are relative to the config", path.display())),
        };
    }
    match on_path(OsStr::new(program), std::env::var_os("PATH")) {
        Some(path) => Ok(path),
        None => wrong(format!("there is no program `{program}` on the PATH; install it or give its path")),
    }
}

/// Whether a program can be started from a folder: by its path, or by its name on the `PATH`.
pub(crate) fn exists(folder: &Path, program: &str) -> bool {
    find_from(folder, program).is_some()
}

/// Checks that the programs around the runs of a study are there. One below a scratch folder comes into being later.
///
/// # Errors
/// [`BuildError::Config`], pointing at the name.
pub(crate) fn check_auxiliary(study: &Study) -> Result<(), BuildError> {
    let own = study.workloads.iter().filter_map(|workload| Some(("command", workload.command.as_ref()?)));
    for (key, command) in study.subject.surroundings.commands().into_iter().chain(own) {
        let program = command.first().map_or("", String::as_str);
        if !program.contains('{') && !exists(study.folder(), program) {
            let message = format!(
                "there is no program `{program}` for `{key}`; install it, or give its path, seen from the config"
            );
            return Err(pointed(study, &[key], program, message));
        }
    }
    Ok(())
}

/// Absolute path of a program that is started from a folder; `None` when there is none.
pub(crate) fn find_from(folder: &Path, program: &str) -> Option<PathBuf> {
    if !program.contains('/') {
        return on_path(OsStr::new(program), std::env::var_os("PATH"));
    }
    std::path::absolute(folder.join(program)).ok().filter(|path| is_program(path))
}

fn on_path(program: &OsStr, path: Option<OsString>) -> Option<PathBuf> {
    let path = path.filter(|_| !program.is_empty())?;
    let folders = std::env::split_paths(&path).filter(|folder| folder.is_absolute());
    folders.map(|folder| folder.join(program)).find(|candidate| is_program(candidate))
}

fn is_program(path: &Path) -> bool {
    let Ok(text) = CString::new(path.as_os_str().as_bytes()) else { return false };
    // SAFETY: the text ends with NUL and is live.
    path.is_file() && unsafe { libc::access(text.as_ptr(), libc::X_OK) } == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_of_an_interpreter_is_part_of_the_hash() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let text = "study = \"demo\"\nseed = 1\nblocks = 6\narms = [\"args\"]\ndesign = [\"leave-one-out\"]\n\
            [subject]\ncommand = [\"sh\", \"work.sh\"]\n[[factor]]\nname = \"a\"\n[factor.levels]\non = {}\n\
            off = { args = [\"x\"] }\n[[workload]]\nname = \"w\"\nargs = []\n";
        let study = crate::config::parse(&dir.path().join("demo.toml"), text.as_bytes()).expect("a good config");
        let design = crate::design::resolve(&study).expect("a good design");
        let command = ["sh", "work.sh"].map(str::to_owned);
        let hash = || find(&study, &design.builds[0], &command).expect("sh is there").result.expect("found").sha256;
        let without = hash();
        std::fs::write(dir.path().join("work.sh"), "true").expect("writes");
        let first = hash();
        std::fs::write(dir.path().join("work.sh"), "false").expect("writes");
        assert!(first.starts_with(&without) && first != without && hash() != first, "{first}");
    }

    #[test]
    fn programs_are_found_on_the_path_only_where_they_are() {
        let path = Some(OsString::from("relative:/no/such/folder:/bin:/usr/bin"));
        let found = on_path(OsStr::new("sh"), path.clone()).expect("every system has a shell");
        assert!(found.is_absolute() && found.ends_with("sh"), "{found:?}");
        assert_eq!(on_path(OsStr::new("no-such-program-here"), path.clone()), None);
        assert_eq!(on_path(OsStr::new(""), path), None);
        assert_eq!(on_path(OsStr::new("sh"), None), None);
        assert!(exists(Path::new("/bin"), "./sh") && exists(Path::new("/"), "sh"));
        assert!(!exists(Path::new("/"), "./sh") && !exists(Path::new("/"), "no-such-program-here"));
        assert!(!is_program(Path::new("/etc/passwd")) && !is_program(Path::new("/bin")));
    }
}
