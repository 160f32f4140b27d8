//! One thread's work: the warm-up of its script, then timed batches, each between two readings of the clock.

use crate::allocator::Allocator;
use crate::os::clock;
use crate::workload::lifetime::TimedLoop;
use crate::workload::plan::RunPlan;
use crate::workload::script::{Op, Script};
use crate::workload::touch::Use;

/// One thread's position in its script, and its timed values.
pub(crate) struct ScriptRunner<'s, L> {
    script: &'s Script,
    at: usize,
    batch: usize,
    warm_up_batches: u64,
    /// The timed loop with its live blocks.
    pub(crate) timed_loop: L,
    /// One value per timed batch. All are written before the measured part, so that storing a value faults no OS page in.
    pub(crate) batch_ns: Vec<u64>,
    /// One probe more than batches, or none; written before as well.
    pub(crate) contention_probes_ns: Vec<f64>,
}

impl<'s, L: TimedLoop> ScriptRunner<'s, L> {
    /// Starts at the beginning of the script.
    ///
    /// # Panics
    /// When the number of batches does not fit memory. The command line refuses such plans.
    pub(crate) fn new(plan: &RunPlan, script: &'s Script, timed_loop: L) -> ScriptRunner<'s, L> {
        let batches = plan.timed_batches().and_then(|b| usize::try_from(b).ok()).expect("checked with the arguments");
        clock::warm_up();
        let probes = if plan.takes_contention_probes() { batches + 1 } else { 0 };
        ScriptRunner {
            script,
            at: 0,
            batch: plan.batch_operations() as usize,
            warm_up_batches: plan.warm_up_batches(),
            timed_loop,
            batch_ns: vec![u64::MAX; batches],
            // Filled by taking the probe, so that its code is resident as well.
            contention_probes_ns: (0..probes).map(|_| ablate_probe::contention_probe_ns()).collect(),
        }
    }

    /// Number of timed batches.
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
            unsafe { self.timed_loop.run::<A, U>(a, ops) };
        }
    }

    /// Does the measured part.
    ///
    /// # Safety
    /// - `A` and `U` are the same in all calls.
    pub(crate) unsafe fn measure<A: Allocator, U: Use>(&mut self, a: A) {
        if let Some(first) = self.contention_probes_ns.first_mut() {
            *first = ablate_probe::contention_probe_ns();
        }
        for i in 0..self.batch_ns.len() {
            let ops = self.next_ops();
            let before = clock::now_ns();
            // SAFETY: the script's parts in order; the caller promises the same types.
            unsafe { self.timed_loop.run::<A, U>(a, ops) };
            self.batch_ns[i] = clock::now_ns() - before;
            if let Some(after) = self.contention_probes_ns.get_mut(i + 1) {
                *after = ablate_probe::contention_probe_ns();
            }
        }
    }

    /// Does the measured part. Leaves in `batch_ns` the time at which each batch ended.
    ///
    /// # Safety
    /// - `A` and `U` are the same in all calls.
    pub(crate) unsafe fn measure_ends<A: Allocator, U: Use>(&mut self, a: A) {
        for i in 0..self.batch_ns.len() {
            let ops = self.next_ops();
            // SAFETY: the script's parts in order; the caller promises the same types.
            unsafe { self.timed_loop.run::<A, U>(a, ops) };
            self.batch_ns[i] = clock::now_ns();
        }
    }

    /// The next batch of the script. After the last comes the first again.
    fn next_ops(&mut self) -> &'s [Op] {
        if self.at == self.script.ops.len() {
            self.at = 0;
            self.timed_loop.rewind();
        }
        let ops = &self.script.ops[self.at..self.at + self.batch];
        self.at += self.batch;
        ops
    }
}
