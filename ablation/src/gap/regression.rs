//! A second opinion on the prices: least squares of the cells' times on their counts.
//!
//! The measured prices are those of a bare first touch or call. In a workload the same events may cost more (cold
//! caches, larger address spaces) or less. Cells differ in their counts, so their times tell too; when they do not
//! differ enough, nothing is told.

use super::units::Price;
use super::{Counts, Input, estimate};
use crate::analyse::Estimate;
use crate::stats::bootstrap::Drawn;
use crate::stats::distribution::t_quantile;
use crate::stats::line::{Regression, regress};
use serde::Serialize;

/// Largest condition number with which coefficients are believed: beyond 30 columns depend on each other so much that
/// small errors of the times are large ones of the coefficients (Belsley, Kuh and Welsch, "Regression Diagnostics",
/// 1980, section 3.2).
pub const MAX_CONDITION: f64 = 30.0;

/// A kind takes part when its counts differ so much that its price makes up this share of the spread of the times.
/// What is less cannot be seen, and would only take the others' part.
const MIN_SPREAD: f64 = 0.02;

/// Rows beyond the number of coefficients: without any, every model fits.
const MIN_DEGREES: usize = 2;

/// What the cells say about the prices.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Opinion {
    /// Which cells were taken, for people.
    pub over: &'static str,
    /// Number of cells.
    pub cells: usize,
    /// Condition number of the columns, at most [`MAX_CONDITION`].
    pub condition: f64,
    /// Share of the variance of the times that the model explains.
    pub r2: f64,
    /// One for each kind of which the counts differ enough.
    pub prices: Vec<OpinionOfPrice>,
}

/// Both prices of one kind.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OpinionOfPrice {
    /// The kind of event.
    pub kind: String,
    /// What was measured apart, nanoseconds.
    pub measured: Estimate,
    /// What the times of the cells say, nanoseconds. The interval is for the noise of the times and for what the model
    /// leaves out, as far as cells differ in it.
    pub fitted: Estimate,
    /// Whether the interval of their difference lies on one side of 0.
    pub disagree: bool,
}

impl Opinion {
    /// One sentence for each kind of which the two prices disagree; `difference` is the difference of its counts.
    pub(super) fn disagreements(&self, difference: impl Fn(&str) -> f64) -> Vec<String> {
        let disagreeing = self.prices.iter().filter(|price| price.disagree);
        let sentence = |price: &OpinionOfPrice| {
            let moved = difference(&price.kind) * (price.fitted.value - price.measured.value);
            format!(
                "{}: {:.0} ns when measured apart, {:.0} ns by the times of the cells; with the latter its row would \
                 be {moved:+.0} ns and the residual {:+.0} ns",
                price.kind, price.measured.value, price.fitted.value, -moved
            )
        };
        disagreeing.map(sentence).collect()
    }
}

/// Fits the prices to the times of the cells.
///
/// First over the combinations of the crossed factors, each factor with a coefficient of its own, so that what a source
/// does itself is not taken for what it does through events. When that does not identify the prices (its events follow
/// the source), over all cells with nothing but the counts.
///
/// # Errors
/// Why the prices are not identified, for people.
pub fn second_opinion(input: &Input, kinds: &[(&str, Price)]) -> Result<Opinion, String> {
    let over_masks = crossed(input, kinds);
    let cells: Vec<(&Drawn, &Counts)> = input.cells.iter().map(|(value, counts)| (value, counts)).collect();
    over_masks.or_else(|of_masks| {
        fit("all cells", &cells, &[], kinds).map_err(|of_cells| match input.masks.is_empty() {
            true => of_cells,
            false => format!("over the combinations: {of_masks}; over all cells: {of_cells}"),
        })
    })
}

fn crossed(input: &Input, kinds: &[(&str, Price)]) -> Result<Opinion, String> {
    let cells: Vec<(&Drawn, &Counts)> = input.masks.iter().zip(input.mask_counts).collect();
    let is_at_work = |factor: usize| (0..cells.len()).map(|mask| (mask >> factor & 1) as f64).collect();
    let factors: Vec<Vec<f64>> = (0..input.factors.len()).map(is_at_work).collect();
    fit("the combinations, with a coefficient for each source", &cells, &factors, kinds)
}

fn fit(
    over: &'static str,
    cells: &[(&Drawn, &Counts)],
    factors: &[Vec<f64>],
    kinds: &[(&str, Price)],
) -> Result<Opinion, String> {
    let cells: Vec<_> = cells
        .iter()
        .filter(|(value, counts)| value.point.is_finite() && kinds.iter().all(|(kind, _)| counts.contains_key(*kind)))
        .collect();
    let times: Vec<Drawn> = cells.iter().map(|(value, _)| (*value).clone()).collect();
    let range = |values: &[f64]| {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        (values.iter().copied().fold(f64::NEG_INFINITY, f64::max) - low).max(0.0)
    };
    let spread = range(&times.iter().map(|time| time.point).collect::<Vec<_>>());
    let mut fitted_kinds = Vec::new();
    let mut columns = vec![vec![1.0; cells.len()]];
    columns.extend(factors.iter().cloned());
    for (kind, price) in kinds {
        let counts: Vec<f64> = cells.iter().map(|(_, counts)| counts[*kind]).collect();
        if range(&counts) * price.ns.point > MIN_SPREAD * spread {
            fitted_kinds.push((*kind, price));
            columns.push(counts);
        }
    }
    if fitted_kinds.is_empty() {
        return Err("the cells do not differ in events that would show in their times".to_owned());
    }
    if cells.len() < columns.len() + MIN_DEGREES {
        return Err(format!("{} cells are too few for {} coefficients", cells.len(), columns.len()));
    }
    let names = || fitted_kinds.iter().map(|(kind, _)| *kind).collect::<Vec<_>>().join(", ");
    let found = regress(&columns, &times).filter(|found| found.condition <= MAX_CONDITION);
    let Some(Regression { coefficients, condition, r2 }) = found else {
        return Err(format!("the counts vary together, so that their prices cannot be told apart: {}", names()));
    };
    let first = 1 + factors.len();
    let Some(scatter) = jackknife(&columns, &times) else {
        return Err(format!(
            "one cell alone tells the prices of {}, so that nothing tells whether it is right",
            names()
        ));
    };
    let t = t_quantile(0.975, cells.len() - columns.len());
    let widened = |drawn: &Drawn, scatter: f64| {
        let alone = estimate(drawn);
        let end = |end: f64, sign: f64| alone.value + sign * (end - alone.value).hypot(t * scatter);
        Estimate { interval: alone.interval.map(|(lo, hi)| (end(lo, -1.0), end(hi, 1.0))), ..alone }
    };
    let fitted = fitted_kinds.iter().zip(&coefficients[first..]).zip(&scatter[first..]);
    let prices = fitted.map(|(((kind, price), fitted), scatter)| OpinionOfPrice {
        kind: (*kind).to_owned(),
        measured: estimate(price.ns),
        fitted: widened(fitted, *scatter),
        disagree: widened(&fitted.combine(price.ns, |fitted, measured| fitted - measured), *scatter).excludes_zero(),
    });
    Ok(Opinion { over, cells: cells.len(), condition, r2, prices: prices.collect() })
}

/// Standard error of every coefficient by how much it moves when one row is left out (Efron, "The Jackknife, the
/// Bootstrap and Other Resampling Plans", 1982, section 3.1); `None` when a coefficient hangs on one row.
fn jackknife(columns: &[Vec<f64>], times: &[Drawn]) -> Option<Vec<f64>> {
    let rows = times.len();
    let points: Vec<Drawn> = times.iter().map(|time| Drawn::new(time.point, time.blocks, Vec::new())).collect();
    let mut without: Vec<Vec<f64>> = vec![Vec::with_capacity(rows); columns.len()];
    for left_out in 0..rows {
        let kept = |column: &Vec<f64>| [&column[..left_out], &column[left_out + 1..]].concat();
        let columns: Vec<Vec<f64>> = columns.iter().map(kept).collect();
        let times = [&points[..left_out], &points[left_out + 1..]].concat();
        let found = regress(&columns, &times)?;
        without.iter_mut().zip(found.coefficients).for_each(|(all, one)| all.push(one.point));
    }
    let error = |values: &Vec<f64>| {
        let mean = values.iter().sum::<f64>() / rows as f64;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        (squares * (rows - 1) as f64 / rows as f64).sqrt()
    };
    Some(without.iter().map(error).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gap::UnitCosts;
    use crate::gap::fixture::{counts, noisy, unit_costs};
    use crate::unit_costs::PAGE_FAULT_4K;

    /// Opinion over cells (time without faults, faults), each fault costing 700 ns, against a measured price of `measured`.
    fn opinion(measured: f64, cells: &[(f64, f64)]) -> Result<Opinion, String> {
        let units: UnitCosts = unit_costs(&[(PAGE_FAULT_4K, measured)]);
        let cells: Vec<(Drawn, Counts)> = cells
            .iter()
            .map(|(own, faults)| (noisy(own + 700.0 * faults, 2.0, 5), counts(&[(PAGE_FAULT_4K, *faults)])))
            .collect();
        let none = Counts::new();
        let input = Input {
            factors: &[],
            masks: &[],
            mask_counts: &[],
            baseline: &cells[0].0,
            peer: &cells[1].0,
            baseline_counts: &none,
            peer_counts: &none,
            cells: &cells,
            unit_costs: &units,
        };
        second_opinion(&input, &[(PAGE_FAULT_4K, units.price(PAGE_FAULT_4K).unwrap())])
    }

    const CELLS: [(f64, f64); 5] = [(100.0, 50.0), (100.0, 1.0), (100.0, 25.0), (100.0, 10.0), (100.0, 40.0)];

    #[test]
    fn the_price_is_recovered_from_the_times() {
        let opinion = opinion(700.0, &CELLS).unwrap();
        let price = &opinion.prices[0];
        assert!((price.fitted.value - 700.0).abs() < 1e-6 && !price.disagree, "{price:?}");
        assert!(opinion.r2 > 0.999 && opinion.condition < MAX_CONDITION, "{opinion:?}");
        assert!(opinion.disagreements(|_| 49.0).is_empty());
    }

    #[test]
    fn a_price_that_disagrees_is_said_with_what_it_would_move() {
        let opinion = opinion(500.0, &CELLS).unwrap();
        assert!(opinion.prices[0].disagree);
        let remarks = opinion.disagreements(|_| 49.0);
        assert_eq!(remarks.len(), 1);
        assert!(remarks[0].contains("500 ns when") && remarks[0].contains("+9800 ns"), "{remarks:?}");
    }

    #[test]
    fn cells_that_differ_in_more_than_their_counts_make_the_interval_wide() {
        let own = [1_000.0, 100.0, 2_500.0, 400.0, 2_000.0];
        let cells: Vec<(f64, f64)> = CELLS.iter().zip(own).map(|((_, faults), own)| (own, *faults)).collect();
        let opinion = opinion(650.0, &cells).unwrap();
        let (lo, hi) = opinion.prices[0].fitted.interval.unwrap();
        assert!(lo < 650.0 && 700.0 < hi && !opinion.prices[0].disagree, "{opinion:?}");
    }

    #[test]
    fn a_price_that_nothing_tells_is_not_given() {
        let same = opinion(700.0, &[(100.0, 5.0); 6]);
        assert!(same.unwrap_err().contains("do not differ"));
        let few = opinion(700.0, &CELLS[..3]);
        assert!(few.unwrap_err().contains("too few"));
        let single = opinion(700.0, &[(100.0, 50.0), (100.0, 1.0), (100.0, 1.0), (100.0, 1.0), (100.0, 1.0)]);
        assert!(single.unwrap_err().contains("one cell alone"));
    }
}
