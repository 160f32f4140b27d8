//! The order of runs. Pure functions of the seed, so that a resumed study continues the order that it began.

use crate::config::Study;
use ablate_format::{Pass, StudyPlan};
use rand_core::Rng;
use rand_pcg::Pcg64;

/// Limit of the padding in bytes, which is always shorter: 16 cache lines, a quarter of an OS page of the stack.
const PAD_LIMIT: u64 = 1024;

/// One planned run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    /// Pass of the run.
    pub(crate) pass: Pass,
    /// Block or repeat, from 0.
    pub(crate) block: u32,
    /// Position within it, from 0.
    pub(crate) order: u32,
    /// Index of the workload.
    pub(crate) workload: usize,
    /// Index of the cell.
    pub(crate) cell: usize,
    /// Length of the padding variable's value in bytes; `None`: no padding.
    pub(crate) pad: Option<usize>,
}

/// All counting runs: each cell with each workload, with operations and idle, every repeat. In the order of the plan,
/// because counts with address randomisation off do not depend on what ran before. `sets` sets of repeats have the numbers
/// before: every shard of a study counts by itself, and has numbers that no other has.
pub(crate) fn counting(study: &Study, plan: &StudyPlan, sets: u32) -> Vec<Slot> {
    let mut passes = vec![Pass::Counting];
    if study.subject.idle_args.is_some() {
        passes.push(Pass::CountingIdle);
    }
    let mut out = Vec::new();
    let first = sets * study.counting_repeats;
    for block in first..first + study.counting_repeats {
        let mut order = 0;
        for workload in 0..plan.workloads.len() {
            for cell in running(plan, workload) {
                for &pass in &passes {
                    out.push(Slot { pass, block, order, workload, cell, pad: None });
                    order += 1;
                }
            }
        }
    }
    out
}

/// One block: workloads in random order, and within each workload all of its cells in random order, close in time.
pub(crate) fn block(seed: u64, block: u32, plan: &StudyPlan) -> Vec<Slot> {
    // The block selects the stream of the generator, so that each block can be drawn without the others.
    let mut random = Pcg64::new(u128::from(seed), u128::from(block));
    let mut out = Vec::new();
    for workload in shuffled(&mut random, plan.workloads.len()) {
        let cells = running(plan, workload);
        for index in shuffled(&mut random, cells.len()) {
            // The slots of a block fit in memory, and so their number into 32 bits.
            let order = out.len() as u32;
            let pad = Some(below(&mut random, PAD_LIMIT) as usize);
            out.push(Slot { pass: Pass::Timing, block, order, workload, cell: cells[index], pad });
        }
    }
    out
}

/// Indices of the cells that run with a workload.
pub(crate) fn running(plan: &StudyPlan, workload: usize) -> Vec<usize> {
    let runs = |cell: &usize| plan.workloads[workload].runs(&plan.cells[*cell].id);
    (0..plan.cells.len()).filter(runs).collect()
}

/// 0 to n − 1 in random order, each order equally likely (Fisher and Yates; Knuth, TAOCP 2, algorithm P).
fn shuffled(random: &mut Pcg64, n: usize) -> Vec<usize> {
    let mut out: Vec<usize> = (0..n).collect();
    for last in (1..n).rev() {
        out.swap(last, below(random, last as u64 + 1) as usize);
    }
    out
}

/// A number below `n`, each equally likely: draws from the incomplete last multiple of `n` are discarded.
fn below(random: &mut Pcg64, n: u64) -> u64 {
    let limit = u64::MAX - u64::MAX % n;
    loop {
        let draw = random.next_u64();
        if draw < limit {
            return draw % n;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// The demo plan with so many cells and workloads.
    fn plan(workloads: usize, cells: usize) -> StudyPlan {
        let mut plan = crate::store::tests::manifest().plan;
        let (workload, cell) = (plan.workloads[0].clone(), plan.cells[0].clone());
        let names = (0..workloads).map(|i| ablate_format::WorkloadPlan { name: format!("w{i}"), ..workload.clone() });
        plan.workloads = names.collect();
        plan.cells = (0..cells).map(|i| ablate_format::CellPlan { id: format!("c{i}"), ..cell.clone() }).collect();
        plan
    }

    #[test]
    fn a_block_is_complete_and_grouped_by_workload() {
        let slots = block(1, 0, &plan(3, 5));
        let pairs: BTreeSet<(usize, usize)> = slots.iter().map(|s| (s.workload, s.cell)).collect();
        assert_eq!((slots.len(), pairs.len()), (15, 15));
        for group in slots.chunks(5) {
            assert!(group.iter().all(|s| s.workload == group[0].workload));
        }
        assert!(slots.iter().enumerate().all(|(i, s)| s.order as usize == i));
        assert!(slots.iter().all(|s| s.pad.is_some_and(|pad| pad < 1024)));
    }

    #[test]
    fn a_workload_runs_only_its_cells() {
        let mut plan = plan(2, 4);
        plan.workloads[1].cells = vec!["c0".to_owned(), "c3".to_owned()];
        let slots = block(1, 0, &plan);
        let of = |workload| -> Vec<usize> {
            let mut cells: Vec<usize> = slots.iter().filter(|s| s.workload == workload).map(|s| s.cell).collect();
            cells.sort_unstable();
            cells
        };
        assert_eq!((of(0), of(1)), (vec![0, 1, 2, 3], vec![0, 3]));
        let study = crate::config::tests::parsed(crate::config::tests::GOOD).expect("good");
        let counted = counting(&study, &plan, 0);
        assert!(counted.iter().all(|s| s.workload == 0 || s.cell == 0 || s.cell == 3));
        // Both repeats, with operations and idle.
        assert_eq!(counted.len(), 6 * 2 * 2);
        let next: Vec<u32> = counting(&study, &plan, 1).iter().map(|slot| slot.block).collect();
        assert_eq!((next.len(), next.first(), next.last()), (6 * 2 * 2, Some(&2), Some(&3)), "the second shard's");
    }

    #[test]
    fn the_seed_and_the_block_decide_the_order() {
        let plan = plan(3, 5);
        assert_eq!(block(1, 4, &plan), block(1, 4, &plan));
        let order = |seed, number| block(seed, number, &plan).iter().map(|s| (s.workload, s.cell)).collect::<Vec<_>>();
        assert_ne!(order(1, 4), order(1, 5));
        assert_ne!(order(1, 4), order(2, 4));
    }

    #[test]
    fn every_cell_comes_at_every_position_equally_often() {
        let (blocks, cells) = (3000, 6);
        let plan = plan(1, cells);
        let mut seen = vec![vec![0_u32; cells]; cells];
        for number in 0..blocks {
            for slot in block(9, number, &plan) {
                seen[slot.cell][slot.order as usize] += 1;
            }
        }
        // 500 expected, standard deviation 20: five of them.
        assert!(seen.iter().flatten().all(|count| (400..=600).contains(count)), "{seen:?}");
    }
}
