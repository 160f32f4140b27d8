//! Buffers grow step by step, all of them in turn, and are then halved: copies that wait for reuse, and the tails that a
//! smaller size leaves, are to be given back.

use super::tools::{Meter, Outcome, Worker, passes, wait};
use crate::allocator::Allocator;
use crate::os::clock;
use crate::workload::measurement::Requests;
use crate::workload::plan::RunPlan;

pub(super) fn run<A: Allocator>(a: A, plan: &RunPlan) -> Outcome {
    let size = plan.shape.bytes() as u32;
    let step = plan.shape.step.unwrap_or(u64::from(size)) as u32;
    let mut meter = Meter::default();
    let mut buffers = meter.table(plan.shape.count());
    let mut worker = Worker::new(a, plan);
    let (mut pass_ns, mut halved_ns) = (passes(plan), 0);
    meter.read("resident_before_bytes");
    for _ in 0..plan.iterations {
        let began = clock::now_ns();
        for buffer in buffers.iter_mut() {
            *buffer = worker.request(step);
        }
        let mut grown = step;
        while grown < size {
            let next = grown.saturating_add(step).min(size);
            for buffer in buffers.iter_mut() {
                // SAFETY: a live buffer of `grown` bytes; the part behind them is new.
                unsafe {
                    *buffer = worker.resize(*buffer, next);
                    worker.touch_from(*buffer, grown, 1 + (next / 16 % 255) as u8);
                }
            }
            grown = next;
        }
        pass_ns.push(clock::now_ns() - began);
        meter.read("resident_grown_bytes");
        let began = clock::now_ns();
        for buffer in buffers.iter_mut() {
            // SAFETY: a live buffer; half of the size is not 0.
            *buffer = unsafe { worker.resize(*buffer, size / 2) };
        }
        halved_ns += clock::now_ns() - began;
        meter.read("resident_halved_bytes");
        wait(plan);
        meter.read("resident_rested_bytes");
        for buffer in buffers.iter() {
            // SAFETY: live; the first byte was written unless nothing is.
            let first = if plan.touches_nothing() { 0 } else { unsafe { buffer.ptr.read_volatile() } };
            worker.add(buffer.size, first);
            // SAFETY: live, freed once.
            unsafe { worker.free_written(*buffer) };
        }
    }
    meter.read_peak();
    meter.set("halve_ns", halved_ns as f64 / (plan.iterations * plan.shape.count()) as f64);
    Outcome { pass_ns, warm_up_operations: 0, requests: Requests::Unknown, sum: worker.sum, values: meter.values }
}
