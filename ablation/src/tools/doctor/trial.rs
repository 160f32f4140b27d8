//! A process of known work, which `cargo ablate doctor` starts to measure what starting, repeating and observing a
//! process costs. It is the hidden subcommand `trial`.

use std::hint::black_box;
use std::time::Instant;

/// The work of the process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trial {
    /// System calls.
    pub(crate) calls: u32,
    /// Timed batches of operations on memory, of which the 10th percentile is printed.
    pub(crate) batches: u32,
}

/// Operations of one timed batch, some 20 µs.
const OPERATIONS: u32 = 2_000;

/// Objects that live at a time: some 100 KiB, more than the first cache holds.
const OBJECTS: usize = 512;

/// Does the work and returns the line to print: the 10th percentile of the timed batches in nanoseconds per operation;
/// empty without timed batches.
pub(crate) fn trial(trial: &Trial) -> String {
    for _ in 0..trial.calls {
        // SAFETY: takes nothing and cannot fail.
        black_box(unsafe { libc::getppid() });
    }
    let mut work = Work::new();
    if trial.batches > 0 {
        // The first batches load code, memory and clock.
        (0..5).for_each(|_| work.batch());
    }
    let mut values: Vec<f64> = (0..trial.batches)
        .map(|_| {
            let before = Instant::now();
            work.batch();
            before.elapsed().as_nanos() as f64 / f64::from(OPERATIONS)
        })
        .collect();
    values.sort_by(f64::total_cmp);
    match ablate_stats::order::percentile(&values, 0.1) {
        Some(value) => format!("{value}"),
        None => String::new(),
    }
}

/// Objects of random sizes that are freed and allocated again, as in real programs. Equal processes then differ as real
/// ones do, by the addresses of their memory.
struct Work {
    objects: Vec<Vec<u8>>,
    random: u64,
}

impl Work {
    fn new() -> Work {
        Work { objects: vec![Vec::new(); OBJECTS], random: 0x9E37_79B9_7F4A_7C15 }
    }

    fn batch(&mut self) {
        for _ in 0..OPERATIONS {
            // Marsaglia, "Xorshift RNGs", Journal of Statistical Software 8, 2003.
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            // Both are far below the limits of their types.
            let (at, size) = (self.random as usize % OBJECTS, 16 + (self.random >> 32) as usize % 400);
            self.objects[at] = black_box(vec![1; size]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_batches_are_reported() {
        assert_eq!(trial(&Trial { calls: 3, batches: 0 }), "");
        let value: f64 = trial(&Trial { calls: 0, batches: 3 }).parse().expect("a number");
        assert!(value > 0.0);
    }
}
