//! How objects of a trace are used: how much of each is written, and what is read back.

use super::plan::Touch;
use crate::os::OS_PAGE;
use ablate_trace::{TouchClass, TouchModel};
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

/// Classes of sizes: one for each power of two.
const CLASSES: usize = 64;
/// The fraction that is everything.
const WHOLE: u64 = 1 << 16;

/// How much of each object is written. Of the beginning, a part by size; or one byte of each OS page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Touching {
    /// In 65,536ths, by the power of two that the size is not above.
    parts: [u32; CLASSES],
    is_page: bool,
    /// Whether anything is written, so that it can be read back.
    pub(super) is_any: bool,
}

impl Touching {
    /// What the option asks for. `model` is what the trace knows.
    pub(super) fn new(touch: Touch, model: Option<&TouchModel>) -> Touching {
        let part = |class: usize| match touch {
            Touch::None => 0,
            Touch::Page | Touch::Full => WHOLE as u32,
            Touch::Recorded => {
                let fraction = model.and_then(|model| model.fraction(1 << class)).unwrap_or(1.0);
                (fraction.clamp(0.0, 1.0) * WHOLE as f64) as u32
            }
        };
        Touching::of(touch, std::array::from_fn(part))
    }

    /// The same, from [`Touching::parts`].
    pub(super) fn of(touch: Touch, parts: [u32; CLASSES]) -> Touching {
        Touching { parts, is_page: touch == Touch::Page, is_any: touch != Touch::None }
    }

    /// The parts that are written, by the power of two that a size is not above.
    pub(super) fn parts(&self) -> [u32; CLASSES] {
        self.parts
    }

    /// How many bytes from the start are in use; at least one where any are.
    #[inline(always)]
    fn used(&self, size: usize) -> usize {
        let class = TouchClass::of(size as u64) as usize;
        ((size as u64 * u64::from(self.parts[class % CLASSES]) / WHOLE) as usize).max(1)
    }

    /// Writes a new object.
    ///
    /// # Safety
    /// - `ptr` is valid for writes of `size` bytes, which is not 0.
    #[inline(always)]
    pub(super) unsafe fn write(&self, ptr: *mut u8, size: usize, byte: u8) {
        if self.is_any {
            // SAFETY: the caller promises the whole object.
            unsafe { self.write_range(ptr, 0, size, byte) };
        }
    }

    /// Writes a new object of zeroes. Returns a byte of it as it was, 0 unless the allocator broke its promise.
    ///
    /// # Safety
    /// - As for [`Touching::write`].
    #[inline(always)]
    pub(super) unsafe fn write_zeroed(&self, ptr: *mut u8, size: usize, byte: u8) -> u8 {
        if !self.is_any {
            return 0;
        }
        // One access that reads and writes: reading first would take a page fault of its own on fresh memory.
        let swap = |at: usize| {
            // SAFETY: within the object, of which this thread alone knows.
            unsafe { AtomicU8::from_ptr(ptr.add(at)) }.swap(byte, Relaxed)
        };
        let before = swap(0) | if self.last(size) > 0 { swap(self.last(size)) } else { 0 };
        // SAFETY: the caller promises the whole object.
        unsafe { self.write_range(ptr, 0, size, byte) };
        before
    }

    /// Reads back a byte that is still there of an object that has another size now, and writes what is new of it.
    ///
    /// # Safety
    /// - The object was written with its size `before`, and has `size` now.
    #[inline(always)]
    pub(super) unsafe fn rewrite(&self, ptr: *mut u8, before: usize, size: usize, byte: u8) -> u8 {
        if !self.is_any {
            return 0;
        }
        let kept = self.last(before.min(size)).min(self.last(before));
        // SAFETY: within both sizes, and written before.
        let read = unsafe { ptr.add(kept).read_volatile() };
        // SAFETY: the caller promises the whole object.
        unsafe { self.write_range(ptr, before, size, byte) };
        read
    }

    /// Reads a byte of an object before its end.
    ///
    /// # Safety
    /// - The object was written.
    #[inline(always)]
    pub(super) unsafe fn read(&self, ptr: *const u8) -> u8 {
        // SAFETY: the first byte of an object, which was written.
        if self.is_any { unsafe { ptr.read_volatile() } } else { 0 }
    }

    /// The last byte that is written of an object of this size.
    #[inline(always)]
    fn last(&self, size: usize) -> usize {
        if self.is_page { (size - 1) & !(OS_PAGE as usize - 1) } else { self.used(size) - 1 }
    }

    /// Writes what is in use at `size` and was not at `before`.
    #[inline(always)]
    unsafe fn write_range(&self, ptr: *mut u8, before: usize, size: usize, byte: u8) {
        if self.is_page {
            for at in (before.next_multiple_of(OS_PAGE as usize)..size).step_by(OS_PAGE as usize) {
                // SAFETY: below `size`.
                unsafe { ptr.add(at).write_volatile(byte) };
            }
            return;
        }
        let from = if before == 0 { 0 } else { self.used(before).min(size) };
        let used = self.used(size);
        if from < used {
            // SAFETY: below `size`.
            unsafe { ptr.add(from).write_bytes(byte, used - from) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(touching: &Touching, size: usize) -> usize {
        let mut object = vec![0_u8; size];
        // SAFETY: the vector has that size.
        unsafe { touching.write(object.as_mut_ptr(), size, 7) };
        object.iter().filter(|byte| **byte == 7).count()
    }

    #[test]
    fn as_much_is_written_as_was_asked_for() {
        let counts = |touch| [1, 100, 9000].map(|size| written(&Touching::new(touch, None), size));
        assert_eq!(counts(Touch::None), [0, 0, 0]);
        assert_eq!(counts(Touch::Page), [1, 1, 3]);
        assert_eq!(counts(Touch::Full), [1, 100, 9000]);
        let class = |size_max, written| TouchClass { size_max, objects: 1, bytes: 100, written };
        let model = TouchModel { one_in: 1, classes: vec![class(128, 50), class(16384, 1)] };
        let recorded = Touching::new(Touch::Recorded, Some(&model));
        assert_eq!([1, 100, 9000].map(|size| written(&recorded, size)), [1, 50, 89]);
    }

    #[test]
    fn other_sizes_keep_what_was_written_and_get_the_rest() {
        let class = |size_max, written| TouchClass { size_max, objects: 1, bytes: 100, written };
        let model = TouchModel { one_in: 1, classes: vec![class(64, 100), class(16384, 10)] };
        let recorded = Touching::new(Touch::Recorded, Some(&model));
        for touching in [Touching::new(Touch::Page, None), Touching::new(Touch::Full, None), recorded] {
            let mut object = vec![0_u8; 20_000];
            let ptr = object.as_mut_ptr();
            // SAFETY: no size is above that of the vector.
            unsafe {
                assert_eq!(touching.write_zeroed(ptr, 60, 9), 0);
                for (before, size) in [(60, 9000), (9000, 20_000), (20_000, 100), (100, 1), (1, 16_000)] {
                    assert_eq!(touching.rewrite(ptr, before, size, 9), 9, "{before} to {size}");
                }
                assert_eq!(touching.read(ptr), 9);
                assert_eq!(touching.write_zeroed(ptr, 60, 9), 9, "memory that is not zero shows");
            }
        }
    }
}
