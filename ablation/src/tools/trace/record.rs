//! Runs a program with the recorder, and makes traces of what it left.

use super::convert::convert;
use super::error::TraceToolError;
use super::program;
use crate::support::call::quoted;
use crate::support::count::{counted, grouped};
use crate::support::exit::ShellCode;
use crate::support::{files, interrupt};
use ablate_trace::Header;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use trace_recorder::layout::{CHUNK_BYTES, LEFT_OUT, MAGIC, VARIABLE};

/// What to record.
#[derive(Debug)]
pub(crate) struct Request {
    /// The program and its arguments.
    pub(crate) command: Vec<OsString>,
    /// The trace; default: the program's name with `.trace`, in this folder.
    pub(crate) out: Option<PathBuf>,
    /// Whether processes that the program starts are recorded too.
    pub(crate) children: bool,
    /// The largest raw file of a process, in bytes; 0 for any.
    pub(crate) limit: u64,
    /// One allocation in so many is watched for what is written to it; 0 for none.
    pub(crate) one_in: u32,
    /// zstd's level.
    pub(crate) level: i32,
    /// The recorder's library, where it is not beside this program.
    pub(crate) recorder: Option<PathBuf>,
    /// The folder for binaries, where it is set.
    pub(crate) target_dir: Option<PathBuf>,
}

/// What was recorded.
#[derive(Debug)]
pub(crate) struct Recorded {
    /// What to say of it, line by line.
    pub(crate) said: Vec<String>,
    /// The exit code of the program, or 128 and the signal that ended it.
    pub(crate) code: ShellCode,
}

/// Runs the program, and makes the traces.
///
/// # Errors
/// What keeps the program from being started, and from being recorded.
pub(crate) fn record(request: &Request) -> Result<Recorded, TraceToolError> {
    let program = request.command.first().map(|program| program.to_string_lossy().into_owned()).unwrap_or_default();
    let recorder = find_recorder(request)?;
    let out = request.out.clone().unwrap_or_else(|| default_out(&request.command));
    if out.exists() {
        return Err(TraceToolError::Exists { path: out });
    }
    let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.exists() {
        return Err(TraceToolError::NoFolder { folder: folder.to_owned(), path: out });
    }
    let failed =
        |source| TraceToolError::System { path: folder.to_owned(), doing: "making a folder for the raw file", source };
    let folder = folder.canonicalize().map_err(failed)?;
    let scratch = files::scratch(Some(&folder)).map_err(failed)?;
    let (status, process) = run(request, &recorder, scratch.path(), &program)?;
    let made = make(request, scratch.path(), process, &out, &program, status);
    match made {
        Ok(said) => Ok(Recorded { said, code: code_of(status) }),
        Err(_) if !scratch.path().exists() => {
            Err(TraceToolError::Gone { path: scratch.path().to_owned(), program: program.clone() })
        }
        Err(error) => {
            // What was recorded is not thrown away because it could not be converted.
            if !matches!(error, TraceToolError::NothingRecorded { .. } | TraceToolError::Empty { .. }) {
                let kept = scratch.keep();
                crate::support::progress::warn(&format!(
                    "the raw files stay in {}; once the cause is mended, or with an OUT on another disk: cargo ablate trace \
                     convert {} -o OUT",
                    kept.display(),
                    quoted(&kept.join(format!("raw.{process}.0"))),
                ));
            }
            Err(error)
        }
    }
}

/// `PROGRAM.trace`.
fn default_out(command: &[OsString]) -> PathBuf {
    let program = command.first().map(Path::new).and_then(Path::file_name).unwrap_or(OsStr::new("program"));
    let mut name = program.to_owned();
    name.push(".trace");
    PathBuf::from(name)
}

fn find_recorder(request: &Request) -> Result<PathBuf, TraceToolError> {
    if let Some(named) = &request.recorder {
        return recorder_at(named);
    }
    let own = std::env::current_exe().ok().and_then(|own| own.canonicalize().ok());
    let beside = own.as_deref().and_then(Path::parent).map(Path::to_owned);
    let target = request.target_dir.clone().unwrap_or_else(|| PathBuf::from("target"));
    let mut folders: Vec<PathBuf> = Vec::new();
    let all = beside
        .into_iter()
        .flat_map(|folder| [folder.join("../preload"), folder.join("../lib"), folder])
        .chain([target.join("preload")])
        .map(|folder| std::path::absolute(&folder).unwrap_or(folder))
        .map(|folder| folder.canonicalize().unwrap_or_else(|_| files::without_dots(&folder)));
    for folder in all {
        if !folders.contains(&folder) {
            folders.push(folder);
        }
    }
    let found = folders.iter().map(|folder| folder.join(trace_recorder::LIBRARY)).find(|path| path.is_file());
    let searched = || folders.iter().map(|folder| folder.display().to_string()).collect::<Vec<_>>().join(", ");
    let found =
        found.ok_or_else(|| TraceToolError::NoRecorder { name: trace_recorder::LIBRARY, searched: searched() })?;
    recorder_at(&found)
}

/// The recorder at a path, which is one of this version.
fn recorder_at(path: &Path) -> Result<PathBuf, TraceToolError> {
    let failed = |source| TraceToolError::System { path: path.to_owned(), doing: "reading the recorder", source };
    let whole = path.canonicalize().map_err(failed)?;
    let bytes = if whole.is_file() { std::fs::read(&whole).map_err(failed)? } else { Vec::new() };
    let magic = MAGIC.to_ne_bytes();
    let has = |part: &[u8]| bytes.windows(part.len()).any(|at| at == part);
    match (has(&magic), has(&magic[..6])) {
        (true, _) => Ok(whole),
        (false, true) => Err(TraceToolError::OtherRecorder { path: path.to_owned() }),
        (false, false) => Err(TraceToolError::NotRecorder { path: path.to_owned(), name: trace_recorder::LIBRARY }),
    }
}

/// Runs the program to its end, with its own input and output; gives how it ended, and its number.
fn run(request: &Request, recorder: &Path, scratch: &Path, program: &str) -> Result<(ExitStatus, u32), TraceToolError> {
    let name = request.command.first().map_or(OsStr::new(""), OsString::as_os_str);
    let refused = |source| {
        let advice = program::advice(name, &source);
        TraceToolError::NoProgram { program: program.to_owned(), source, advice }
    };
    // Ctrl-C ends the program, and not this one, which makes the trace.
    interrupt::install().map_err(refused)?;
    let mut preload = recorder.as_os_str().to_owned();
    if let Some(others) = std::env::var_os("LD_PRELOAD").filter(|others| !others.is_empty()) {
        preload.push(":");
        preload.push(others);
    }
    let mut into = OsString::from(format!(
        "{} {} {} {} ",
        std::process::id(),
        u8::from(request.children),
        if request.limit == 0 { 0 } else { request.limit.max(4 * CHUNK_BYTES) },
        request.one_in
    ));
    into.push(scratch);
    let mut command = Command::new(name);
    command.args(request.command.iter().skip(1)).env("LD_PRELOAD", preload).env(VARIABLE, into);
    // SAFETY: the call is async-signal-safe.
    unsafe {
        command.pre_exec(|| {
            libc::signal(libc::SIGXFSZ, libc::SIG_DFL);
            Ok(())
        });
    }
    let mut child = command.spawn().map_err(refused)?;
    let process = child.id();
    let status = loop {
        match child.wait() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            ended => break ended.map_err(refused)?,
        }
    };
    Ok((status, process))
}

fn code_of(status: ExitStatus) -> ShellCode {
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    match code {
        0 => ShellCode::Good,
        code => ShellCode::Of(u8::try_from(code).unwrap_or(1)),
    }
}

/// The way out where a program brings its own allocator.
const OWN: &str = "record a build that uses the C library's allocator";

/// A raw file that was left: its process, and its place among those of this process, by `exec`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Left {
    process: u32,
    number: u32,
    path: PathBuf,
}

/// Makes a trace of each raw file that is wanted; gives what to say.
fn make(
    request: &Request,
    scratch: &Path,
    process: u32,
    out: &Path,
    program: &str,
    status: ExitStatus,
) -> Result<Vec<String>, TraceToolError> {
    let failed = |source| TraceToolError::System { path: scratch.to_owned(), doing: "reading", source };
    let mut left = Vec::new();
    for entry in std::fs::read_dir(scratch).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        left.extend(read_name(&path));
    }
    left.sort();
    let mut said = Vec::new();
    let ended = ended(status);
    let file = request.command.first().and_then(|name| program::find(name));
    let own: Vec<&Left> = left.iter().filter(|left| left.process == process).collect();
    let Some((last, before)) = own.split_last() else {
        let why = file.as_deref().and_then(program::obstacle).unwrap_or(
            "the recorder was not loaded, which happens where a starter empties LD_PRELOAD or runs the program as another \
             user, in a sandbox, and in programs with another C library than glibc",
        );
        let why = why.to_owned();
        return Err(TraceToolError::NothingRecorded { program: program.to_owned(), how: ended, why });
    };
    let notes = if status.success() { Vec::new() } else { vec![format!("`{program}` ended{ended}")] };
    let header = convert(&last.path, out, request.level, notes).map_err(|error| match error {
        TraceToolError::Empty { .. } => TraceToolError::NothingRecorded {
            program: program.to_owned(),
            how: ended.clone(),
            why: match file.as_deref().and_then(program::own_allocator) {
                Some(own) => format!("it brings {own}, whose calls no recorder sees; {OWN}"),
                None => format!(
                    "it made no allocation before it ended, or there was no room on the disk for a first one, or it \
                     brings its own allocator, whose calls no recorder sees; {OWN}"
                ),
            },
        },
        // The recorder is of this version, but had no room for the head of its file.
        TraceToolError::NotRaw { .. } => TraceToolError::NothingRecorded {
            program: program.to_owned(),
            how: ended.clone(),
            why:
                "there was no room for the recorder's file on the disk of the trace, or within the limit of file sizes \
                  (`ulimit -f`); name a trace on another disk with -o"
                    .to_owned(),
        },
        error => error,
    })?;
    said.push(told(&header, out));
    said.extend(header.about.notes.iter().map(|note| format!("note: {note}")));
    if request.children {
        let others = left.iter().filter(|of| of.process != process).chain(before.iter().copied());
        for other in others {
            let path = beside(out, other);
            match convert(&other.path, &path, request.level, Vec::new()) {
                Ok(header) => {
                    let name = header.about.program.first().map(Path::new).and_then(Path::file_name);
                    let name = name.unwrap_or_default().to_string_lossy().into_owned();
                    said.push(format!("{} of `{name}`", told(&header, &path)));
                }
                Err(TraceToolError::Empty { .. }) => {}
                Err(error) => return Err(error),
            }
        }
    } else if !before.is_empty() {
        said.push(format!(
            "note: the process became another program by exec {}; the trace is of the last one, and --children keeps all",
            if before.len() == 1 { "once".to_owned() } else { format!("{} times", before.len()) },
        ));
    }
    if !request.children && scratch.join(LEFT_OUT).exists() {
        said.push(
            "note: the program started other processes, which are not in the trace; --children records them, too"
                .to_owned(),
        );
    }
    if let Some(own) = file.as_deref().and_then(program::own_allocator) {
        said.push(format!(
            "note: the program brings {own}, and what it asks of that is not in the trace; {OWN}, unless it is not in use"
        ));
    }
    Ok(said)
}

/// `raw.PROCESS.NUMBER`.
fn read_name(path: &Path) -> Option<Left> {
    let name = std::str::from_utf8(path.file_name()?.as_bytes()).ok()?;
    let (process, number) = name.strip_prefix("raw.")?.split_once('.')?;
    Some(Left { process: process.parse().ok()?, number: number.parse().ok()?, path: path.to_owned() })
}

/// The trace of another process: `OUT` with its number before the ending.
fn beside(out: &Path, of: &Left) -> PathBuf {
    let mut name = out.file_stem().unwrap_or_default().to_owned();
    name.push(format!(".{}.{}", of.process, of.number));
    if let Some(ending) = out.extension() {
        name.push(".");
        name.push(ending);
    }
    out.with_file_name(name)
}

/// ` with exit code 3`.
fn ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(0), _) => String::new(),
        (Some(code), _) => format!(" with exit code {code}"),
        (None, Some(signal)) => format!(" by signal {signal}"),
        (None, None) => " in an unknown way".to_owned(),
    }
}

/// What a trace has, in one line.
pub(crate) fn told(header: &Header, out: &Path) -> String {
    let bytes = out.metadata().map_or(0, |about| about.len());
    format!(
        "{}: {} operations of {} in {:.3} s, {:.2} bytes per operation",
        out.display(),
        grouped(header.operations),
        counted(header.threads.len(), "thread"),
        header.duration_ns as f64 / 1e9,
        bytes as f64 / header.operations.max(1) as f64,
    )
}
