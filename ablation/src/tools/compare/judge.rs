//! The rows of two folders with intervals that know that the sessions were apart, and what can be said of each: pure.

use super::comparison::{Row, Session, Verdict};
use super::controls::{Kind, Same, controls, learnt, session};
use super::differs::Both;
use super::pair::{Pair, drawn, joined, logs, refusal, seed};
use crate::analyse;
use crate::support::count::counted;
use crate::tools::results::{self, Key, Subject, machine_key};
use ablate_format::BASELINE;
use ablate_format::effects::Estimate;
use ablate_stats::MIN_BLOCKS;
use ablate_stats::bootstrap::{DRAWS, Drawn};
use ablate_stats::sessions::{Difference, Pairing, Sessions, together};
use std::collections::BTreeSet;

/// Seed of what a comparison draws; the same folders give the same numbers.
const SEED: u64 = 1;
/// Fewest controls of a workload that the baseline is set beside.
const MIN_BESIDE: usize = 2;

/// Every row, and what was learnt of the sessions.
pub(super) fn judge(pair: Pair<'_>) -> (Vec<Row>, Session) {
    let pairing = Pairing::new(DRAWS, SEED);
    let one_machine = is_one_machine(pair.both);
    let settings = pair.both.settings();
    let is_apart_by_session_alone = one_machine && settings.is_empty();
    let controls = if is_apart_by_session_alone { controls(pair) } else { Vec::new() };
    let told = learnt(&controls, SEED);
    let learnt = &told.0;
    let mut rows: Vec<(Row, Option<Apart>)> = Vec::new();
    let is_told = |(_, old, new): &(&Key, Option<&results::Row>, Option<&results::Row>)| {
        old.or(*new).is_some_and(results::Row::is_told)
    };
    for (key, old, new) in joined(pair.old, pair.new).into_iter().filter(is_told) {
        let (Some(old), Some(new)) = (old, new) else {
            rows.push((one_sided(key.clone(), old, new), None));
            continue;
        };
        let drawing = (&pairing, learnt.get(&Kind::of(old.response.quantity())), seed(key));
        let row = compared(pair, is_apart_by_session_alone, (old, new), drawing);
        let is_baseline = matches!(&key.subject, Subject::Cell(id) if id == BASELINE);
        let beside = if is_baseline { beside(pair, &row.0, (old, new), &controls, drawing) } else { None };
        rows.push(row);
        rows.extend(beside);
    }
    // What is claimed of no row needs no room in the intervals of the others.
    let is_judged = |row: &Row| row.verdict != Verdict::SameBinary;
    let judged = rows.iter().filter(|(row, _)| is_judged(row));
    let differences: Vec<Difference> =
        judged.filter_map(|(_, apart)| Some(apart.as_ref()?.difference.clone())).collect();
    let mut ends = together(&differences).into_iter();
    let judged = rows.into_iter().map(|(row, apart)| match apart {
        Some(apart) if is_judged(&row) => finished(pair.old, row, &apart, ends.next().flatten()),
        Some(apart) => finished(pair.old, row, &apart, apart.difference.interval()),
        None => row,
    });
    let rows: Vec<Row> = judged.collect();
    let with_interval = rows.iter().filter(|row| row.difference.or(row.ratio).is_some());
    let kinds: BTreeSet<Kind> = with_interval.map(|row| Kind::of(row.response.quantity())).collect();
    let session = session(one_machine, &settings, &kinds, &told);
    (rows, session)
}

fn is_one_machine(both: Both<'_>) -> bool {
    let (old, new) = (machine_key(both.old), machine_key(both.new));
    old.is_some() && old == new
}

fn one_sided(key: Key, old: Option<&results::Row>, new: Option<&results::Row>) -> Row {
    let row = old.or(new);
    Row {
        key,
        response: row.map(|row| row.response).unwrap_or_default(),
        is_per_run: row.is_some_and(|row| row.is_per_run),
        is_beside: false,
        old: old.and_then(|row| row.value),
        new: new.and_then(|row| row.value),
        difference: None,
        ratio: None,
        share: None,
        verdict: if old.is_some() { Verdict::OnlyInOld } else { Verdict::OnlyInNew },
        reason: String::new(),
    }
}

/// A difference, of logarithms or in the unit of the response.
struct Apart {
    difference: Difference,
    is_of_logs: bool,
}

type Drawing<'a> = (&'a Pairing, Option<&'a Sessions>, u64);

/// A row of both folders: its values, and its difference with draws unless nothing may be said.
fn compared(
    pair: Pair<'_>,
    is_one_machine: bool,
    (old, new): (&results::Row, &results::Row),
    (pairing, told, number): Drawing<'_>,
) -> (Row, Option<Apart>) {
    let row = Row {
        old: old.value,
        new: new.value,
        is_per_run: old.is_per_run && new.is_per_run,
        ..one_sided(old.key.clone(), Some(old), None)
    };
    let said = |verdict, reason: String| Row { verdict, reason, ..row.clone() };
    if let Some(why) = refusal(pair, old) {
        return (said(Verdict::Refused, why), None);
    }
    let side = |row: &results::Row, place: &str| {
        row.value.is_none().then(|| format!("{} in the {place} result", row.verdict.replace('-', " ")))
    };
    if let Some(why) = side(old, "old").or_else(|| side(new, "new")) {
        return (said(Verdict::NotKnown, why), None);
    }
    let is_same =
        is_one_machine && !old.cells.is_empty() && old.cells.iter().all(|cell| pair.both.is_same_binary(cell));
    let verdict = if is_same { Verdict::SameBinary } else { Verdict::NotDetected };
    let reason = if is_same { "the same binary: any difference is the session".to_owned() } else { String::new() };
    let row = Row { verdict, reason, ..row };
    let is_unproven = old.is_unproven || new.is_unproven;
    if is_unproven && !is_same {
        let reason = "unproven: nothing tells the levels of its factor apart".to_owned();
        return (Row { verdict: Verdict::NotKnown, reason, ..row }, None);
    }
    let apart = match logs(pair, old, new) {
        Some((old, new)) => {
            let difference = pairing.difference(&old, &new);
            let difference = match told {
                Some(told) => difference.widened(&told.of_values, 1.0, number),
                None => difference,
            };
            Some(Apart { difference, is_of_logs: true })
        }
        None => {
            plain(pair, (old, new), (pairing, told, number)).map(|difference| Apart { difference, is_of_logs: false })
        }
    };
    let reason = format!("fewer than {MIN_BLOCKS} blocks, so that there is no interval");
    match apart {
        Some(apart) => (row, Some(apart)),
        None if is_same => (row, None),
        None => (Row { verdict: Verdict::NotKnown, reason, ..row }, None),
    }
}

/// The baseline over the geometric mean of the controls of its workload, which no shift of the machine changes. `None` without
/// enough controls, and where nothing may be said of the baseline.
fn beside(
    pair: Pair<'_>,
    row: &Row,
    (old, new): (&results::Row, &results::Row),
    controls: &[Same<'_>],
    (pairing, told, number): Drawing<'_>,
) -> Option<(Row, Option<Apart>)> {
    let own: Vec<&Same<'_>> = controls.iter().filter(|same| same.row.key.workload == old.key.workload).collect();
    let told = told.filter(|_| own.len() >= MIN_BESIDE && row.verdict == Verdict::NotDetected)?;
    let (before, after) = logs(pair, old, new)?;
    let weight = 1.0 / own.len() as f64;
    let of_old = Drawn::linear(own.iter().map(|same| (weight, &same.logs.0)))?;
    let of_new = Drawn::linear(own.iter().map(|same| (weight, &same.logs.1)))?;
    let (before, after) =
        (before.combine(&of_old, |own, mean| own - mean), after.combine(&of_new, |own, mean| own - mean));
    let ratio = |log: &Drawn| Estimate {
        value: log.point.exp(),
        interval: log.interval().map(|(lo, hi)| (lo.exp(), hi.exp())),
        blocks: log.blocks,
    };
    let row = Row { is_beside: true, old: Some(ratio(&before)), new: Some(ratio(&after)), ..row.clone() };
    // The baseline's own shift, and that of the mean.
    let scale = (1.0 + weight).sqrt();
    let difference = pairing.difference(&before, &after).widened(&told.of_contrasts, scale, !number);
    Some((row, Some(Apart { difference, is_of_logs: true })))
}

/// The difference in the unit of the response: what factors cost, and cells with values of 0 or below.
fn plain(
    pair: Pair<'_>,
    (old, new): (&results::Row, &results::Row),
    (pairing, told, number): Drawing<'_>,
) -> Option<Difference> {
    let (before, after) = match old.drawn.as_ref().zip(new.drawn.as_ref()).filter(|_| pair.has_records) {
        Some((before, after)) => (before.clone(), after.clone()),
        None => (drawn(old.value?, number)?, drawn(new.value?, number)?),
    };
    let difference = pairing.difference(&before, &after);
    let Some(told) = told else { return Some(difference) };
    // A share of both sides, so that neither is the base.
    Some(match &old.key.subject {
        Subject::Cell(_) => difference.widened(&told.of_values, (before.point.abs() + after.point.abs()) / 2.0, number),
        // Two cells of a session that differ, each by itself, around values like the baselines'.
        Subject::Factor { .. } => {
            let known = [pair.old, pair.new].into_iter().filter_map(|rows| baseline(rows, &old.key.workload));
            let known: Vec<f64> = known.collect();
            let size = known.iter().sum::<f64>() / known.len().max(1) as f64;
            difference.widened(&told.of_contrasts, size * 2.0_f64.sqrt(), number)
        }
    })
}

fn baseline(rows: &[results::Row], workload: &str) -> Option<f64> {
    let is_baseline = |row: &&results::Row| {
        row.key.workload == workload && matches!(&row.key.subject, Subject::Cell(id) if id == BASELINE)
    };
    Some(rows.iter().find(is_baseline)?.value?.value.abs()).filter(|value| *value > 0.0)
}

/// A row with its interval and verdict.
fn finished(rows: &[results::Row], mut row: Row, apart: &Apart, ends: Option<(f64, f64)>) -> Row {
    let Apart { difference, is_of_logs } = apart;
    let blocks = difference.blocks;
    let estimate = |map: &dyn Fn(f64) -> f64| Estimate {
        value: map(difference.point),
        interval: ends.map(|(lo, hi)| (map(lo), map(hi))),
        blocks,
    };
    if let Some(old) = row.old.filter(|_| *is_of_logs) {
        row.ratio = Some(estimate(&f64::exp));
        row.difference = (!row.is_beside).then(|| estimate(&|log| old.value * log.exp_m1()));
    } else {
        row.difference = Some(estimate(&|value| value));
    }
    let whole = baseline(rows, &row.key.workload);
    row.share = match is_of_logs {
        true => Some(estimate(&f64::exp_m1)),
        false => whole.map(|whole| estimate(&|value| value / whole)),
    };
    row.share = row.share.filter(|share| share.value.is_finite());
    if row.verdict != Verdict::NotDetected {
        return row;
    }
    let response = analyse::Response::main(row.response);
    let is_cell = matches!(row.key.subject, Subject::Cell(_));
    // A cost is one already; of a rate that a cell has, more is better.
    let worse = |difference: f64| if is_cell { response.cost_of(difference) > 0.0 } else { difference > 0.0 };
    match ends {
        None => {
            row.verdict = Verdict::NotKnown;
            row.reason = format!("{} of {MIN_BLOCKS} that an interval needs", counted(blocks, "block"));
        }
        Some((lo, hi)) if lo > 0.0 || hi < 0.0 => {
            row.verdict = if worse(difference.point) { Verdict::Worse } else { Verdict::Better };
        }
        Some(_) => {}
    }
    row
}
