//! What every harness is described by: how it is started for one benchmark or a list, and how its output is read.

use ablate_format::Measured;
use std::path::Path;

/// What a harness is started for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Request<'a> {
    /// Id of the benchmark; empty for a list.
    pub(crate) benchmark: &'a str,
    /// The words of the process so far, the program first. Options among them are not set once more.
    pub(crate) given: &'a [String],
    /// An empty folder of this process alone, removed afterwards.
    pub(crate) scratch: &'a Path,
}

/// What a process of a harness is started with besides its own arguments.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Call {
    /// Arguments, after those that are given.
    pub(crate) args: Vec<String>,
    /// Variables. `PYTHONPATH` goes before the one of the cell.
    pub(crate) env: Vec<(&'static str, String)>,
    /// Files for the scratch folder: name, text.
    pub(crate) files: Vec<(&'static str, &'static str)>,
}

/// What a process of a harness left behind.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output<'a> {
    /// Id of the benchmark; empty for a list.
    pub(crate) benchmark: &'a str,
    /// Its standard output.
    pub(crate) stdout: &'a str,
    /// The folder of [`Request::scratch`].
    pub(crate) scratch: &'a Path,
}

/// One row of the table of harnesses.
pub(super) struct Adapter {
    pub(super) name: &'static str,
    /// Whether its benchmarks are targets of a Cargo package.
    pub(super) by_cargo: bool,
    /// Variables of the runner's environment that its processes need to find their tools.
    pub(super) passes: &'static [&'static str],
    /// Name of the response that its benchmarks are judged by where the config names none.
    pub(super) response: &'static str,
    /// What makes it run one benchmark and nothing else, for a short time.
    pub(super) one: fn(&Request<'_>) -> Call,
    pub(super) read: fn(&Output<'_>) -> Result<Measured, String>,
    /// What makes it tell its benchmarks: a list, or one quick run of all.
    pub(super) list: fn(&Request<'_>) -> Call,
    pub(super) ids: fn(&Output<'_>) -> Result<Vec<String>, String>,
}

/// The reason when a process ran nothing under the id that was asked for. `others` are the ids that it ran.
pub(super) fn not_there(benchmark: &str, others: &[&str]) -> String {
    match others {
        [] => format!("it ran no benchmark `{benchmark}`: this build has none of that id"),
        _ => format!("it ran {} instead of the benchmark `{benchmark}`", others.join(", ")),
    }
}
