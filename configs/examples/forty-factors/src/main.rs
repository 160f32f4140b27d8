//! A program with forty switches, `F01=off` to `F40=off`. Five of them do something, and two of these do more together.
//! What each costs is planted here, so that what a screening finds can be held to it.

use ablate_probe::{Line, TimedBatches};
use std::hint::black_box;

/// Links of an operation that no switch removes. A link is one multiplication that needs the result of the one before.
const BASE: u64 = 1_000;

/// Links of the switches that do something.
const PLANTED: [(usize, u64); 5] = [(4, 40), (12, 30), (19, 25), (27, 20), (36, 50)];

/// Links that two of them have only together.
const TOGETHER: ((usize, usize), u64) = ((4, 19), 40);

/// Operations of a batch.
const OPERATIONS: u64 = 20;

fn main() {
    let on: Vec<bool> = (0..=40).map(|i| std::env::var_os(format!("F{i:02}")).is_none()).collect();
    let own = PLANTED.iter().filter(|(i, _)| on[*i]).map(|(_, links)| links).sum::<u64>();
    let ((one, other), both) = TOGETHER;
    let links = BASE + own + if on[one] && on[other] { both } else { 0 };
    let mut batches = TimedBatches::new(120, OPERATIONS);
    let mut x = 1_u64;
    while batches.is_wanted() {
        batches.time(|| {
            for _ in 0..OPERATIONS {
                for _ in 0..black_box(links) {
                    x = x.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 1;
                }
            }
        });
    }
    black_box(x);
    // All levels do the same work, so they have the same checksum.
    let mut line = Line::new(batches, 40);
    for (i, on) in on.iter().enumerate().skip(1) {
        let factor = format!("f{i:02}");
        line.level(&factor, if *on { "on" } else { "off" });
        // Proves that the variable is the one that this program reads.
        line.counter(&factor, "seen", u64::from(*on));
    }
    println!("{line}");
}
