//! Cold and steady apart: time per operation over workloads that differ in their number of operations only.
//!
//! A process that does n operations takes T(n) = once + steady · n, and makes F(n) page faults. Both are fitted per
//! operation, T(n)/n on 1/n and T(n)/n on F(n)/n: that weights every n by what is known of it (the noise of T grows with
//! n, that of T/n hardly does), and it gives a slope also where F(n) is the same for every n, as in an allocator that
//! keeps its pages. So `time = steady + unit cost · faults per operation`.

mod fit;
mod points;

use super::intervals::{estimate, is_gap};
use super::units::UnitCosts;
use ablate_format::effects::{At, CurveCell, CurveGap, CurveResult};
use ablate_stats::bootstrap::Drawn;

pub(crate) use points::{Cell, Point};
use points::{KINDS, faults, inverse};

/// Analyses one curve; `baseline` is the id of a cell, `peers` are ids with names.
pub(crate) fn curve(
    name: &str,
    cells: &[Cell],
    baseline: &str,
    peers: &[(&str, &str)],
    units: &UnitCosts,
) -> CurveResult {
    let pooled = fit::pooled(cells);
    let of = |id: &str| cells.iter().find(|cell| cell.id == id);
    let gap_of = |(id, name): &(&str, &str)| {
        let rows = gaps(of(baseline)?, of(id)?, units, pooled.as_ref().ok());
        Some(((*name).to_owned(), rows))
    };
    CurveResult {
        name: name.to_owned(),
        cells: cells.iter().map(|cell| of_cell(cell, units)).collect(),
        gaps: peers.iter().filter_map(gap_of).collect(),
        unit_costs: pooled.map(|unit_costs| {
            let shown = |(kind, ns): &(&str, Drawn)| fit::fitted_cost(kind, ns, units);
            unit_costs.iter().map(shown).collect()
        }),
    }
}

fn of_cell(cell: &Cell, units: &UnitCosts) -> CurveCell {
    let row = |point: &Point| (point.operations, estimate(&point.time), KINDS.map(|kind| faults(point, kind)));
    let times: Vec<Drawn> = cell.points.iter().map(|point| point.time.clone()).collect();
    let line = ablate_stats::line::line(&inverse(cell), &times).filter(|_| times.len() > 2);
    CurveCell {
        id: cell.id.clone(),
        points: cell.points.iter().map(row).collect(),
        once: line.as_ref().map(|line| estimate(&line.slope)),
        steady: line.as_ref().map(|line| estimate(&line.intercept)),
        r2: line.as_ref().map(|line| line.r2),
        by_faults: fit::by_faults(cell, units),
    }
}

/// A difference of times with the differences of the faults, all of the same linear combination of points.
struct Difference {
    at: At,
    time: Drawn,
    faults: [Option<f64>; 2],
}

fn gaps(baseline: &Cell, peer: &Cell, units: &UnitCosts, pooled: Option<&Vec<(&str, Drawn)>>) -> Vec<CurveGap> {
    let pairs: Vec<(&Point, &Point)> = baseline
        .points
        .iter()
        .filter_map(|a| Some((a, peer.points.iter().find(|b| b.operations == a.operations)?)))
        .collect();
    let mut differences: Vec<Difference> = pairs
        .iter()
        .filter_map(|(a, b)| {
            let time = Drawn::linear([(1.0, &a.time), (-1.0, &b.time)])?;
            let faults = KINDS.map(|kind| Some(faults(a, kind)? - faults(b, kind)?));
            Some(Difference { at: At::Operations(a.operations), time, faults })
        })
        .collect();
    differences.extend(limits(&differences));
    differences.into_iter().map(|difference| gap_at(difference, units, pooled)).collect()
}

/// What is paid once and what every further operation costs, times and faults alike: the slope and the intercept of
/// least squares on 1 / operations.
fn limits(differences: &[Difference]) -> Vec<Difference> {
    let inverse: Vec<f64> = differences
        .iter()
        .map(|difference| match difference.at {
            At::Operations(operations) => 1.0 / operations,
            At::Once | At::Steady => f64::NAN,
        })
        .collect();
    if inverse.len() < 3 {
        return Vec::new();
    }
    let mean = inverse.iter().sum::<f64>() / inverse.len() as f64;
    let spread: f64 = inverse.iter().map(|x| (x - mean).powi(2)).sum();
    let slope: Vec<f64> = inverse.iter().map(|x| (x - mean) / spread).collect();
    let steady: Vec<f64> = slope.iter().map(|weight| 1.0 / inverse.len() as f64 - mean * weight).collect();
    let limit = |at: At, weights: &[f64]| {
        let time = Drawn::linear(weights.iter().copied().zip(differences.iter().map(|d| &d.time)))?;
        let faults = [0, 1].map(|kind| {
            let terms = weights.iter().zip(differences);
            terms.map(|(weight, d)| Some(weight * d.faults[kind]?)).sum::<Option<f64>>()
        });
        Some(Difference { at, time, faults })
    };
    [limit(At::Once, &slope), limit(At::Steady, &steady)].into_iter().flatten().collect()
}

fn gap_at(difference: Difference, units: &UnitCosts, pooled: Option<&Vec<(&str, Drawn)>>) -> CurveGap {
    let Difference { at, time, faults } = difference;
    let measured = |kind: &str| units.cost(kind).map(|cost| cost.ns);
    let explained = cost(&faults, measured);
    let by_fit = pooled.and_then(|unit_costs| {
        let fitted = |kind: &str| unit_costs.iter().find(|(known, _)| *known == kind).map(|(_, ns)| ns);
        cost(&faults, |kind| fitted(kind).or_else(|| measured(kind)))
    });
    let share = |part: &Option<Drawn>| {
        let part = part.as_ref().filter(|_| is_gap(&time))?;
        Some(estimate(&part.combine(&time, |part, gap| part / gap)))
    };
    CurveGap {
        at,
        gap: estimate(&time),
        faults,
        explained: explained.as_ref().map(estimate),
        share: share(&explained),
        share_by_fit: share(&by_fit),
    }
}

/// What page faults cost; `None` without counts, or when those that there are have no unit cost.
fn cost<'a>(faults: &[Option<f64>; 2], cost: impl Fn(&str) -> Option<&'a Drawn>) -> Option<Drawn> {
    faults[0]?;
    let mut terms = Vec::new();
    for (kind, count) in KINDS.into_iter().zip(faults) {
        match (count.filter(|count| *count != 0.0), cost(kind)) {
            (None, _) => {}
            (Some(count), Some(ns)) => terms.push((count, ns)),
            (Some(_), None) => return None,
        }
    }
    if terms.is_empty() { Some(Drawn::constant(0.0, cost(KINDS[0])?)) } else { Drawn::linear(terms) }
}

#[cfg(test)]
mod tests;
