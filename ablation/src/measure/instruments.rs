//! The table of instruments. A new instrument is a new row of [`instruments`]; a new kind of [`Source`] says how it is read.

use super::callgrind;
use perf_event::events::{Cache, CacheOp, CacheResult, Event, Hardware, Software, WhichCache};

/// Groups of instruments that a study can ask for. `perf` costs one counting run, each of the others one more.
pub(crate) const GROUPS: [&str; 3] = ["perf", "callgrind", "strace"];

/// System calls that have an instrument of their own in every study: those that move memory, and waiting.
pub(crate) const CALLS: [&str; 7] = ["mmap", "munmap", "madvise", "mremap", "mprotect", "brk", "futex"];

/// One row of the table.
#[derive(Debug, Clone)]
pub(crate) struct Instrument {
    /// Response name.
    pub(crate) name: String,
    /// Whether two runs of one process must agree (with address randomisation off).
    pub(crate) exact: bool,
    /// What is counted, and by whom.
    pub(crate) source: Source,
}

/// Where a count comes from.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// An event that `perf_event_open` knows by number.
    Event(Event),
    /// A tracepoint `category/name`, whose number tracefs tells.
    Tracepoint(String),
    /// A line of `/proc/vmstat`: how much it grew while the process ran, on the whole machine.
    Vmstat(&'static str),
    /// A sum of events of callgrind's simulator; [`callgrind::COUNTS`] says of which.
    Callgrind,
    /// A line of the table that `strace -c` prints, or their sum.
    Strace,
}

impl Source {
    /// Whether it needs a performance monitoring unit.
    pub(crate) fn needs_pmu(&self) -> bool {
        matches!(self, Source::Event(Event::Hardware(_) | Event::Cache(_)))
    }

    /// The word for it in files and tables.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Source::Event(_) if self.needs_pmu() => "hardware",
            Source::Event(_) => "software",
            Source::Tracepoint(_) => "tracepoint",
            Source::Vmstat(_) => "kernel",
            Source::Callgrind => "simulated",
            Source::Strace => "ptrace",
        }
    }

    /// What reading it costs the measured process, in words; `cargo ablate doctor` measures how much.
    pub(crate) fn cost(&self) -> &'static str {
        match self {
            Source::Event(Event::Software(Software::PAGE_FAULTS | Software::PAGE_FAULTS_MIN)) => "every page fault",
            Source::Event(Event::Software(Software::PAGE_FAULTS_MAJ)) => "every fault that reads from disk",
            Source::Event(_) => "every switch to and from the process",
            Source::Tracepoint(name) if name.starts_with("syscalls/") => "every system call of its kind",
            Source::Tracepoint(_) => "every system call",
            Source::Vmstat(_) => "nothing",
            Source::Callgrind => "every instruction, which is simulated",
            Source::Strace => "every system call, which stops twice",
        }
    }
}

/// All instruments of these groups, in the order of [`GROUPS`]. A new instrument is a new row.
pub(crate) fn instruments(groups: &[String]) -> Vec<Instrument> {
    let asked = |group: &str| groups.iter().any(|asked| asked == group);
    let mut rows = Vec::new();
    if asked("perf") {
        rows.extend(perf());
    }
    if asked("callgrind") {
        let row = |name: &str| Instrument { name: format!("callgrind-{name}"), exact: true, source: Source::Callgrind };
        rows.extend(callgrind::COUNTS.iter().map(|(name, _)| row(name)));
    }
    if asked("strace") {
        let row = |name: &str| Instrument { name: format!("strace-{name}"), exact: true, source: Source::Strace };
        rows.push(row("syscalls"));
        rows.extend(CALLS.iter().map(|call| row(call)));
    }
    rows
}

fn perf() -> Vec<Instrument> {
    let row = |name: &str, exact, source| Instrument { name: name.to_owned(), exact, source };
    let hardware = |name, event: Hardware| row(name, false, Source::Event(event.into()));
    let misses = |name, which| {
        let event = Event::Cache(Cache { which, operation: CacheOp::READ, result: CacheResult::MISS });
        row(name, false, Source::Event(event))
    };
    let software = |name, exact, event: Software| row(name, exact, Source::Event(event.into()));
    let mut rows = vec![
        hardware("cycles", Hardware::CPU_CYCLES),
        hardware("instructions", Hardware::INSTRUCTIONS),
        hardware("branches", Hardware::BRANCH_INSTRUCTIONS),
        hardware("branch-misses", Hardware::BRANCH_MISSES),
        hardware("cache-references", Hardware::CACHE_REFERENCES),
        hardware("cache-misses", Hardware::CACHE_MISSES),
        misses("l1d-misses", WhichCache::L1D),
        misses("llc-misses", WhichCache::LL),
        misses("dtlb-misses", WhichCache::DTLB),
        software("page-faults", true, Software::PAGE_FAULTS),
        // Which of the two a fault is depends on what the page cache holds, so neither is exact.
        software("minor-faults", false, Software::PAGE_FAULTS_MIN),
        software("major-faults", false, Software::PAGE_FAULTS_MAJ),
        row("page-fault-huge", false, Source::Vmstat("thp_fault_alloc")),
        software("context-switches", false, Software::CONTEXT_SWITCHES),
        software("cpu-migrations", false, Software::CPU_MIGRATIONS),
        software("task-clock", false, Software::TASK_CLOCK),
        row("syscalls", true, Source::Tracepoint("raw_syscalls/sys_enter".to_owned())),
    ];
    rows.extend(CALLS.map(call));
    rows
}

/// The instrument for one kind of system call, `sys-mmap` for `mmap`. Exact.
pub(crate) fn call(name: &str) -> Instrument {
    let source = Source::Tracepoint(format!("syscalls/sys_enter_{name}"));
    Instrument { name: format!("sys-{}", name.replace('_', "-")), exact: true, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};

    fn all() -> Vec<Instrument> {
        instruments(&GROUPS.map(str::to_owned))
    }

    #[test]
    fn names_are_unique_and_fit_the_format() {
        let rows = all();
        let names: BTreeSet<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names.len(), rows.len());
        for name in names {
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{name}");
        }
    }

    #[test]
    fn a_name_tells_simulated_and_traced_numbers_from_counted_ones() {
        let mut prefixes: BTreeMap<&str, BTreeSet<bool>> = BTreeMap::new();
        for row in all() {
            let marked = row.name.starts_with("callgrind-") || row.name.starts_with("strace-");
            prefixes.entry(row.source.word()).or_default().insert(marked);
            assert!(!row.source.cost().is_empty());
        }
        for (word, marked) in prefixes {
            assert_eq!(marked, BTreeSet::from([word == "simulated" || word == "ptrace"]), "{word}");
        }
    }

    #[test]
    fn groups_are_what_was_asked_for() {
        assert!(instruments(&[]).is_empty());
        assert!(instruments(&["perf".to_owned()]).iter().all(|row| !row.name.starts_with("callgrind-")));
        assert!(all().len() > instruments(&["perf".to_owned()]).len() + CALLS.len());
        assert_eq!(call("rt_sigaction").name, "sys-rt-sigaction");
    }
}
