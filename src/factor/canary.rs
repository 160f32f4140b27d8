//! Canary: a secret word behind each object, verified when the object is freed, resized or asked for its length. By
//! default off.
//!
//! The last word of an object's memory, its *seal*, says how many bytes were requested, or that the object is free, mixed
//! with its address and two secrets. So it is canary, length and mark of freed objects at once: a changed bit makes a
//! length that no object has. Up to [`GAP_BYTES_MAX`] bytes between object and seal are filled and verified as well, so
//! that an overflow by one byte is seen. With each free of a slot the seal of the slot before it is verified too, which
//! a write before the object hits first; whether its own object overflowed or the next one underflowed, it does not know.
//!
//! A second free finds the seal of a freed object, or none where its memory went back to the OS. So the factor replaces
//! the marks and the table of `free-check`, and no object can be used by its seal's bytes: its length is what was
//! requested.
//!
//! What it cannot know: a write that skips the gap and the seal, a read, an overflow of an object that is never freed.
//! Costs 8 bytes per object, two multiplications and up to 72 bytes written per request and read per free; it sees every
//! request, so that none takes the fast path.

use crate::fatal::Fault;
use crate::os;
use crate::sync::counters;
use core::sync::atomic::{AtomicU64, Ordering};

counters! {
    /// Seals written.
    sealed,
    /// Seals that were found whole, of freed objects and of those before them.
    verified,
}

/// Bytes of a seal.
pub(crate) const SEAL_BYTES: usize = size_of::<u64>();
/// Most bytes behind an object that are filled.
const GAP_BYTES_MAX: usize = 64;

/// Most bytes before an object that are filled, where they are no other object's.
pub(crate) const FRONT_BYTES_MAX: usize = 64;

/// What seals are made of, an odd factor for lengths and its inverse. Written before the first request.
static SECRET: AtomicU64 = AtomicU64::new(0);
static FACTOR: AtomicU64 = AtomicU64::new(1);
static INVERSE: AtomicU64 = AtomicU64::new(1);

/// Draws the secrets, before the first request.
pub(crate) fn begin() {
    let factor = os::random_word() | 1;
    // Newton's iteration: each step doubles the bits that are right, from the three that an odd number begins with.
    let inverse =
        (0..5).fold(factor, |inverse, _| inverse.wrapping_mul(2_u64.wrapping_sub(factor.wrapping_mul(inverse))));
    FACTOR.store(factor, Ordering::Relaxed);
    INVERSE.store(inverse, Ordering::Relaxed);
    SECRET.store(os::random_word(), Ordering::Relaxed);
}

/// What the seal at an address is mixed with. No byte is 0, so that the end of a string is seen.
fn key_of(seal: *mut u8) -> u64 {
    let mixed = (seal.addr() as u64 ^ SECRET.load(Ordering::Relaxed)).wrapping_mul(FACTOR.load(Ordering::Relaxed));
    (mixed ^ mixed >> 29) | 0x0101_0101_0101_0101
}

/// What a seal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The object is live and has so many bytes.
    Live(usize),
    /// It is free.
    Free,
    /// Nothing: it was never handed out, or its memory went back to the OS.
    Blank,
    /// No seal is there.
    Broken,
}

/// The seal's word for a length plus 1; 0 stands for a free object.
fn seal_of(seal: *mut u8, length: u64) -> u64 {
    length.wrapping_mul(FACTOR.load(Ordering::Relaxed)) ^ key_of(seal)
}

/// Reads the seal at an address. An object that ends there has at most `most` bytes.
///
/// # Safety
/// - a word of the allocator's memory lies there, which is readable.
unsafe fn read(seal: *mut u8, most: usize) -> State {
    // SAFETY: the caller's promise. Atomic, since another thread may free that object at this moment.
    let word = unsafe { (*seal.cast::<AtomicU64>()).load(Ordering::Relaxed) };
    match (word ^ key_of(seal)).wrapping_mul(INVERSE.load(Ordering::Relaxed)) {
        _ if word == 0 => State::Blank,
        0 => State::Free,
        length if length - 1 <= most as u64 => State::Live(length as usize - 1),
        _ => State::Broken,
    }
}

/// Writes the seal of a live object of `size` bytes, whose seal lies `limit` bytes behind its start.
///
/// # Safety
/// - `[object, object + limit + SEAL_BYTES)` is the object's own, and `size <= limit`, a multiple of 8.
pub(crate) unsafe fn seal(counters: &Counters, object: *mut u8, size: usize, limit: usize) {
    counters.sealed.add(1);
    let seal = object.wrapping_add(limit);
    let bytes = key_of(seal).to_le_bytes();
    // SAFETY: the caller's promise.
    unsafe {
        (size..limit.min(size + GAP_BYTES_MAX)).for_each(|at| object.add(at).write(bytes[at % 8]));
        (*seal.cast::<AtomicU64>()).store(seal_of(seal, size as u64 + 1), Ordering::Relaxed);
    }
}

/// Verifies the seal of an object, and returns how many bytes it has.
///
/// # Errors
/// The object is free, or something behind it was overwritten.
///
/// # Safety
/// - `[object, object + limit + SEAL_BYTES)` is an object's memory.
pub(crate) unsafe fn verify(counters: &Counters, object: *mut u8, limit: usize) -> Result<usize, Fault> {
    let seal = object.wrapping_add(limit);
    // SAFETY: passed on.
    let size = match unsafe { read(seal, limit) } {
        State::Live(size) => size,
        State::Free | State::Blank => return Err(Fault::DoubleFree),
        State::Broken => return Err(Fault::Behind),
    };
    let bytes = key_of(seal).to_le_bytes();
    // SAFETY: the caller's promise.
    let is_whole = (size..limit.min(size + GAP_BYTES_MAX)).all(|at| unsafe { object.add(at).read() } == bytes[at % 8]);
    counters.verified.add(1);
    if is_whole { Ok(size) } else { Err(Fault::Behind) }
}

/// Marks a verified object of `size` bytes as free: by its seal, or by none where the memory may get another shape before
/// it is used again.
///
/// # Errors
/// Another thread freed it at the same time.
///
/// # Safety
/// - as [`verify`], which returned this size.
pub(crate) unsafe fn mark_free(object: *mut u8, size: usize, limit: usize, keeps_shape: bool) -> Result<(), Fault> {
    let seal = object.wrapping_add(limit);
    let free = if keeps_shape { seal_of(seal, 0) } else { 0 };
    // SAFETY: passed on. Relaxed: of two concurrent frees exactly one sees the seal of the live object.
    let word = unsafe { &*seal.cast::<AtomicU64>() };
    let live = seal_of(seal, size as u64 + 1);
    match word.compare_exchange(live, free, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => Ok(()),
        Err(_) => Err(Fault::DoubleFree),
    }
}

/// Verifies the seal that lies right before a slot: that of the slot before it, live, free or never used.
///
/// # Errors
/// It was overwritten.
///
/// # Safety
/// - another slot of `limit + SEAL_BYTES` bytes ends at the address.
pub(crate) unsafe fn verify_before(counters: &Counters, object: *mut u8, limit: usize) -> Result<(), Fault> {
    counters.verified.add(1);
    // SAFETY: passed on.
    match unsafe { read(object.wrapping_sub(SEAL_BYTES), limit) } {
        State::Broken => Err(Fault::Before),
        State::Live(_) | State::Free | State::Blank => Ok(()),
    }
}

/// Fills bytes before an object.
///
/// # Safety
/// - `[object - bytes, object)` is no other object's.
pub(crate) unsafe fn fill_front(object: *mut u8, bytes: usize) {
    let pattern = key_of(object).to_le_bytes();
    // SAFETY: the caller's promise.
    (1..=bytes).for_each(|before| unsafe { object.sub(before).write(pattern[before % 8]) });
}

/// Verifies the bytes that [`fill_front`] filled.
///
/// # Errors
/// They were overwritten.
///
/// # Safety
/// - as [`fill_front`], which was called for the live object.
pub(crate) unsafe fn verify_front(object: *mut u8, bytes: usize) -> Result<(), Fault> {
    let pattern = key_of(object).to_le_bytes();
    // SAFETY: the caller's promise.
    let is_whole = (1..=bytes).all(|before| unsafe { object.sub(before).read() } == pattern[before % 8]);
    if is_whole { Ok(()) } else { Err(Fault::Before) }
}

/// Whether the seal of a free object says so, or was never written.
///
/// # Safety
/// - as [`verify`].
pub(crate) unsafe fn is_free(object: *mut u8, limit: usize) -> bool {
    // SAFETY: passed on.
    matches!(unsafe { read(object.wrapping_add(limit), limit) }, State::Free | State::Blank)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_changed_bit_behind_an_object_is_found() {
        begin();
        let counters = Counters::new();
        let mut memory = [0_u64; 16];
        let object: *mut u8 = (&raw mut memory).cast();
        let limit = size_of_val(&memory) - SEAL_BYTES;
        for size in [0, 1, 7, 8, 63, 100, limit - 1, limit] {
            // SAFETY: the memory is ours.
            unsafe {
                object.write_bytes(0, limit + SEAL_BYTES);
                assert_eq!(verify(&counters, object, limit), Err(Fault::DoubleFree), "never handed out");
                seal(&counters, object, size, limit);
                assert_eq!(verify(&counters, object, limit), Ok(size));
                for at in (size..limit.min(size + GAP_BYTES_MAX)).chain(limit..limit + SEAL_BYTES) {
                    for bit in 0..8 {
                        *object.add(at) ^= 1 << bit;
                        assert_eq!(verify(&counters, object, limit), Err(Fault::Behind), "byte {at} of {size}");
                        *object.add(at) ^= 1 << bit;
                    }
                }
                let next = object.add(limit + SEAL_BYTES);
                assert_eq!(verify_before(&counters, next, limit), Ok(()));
                assert_eq!(mark_free(object, size, limit, true), Ok(()));
                assert_eq!(mark_free(object, size, limit, true), Err(Fault::DoubleFree));
                assert_eq!(verify(&counters, object, limit), Err(Fault::DoubleFree));
                assert!(is_free(object, limit));
                assert_eq!(verify_before(&counters, next, limit), Ok(()));
                *object.add(limit + 7) ^= 1;
                assert_eq!(verify_before(&counters, next, limit), Err(Fault::Before));
                assert!(!is_free(object, limit));
            }
        }
    }
}
