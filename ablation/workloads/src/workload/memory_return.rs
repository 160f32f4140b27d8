//! The driver for the memory-return scenario: how much memory stays resident after every block was freed.
//!
//! An iteration fills memory, frees all of it, and rests. Resident memory is read before and after each of these steps. A
//! timed value is the filling of some blocks and the freeing of as many. The program's own memory is requested and touched
//! before the first reading, and a reading requests none.

use crate::allocator::Allocator;
use crate::os::clock;
use crate::os::usage;
use crate::workload::lifetime::{Block, Checksum, release, request};
use crate::workload::measurement::{Measurement, Requests, Values};
use crate::workload::plan::{LifetimePattern, Rest, RunPlan};
use crate::workload::script::{Op, Script, SplitMix64};
use crate::workload::touch::Use;
use std::ptr::NonNull;

/// Blocks of the light traffic: one per millisecond for two seconds.
const LIGHT_BLOCKS: usize = 2000;
const LIGHT_EACH_NS: u64 = 1_000_000;
/// Largest block of the light traffic, bytes; the smallest has 16.
const LIGHT_BYTES: u64 = 1024;
/// Nanoseconds of a rest without traffic: five seconds.
const IDLE_NS: u64 = 5_000_000_000;

/// Resident bytes at the four readings; `None` when the kernel does not report them.
#[derive(Debug, Clone, Copy)]
struct Resident {
    before: Option<u64>,
    live: Option<u64>,
    freed: Option<u64>,
    rested: Option<u64>,
}

/// Runs the plan. The resident bytes are those of the last iteration.
pub(crate) fn run<A: Allocator, U: Use>(a: A, plan: &RunPlan) -> Measurement {
    let script = Script::new(plan, 0);
    let batch = plan.batch_operations() as usize;
    let batches = plan.timed_batches().and_then(|b| usize::try_from(b).ok()).expect("checked with the arguments");
    let batches_each = batches.checked_div(plan.iterations as usize).unwrap_or_default();
    let mut random = SplitMix64(plan.seed);
    let light = light_traffic(&script, &mut random);
    clock::warm_up();
    // Not null: a vector of zeros could be pages that are not resident yet.
    let mut blocks = vec![NonNull::<u8>::dangling().as_ptr(); batches_each * batch];
    let mut batch_ns = vec![u64::MAX; batches];
    let (mut fill_ns, mut page_faults) = (0, 0);
    let mut sum = Checksum::default();
    let mut resident = None;
    for timed in batch_ns.chunks_exact_mut(batches_each.max(1)) {
        let before = usage::resident_bytes();
        let faults_before = usage::page_faults();
        for (ns, places) in timed.iter_mut().zip(blocks.chunks_exact_mut(batch)) {
            let start = clock::now_ns();
            // SAFETY: the places are emptied below, with the same types.
            unsafe { fill::<A, U>(a, &script.ops, places, &mut sum) };
            *ns = clock::now_ns() - start;
            fill_ns += *ns;
        }
        let live = usage::resident_bytes();
        if plan.pattern == LifetimePattern::AllAtOnceShuffled {
            random.shuffle(&mut blocks);
        }
        for (ns, places) in timed.iter_mut().zip(blocks.chunks_exact(batch)) {
            let start = clock::now_ns();
            // SAFETY: filled above, and every place is emptied once.
            unsafe { empty::<A, U>(a, plan.bytes, places, &mut sum) };
            *ns += clock::now_ns() - start;
        }
        page_faults += usage::page_faults() - faults_before;
        let freed = usage::resident_bytes();
        match plan.rest {
            Rest::Light => rest_with::<A, U>(a, &light, &mut sum),
            Rest::Idle => clock::sleep_until_ns(clock::now_ns() + IDLE_NS),
        }
        resident = Some(Resident { before, live, freed, rested: usage::resident_bytes() });
    }
    let operations = batches as u64 * plan.batch_operations();
    let mut values = resident.map_or_else(Values::new, Resident::values);
    if operations > 0 {
        let all_ns: u64 = batch_ns.iter().sum();
        values.insert("fill_ns_mean", fill_ns as f64 / operations as f64);
        values.insert("free_ns_mean", (all_ns - fill_ns) as f64 / operations as f64);
    }
    Measurement {
        operations,
        warm_up_operations: 0,
        batch_ns,
        contention_probes_ns: Vec::new(),
        checksum: sum.0,
        page_faults,
        requests: Requests::Counted(
            operations + if plan.rest == Rest::Light { plan.iterations * LIGHT_BLOCKS as u64 } else { 0 },
        ),
        values,
    }
}

/// Requests one block for each place.
///
/// # Safety
/// - The blocks are freed with the same types.
#[inline(never)]
unsafe fn fill<A: Allocator, U: Use>(a: A, ops: &[Op], places: &mut [*mut u8], sum: &mut Checksum) {
    let mut running = *sum;
    for (place, op) in places.iter_mut().zip(ops) {
        // SAFETY: the caller promises the return.
        *place = unsafe { request::<A, U>(a, op, &mut running) }.ptr;
    }
    *sum = running;
}

/// Frees all blocks.
///
/// # Safety
/// - The blocks are live, of `size` bytes, from [`fill`] with the same types.
#[inline(never)]
unsafe fn empty<A: Allocator, U: Use>(a: A, size: u32, places: &[*mut u8], sum: &mut Checksum) {
    let mut running = *sum;
    for ptr in places {
        // SAFETY: the caller promises live blocks.
        unsafe { release::<A, U>(a, Block { ptr: *ptr, size }, &mut running) };
    }
    *sum = running;
}

/// The operations of the light traffic: as the script's, with random sizes.
fn light_traffic(script: &Script, random: &mut SplitMix64) -> Vec<Op> {
    let ops = script.ops.iter().cycle().take(LIGHT_BLOCKS);
    ops.map(|op| Op { size: 16 * (1 + random.below(LIGHT_BYTES / 16)) as u32, ..*op }).collect()
}

/// Requests and frees one block per millisecond.
fn rest_with<A: Allocator, U: Use>(a: A, light: &[Op], sum: &mut Checksum) {
    let mut next_ns = clock::now_ns();
    for op in light {
        // SAFETY: sizes are at least 16; the block is live until `release`, which comes once and with the same types.
        unsafe {
            let block = request::<A, U>(a, op, sum);
            release::<A, U>(a, block, sum);
        }
        next_ns += LIGHT_EACH_NS;
        clock::sleep_until_ns(next_ns);
    }
}

impl Resident {
    fn values(self) -> Values {
        let Resident { before, live, freed, rested } = self;
        let bytes = [
            ("resident_before_bytes", before),
            ("resident_live_bytes", live),
            ("resident_freed_bytes", freed),
            ("resident_rested_bytes", rested),
        ];
        let mut values: Values = bytes.into_iter().filter_map(|(name, bytes)| Some((name, bytes? as f64))).collect();
        if let (Some(before), Some(live), Some(rested)) = (before, live, rested)
            && live > before
        {
            let share = (rested as f64 - before as f64) / (live - before) as f64;
            values.insert("resident_rested_share", share);
        }
        values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_of_what_was_filled() {
        let resident = Resident { before: Some(100), live: Some(300), freed: Some(250), rested: Some(150) };
        let values = resident.values();
        assert_eq!((values["resident_rested_share"], values["resident_freed_bytes"]), (0.25, 250.0));
    }

    #[test]
    fn what_the_kernel_does_not_report_is_missing() {
        let unknown = Resident { before: None, live: Some(3), freed: None, rested: Some(1) };
        assert_eq!(unknown.values().into_keys().collect::<Vec<_>>(), ["resident_live_bytes", "resident_rested_bytes"]);
        let same = Resident { before: Some(3), live: Some(3), freed: Some(3), rested: Some(3) };
        assert!(!same.values().contains_key("resident_rested_share"));
    }

    #[test]
    fn light_traffic_is_small_and_varied() {
        let light = light_traffic(&Script::new(&RunPlan::of_test("memory-return", None), 0), &mut SplitMix64(1));
        assert_eq!(light.len(), LIGHT_BLOCKS);
        assert!(light.iter().all(|op| (16..=1024).contains(&op.size)));
        assert!(light.iter().any(|op| op.size < 64) && light.iter().any(|op| op.size > 960));
    }
}
