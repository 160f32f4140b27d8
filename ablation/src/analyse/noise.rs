//! What disturbed the runs of each cell: batches that were not retained, time away from the processor, two speeds.
//!
//! Nothing is left out because of it here; it tells a reader which cells to distrust.

use super::index::{CellRuns, Runs};
use ablate_format::effects::{Noise, TwoSpeeds};
use ablate_format::{MainResponse, WorkloadPlan};
use ablate_stats::modes;
use std::collections::BTreeMap;

/// One entry for each cell with proven timing runs, in the order of the plan.
pub(super) fn noise(plan: &WorkloadPlan, runs: &Runs) -> Vec<Noise> {
    let timed = runs.cells.iter().filter(|cell| !cell.timing.is_empty());
    timed.map(|cell| of_cell(&plan.name, plan.response, cell)).collect()
}

fn of_cell(workload: &str, response: MainResponse, cell: &CellRuns) -> Noise {
    let timing = || cell.timing.values();
    let (retained, all) =
        timing().filter_map(|run| run.undisturbed.retained).fold((0, 0), |sum, run| (sum.0 + run.0, sum.1 + run.1));
    let switches: Vec<(u64, u64)> = timing().filter_map(|run| run.record.context_switches).collect();
    let mean = |value: fn(&(u64, u64)) -> u64| {
        switches.iter().map(|run| value(run) as f64).sum::<f64>() / switches.len() as f64
    };
    let mut by_machine: BTreeMap<u32, Vec<f64>> = BTreeMap::new();
    for run in timing() {
        by_machine.entry(run.record.machine).or_default().extend(run.value(response));
    }
    // Two machines are two speeds by themselves.
    let two_speeds = by_machine.values().find_map(|values| modes::bimodal(values));
    Noise {
        workload: workload.to_owned(),
        cell: cell.plan.id.clone(),
        runs: cell.timing.len(),
        retained: (all > 0).then(|| retained as f64 / all as f64),
        contended: timing().filter(|run| run.undisturbed.retained.is_some() && run.undisturbed.p10.is_none()).count(),
        context_switches: (!switches.is_empty()).then(|| (mean(|run| run.0), mean(|run| run.1))),
        two_speeds: two_speeds.filter(|_| response.is_latency()).map(|found| TwoSpeeds {
            fast_ns: found.low,
            slow_ns: found.high,
            slow_share: 1.0 - found.low_share,
        }),
    }
}

#[cfg(test)]
mod tests {
    use crate::analyse::analyse;
    use crate::analyse::fixture::Study;

    #[test]
    fn each_cell_tells_what_disturbed_it() {
        let study = Study::new(&["cache"], &["w"]);
        let slow = |cell: &str, block: u32| if cell == "placebo" && block.is_multiple_of(3) { 1_000.0 } else { 0.0 };
        let mut records = study.records(30, |_, cell, block| 2_000.0 + slow(cell, block));
        for record in records.iter_mut().filter(|r| r.cell == "baseline") {
            record.context_switches = Some((u64::from(record.block % 2), 3));
            let measured = record.measured.as_mut().unwrap();
            measured.batches_ns = vec![2_000.0; 16];
            // Of one run in ten all but four batches are disturbed.
            let is_quiet = |i: usize| !record.block.is_multiple_of(10) || i < 5;
            measured.contention_probes_ns = (0..17).map(|i| if is_quiet(i) { 0.57 } else { 1.1 }).collect();
        }
        let noise = analyse(&study.manifest, &records).workloads.remove(0).noise;
        let of = |cell: &str| noise.iter().find(|row| row.cell == cell).expect("there");
        let baseline = of("baseline");
        assert_eq!((baseline.runs, baseline.contended, baseline.context_switches), (30, 3, Some((0.5, 3.0))));
        assert!(baseline.retained.is_some_and(|retained| (retained - 0.925).abs() < 1e-9), "{baseline:?}");
        assert!(baseline.two_speeds.is_none());
        let placebo = of("placebo");
        assert_eq!((placebo.retained, placebo.contended, placebo.context_switches), (None, 0, None));
        let speeds = placebo.two_speeds.expect("two speeds");
        assert!((speeds.slow_ns - speeds.fast_ns - 1_000.0).abs() < 2.0, "{speeds:?}");
        assert!((speeds.slow_share - 1.0 / 3.0).abs() < 1e-9);
    }
}
