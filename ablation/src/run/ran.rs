//! How a run ended, with everything around its process.

use super::process::{Exit, Finished};
use ablate_format::Status;

/// A run that has ended.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The process; of a server study its client, with the counts of the server.
    pub(crate) finished: Finished,
    /// Why the run does not count, where the end of the process does not tell.
    pub(crate) trouble: Option<Trouble>,
    /// What the command that reads the configuration of the running server printed.
    pub(crate) read_back: Option<String>,
    /// Whether its processes opened every library of `LD_PRELOAD`; `None`: there is none, or it is not known.
    pub(crate) preload_opened: Option<bool>,
}

/// Why a run does not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// `Invalid` for what stands around the process, `Crashed` for a server.
    pub(crate) status: Status,
    /// The reason in one line.
    pub(crate) reason: String,
    /// End of standard error of what failed.
    pub(crate) stderr: String,
}

impl Trouble {
    pub(super) fn new(status: Status, reason: String) -> Trouble {
        Trouble { status, reason, stderr: String::new() }
    }
}

impl From<Finished> for Ran {
    fn from(finished: Finished) -> Ran {
        Ran { finished, trouble: None, read_back: None, preload_opened: None }
    }
}

impl Ran {
    /// A run whose process was not started.
    pub(super) fn without(trouble: Trouble) -> Ran {
        Ran { trouble: Some(trouble), ..Ran::from(Finished::without_process(Exit::Code(0))) }
    }

    /// A run that Ctrl-C ended before its process.
    pub(super) fn interrupted() -> Ran {
        Ran::from(Finished::without_process(Exit::Interrupted))
    }

    /// Whether the machine slept while the process ran, so that its times are not those of its cell.
    pub(super) fn is_of_a_suspend(&self) -> bool {
        self.finished.slept.is_some() && self.finished.exit != Exit::Interrupted
    }

    /// Whether the process did its work.
    pub(super) fn is_good(&self, accepted: &[i32]) -> bool {
        self.trouble.is_none() && matches!(self.finished.exit, Exit::Code(code) if accepted.contains(&code))
    }
}
