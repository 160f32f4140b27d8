//! The breakdown of a gap: factors, page faults, system calls, returned pages, and what is left.
//!
//! gap = Σ own + Σ Δcount · unit cost + residual, where own of a factor is its Shapley value of time less what it does
//! through events, Σ Shapley value of the count · unit cost. The Shapley values of the counts add up to the difference of
//! the counts between the baseline and the cell without any factor; what the factors do through events is therefore
//! inside Σ Δcount · unit cost, and only there. The residual is what the subject without any factor and the peer still
//! differ in once the events of both are paid for.

use super::counts::Counts;
use super::counts::SYS_OTHER;
use super::input::Input;
use super::intervals::{estimate, is_gap};
use super::regression;
use super::units::UnitCost;
use crate::unit_costs::{PAGE_FAULT_4K, PAGE_FAULT_HUGE, UNMAP_HUGE, UNMAP_PAGE};
use ablate_format::effects::{CrossCheck, Estimate};
use ablate_stats::bootstrap::Drawn;
use ablate_stats::factorial::{shapley, shapley_of};
use std::collections::BTreeSet;

/// System calls with a row of their own; the others are taken together.
const MAX_CALLS: usize = 4;

/// What a row of the breakdown is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RowKind {
    /// What a factor does itself.
    Factor,
    /// Page faults of one size.
    PageFaults,
    /// One kind of system call, or several together.
    SystemCalls,
    /// Pages given back.
    ReturnedPages,
    /// What is left.
    Residual,
}

impl RowKind {
    /// The kind's name in `effects.json`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            RowKind::Factor => "factor",
            RowKind::PageFaults => "page-faults",
            RowKind::SystemCalls => "system-calls",
            RowKind::ReturnedPages => "returned-pages",
            RowKind::Residual => "residual",
        }
    }
}

/// One row.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// What it is about.
    pub(crate) kind: RowKind,
    /// Name of the factor, of the event, or `residual`.
    pub(crate) name: String,
    /// Nanoseconds per operation, positive when it makes the baseline slower than the peer.
    pub(crate) ns: Estimate,
    /// Part of the gap; `None` when the gap is not told apart from 0, or is an advantage.
    pub(crate) share: Option<Estimate>,
    /// Difference of the counts, baseline − peer, per operation; `None` for factors and the residual.
    pub(crate) count: Option<f64>,
    /// What a factor does through page faults and system calls: contained in their rows, not in this one.
    pub(crate) through_events: Option<Estimate>,
    /// Shapley value of a factor: this row and what it does through events.
    pub(crate) whole: Option<Estimate>,
    /// False when a unit cost in this row is only a lower bound.
    pub(crate) is_measured: bool,
    drawn: Drawn,
}

/// The breakdown of one gap. The rows add up to the gap.
#[derive(Debug, Clone)]
pub(crate) struct Breakdown {
    /// Baseline − peer, nanoseconds per operation.
    pub(crate) gap: Estimate,
    /// Value of the peer: where the breakdown starts.
    pub(crate) peer_ns: Estimate,
    /// Whether the factors have rows of their own; else what they do themselves is in the residual.
    pub(crate) separated: bool,
    /// Factors by size, page faults, system calls by size, returned pages, residual.
    pub(crate) rows: Vec<Row>,
    /// What the times and counts of all cells say about the unit costs.
    pub(crate) cross_check: Result<CrossCheck, String>,
    /// What would be otherwise if these unit costs were right, where they disagree with the measured ones.
    pub(crate) disagreement: Option<String>,
    /// Page faults or system calls that were not counted in every cell of the breakdown, or have no known cost: they are
    /// in the rows of the factors and the residual.
    pub(crate) uncounted: Vec<&'static str>,
    /// Why the shares of factors and events are not to be used here; `None` when they are.
    pub(crate) doubt: Option<String>,
    /// What a reader must know.
    pub(crate) remarks: Vec<String>,
    gap_drawn: Drawn,
}

impl Breakdown {
    /// The gap with its draws.
    pub(crate) fn gap(&self) -> &Drawn {
        &self.gap_drawn
    }

    /// A part of the gap by the name that hypotheses use: a factor, `system-calls` (with the pages that they give
    /// back), `page-faults`, `residual`.
    ///
    /// # Errors
    /// Why there is no such part, or none that means anything, for people.
    pub(crate) fn part(&self, name: &str) -> Result<Drawn, String> {
        if let Some(doubt) = &self.doubt {
            return Err(doubt.clone());
        }
        let event = ["page faults", "system calls"].into_iter().find(|event| event.replace(' ', "-") == name);
        if let Some(event) = event.filter(|event| self.uncounted.contains(event)) {
            return Err(format!("{event} were not counted with a known cost in every cell"));
        }
        if event.is_none() && !self.uncounted.is_empty() {
            let what = self.uncounted.join(" and ");
            return Err(format!("what {name} does itself is not known apart from its {what}, which were not counted"));
        }
        let is_meant = |row: &&Row| match row.kind {
            RowKind::Factor => row.name == name,
            RowKind::PageFaults => name == "page-faults",
            RowKind::SystemCalls | RowKind::ReturnedPages => name == "system-calls",
            RowKind::Residual => name == "residual",
        };
        let sum = Drawn::linear(self.rows.iter().filter(is_meant).map(|row| (1.0, &row.drawn)));
        // What both do alike has no row.
        let sum = sum.or_else(|| event.map(|_| Drawn::constant(0.0, &self.gap_drawn)));
        sum.ok_or_else(|| match name {
            _ if !self.separated => format!("{name} is not separated, because its workload is not crossed"),
            _ => format!("{name} is not among the crossed factors"),
        })
    }
}

/// Makes the breakdown; `None` when values and unit costs do not have common draws.
pub(crate) fn breakdown(input: &Input) -> Option<Breakdown> {
    let gap = Drawn::linear([(1.0, input.baseline), (-1.0, input.peer)])?;
    let mut remarks = Vec::new();
    let separated = !input.masks.is_empty();
    if !separated {
        remarks.push(
            "the workload is not crossed, so factors are not separated: what they do themselves is in the residual"
                .to_owned(),
        );
    }
    let kinds = with_unit_cost(input, &mut remarks);
    let mut uncounted = Vec::new();
    if !kinds.iter().any(|(kind, _)| *kind == PAGE_FAULT_4K) {
        uncounted.push("page faults");
    }
    if !kinds.iter().any(|(kind, _)| kind.starts_with("sys-")) {
        uncounted.push("system calls");
    }
    if !uncounted.is_empty() {
        let what = uncounted.join(" and ");
        remarks.push(format!(
            "not counted, or without a measured cost: {what}; what they cost is in the rows of the factors and the residual"
        ));
    }

    let mut rows = Vec::new();
    for (at, whole) in shapley(input.masks).into_iter().enumerate() {
        let through = kinds.iter().map(|(kind, cost)| {
            let counts: Vec<f64> = input.mask_counts.iter().map(|counts| counts[*kind]).collect();
            (shapley_of(&counts)[at], cost.ns)
        });
        let through = sum(through, &whole)?;
        let own = Drawn::linear([(1.0, &whole), (-1.0, &through)])?;
        let mut row = row(RowKind::Factor, input.factors[at].clone(), own);
        row.through_events = (!kinds.is_empty()).then(|| estimate(&through));
        row.whole = Some(estimate(&whole));
        rows.push(row);
    }
    rows.sort_by(|a, b| b.ns.value.abs().total_cmp(&a.ns.value.abs()));
    rows.extend(events(input, &kinds)?);

    let parts = rows.iter().map(|row| (-1.0, &row.drawn));
    let residual = Drawn::linear(std::iter::once((1.0, &gap)).chain(parts))?;
    rows.push(row(RowKind::Residual, "residual".to_owned(), residual));
    if is_gap(&gap) {
        for row in &mut rows {
            row.share = Some(estimate(&row.drawn.combine(&gap, |part, whole| part / whole)));
        }
    }
    let check = regression::cross_check(input, &kinds);
    let of_gap = kinds.iter().map(|(kind, cost)| difference(input, kind) * cost.ns.point).sum();
    let disagreement = check.as_ref().ok().and_then(|check| regression::disagreement(check, of_gap));
    Some(Breakdown {
        gap: estimate(&gap),
        peer_ns: estimate(input.peer),
        separated,
        rows,
        cross_check: check,
        disagreement,
        uncounted,
        doubt: None,
        remarks,
        gap_drawn: gap,
    })
}

/// Σ weight · term; 0 with the draws of `like` when no term has a weight.
fn sum<'a>(terms: impl IntoIterator<Item = (f64, &'a Drawn)>, like: &Drawn) -> Option<Drawn> {
    let terms: Vec<(f64, &Drawn)> = terms.into_iter().filter(|(weight, _)| *weight != 0.0).collect();
    if terms.is_empty() { Some(Drawn::constant(0.0, like)) } else { Drawn::linear(terms) }
}

fn row(kind: RowKind, name: String, drawn: Drawn) -> Row {
    let ns = estimate(&drawn);
    Row { kind, name, ns, share: None, count: None, through_events: None, whole: None, is_measured: true, drawn }
}

/// The kinds that were counted in every cell of the breakdown and have a unit cost. What has not is said.
fn with_unit_cost<'a>(input: &Input<'a>, remarks: &mut Vec<String>) -> Vec<(&'a str, UnitCost<'a>)> {
    let needed = || input.mask_counts.iter().chain([input.baseline_counts, input.peer_counts]);
    let seen: BTreeSet<&str> = needed().flat_map(|counts| counts.keys().map(String::as_str)).collect();
    let mut kinds = Vec::new();
    let (mut missing, mut without_cost, mut bounds) = (Vec::new(), Vec::new(), Vec::new());
    for kind in seen {
        if !needed().all(|counts| counts.contains_key(kind)) {
            missing.push(kind);
            continue;
        }
        let occurs = needed().any(|counts| counts[kind] != 0.0);
        match input.unit_costs.cost(kind) {
            Some(cost) => {
                if occurs && !cost.own {
                    bounds.push(kind.trim_start_matches("sys-"));
                }
                kinds.push((kind, cost));
            }
            None if occurs => without_cost.push(kind),
            None => {}
        }
    }
    if !missing.is_empty() {
        remarks.push(format!("not counted in every cell, so in no row of its own: {}", missing.join(", ")));
    }
    if !without_cost.is_empty() {
        remarks.push(format!(
            "counted, but without a measured cost, so in no row of its own: {}",
            without_cost.join(", ")
        ));
    }
    if !bounds.is_empty() {
        let bounds = bounds.join(", ");
        remarks.push(format!("costed as the cheapest system call, which is a lower bound: {bounds}"));
    }
    if kinds.iter().any(|(kind, _)| *kind == PAGE_FAULT_4K) && !kinds.iter().any(|(kind, _)| *kind == PAGE_FAULT_HUGE) {
        remarks.push("huge page faults are not told apart: every fault costs as much as one of 4 KiB".to_owned());
    }
    if kinds.iter().any(|(kind, _)| *kind == UNMAP_PAGE) {
        remarks.push("returned pages are a lower bound: what was touched and is not resident at the peak".to_owned());
    }
    kinds
}

/// Baseline − peer.
fn difference(input: &Input, kind: &str) -> f64 {
    let count = |counts: &Counts| counts.get(kind).copied().unwrap_or(0.0);
    count(input.baseline_counts) - count(input.peer_counts)
}

/// Rows of page faults, system calls and returned pages. What the baseline and the peer do alike has no row.
fn events(input: &Input, kinds: &[(&str, UnitCost)]) -> Option<Vec<Row>> {
    let (mut faults, mut calls, mut returned) = (Vec::new(), Vec::new(), Vec::new());
    for (kind, cost) in kinds {
        let count = difference(input, kind);
        let (row_kind, name) = match *kind {
            PAGE_FAULT_4K => (RowKind::PageFaults, "page faults, 4 KiB"),
            PAGE_FAULT_HUGE => (RowKind::PageFaults, "page faults, huge"),
            UNMAP_PAGE => (RowKind::ReturnedPages, "returned pages, 4 KiB"),
            UNMAP_HUGE => (RowKind::ReturnedPages, "returned pages, huge"),
            SYS_OTHER => (RowKind::SystemCalls, "calls of other kinds"),
            call => (RowKind::SystemCalls, call.trim_start_matches("sys-")),
        };
        if count == 0.0 && *kind != PAGE_FAULT_4K {
            continue;
        }
        let mut row = row(row_kind, name.to_owned(), cost.ns.map(|ns| count * ns));
        (row.count, row.is_measured) = (Some(count), cost.own);
        match row_kind {
            RowKind::PageFaults => faults.push(row),
            RowKind::ReturnedPages => returned.push(row),
            _ => calls.push(row),
        }
    }
    calls.sort_by(|a, b| b.ns.value.abs().total_cmp(&a.ns.value.abs()));
    if calls.len() > MAX_CALLS + 1 {
        let rest = calls.split_off(MAX_CALLS);
        let all = Drawn::linear(rest.iter().map(|row| (1.0, &row.drawn)))?;
        let mut together = row(RowKind::SystemCalls, format!("{} other system calls", rest.len()), all);
        together.count = rest.iter().map(|row| row.count).sum();
        together.is_measured = rest.iter().all(|row| row.is_measured);
        calls.push(together);
    }
    Some(faults.into_iter().chain(calls).chain(returned).collect())
}

#[cfg(test)]
mod tests;
