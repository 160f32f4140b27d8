//! What is counted while a process runs: one table of instruments, probed once, attached to a process that waits
//! before its `exec`.
//!
//! What cannot be had says why and what would allow it; it is never 0. When to count is left to [`crate::run`].

mod attach;
mod refusal;
mod tracefs;

pub use attach::{Attached, Kept, Probed, probe};
pub use refusal::refusal;

use perf_event::events::{Cache, CacheOp, CacheResult, Event, Hardware, Software, WhichCache};

/// One row of the table.
#[derive(Debug, Clone)]
pub struct Instrument {
    /// Response name.
    pub name: &'static str,
    /// Whether two runs of one process must agree (with address randomisation off).
    pub exact: bool,
    /// What the kernel counts.
    pub source: Source,
}

/// Where a count comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// An event that `perf_event_open` knows by number.
    Event(Event),
    /// A tracepoint `category/name`, whose number tracefs tells.
    Tracepoint(&'static str),
}

impl Source {
    /// Whether it needs a performance monitoring unit.
    pub(crate) fn needs_pmu(&self) -> bool {
        matches!(self, Source::Event(Event::Hardware(_) | Event::Cache(_)))
    }
}

/// All instruments. A new one is a new row.
pub fn instruments() -> Vec<Instrument> {
    let hardware = |name, event: Hardware| Instrument { name, exact: false, source: Source::Event(event.into()) };
    let misses = |name, which| Instrument {
        name,
        exact: false,
        source: Source::Event(Event::Cache(Cache { which, operation: CacheOp::READ, result: CacheResult::MISS })),
    };
    let software = |name, exact, event: Software| Instrument { name, exact, source: Source::Event(event.into()) };
    let calls = |name, tracepoint| Instrument { name, exact: true, source: Source::Tracepoint(tracepoint) };
    vec![
        hardware("cycles", Hardware::CPU_CYCLES),
        hardware("instructions", Hardware::INSTRUCTIONS),
        hardware("branches", Hardware::BRANCH_INSTRUCTIONS),
        hardware("branch-misses", Hardware::BRANCH_MISSES),
        misses("l1d-misses", WhichCache::L1D),
        misses("llc-misses", WhichCache::LL),
        misses("dtlb-misses", WhichCache::DTLB),
        software("page-faults", true, Software::PAGE_FAULTS),
        software("context-switches", false, Software::CONTEXT_SWITCHES),
        calls("syscalls", "raw_syscalls/sys_enter"),
        calls("sys-mmap", "syscalls/sys_enter_mmap"),
        calls("sys-munmap", "syscalls/sys_enter_munmap"),
        calls("sys-madvise", "syscalls/sys_enter_madvise"),
        calls("sys-mremap", "syscalls/sys_enter_mremap"),
        calls("sys-mprotect", "syscalls/sys_enter_mprotect"),
        calls("sys-brk", "syscalls/sys_enter_brk"),
        calls("sys-futex", "syscalls/sys_enter_futex"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn names_are_unique_and_fit_the_format() {
        let rows = instruments();
        let names: BTreeSet<&str> = rows.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), rows.len());
        for name in names {
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{name}");
        }
    }
}
