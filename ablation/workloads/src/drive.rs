//! Runs a plan on one allocator: warm-up, then batches between two readings of the clock.
//!
//! The loops themselves are in [`crate::lifetime`]; this file chooses among them and feeds them.

use crate::clock;
use crate::handback;
use crate::handoff;
use crate::lifetime::{Batch, Churn, Lifo, Lives, Ring, Shuffled};
use crate::parallel;
use crate::plan::{Plan, Touch, Way};
use crate::script::{Op, Script};
use crate::subject::Subject;
use crate::touch::{EachPage, Untouched, Use, Whole};
use crate::usage;
use std::collections::BTreeMap;

/// What a run gave.
pub(crate) struct Run {
    /// Operations of the measured part.
    pub(crate) operations: u64,
    /// Operations before it.
    pub(crate) warm_up_operations: u64,
    /// Nanoseconds of each [`Plan::timed_operations`].
    pub(crate) batch_ns: Vec<u64>,
    /// The contention canary before the first batch and after every batch, nanoseconds a step; empty when the plan
    /// takes none.
    pub(crate) canaries_ns: Vec<f64>,
    /// Over warm-up, measured part and drain.
    pub(crate) checksum: u64,
    /// Minor and major page faults of the measured part.
    pub(crate) page_faults: u64,
    /// Requests of the measured part that are no operations and are not timed.
    pub(crate) untimed_operations: u64,
    /// What else was measured: name with unit → value.
    pub(crate) values: Values,
}

/// Name with unit → value.
pub(crate) type Values = BTreeMap<&'static str, f64>;

/// Runs the plan on `A`.
pub(crate) fn drive<A: Subject + Default>(plan: &Plan) -> Run {
    match plan.touch {
        Touch::None => with_touch::<A, Untouched>(plan),
        Touch::Page => with_touch::<A, EachPage>(plan),
        Touch::Full => with_touch::<A, Whole>(plan),
    }
}

fn with_touch<A: Subject + Default, U: Use>(plan: &Plan) -> Run {
    let a = A::default();
    let group = plan.group() as usize;
    match plan.way {
        Way::Lifo => alone::<A, U>(a, plan, Lifo::default()),
        Way::Ring => alone::<A, U>(a, plan, Ring::default()),
        Way::Batch => alone::<A, U>(a, plan, Batch::new(group)),
        Way::Shuffled => {
            let script = Script::new(plan, 0);
            on_this_thread::<A, U, _>(a, plan, &script, Shuffled::new(&script, group))
        }
        Way::Random => {
            let script = Script::new(plan, 0);
            on_this_thread::<A, U, _>(a, plan, &script, Churn::new(&script))
        }
        Way::RandomInEach => parallel::run::<A, U>(a, plan),
        Way::OtherThread => handoff::run::<A, U>(a, plan),
        Way::HandBack | Way::HandBackShuffled => handback::run::<A, U>(a, plan),
    }
}

fn alone<A: Subject, U: Use>(a: A, plan: &Plan, lives: impl Lives) -> Run {
    on_this_thread::<A, U, _>(a, plan, &Script::new(plan, 0), lives)
}

/// Warm-up, measured part and drain on the calling thread.
fn on_this_thread<A: Subject, U: Use, L: Lives>(a: A, plan: &Plan, script: &Script, lives: L) -> Run {
    let mut bench = Bench::new(plan, script, lives);
    // SAFETY: the same types throughout; `drain` comes last and once.
    unsafe {
        bench.warm_up::<A, U>(a);
        let faults_before = usage::page_faults();
        bench.measure::<A, U>(a);
        let page_faults = usage::page_faults() - faults_before;
        bench.lives.drain::<A, U>(a);
        Run {
            operations: bench.measured_batches() * plan.batch(),
            warm_up_operations: plan.warm_up_batches() * plan.batch(),
            checksum: bench.lives.checksum().0,
            batch_ns: bench.batch_ns,
            canaries_ns: bench.canaries_ns,
            page_faults,
            untimed_operations: 0,
            values: Values::new(),
        }
    }
}

/// One thread's way through its script.
pub(crate) struct Bench<'s, L> {
    script: &'s Script,
    at: usize,
    batch: usize,
    warm_up_batches: u64,
    /// The blocks that live.
    pub(crate) lives: L,
    /// One entry a measured batch, written before the measured part so that storing a value faults no page in.
    pub(crate) batch_ns: Vec<u64>,
    /// One entry more, or none; written before as well.
    pub(crate) canaries_ns: Vec<f64>,
}

impl<'s, L: Lives> Bench<'s, L> {
    /// At the beginning of the script.
    ///
    /// # Panics
    /// When the number of batches does not fit memory; the arguments are checked against that before.
    pub(crate) fn new(plan: &Plan, script: &'s Script, lives: L) -> Bench<'s, L> {
        let batches = plan.batches().and_then(|b| usize::try_from(b).ok()).expect("checked with the arguments");
        clock::warm_up();
        let canaries = if plan.takes_canaries() { batches + 1 } else { 0 };
        Bench {
            script,
            at: 0,
            batch: plan.batch() as usize,
            warm_up_batches: plan.warm_up_batches(),
            lives,
            batch_ns: vec![u64::MAX; batches],
            // Each from a canary, so that its code is there as well.
            canaries_ns: (0..canaries).map(|_| ablate_probe::canary_ns()).collect(),
        }
    }

    /// Number of measured batches.
    pub(crate) fn measured_batches(&self) -> u64 {
        self.batch_ns.len() as u64
    }

    /// Does the warm-up.
    ///
    /// # Safety
    /// - `A` and `U` are the same in all calls.
    pub(crate) unsafe fn warm_up<A: Subject, U: Use>(&mut self, a: A) {
        for _ in 0..self.warm_up_batches {
            let ops = self.next_ops();
            // SAFETY: the script's parts in order; the caller promises the same types.
            unsafe { self.lives.run::<A, U>(a, ops) };
        }
    }

    /// Does the measured part.
    ///
    /// # Safety
    /// - `A` and `U` are the same in all calls.
    pub(crate) unsafe fn measure<A: Subject, U: Use>(&mut self, a: A) {
        if let Some(first) = self.canaries_ns.first_mut() {
            *first = ablate_probe::canary_ns();
        }
        for i in 0..self.batch_ns.len() {
            let ops = self.next_ops();
            let before = clock::now_ns();
            // SAFETY: the script's parts in order; the caller promises the same types.
            unsafe { self.lives.run::<A, U>(a, ops) };
            self.batch_ns[i] = clock::now_ns() - before;
            if let Some(after) = self.canaries_ns.get_mut(i + 1) {
                *after = ablate_probe::canary_ns();
            }
        }
    }

    /// Does the measured part, and leaves in `batch_ns` the time at which each batch ended.
    ///
    /// # Safety
    /// - `A` and `U` are the same in all calls.
    pub(crate) unsafe fn measure_ends<A: Subject, U: Use>(&mut self, a: A) {
        for i in 0..self.batch_ns.len() {
            let ops = self.next_ops();
            // SAFETY: the script's parts in order; the caller promises the same types.
            unsafe { self.lives.run::<A, U>(a, ops) };
            self.batch_ns[i] = clock::now_ns();
        }
    }

    /// The next batch of the script, which begins again after its end.
    fn next_ops(&mut self) -> &'s [Op] {
        if self.at == self.script.ops.len() {
            self.at = 0;
            self.lives.rewind();
        }
        let ops = &self.script.ops[self.at..self.at + self.batch];
        self.at += self.batch;
        ops
    }
}
