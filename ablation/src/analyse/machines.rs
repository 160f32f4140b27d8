//! Effects on each of several machines, and over them.
//!
//! The machine is a level of its own: blocks are a sample of what happens on a machine, and machines a sample of their
//! kind. [`ablate_stats::machines`] has the method.

use super::index::Runs;
use ablate_format::effects::{EffectOnMachine, EffectOverMachines, Estimate};
use ablate_stats::bootstrap::{CONFIDENCE, Drawn};
use ablate_stats::machines::{AcrossMachines, Mean, OnMachine, across};

/// From so many machines on, an effect is that of machines like these, with its interval and verdict. Two have one degree
/// of freedom, by which nearly nothing could be claimed: there it is that of these machines, and both are told.
pub(crate) const DECIDING: usize = 3;

/// An effect on each machine that measured it, and over them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct OverMachines {
    /// As files have it.
    pub(crate) told: EffectOverMachines,
    /// What the machines together say.
    across: AcrossMachines,
}

impl OverMachines {
    /// The mean that is the value of the row: over machines of their kind where there are enough, else over these.
    pub(super) fn deciding(&self) -> &Mean {
        if self.told.each.len() >= DECIDING { &self.across.random } else { &self.across.fixed }
    }

    /// The machine that differs most from the mean of the others, with its effect and that mean. `None` where the machines
    /// may have one effect, at this probability of a false alarm.
    pub(crate) fn disagreeing(&self, alarm: f64) -> Option<(u32, f64, f64)> {
        if self.across.p >= alarm {
            return None;
        }
        let each = &self.told.each;
        let of_others = |machine: u32| {
            let others = || each.iter().filter(|other| other.machine != machine).map(|other| other.value.value);
            others().sum::<f64>() / others().count() as f64
        };
        let apart = each.iter().map(|one| (one.machine, one.value.value, of_others(one.machine)));
        // Of two machines the second is named.
        apart.max_by(|a, b| (a.1 - a.2).abs().total_cmp(&(b.1 - b.2).abs()))
    }
}

/// Every value of `drawn`, which computes those of the runs of one machine, over the machines of a workload, in the same
/// order. `common` has half of the width of the 95 % interval of what machines have in common, beside their blocks. Empty
/// where there is one machine.
pub(super) fn over(
    runs: &Runs,
    common: impl FnOnce() -> Vec<Option<f64>>,
    drawn: impl Fn(&Runs) -> Vec<Drawn>,
) -> Vec<Option<OverMachines>> {
    let machines = runs.machines();
    if machines.len() < 2 {
        return Vec::new();
    }
    let of_machine = |machine: &u32| (*machine, drawn(&runs.of_machine(*machine)));
    let by_machine: Vec<(u32, Vec<Drawn>)> = machines.iter().map(of_machine).collect();
    let at = |(place, common): (usize, Option<f64>)| {
        combined(by_machine.iter().map(|(machine, drawn)| (*machine, &drawn[place])), common)
    };
    common().into_iter().enumerate().map(at).collect()
}

/// One effect over the machines that have it.
fn combined<'d>(drawn: impl Iterator<Item = (u32, &'d Drawn)>, common: Option<f64>) -> Option<OverMachines> {
    let known = drawn.filter(|(_, drawn)| drawn.point.is_finite() && drawn.blocks > 0);
    let (mut each, mut values) = (Vec::new(), Vec::new());
    for (machine, drawn) in known {
        let value = Estimate { value: drawn.point, interval: drawn.interval(), blocks: drawn.blocks };
        each.push(EffectOnMachine { machine, value });
        values.push(OnMachine { estimate: drawn.point, error: drawn.standard_error(), blocks: drawn.blocks });
    }
    let across = across(&values)?.with_common_error(common.unwrap_or(0.0));
    let blocks = values.iter().map(|value| value.blocks).sum();
    let estimate =
        |mean: &Mean| Estimate { value: mean.estimate, interval: Some(mean.interval_at(CONFIDENCE)), blocks };
    let told = EffectOverMachines {
        each,
        these_machines: estimate(&across.fixed),
        machines_like_these: estimate(&across.random),
        between: across.between,
        share_between: across.share,
        p: across.p,
    };
    Some(OverMachines { told, across })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::fixture::Study;
    use crate::analyse::{Analysis, Effect, Verdict, analyse};

    /// A study of 12 blocks for each machine in which the factor costs so much on each.
    fn study(costs: &[f64]) -> Analysis {
        let study = Study::new(&["cache"], &["w"]);
        let machines = costs.len() as u32;
        let cost = |block: u32| costs[(block % machines) as usize];
        let mut records = study.records(12 * machines, |_, cell, block| {
            // Machines have speeds of their own.
            1_000.0 + 200.0 * f64::from(block % machines) - if cell.starts_with("no-cache") { cost(block) } else { 0.0 }
        });
        records.iter_mut().for_each(|record| record.machine = record.block % machines);
        analyse(&study.manifest, &records)
    }

    fn row(analysis: &Analysis) -> Effect {
        let mut effects = analysis.workloads[0].main_effects();
        effects.find(|effect| effect.contrast == "on-off").expect("a row in one binary").clone()
    }

    #[test]
    fn one_machine_has_no_such_level() {
        assert_eq!(row(&study(&[20.0])).machines, None);
    }

    #[test]
    fn two_machines_tell_both_intervals_and_the_row_is_of_these_machines() {
        let row = row(&study(&[20.0, 40.0]));
        let over = row.machines.as_deref().expect("two machines");
        let value = |estimate: Estimate| (estimate.value, estimate.interval.expect("an interval"));
        let (fixed, within) = value(over.told.these_machines);
        let (random, wide) = value(over.told.machines_like_these);
        assert!((fixed - 30.0).abs() < 0.5 && (random - 30.0).abs() < 0.5, "{over:?}");
        assert!(within.0 > 28.0 && within.1 < 32.0, "{over:?}");
        assert!(wide.0 < -80.0 && wide.1 > 140.0, "12.7 standard errors of 10: {over:?}");
        assert_eq!((row.verdict, row.estimate, row.lo), (Verdict::Costs, Some(fixed), Some(within.0)));
        let (machine, own, others) = over.disagreeing(0.05).expect("they differ");
        assert!(machine == 1 && (own - 40.0).abs() < 0.5 && (others - 20.0).abs() < 0.5, "{over:?}");
        assert!((over.told.between - 14.1).abs() < 0.5 && over.told.share_between > 0.9, "{over:?}");
    }

    #[test]
    fn machines_that_agree_decide_and_those_that_do_not_withhold_the_verdict() {
        let agree = row(&study(&[20.0, 20.0, 20.0, 20.0]));
        assert_eq!(agree.verdict, Verdict::Costs, "{agree:?}");
        assert_eq!(agree.machines.as_deref().and_then(|over| over.disagreeing(0.001)), None);
        let differ = row(&study(&[60.0, -20.0, 5.0]));
        assert!(!matches!(differ.verdict, Verdict::Costs | Verdict::Saves), "{differ:?}");
        assert_eq!(
            differ.lo,
            differ.machines.as_deref().and_then(|over| Some(over.told.machines_like_these.interval?.0))
        );
    }

    #[test]
    fn a_slower_machine_is_no_disturbance() {
        let analysis = study(&[20.0, 20.0]);
        let speeds = analysis.workloads[0].noise.iter().filter_map(|noise| noise.two_speeds);
        // Those of one machine, if any: the machines differ by 200 ns.
        assert!(speeds.into_iter().all(|speeds| speeds.slow_ns - speeds.fast_ns < 100.0));
    }

    #[test]
    fn layouts_that_all_machines_run_do_not_average_out() {
        // Three machines with 12 blocks each run the same three layouts, which differ by a standard deviation of 6 ns.
        let mut study = Study::new(&["cache"], &["w"]);
        (study.manifest.blocks, study.manifest.plan.layouts) = (36, 3);
        study.cell("no-cache@feature").build = "without".to_owned();
        let of_layout = [-6.0, 0.0, 6.0];
        let layout = |block: u32| (block / 3) % 3;
        let mut records = study.records(36, |_, cell, block| {
            1_000.0 - if cell == "no-cache@feature" { 20.0 + of_layout[layout(block) as usize] } else { 0.0 }
        });
        records
            .iter_mut()
            .for_each(|record| (record.machine, record.layout) = (record.block % 3, layout(record.block)));
        let analysis = analyse(&study.manifest, &records);
        let mut effects = analysis.workloads[0].main_effects();
        let row = effects.find(|effect| effect.contrast == "on-absent").expect("a row between builds").clone();
        let over = &row.machines.as_deref().expect("three machines").told;
        assert!(over.p > 0.05, "machines with the same layouts agree: {over:?}");
        // Student's t with two degrees of freedom: 4.3 · 6 / √3 is 15 ns.
        for (lo, hi) in [over.these_machines, over.machines_like_these].map(|mean| mean.interval.expect("an interval"))
        {
            assert!(hi - lo > 15.0, "{over:?}");
        }
    }
}
