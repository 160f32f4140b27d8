//! Memory of the program's own that no allocator serves: it comes from `mmap`, and all of it is resident from the start.
//!
//! The shapes keep their tables of objects here. A table then has a known number of resident bytes, which a reading of
//! resident memory leaves out, and no measured allocator is asked for it.

use super::OS_PAGE;
use std::ops::{Deref, DerefMut};

/// A fixed number of values that are all zero bytes at first.
pub(crate) struct OwnMemory<T> {
    start: *mut T,
    len: usize,
}

// SAFETY: it owns its values, as a `Vec` does.
unsafe impl<T: Send> Send for OwnMemory<T> {}

/// Values for which all bytes zero are a value.
///
/// # Safety
/// - All bytes zero are a valid value of the type, and it has no `Drop`.
pub(crate) unsafe trait Zeroable {}

// SAFETY: 0 is a number.
unsafe impl Zeroable for u32 {}
// SAFETY: 0 is a number.
unsafe impl Zeroable for f64 {}

impl<T: Zeroable> OwnMemory<T> {
    /// Maps room for `len` values and touches every OS page of it.
    pub(crate) fn new(len: usize) -> OwnMemory<T> {
        Self::map(len, libc::MAP_PRIVATE)
    }

    /// The same, for values that a child process writes.
    pub(crate) fn shared(len: usize) -> OwnMemory<T> {
        Self::map(len, libc::MAP_SHARED)
    }

    fn map(len: usize, sharing: libc::c_int) -> OwnMemory<T> {
        let bytes = Self::bytes_of(len);
        if bytes == 0 {
            return OwnMemory { start: std::ptr::NonNull::dangling().as_ptr(), len: 0 };
        }
        let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, sharing | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping anywhere.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), bytes, access, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            eprintln!("error: no {bytes} bytes for the program's own table: measure fewer objects");
            std::process::exit(1);
        }
        for page in (0..bytes).step_by(OS_PAGE as usize) {
            // SAFETY: inside the new mapping.
            unsafe { start.cast::<u8>().add(page).write_volatile(0) };
        }
        OwnMemory { start: start.cast(), len }
    }

    /// Resident bytes of a table of `len` values.
    pub(crate) fn bytes_of(len: usize) -> usize {
        (len * size_of::<T>()).next_multiple_of(OS_PAGE as usize)
    }
}

impl<T> Deref for OwnMemory<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        // SAFETY: `len` values, zero bytes or written since; `Zeroable` makes zero bytes a value.
        unsafe { std::slice::from_raw_parts(self.start, self.len) }
    }
}

impl<T> DerefMut for OwnMemory<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.start, self.len) }
    }
}

impl<T> Drop for OwnMemory<T> {
    fn drop(&mut self) {
        let bytes = (self.len * size_of::<T>()).next_multiple_of(OS_PAGE as usize);
        if bytes > 0 {
            // SAFETY: the mapping of `new`, whole and not used again.
            unsafe { libc::munmap(self.start.cast(), bytes) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_zero_at_first_and_keeps_what_is_written() {
        let mut table = OwnMemory::<u32>::new(1000);
        assert!(table.len() == 1000 && table.iter().all(|value| *value == 0));
        table[999] = 7;
        assert_eq!((table[999], OwnMemory::<u32>::bytes_of(1000)), (7, 4096));
        assert!(OwnMemory::<u32>::new(0).is_empty());
    }
}
