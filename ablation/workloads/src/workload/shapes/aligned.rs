//! Aligned objects: what lies between two of them need not be resident. A pass requests all of them and frees them in order;
//! then as many are freed at once, which is timed by itself.

use super::tools::{Meter, Outcome, Worker, passes};
use crate::allocator::Allocator;
use crate::os::clock;
use crate::workload::plan::RunPlan;
use crate::workload::script::SplitMix64;
use std::alloc::Layout;

pub(super) fn run<A: Allocator>(a: A, plan: &RunPlan) -> Outcome {
    let (size, align) = (plan.shape.bytes() as u32, plan.shape.align.unwrap_or(16) as usize);
    let layout = Layout::from_size_align(size as usize, align).expect("checked with the arguments");
    let mut meter = Meter::default();
    let mut objects = meter.table(plan.shape.count());
    let mut worker = Worker::new(a, plan);
    let mut random = SplitMix64(plan.seed);
    let (mut pass_ns, mut pairs_ns) = (passes(plan), 0);
    meter.read("resident_before_bytes");
    for _ in 0..plan.iterations {
        let began = clock::now_ns();
        for place in objects.iter_mut() {
            *place = worker.request_untouched(layout);
            let byte = worker.next_byte();
            // SAFETY: a new object of this size.
            unsafe { worker.touch_from(*place, 0, byte) };
        }
        let filled_ns = clock::now_ns() - began;
        meter.read("resident_live_bytes");
        if objects.iter().any(|object| !(object.ptr as usize).is_multiple_of(align)) {
            eprintln!("error: the allocator returned an object that is not aligned to {align} bytes");
            std::process::exit(1);
        }
        if plan.is_shuffled() {
            random.shuffle(&mut objects);
        }
        let began = clock::now_ns();
        for object in objects.iter() {
            // SAFETY: requested and touched above with this layout, freed once.
            unsafe { worker.free_read(*object, layout) };
        }
        pass_ns.push(filled_ns + clock::now_ns() - began);
        let began = clock::now_ns();
        for _ in 0..objects.len() {
            let object = worker.request_untouched(layout);
            // SAFETY: just requested with this layout.
            unsafe { worker.free_unread(object, layout) };
        }
        pairs_ns += clock::now_ns() - began;
        meter.read("resident_freed_bytes");
    }
    meter.set("pair_ns", pairs_ns as f64 / (plan.iterations * plan.shape.count()) as f64);
    Outcome::of(pass_ns, &worker, meter.values)
}
