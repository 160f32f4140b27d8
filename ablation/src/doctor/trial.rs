//! A process whose work is known: what `ablate doctor` starts to see what starting, repeating and watching cost. It is
//! the hidden subcommand `trial` of the binary.

use std::hint::black_box;

/// What the process is to do.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Trial {
    /// System calls.
    #[arg(long, default_value_t = 0)]
    pub calls: u32,
    /// Batches of canaries, of which the 10th percentile is printed.
    #[arg(long, default_value_t = 0)]
    pub batches: u32,
}

/// Canaries in one batch.
const BATCH: u32 = 8;

/// Does what is asked and returns what is to be printed: the 10th percentile of the batches, nanoseconds a step; empty
/// without batches.
pub fn trial(trial: &Trial) -> String {
    for _ in 0..trial.calls {
        // SAFETY: takes nothing and cannot fail.
        black_box(unsafe { libc::getppid() });
    }
    if trial.batches > 0 {
        // The first one pages in its code and the clock's.
        black_box(super::canary());
    }
    let mut values: Vec<f64> =
        (0..trial.batches).map(|_| (0..BATCH).map(|_| super::canary()).sum::<f64>() / f64::from(BATCH)).collect();
    values.sort_by(f64::total_cmp);
    match crate::stats::order::percentile(&values, 0.1) {
        Some(value) => format!("{value}"),
        None => String::new(),
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
