//! The subject of the feature arm: a program of some 75 ns per operation, in which the feature `cost` plants additions.
//!
//! `cargo ablate selftest` writes this file and the modules that it names into a package and builds it with and without
//! features. It is no part of `cargo-ablate` itself. What a build takes depends on where the linker puts its functions,
//! as in any program: short loops in many functions, of which a build with a feature has more. The truth is told as in
//! `synthetic.rs`, by switching and by stamps, in every process of either build.

mod contention;
mod line;
#[allow(dead_code)]
mod operation;
mod timed_batches;

use operation::{fence, fenced_ticks, links};
use std::hint::black_box;
use std::time::Instant;
use timed_batches::{TimedBatches, percentile};

/// Additions of the feature: some 8 ns.
const PLANTED: usize = 28;
const COST: bool = cfg!(feature = "cost");
/// Operations of a timed batch, some 30 µs.
const BATCH: u64 = 400;
/// A contention probe this much above the best of the process was disturbed.
const TOLERANCE: f64 = 1.08;

macro_rules! short_loops {
    ($($name:ident $turns:literal)*) => {
        $(#[inline(never)]
        fn $name(x: u64) -> u64 {
            let [mut a, mut b, mut c, mut d] = [x, x ^ 1, x ^ 2, x ^ 3];
            let mut left = black_box($turns);
            while left > 0 {
                a = a.wrapping_add(x);
                b = b.rotate_left(7) ^ x;
                c = c.wrapping_sub(b);
                d ^= a;
                left -= 1;
            }
            a ^ b ^ c ^ d
        })*
    };
}

short_loops!(one 6 two 7 three 6 four 8 five 7 six 6 seven 8 eight 7);
#[cfg(feature = "cost")]
short_loops!(more_of_cost 9 most_of_cost 11);
#[cfg(feature = "placebo")]
short_loops!(more_of_placebo 8 some_of_placebo 10 most_of_placebo 12);

/// One operation. Both levels have the same code, and a jump to another place of the additions.
#[inline(never)]
fn operations(count: u64, on: bool, mut x: u64) -> u64 {
    for _ in 0..count {
        x = eight(seven(six(five(four(three(two(one(x))))))));
        links::<PLANTED>(&mut x, on);
        fence();
    }
    x
}

/// The same with the clock read around the additions, and the ticks between the readings.
#[inline(never)]
fn stamped(count: u64, on: bool, mut x: u64) -> (u64, u64) {
    let mut ticks = 0;
    for _ in 0..count {
        x = eight(seven(six(five(four(three(two(one(x))))))));
        let before = fenced_ticks();
        links::<PLANTED>(&mut x, on);
        ticks += fenced_ticks() - before;
    }
    (x, ticks)
}

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let is_counted = args.iter().any(|arg| arg == "--counted");
    let wanted = if args.iter().any(|arg| arg == "--idle") { 0 } else { 60 };
    #[cfg(feature = "cost")]
    black_box([more_of_cost, most_of_cost].map(|f| f as fn(u64) -> u64));
    #[cfg(feature = "placebo")]
    black_box([more_of_placebo, some_of_placebo, most_of_placebo].map(|f| f as fn(u64) -> u64));
    let mut batches = match is_counted || wanted == 0 {
        true => TimedBatches::without_contention_probes(wanted, BATCH),
        false => TimedBatches::new(wanted, BATCH),
    };
    let on = black_box(COST);
    let (mut x, mut y) = (operations(BATCH, on, 1), 1);
    // Beside a timed batch stands one at the other level, or in every third turn one at the same level.
    let mut beside = Vec::new();
    let mut stamps = Vec::new();
    for at in 0..wanted {
        if !is_counted {
            let start = Instant::now();
            let from = fenced_ticks();
            let (z, own) = stamped(60, on, y);
            let (z, other) = stamped(60, !on, z);
            let rate = start.elapsed().as_nanos() as f64 / (fenced_ticks() - from) as f64;
            stamps.push((own as f64 - other as f64) * rate / 60.0);
            let level = on ^ (at % 3 != 0);
            y = operations(12, level, z);
            let start = Instant::now();
            y = operations(BATCH, level, y);
            beside.push(start.elapsed().as_nanos() as f64 / BATCH as f64);
            x = operations(12, on, x);
        }
        x = batches.time(|| operations(BATCH, on, x));
    }
    black_box((x, y));
    let (own, probes) = (batches.batches_ns(), batches.contention_probes_ns().to_vec());
    let done = batches.operations();
    let mut line = line::Line::new(batches, done);
    line.level("cost", if COST { "on" } else { "absent" });
    line.counter("cost", "work", if COST { done } else { 0 });
    for (name, ns) in truth(on, &own, &probes, &beside, &stamps) {
        line.number("truth_ns", name, ns);
    }
    println!("{line}");
}

/// The cost by switching, and by stamps; nothing where too few batches were undisturbed.
fn truth(on: bool, own: &[f64], probes: &[f64], beside: &[f64], stamps: &[f64]) -> Vec<(&'static str, f64)> {
    let best = probes.iter().copied().fold(f64::INFINITY, f64::min);
    let quiet: Vec<usize> =
        (0..beside.len()).filter(|at| probes[*at].max(probes[at + 1]) <= TOLERANCE * best).collect();
    let middle = |values: Vec<f64>| {
        let mut values = values;
        values.sort_by(f64::total_cmp);
        (values.len() >= 4).then(|| percentile(&values, 0.5))
    };
    let ratio = |is_meant: &dyn Fn(usize) -> bool| {
        middle(quiet.iter().filter(|at| is_meant(**at)).map(|at| beside[*at] / own[*at] - 1.0).collect())
    };
    let mut scale: Vec<f64> = quiet.iter().map(|at| own[*at]).collect();
    scale.sort_by(f64::total_cmp);
    let sign = if on { 1.0 } else { -1.0 };
    let mut told = Vec::new();
    if let Some((other, same)) = ratio(&|at| at % 3 != 0).zip(ratio(&|at| at % 3 == 0)) {
        told.push(("cost", -sign * (other - same) * percentile(&scale, 0.1)));
    }
    if let Some(ns) = middle(quiet.iter().map(|at| stamps[*at]).collect()) {
        told.push(("cost by-stamps", sign * ns));
    }
    told
}
