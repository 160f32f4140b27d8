//! All but a part of the objects is freed, in one or two steps. What survives lies on many OS pages, of which the rest is
//! to go back to the kernel, also when a page that was given back in part loses more of its objects later.

use super::tools::{Meter, Object, Outcome, Worker, passes, wait};
use crate::allocator::Allocator;
use crate::os::clock;
use crate::workload::plan::RunPlan;
use crate::workload::script::SplitMix64;
use crate::workload::shape::{Keep, Part};

pub(super) fn run<A: Allocator>(a: A, plan: &RunPlan) -> Outcome {
    let size = plan.shape.bytes() as u32;
    let Keep { first, second } = plan.shape.keep.expect("a default of the scenario");
    let mut meter = Meter::default();
    let mut objects = meter.table(plan.shape.objects_of(size));
    let mut order = meter.numbers(objects.len() as u64);
    let mut worker = Worker::new(a, plan);
    let mut random = SplitMix64(plan.seed);
    let mut pass_ns = passes(plan);
    meter.read("resident_before_bytes");
    for _ in 0..plan.iterations {
        let began = clock::now_ns();
        objects.iter_mut().for_each(|place| *place = worker.request(size));
        let mut ns = clock::now_ns() - began;
        meter.read("resident_live_bytes");
        order.iter_mut().zip(0..).for_each(|(place, number)| *place = number);
        if plan.is_shuffled() {
            random.shuffle(&mut order);
        }
        ns += free_others(&mut worker, &mut objects, &order, first);
        meter.read("resident_kept_bytes");
        wait(plan);
        meter.read("resident_rested_bytes");
        if let Some(second) = second {
            ns += free_others(&mut worker, &mut objects, &order, second);
            wait(plan);
            meter.read("resident_rested_again_bytes");
        }
        let kept = objects.iter().filter(|object| !object.ptr.is_null());
        let kept_bytes: u64 = kept.map(|object| u64::from(object.size)).sum();
        meter.set("kept_bytes", kept_bytes as f64);
        let began = clock::now_ns();
        for place in objects.iter_mut().filter(|place| !place.ptr.is_null()) {
            // SAFETY: neither step freed it, and it is freed once.
            unsafe { worker.free(std::mem::replace(place, NONE)) };
        }
        pass_ns.push(ns + clock::now_ns() - began);
    }
    Outcome::of(pass_ns, &worker, meter.values)
}

const NONE: Object = Object { ptr: std::ptr::null_mut(), size: 0 };

/// Frees the objects that are not in the part; nanoseconds that it took.
fn free_others<A: Allocator>(worker: &mut Worker<A>, objects: &mut [Object], order: &[u32], kept: Part) -> u64 {
    let began = clock::now_ns();
    for number in order {
        let number = *number as usize;
        if !kept.has(number) && !objects[number].ptr.is_null() {
            // SAFETY: live, and its place is empty from now on.
            unsafe { worker.free(std::mem::replace(&mut objects[number], NONE)) };
        }
    }
    clock::now_ns() - began
}
