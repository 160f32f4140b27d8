//! What a process is started with.

use crate::measure::Probed;
use std::ffi::CString;
use std::time::Duration;

/// What to run. Everything is prepared before the `fork`, after which nothing may allocate.
pub struct Launch<'a> {
    /// Path of the program.
    pub program: CString,
    /// Arguments, the program's name first.
    pub argv: Vec<CString>,
    /// The whole environment, `NAME=value`.
    pub envp: Vec<CString>,
    /// Folder that it starts in; `None`: the runner's.
    pub directory: Option<CString>,
    /// Processors that it may use; `None`: the runner's.
    pub cpus: Option<libc::cpu_set_t>,
    /// Whether addresses are as random as the machine has it.
    pub aslr: bool,
    /// Time limit.
    pub timeout: Duration,
    /// Instruments to attach.
    pub counters: Option<&'a Probed>,
    /// Only those of this pass, below [`Probed::passes`]; `None`: all.
    pub counter_pass: Option<usize>,
}
