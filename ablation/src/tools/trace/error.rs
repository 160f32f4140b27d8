//! Why there is no trace, or no answer about one.

use crate::support::exit::{ExitStatus, ShellCode};
use ablate_trace::TraceError;
use std::io;
use std::path::PathBuf;

/// Why there is no trace, or no answer about one.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TraceToolError {
    /// The recorder is not built.
    #[error(
        "the recorder {name} is not in {searched}; build it with `cargo recorder` in the repository of ablate, or name it with --recorder FILE"
    )]
    NoRecorder {
        /// The library's name.
        name: &'static str,
        /// The folders that were searched.
        searched: String,
    },
    /// The program cannot be started.
    #[error("the program `{program}` did not start: {source}; {advice}")]
    NoProgram {
        /// The program.
        program: String,
        /// The system's error.
        source: io::Error,
        /// The way out.
        advice: &'static str,
    },
    /// Another file where the recorder is asked for.
    #[error(
        "{path}: this is not the recorder; `cargo recorder` in the repository of ablate builds target/preload/{name}"
    )]
    NotRecorder {
        /// The file.
        path: PathBuf,
        /// The library's name.
        name: &'static str,
    },
    /// The recorder writes another layout than this program reads.
    #[error(
        "{path}: the recorder is of another version than this program, which cannot read its files; build it again with `cargo recorder`"
    )]
    OtherRecorder {
        /// The recorder.
        path: PathBuf,
    },
    /// The folder of the trace is not there.
    #[error("{path}: its folder {} does not exist; create it, or name a file in another folder with -o", .folder.display())]
    NoFolder {
        /// The trace.
        path: PathBuf,
        /// Its folder.
        folder: PathBuf,
    },
    /// The raw files went away while the program ran.
    #[error(
        "the folder {path} of the raw files is gone, which `{program}` or another program removed; name a trace in another folder with -o"
    )]
    Gone {
        /// The folder.
        path: PathBuf,
        /// The program.
        program: String,
    },
    /// The program ran without the recorder.
    #[error("`{program}` ended{how}, and recorded nothing: {why}")]
    NothingRecorded {
        /// The program.
        program: String,
        /// How it ended, with a blank before it.
        how: String,
        /// What may be the reason, and the way out.
        why: String,
    },
    /// The system refused.
    #[error("{path}: {doing} failed: {source}")]
    System {
        /// The file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// Another kind of file.
    #[error(
        "{path}: this is no raw file of the recorder of this version; `trace convert` takes the file `raw.…` that a recorder left, `trace info` a trace"
    )]
    NotRaw {
        /// The file.
        path: PathBuf,
    },
    /// A raw file where a trace is asked for.
    #[error(
        "{path}: this is the raw file of a recorder; make a trace of it first: cargo ablate trace convert {path} -o OUT"
    )]
    IsRaw {
        /// The file.
        path: PathBuf,
    },
    /// A raw file without an operation.
    #[error(
        "{path}: the raw file has no allocation; the program made none before it ended, or recording could not begin"
    )]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The result would take the place of a file that is there.
    #[error("{path}: the file is there already, and is not overwritten; name another with -o, or remove it")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A part that the trace does not have.
    #[error("{what}; the trace has {operations} operations in {seconds:.3} s")]
    NoSuchPart {
        /// What is wrong.
        what: String,
        /// Operations of the trace.
        operations: u64,
        /// Its time.
        seconds: f64,
    },
    /// A study of a trace that is not whole.
    #[error(
        "{path}: the file is not whole, and {operations} of its operations can be read; take another copy{}",
        if *.operations > 0 {
            format!(", or make a whole trace of those: cargo ablate trace cut {} --operations 0..{} -o OUT", .path.display(), .operations)
        } else {
            String::new()
        }
    )]
    CutOff {
        /// The file.
        path: PathBuf,
        /// Operations that can be read.
        operations: u64,
    },
    /// The study of the traces that ship is not found.
    #[error(
        "no folder above this one or the program has {template}{}; name the repository of ablate with --repository DIR",
        .named.as_ref().map(|named| format!(", nor has {}", named.display())).unwrap_or_default()
    )]
    NoRepository {
        /// The file within the repository.
        template: &'static str,
        /// The folder that was named.
        named: Option<PathBuf>,
    },
    /// The study of the traces that ship is damaged.
    #[error("{path}: {what}; restore the file from the repository")]
    Template {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A path that a config cannot have.
    #[error("{path}: the path is no valid UTF-8, and a config is text; give the file or its folder another name")]
    NoText {
        /// The path.
        path: PathBuf,
    },
    /// The format's.
    #[error(transparent)]
    Trace(#[from] TraceError),
}

impl ExitStatus for TraceToolError {
    fn exit(&self) -> ShellCode {
        match self {
            TraceToolError::NoRecorder { .. }
            | TraceToolError::NoProgram { .. }
            | TraceToolError::NotRecorder { .. }
            | TraceToolError::OtherRecorder { .. }
            | TraceToolError::NoFolder { .. }
            | TraceToolError::NotRaw { .. }
            | TraceToolError::IsRaw { .. }
            | TraceToolError::Exists { .. }
            | TraceToolError::NoRepository { .. }
            | TraceToolError::NoText { .. }
            | TraceToolError::NoSuchPart { .. } => ShellCode::WrongCall,
            TraceToolError::NothingRecorded { .. }
            | TraceToolError::Gone { .. }
            | TraceToolError::CutOff { .. }
            | TraceToolError::Template { .. }
            | TraceToolError::System { .. }
            | TraceToolError::Empty { .. }
            | TraceToolError::Trace(_) => ShellCode::BadRuns,
        }
    }
}
