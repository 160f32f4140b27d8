//! The driver for blocks that change threads: a producer requests and touches a block, another thread frees it.
//!
//! The producers are timed: a batch ends when its last block is in the queue. A producer that runs ahead waits for a
//! place in the queue, so over many batches a batch takes as long as the slower side.

use crate::allocator::Allocator;
use crate::os::usage;
use crate::workload::lifetime::{Block, Checksum, TimedLoop, release, request};
use crate::workload::measurement::{Measurement, Requests, Values};
use crate::workload::plan::RunPlan;
use crate::workload::script::{Op, Script};
use crate::workload::script_runner::ScriptRunner;
use crate::workload::spsc::{Consumer, Producer, Queue};
use crate::workload::touch::Use;
use std::sync::Barrier;

/// A block that is passed to another thread.
#[derive(Clone, Copy)]
struct Handed(Block);

// SAFETY: the producer does not use the block after the push, and every allocator allows a free by another thread.
unsafe impl Send for Handed {}

/// The producing half of the timed loop.
struct Handoff<'q> {
    queue: Producer<'q, Handed>,
    sum: Checksum,
}

impl TimedLoop for Handoff<'_> {
    #[inline(never)]
    unsafe fn run<A: Allocator, U: Use>(&mut self, a: A, ops: &[Op]) {
        let mut sum = self.sum;
        for op in ops {
            // SAFETY: the consumer releases every block it receives once, with the same types.
            self.queue.push(Handed(unsafe { request::<A, U>(a, op, &mut sum) }));
        }
        self.sum = sum;
    }

    fn checksum(&self) -> Checksum {
        self.sum
    }
}

/// The freeing half: frees blocks until the queue is closed.
#[inline(never)]
fn free_all<A: Allocator, U: Use>(a: A, mut queue: Consumer<'_, Handed>) -> Checksum {
    let mut sum = Checksum::default();
    while let Some(Handed(block)) = queue.pop() {
        // SAFETY: a producer with the same types pushed it, and does not use it again.
        unsafe { release::<A, U>(a, block, &mut sum) };
    }
    sum
}

/// What one producer measured.
struct Produced {
    batch_ns: Vec<u64>,
    sum: Checksum,
}

/// Runs the plan with `plan.threads` pairs.
pub(crate) fn run<A: Allocator, U: Use>(a: A, plan: &RunPlan) -> Measurement {
    let pairs = plan.threads as usize;
    let scripts: Vec<Script> = (0..plan.threads).map(|pair| Script::new(plan, pair)).collect();
    let mut queues: Vec<Queue<Handed>> = (0..pairs).map(|_| Queue::new()).collect();
    // The barriers: warm-up is over; start; the last block is freed. Threads end after the third, outside the measured part.
    let (ready, go, end) = (Barrier::new(pairs + 1), Barrier::new(pairs + 1), Barrier::new(2 * pairs + 1));
    let (mut batch_ns, mut sum, mut page_faults) = (Vec::new(), Checksum::default(), 0);
    std::thread::scope(|scope| {
        let mut producers = Vec::with_capacity(pairs);
        let mut consumers = Vec::with_capacity(pairs);
        for (queue, script) in queues.iter_mut().zip(&scripts) {
            let (producer, consumer) = queue.split();
            let (ready, go, end) = (&ready, &go, &end);
            consumers.push(scope.spawn(move || {
                let sum = free_all::<A, U>(a, consumer);
                end.wait();
                sum
            }));
            producers.push(scope.spawn(move || {
                let mut runner = ScriptRunner::new(plan, script, Handoff { queue: producer, sum: Checksum::default() });
                // SAFETY: the same types throughout.
                unsafe { runner.warm_up::<A, U>(a) };
                ready.wait();
                go.wait();
                // SAFETY: the same types throughout.
                unsafe { runner.measure::<A, U>(a) };
                let ScriptRunner { timed_loop, batch_ns, .. } = runner;
                let sum = timed_loop.checksum();
                drop(timed_loop); // closes the queue
                end.wait();
                Produced { batch_ns, sum }
            }));
        }
        ready.wait();
        let faults_before = usage::page_faults();
        go.wait();
        end.wait();
        page_faults = usage::page_faults() - faults_before;
        for (producer, consumer) in producers.into_iter().zip(consumers) {
            let produced = producer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            let freed = consumer.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            batch_ns.extend(produced.batch_ns);
            sum.add(produced.sum.0);
            sum.add(freed.0);
        }
    });
    Measurement {
        operations: batch_ns.len() as u64 * plan.batch_operations(),
        warm_up_operations: pairs as u64 * plan.warm_up_batches() * plan.batch_operations(),
        batch_ns,
        contention_probes_ns: Vec::new(),
        checksum: sum.0,
        page_faults,
        requests: Requests::OnePerOperation,
        values: Values::new(),
    }
}
