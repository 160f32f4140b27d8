//! One thread's work: the warm-up of its script, then timed batches, each between two readings of the clock.

use crate::allocator::Allocator;
use crate::os::clock;
use crate::workload::lifetime::Lives;
use crate::workload::plan::Plan;
use crate::workload::script::{Op, Script};
use crate::workload::touch::Use;

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
    pub(crate) unsafe fn warm_up<A: Allocator, U: Use>(&mut self, a: A) {
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
    pub(crate) unsafe fn measure<A: Allocator, U: Use>(&mut self, a: A) {
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
    pub(crate) unsafe fn measure_ends<A: Allocator, U: Use>(&mut self, a: A) {
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
