//! Lines of time per operation over page faults per operation, of one cell and of all together.

use super::points::{Cell, KINDS, Point, faults, inverse};
use crate::gap::intervals::{estimate, excludes_zero};
use crate::gap::regression::MAX_CONDITION;
use crate::gap::units::UnitCosts;
use crate::support::count::{counted, counted_verb};
use ablate_format::effects::{ByFaults, FittedCost};
use ablate_stats::bootstrap::Drawn;
use ablate_stats::line::{Regression, regress};
use ablate_stats::order::sorted;

/// Page faults per operation must differ between the points by this share of the most there are, and cost this share
/// of what those of the other size cost: less is scatter.
const MIN_CHANGE: f64 = 0.05;

/// The cost of one page fault of this kind by the times, `ns` nanoseconds, beside the measured one.
pub(super) fn fitted_cost(kind: &str, ns: &Drawn, units: &UnitCosts) -> FittedCost {
    let measured = units.cost(kind).map(|cost| cost.ns);
    FittedCost {
        kind: kind.to_owned(),
        fitted: estimate(ns),
        measured: measured.map(estimate),
        disagree: measured.is_some_and(|measured| excludes_zero(&ns.combine(measured, |a, b| a - b))),
    }
}

/// The line of one cell.
///
/// # Errors
/// Why there is none, for people.
pub(super) fn by_faults(cell: &Cell, units: &UnitCosts) -> Result<ByFaults, String> {
    if cell.points.len() < 3 {
        return Err(format!("{} too few for a line", counted_verb(cell.points.len(), "workload", ["is", "are"])));
    }
    let mut changing = changing(cell)?;
    let weight = |faults: &[f64], kind: &str| change(faults) * units.cost(kind).map_or(1.0, |cost| cost.ns.point);
    let most = changing.iter().map(|(kind, faults)| weight(faults, kind)).fold(0.0, f64::max);
    changing.retain(|(kind, faults)| weight(faults, kind) >= MIN_CHANGE * most);
    let times: Vec<Drawn> = cell.points.iter().map(|point| point.time.clone()).collect();
    let columns = |kinds: &[(&'static str, Vec<f64>)]| {
        let ones = std::iter::once(vec![1.0; times.len()]);
        ones.chain(kinds.iter().map(|(_, faults)| faults.clone())).collect::<Vec<_>>()
    };
    let fitted = |kinds: &[(&'static str, Vec<f64>)]| {
        let found = regress(&columns(kinds), &times)?;
        (found.condition <= MAX_CONDITION && times.len() > kinds.len() + 1).then_some(found)
    };
    let both = fitted(&changing).map(|found| (found, changing.clone()));
    let (Regression { coefficients, r2, .. }, kinds) = both
        .or_else(|| {
            // Both sizes change together: the line is over the one that costs more.
            let main = changing.iter().max_by(|a, b| weight(&a.1, a.0).total_cmp(&weight(&b.1, b.0)))?;
            let main = [main.clone()];
            Some((fitted(&main)?, main.to_vec()))
        })
        .ok_or("the page faults do not identify a line")?;
    let unit_costs = kinds.iter().zip(&coefficients[1..]).map(|((kind, _), ns)| fitted_cost(kind, ns, units));
    Ok(ByFaults { steady: estimate(&coefficients[0]), unit_costs: unit_costs.collect(), r2 })
}

/// Page faults per operation at every point, for each size of which the number changes.
fn changing(cell: &Cell) -> Result<Vec<(&'static str, Vec<f64>)>, String> {
    let mut changing = Vec::new();
    let mut counted = false;
    for kind in KINDS {
        let Some(values) = cell.points.iter().map(|point| faults(point, kind)).collect::<Option<Vec<f64>>>() else {
            continue;
        };
        counted = true;
        let most = values.iter().copied().fold(0.0, f64::max);
        if change(&values) > MIN_CHANGE * most {
            changing.push((kind, values));
        }
    }
    match (counted, changing.is_empty()) {
        (false, _) => Err("page faults were not counted".to_owned()),
        (true, true) => Err("page faults per operation are the same at every number of operations".to_owned()),
        (true, false) => Ok(changing),
    }
}

fn change(values: &[f64]) -> f64 {
    let sorted = sorted(values);
    sorted.last().zip(sorted.first()).map_or(0.0, |(most, least)| most - least)
}

/// Costs of page faults that fit the times of all cells best, each cell with a steady cost of its own.
///
/// # Errors
/// Why there are none, for people.
pub(super) fn pooled(cells: &[Cell]) -> Result<Vec<(&'static str, Drawn)>, String> {
    let cells: Vec<&Cell> = cells.iter().filter(|cell| changing(cell).is_ok() && !inverse(cell).is_empty()).collect();
    let points: Vec<(usize, &Point)> =
        cells.iter().enumerate().flat_map(|(at, cell)| cell.points.iter().map(move |point| (at, point))).collect();
    let times: Vec<Drawn> = points.iter().map(|(_, point)| point.time.clone()).collect();
    let mut columns: Vec<Vec<f64>> = (0..cells.len())
        .map(|cell| points.iter().map(|(own, _)| f64::from(u8::from(*own == cell))).collect())
        .collect();
    let mut kinds = Vec::new();
    for kind in KINDS {
        let values = points.iter().map(|(_, point)| faults(point, kind)).collect::<Option<Vec<f64>>>();
        if let Some(values) = values.filter(|values| change(values) > 0.0) {
            columns.push(values);
            kinds.push(kind);
        }
    }
    if kinds.is_empty() {
        return Err("in no cell do page faults per operation change with the number of operations".to_owned());
    }
    if times.len() < columns.len() + 2 {
        let values = counted_verb(times.len(), "value", ["is", "are"]);
        return Err(format!("{values} too few for {}", counted(columns.len(), "coefficient")));
    }
    let found = regress(&columns, &times).filter(|found| found.condition <= MAX_CONDITION);
    let found =
        found.ok_or("page faults of both sizes change together, so that their unit costs cannot be told apart")?;
    Ok(kinds.into_iter().zip(found.coefficients.into_iter().skip(cells.len())).collect())
}
