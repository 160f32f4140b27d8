//! The program, arguments and limits that a process is started with.

use crate::measure::Probed;
use std::ffi::CString;
use std::time::Duration;

/// The process to run. Everything is allocated before the `fork`, because the child must not allocate.
pub(crate) struct Launch<'a> {
    /// Path of the program.
    pub(crate) program: CString,
    /// Arguments, the name of the process first.
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
    /// The pass whose instruments are attached, below [`Probed::passes`]; `None`: all instruments.
    pub(crate) counter_pass: Option<usize>,
    /// File that is its standard input; `None`: an empty one.
    pub(crate) stdin: Option<CString>,
    /// Whether Ctrl-C ends it at once. False for what cleans up after a run.
    pub(crate) heeds_interrupt: bool,
    /// Whether its resident memory is sampled while it runs.
    pub(crate) samples_memory: bool,
}

impl Launch<'_> {
    /// The processors that it may use: `processor 1`, `processors 0, 2`.
    pub(super) fn processors(&self) -> String {
        let Some(cpus) = &self.cpus else { return "any processor".to_owned() };
        // SAFETY: the numbers are below CPU_SETSIZE.
        let is_in = |cpu: &usize| unsafe { libc::CPU_ISSET(*cpu, cpus) };
        let numbers = (0..libc::CPU_SETSIZE as usize).filter(is_in).map(|cpu| cpu.to_string());
        let numbers: Vec<String> = numbers.collect();
        let word = if numbers.len() == 1 { "processor" } else { "processors" };
        format!("{word} {}", numbers.join(", "))
    }
}
