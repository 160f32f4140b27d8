//! The noise floor: how large differences without meaning can be, and the verdicts that it withholds.

use super::values::Effect;
use super::words::{Response, Verdict};
use ablate_format::{Arm, Contrast, MainResponse};
use ablate_stats::bootstrap::Drawn;
use std::collections::BTreeMap;

/// Largest differences that mean nothing, nanoseconds per operation.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Floors {
    /// Between runs that differ in a variable that the program does not read.
    pub(super) switch_ns: Option<f64>,
    /// Between binaries that differ in dead code.
    pub(super) layout_ns: Option<f64>,
}

/// Largest |placebo| that its interval allows, in standard errors, for every one of [`Response::timed`].
pub(super) fn floor_in_errors(contrasts: &[Contrast], main: MainResponse, drawn: &[Drawn]) -> Vec<Option<f64>> {
    let step = Response::timed(main).len();
    let placebo = contrasts.iter().position(|c| c.contrast == "placebo" && c.arm != Some(Arm::Feature));
    let of = |drawn: &Drawn| {
        let (lo, hi) = drawn.interval()?;
        let error = drawn.standard_error().filter(|error| *error > 0.0)?;
        Some(lo.abs().max(hi.abs()) / error)
    };
    (0..step).map(|column| placebo.and_then(|at| of(&drawn[at * step + column]))).collect()
}

/// Largest difference between baseline and placebo that its interval allows, by response. `Some(None)` means that a
/// placebo was planned and has no interval.
pub(super) fn floors(contrasts: &[Contrast], rows: &[Effect]) -> BTreeMap<Response, Option<f64>> {
    let mut floors = BTreeMap::new();
    if contrasts.iter().all(|contrast| contrast.contrast != "placebo") {
        return floors;
    }
    for row in rows.iter().filter(|row| row.contrast == "placebo" && row.arm != Some(Arm::Feature)) {
        floors.insert(row.response, bound(row));
    }
    floors
}

/// Largest difference that the interval of a placebo allows. Of counts it has no interval but the spread of the repeats,
/// and is one draw of what an environment of another length does: twice that.
fn bound(row: &Effect) -> Option<f64> {
    let times = if row.response.is_counted() { 2.0 } else { 1.0 };
    row.lo.zip(row.hi).map(|(lo, hi)| times * lo.abs().max(hi.abs()))
}

/// The floor of effects between builds: dead code moves the rest of the program too. Missing without such a placebo.
pub(super) fn layout_floors(rows: &[Effect]) -> BTreeMap<Response, Option<f64>> {
    let dead_code = rows.iter().filter(|row| row.contrast == "placebo" && row.arm == Some(Arm::Feature));
    dead_code.map(|row| (row.response, bound(row))).collect()
}

/// Withholds a verdict that the floor is as large as.
pub(super) fn hold_to_floor(row: &mut Effect, floors: &BTreeMap<Response, Option<f64>>) {
    let detected = matches!(row.verdict, Verdict::Costs | Verdict::Saves);
    let (true, Some(floor), Some(estimate)) = (detected, floors.get(&row.response), row.estimate) else {
        return;
    };
    match floor {
        None => {
            row.verdict = Verdict::Inconclusive;
            row.reason = "the placebo has no interval, so the noise floor is unknown".to_owned();
        }
        Some(floor) if estimate.abs() <= *floor => {
            row.verdict = Verdict::BelowFloor;
            row.reason = "not larger than what the placebo shows".to_owned();
        }
        Some(_) => {}
    }
}
