//! Many objects of which one byte each is written: only the OS pages with these bytes need to be resident.

use super::tools::{Meter, Outcome, Worker, passes};
use crate::allocator::{ALIGN, Allocator};
use crate::os::clock;
use crate::workload::plan::RunPlan;
use crate::workload::script::SplitMix64;
use std::alloc::Layout;

pub(super) fn run<A: Allocator>(a: A, plan: &RunPlan) -> Outcome {
    let size = plan.shape.bytes() as u32;
    let layout = Layout::from_size_align(size as usize, ALIGN).expect("far below isize::MAX");
    let mut meter = Meter::default();
    let mut objects = meter.table(plan.shape.objects_of(size));
    let mut worker = Worker::new(a, plan);
    let mut random = SplitMix64(plan.seed);
    let mut pass_ns = passes(plan);
    meter.read("resident_before_bytes");
    for _ in 0..plan.iterations {
        let began = clock::now_ns();
        for place in objects.iter_mut() {
            *place = worker.request_untouched(layout);
            // SAFETY: the first byte of a new object.
            unsafe { place.ptr.write_volatile(worker.next_byte()) };
        }
        let filled_ns = clock::now_ns() - began;
        meter.read("resident_live_bytes");
        if plan.is_shuffled() {
            random.shuffle(&mut objects);
        }
        let began = clock::now_ns();
        for object in objects.iter() {
            // SAFETY: requested and written above.
            let byte = unsafe { object.ptr.read_volatile() };
            worker.add(size, byte);
            // SAFETY: requested above with this layout, freed once.
            unsafe { worker.free_unread(*object, layout) };
        }
        pass_ns.push(filled_ns + clock::now_ns() - began);
        meter.read("resident_freed_bytes");
    }
    Outcome::of(pass_ns, &worker, meter.values)
}
