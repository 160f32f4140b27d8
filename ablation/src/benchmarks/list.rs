//! The list of the benchmarks of one program.

use super::error::BenchmarksError;
use crate::harness::{Harness, Output, Request};
use crate::run::harness::{Asked, Variables, envp};
use crate::run::process::{self, Exit, Launch};
use crate::support::files;
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

/// A program of a harness.
pub(crate) struct Benchmarked<'a> {
    /// Its path.
    pub(crate) program: &'a Path,
    /// The words that it is started with, its name first.
    pub(crate) words: &'a [String],
    /// Its variables. Those that the harness needs are added.
    pub(crate) env: Variables,
    /// Folder that it starts in: that of the package for one that cargo built.
    pub(crate) folder: &'a Path,
    /// Whether cargo built it.
    pub(crate) by_cargo: bool,
    /// Time limit.
    pub(crate) timeout: Duration,
}

/// The ids of all benchmarks of a program, by its list or by one quick run of all.
///
/// # Errors
/// [`BenchmarksError`].
pub(crate) fn list(harness: Harness, of: &Benchmarked<'_>) -> Result<Vec<String>, BenchmarksError> {
    let io = |source| BenchmarksError::Io { source };
    let scratch = files::scratch(None).map_err(io)?;
    let call = harness.list(&Request { benchmark: "", given: of.words, scratch: scratch.path() });
    let mut words: Vec<Vec<u8>> = of.words.iter().map(|word| word.clone().into_bytes()).collect();
    let mut env = of.env.clone();
    let package = of.by_cargo.then_some(of.folder);
    Asked { harness, call: &call, scratch: scratch.path(), package }.add(&mut words, &mut env).map_err(io)?;
    let nul = |_| io(io::Error::new(io::ErrorKind::InvalidInput, "an argument or a path contains NUL"));
    let argv: Result<Vec<CString>, _> = words.iter().map(|word| CString::new(word.as_slice())).collect();
    let launch = Launch {
        program: CString::new(of.program.as_os_str().as_bytes()).map_err(nul)?,
        argv: argv.map_err(nul)?,
        envp: envp(env).map_err(nul)?,
        directory: Some(CString::new(of.folder.as_os_str().as_bytes()).map_err(nul)?),
        cpus: None,
        aslr: true,
        timeout: of.timeout,
        counters: None,
        counter_pass: None,
        stdin: None,
        heeds_interrupt: true,
        samples_memory: false,
    };
    let finished = process::run(&launch)?;
    let stderr = String::from_utf8_lossy(&finished.stderr_tail).into_owned();
    let said = stderr.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it printed no error").trim();
    let failed = |why: String| {
        let program = of.program.to_string_lossy();
        let rest: Vec<String> = words[1..].iter().map(|word| String::from_utf8_lossy(word).into_owned()).collect();
        let command = shell_words::join(std::iter::once(&*program).chain(rest.iter().map(String::as_str)));
        Err(BenchmarksError::Failed {
            program: of.program.display().to_string(),
            harness: harness.as_str(),
            why,
            command,
        })
    };
    match finished.exit {
        Exit::Code(0) => {}
        Exit::Interrupted => return Err(BenchmarksError::Interrupted),
        Exit::Code(code) => return failed(format!("it ends with exit code {code}: {said}")),
        Exit::Signal(signal) => return failed(format!("it is ended by signal {signal}: {said}")),
        Exit::Timeout => return failed(format!("it still ran after {} s", of.timeout.as_secs())),
    }
    let stdout = String::from_utf8_lossy(&finished.stdout);
    harness.ids(&Output { benchmark: "", stdout: &stdout, scratch: scratch.path() }).or_else(failed)
}
