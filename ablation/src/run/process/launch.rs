//! What a process is started with.

use crate::measure::Probed;
use std::ffi::CString;
use std::time::Duration;

/// What to run. Everything is prepared before the `fork`, after which nothing may allocate.
pub(crate) struct Launch<'a> {
    /// Path of the program.
    pub(crate) program: CString,
    /// Arguments, the program's name first.
    pub(crate) argv: Vec<CString>,
    /// The whole environment, `NAME=value`.
    pub(crate) envp: Vec<CString>,
    /// Folder that it starts in; `None`: the runner's.
    pub(crate) directory: Option<CString>,
    /// Processors that it may use; `None`: the runner's.
    pub(crate) cpus: Option<libc::cpu_set_t>,
    /// Whether address randomisation stays as the machine has it; `false` switches it off.
    pub(crate) aslr: bool,
    /// Time limit.
    pub(crate) timeout: Duration,
    /// Instruments to attach.
    pub(crate) counters: Option<&'a Probed>,
    /// Only those of this pass, below [`Probed::passes`]; `None`: all.
    pub(crate) counter_pass: Option<usize>,
}
