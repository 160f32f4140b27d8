//! Takes stacks of the process of a cell, with perf or callgrind.

use super::shares::Stacks;
use crate::measure::{Tool, Wrapper, callgrind, find_tool, probe};
use crate::run::process::Launch;
use crate::support::progress::note;
use crate::tools::cells::{Cells, CellsError};
use ablate_format::Pass;
use inferno::collapse::Collapse;
use inferno::collapse::perf::{Folder, Options};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Samples per second: often enough for processes of some milliseconds, and not a multiple of common timer frequencies.
const FREQUENCY: u32 = 4_999;

/// Bytes of the stack that each sample stores, from which callers are found.
const STACK_BYTES: u32 = 16_384;

/// Callers that callgrind keeps apart.
const CALLERS: u32 = 24;

/// First frame of the repeating process, and of its children until they become the program.
const REPEATER: &str = "ablate;";

/// Stacks of one cell.
#[derive(Debug, Default)]
pub(super) struct Sampled {
    pub(super) stacks: Stacks,
    /// Number of processes.
    pub(super) runs: u32,
}

impl Sampled {
    pub(super) fn total(&self) -> u64 {
        self.stacks.values().sum()
    }

    /// Number of further processes that probably give so many samples. `None` when there are enough samples.
    pub(super) fn missing(&self, samples: u64) -> Option<u32> {
        let left = samples.checked_sub(self.total()).filter(|left| *left > 0)?;
        let each = (self.total() as f64 / f64::from(self.runs.max(1))).max(0.5);
        Some((left as f64 / each).ceil() as u32)
    }

    pub(super) fn add(&mut self, stacks: Stacks, runs: u32) {
        for (stack, n) in stacks {
            *self.stacks.entry(stack).or_insert(0) += n;
        }
        self.runs += runs;
    }
}

/// The profiler of this machine.
pub(super) enum Profiler {
    /// `perf record` on this event.
    Perf { path: PathBuf, event: &'static str },
    /// `valgrind --tool=callgrind`.
    Callgrind(Wrapper),
}

impl Profiler {
    /// perf where it works, otherwise callgrind.
    pub(super) fn find() -> Result<Profiler, CellsError> {
        let event = if probe().has("cycles") { "cycles" } else { "cpu-clock" };
        let why = match find_tool("perf").map(|path| (works(&path, event), path)) {
            Some((Ok(()), path)) => return Ok(Profiler::Perf { path, event }),
            Some((Err(why), _)) => {
                format!("perf does not work here ({why}); kernel.perf_event_paranoid = 1 may allow it")
            }
            None => "perf is not on the PATH; install the package linux-perf".to_owned(),
        };
        match Wrapper::find(Tool::Callgrind) {
            Ok(wrapper) => {
                note(&format!("callgrind counts instructions because perf takes no samples: {why}"));
                Ok(Profiler::Callgrind(wrapper))
            }
            Err(valgrind) => {
                Err(CellsError::Impossible { what: format!("no profiler works on this machine: {why}; {valgrind}") })
            }
        }
    }

    /// The unit of the numbers.
    pub(super) fn unit(&self) -> &'static str {
        match self {
            Profiler::Perf { .. } => "samples",
            Profiler::Callgrind(_) => "instructions",
        }
    }

    /// Whether one process is enough, because the counts are exact.
    pub(super) fn is_exact(&self) -> bool {
        matches!(self, Profiler::Callgrind(_))
    }

    /// The tool and its settings, for people.
    pub(super) fn about(&self) -> String {
        match self {
            Profiler::Perf { event, .. } => format!("perf, {event} {FREQUENCY} times a second"),
            Profiler::Callgrind(wrapper) => format!("{}, simulated", wrapper.version),
        }
    }

    /// Runs a cell so many times in one session and returns its stacks.
    pub(super) fn profile(
        &self,
        cells: &Cells,
        cell: usize,
        workload: usize,
        times: u32,
    ) -> Result<Stacks, CellsError> {
        let scratch = cells.scratch()?;
        let file = scratch.path().join("profile");
        cells.run(cell, workload, Pass::Counting, None, |launch| {
            if times > 1 {
                repeated(launch, times)?;
            }
            self.wrap(launch, &file).map_err(|e| CellsError::io(&file, "naming a file")(e.into()))
        })?;
        match self {
            Profiler::Perf { path, .. } => {
                let script = perf_script(path, &file)?;
                let mut stacks = folded(&script).map_err(|e| CellsError::Impossible {
                    what: format!("the samples of perf cannot be read: {e}; try `perf script` by hand"),
                })?;
                if times > 1 {
                    stacks.retain(|stack, _| !stack.starts_with(REPEATER));
                }
                Ok(stacks)
            }
            Profiler::Callgrind(_) => {
                let text = std::fs::read(&file).map_err(CellsError::io(&file, "reading what callgrind wrote"))?;
                Ok(callgrind::stacks(&String::from_utf8_lossy(&text)))
            }
        }
    }

    fn wrap(&self, launch: &mut Launch<'_>, file: &Path) -> Result<(), std::ffi::NulError> {
        let (path, options) = match self {
            Profiler::Perf { path, event } => (path, perf_options(event, file)),
            Profiler::Callgrind(wrapper) => {
                let mut out = b"--callgrind-out-file=".to_vec();
                out.extend_from_slice(file.as_os_str().as_bytes());
                let callers = format!("--separate-callers={CALLERS}").into_bytes();
                let options = ["--tool=callgrind", "--log-file=/dev/null"].map(|word| word.into());
                launch.timeout *= wrapper.timeout_factor();
                (&wrapper.path, options.into_iter().chain([callers, out, b"--".to_vec()]).collect())
            }
        };
        let own = launch.argv.iter().skip(1).cloned();
        let mut argv = vec![CString::new(path.as_os_str().as_bytes())?];
        for option in options {
            argv.push(CString::new(option)?);
        }
        argv.push(launch.program.clone());
        argv.extend(own);
        launch.program = CString::new(path.as_os_str().as_bytes())?;
        launch.argv = argv;
        Ok(())
    }
}

/// Puts `cargo ablate repeat` in front of the program.
fn repeated(launch: &mut Launch<'_>, times: u32) -> Result<(), CellsError> {
    let own = std::env::current_exe().map_err(CellsError::io(Path::new("/proc/self/exe"), "finding this program"))?;
    let word = |bytes: &[u8]| {
        let nul = |e: std::ffi::NulError| CellsError::io(&own, "naming this program")(e.into());
        CString::new(bytes).map_err(nul)
    };
    let program = word(own.as_os_str().as_bytes())?;
    let times_word = times.to_string();
    let mut argv = vec![program.clone()];
    for option in ["repeat", "--times", &times_word, "--"] {
        argv.push(word(option.as_bytes())?);
    }
    argv.push(std::mem::replace(&mut launch.program, program));
    argv.extend(launch.argv.drain(..).skip(1));
    launch.argv = argv;
    launch.timeout *= times;
    Ok(())
}

fn perf_options(event: &str, file: &Path) -> Vec<Vec<u8>> {
    let mut words: Vec<Vec<u8>> =
        ["record", "-q", "--no-buildid-cache", "-e", event, "-F"].map(|word| word.into()).into();
    words.push(FREQUENCY.to_string().into_bytes());
    words.extend([b"--call-graph".to_vec(), format!("dwarf,{STACK_BYTES}").into_bytes(), b"-o".to_vec()]);
    words.extend([file.as_os_str().as_bytes().to_vec(), b"--".to_vec()]);
    words
}

/// Whether perf may record here, tried on a program that does nothing.
fn works(perf: &Path, event: &str) -> Result<(), String> {
    let mut command = Command::new(perf);
    command.args(["record", "-q", "-e", event, "-o", "/dev/null", "--", "true"]).stdin(Stdio::null());
    let out = command.output().map_err(|e| e.to_string())?;
    if out.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&out.stderr)
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("")
        .trim()
        .to_owned())
}

fn perf_script(perf: &Path, file: &Path) -> Result<Vec<u8>, CellsError> {
    let mut command = Command::new(perf);
    command.args(["script", "-F", "comm,pid,tid,time,event,ip,sym,dso", "-i"]).arg(file).stdin(Stdio::null());
    let out = command.output().map_err(CellsError::io(perf, "running perf script"))?;
    if out.status.success() {
        return Ok(out.stdout);
    }
    let said = String::from_utf8_lossy(&out.stderr).lines().last().unwrap_or_default().to_owned();
    Err(CellsError::Impossible { what: format!("perf script failed: {said}; try it by hand after perf record") })
}

/// Stacks of the text of `perf script`.
fn folded(script: &[u8]) -> std::io::Result<Stacks> {
    if script.iter().all(u8::is_ascii_whitespace) {
        // A process may end before the first sample, and the folding library reports that as a wrong file.
        return Ok(Stacks::new());
    }
    let mut options = Options::default();
    options.nthreads = 1;
    let mut lines = Vec::new();
    Folder::from(options).collapse(script, &mut lines)?;
    let mut stacks = Stacks::new();
    for line in String::from_utf8_lossy(&lines).lines() {
        if let Some((stack, n)) = line.rsplit_once(' ')
            && let Ok(n) = n.parse::<u64>()
        {
            *stacks.entry(stack.to_owned()).or_insert(0) += n;
        }
    }
    Ok(stacks)
}

#[cfg(test)]
mod tests {
    use super::*;

    const REAL: &str = include_str!("fixtures/perf-script.txt");

    #[test]
    fn a_real_script_is_folded_with_inlined_functions_as_frames() {
        let stacks = folded(REAL.as_bytes()).expect("a real script");
        let samples = REAL.lines().filter(|line| line.contains("cpu-clock:")).count() as u64;
        assert_eq!(stacks.values().sum::<u64>(), samples);
        let within = |frame: &str| stacks.keys().any(|stack| stack.split(';').any(|own| own.contains(frame)));
        assert!(within("t::work") && within("RawVecInner"), "{stacks:#?}");
        assert!(stacks.keys().all(|stack| stack.starts_with("tnofp;")), "{stacks:#?}");
    }

    #[test]
    fn no_samples_are_no_stacks() {
        assert!(folded(b"\n").expect("nothing").is_empty());
    }

    #[test]
    fn samples_of_several_processes_add_up() {
        let mut sampled = Sampled::default();
        assert_eq!(sampled.missing(10), Some(20), "nothing is known yet");
        sampled.add(Stacks::from([("a;b".to_owned(), 2)]), 1);
        sampled.add(Stacks::from([("a;b".to_owned(), 3), ("a".to_owned(), 1)]), 2);
        assert_eq!((sampled.total(), sampled.runs, sampled.stacks["a;b"]), (6, 3, 5));
        assert_eq!((sampled.missing(12), sampled.missing(6)), (Some(3), None));
    }
}
