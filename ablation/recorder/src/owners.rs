//! Which thread used an address last, so that only an object that passes from one thread to another needs an exact time.
//!
//! A place holds the number of the thread that had the last event at its addresses. A thread that finds its own there had the
//! event before on this address, whatever it was: the order of its own events is then all that a reader needs. One that finds
//! another's reads the clock, after everything that came before. Addresses that share a place cost such readings, and no
//! order: but when two threads write a place at once, of two addresses, a later event may find its own number where it is
//! not. The reader sees that the address was in use, or not known.

use core::sync::atomic::{AtomicBool, AtomicU16, Ordering};

const PLACES: usize = 1 << 16;
/// A line of places is for neighbours in memory, as lines of an allocator's are for one thread.
const NEIGHBOURS: usize = 32;

/// Numbers of threads, and 1; 0 for none.
static OWNERS: [AtomicU16; PLACES] = [const { AtomicU16::new(0) }; PLACES];
static IS_USED: AtomicBool = AtomicBool::new(false);

/// The number of threads whose number is too large: nothing is their own.
const NEVER: u16 = u16::MAX;

/// What places hold of the thread with this number.
pub(crate) fn of(thread: u32) -> u16 {
    u16::try_from(thread + 1).unwrap_or(NEVER)
}

/// Forgets the threads of a parent.
pub(crate) fn start() {
    if IS_USED.swap(false, Ordering::Relaxed) {
        OWNERS.iter().for_each(|owner| owner.store(0, Ordering::Relaxed));
    }
}

/// Notes that there are threads.
pub(crate) fn used() {
    IS_USED.store(true, Ordering::Relaxed);
}

/// Whether another thread had the last event at an address.
#[inline(always)]
pub(crate) fn is_of_another(address: usize, than: u16) -> bool {
    // Relaxed: who has the object has seen what was stored before it was passed on.
    OWNERS[place(address)].load(Ordering::Relaxed) != than
}

/// Notes whose event an address has.
#[inline(always)]
pub(crate) fn take(address: usize, own: u16) {
    let own = if own == NEVER { 0 } else { own };
    OWNERS[place(address)].store(own, Ordering::Relaxed);
}

#[inline(always)]
fn place(address: usize) -> usize {
    // The golden ratio's multiplicative hash (Knuth, The Art of Computer Programming 3, 6.4).
    let line = ((address as u64 >> 9).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - 11)) as usize;
    line * NEIGHBOURS + (address >> 4) % NEIGHBOURS
}

const _: () = assert!(PLACES == NEIGHBOURS << 11, "a hash of 11 bits names each line");
