//! The preflight: runs every cell once with its first workload, before anything is recorded, and refuses to start a
//! study whose program refuses its levels, does not report the counters that prove them, fails in every cell, or is in no
//! cell what the plan says.

use super::context::{Context, RunError};
use super::{outcome, passes};
use crate::prove::{self, KnownCounters};
use crate::run::process::Exit;
use crate::run::schedule::Slot;
use crate::support::exit::{ExitStatus, ShellCode};
use crate::support::interrupt;
use crate::support::progress::note;
use ablate_format::{CellKind, CellPlan, MainResponse, Measured, Pass, Record, Status, StudyPlan};
use regex::Regex;
use std::collections::BTreeSet;
use std::sync::LazyLock;

/// A study that cannot start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PreflightError {
    /// The program refused environment variables.
    #[error("the measured program refused environment variables, so its cells would not have their levels:\n{}\n\
             correct the levels in the config, or the names in the program", list.join("\n"))]
    Rejected {
        /// Cell, variable and reason, one line each.
        list: Vec<String>,
    },
    /// The config names counters that the program does not report.
    #[error("the config names counters that the measured program does not report, so every run with them would be invalid:\n{}\n\
             correct `proof` or `expect_zero` in the config, or what the program reports", list.join("\n"))]
    UnknownCounters {
        /// Counter and the nearest one that is reported, one line each.
        list: Vec<String>,
    },
    /// Every cell of the subject failed.
    #[error("the measured program failed in every cell of the subject, so there is nothing to compare:\n{}\n\
             run one of them by hand and correct the program or its arguments{way}", list.join("\n"))]
    AllFailed {
        /// Cell and reason, one line each.
        list: Vec<String>,
        /// Another way out, or nothing.
        way: String,
    },
    /// The baseline succeeded at first and fails since then.
    #[error(
        "the baseline ran once, and fails when it runs again: {reason}\n\
             the program leaves something that its next run finds; give every run a folder of its own (run_in = \"scratch\" \
             in [subject]), or remove what is left (before_run = [[\"COMMAND\", \"ARGUMENT\"]] in [subject])"
    )]
    KeepsState {
        /// How it failed.
        reason: String,
    },
    /// No cell of the subject is what the plan says.
    #[error("no run of the subject is what the plan says, so the study would end without a result:\n{}\n\
             correct the config, or what the program reports; docs/format.md has its line", list.join("\n"))]
    AllInvalid {
        /// Cell and reason, one line each.
        list: Vec<String>,
    },
    /// A process could not be started.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl ExitStatus for PreflightError {
    fn exit(&self) -> ShellCode {
        match self {
            PreflightError::Rejected { .. }
            | PreflightError::UnknownCounters { .. }
            | PreflightError::AllInvalid { .. } => ShellCode::WrongCall,
            PreflightError::AllFailed { .. } | PreflightError::KeepsState { .. } => ShellCode::BadRuns,
            PreflightError::Run(error) => error.exit(),
        }
    }
}

/// What the preflight found.
#[derive(Debug, Default)]
pub(crate) struct Preflight {
    /// A line for each cell whose run is not proven.
    pub(crate) suspicious: Vec<String>,
    /// Responses of workloads, by index, that the config leaves to what the program reports.
    pub(crate) responses: Vec<(usize, MainResponse)>,
}

impl Preflight {
    /// Sets the responses that it found.
    pub(crate) fn settle(&self, plan: &mut StudyPlan) {
        for (workload, response) in &self.responses {
            plan.workloads[*workload].response = *response;
        }
    }
}

/// The response of a workload for which the config has none and the program reports this: its only value, where it
/// reports no latency.
fn only_value(measured: &Measured) -> Option<MainResponse> {
    let mut names = measured.values.keys();
    let only = names.next().filter(|_| names.next().is_none() && !measured.has_latency())?;
    MainResponse::value(only)
}

/// The responses that the program's line decides, from one run of the baseline with each workload whose response the
/// config leaves open. A program that reports latencies in one of them does so in all. `None` after Ctrl-C.
fn responses(context: &Context<'_>) -> Result<Option<Vec<(usize, MainResponse)>>, RunError> {
    let mut out = Vec::new();
    let baseline = context.plan.cells.iter().position(|cell| cell.kind == CellKind::Baseline);
    let Some((index, Ok(binary))) = baseline.map(|at| (at, context.binary(&context.plan.cells[at]))) else {
        return Ok(Some(out));
    };
    for (workload, asked) in context.study.workloads.iter().enumerate() {
        if !asked.is_judged_by_default {
            continue;
        }
        let slot = Slot { pass: Pass::Timing, block: 0, order: 0, workload, cell: index, pad: None };
        let finished = passes::time(context, &context.plan.cells[index], binary, slot)?.finished;
        if finished.exit == Exit::Interrupted {
            return Ok(None);
        }
        let line = outcome::last_line(&finished.stdout, finished.stdout_cut).ok();
        let Some(response) = line.as_ref().and_then(only_value) else {
            if line.is_some_and(|line| line.has_latency()) {
                break;
            }
            continue;
        };
        note(&format!("workload {} is judged by {}, the only value that it reports", asked.name, response.as_str()));
        out.push((workload, response));
    }
    Ok(Some(out))
}

/// A line for each reason, with the cells that have it. Numbers in round brackets, such as that of the thread in a panic,
/// differ from run to run and make no other reason.
fn by_reason(cells: &[(String, String)]) -> Vec<String> {
    static NUMBER: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r" \(\d+\)").ok());
    let same = |reason: &str| match &*NUMBER {
        Some(number) => number.replace_all(reason, "").into_owned(),
        None => reason.to_owned(),
    };
    let mut groups: Vec<(Vec<&str>, String)> = Vec::new();
    for (cell, reason) in cells {
        let reason = same(reason);
        match groups.iter_mut().find(|(_, known)| *known == reason) {
            Some((names, _)) => names.push(cell),
            None => groups.push((vec![cell], reason)),
        }
    }
    let only = groups.len() == 1 && cells.len() > 1;
    let line = |(names, reason): &(Vec<&str>, String)| match names.as_slice() {
        _ if only => format!("  {reason}"),
        [one] => format!("  cell {one}: {reason}"),
        several => format!("  cells {}: {reason}", several.join(", ")),
    };
    groups.iter().map(line).collect()
}

/// The way out where every run ended with one exit code, which may be right.
fn accepting(codes: &BTreeSet<Option<i32>>) -> String {
    match codes.iter().collect::<Vec<_>>().as_slice() {
        [Some(code @ 1..=255)] => {
            format!("; where a run that did its work ends with exit code {code}: accept_exit = [{code}] in [subject]")
        }
        _ => String::new(),
    }
}

/// Whether a run ended without a result.
fn has_failed(record: &Record) -> bool {
    matches!(record.status, Status::Crashed | Status::Timeout | Status::Garbage)
}

/// One run, which is not recorded. `None` after Ctrl-C.
fn once(context: &Context<'_>, plan: &StudyPlan, slot: Slot) -> Result<Option<Record>, PreflightError> {
    let cell = &context.plan.cells[slot.cell];
    let Ok(binary) = context.binary(cell) else { return Ok(None) };
    let ran = passes::time(context, cell, binary, slot)?;
    if ran.finished.exit == Exit::Interrupted {
        return Ok(None);
    }
    let mut record = context.blank(slot);
    outcome::fill(&mut record, ran, &plan.workloads[slot.workload], context.study);
    Ok(Some(record))
}

/// Every cell run once, each with one workload.
#[derive(Debug, Default)]
struct Round {
    /// Cells of the subject that ran.
    subjects: usize,
    /// Those of them that failed, and those that are not what the plan says, each with the reason.
    failed: Vec<(String, String)>,
    invalid: Vec<(String, String)>,
    /// Exit codes of those that failed.
    codes: BTreeSet<Option<i32>>,
    /// Cells that refused a variable.
    rejected: Vec<String>,
    /// Counters that the runs of the subject reported.
    counters: KnownCounters,
    /// A run of the baseline that went well.
    ran_well: Option<Slot>,
}

impl Round {
    /// Runs every cell that has a binary with the `nth` of its workloads. `None` after Ctrl-C.
    fn run(
        context: &Context<'_>,
        plan: &StudyPlan,
        nth: usize,
        suspicious: &mut Vec<String>,
    ) -> Result<Option<Round>, PreflightError> {
        let mut round = Round::default();
        let failure = |cell: &CellPlan, record: &Record| (cell.id.clone(), record.reason.clone());
        // Idle where the program supports it: the result line is the same, and the run takes no time.
        let pass = if context.study.subject.idle_args.is_some() { Pass::CountingIdle } else { Pass::Timing };
        for (index, cell) in context.plan.cells.iter().enumerate() {
            if context.binary(cell).is_err() {
                continue;
            }
            if interrupt::asked() {
                return Ok(None);
            }
            let mut workloads = (0..plan.workloads.len()).filter(|at| plan.workloads[*at].runs(&cell.id));
            let Some(workload) = workloads.nth(nth) else { continue };
            let slot = Slot { pass, block: 0, order: 0, workload, cell: index, pad: None };
            let Some(mut record) = once(context, plan, slot)? else { return Ok(None) };
            let refused = record.measured.as_ref().map(|measured| measured.env_rejected.clone()).unwrap_or_default();
            round.rejected.extend(refused.iter().map(|why| format!("  cell {}: {why}", cell.id)));
            prove::prove(plan, &mut record);
            if cell.kind == CellKind::Baseline && record.status == Status::Ok {
                round.ran_well = Some(slot);
            }
            if cell.kind != CellKind::Peer {
                round.subjects += 1;
                if let Some(measured) = record.measured.as_ref().filter(|_| !has_failed(&record)) {
                    round.counters.add(plan, cell, measured);
                }
                if has_failed(&record) {
                    round.failed.push(failure(cell, &record));
                    round.codes.insert(record.exit_code);
                }
                if record.status == Status::Invalid {
                    round.invalid.push(failure(cell, &record));
                }
            }
            if record.status != Status::Ok && refused.is_empty() {
                let name = &plan.workloads[workload].name;
                suspicious.push(format!("cell {}, workload {name}: {}", cell.id, record.reason));
            }
        }
        Ok(Some(round))
    }

    /// Why nothing of the subject counts; `None` where something does, or nothing ran.
    fn nothing_counts(&self) -> Option<PreflightError> {
        if self.subjects > 0 && self.failed.len() == self.subjects {
            return Some(PreflightError::AllFailed { list: by_reason(&self.failed), way: accepting(&self.codes) });
        }
        (self.subjects > 0 && self.invalid.len() == self.subjects)
            .then(|| PreflightError::AllInvalid { list: by_reason(&self.invalid) })
    }
}

/// Runs every cell that has a binary once, after the runs that decide what the workloads are judged by; with another
/// workload where nothing counts with the first one. `None` after Ctrl-C.
///
/// # Errors
/// [`PreflightError`].
pub(crate) fn preflight(context: &Context<'_>) -> Result<Option<Preflight>, PreflightError> {
    let Some(responses) = responses(context)? else { return Ok(None) };
    let mut found = Preflight { suspicious: Vec::new(), responses };
    let mut plan = context.plan.clone();
    found.settle(&mut plan);
    let mut first_error = None;
    for nth in 0..plan.workloads.len().max(1) {
        let Some(round) = Round::run(context, &plan, nth, &mut found.suspicious)? else { return Ok(None) };
        if let Some(slot) = round.ran_well.filter(|_| !round.failed.is_empty()) {
            let Some(record) = once(context, &plan, slot)? else { return Ok(None) };
            if has_failed(&record) {
                return Err(PreflightError::KeepsState { reason: record.reason });
            }
        }
        if !round.rejected.is_empty() {
            return Err(PreflightError::Rejected { list: round.rejected });
        }
        let unknown = round.counters.unknown();
        if !unknown.is_empty() {
            return Err(PreflightError::UnknownCounters { list: unknown });
        }
        match round.nothing_counts() {
            Some(error) => first_error = first_error.or(Some(error)),
            None if round.subjects > 0 || nth == 0 => {
                first_error = None;
                break;
            }
            // Fewer workloads than before: no cell is left.
            None => break,
        }
    }
    // The first block of the study is not that of the preflight.
    context.block.take();
    match first_error {
        Some(error) => Err(error),
        None => Ok(Some(found)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_code_that_all_runs_have_can_be_accepted() {
        assert!(accepting(&BTreeSet::from([Some(1)])).ends_with("exit code 1: accept_exit = [1] in [subject]"));
        for codes in [&[Some(1), Some(2)][..], &[None], &[Some(0)]] {
            assert_eq!(accepting(&codes.iter().copied().collect()), "", "{codes:?}");
        }
    }

    #[test]
    fn one_reason_is_told_once() {
        let said = |reasons: &[&str]| {
            let cells = reasons.iter().enumerate();
            by_reason(&cells.map(|(at, reason)| (format!("c{at}"), (*reason).to_owned())).collect::<Vec<_>>())
        };
        let panic = |thread: u32| format!("exit code 101: thread 'main' ({thread}) panicked: usage: tool COUNT");
        let all = said(&[&panic(1), &panic(2), &panic(3)]);
        assert_eq!(all, ["  exit code 101: thread 'main' panicked: usage: tool COUNT"]);
        assert_eq!(said(&["x", "y", "x"]), ["  cells c0, c2: x", "  cell c1: y"]);
        assert_eq!(said(&["x"]), ["  cell c0: x"]);
    }
}
