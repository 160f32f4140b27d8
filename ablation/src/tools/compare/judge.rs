//! The rows of two folders side by side, with intervals that know that the sessions were apart: pure.

use super::comparison::{Learnt, Row, Session, Verdict};
use super::differs::Both;
use crate::analyse;
use crate::support::count::counted;
use crate::tools::results::{self, Key, Subject, machine_key};
use ablate_format::effects::Estimate;
use ablate_format::{CellKind, Manifest, Quantity};
use ablate_stats::MIN_BLOCKS;
use ablate_stats::bootstrap::{DRAWS, Drawn};
use ablate_stats::sessions::{Control, Difference, Pairing, Sessions, from_interval, sessions, together};
use std::collections::BTreeMap;

/// Seed of what a comparison draws; the same folders give the same numbers.
const SEED: u64 = 1;

/// Two folders' rows and manifests.
#[derive(Clone, Copy)]
pub(super) struct Pair<'a> {
    pub(super) both: Both<'a>,
    pub(super) old: &'a [results::Row],
    pub(super) new: &'a [results::Row],
    /// Whether both have records.
    pub(super) has_records: bool,
    /// Why the values of a workload are not of the same work, by workload.
    pub(super) refusals: &'a BTreeMap<String, String>,
}

/// Workloads that are not the same work in both, with the reason.
pub(super) fn refusals(both: Both<'_>) -> BTreeMap<String, String> {
    let surroundings = both.changed_surroundings();
    let why = |name: &str| surroundings.clone().or_else(|| both.changed_workload(name));
    let workloads = both.old.plan.workloads.iter();
    workloads.filter_map(|workload| Some((workload.name.clone(), why(&workload.name)?))).collect()
}

/// Every row, and what was learnt of the sessions.
pub(super) fn judge(pair: Pair<'_>) -> (Vec<Row>, Session) {
    let pairing = Pairing::new(DRAWS, SEED);
    let one_machine = is_one_machine(pair.both);
    let settings = pair.both.settings();
    let is_apart_by_session_alone = one_machine && settings.is_empty();
    let controls = if is_apart_by_session_alone { controls(pair) } else { BTreeMap::new() };
    let learnt: BTreeMap<Kind, Sessions> =
        controls.iter().filter_map(|(kind, controls)| Some((*kind, sessions(controls, DRAWS, SEED)?))).collect();
    let mut rows: Vec<(Row, Option<Apart>)> = Vec::new();
    let told = |(_, old, new): &(&Key, Option<&results::Row>, Option<&results::Row>)| {
        old.or(*new).is_some_and(results::Row::is_told)
    };
    for (number, (key, old, new)) in joined(pair.old, pair.new).into_iter().filter(told).enumerate() {
        rows.push(match (old, new) {
            (Some(old), Some(new)) => {
                let told = learnt.get(&Kind::of(old.response.quantity()));
                compared(pair, is_apart_by_session_alone, (old, new), (&pairing, told, number as u64))
            }
            (old, new) => (one_sided(key.clone(), old, new), None),
        });
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
    let rows = judged.collect();
    let counts: BTreeMap<Kind, usize> = controls.iter().map(|(kind, of)| (*kind, programs(of))).collect();
    (rows, session(one_machine, &settings, &counts, &learnt))
}

fn is_one_machine(both: Both<'_>) -> bool {
    let (old, new) = (machine_key(both.old), machine_key(both.new));
    old.is_some() && old == new
}

/// Quantities whose sessions differ alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Times,
    Bytes,
    Rates,
    Others,
}

impl Kind {
    fn of(quantity: Quantity) -> Kind {
        match quantity {
            Quantity::Latency | Quantity::Time => Kind::Times,
            Quantity::Bytes => Kind::Bytes,
            Quantity::Rate => Kind::Rates,
            _ => Kind::Others,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Kind::Times => "times",
            Kind::Bytes => "bytes",
            Kind::Rates => "rates",
            Kind::Others => "other numbers",
        }
    }
}

/// Peers and placebos that are the same in both folders, with what they shift by.
fn controls(pair: Pair<'_>) -> BTreeMap<Kind, Vec<Control>> {
    let mut out: BTreeMap<Kind, Vec<Control>> = BTreeMap::new();
    let (mut programs, mut workloads) = (Vec::new(), Vec::new());
    for (key, old, new) in joined(pair.old, pair.new) {
        let (Subject::Cell(id), Some(old), Some(new)) = (&key.subject, old, new) else { continue };
        let is_control = is_beside(pair.both.old, id) && pair.both.is_same_binary(id) && refusal(pair, old).is_none();
        let Some((before, after)) = logs(pair, old, new).filter(|_| is_control) else { continue };
        // Fewer do not tell their own error.
        if before.blocks.min(after.blocks) < MIN_BLOCKS {
            continue;
        }
        let errors = (before.standard_error(), after.standard_error());
        let (Some(one), Some(other)) = errors else { continue };
        let error = one.hypot(other);
        out.entry(Kind::of(old.response.quantity())).or_default().push(Control {
            program: number(&mut programs, id),
            workload: number(&mut workloads, &key.workload),
            shift: after.point - before.point,
            error,
        });
    }
    out
}

/// Whether a cell is none of those that are compared: a peer, or the placebo.
fn is_beside(manifest: &Manifest, id: &str) -> bool {
    let cell = manifest.plan.cells.iter().find(|cell| cell.id == id);
    cell.is_some_and(|cell| matches!(cell.kind, CellKind::Peer | CellKind::Placebo))
}

fn number<'a>(known: &mut Vec<&'a str>, name: &'a str) -> usize {
    known.iter().position(|known| *known == name).unwrap_or_else(|| {
        known.push(name);
        known.len() - 1
    })
}

fn programs(controls: &[Control]) -> usize {
    let mut programs: Vec<usize> = controls.iter().map(|control| control.program).collect();
    programs.sort_unstable();
    programs.dedup();
    programs.len()
}

/// Rows of both, in the order of the old folder, then what the new one has alone.
fn joined<'a>(
    old: &'a [results::Row],
    new: &'a [results::Row],
) -> Vec<(&'a Key, Option<&'a results::Row>, Option<&'a results::Row>)> {
    let of = |rows: &'a [results::Row], key: &Key| rows.iter().find(|row| row.key == *key);
    let both = old.iter().map(|row| (&row.key, Some(row), of(new, &row.key)));
    let added = new.iter().filter(|row| of(old, &row.key).is_none()).map(|row| (&row.key, None, Some(row)));
    both.chain(added).collect()
}

fn one_sided(key: Key, old: Option<&results::Row>, new: Option<&results::Row>) -> Row {
    let row = old.or(new);
    Row {
        key,
        response: row.map(|row| row.response).unwrap_or_default(),
        is_per_run: row.is_some_and(|row| row.is_per_run),
        old: old.and_then(|row| row.value),
        new: new.and_then(|row| row.value),
        difference: None,
        ratio: None,
        share: None,
        verdict: if old.is_some() { Verdict::OnlyInOld } else { Verdict::OnlyInNew },
        reason: String::new(),
    }
}

/// Why two values are not of the same work.
fn refusal(pair: Pair<'_>, row: &results::Row) -> Option<String> {
    let of_workload = pair.refusals.get(&row.key.workload).cloned();
    of_workload.or_else(|| row.cells.iter().find_map(|cell| pair.both.changed_cell(cell)))
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

/// The difference in the unit of the response: what factors cost, and cells with values of 0 or below.
fn plain(
    pair: Pair<'_>,
    (old, new): (&results::Row, &results::Row),
    (pairing, told, number): Drawing<'_>,
) -> Option<Difference> {
    let (before, after) = match old.drawn.as_ref().zip(new.drawn.as_ref()).filter(|_| pair.has_records) {
        Some((before, after)) => (before.clone(), after.clone()),
        None => (drawn(old.value?, 2 * number)?, drawn(new.value?, 2 * number + 1)?),
    };
    let difference = pairing.difference(&before, &after);
    let Some(told) = told else { return Some(difference) };
    Some(match &old.key.subject {
        Subject::Cell(_) => difference.widened(&told.of_values, before.point.abs(), number),
        // Two cells of a session that differ, each by itself, around values like the baseline's.
        Subject::Factor { .. } => {
            let scale = baseline(pair.old, &old.key.workload).unwrap_or(0.0) * 2.0_f64.sqrt();
            difference.widened(&told.of_contrasts, scale, number)
        }
    })
}

/// Logarithms of a cell's values, where both are above 0.
fn logs(pair: Pair<'_>, old: &results::Row, new: &results::Row) -> Option<(Drawn, Drawn)> {
    if !matches!(old.key.subject, Subject::Cell(_)) {
        return None;
    }
    if let Some((old, new)) = old.log.as_ref().zip(new.log.as_ref()).filter(|_| pair.has_records) {
        return Some((old.clone(), new.clone()));
    }
    let seed = |row: &results::Row, side: u64| {
        let name = format!("{} {}", row.key.workload, row.key.subject.name());
        name.bytes().fold(side, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
    };
    let log = |row: &results::Row, side| {
        let value = row.value?;
        let (lo, hi) = value.interval?;
        let is_above = value.value > 0.0 && lo > 0.0 && hi > 0.0;
        let value = Estimate { value: value.value.ln(), interval: Some((lo.ln(), hi.ln())), ..value };
        if is_above { drawn(value, seed(row, side)) } else { None }
    };
    log(old, 1).zip(log(new, 2))
}

/// Draws that a value's interval stands for.
fn drawn(value: Estimate, seed: u64) -> Option<Drawn> {
    from_interval(value.value, value.interval?, value.blocks, DRAWS, seed)
}

fn baseline(rows: &[results::Row], workload: &str) -> Option<f64> {
    let is_baseline = |row: &&results::Row| {
        row.key.workload == workload && matches!(&row.key.subject, Subject::Cell(id) if id == "baseline")
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
        row.difference = Some(estimate(&|log| old.value * log.exp_m1()));
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

/// What the intervals cover.
fn session(
    one_machine: bool,
    settings: &[&str],
    controls: &BTreeMap<Kind, usize>,
    learnt: &BTreeMap<Kind, Sessions>,
) -> Session {
    let blocks_only = |why: String| {
        format!("{why}, so the intervals cover the blocks only: sessions may differ by more than these show")
    };
    let said = match () {
        () if !one_machine => blocks_only(
            "The folders are of two machines, or of machines whose facts are not all known; what they differ by is \
             machine, session and program together"
                .to_owned(),
        ),
        () if !settings.is_empty() => blocks_only(format!(
            "{} of the machine differ, which concerns the controls as well",
            settings.join(", ")
        )),
        () if learnt.is_empty() => match controls.values().max() {
            None => blocks_only("No peer and no placebo is the same program in both folders, with an interval in each, to be a control".to_owned()),
            Some(most) => blocks_only(format!(
                "{} with the same binary in both folders, and two are needed",
                counted(*most, "control program")
            )),
        },
        () => "The intervals hold the blocks of both sessions and what sessions of this machine differ by, as the controls \
               show it: peers and placebos whose binary, arguments and environment are the same in both folders."
            .to_owned(),
    };
    let learnt = learnt.iter().map(|(kind, told)| Learnt {
        of: kind.word(),
        programs: told.programs,
        common: told.common.exp_m1(),
        deviation: told.of_values.deviation,
        beside: told.of_contrasts.deviation,
    });
    Session { one_machine, said, learnt: learnt.collect() }
}
