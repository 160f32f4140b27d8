//! One run compared with its plan, by itself.

use super::values::values;
use crate::support::count::grouped;
use ablate_format::{CellPlan, FactorPlan, MainResponse, Measured, Pass, Record, Status, StudyPlan};

/// Checks one run by itself. A record that is [`Status::Ok`] and contradicts the plan becomes [`Status::Invalid`], with
/// a reason that names factor, counter, expected and seen value; any other record stays as it is.
pub(crate) fn prove(plan: &StudyPlan, record: &mut Record) {
    let cell = plan.cells.iter().find(|cell| cell.id == record.cell);
    prove_cell(plan, cell, record);
}

/// [`prove`] of a record whose cell was found; `None` when the plan does not have it.
pub(super) fn prove_cell(plan: &StudyPlan, cell: Option<&CellPlan>, record: &mut Record) {
    // Unit costs are of the machine; no cell of the plan has them.
    if record.status != Status::Ok || record.pass == Pass::UnitCosts {
        return;
    }
    let Some(cell) = cell else {
        invalidate(record, format!("cell `{}` is not in the plan", record.cell));
        return;
    };
    if record.layout >= plan.layouts.max(1) {
        let (ran, planned) = (record.layout, plan.layouts.max(1));
        let reason = format!("it ran code layout {ran}, and the study has {planned}; the record is of another study");
        invalidate(record, reason);
        return;
    }
    if record.preload_opened == Some(false) {
        let libraries = cell.env.get("LD_PRELOAD").map_or("", String::as_str);
        let reason = format!(
            "no process of the run opened {libraries} of LD_PRELOAD, so another allocator or library served: the program is \
             linked statically, drops its environment, or may not read the file"
        );
        invalidate(record, reason);
        return;
    }
    let Some(measured) = &record.measured else {
        // A program that is measured from outside needs no result line, unless the config has something to prove by it.
        let is_outside = plan.workloads.iter().any(|w| w.name == record.workload && w.response.is_outside());
        let to_prove = if record.pass == Pass::CountingIdle { None } else { to_prove(plan, cell) };
        let trouble = match (is_outside, to_prove) {
            (true, None) => hidden_peak(plan, record),
            (true, Some(what)) => {
                Some(format!("no result line at the end of its output, and {what} is to be proven by it"))
            }
            (false, _) => Some("no result line".to_owned()),
        };
        trouble.into_iter().for_each(|reason| invalidate(record, reason));
        return;
    };
    let trouble = served_by(cell, record.pass, measured)
        .or_else(|| rejected(measured))
        .or_else(|| plan.factors.iter().find_map(|factor| levels(cell, factor, measured)))
        .or_else(|| plan.factors.iter().find_map(|factor| counters(cell, factor, measured)))
        .or_else(|| cell.expect_zero.iter().find_map(|name| expected_zero(cell, name, measured)))
        .or_else(|| if record.pass == Pass::CountingIdle { not_idle(measured) } else { values(measured) })
        .or_else(|| judged_by(plan, record, measured))
        .or_else(|| hidden_peak(plan, record));
    if let Some(reason) = trouble {
        invalidate(record, reason);
    }
}

/// The reason when a timing run lacks what its workload is judged by. Counting runs may lack it, because finding it out
/// can take requests that would be counted.
fn judged_by(plan: &StudyPlan, record: &Record, measured: &Measured) -> Option<String> {
    let workload = plan.workloads.iter().find(|w| w.name == record.workload)?;
    if record.pass != Pass::Timing {
        return None;
    }
    let what = match workload.response {
        MainResponse::Value(value) if measured.values.contains_key(value.name()) => return None,
        MainResponse::Value(value) => format!("value `{}`", value.name()),
        response => {
            let latency = match response {
                MainResponse::P10 => measured.latency_ns_p10,
                MainResponse::P50 => measured.latency_ns_p50,
                MainResponse::P99 => measured.latency_ns_p99,
                MainResponse::Mean => measured.latency_ns_mean,
                // From outside.
                _ => return None,
            };
            if latency.is_some() {
                return None;
            }
            format!("`{}`", response.as_str())
        }
    };
    let there: Vec<&str> = measured.values.keys().map(String::as_str).collect();
    let way_out = match there.first() {
        Some(first) => format!("its values are {}; write response = \"value:{first}\" or another", there.join(", ")),
        None => "its values are none".to_owned(),
    };
    Some(format!("`{}` is judged by {what}, which the run did not report: {way_out}", workload.name))
}

/// The reason when a workload is judged by its peak of resident memory, and the peak may be the runner's own.
fn hidden_peak(plan: &StudyPlan, record: &Record) -> Option<String> {
    let is_judged = plan.workloads.iter().any(|w| w.name == record.workload && w.response == MainResponse::RssPeak);
    let is_hidden = is_judged && record.pass == Pass::Timing && record.rss_peak_bytes().is_none();
    is_hidden.then(|| {
        // In whole MiB, so that equal reasons of many runs are one group in the report.
        let mebibytes = |bytes: u64| bytes.div_ceil(1 << 20);
        format!(
            "a peak of {} MiB, seen from outside, is not above the {} MiB that the runner had when it started the process, \
             so it may be the runner's; print `rss_peak_bytes`",
            mebibytes(record.process_rss_peak_bytes),
            mebibytes(record.runner_rss_bytes.unwrap_or(0))
        )
    })
}

/// The reason when a start-up run did operations: its counts are subtracted from all others, and would take the
/// operations' own with them.
fn not_idle(measured: &Measured) -> Option<String> {
    (measured.operations > 0).then(|| {
        format!(
            "it is to show what start-up costs, and did {} operations: `idle_args` do not keep the program from working",
            grouped(measured.operations)
        )
    })
}

/// What only the result line of this cell can prove.
fn to_prove(plan: &StudyPlan, cell: &CellPlan) -> Option<String> {
    let factor = plan.factors.iter().find(|f| !f.proof.is_empty() && cell.levels.contains_key(&f.name));
    let served = cell.served_by.as_ref().map(|allocator| format!("that `{allocator}` served"));
    served
        .or_else(|| factor.map(|factor| format!("the level of `{}`", factor.name)))
        .or_else(|| cell.expect_zero.first().cloned())
}

/// Whether a factor does its work at a level.
pub(super) fn works(level: &str) -> bool {
    level != "off" && level != "absent"
}

/// Value of `factor.counter` in a result line.
pub(super) fn counter(measured: &Measured, name: &str) -> Option<u64> {
    let (factor, counter) = name.split_once('.')?;
    measured.counters.get(factor)?.get(counter).copied()
}

fn invalidate(record: &mut Record, reason: String) {
    record.status = Status::Invalid;
    record.reason = reason;
}

fn served_by(cell: &CellPlan, pass: Pass, measured: &Measured) -> Option<String> {
    let expected = cell.served_by.as_deref()?;
    let seen = measured.served_by.as_deref();
    if seen.is_none() && pass != Pass::Timing {
        // Finding out the allocator takes requests that would be counted; the timing runs of the same cell prove it.
        return None;
    }
    (seen != Some(expected)).then(|| format!("served by `{}`, expected `{expected}`", seen.unwrap_or("no name")))
}

fn rejected(measured: &Measured) -> Option<String> {
    (!measured.env_rejected.is_empty())
        .then(|| format!("the program refused its environment: {}", measured.env_rejected.join("; ")))
}

fn levels(cell: &CellPlan, factor: &FactorPlan, measured: &Measured) -> Option<String> {
    let expected = cell.levels.get(&factor.name)?;
    // A program that reports no level at all contradicts none. A factor that promises counters is to show its level.
    if measured.levels.is_empty() && factor.proof.is_empty() {
        return None;
    }
    let seen = measured.levels.get(&factor.name);
    // A program cannot report its own revision or its compiler's flags. Without counters the binaries or exact counts are
    // the proof, and a level that is not reported contradicts nothing.
    if seen.is_none() && factor.proof.is_empty() {
        return None;
    }
    // A part that is off by default may not be in that binary at all. Where it is at work it reports another level, so the
    // two are told apart.
    let is_left_out = expected == "off" && factor.baseline == "off" && seen.is_some_and(|seen| seen == "absent");
    (seen != Some(expected) && !is_left_out).then(|| {
        let seen = seen.map_or("no level", String::as_str);
        format!("factor `{}`: expected level `{expected}`, seen `{seen}`", factor.name)
    })
}

fn counters(cell: &CellPlan, factor: &FactorPlan, measured: &Measured) -> Option<String> {
    let level = cell.levels.get(&factor.name)?;
    let works = works(level);
    factor.proof.iter().find_map(|name| match counter(measured, name) {
        Some(value) if !works && value > 0 => {
            Some(format!("factor `{}` is {level}: expected counter {name} at 0, seen {}", factor.name, grouped(value)))
        }
        None if works => Some(format!("factor `{}` is {level}, but the run reported no counter {name}", factor.name)),
        _ => None,
    })
}

fn expected_zero(cell: &CellPlan, name: &str, measured: &Measured) -> Option<String> {
    match counter(measured, name) {
        Some(0) => None,
        Some(value) => Some(format!("expected counter {name} at 0 in this treatment, seen {}", grouped(value))),
        // A factor that is off or absent need not report its counters.
        None => {
            let level = name.split_once('.').and_then(|(factor, _)| cell.levels.get(factor));
            let works = level.is_none_or(|level| works(level));
            works.then(|| format!("expected counter {name} at 0 in this treatment, but the run reported none"))
        }
    }
}
