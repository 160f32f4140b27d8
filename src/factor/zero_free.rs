//! Zero free: an object's contents are zeroed when it is freed, and verified to be zero still when its memory is handed
//! out again. By default off.
//!
//! Secrets do not outlive their object, what a program reads by a stale pointer is 0, and a write by one ends the process
//! at the next use of the memory. Memory of objects beyond 56 KiB goes back to the OS instead, and of what is handed out
//! again only the OS pages are looked at that were touched meanwhile. So all memory without an object is zero, but for
//! marks of free slots; pages and runs go back to the OS when they give their shape up.
//!
//! What it cannot know: a write that writes zeroes, or to memory that is not used again; one to the second word of a small
//! slot that came back to its page, where `free-check` marks it anew.
//! Costs a write of all bytes of an object with each free and a read of them with each request; a system call and page
//! faults for each object beyond 56 KiB. It sees every request, so that none takes the fast path.

use crate::os::{self, OS_PAGE};
use crate::sync::counters;

counters! {
    /// Bytes of objects that were zeroed or given back to the OS.
    wiped_bytes,
    /// Objects that were found to be zero still.
    verified,
}

/// Zeroes freed memory. The OS takes whole OS pages back where `by_os` says so.
///
/// # Safety
/// - `[start, start + bytes)` is the allocator's, and holds no object.
pub(crate) unsafe fn wipe(counters: &Counters, start: *mut u8, bytes: usize, by_os: bool) {
    counters.wiped_bytes.add(bytes as u64);
    // SAFETY: passed on.
    unsafe { clear(start, bytes, by_os) };
}

/// As [`wipe`], for memory that gives its shape up.
///
/// # Safety
/// - as [`wipe`].
pub(crate) unsafe fn clear(start: *mut u8, bytes: usize, by_os: bool) {
    if !by_os {
        // SAFETY: the caller's promise.
        return unsafe { start.write_bytes(0, bytes) };
    }
    let page = os::kernel_page();
    let before = start.addr().next_multiple_of(page) - start.addr();
    // SAFETY: the caller's promise. Locked memory does not go back, and is written instead.
    unsafe {
        if bytes < before + page {
            return start.write_bytes(0, bytes);
        }
        let whole = (bytes - before) / page * page;
        start.write_bytes(0, before);
        if !os::decommit(start.add(before), whole) {
            start.add(before).write_bytes(0, whole);
        }
        start.add(before + whole).write_bytes(0, bytes - before - whole);
    }
}

/// Lets the OS take whole OS pages of freed memory back, whatever the rest holds.
///
/// # Safety
/// - as [`wipe`].
pub(crate) unsafe fn give_back(start: *mut u8, bytes: usize) {
    let page = os::kernel_page();
    let before = start.addr().next_multiple_of(page) - start.addr();
    // SAFETY: passed on.
    unsafe { os::decommit(start.add(before), bytes.saturating_sub(before) / page * page) };
}

/// Whether memory that holds no object is zero. Of long memory only the OS pages are read that are resident.
///
/// # Safety
/// - `[start, start + bytes)` is the allocator's, readable, holds no object, and begins and ends at multiples of 8.
pub(crate) unsafe fn is_zero(counters: &Counters, start: *mut u8, bytes: usize) -> bool {
    counters.verified.add(1);
    // SAFETY: passed on.
    let words_are_zero = |start: *mut u8, bytes: usize| unsafe {
        (0..bytes).step_by(8).all(|at| start.add(at).cast::<u64>().read() == 0)
    };
    if bytes < 4 * OS_PAGE {
        return words_are_zero(start, bytes);
    }
    let mut is_zero = true;
    os::guard::each_resident(start, bytes, |start, bytes| is_zero = is_zero && words_are_zero(start, bytes));
    is_zero
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn what_is_wiped_is_zero_until_it_is_written() {
        let counters = Counters::new();
        let bytes = 16 * OS_PAGE;
        let memory = os::map(bytes);
        // SAFETY: the memory is ours.
        unsafe {
            for (from, len, by_os) in [(0, 64, false), (8, 4096, false), (64, 10 * OS_PAGE, true), (24, 4096, true)] {
                memory.write_bytes(0xa5, bytes);
                wipe(&counters, memory.add(from), len, by_os);
                assert!(is_zero(&counters, memory.add(from), len), "{from} {len}");
                assert!((0..from).chain(from + len..bytes).all(|at| memory.add(at).read() == 0xa5), "{from} {len}");
                for at in [from, from + len / 2, from + len - 1] {
                    memory.add(at).write(1);
                    assert!(!is_zero(&counters, memory.add(from), len), "{at}");
                    memory.add(at).write(0);
                }
            }
            os::unmap(memory, bytes);
        }
    }
}
