//! Tests that intervals cover and p values hold at their stated rates, on simulated studies whose truth is known.
//!
//! `just coverage` simulates 2,000 studies of each scenario, prints what was reached, and asks for a coverage of true
//! effects of 93 to 97 % and for at most 5 % of false findings, each with the error of 2,000 studies: one percentage
//! point (two standard errors) and 1.5 (three). Among the other tests run 300 studies of each, with the errors of 300
//! studies: 2.8 points (two) and 3.8 (three). Seeds are fixed, so that a test does not fail by chance.

use super::bootstrap::Drawn;
use super::many::{holm, simultaneous};
use super::random::{Pcg64, normal, seeded, uniform};
use super::table::table;

/// Number of simulated studies, and the rates that are allowed.
#[derive(Clone, Copy)]
struct Extent {
    studies: u64,
    draws: usize,
    /// Percent of studies whose interval holds the truth.
    covered: (f64, f64),
    /// Most false findings, percent of studies.
    found: f64,
}

const SHORT: Extent = Extent { studies: 300, draws: 200, covered: (90.2, 99.8), found: 8.8 };
const FULL: Extent = Extent { studies: 2_000, draws: 400, covered: (92.0, 98.0), found: 6.5 };

/// Value of every cell without an effect; noise of a run has a standard deviation of 2.
const BASE: f64 = 100.0;
/// The true effect: two and a half standard deviations of a run.
const EFFECT: f64 = 5.0;

/// How a machine disturbs a study.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Machine {
    /// Only normal noise.
    Quiet,
    /// All runs of a block have a linear drift of 20 % over the study and a random walk.
    Drift,
    /// From the middle of the study on every run takes 20 units more.
    Step,
    /// From the middle of the study on every run takes 20 % more, effects and noise alike.
    Slowdown,
    /// Three runs in ten take 40 units more, each by itself.
    RunModes,
    /// Three blocks in ten take 40 units more, all their runs.
    BlockModes,
    /// The noise of one run in ten is ten times as wide.
    Outliers,
    /// Drift, and one run in ten is missing.
    Missing,
    /// Drift, block modes, outliers and missing runs.
    Everything,
}

use Machine::*;
const MACHINES: [Machine; 9] = [Quiet, Drift, Step, Slowdown, RunModes, BlockModes, Outliers, Missing, Everything];

/// One study: values of cells whose true effects are given, as (block, value) pairs.
fn study(machine: Machine, effects: &[f64], blocks: usize, random: &mut Pcg64) -> Vec<Vec<(usize, f64)>> {
    let mut cells = vec![Vec::new(); effects.len()];
    let mut walk = 0.0;
    let has = |what: Machine| machine == what || machine == Everything;
    for block in 0..blocks {
        walk += 2.0 * normal(random);
        let late = 2 * block >= blocks;
        let is_slow_block = uniform(random) < 0.3;
        for (cell, effect) in cells.iter_mut().zip(effects) {
            let wide = if has(Outliers) && uniform(random) < 0.1 { 10.0 } else { 1.0 };
            let mut value = BASE + effect + 2.0 * wide * normal(random);
            match machine {
                Step if late => value += 20.0,
                Slowdown if late => value *= 1.2,
                RunModes if uniform(random) < 0.3 => value += 40.0,
                _ => {}
            }
            if has(BlockModes) && is_slow_block {
                value += 40.0;
            }
            if has(Drift) || has(Missing) {
                value += walk + 20.0 * block as f64 / blocks as f64;
            }
            if !(has(Missing) && uniform(random) < 0.1) {
                cell.push((block, value));
            }
        }
    }
    cells
}

/// Σ weight · cell.
fn contrast(table: &[Drawn], weights: &[f64]) -> Drawn {
    Drawn::linear(weights.iter().copied().zip(table)).expect("cells of one table have common draws")
}

/// Shares of studies, in percent.
#[derive(Debug, Default)]
struct Rates {
    /// The interval of the difference of two cells holds the true effect.
    pair: f64,
    /// The interval of the mean of one half of the cells minus the other half holds the true effect.
    main: f64,
    /// The interval of the difference of two equal cells excludes 0.
    found_by_interval: f64,
    /// The p value of the difference of two equal cells is below 5 %.
    found_by_p: f64,
}

/// Rates over studies with two halves of cells, of which one has the effect.
fn rates(machine: Machine, cells: usize, blocks: usize, extent: Extent) -> Rates {
    let half = cells / 2;
    let effects: Vec<f64> = (0..cells).map(|c| if c < half { 0.0 } else { EFFECT }).collect();
    let truth = if machine == Slowdown { 1.1 * EFFECT } else { EFFECT };
    let unit = |plus: usize, minus: usize| -> Vec<f64> {
        (0..cells).map(|c| f64::from(u8::from(c == plus)) - f64::from(u8::from(c == minus))).collect()
    };
    let (pair, equal) = (unit(cells - 1, 0), unit(cells - 1, half));
    let share = |c: usize| if c < half { -1.0 / half as f64 } else { 1.0 / (cells - half) as f64 };
    let main: Vec<f64> = (0..cells).map(share).collect();
    let mut random = seeded(blocks as u64 * 1000 + machine as u64);
    let mut rates = Rates::default();
    let mut count = 0.0;
    for seed in 0..extent.studies {
        let table = table(&study(machine, &effects, blocks, &mut random), blocks, extent.draws, seed);
        let [pair, main, equal] = [&pair, &main, &equal].map(|weights| contrast(&table, weights));
        let (Some((lo, hi)), Some(main), Some(none)) = (pair.interval(), main.interval(), equal.interval()) else {
            // Too few blocks are left in a cell: no interval is given, so none is wrong.
            continue;
        };
        let percent = |is: bool| f64::from(u8::from(is)) * 100.0;
        count += 1.0;
        rates.pair += percent(lo <= truth && truth <= hi);
        rates.main += percent(main.0 <= truth && truth <= main.1);
        rates.found_by_interval += percent(none.0 > 0.0 || none.1 < 0.0);
        rates.found_by_p += percent(equal.p_value().is_some_and(|p| p < 0.05));
    }
    let Rates { pair, main, found_by_interval, found_by_p } = rates;
    let [pair, main, found_by_interval, found_by_p] =
        [pair, main, found_by_interval, found_by_p].map(|sum| sum / count);
    eprintln!(
        "{machine:?}, {cells} cells, {blocks} blocks: covers {pair:.1} % (pair) {main:.1} % (main effect), false \
         positives {found_by_interval:.1} % (interval) {found_by_p:.1} % (p), {count} studies"
    );
    Rates { pair, main, found_by_interval, found_by_p }
}

fn check(extent: Extent, cells: usize, blocks: usize, machines: &[Machine]) {
    for machine in machines {
        let rates = rates(*machine, cells, blocks, extent);
        let (low, high) = extent.covered;
        let covers = [rates.pair, rates.main].iter().all(|covered| (low..=high).contains(covered));
        let holds = [rates.found_by_interval, rates.found_by_p].iter().all(|found| *found <= extent.found);
        assert!(covers && holds, "{machine:?}, {cells} cells, {blocks} blocks: {rates:?}");
    }
}

fn check_families(extent: Extent) {
    for (machine, blocks) in [(Quiet, 12), (Drift, 30), (RunModes, 12), (Outliers, 12), (Missing, 12)] {
        let mut random = seeded(machine as u64 + 99);
        let (mut together, mut holms, mut single) = (0.0, 0.0, 0.0);
        for seed in 0..extent.studies {
            let table = table(&study(machine, &[0.0; 11], blocks, &mut random), blocks, extent.draws, seed);
            let rows: Vec<Drawn> = table[1..].iter().map(|cell| cell.combine(&table[0], |a, b| a - b)).collect();
            let excludes = |interval: &Option<(f64, f64)>| interval.is_some_and(|(lo, hi)| lo > 0.0 || hi < 0.0);
            let percent = |is: bool| f64::from(u8::from(is)) * 100.0 / extent.studies as f64;
            together += percent(simultaneous(&rows.iter().collect::<Vec<_>>()).iter().any(excludes));
            let p: Vec<f64> = rows.iter().map(|row| row.p_value().unwrap_or(f64::NAN)).collect();
            holms += percent(holm(&p).iter().any(|p| *p < 0.05));
            single += percent(p.iter().any(|p| *p < 0.05));
        }
        eprintln!(
            "{machine:?}, 10 contrasts of equal cells, {blocks} blocks: any false positive {together:.1} % \
             (simultaneous) {holms:.1} % (Holm) {single:.1} % (without correction)"
        );
        assert!(together <= extent.found && holms <= extent.found, "{machine:?}: {together} {holms}");
        assert!(single > 8.8, "without correction there must be something to correct: {single}");
    }
}

#[test]
fn intervals_cover_at_6_blocks() {
    check(SHORT, 6, 6, &[Quiet, Slowdown]);
}

#[test]
fn intervals_cover_at_12_blocks() {
    check(SHORT, 6, 12, &MACHINES);
}

#[test]
fn intervals_cover_at_30_blocks() {
    check(SHORT, 6, 30, &MACHINES);
}

#[test]
fn intervals_cover_with_few_cells() {
    check(SHORT, 3, 30, &[Quiet, Drift, Missing]);
}

#[test]
fn families_of_equal_cells_hold_five_percent() {
    check_families(SHORT);
}

#[test]
#[ignore = "2,000 studies of each scenario: `just coverage`"]
fn full_coverage() {
    check(FULL, 6, 6, &[Quiet, Drift, Step, Slowdown]);
    check(FULL, 6, 12, &MACHINES);
    check(FULL, 6, 30, &MACHINES);
}

#[test]
#[ignore = "2,000 studies of each scenario: `just coverage`"]
fn full_coverage_with_few_cells() {
    check(FULL, 3, 30, &MACHINES);
}

#[test]
#[ignore = "2,000 studies of each scenario: `just coverage`"]
fn full_coverage_with_many_cells() {
    check(FULL, 16, 12, &MACHINES);
}

#[test]
#[ignore = "2,000 studies of each scenario: `just coverage`"]
fn full_families() {
    check_families(FULL);
}
