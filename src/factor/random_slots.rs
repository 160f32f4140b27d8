//! Random slots: which of the free slots a request gets is random. By default off.
//!
//! Objects that are allocated one after the other do not lie side by side in a known order, so that an overflow hits
//! something else each time. A request takes a random one of the newest [`CHOICES`] objects of the thread's slot list,
//! or, of objects beyond 1 KiB, of as many free slots of a page. Runs of blocks and mappings come as they are.
//!
//! The random numbers are splitmix64, from a secret that all threads share, and no cipher.
//!
//! Costs up to sixteen moves between two stacks and a locked instruction per request, and one lock more per request of a slot beyond 1 KiB that no
//! cache has. It sees every request, so that none takes the fast path.

use crate::os;
use crate::sync::counters;
use core::sync::atomic::{AtomicU64, Ordering};

counters! {
    /// Slots that were chosen among several.
    picks,
}

/// Among how many slots one is chosen.
pub(crate) const CHOICES: usize = 16;

/// A sequence that all threads share, from a secret. Relaxed: it orders nothing.
static SEQUENCE: AtomicU64 = AtomicU64::new(0);

/// Draws the secret, before the first request.
pub(crate) fn begin() {
    SEQUENCE.store(os::random_word(), Ordering::Relaxed);
}

/// Takes one of these out, by putting it last. There is at least one.
pub(crate) fn pick(counters: &Counters, slots: &mut [*mut u8]) {
    counters.picks.add(u64::from(slots.len() > 1));
    let drawn = mix(SEQUENCE.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed));
    let place = ((u128::from(drawn) * slots.len() as u128) >> 64) as usize;
    let last = slots.len() - 1;
    slots.swap(place, last);
}

/// The output of splitmix64. G. Steele, D. Lea, C. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
fn mix(state: u64) -> u64 {
    let state = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let state = (state ^ state >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ state >> 31
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use core::ptr;

    #[test]
    fn every_slot_is_picked_about_as_often() {
        let counters = Counters::new();
        begin();
        let mut picked = [0; CHOICES];
        for _ in 0..16_000 {
            let mut slots: [*mut u8; CHOICES] = core::array::from_fn(ptr::without_provenance_mut);
            pick(&counters, &mut slots);
            picked[slots[CHOICES - 1].addr()] += 1;
        }
        // The mean is 1,000, its deviation 31.
        assert!(picked.iter().all(|count| (800..1200).contains(count)), "{picked:?}");
        assert_eq!(counters.picks.get(), 16_000);
    }
}
