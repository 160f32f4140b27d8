//! A cross-check of the unit costs: least squares of the cells' times on their counts.
//!
//! The measured unit costs are those of a bare first touch or call. In a workload the same events may cost more (cold
//! caches, larger address spaces) or less. Cells differ in their counts, so their times tell too; when they do not
//! differ enough, nothing is told.

use super::counts::Counts;
use super::input::Input;
use super::intervals::estimate;
use super::units::UnitCost;
use crate::support::count::{counted, counted_verb};
use ablate_format::effects::{CrossCheck, Estimate, FittedCost};
use ablate_stats::bootstrap::Drawn;
use ablate_stats::distribution::t_quantile;
use ablate_stats::line::{Regression, regress};

/// Largest condition number with which coefficients are believed: beyond 30 columns depend on each other so much that
/// small errors of the times are large ones of the coefficients (Belsley, Kuh and Welsch, "Regression Diagnostics",
/// 1980, section 3.2).
pub(crate) const MAX_CONDITION: f64 = 30.0;

/// A kind takes part when its counts differ so much that its unit cost makes up this share of the spread of the times.
/// What is less cannot be seen, and would only take the others' part.
const MIN_SPREAD: f64 = 0.02;

/// Rows beyond the number of coefficients: without any, every model fits.
const MIN_DEGREES: usize = 2;

/// What follows when the measured unit costs do not fit, in one sentence; `None` when they fit.
///
/// `events` is what all events make up of the gap at the measured unit costs, in nanoseconds per operation.
pub(super) fn disagreement(check: &CrossCheck, events: f64) -> Option<String> {
    let (lo, hi) = check.scale.interval.filter(|_| check.disagree)?;
    let scale = check.scale.value;
    let then = match events {
        0.0 => "here there is no difference in them".to_owned(),
        _ => {
            let (unit, name) = if events.abs() >= 1e4 { (1e3, "µs") } else { (1.0, "ns") };
            let (now, then) = (events / unit, scale * events / unit);
            format!(
                "then they are {then:+.0} {name} of the gap instead of {now:+.0}, and the other rows take the difference"
            )
        }
    };
    Some(format!(
        "by the times of {} ({} cells) page faults and system calls cost {scale:.2} [{lo:.2}, {hi:.2}] times what they \
         cost measured apart; {then}",
        check.over, check.cells,
    ))
}

/// Fits the unit costs to the times of the cells.
///
/// First over the combinations of the crossed factors, each factor with a coefficient of its own, so that what a factor
/// does itself is not taken for what it does through events. When that does not identify the unit costs (its events follow
/// the factor), over all cells with nothing but the counts.
///
/// # Errors
/// Why nothing is told, for people.
pub(crate) fn cross_check(input: &Input, kinds: &[(&str, UnitCost)]) -> Result<CrossCheck, String> {
    let over_masks = crossed(input, kinds);
    let cells: Vec<(&Drawn, &Counts)> = input.cells.iter().map(|(value, counts)| (value, counts)).collect();
    over_masks.or_else(|of_masks| {
        check_over("all cells", &cells, &[], kinds).map_err(|of_cells| match input.masks.is_empty() {
            true => of_cells,
            false => format!("over the combinations: {of_masks}; over all cells: {of_cells}"),
        })
    })
}

fn crossed(input: &Input, kinds: &[(&str, UnitCost)]) -> Result<CrossCheck, String> {
    let cells: Vec<(&Drawn, &Counts)> = input.masks.iter().zip(input.mask_counts).collect();
    let is_at_work = |factor: usize| (0..cells.len()).map(|mask| (mask >> factor & 1) as f64).collect();
    let factors: Vec<Vec<f64>> = (0..input.factors.len()).map(is_at_work).collect();
    check_over("the combinations, with a coefficient for each factor", &cells, &factors, kinds)
}

fn check_over(
    over: &'static str,
    cells: &[(&Drawn, &Counts)],
    factors: &[Vec<f64>],
    kinds: &[(&str, UnitCost)],
) -> Result<CrossCheck, String> {
    let is_whole = |(value, counts): &&(&Drawn, &Counts)| {
        value.point.is_finite() && kinds.iter().all(|(kind, _)| counts.contains_key(*kind))
    };
    let cells: Vec<&(&Drawn, &Counts)> = cells.iter().filter(is_whole).collect();
    let times: Vec<Drawn> = cells.iter().map(|(value, _)| (*value).clone()).collect();
    let spread = range(&times.iter().map(|time| time.point).collect::<Vec<_>>());
    let columns: Vec<(&str, &Drawn, Vec<f64>)> = kinds
        .iter()
        .map(|(kind, cost)| (*kind, cost.ns, cells.iter().map(|(_, counts)| counts[*kind]).collect()))
        .collect();
    let seen: Vec<_> = columns.iter().filter(|(_, ns, n)| range(n) * ns.point > MIN_SPREAD * spread).collect();
    let mut fixed = vec![vec![1.0; cells.len()]];
    fixed.extend(factors.iter().cloned());
    let cost = |at: usize| columns.iter().map(|(_, ns, counts)| ns.point * counts[at]).sum::<f64>();
    let all: Vec<f64> = (0..cells.len()).map(cost).collect();
    if range(&all) <= MIN_SPREAD * spread {
        return Err("the cells do not differ in events that would show in their times".to_owned());
    }
    let together = fit(&fixed, &[all], &times)?;
    let own: Vec<Vec<f64>> = seen.iter().map(|(_, _, counts)| counts.clone()).collect();
    let unit_costs = fit(&fixed, &own, &times).map(|fit| {
        let cost = |((kind, ns, _), at): (&&(&str, &Drawn, Vec<f64>), usize)| FittedCost {
            kind: (*kind).to_owned(),
            measured: Some(estimate(ns)),
            fitted: fit.of(at),
            disagree: fit.widened(&fit.coefficients[at].combine(ns, |a, b| a - b), at).excludes_zero(),
        };
        seen.iter().zip(0..).map(cost).collect()
    });
    let scale = together.of(0);
    let disagree = scale.interval.is_some_and(|(lo, hi)| hi < 1.0 || 1.0 < lo);
    let Fit { condition, r2, .. } = together;
    Ok(CrossCheck { over: over.to_owned(), cells: cells.len(), condition, r2, scale, disagree, unit_costs })
}

fn range(values: &[f64]) -> f64 {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    (values.iter().copied().fold(f64::NEG_INFINITY, f64::max) - low).max(0.0)
}

/// Coefficients of the columns that are asked for, with what they move when one cell is left out.
struct Fit {
    coefficients: Vec<Drawn>,
    scatter: Vec<f64>,
    /// Student's t of 97.5 % with the degrees of freedom of the fit.
    t: f64,
    condition: f64,
    r2: f64,
}

impl Fit {
    fn of(&self, at: usize) -> Estimate {
        self.widened(&self.coefficients[at], at)
    }

    /// The interval of the noise, and beyond it that of the jackknife of a coefficient.
    fn widened(&self, drawn: &Drawn, at: usize) -> Estimate {
        let alone = estimate(drawn);
        let end = |end: f64, sign: f64| alone.value + sign * (end - alone.value).hypot(self.t * self.scatter[at]);
        Estimate { interval: alone.interval.map(|(lo, hi)| (end(lo, -1.0), end(hi, 1.0))), ..alone }
    }
}

fn fit(fixed: &[Vec<f64>], asked: &[Vec<f64>], times: &[Drawn]) -> Result<Fit, String> {
    let columns = [fixed, asked].concat();
    if times.len() < columns.len() + MIN_DEGREES {
        let cells = counted_verb(times.len(), "cell", ["is", "are"]);
        return Err(format!("{cells} too few for {}", counted(columns.len(), "coefficient")));
    }
    let found = regress(&columns, times).filter(|found| found.condition <= MAX_CONDITION);
    let Some(Regression { mut coefficients, condition, r2, .. }) = found else {
        return Err("the counts vary together, so that single unit costs cannot be told apart".to_owned());
    };
    let Some(mut scatter) = jackknife(&columns, times) else {
        return Err("the unit costs would depend on one cell alone".to_owned());
    };
    let t = t_quantile(0.975, times.len() - columns.len());
    Ok(Fit {
        coefficients: coefficients.split_off(fixed.len()),
        scatter: scatter.split_off(fixed.len()),
        t,
        condition,
        r2,
    })
}

/// Standard error of every coefficient by how much it moves when one row is left out (Efron, "The Jackknife, the
/// Bootstrap and Other Resampling Plans", 1982, section 3.1); `None` when a coefficient hangs on one row.
fn jackknife(columns: &[Vec<f64>], times: &[Drawn]) -> Option<Vec<f64>> {
    let rows = times.len();
    let points: Vec<Drawn> = times.iter().map(|time| Drawn::new(time.point, time.blocks, Vec::new())).collect();
    let mut without: Vec<Vec<f64>> = vec![Vec::with_capacity(rows); columns.len()];
    for left_out in 0..rows {
        let remaining = |column: &Vec<f64>| [&column[..left_out], &column[left_out + 1..]].concat();
        let columns: Vec<Vec<f64>> = columns.iter().map(remaining).collect();
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
    use crate::unit_costs::{PAGE_FAULT_4K, UNMAP_PAGE};

    /// Cross-check over cells (time without faults, faults) in which a fault costs 700 ns, against a unit cost of
    /// `measured`.
    fn check_over(measured: f64, cells: &[(f64, f64)]) -> Result<CrossCheck, String> {
        let units: UnitCosts = unit_costs(&[(PAGE_FAULT_4K, measured)]);
        let cells: Vec<(Drawn, Counts)> = cells
            .iter()
            .map(|(own, faults)| (noisy(own + 700.0 * faults, 2.0, 5), counts(&[(PAGE_FAULT_4K, *faults)])))
            .collect();
        cross_check(&input(&cells, &units), &[(PAGE_FAULT_4K, units.cost(PAGE_FAULT_4K).unwrap())])
    }

    /// No combinations, only cells; the breakdown itself does not matter here.
    fn input<'a>(cells: &'a [(Drawn, Counts)], units: &'a UnitCosts) -> Input<'a> {
        Input {
            factors: &[],
            masks: &[],
            mask_counts: &[],
            baseline: &cells[0].0,
            peer: &cells[1].0,
            baseline_counts: &cells[0].1,
            peer_counts: &cells[1].1,
            cells,
            unit_costs: units,
        }
    }

    const CELLS: [(f64, f64); 5] = [(100.0, 50.0), (100.0, 1.0), (100.0, 25.0), (100.0, 10.0), (100.0, 40.0)];

    #[test]
    fn the_unit_cost_is_recovered_from_the_times() {
        let check = check_over(700.0, &CELLS).unwrap();
        let cost = &check.unit_costs.as_ref().unwrap()[0];
        assert!((cost.fitted.value - 700.0).abs() < 1e-6 && !cost.disagree, "{cost:?}");
        assert!((check.scale.value - 1.0).abs() < 1e-6 && !check.disagree, "{check:?}");
        assert!(check.r2 > 0.999 && check.condition < MAX_CONDITION, "{check:?}");
        assert_eq!(disagreement(&check, 49.0 * 700.0), None);
    }

    #[test]
    fn a_unit_cost_that_disagrees_is_said_with_what_it_would_move() {
        let check = check_over(500.0, &CELLS).unwrap();
        assert!(check.unit_costs.as_ref().unwrap()[0].disagree);
        let said = [49.0 * 500.0, 5_000.0, 0.0].map(|events| disagreement(&check, events).expect("they disagree"));
        insta::assert_snapshot!("disagreement", said.join("\n"));
    }

    #[test]
    fn cells_that_differ_in_more_than_their_counts_make_the_interval_wide() {
        let own = [1_000.0, 100.0, 2_500.0, 400.0, 2_000.0];
        let cells: Vec<(f64, f64)> = CELLS.iter().zip(own).map(|((_, faults), own)| (own, *faults)).collect();
        let check = check_over(650.0, &cells).unwrap();
        let cost = &check.unit_costs.as_ref().unwrap()[0];
        let (lo, hi) = cost.fitted.interval.unwrap();
        assert!(lo < 650.0 && 700.0 < hi && !cost.disagree && !check.disagree, "{check:?}");
    }

    #[test]
    fn kinds_that_vary_together_have_one_scale() {
        let units = unit_costs(&[(PAGE_FAULT_4K, 500.0), (UNMAP_PAGE, 100.0)]);
        let cell = |(own, pages): &(f64, f64)| {
            (noisy(own + 1_200.0 * pages, 2.0, 5), counts(&[(PAGE_FAULT_4K, *pages), (UNMAP_PAGE, *pages)]))
        };
        let cells: Vec<(Drawn, Counts)> = CELLS.iter().map(cell).collect();
        let input = input(&cells, &units);
        let kinds = [PAGE_FAULT_4K, UNMAP_PAGE].map(|kind| (kind, units.cost(kind).unwrap()));
        let check = cross_check(&input, &kinds).unwrap();
        assert!((check.scale.value - 2.0).abs() < 1e-6 && check.disagree, "{check:?}");
        assert_eq!(
            check.unit_costs.unwrap_err(),
            "the counts vary together, so that single unit costs cannot be told apart"
        );
    }

    #[test]
    fn a_unit_cost_that_nothing_tells_is_not_given() {
        let same = [(100.0, 5.0); 6];
        let single = [(100.0, 50.0), (100.0, 1.0), (100.0, 1.0), (100.0, 1.0), (100.0, 1.0)];
        let said =
            [&same[..], &CELLS[..3], &single].map(|cells| check_over(700.0, cells).expect_err("nothing tells it"));
        insta::assert_snapshot!("no_cross_check", said.join("\n"));
    }
}
