//! How a block is used: it is written after its request, and one byte is read back before it is freed.
//!
//! `--touch` picks one of three uses. Each is a type, so the timed loops contain no decision.

use crate::os::OS_PAGE;
use clap::ValueEnum;
use serde::Serialize;
use std::arch::asm;

/// How a block is used between its request and its free: the values of `--touch`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Touch {
    /// Not at all.
    None,
    /// One byte per 4 KiB is written.
    Page,
    /// Every byte is written.
    Full,
}

/// One use of a block.
pub(crate) trait Use: Copy + Send + 'static {
    /// Writes the block.
    ///
    /// # Safety
    /// - `ptr` is valid for writes of `size` bytes, `size` not zero.
    unsafe fn write(ptr: *mut u8, size: usize, byte: u8);

    /// Reads back the byte that was written last; 0 if none was. A value that differs from the written one shows that the
    /// allocator gave the same memory to two blocks.
    ///
    /// # Safety
    /// - [`Use::write`] was called for this block with the same `size`, and the block is still valid.
    unsafe fn read(ptr: *const u8, size: usize) -> u8;
}

/// [`Touch::None`].
#[derive(Clone, Copy)]
pub(crate) struct Untouched;

impl Use for Untouched {
    #[inline(always)]
    unsafe fn write(ptr: *mut u8, _size: usize, _byte: u8) {
        escape(ptr);
    }

    #[inline(always)]
    unsafe fn read(_ptr: *const u8, _size: usize) -> u8 {
        0
    }
}

/// [`Touch::Page`]: the first byte of each 4 KiB, counted from the start of the block.
#[derive(Clone, Copy)]
pub(crate) struct EachPage;

impl Use for EachPage {
    #[inline(always)]
    unsafe fn write(ptr: *mut u8, size: usize, byte: u8) {
        let mut at = 0;
        while at < size {
            // SAFETY: `at` lies inside the block, which the caller promises to be writable.
            unsafe { ptr.add(at).write_volatile(byte) };
            at += OS_PAGE as usize;
        }
    }

    #[inline(always)]
    unsafe fn read(ptr: *const u8, size: usize) -> u8 {
        // SAFETY: the start of the block's last 4 KiB, written before by the caller's promise.
        unsafe { ptr.add((size - 1) & !(OS_PAGE as usize - 1)).read_volatile() }
    }
}

/// [`Touch::Full`]: every byte.
#[derive(Clone, Copy)]
pub(crate) struct Whole;

impl Use for Whole {
    #[inline(always)]
    unsafe fn write(ptr: *mut u8, size: usize, byte: u8) {
        // SAFETY: the caller promises that the whole block is writable.
        unsafe { ptr.write_bytes(byte, size) };
        escape(ptr);
    }

    #[inline(always)]
    unsafe fn read(ptr: *const u8, size: usize) -> u8 {
        // SAFETY: the last byte of the block, written before by the caller's promise.
        unsafe { ptr.add(size - 1).read_volatile() }
    }
}

/// Makes the compiler assume that the block is used, without an instruction. Otherwise it removes a fill before a `free` that
/// it knows, and a `malloc` together with its `free`. (`std::hint::black_box` would store the pointer on the stack.)
#[inline(always)]
fn escape(ptr: *mut u8) {
    // SAFETY: an empty instruction; it may be taken to read and write memory, and does neither.
    unsafe { asm!("/* {0} */", in(reg) ptr, options(nostack, preserves_flags)) };
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<U: Use>(size: usize, expected_written: usize, expected_byte: u8) {
        let mut block = vec![0u8; size];
        // SAFETY: the vector has `size` bytes.
        let byte = unsafe {
            U::write(block.as_mut_ptr(), size, 7);
            U::read(block.as_ptr(), size)
        };
        assert_eq!((block.iter().filter(|b| **b == 7).count(), byte), (expected_written, expected_byte));
    }

    #[test]
    fn writes_nothing_or_one_byte_per_os_page_or_every_byte() {
        check::<Untouched>(9000, 0, 0);
        check::<EachPage>(1, 1, 7);
        check::<EachPage>(4096, 1, 7);
        check::<EachPage>(4097, 2, 7);
        check::<Whole>(9000, 9000, 7);
    }
}
