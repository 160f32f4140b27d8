//! What one process does, resolved from the arguments: how many operations, in which batches, after which warm-up.
//!
//! Only arithmetic, so that the same arguments mean the same operations for every allocator.

use crate::scenario::{Lives, Scenario};
use clap::ValueEnum;
use serde::Serialize;

/// Fewest warm-up operations: several turns of the ring of 16 blocks and of an allocator's caches.
const WARM_UP_MIN: u64 = 128;
/// Operations that a random-lifetime script has before it repeats: long against the 64 slots.
const CHURN_PASS: u64 = 1000;

/// Most batches that are printed one by one: some ten bytes each, twice, within a line that is kept for every process.
const PRINTED_MAX: u64 = 4096;

/// How a block is used between its request and its return.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Touch {
    /// Not at all.
    None,
    /// One byte of each 4 KiB is written.
    Page,
    /// Every byte is written.
    Full,
}

/// How long a block lives, where the scenario leaves it open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Lifetime {
    /// Given back at once.
    Lifo,
    /// 16 blocks live; the oldest is given back before the next is requested.
    Ring,
}

/// What one process does.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// Sizes, call sites, operations an iteration.
    pub(crate) scenario: &'static Scenario,
    /// Iterations to measure; with 0 everything but the measured part happens.
    pub(crate) iterations: u64,
    /// How blocks are used.
    pub(crate) touch: Touch,
    /// How long they live, where the scenario leaves it open.
    pub(crate) lifetime: Lifetime,
    /// Pairs of a producing and a freeing thread, where the scenario has threads; else 1.
    pub(crate) threads: u32,
    /// No warm-up, and every operation timed on its own.
    pub(crate) cold: bool,
    /// Seed of sizes, order and call sites.
    pub(crate) seed: u64,
    /// Whether somebody counts from outside, so that nothing but the run itself may happen.
    pub(crate) counted: bool,
}

impl Plan {
    /// Operations that are timed together.
    pub(crate) fn batch(&self) -> u64 {
        if self.cold { 1 } else { self.scenario.batch(self.touch) }
    }

    /// Measured batches of each producer; `None` when the number of operations does not fit.
    pub(crate) fn batches(&self) -> Option<u64> {
        Some(self.iterations.checked_mul(self.scenario.inner)?.div_ceil(self.batch()))
    }

    /// Operations after which the script repeats: at least an iteration, and whole batches.
    pub(crate) fn script_len(&self) -> u64 {
        let pass = match self.scenario.lives {
            Lives::Randomly => self.scenario.inner.max(CHURN_PASS),
            Lives::AsTold | Lives::InAnotherThread => self.scenario.inner,
        };
        pass.next_multiple_of(self.batch())
    }

    /// Warm-up batches of each producer: at least the whole script, whatever the iterations, so that a run with
    /// `--iterations 0` does exactly what precedes the measured part.
    pub(crate) fn warm_up_batches(&self) -> u64 {
        if self.cold { 0 } else { self.script_len().max(WARM_UP_MIN).div_ceil(self.batch()) }
    }

    /// Whether the contention canary is taken before the first batch and after every batch. Not around single
    /// operations, which would start with a processor that is busy with something else; not with threads, which
    /// disturb it themselves; not when somebody counts.
    pub(crate) fn takes_canaries(&self) -> bool {
        let printable = self.batches().is_some_and(|batches| (1..=PRINTED_MAX).contains(&batches));
        printable && !self.cold && !self.counted && self.scenario.lives != Lives::InAnotherThread
    }

    /// The lifetime's name in the output.
    pub(crate) fn lifetime_name(&self) -> &'static str {
        match (self.scenario.lives, self.lifetime) {
            (Lives::AsTold, Lifetime::Lifo) => "lifo",
            (Lives::AsTold, Lifetime::Ring) => "ring",
            (Lives::Randomly, _) => "random",
            (Lives::InAnotherThread, _) => "another-thread",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(scenario: &str, iterations: u64, touch: Touch, cold: bool) -> Plan {
        let scenario = Scenario::named(scenario).expect("a known scenario");
        Plan { scenario, iterations, touch, lifetime: Lifetime::Lifo, threads: 1, cold, seed: 1, counted: false }
    }

    #[test]
    fn cold_runs_do_exactly_the_operations_asked_for() {
        let plan = plan("vm", 3, Touch::Full, true);
        assert_eq!((plan.batch(), plan.batches(), plan.warm_up_batches()), (1, Some(30), 0));
    }

    #[test]
    fn warm_runs_round_up_to_whole_batches() {
        let plan = plan("mixed", 1, Touch::Full, false);
        assert_eq!((plan.batch(), plan.batches(), plan.script_len()), (6, Some(17), 102));
        assert_eq!(plan.warm_up_batches(), 22);
    }

    #[test]
    fn the_warm_up_does_not_depend_on_the_iterations() {
        assert_eq!(
            plan("json", 0, Touch::None, false).warm_up_batches(),
            plan("json", 900, Touch::None, false).warm_up_batches()
        );
        assert_eq!(plan("json", 0, Touch::None, false).batches(), Some(0));
    }

    #[test]
    fn canaries_are_for_warm_batches_of_one_thread_that_nobody_counts() {
        let canaries = |scenario, iterations, cold, counted| {
            Plan { counted, ..plan(scenario, iterations, Touch::None, cold) }.takes_canaries()
        };
        assert!(canaries("small", 2, false, false));
        assert!(!canaries("small", 2, false, true));
        assert!(!canaries("small", 2, true, false));
        assert!(!canaries("small", 0, false, false));
        assert!(!canaries("threads", 2, false, false));
        assert_eq!((canaries("json", 4096, false, false), canaries("json", 4097, false, false)), (true, false));
    }

    #[test]
    fn too_many_operations_are_noticed() {
        assert_eq!(plan("json", u64::MAX, Touch::None, false).batches(), None);
    }
}
