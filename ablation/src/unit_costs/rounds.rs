//! Rounds of all probes, each probe between two contention probes, and the costs that follow from them.

use super::probes::{self, Costs, Probe};
use ablate_stats::order::{percentile, sorted};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Fewest rounds, also on a slow machine. The first one warms up, and the others give a low percentile.
const MIN_ROUNDS: usize = 4;

/// Most rounds.
const MAX_ROUNDS: usize = 12;

/// Largest slowdown of the contention probe, before and after a probe, for an undisturbed reading. It is above the
/// probe's own scatter of 1 to 2 % and far below the factor of 1.7 to 2 of a busy neighbour.
const UNDISTURBED: f64 = 1.08;

/// The percentile of the rounds that is the unit cost. It is low, because a disturbance only adds time.
const LOW: f64 = 0.1;

/// One probe in one round.
struct Reading {
    costs: Costs,
    /// The slower of the contention probes before and after.
    contention_probe: f64,
}

/// The readings of all rounds.
pub(super) struct Rounds<C> {
    contention_probe: C,
    readings: Vec<Reading>,
}

impl<C: FnMut() -> f64> Rounds<C> {
    pub(super) fn new(contention_probe: C) -> Rounds<C> {
        Rounds { contention_probe, readings: Vec::new() }
    }

    /// Runs all probes in turn until the time is up. The first round is discarded.
    pub(super) fn run(&mut self, budget: Duration, all: &[Probe]) {
        let start = Instant::now();
        let clock = probes::clock();
        let mut before = (self.contention_probe)();
        for round in 0..MAX_ROUNDS {
            if round >= MIN_ROUNDS && start.elapsed() >= budget {
                break;
            }
            for probe in all {
                let costs = probe(clock);
                let after = (self.contention_probe)();
                if round > 0 {
                    self.readings.push(Reading { costs, contention_probe: before.max(after) });
                }
                before = after;
            }
        }
    }

    /// The low percentile of the undisturbed readings, by kind, in nanoseconds. A kind without an undisturbed reading
    /// uses all of its readings.
    ///
    /// A cost that is not above 0 is below the resolution of the clock, and is left out.
    pub(super) fn costs(&self) -> BTreeMap<String, f64> {
        let best = self.readings.iter().map(|reading| reading.contention_probe).fold(f64::INFINITY, f64::min);
        let mut kinds: BTreeMap<&str, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
        for reading in &self.readings {
            for (kind, ns) in &reading.costs {
                let (undisturbed, all) = kinds.entry(kind).or_default();
                all.push(*ns);
                if reading.contention_probe <= best * UNDISTURBED {
                    undisturbed.push(*ns);
                }
            }
        }
        let costs = kinds.into_iter().filter_map(|(kind, (undisturbed, all))| {
            let used = if undisturbed.is_empty() { all } else { undisturbed };
            Some((kind.to_owned(), percentile(&sorted(&used), LOW)?))
        });
        costs.filter(|(_, ns)| *ns > 0.0).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(readings: &[(f64, f64)]) -> BTreeMap<String, f64> {
        let readings = readings
            .iter()
            .map(|(ns, contention_probe)| Reading { costs: vec![("x", *ns)], contention_probe: *contention_probe });
        Rounds { contention_probe: || 1.0, readings: readings.collect() }.costs()
    }

    #[test]
    fn disturbed_rounds_are_left_out() {
        // A disturbed round is left out even when it reads less.
        assert_eq!(rounds(&[(100.0, 1.0), (40.0, 1.9), (100.0, 1.05), (180.0, 1.8)])["x"], 100.0);
    }

    #[test]
    fn the_low_percentile_of_undisturbed_rounds_is_taken() {
        let readings: Vec<(f64, f64)> = (0..11).map(|at| (100.0 + f64::from(at), 1.0)).collect();
        assert_eq!(rounds(&readings)["x"], 101.0);
    }

    #[test]
    fn a_kind_that_was_always_disturbed_uses_all_rounds_and_costs_are_above_0() {
        let readings = vec![
            Reading { costs: vec![("undisturbed", 5.0), ("below-the-clock", -0.5)], contention_probe: 1.0 },
            Reading { costs: vec![("disturbed", 7.0)], contention_probe: 2.0 },
        ];
        let costs = Rounds { contention_probe: || 1.0, readings }.costs();
        assert_eq!(costs, BTreeMap::from([("undisturbed".to_owned(), 5.0), ("disturbed".to_owned(), 7.0)]));
    }

    #[test]
    fn the_first_round_warms_up_and_the_time_is_kept() {
        let mut taken = 0;
        let mut rounds = Rounds::new(|| {
            taken += 1;
            1.0
        });
        rounds.run(Duration::ZERO, &[|_| vec![("x", 1.0)]]);
        assert_eq!(rounds.readings.len(), MIN_ROUNDS - 1);
        assert_eq!(taken, MIN_ROUNDS + 1);
    }
}
