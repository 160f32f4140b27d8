//! What a program prints when it is asked, for `--help` or what it would build, within a time and a length.

use crate::builds;
use crate::run::process::{self, Exit, Launch};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

/// How long a program may take to print its help. One that does its work instead is ended then.
const LIMIT: Duration = Duration::from_secs(2);

/// Variables that the program gets. Plain words and wide lines are the easiest to read.
const ENVIRONMENT: [&str; 4] = ["LC_ALL=C", "COLUMNS=120", "TERM=dumb", "NO_COLOR=1"];

/// What a program prints for `--help` after `arguments`; empty when it does not, or takes too long.
pub(super) fn help(here: &Path, program: &str, arguments: &[&str]) -> String {
    output(here, program, &[arguments, &["--help"]].concat(), LIMIT).unwrap_or_default()
}

/// What a program prints when it is called from the folder `here`. `None` when it cannot be started, or takes too long.
pub(super) fn output(here: &Path, program: &str, arguments: &[&str], limit: Duration) -> Option<String> {
    let path = builds::find(here, program)?;
    let text = |text: &str| CString::new(text).ok();
    let mut envp: Vec<CString> = ENVIRONMENT.iter().map(|pair| text(pair)).collect::<Option<_>>()?;
    if let Some(path) = std::env::var_os("PATH") {
        envp.push(CString::new([b"PATH=", path.as_bytes()].concat()).ok()?);
    }
    let argv = std::iter::once(&program).chain(arguments).map(|word| text(word)).collect::<Option<_>>()?;
    let launch = Launch {
        program: CString::new(path.as_os_str().as_bytes()).ok()?,
        argv,
        envp,
        directory: CString::new(here.as_os_str().as_bytes()).ok(),
        cpus: None,
        aslr: true,
        timeout: limit,
        counters: None,
        counter_pass: None,
        stdin: None,
        heeds_interrupt: true,
        samples_memory: false,
    };
    let finished = process::run(&launch).ok()?;
    // Some programs print their help to standard error, and end with another code than 0.
    let text = if finished.stdout.is_empty() { finished.stderr_tail } else { finished.stdout };
    matches!(finished.exit, Exit::Code(_)).then(|| String::from_utf8_lossy(&text).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::time::Instant;

    #[test]
    fn help_is_read_from_either_stream_and_never_waited_for_long() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let said = |text: &str| {
            let path = dir.path().join("program");
            crate::support::files::replace_script(&path, &format!("#!/bin/sh\n{text}\n")).expect("writes");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("allows");
            help(dir.path(), "./program", &[])
        };
        assert_eq!(said("echo \"$1\""), "--help\n");
        assert_eq!(said("echo usage >&2; exit 2"), "usage\n");
        let started = Instant::now();
        assert_eq!(said("echo begun; exec sleep 1000"), "", "it works instead");
        assert!(started.elapsed() < Duration::from_secs(60));
        assert_eq!(help(dir.path(), "./missing", &[]), "");
    }
}
