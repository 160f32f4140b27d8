//! Tests that intervals over several machines cover at their stated rate, and why the method was chosen.
//!
//! `just coverage` prints coverage and half-width of the candidates for 2, 3, 5 and 20 machines. Among the other tests a
//! few hundred studies of each are simulated.

use super::distribution::{normal_quantile, t_quantile};
use super::machines::{AcrossMachines, OnMachine, across};
use super::order::percentile_of;
use super::random::{Pcg64, normal, seeded, uniform};
use super::table::table;

/// The mean effect over all machines there are.
const EFFECT: f64 = 5.0;

/// Numbers of machines.
const MACHINES: [usize; 4] = [2, 3, 5, 20];

/// Standard deviations between machines, in standard errors of one machine.
const BETWEEN: [f64; 4] = [0.0, 0.5, 1.0, 3.0];

/// What a machine measured: the difference of two cells in each of its blocks.
type Blocks = Vec<f64>;

/// A study on machines that differ by `between`. Each block has noise of √blocks, so that a machine has the standard error
/// 1; with `uneven` every other machine has a third of the blocks and half as much noise again.
fn study(machines: usize, between: f64, blocks: usize, uneven: bool, random: &mut Pcg64) -> (Vec<Blocks>, f64) {
    let mut own_effects = 0.0;
    let of = (0..machines).map(|at| {
        let effect = EFFECT + between * normal(random);
        let (count, noise) = if uneven && at % 2 == 1 { (blocks / 3, 1.5) } else { (blocks, 1.0) };
        own_effects += effect * count as f64;
        (0..count).map(|_| effect + noise * (blocks as f64).sqrt() * normal(random)).collect::<Blocks>()
    });
    let of: Vec<Blocks> = of.collect();
    let all: usize = of.iter().map(Vec::len).sum();
    (of, own_effects / all as f64)
}

fn on(blocks: &Blocks) -> OnMachine {
    let n = blocks.len() as f64;
    let mean = blocks.iter().sum::<f64>() / n;
    let variance = blocks.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    OnMachine { estimate: mean, error: Some((variance / n).sqrt()), blocks: blocks.len() }
}

fn combined(study: &[Blocks]) -> AcrossMachines {
    across(&study.iter().map(on).collect::<Vec<_>>()).expect("several machines")
}

/// Percentiles of means of machines drawn with replacement, and of their blocks drawn with replacement.
fn hierarchical_bootstrap(study: &[Blocks], draws: usize, random: &mut Pcg64) -> (f64, f64) {
    let mut below = |n: usize| ((uniform(random) * n as f64) as usize).min(n - 1);
    let mut means: Vec<f64> = (0..draws)
        .map(|_| {
            let of_machine = (0..study.len()).map(|_| {
                let blocks = &study[below(study.len())];
                (0..blocks.len()).map(|_| blocks[below(blocks.len())]).sum::<f64>() / blocks.len() as f64
            });
            of_machine.sum::<f64>() / study.len() as f64
        })
        .collect();
    let ends = [0.025, 0.975].map(|at| percentile_of(&mut means.clone(), at).expect("there are draws"));
    means.clear();
    (ends[0], ends[1])
}

/// How often the intervals of one method held the truth, and their mean half-width.
#[derive(Debug, Default, Clone, Copy)]
struct Reached {
    covered: usize,
    half: f64,
}

impl Reached {
    fn add(&mut self, (lo, hi): (f64, f64), truth: f64) {
        self.covered += usize::from(lo <= truth && truth <= hi);
        self.half += (hi - lo) / 2.0;
    }

    fn percent(&self, studies: usize) -> f64 {
        100.0 * self.covered as f64 / studies as f64
    }
}

/// What was reached in many studies of one kind.
struct Scenario {
    machines: usize,
    between: f64,
    uneven: bool,
    /// By [`METHODS`].
    of: [Reached; 6],
    /// Studies in which machines were found to differ.
    differ: usize,
}

const METHODS: [&str; 6] = ["fixed", "random", "DL normal", "DL HKSJ", "bootstrap", "t of means"];

fn scenario(machines: usize, between: f64, uneven: bool, studies: usize, draws: usize) -> Scenario {
    let seed = machines as u64 * 1_000 + (between * 10.0) as u64 + u64::from(uneven);
    let mut random = seeded(seed);
    let mut of = [Reached::default(); 6];
    let mut differ = 0;
    for _ in 0..studies {
        let (study, own) = study(machines, between, 18, uneven, &mut random);
        let found = combined(&study);
        differ += usize::from(found.p < 0.05);
        // The truth of the fixed interval is the mean of these machines.
        of[0].add(found.fixed.interval_at(0.95), own);
        of[1].add(found.random.interval_at(0.95), EFFECT);
        let each: Vec<OnMachine> = study.iter().map(on).collect();
        let weights: Vec<f64> =
            each.iter().map(|one| 1.0 / (one.error.expect("has blocks").powi(2) + found.between.powi(2))).collect();
        let (all, mean) = (weights.iter().sum::<f64>(), found.random.estimate);
        let half = normal_quantile(0.975) / all.sqrt();
        of[2].add((mean - half, mean + half), EFFECT);
        let spread: f64 = weights.iter().zip(&each).map(|(weight, one)| weight * (one.estimate - mean).powi(2)).sum();
        let half = t_quantile(0.975, machines - 1) * (spread / (machines - 1) as f64 / all).sqrt();
        of[3].add((mean - half, mean + half), EFFECT);
        if draws > 0 {
            of[4].add(hierarchical_bootstrap(&study, draws, &mut random), EFFECT);
        }
        let mean = each.iter().map(|one| one.estimate).sum::<f64>() / machines as f64;
        let square = each.iter().map(|one| (one.estimate - mean).powi(2)).sum::<f64>() / (machines - 1) as f64;
        let half = t_quantile(0.975, machines - 1) * (square / machines as f64).sqrt();
        of[5].add((mean - half, mean + half), EFFECT);
    }
    Scenario { machines, between, uneven, of, differ }
}

#[test]
fn intervals_over_machines_cover() {
    let studies = 400;
    for machines in MACHINES {
        for (between, uneven) in [(0.0, false), (1.0, true), (3.0, false)] {
            let reached = scenario(machines, between, uneven, studies, 0);
            let [fixed, random, ..] = reached.of.map(|reached| reached.percent(studies));
            // Three standard errors of 400 studies are 3.3 points; the wider variance makes the interval of few machines
            // cover more.
            assert!((91.7..=98.3).contains(&fixed), "{machines} machines, {between}: fixed {fixed}");
            assert!(random >= 91.0, "{machines} machines, {between}: random {random}");
            if between == 0.0 {
                let found = 100.0 * reached.differ as f64 / studies as f64;
                assert!(found <= 8.3, "{machines} machines that are alike differ in {found} %");
            }
        }
    }
}

#[test]
#[ignore = "takes a minute; `just coverage` runs it"]
fn coverage_of_intervals_over_machines() {
    let studies = 4_000;
    println!("machines  τ/se  blocks  {}  differ", METHODS.map(|name| format!("{name:>16}")).join("  "));
    for machines in MACHINES {
        for between in BETWEEN {
            for uneven in [false, true] {
                let reached = scenario(machines, between, uneven, studies, 400);
                let cells =
                    reached.of.map(|own| format!("{:>6.1} ± {:<7.2}", own.percent(studies), own.half / studies as f64));
                println!(
                    "{:>8}  {:>4}  {}  {}  {:>5.1}",
                    reached.machines,
                    reached.between,
                    if reached.uneven { "uneven" } else { "  even" },
                    cells.map(|cell| format!("{cell:>16}")).join("  "),
                    100.0 * reached.differ as f64 / studies as f64
                );
                let random = reached.of[1].percent(studies);
                assert!(random >= 92.0, "{machines} machines, {between}: {random}");
            }
        }
    }
}

/// An effect on one machine as a study has it: two cells in blocks that drift, from their table and its draws.
fn from_table(effect: f64, blocks: usize, random: &mut Pcg64) -> OnMachine {
    let drift: Vec<f64> = (0..blocks).map(|_| 20.0 * normal(random)).collect();
    let noise = (blocks as f64 / 2.0).sqrt();
    let mut cell = |level: f64| -> Vec<(usize, f64)> {
        (0..blocks).map(|block| (block, 100.0 + level + drift[block] + noise * normal(random))).collect()
    };
    let cells = [cell(0.0), cell(effect)];
    let drawn = table(&cells, blocks, 200, 7);
    let difference = drawn[1].combine(&drawn[0], |with, without| with - without);
    OnMachine { estimate: difference.point, error: difference.standard_error(), blocks }
}

/// Percent of studies whose interval for machines like these holds the truth, with the tables and draws of a study.
fn covered_from_tables(machines: usize, between: f64, blocks: usize, studies: usize) -> f64 {
    let mut random = seeded(machines as u64 * 100 + blocks as u64);
    let covered = (0..studies).filter(|_| {
        let of = (0..machines).map(|_| {
            let effect = EFFECT + between * normal(&mut random);
            from_table(effect, blocks, &mut random)
        });
        let (lo, hi) = across(&of.collect::<Vec<_>>()).expect("several machines").random.interval_at(0.95);
        lo <= EFFECT && EFFECT <= hi
    });
    100.0 * covered.count() as f64 / studies as f64
}

#[test]
fn intervals_from_tables_cover() {
    let covered = covered_from_tables(5, 1.0, 8, 150);
    // Three standard errors of 150 studies.
    assert!(covered >= 89.7, "{covered}");
}

#[test]
#[ignore = "takes a minute; `just coverage` runs it"]
fn coverage_of_intervals_from_tables() {
    for machines in MACHINES {
        for between in [0.0, 1.0, 3.0] {
            for blocks in [6, 12] {
                let covered = covered_from_tables(machines, between, blocks, 1_000);
                println!("{machines:>2} machines of {blocks:>2} blocks, τ {between}: {covered:.1} %");
                assert!(covered >= 91.5, "{machines} machines of {blocks} blocks, {between}: {covered}");
            }
        }
    }
}
