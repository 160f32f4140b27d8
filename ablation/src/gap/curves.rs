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
use crate::analyse::Estimate;
use ablate_stats::bootstrap::Drawn;
use serde::Serialize;

pub use fit::{ByFaults, FaultCost};
pub use points::{Cell, Point};
use points::{KINDS, faults, inverse};

/// What the curve says about one cell.
#[derive(Debug, Clone, Serialize)]
pub struct CellCurve {
    /// Cell id.
    pub id: String,
    /// Operations of a process, time per operation in nanoseconds, page faults per operation of 4 KiB and huge (`None`:
    /// not counted).
    pub points: Vec<(f64, Estimate, [Option<f64>; 2])>,
    /// What a process pays once, nanoseconds.
    pub once: Option<Estimate>,
    /// What every further operation costs, nanoseconds.
    pub steady: Option<Estimate>,
    /// Share of the variance of the times per operation that these two explain.
    pub r2: Option<f64>,
    /// The line over page faults, or why there is none.
    pub by_faults: Result<ByFaults, String>,
}

/// The gap to a peer at one number of operations.
#[derive(Debug, Clone, Serialize)]
pub struct GapAt {
    /// What it is about.
    pub at: At,
    /// Baseline − peer in nanoseconds: per process for [`At::Once`], else per operation.
    pub gap: Estimate,
    /// Difference of the page faults of 4 KiB and of the huge ones, in the same unit.
    pub faults: [Option<f64>; 2],
    /// What these page faults cost at the measured unit costs.
    pub explained: Option<Estimate>,
    /// Explained / gap; `None` when the gap is not told apart from 0.
    pub share: Option<Estimate>,
    /// The same at the unit costs that fit the times of all cells best.
    pub share_by_fit: Option<Estimate>,
}

/// Where a gap is taken.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum At {
    /// Processes of this many operations.
    Operations(f64),
    /// What is paid once a process.
    Once,
    /// What every further operation costs.
    Steady,
}

/// A curve, analysed.
#[derive(Debug, Clone, Serialize)]
pub struct CurveReport {
    /// Name of the curve.
    pub name: String,
    /// Every cell.
    pub cells: Vec<CellCurve>,
    /// Unit costs that fit the times of all cells best, each cell with a steady cost of its own; or why there are none.
    pub unit_costs: Result<Vec<FaultCost>, String>,
    /// Name of the peer, and the gap to it at every number of operations, once, and steady.
    pub gaps: Vec<(String, Vec<GapAt>)>,
}

/// Analyses one curve; `baseline` is the id of a cell, `peers` are ids with names.
pub fn curve(name: &str, cells: &[Cell], baseline: &str, peers: &[(&str, &str)], units: &UnitCosts) -> CurveReport {
    let pooled = fit::pooled(cells);
    let of = |id: &str| cells.iter().find(|cell| cell.id == id);
    let gap_of = |(id, name): &(&str, &str)| {
        let rows = gaps(of(baseline)?, of(id)?, units, pooled.as_ref().ok());
        Some(((*name).to_owned(), rows))
    };
    CurveReport {
        name: name.to_owned(),
        cells: cells.iter().map(|cell| of_cell(cell, units)).collect(),
        gaps: peers.iter().filter_map(gap_of).collect(),
        unit_costs: pooled.map(|unit_costs| {
            let shown = |(kind, ns): &(&str, Drawn)| FaultCost::new(kind, ns, units);
            unit_costs.iter().map(shown).collect()
        }),
    }
}

fn of_cell(cell: &Cell, units: &UnitCosts) -> CellCurve {
    let row = |point: &Point| (point.operations, estimate(&point.time), KINDS.map(|kind| faults(point, kind)));
    let times: Vec<Drawn> = cell.points.iter().map(|point| point.time.clone()).collect();
    let line = ablate_stats::line::line(&inverse(cell), &times).filter(|_| times.len() > 2);
    CellCurve {
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

fn gaps(baseline: &Cell, peer: &Cell, units: &UnitCosts, pooled: Option<&Vec<(&str, Drawn)>>) -> Vec<GapAt> {
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

fn gap_at(difference: Difference, units: &UnitCosts, pooled: Option<&Vec<(&str, Drawn)>>) -> GapAt {
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
    GapAt {
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
