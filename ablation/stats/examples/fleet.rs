//! A simulated study of 10,000 cells on 1,000 machines of three kinds, whose speed drifts and some of which fail: how wrong
//! the estimates are, what that costs, and which way to divide the work is best (docs/scale.md).
//!
//! `cargo run --release --package ablate-stats --example fleet` takes a minute. An argument divides the sizes: `-- 10`.
//!
//! One fleet has one draw of its baselines' noise, which all its differences share, so that several fleets are simulated.
#![expect(clippy::print_stdout, reason = "the tables are the result")]

use ablate_stats::machines::{OnMachine, across};
use ablate_stats::random::{Pcg64, normal, seeded, uniform};

/// What is simulated. Times are in hours, values in percent of the baseline.
#[derive(Debug, Clone, Copy)]
struct World {
    machines: usize,
    /// Treatments, each of which is a cell beside the baseline.
    treatments: usize,
    /// Treatments that cost something.
    active: usize,
    /// What each of them costs on the first kind of machine.
    effect: f64,
    /// What it costs on each kind, as a part of that.
    by_kind: [f64; 3],
    /// Share of each kind among the machines.
    shares: [f64; 3],
    /// Standard deviation of an effect between machines of one kind, as a part of it.
    between: f64,
    /// Standard deviation of one run.
    noise: f64,
    /// Standard deviation of a machine's speed over time, and the time after which it has forgotten itself.
    drift: f64,
    forgets: f64,
    /// Probability that a machine fails within an hour. It does not come back.
    fails: f64,
    /// Duration of a run.
    run: f64,
    /// What each machine may take.
    hours: f64,
}

const WORLD: World = World {
    machines: 1_000,
    treatments: 9_998,
    active: 100,
    effect: 1.0,
    by_kind: [1.0, 0.7, 1.4],
    shares: [0.5, 0.3, 0.2],
    between: 0.1,
    noise: 2.0,
    drift: 1.0,
    forgets: 0.5,
    fails: 0.01,
    run: 1.0 / 3_600.0,
    hours: 3.0,
};

/// Fleets that are simulated.
const FLEETS: u64 = 12;

/// A way to divide the work.
#[derive(Debug, Clone, Copy)]
struct Division {
    name: &'static str,
    /// Treatments of a study; each study has its own baseline and placebo.
    treatments: usize,
    /// Whether each machine takes a block of every study, or blocks of one study alone.
    rotates: bool,
}

/// What came of a division.
#[derive(Debug, Default)]
struct Outcome {
    hours: f64,
    planned: usize,
    kept: usize,
    runs: usize,
    errors: Vec<f64>,
    covered: usize,
    estimated: usize,
    found: usize,
    false_claims: usize,
}

/// A machine: its kind, and how long it lives.
struct Machine {
    kind: usize,
    fails_at: f64,
    /// Where its speed is, in percent of its mean.
    speed: f64,
}

fn main() {
    let divisor: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(1).max(1);
    let world = World {
        machines: WORLD.machines / divisor,
        treatments: WORLD.treatments / divisor,
        active: (WORLD.active / divisor).max(1),
        hours: WORLD.hours / divisor as f64,
        ..WORLD
    };
    println!(
        "{} machines of 3 kinds, {} treatments of which {} cost {} % (times {:?} by kind, ± {} % between machines),",
        world.machines,
        world.treatments,
        world.active,
        world.effect,
        world.by_kind,
        100.0 * world.between
    );
    println!(
        "runs of {:.0} s ± {} %, drift of {} % that is forgotten after {} h, {} % of the machines fail per hour, {} h each\n",
        3_600.0 * world.run,
        world.noise,
        world.drift,
        world.forgets,
        100.0 * world.fails,
        world.hours
    );
    println!(
        "{:<44} {:>8} {:>7} {:>7} {:>8} {:>8} {:>7} {:>7} {:>9}",
        "division", "machine", "blocks", "million", "error", "coverage", "found", "false", "records"
    );
    println!(
        "{:<44} {:>8} {:>7} {:>7} {:>8} {:>8} {:>7} {:>7} {:>9}",
        "", "hours", "kept", "runs", "rms, %", "of 95 %", "", "claims", "per study"
    );
    let small = 100.min(world.treatments);
    for division in [
        Division { name: "one study, a block of it on each machine", treatments: world.treatments, rotates: false },
        Division { name: "studies of 100 cells, each on its machines", treatments: small, rotates: false },
        Division { name: "studies of 100 cells, each on all machines", treatments: small, rotates: true },
    ] {
        let mut outcome = Outcome::default();
        (0..FLEETS).for_each(|fleet| simulate(&world, division, fleet, &mut outcome));
        let fleets = FLEETS as f64;
        let n = outcome.errors.len().max(1) as f64;
        let rms = (outcome.errors.iter().map(|error| error * error).sum::<f64>() / n).sqrt();
        let studies = world.treatments.div_ceil(division.treatments);
        println!(
            "{:<44} {:>8.0} {:>6.1}% {:>7.2} {:>8.3} {:>7.1}% {:>6.1}% {:>7.2} {:>9}",
            division.name,
            outcome.hours / fleets,
            100.0 * outcome.kept as f64 / outcome.planned as f64,
            outcome.runs as f64 / 1e6 / fleets,
            rms,
            100.0 * outcome.covered as f64 / outcome.estimated.max(1) as f64,
            100.0 * outcome.found as f64 / (fleets * world.active as f64),
            outcome.false_claims as f64 / fleets,
            outcome.runs / studies / FLEETS as usize
        );
    }
}

/// The value of one treatment on one machine: its sum over blocks, of squares too, and how many blocks.
#[derive(Debug, Clone, Copy, Default)]
struct Sum {
    sum: f64,
    squares: f64,
    blocks: usize,
}

fn simulate(world: &World, division: Division, fleet: u64, outcome: &mut Outcome) {
    let mut random = seeded(fleet);
    let studies = world.treatments.div_ceil(division.treatments);
    let truth: f64 =
        world.shares.iter().zip(world.by_kind).map(|(share, part)| share * part).sum::<f64>() * world.effect;
    // Active treatments stand at equal distances, so that every study has about as many.
    let distance = world.treatments / world.active;
    let is_active = |treatment: usize| treatment.is_multiple_of(distance) && treatment / distance < world.active;

    let mut sums: Vec<Vec<OnMachine>> = vec![Vec::new(); world.treatments];
    for number in 0..world.machines {
        let mut machine = machine(world, number, &mut random);
        let mut own: Vec<Sum> = vec![Sum::default(); if division.rotates { world.treatments } else { 0 }];
        let mut one: Vec<Sum> = vec![Sum::default(); if division.rotates { 0 } else { division.treatments }];
        let study_of_machine = number % studies;
        let effects: Vec<f64> = (0..world.treatments)
            .map(|treatment| match is_active(treatment) {
                true => {
                    let own = 1.0 + world.between * normal(&mut random);
                    world.effect * world.by_kind[machine.kind] * own
                }
                false => 0.0,
            })
            .collect();
        let mut clock = 0.0;
        let mut block = 0;
        loop {
            let study = if division.rotates { block % studies } else { study_of_machine };
            let first = study * division.treatments;
            let treatments = division.treatments.min(world.treatments - first);
            let ends = clock + (treatments + 2) as f64 * world.run;
            if ends > world.hours + 1e-9 {
                break;
            }
            outcome.planned += 1;
            outcome.runs += treatments + 2;
            if ends > machine.fails_at {
                // The block that a machine does not finish is in no table.
                clock = machine.fails_at;
                break;
            }
            let values = run_block(world, &mut machine, treatments, &effects[first..first + treatments], &mut random);
            let into = if division.rotates { &mut own[first..first + treatments] } else { &mut one[..treatments] };
            for (sum, value) in into.iter_mut().zip(values) {
                sum.sum += value;
                sum.squares += value * value;
                sum.blocks += 1;
            }
            clock = ends;
            block += 1;
            outcome.kept += 1;
        }
        outcome.hours += clock;
        let (first, all) = if division.rotates { (0, &own) } else { (study_of_machine * division.treatments, &one) };
        for (at, sum) in all.iter().enumerate().filter(|(_, sum)| sum.blocks > 0) {
            sums[first + at].push(on_machine(sum));
        }
    }

    let confidence = 1.0 - 0.05 / world.treatments as f64;
    for (treatment, machines) in sums.iter().enumerate() {
        let Some(across) = across(machines) else { continue };
        let truth = if is_active(treatment) { truth } else { 0.0 };
        let (lo, hi) = across.random.interval_at(0.95);
        outcome.errors.push(across.random.estimate - truth);
        outcome.estimated += 1;
        outcome.covered += usize::from(lo <= truth && truth <= hi);
        // Bonferroni, "Teoria statistica delle classi e calcolo delle probabilità", 1936: one error over all treatments.
        let (lo, hi) = across.random.interval_at(confidence);
        let is_claimed = lo > 0.0 || hi < 0.0;
        outcome.found += usize::from(is_claimed && is_active(treatment));
        outcome.false_claims += usize::from(is_claimed && !is_active(treatment));
    }
}

fn machine(world: &World, number: usize, random: &mut Pcg64) -> Machine {
    // The shares are kept exactly, so that the truth is that of this fleet.
    let place = (number as f64 + 0.5) / world.machines as f64;
    let kind = if place < world.shares[0] { 0 } else { usize::from(place >= world.shares[0] + world.shares[1]) + 1 };
    let fails_at = match world.fails > 0.0 {
        true => -uniform(random).ln() / -(1.0 - world.fails).ln(),
        false => f64::INFINITY,
    };
    Machine { kind, fails_at, speed: world.drift * normal(random) }
}

/// One block: every cell once, in a random order, on a machine whose speed drifts meanwhile. Returns each treatment's
/// difference from the baseline.
fn run_block(world: &World, machine: &mut Machine, treatments: usize, effects: &[f64], random: &mut Pcg64) -> Vec<f64> {
    let keeps = (-world.run / world.forgets).exp();
    let kicks = world.drift * (1.0 - keeps * keeps).sqrt();
    // The baseline, the placebo, then the treatments; the order is that of a shuffled deck.
    let mut order: Vec<usize> = (0..treatments + 2).collect();
    for at in (1..order.len()).rev() {
        order.swap(at, (uniform(random) * (at + 1) as f64) as usize);
    }
    let mut values = vec![0.0; treatments + 2];
    for cell in order {
        machine.speed = machine.speed * keeps + kicks * normal(random);
        let effect = cell.checked_sub(2).map_or(0.0, |treatment| effects[treatment]);
        values[cell] = effect + machine.speed + world.noise * normal(random);
    }
    values[2..].iter().map(|value| value - values[0]).collect()
}

fn on_machine(sum: &Sum) -> OnMachine {
    let n = sum.blocks as f64;
    let estimate = sum.sum / n;
    let error = (sum.blocks > 1).then(|| (((sum.squares - n * estimate * estimate) / (n - 1.0)).max(0.0) / n).sqrt());
    OnMachine { estimate, error, blocks: sum.blocks }
}
