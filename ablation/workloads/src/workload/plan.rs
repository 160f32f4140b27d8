//! What one process does, resolved from the arguments: how many operations, in which batches, after which warm-up.
//!
//! Only arithmetic, so that the same arguments mean the same operations for every allocator.

use crate::workload::scenario::{FILLED_BYTES, LifetimeRule, Scenario, Sizes};
use crate::workload::touch::Touch;
use clap::ValueEnum;
use serde::Serialize;

/// Fewest warm-up operations: several turns of the ring of 16 blocks and of an allocator's caches.
const WARM_UP_MIN: u64 = 128;
/// Fewest warm-up batches of a given size, whose script is one batch long.
const WARM_UP_BATCHES: u64 = 16;
/// Operations that a random-lifetime script has before it repeats: long against the 64 slots.
const CHURN_PASS: u64 = 1000;
/// Most blocks of a group that lives together, and about the most bytes of one.
const GROUP_MAX: u64 = 1000;
const GROUP_BYTES: u64 = 64 << 20;

/// Most batches that are printed one by one: some ten bytes each, twice, within a line that is kept for every process.
const PRINTED_MAX: u64 = 4096;

/// How long a block lives, where the scenario leaves it open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Lifetime {
    /// Given back at once.
    Lifo,
    /// 16 blocks live; the oldest is given back before the next is requested.
    Ring,
    /// A group is requested, then given back in the same order.
    Batch,
    /// A group is requested, then given back in an order drawn before.
    Shuffled,
    /// Given back by another thread.
    Handoff,
}

/// What happens between the return of all blocks and the last look at resident memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Rest {
    /// Two seconds with one small block requested and given back each millisecond.
    Light,
    /// Five seconds without a call of the allocator.
    Idle,
}

/// How blocks live: what the scenario and `--lifetime` come to. One for each loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LifetimePattern {
    /// Given back at once.
    Lifo,
    /// The oldest of 16 goes.
    Ring,
    /// A group, given back in order.
    Batch,
    /// A group, given back in another order.
    Shuffled,
    /// Random lifetimes in slots.
    Random,
    /// The same in several threads.
    RandomInEach,
    /// Given back by another thread.
    OtherThread,
    /// All at once, in order.
    AllAtOnce,
    /// All at once, in another order.
    AllAtOnceShuffled,
}

impl LifetimePattern {
    /// `None` where the scenario does not leave that lifetime open.
    pub(crate) fn of(rule: LifetimeRule, lifetime: Option<Lifetime>) -> Option<LifetimePattern> {
        match (rule, lifetime) {
            (LifetimeRule::Chosen, None | Some(Lifetime::Lifo)) => Some(LifetimePattern::Lifo),
            (LifetimeRule::Chosen, Some(Lifetime::Ring)) => Some(LifetimePattern::Ring),
            (LifetimeRule::Chosen, Some(Lifetime::Batch)) => Some(LifetimePattern::Batch),
            (LifetimeRule::Chosen, Some(Lifetime::Shuffled)) => Some(LifetimePattern::Shuffled),
            (LifetimeRule::Chosen, Some(Lifetime::Handoff)) | (LifetimeRule::OtherThread, None) => {
                Some(LifetimePattern::OtherThread)
            }
            (LifetimeRule::Random, None) => Some(LifetimePattern::Random),
            (LifetimeRule::RandomInEachThread, None) => Some(LifetimePattern::RandomInEach),
            (LifetimeRule::AllAtOnce, None | Some(Lifetime::Batch)) => Some(LifetimePattern::AllAtOnce),
            (LifetimeRule::AllAtOnce, Some(Lifetime::Shuffled)) => Some(LifetimePattern::AllAtOnceShuffled),
            (
                LifetimeRule::AllAtOnce
                | LifetimeRule::Random
                | LifetimeRule::RandomInEachThread
                | LifetimeRule::OtherThread,
                Some(_),
            ) => None,
        }
    }

    /// Whether `--threads` means something.
    pub(crate) fn has_threads(self) -> bool {
        matches!(self, LifetimePattern::OtherThread | LifetimePattern::RandomInEach)
    }

    /// Whether a group of blocks is requested before the first of it is given back.
    fn has_groups(self) -> bool {
        matches!(self, LifetimePattern::Batch | LifetimePattern::Shuffled)
    }

    /// Whether all blocks are given back before the last look at resident memory.
    pub(crate) fn measures_memory_return(self) -> bool {
        matches!(self, LifetimePattern::AllAtOnce | LifetimePattern::AllAtOnceShuffled)
    }
}

/// What one process does.
#[derive(Debug, Clone)]
pub(crate) struct RunPlan {
    /// Sizes, call sites, operations an iteration.
    pub(crate) scenario: &'static Scenario,
    /// Iterations to measure; with 0 everything but the measured part happens.
    pub(crate) iterations: u64,
    /// How blocks are used.
    pub(crate) touch: Touch,
    /// How long they live.
    pub(crate) pattern: LifetimePattern,
    /// Size of every object with [`Sizes::Given`], else 0.
    pub(crate) bytes: u32,
    /// Pairs of a producing and a freeing thread, or threads, where there are several; else 1.
    pub(crate) threads: u32,
    /// What follows the return of all blocks, where [`LifetimePattern::measures_memory_return`].
    pub(crate) rest: Rest,
    /// Operations that are to be timed together, if not as many as the scenario says.
    pub(crate) batch_asked: Option<u32>,
    /// No warm-up, and every operation timed on its own.
    pub(crate) cold: bool,
    /// Seed of sizes, order and call sites.
    pub(crate) seed: u64,
    /// Whether somebody counts from outside, so that nothing but the run itself may happen.
    pub(crate) counted: bool,
}

impl RunPlan {
    /// Operations of one thread that are timed together: whole groups.
    pub(crate) fn batch_operations(&self) -> u64 {
        match self.batch_asked {
            _ if self.cold && self.pattern.has_groups() => self.group(),
            _ if self.cold => 1,
            Some(asked) => u64::from(asked).next_multiple_of(self.group()),
            None => self.default_batch_operations(),
        }
    }

    /// Operations of all threads that a timed value is over.
    pub(crate) fn timed_operations(&self) -> u64 {
        if self.pattern == LifetimePattern::RandomInEach {
            self.batch_operations() * u64::from(self.threads)
        } else {
            self.batch_operations()
        }
    }

    /// Operations that belong together: what lives together with [`LifetimePattern::has_groups`], and every size of
    /// [`Sizes::Each`] equally often.
    pub(crate) fn group(&self) -> u64 {
        let (sizes, bytes) = match self.scenario.sizes {
            Sizes::Each(sizes) => (sizes.len() as u64, sizes.iter().copied().map(u64::from).sum()),
            Sizes::Octaves { first, octaves } => (1, u64::from(first) << octaves),
            Sizes::Pages { max, .. } => (1, u64::from(max)),
            Sizes::Given => (1, u64::from(self.bytes)),
        };
        if self.pattern.has_groups() {
            // In whole groups of `sizes`, each of which takes `bytes`.
            (GROUP_BYTES / bytes).clamp(2_u64.div_ceil(sizes), GROUP_MAX / sizes) * sizes
        } else {
            sizes
        }
    }

    fn default_batch_operations(&self) -> u64 {
        self.scenario.batch_operations(self.touch, self.bytes).next_multiple_of(self.group())
    }

    /// Operations of an iteration.
    fn iteration_operations(&self) -> u64 {
        self.scenario
            .operations
            .unwrap_or_else(|| (FILLED_BYTES / u64::from(self.bytes)).next_multiple_of(self.batch_operations()))
    }

    /// Measured batches of each thread or producer; `None` when the number of operations does not fit.
    pub(crate) fn timed_batches(&self) -> Option<u64> {
        Some(self.iterations.checked_mul(self.iteration_operations())?.div_ceil(self.batch_operations()))
    }

    /// Operations after which the script repeats: at least an iteration, unless that repeats one batch, and whole
    /// batches.
    pub(crate) fn script_len(&self) -> u64 {
        let pass = match self.scenario.lifetime {
            LifetimeRule::Random | LifetimeRule::RandomInEachThread => self.iteration_operations().max(CHURN_PASS),
            LifetimeRule::Chosen | LifetimeRule::OtherThread => self.iteration_operations(),
            LifetimeRule::AllAtOnce => self.batch_operations(),
        };
        pass.next_multiple_of(self.batch_operations())
    }

    /// Warm-up batches of each thread or producer: at least the whole script, whatever the iterations, so that a run
    /// with `--iterations 0` does exactly what precedes the measured part. None before all is handed back, which begins
    /// with fresh memory.
    pub(crate) fn warm_up_batches(&self) -> u64 {
        if self.cold || self.pattern.measures_memory_return() {
            return 0;
        }
        let least = match self.scenario.sizes {
            Sizes::Given => WARM_UP_MIN.max(WARM_UP_BATCHES * self.default_batch_operations()),
            Sizes::Each(_) | Sizes::Octaves { .. } | Sizes::Pages { .. } => WARM_UP_MIN,
        };
        self.script_len().max(least).div_ceil(self.batch_operations())
    }

    /// Whether the contention canary is taken before the first batch and after every batch. Not around single
    /// operations, which would start with a processor that is busy with something else; not with threads, which
    /// disturb it themselves; not where pages are faulted in, which no canary speaks for; not when somebody counts.
    pub(crate) fn takes_contention_probes(&self) -> bool {
        let printable = self.timed_batches().is_some_and(|batches| (1..=PRINTED_MAX).contains(&batches));
        printable
            && !self.cold
            && !self.counted
            && !self.pattern.has_threads()
            && !self.pattern.measures_memory_return()
    }

    /// What the percentiles are over.
    pub(crate) fn latency_over(&self) -> &'static str {
        if self.cold && self.timed_operations() == 1 { "operations" } else { "batches" }
    }

    /// The lifetime's name in the output.
    pub(crate) fn lifetime_name(&self) -> &'static str {
        match self.pattern {
            LifetimePattern::Lifo => "lifo",
            LifetimePattern::Ring => "ring",
            LifetimePattern::Batch | LifetimePattern::AllAtOnce => "batch",
            LifetimePattern::Shuffled | LifetimePattern::AllAtOnceShuffled => "shuffled",
            LifetimePattern::Random | LifetimePattern::RandomInEach => "random",
            LifetimePattern::OtherThread if self.scenario.lifetime == LifetimeRule::Chosen => "handoff",
            LifetimePattern::OtherThread => "another-thread",
        }
    }

    /// A plan with the defaults of the command line.
    #[cfg(test)]
    pub(crate) fn of_test(scenario: &str, lifetime: Option<Lifetime>) -> RunPlan {
        let scenario = Scenario::named(scenario).expect("a known scenario");
        RunPlan {
            scenario,
            iterations: 1,
            touch: Touch::None,
            pattern: LifetimePattern::of(scenario.lifetime, lifetime).expect("a lifetime of the scenario"),
            bytes: if scenario.sizes == Sizes::Given { 64 } else { 0 },
            threads: 1,
            rest: Rest::Light,
            batch_asked: None,
            cold: false,
            seed: 1,
            counted: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(scenario: &str, iterations: u64, touch: Touch, cold: bool) -> RunPlan {
        RunPlan { iterations, touch, cold, ..RunPlan::of_test(scenario, None) }
    }

    #[test]
    fn cold_runs_do_exactly_the_operations_asked_for() {
        let plan = plan("vm", 3, Touch::Full, true);
        assert_eq!((plan.batch_operations(), plan.timed_batches(), plan.warm_up_batches()), (1, Some(30), 0));
        assert_eq!(plan.latency_over(), "operations");
    }

    #[test]
    fn warm_runs_round_up_to_whole_batches() {
        let plan = plan("mixed", 1, Touch::Full, false);
        assert_eq!((plan.batch_operations(), plan.timed_batches(), plan.script_len()), (6, Some(17), 102));
        assert_eq!(plan.warm_up_batches(), 22);
    }

    #[test]
    fn the_warm_up_does_not_depend_on_the_iterations() {
        assert_eq!(
            plan("json", 0, Touch::None, false).warm_up_batches(),
            plan("json", 900, Touch::None, false).warm_up_batches()
        );
        assert_eq!(plan("json", 0, Touch::None, false).timed_batches(), Some(0));
    }

    #[test]
    fn a_group_is_a_thousand_blocks_or_64_mib_and_never_one() {
        let group = |scenario, bytes| RunPlan { bytes, ..RunPlan::of_test(scenario, Some(Lifetime::Shuffled)) }.group();
        assert_eq!([group("fixed", 16), group("fixed", 65536), group("fixed", 2 << 20)], [1000, 1000, 32]);
        assert_eq!([group("fixed", 40 << 20), group("fixed", 64 << 20)], [2, 2]);
        assert_eq!([group("json", 0), group("mir", 0), group("vm", 0), group("small", 0)], [1000, 256, 32, 1000]);
        assert_eq!(group("mixed", 0), 27 * 3); // 2.3125 MiB each three
        assert_eq!(RunPlan::of_test("mixed", None).group(), 3);
    }

    #[test]
    fn batches_are_whole_groups_however_many_are_asked_for() {
        let batch = |scenario, lifetime, batch_asked, cold| {
            RunPlan { batch_asked, cold, ..RunPlan::of_test(scenario, lifetime) }.batch_operations()
        };
        assert_eq!(batch("vm", None, Some(16), false), 16);
        assert_eq!(batch("mixed", Some(Lifetime::Ring), Some(16), false), 18);
        assert_eq!(batch("fixed", Some(Lifetime::Batch), Some(16), false), 1000);
        assert_eq!(batch("fixed", Some(Lifetime::Shuffled), None, false), 5000);
        assert_eq!(batch("fixed", Some(Lifetime::Batch), None, true), 1000);
        assert_eq!(batch("fixed", None, None, true), 1);
    }

    #[test]
    fn a_given_size_warms_up_for_as_long_whatever_is_timed_together() {
        for batch_asked in [None, Some(16), Some(1)] {
            let plan = RunPlan { batch_asked, ..RunPlan::of_test("fixed", None) };
            assert_eq!(plan.warm_up_batches() * plan.batch_operations(), 16 * 4096);
        }
    }

    #[test]
    fn what_is_handed_back_fills_256_mib() {
        let operations = |bytes| {
            let plan = RunPlan { bytes, touch: Touch::Full, ..RunPlan::of_test("memory-return", None) };
            plan.timed_batches()
                .map(|batches| (batches * plan.batch_operations(), plan.script_len(), plan.warm_up_batches()))
        };
        assert_eq!(operations(2 << 20), Some((128, 2, 0)));
        assert_eq!(operations(64 << 20), Some((4, 1, 0)));
        assert_eq!(operations(256), Some((1 << 20, 4096, 0)));
        assert!(operations(100).is_some_and(|(blocks, ..)| blocks * 100 >= FILLED_BYTES));
    }

    #[test]
    fn canaries_are_for_warm_batches_of_one_thread_that_nobody_counts() {
        let canaries = |scenario, iterations, cold, counted| {
            RunPlan { counted, ..plan(scenario, iterations, Touch::None, cold) }.takes_contention_probes()
        };
        assert!(canaries("small", 2, false, false));
        assert!(!canaries("small", 2, false, true));
        assert!(!canaries("small", 2, true, false));
        assert!(!canaries("small", 0, false, false));
        assert!(!canaries("threads", 2, false, false));
        assert!(!canaries("parallel", 2, false, false));
        assert!(!canaries("memory-return", 1, false, false));
        assert!(!RunPlan::of_test("fixed", Some(Lifetime::Handoff)).takes_contention_probes());
        assert_eq!((canaries("json", 4096, false, false), canaries("json", 4097, false, false)), (true, false));
    }

    #[test]
    fn too_many_operations_are_noticed() {
        assert_eq!(plan("json", u64::MAX, Touch::None, false).timed_batches(), None);
    }
}
