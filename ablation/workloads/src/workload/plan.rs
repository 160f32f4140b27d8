//! What one process does: how many operations, in which timed batches, after which warm-up.
//!
//! The file has only arithmetic on the arguments, so the same arguments mean the same operations for every allocator.

use crate::workload::scenario::{FILLED_BYTES, LifetimeRule, Scenario, Sizes};
use crate::workload::shape::{Parameters, Shape};
use crate::workload::touch::Touch;
use clap::ValueEnum;
use serde::Serialize;

/// Fewest warm-up operations: several turns of the ring of 16 blocks and of an allocator's caches.
const WARM_UP_MIN: u64 = 128;
/// Fewest warm-up batches with [`Sizes::Given`], whose script is one batch long.
const WARM_UP_BATCHES: u64 = 16;
/// Fewest operations before a script with random lifetimes repeats: many compared with the 64 slots.
const CHURN_PASS: u64 = 1000;
/// Most blocks of a group that is live together, and about the most bytes of one.
const GROUP_MAX: u64 = 1000;
const GROUP_BYTES: u64 = 64 << 20;

/// Operations of a shape's script, which only the proof uses.
const PROOF_OPERATIONS: u64 = 128;

/// Most timed batches that are printed one by one. Each takes some ten bytes twice, in a line that is stored for every
/// process.
const PRINTED_MAX: u64 = 4096;

/// When a block is freed, where `--lifetime` decides it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Lifetime {
    /// At once.
    Lifo,
    /// 16 blocks are live; the oldest is freed before the next is requested.
    Ring,
    /// A group is requested, then freed in the same order.
    Batch,
    /// A group is requested, then freed in an order drawn before.
    Shuffled,
    /// Another thread frees it.
    Handoff,
}

/// What the memory-return scenario does between the last free and its last reading of resident memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Rest {
    /// Two seconds; one small block is requested and freed per millisecond.
    Light,
    /// Five seconds without a call of the allocator.
    Idle,
}

/// The pattern of lifetimes that the scenario and `--lifetime` result in. It picks the driver and the timed loop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LifetimePattern {
    /// A block is freed at once.
    Lifo,
    /// 16 blocks are live, and the oldest is freed.
    Ring,
    /// A group is requested, then freed in order.
    Group,
    /// A group is requested, then freed in another order.
    ShuffledGroup,
    /// Random lifetimes in slots.
    Random,
    /// Random lifetimes in slots, in several threads.
    RandomInEachThread,
    /// Another thread frees.
    OtherThread,
    /// All blocks are requested, then freed in order.
    AllAtOnce,
    /// All blocks are requested, then freed in another order.
    AllAtOnceShuffled,
    /// As the shape says.
    Shape(Shape),
    /// The same; what is freed together is freed in another order.
    ShapeShuffled(Shape),
}

impl LifetimePattern {
    /// The pattern of a scenario's rule and the given `--lifetime`. `None` when they do not go together.
    pub(crate) fn of(rule: LifetimeRule, lifetime: Option<Lifetime>) -> Option<LifetimePattern> {
        match (rule, lifetime) {
            (LifetimeRule::Chosen, None | Some(Lifetime::Lifo)) => Some(LifetimePattern::Lifo),
            (LifetimeRule::Chosen, Some(Lifetime::Ring)) => Some(LifetimePattern::Ring),
            (LifetimeRule::Chosen, Some(Lifetime::Batch)) => Some(LifetimePattern::Group),
            (LifetimeRule::Chosen, Some(Lifetime::Shuffled)) => Some(LifetimePattern::ShuffledGroup),
            (LifetimeRule::Chosen, Some(Lifetime::Handoff)) | (LifetimeRule::OtherThread, None) => {
                Some(LifetimePattern::OtherThread)
            }
            (LifetimeRule::Random, None) => Some(LifetimePattern::Random),
            (LifetimeRule::RandomInEachThread, None) => Some(LifetimePattern::RandomInEachThread),
            (LifetimeRule::AllAtOnce, None | Some(Lifetime::Batch)) => Some(LifetimePattern::AllAtOnce),
            (LifetimeRule::AllAtOnce, Some(Lifetime::Shuffled)) => Some(LifetimePattern::AllAtOnceShuffled),
            (LifetimeRule::Shape(shape), None) => Some(LifetimePattern::Shape(shape)),
            (LifetimeRule::Shape(shape), Some(Lifetime::Batch)) if shape.has_orders() => {
                Some(LifetimePattern::Shape(shape))
            }
            (LifetimeRule::Shape(shape), Some(Lifetime::Shuffled)) if shape.has_orders() => {
                Some(LifetimePattern::ShapeShuffled(shape))
            }
            (
                LifetimeRule::AllAtOnce
                | LifetimeRule::Shape(_)
                | LifetimeRule::Random
                | LifetimeRule::RandomInEachThread
                | LifetimeRule::OtherThread,
                Some(_),
            ) => None,
        }
    }

    /// Whether `--threads` applies.
    pub(crate) fn has_threads(self) -> bool {
        matches!(self, LifetimePattern::OtherThread | LifetimePattern::RandomInEachThread)
    }

    /// The shape, if it is one.
    pub(crate) fn shape(self) -> Option<Shape> {
        match self {
            LifetimePattern::Shape(shape) | LifetimePattern::ShapeShuffled(shape) => Some(shape),
            _ => None,
        }
    }

    /// Whether a group of blocks is requested before the first of it is freed.
    fn has_groups(self) -> bool {
        matches!(self, LifetimePattern::Group | LifetimePattern::ShuffledGroup)
    }

    /// Whether the run reads resident memory after all blocks were freed.
    pub(crate) fn measures_memory_return(self) -> bool {
        matches!(self, LifetimePattern::AllAtOnce | LifetimePattern::AllAtOnceShuffled)
    }
}

/// What one process does.
#[derive(Debug, Clone)]
pub(crate) struct RunPlan {
    /// Sizes, call sites, operations per iteration.
    pub(crate) scenario: &'static Scenario,
    /// Iterations to measure. 0 does everything but the measured part.
    pub(crate) iterations: u64,
    /// How blocks are used.
    pub(crate) touch: Touch,
    /// When blocks are freed.
    pub(crate) pattern: LifetimePattern,
    /// Size of every block with [`Sizes::Given`], else 0.
    pub(crate) bytes: u32,
    /// Threads, or pairs of a producing and a freeing thread; 1 where [`LifetimePattern::has_threads`] is false.
    pub(crate) threads: u32,
    /// What follows the last free, where [`LifetimePattern::measures_memory_return`].
    pub(crate) rest: Rest,
    /// What a shape does it with; without any parameter elsewhere.
    pub(crate) shape: Parameters,
    /// Operations per timed batch as given, instead of the scenario's own number.
    pub(crate) batch_asked: Option<u32>,
    /// No warm-up, and every operation is timed on its own.
    pub(crate) cold: bool,
    /// Seed of sizes, order and call sites.
    pub(crate) seed: u64,
    /// Whether counters are read from outside the process (`--no-proof`), so that it must do the run alone.
    pub(crate) counted_from_outside: bool,
}

impl RunPlan {
    /// Operations of one thread per timed batch: whole groups.
    pub(crate) fn batch_operations(&self) -> u64 {
        if let Some(shape) = self.pattern.shape() {
            return self.shape.operations(shape);
        }
        match self.batch_asked {
            _ if self.cold && self.pattern.has_groups() => self.group(),
            _ if self.cold => 1,
            Some(asked) => u64::from(asked).next_multiple_of(self.group()),
            None => self.default_batch_operations(),
        }
    }

    /// Operations of all threads per timed value.
    pub(crate) fn timed_operations(&self) -> u64 {
        if self.pattern == LifetimePattern::RandomInEachThread {
            self.batch_operations() * u64::from(self.threads)
        } else {
            self.batch_operations()
        }
    }

    /// Operations that belong together: those whose blocks are live together, where [`LifetimePattern::has_groups`], and
    /// every size of [`Sizes::Each`] equally often.
    pub(crate) fn group(&self) -> u64 {
        let (sizes, bytes) = match self.scenario.sizes {
            Sizes::Each(sizes) => (sizes.len() as u64, sizes.iter().copied().map(u64::from).sum()),
            Sizes::Octaves { first, octaves } => (1, u64::from(first) << octaves),
            Sizes::Pages { max, .. } => (1, u64::from(max)),
            Sizes::Given => (1, u64::from(self.bytes)),
            Sizes::Range => (1, self.shape.bytes_max()),
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

    /// Operations per iteration.
    fn iteration_operations(&self) -> u64 {
        if let Some(shape) = self.pattern.shape() {
            return self.shape.operations(shape);
        }
        self.scenario
            .operations
            .unwrap_or_else(|| (FILLED_BYTES / u64::from(self.bytes)).next_multiple_of(self.batch_operations()))
    }

    /// Timed batches of each thread or producer; `None` when the number of operations does not fit 64 bits.
    pub(crate) fn timed_batches(&self) -> Option<u64> {
        Some(self.iterations.checked_mul(self.iteration_operations())?.div_ceil(self.batch_operations()))
    }

    /// Operations before the script repeats. These are whole batches, and at least an iteration, unless an iteration itself
    /// repeats one batch.
    pub(crate) fn script_len(&self) -> u64 {
        let pass = match self.scenario.lifetime {
            LifetimeRule::Random | LifetimeRule::RandomInEachThread => self.iteration_operations().max(CHURN_PASS),
            LifetimeRule::Chosen | LifetimeRule::OtherThread => self.iteration_operations(),
            LifetimeRule::AllAtOnce => self.batch_operations(),
            LifetimeRule::Shape(_) => return PROOF_OPERATIONS,
        };
        pass.next_multiple_of(self.batch_operations())
    }

    /// Warm-up batches of each thread or producer: at least the whole script. The number does not depend on the iterations,
    /// so a run with `--iterations 0` does exactly what precedes the measured part. The memory-return scenario has none,
    /// because it begins with fresh memory.
    pub(crate) fn warm_up_batches(&self) -> u64 {
        if self.cold || self.pattern.measures_memory_return() || self.pattern.shape().is_some() {
            return 0;
        }
        let least = match self.scenario.sizes {
            Sizes::Given => WARM_UP_MIN.max(WARM_UP_BATCHES * self.default_batch_operations()),
            Sizes::Each(_) | Sizes::Octaves { .. } | Sizes::Pages { .. } | Sizes::Range => WARM_UP_MIN,
        };
        self.script_len().max(least).div_ceil(self.batch_operations())
    }

    /// Whether the contention probe is taken before the first timed batch and after each. It is left out
    /// - around single operations, which would then start on a processor that just did other work,
    /// - with several threads, which disturb the probe themselves,
    /// - in the memory-return scenario and the shapes, whose page faults and waits the probe does not measure,
    /// - when counters are read from outside the process.
    pub(crate) fn takes_contention_probes(&self) -> bool {
        let printable = self.timed_batches().is_some_and(|batches| (1..=PRINTED_MAX).contains(&batches));
        printable
            && !self.cold
            && !self.counted_from_outside
            && !self.pattern.has_threads()
            && !self.pattern.measures_memory_return()
            && self.pattern.shape().is_none()
    }

    /// Whether a shape frees in a random order what it frees together.
    pub(crate) fn is_shuffled(&self) -> bool {
        matches!(self.pattern, LifetimePattern::ShapeShuffled(_))
    }

    /// Whether blocks are left as they are.
    pub(crate) fn touches_nothing(&self) -> bool {
        self.touch == Touch::None
    }

    /// What one value of the percentiles is: `operations` or `batches`.
    pub(crate) fn latency_over(&self) -> &'static str {
        if self.cold && self.timed_operations() == 1 { "operations" } else { "batches" }
    }

    /// Name of the lifetime in the output.
    pub(crate) fn lifetime_name(&self) -> &'static str {
        match self.pattern {
            LifetimePattern::Lifo => "lifo",
            LifetimePattern::Ring => "ring",
            LifetimePattern::Group | LifetimePattern::AllAtOnce => "batch",
            LifetimePattern::ShuffledGroup | LifetimePattern::AllAtOnceShuffled => "shuffled",
            LifetimePattern::Random | LifetimePattern::RandomInEachThread => "random",
            LifetimePattern::OtherThread if self.scenario.lifetime == LifetimeRule::Chosen => "handoff",
            LifetimePattern::OtherThread => "another-thread",
            LifetimePattern::Shape(_) => "shape",
            LifetimePattern::ShapeShuffled(_) => "shape-shuffled",
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
            shape: scenario.shape,
            threads: 1,
            rest: Rest::Light,
            batch_asked: None,
            cold: false,
            seed: 1,
            counted_from_outside: false,
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
    fn batches_are_rounded_up_to_whole_groups() {
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
    fn the_warm_up_of_a_given_size_does_not_depend_on_the_batch() {
        for batch_asked in [None, Some(16), Some(1)] {
            let plan = RunPlan { batch_asked, ..RunPlan::of_test("fixed", None) };
            assert_eq!(plan.warm_up_batches() * plan.batch_operations(), 16 * 4096);
        }
    }

    #[test]
    fn the_memory_return_scenario_fills_256_mib() {
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
    fn contention_probes_are_taken_around_warm_batches_of_one_thread() {
        let probes = |scenario, iterations, cold, counted_from_outside| {
            RunPlan { counted_from_outside, ..plan(scenario, iterations, Touch::None, cold) }.takes_contention_probes()
        };
        assert!(probes("small", 2, false, false));
        assert!(!probes("small", 2, false, true));
        assert!(!probes("small", 2, true, false));
        assert!(!probes("small", 0, false, false));
        assert!(!probes("threads", 2, false, false));
        assert!(!probes("parallel", 2, false, false));
        assert!(!probes("memory-return", 1, false, false));
        assert!(!RunPlan::of_test("fixed", Some(Lifetime::Handoff)).takes_contention_probes());
        assert_eq!((probes("json", 4096, false, false), probes("json", 4097, false, false)), (true, false));
    }

    #[test]
    fn too_many_operations_are_noticed() {
        assert_eq!(plan("json", u64::MAX, Touch::None, false).timed_batches(), None);
    }
}
