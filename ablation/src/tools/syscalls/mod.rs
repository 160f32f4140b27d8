//! `cargo ablate syscalls`: counts the system calls of the baseline and each peer of a study, by kind, exactly.
//!
//! Each process is counted at work and idle, so that start-up is not charged to operations. One run under strace finds
//! the kinds that occur. Then every kind is counted as a tracepoint, beside the tracepoint of all calls, so that a
//! missed kind shows as `other`. Without tracepoints, the counts of strace are shown.

mod table;

use crate::measure::{CALLS, Probed, Tool, Wrapper, strace};
use crate::support::progress::note;
use crate::support::settings::Settings;
use crate::tools::cells::{self, Cells, CellsError};
use ablate_format::{CellKind, Pass};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use table::{Column, Counts, show};

/// A count to make, with the options of the call.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The study, a TOML file.
    pub(crate) config: PathBuf,
    /// The only workload; `None`: all.
    pub(crate) workload: Option<String>,
    /// The peer that the last column compares the baseline with. Default: the config's reference_peer.
    pub(crate) peer: Option<String>,
}

/// The tool that counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CountedBy {
    Tracepoints,
    Strace,
}

/// Builds the baseline and the peers, counts them, and returns the tables, at most as wide as the settings say.
///
/// # Errors
/// [`CellsError`].
pub(crate) fn run(request: &Request, settings: &Settings) -> Result<String, CellsError> {
    let opened = cells::open(&request.config, settings)?;
    let study = &opened.0;
    let peers = || study.peers.iter().map(|peer| peer.name.as_str());
    if let Some(name) = request.peer.as_deref().filter(|name| peers().all(|peer| peer != *name)) {
        return Err(cells::unknown(study, "peer", name, peers()));
    }
    let workloads = match &request.workload {
        Some(name) => vec![Cells::workload(study, Some(name))?],
        None => (0..study.workloads.len()).collect(),
    };
    let reference =
        request.peer.clone().or_else(|| study.reference_peer.clone()).or_else(|| peers().next().map(str::to_owned));
    let counter = Counter::find()?;
    let cells = Cells::build(opened, |cell| matches!(cell.kind, CellKind::Baseline | CellKind::Peer))?;
    let mut text = String::new();
    for workload in workloads {
        note(&format!("counting {}", cells.study.workloads[workload].name));
        let columns = counter.columns(&cells, workload)?;
        let about = &cells.study.workloads[workload];
        text += &show(&about.name, &about.about, &columns, reference.as_deref(), &counter.origin(), settings.columns);
        text.push('\n');
    }
    Ok(text)
}

/// How calls are counted here.
struct Counter {
    by: CountedBy,
    strace: Result<Wrapper, String>,
}

impl Counter {
    fn find() -> Result<Counter, CellsError> {
        let strace = Wrapper::find(Tool::Strace);
        let probed = Probed::for_calls(&[]);
        let why = probed.status.iter().find(|status| status.name == "syscalls").and_then(|s| s.unavailable.clone());
        let by = match (why, &strace) {
            (None, _) => CountedBy::Tracepoints,
            (Some(why), Ok(_)) => {
                note(&format!("tracepoints are not available, so strace counts: {why}"));
                CountedBy::Strace
            }
            (Some(why), Err(strace)) => {
                let what = format!("system calls cannot be counted here; tracepoints: {why}; strace: {strace}");
                return Err(CellsError::Impossible { what });
            }
        };
        Ok(Counter { by, strace })
    }

    /// One sentence about where the numbers come from.
    fn origin(&self) -> String {
        match (self.by, &self.strace) {
            (CountedBy::Tracepoints, Ok(_)) => {
                "Counted by tracepoints, one for each kind of call that a run under strace found; `other` is the rest of \
                 all calls. Page faults: the kernel's software event."
                    .to_owned()
            }
            (CountedBy::Tracepoints, Err(why)) => format!(
                "Counted by tracepoints of {}; all other calls together are `other`, because their kinds cannot be found: \
                 {why}.",
                CALLS.join(", ")
            ),
            (CountedBy::Strace, _) => {
                "Counted by strace -c, because tracepoints are not available. Page faults: from wait4 of a run without \
                 strace."
                    .to_owned()
            }
        }
    }

    /// Baseline and peers with one workload.
    fn columns(&self, cells: &Cells, workload: usize) -> Result<Vec<Column>, CellsError> {
        let has_idle = cells.study.subject.idle_args.is_some();
        let mut kinds: BTreeSet<String> = CALLS.map(str::to_owned).into();
        let mut traced = Vec::new();
        for cell in 0..cells.design.plan.cells.len() {
            let own = match &self.strace {
                Ok(strace) => {
                    Some(self.of_operations(has_idle, |pass| traced_calls(cells, strace, cell, workload, pass))?)
                }
                Err(_) => None,
            };
            kinds.extend(own.iter().flat_map(|own| own.counts.keys().cloned()));
            traced.push(own);
        }
        let probed = match self.by {
            CountedBy::Tracepoints => Probed::for_calls(&kinds.iter().cloned().collect::<Vec<_>>()),
            CountedBy::Strace => Probed::default(),
        };
        let _held = probed.hold_tracepoints();
        let mut columns = Vec::new();
        for (cell, traced) in traced.into_iter().enumerate() {
            let plan = &cells.design.plan.cells[cell];
            let once = || {
                self.of_operations(has_idle, |pass| {
                    let finished = cells.run(cell, workload, pass, Some(&probed), |_| Ok(()))?;
                    let mut counts = named(&finished.reading.counts);
                    counts.entry("page-faults".to_owned()).or_insert(finished.page_faults as i64);
                    Ok(Process { counts, operations: cells::operations(&finished.stdout) })
                })
            };
            let mut counted = once()?;
            let again = once()?;
            let mut unequal_runs = unequal(&counted.counts, &again.counts);
            if let (CountedBy::Strace, Ok(strace), Some(calls)) = (self.by, &self.strace, &traced) {
                let again = self.of_operations(has_idle, |pass| traced_calls(cells, strace, cell, workload, pass))?;
                unequal_runs.extend(unequal(&calls.counts, &again.counts));
                // A kind that is not in the table of strace was not called.
                counted.counts.extend(kinds.iter().map(|kind| (kind.clone(), 0)));
                counted.counts.insert("all calls".to_owned(), calls.counts.values().sum());
                counted.counts.extend(calls.counts.clone());
            }
            columns.push(Column {
                name: if plan.kind == CellKind::Baseline { "baseline".to_owned() } else { plan.name.clone() },
                operations: counted.operations,
                unequal: unequal_runs,
                disputed: match (self.by, traced) {
                    (CountedBy::Tracepoints, Some(traced)) => unequal(&traced.counts, &counted.counts),
                    _ => Vec::new(),
                },
                counts: counted.counts,
                has_idle,
            });
        }
        Ok(columns)
    }

    /// Counts of the operations: a process at work minus an idle one, where the program supports idle runs.
    fn of_operations(
        &self,
        has_idle: bool,
        process: impl Fn(Pass) -> Result<Process, CellsError>,
    ) -> Result<Process, CellsError> {
        let mut work = process(Pass::Counting)?;
        if has_idle {
            for (name, idle) in process(Pass::CountingIdle)?.counts {
                *work.counts.entry(name).or_insert(0) -= idle;
            }
        }
        Ok(work)
    }
}

/// Counts of one process.
#[derive(Debug, Clone)]
struct Process {
    counts: Counts,
    operations: Option<u64>,
}

fn traced_calls(
    cells: &Cells,
    wrapper: &Wrapper,
    cell: usize,
    workload: usize,
    pass: Pass,
) -> Result<Process, CellsError> {
    let scratch = cells.scratch()?;
    let finished = cells.run(cell, workload, pass, None, |launch| {
        let wrapped = wrapper.wrap(&launch.program, &launch.argv, scratch.path());
        (launch.program, launch.argv) = wrapped.map_err(CellsError::io(scratch.path(), "naming a file"))?;
        launch.timeout *= wrapper.timeout_factor();
        Ok(())
    })?;
    let path = scratch.path().join("strace");
    let text = std::fs::read_to_string(&path).map_err(CellsError::io(&path, "reading what strace wrote"))?;
    let calls = strace::calls(&text).map_err(|what| CellsError::Impossible { what })?;
    let counts = calls.into_iter().map(|(call, count)| (call, count as i64)).collect();
    Ok(Process { counts, operations: cells::operations(&finished.stdout) })
}

/// From instruments to names of calls: `mmap` for `sys-mmap`, `all calls` for `syscalls`.
fn named(counts: &BTreeMap<String, u64>) -> Counts {
    let mut out = Counts::new();
    for (name, count) in counts {
        let name = match name.strip_prefix("sys-") {
            Some(call) => call.replace('-', "_"),
            None if name == "syscalls" => "all calls".to_owned(),
            None => name.clone(),
        };
        out.insert(name, *count as i64);
    }
    let kinds: i64 = out.iter().filter(|(name, _)| table::is_kind(name)).map(|(_, count)| count).sum();
    if let Some(all) = out.get("all calls") {
        out.insert("other".to_owned(), all - kinds);
    }
    out
}

/// Names on which two counts of the same cell differ. Page faults may differ by 2, and huge ones are counted for the
/// whole machine.
fn unequal(one: &Counts, other: &Counts) -> Vec<String> {
    let tolerance = |name: &str| match name {
        "page-faults" => 2,
        "page-fault-huge" => i64::MAX,
        _ => 0,
    };
    let differ = |(name, value): (&String, &i64)| {
        let other = other.get(name)?;
        ((value - other).abs() > tolerance(name)).then(|| format!("{name} {value} or {other}"))
    };
    one.iter().filter_map(differ).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(list: &[(&str, i64)]) -> Counts {
        list.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
    }

    #[test]
    fn what_no_kind_accounts_for_is_other() {
        let given = [("syscalls", 12), ("sys-mmap", 4), ("sys-rt-sigaction", 5), ("page-faults", 90)];
        let given = given.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect();
        let expected =
            counts(&[("all calls", 12), ("mmap", 4), ("rt_sigaction", 5), ("page-faults", 90), ("other", 3)]);
        assert_eq!(named(&given), expected);
        assert!(!named(&BTreeMap::from([("sys-mmap".to_owned(), 4)])).contains_key("other"));
    }

    #[test]
    fn two_counts_are_compared_where_both_know() {
        let one = counts(&[("mmap", 4), ("page-faults", 90), ("page-fault-huge", 1), ("brk", 1)]);
        let other = counts(&[("mmap", 5), ("page-faults", 92), ("page-fault-huge", 9)]);
        assert_eq!(unequal(&one, &other), ["mmap 4 or 5"]);
        assert_eq!(unequal(&counts(&[("page-faults", 90)]), &counts(&[("page-faults", 93)])).len(), 1);
    }
}
