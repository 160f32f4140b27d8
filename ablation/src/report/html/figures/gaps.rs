//! The subject beside its peers: gaps in their parts, and ratios.

use super::costs::words;
use super::figure::{Figure, id, of_all_passes, timed};
use crate::analyse::WorkloadAnalysis;
use crate::gap::breakdown::RowKind;
use crate::gap::study::GapBreakdown;
use crate::report::content::Study;
use crate::report::figure::forest::{self, Axis, Row};
use crate::report::figure::waterfall::{self, Step};
use crate::report::figure::{Mark, Tone, ink};
use crate::report::gap::name;
use crate::report::number::{Unit, counted, interval, point, signed_point};
use crate::report::peers::best;
use ablate_format::effects::Estimate;

/// Rows of the figure over all workloads.
const RATIOS_MAX: usize = 24;

/// The gap to one peer.
pub(super) fn gap(study: Study<'_>, gap: &GapBreakdown) -> Figure {
    let rows = &gap.breakdown.rows;
    let unit = Unit::of(rows.iter().map(|row| row.ns).chain([gap.breakdown.gap]), Unit::LIMIT);
    let step = |row: &crate::gap::breakdown::Row| {
        let ns = unit.estimate(row.ns);
        let text = format!("{} {}", signed_point(ns.value, ns.interval), interval(ns.interval));
        Step { name: name(row), value: ns.value, tone: tone(row), text }
    };
    let steps: Vec<Step> = rows.iter().map(step).collect();
    let whole = unit.estimate(gap.breakdown.gap);
    let total = format!("{} {}", signed_point(whole.value, whole.interval), interval(whole.interval));
    let said: Vec<String> = steps.iter().map(|step| format!("{}: {}", step.name, step.text)).collect();
    Figure {
        id: id(&["gap", &gap.workload, &gap.peer]),
        title: format!("The gap to {} in {}, part by part", gap.peer, gap.workload),
        words: format!("{}; all together: {total}", said.join("; ")),
        legend: format!(
            "From the peer, at 0, to the subject, with 95 % intervals. Red steps make the subject worse, green ones better. Grey \
             is what nothing explains{}. (≥): a lower bound.",
            if gap.breakdown.separated { "" } else { ", which contains the factors here: they are not crossed" }
        ),
        svg: waterfall::draw(&gap.peer, &steps, "the subject", &total, &unit.delta()),
        origin: of_all_passes(study, &gap.workload),
    }
}

fn tone(row: &crate::gap::breakdown::Row) -> Tone {
    match row.kind {
        RowKind::Residual => Tone::Open,
        _ if row.ns.value > 0.0 => Tone::Cost,
        _ if row.ns.value < 0.0 => Tone::Saving,
        _ => Tone::Open,
    }
}

/// The subject against the best competitor in each workload.
pub(super) fn ratios(study: Study<'_>) -> Option<Figure> {
    let workloads = &study.analysis.workloads;
    let mut rows: Vec<Row> = workloads.iter().filter_map(ratio).collect();
    if rows.is_empty() {
        return None;
    }
    let value = |row: &Row| row.mark.map_or(0.0, |mark| mark.value);
    rows.sort_by(|a, b| value(b).total_cmp(&value(a)));
    let left_out = match rows.len().saturating_sub(RATIOS_MAX) {
        0 => String::new(),
        more => format!(" {} between the ends of this list are not drawn.", counted(more, "workload")),
    };
    if rows.len() > RATIOS_MAX {
        rows.drain(RATIOS_MAX / 2..rows.len() - RATIOS_MAX / 2);
    }
    Some(Figure {
        id: "ratios".to_owned(),
        title: "The subject against the best peer of each workload".to_owned(),
        words: words(&rows),
        legend: format!(
            "How many times as much the subject takes, with its 95 % interval; to the left of 1× it takes less. Rates are \
             inverted.{left_out}"
        ),
        svg: forest::draw(&rows, Axis { of: "subject / best peer", tick: ink::times }, None),
        origin: timed(study, None),
    })
}

fn ratio(workload: &WorkloadAnalysis) -> Option<Row> {
    let best = best(workload)?;
    let ratio = best.gap_ratio.map(Estimate::plus_one)?;
    // Of a rate more is better, so what is taken is its inverse.
    let taken = |ratio: f64| match workload.response.quantity().is_better_high() {
        true => ratio.max(f64::MIN_POSITIVE).recip(),
        false => ratio.max(f64::MIN_POSITIVE),
    };
    let value = taken(ratio.value);
    let ends = ratio.interval.map(|(lo, hi)| (taken(lo).min(taken(hi)), taken(lo).max(taken(hi))));
    let tone = match ends {
        Some((lo, _)) if lo > 1.0 => Tone::Cost,
        Some((_, hi)) if hi < 1.0 => Tone::Saving,
        _ => Tone::Open,
    };
    Some(Row {
        name: workload.name.clone(),
        mark: Some(Mark::new(value.log2(), ends.map(|(lo, hi)| (lo.log2(), hi.log2())))),
        tone,
        text: format!("{} of {} {}", point(value, None), best.peer, interval(ends)),
    })
}
