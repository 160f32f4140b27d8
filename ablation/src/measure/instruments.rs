//! The table of instruments. A new instrument is a new row of [`instruments`]; an [`EventSource`] says how a row is
//! read.

use super::callgrind;
use perf_event::events::{Cache, CacheOp, CacheResult, Event, Hardware, Software, WhichCache};

/// Groups of instruments that a study can name. `perf` takes one counting run, or more where the processor has too few
/// counters; each of the others takes one more.
pub(crate) const GROUPS: [&str; 3] = ["perf", "callgrind", "strace"];

/// System calls that have an instrument of their own in every study: those that manage memory, and `futex`, which
/// waits.
pub(crate) const CALLS: [&str; 7] = ["mmap", "munmap", "madvise", "mremap", "mprotect", "brk", "futex"];

/// One row of the table.
#[derive(Debug, Clone)]
pub(crate) struct Instrument {
    /// Name in records and tables.
    pub(crate) name: String,
    /// Whether two runs of one process must have the same count, with address randomisation off.
    pub(crate) exact: bool,
    /// What is counted, and what counts it.
    pub(crate) source: EventSource,
}

/// The source of the counted events.
#[derive(Debug, Clone)]
pub(crate) enum EventSource {
    /// A hardware, cache or software event of `perf_event_open`.
    Event(Event),
    /// A tracepoint `category/name`. Its number for `perf_event_open` is in tracefs.
    Tracepoint(String),
    /// The increase of a line of `/proc/vmstat` while the process ran, on the whole machine.
    Vmstat(&'static str),
    /// A sum of events of callgrind's simulator, as in [`callgrind::COUNTS`].
    Callgrind,
    /// A line of the table that `strace -c` prints, or the sum of its lines.
    Strace,
}

impl EventSource {
    /// Whether it needs a performance monitoring unit.
    pub(crate) fn needs_pmu(&self) -> bool {
        matches!(self, EventSource::Event(Event::Hardware(_) | Event::Cache(_)))
    }

    /// The word in files and tables, as in [`InstrumentStatus::origin`](ablate_format::InstrumentStatus::origin).
    pub(crate) fn origin(&self) -> &'static str {
        match self {
            EventSource::Event(_) if self.needs_pmu() => "hardware",
            EventSource::Event(_) => "software",
            EventSource::Tracepoint(_) => "tracepoint",
            EventSource::Vmstat(_) => "kernel",
            EventSource::Callgrind => "simulated",
            EventSource::Strace => "ptrace",
        }
    }

    /// The events that cost the measured process time while it is counted, in words. `cargo ablate doctor` measures how
    /// much.
    pub(crate) fn cost(&self) -> &'static str {
        match self {
            EventSource::Event(Event::Software(Software::PAGE_FAULTS | Software::PAGE_FAULTS_MIN)) => {
                "every page fault"
            }
            EventSource::Event(Event::Software(Software::PAGE_FAULTS_MAJ)) => "every fault that reads from disk",
            EventSource::Event(_) => "every switch to and from the process",
            EventSource::Tracepoint(name) if name.starts_with("syscalls/") => "every system call of its kind",
            EventSource::Tracepoint(_) => "every system call",
            EventSource::Vmstat(_) => "nothing",
            EventSource::Callgrind => "every instruction, which is simulated",
            EventSource::Strace => "every system call, which stops twice",
        }
    }
}

/// All instruments of these groups, in the order of [`GROUPS`].
pub(crate) fn instruments(groups: &[String]) -> Vec<Instrument> {
    let asked = |group: &str| groups.iter().any(|asked| asked == group);
    let mut rows = Vec::new();
    if asked("perf") {
        rows.extend(perf());
    }
    if asked("callgrind") {
        let source = EventSource::Callgrind;
        let row = |name: &str| Instrument { name: format!("callgrind-{name}"), exact: true, source: source.clone() };
        rows.extend(callgrind::COUNTS.iter().map(|(name, _)| row(name)));
    }
    if asked("strace") {
        let row = |name: &str| Instrument { name: format!("strace-{name}"), exact: true, source: EventSource::Strace };
        rows.push(row("syscalls"));
        rows.extend(CALLS.iter().map(|call| row(call)));
    }
    rows
}

fn perf() -> Vec<Instrument> {
    let row = |name: &str, exact, source| Instrument { name: name.to_owned(), exact, source };
    let hardware = |name, event: Hardware| row(name, false, EventSource::Event(event.into()));
    let misses = |name, which| {
        let event = Event::Cache(Cache { which, operation: CacheOp::READ, result: CacheResult::MISS });
        row(name, false, EventSource::Event(event))
    };
    let software = |name, exact, event: Software| row(name, exact, EventSource::Event(event.into()));
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
        // The content of the page cache decides whether a fault is minor or major, so neither count is exact.
        software("minor-faults", false, Software::PAGE_FAULTS_MIN),
        software("major-faults", false, Software::PAGE_FAULTS_MAJ),
        row("page-fault-huge", false, EventSource::Vmstat("thp_fault_alloc")),
        software("context-switches", false, Software::CONTEXT_SWITCHES),
        software("cpu-migrations", false, Software::CPU_MIGRATIONS),
        software("task-clock", false, Software::TASK_CLOCK),
        row("syscalls", true, EventSource::Tracepoint("raw_syscalls/sys_enter".to_owned())),
    ];
    rows.extend(CALLS.map(call));
    rows
}

/// The instrument for one kind of system call: `sys-mmap` for `mmap`.
pub(crate) fn call(name: &str) -> Instrument {
    let source = EventSource::Tracepoint(format!("syscalls/sys_enter_{name}"));
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
    fn names_of_simulated_and_traced_counts_have_a_prefix() {
        let mut prefixes: BTreeMap<&str, BTreeSet<bool>> = BTreeMap::new();
        for row in all() {
            let marked = row.name.starts_with("callgrind-") || row.name.starts_with("strace-");
            prefixes.entry(row.source.origin()).or_default().insert(marked);
            assert!(!row.source.cost().is_empty());
        }
        for (origin, marked) in prefixes {
            assert_eq!(marked, BTreeSet::from([origin == "simulated" || origin == "ptrace"]), "{origin}");
        }
    }

    #[test]
    fn only_the_named_groups_have_rows() {
        assert!(instruments(&[]).is_empty());
        assert!(instruments(&["perf".to_owned()]).iter().all(|row| !row.name.starts_with("callgrind-")));
        assert!(all().len() > instruments(&["perf".to_owned()]).len() + CALLS.len());
        assert_eq!(call("rt_sigaction").name, "sys-rt-sigaction");
    }
}
