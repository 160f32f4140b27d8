//! Objects that know what is in them, for tests of what every allocator owes its program.

use super::{MIB, PAGE};
use std::alloc::{self, Layout};
use std::sync::atomic::{AtomicUsize, Ordering};

/// A live object of the allocator under test, filled with a pattern of its own.
pub(crate) struct Object {
    pub(crate) base: *mut u8,
    pub(crate) layout: Layout,
    pattern: u8,
}

// SAFETY: the object owns its memory; handing it to another thread is part of what is tested.
unsafe impl Send for Object {}

static NEXT_PATTERN: AtomicUsize = AtomicUsize::new(1);

pub(crate) fn layout(size: usize, align: usize) -> Layout {
    Layout::from_size_align(size, align).expect("a size far from overflow at a power of two")
}

impl Object {
    pub(crate) fn new(size: usize, align: usize) -> Object {
        // SAFETY: the size is not 0.
        Object::adopt(unsafe { alloc::alloc(layout(size, align)) }, size, align)
    }

    pub(crate) fn zeroed(size: usize, align: usize) -> Object {
        // SAFETY: the size is not 0.
        let base = unsafe { alloc::alloc_zeroed(layout(size, align)) };
        assert!(!base.is_null(), "no memory for {size} at {align}");
        // SAFETY: the object is `size` initialised bytes.
        let bytes = unsafe { std::slice::from_raw_parts(base, size) };
        assert!(all_are(bytes, 0), "{size} at {align} is not zeroed");
        Object::adopt(base, size, align)
    }

    pub(crate) fn adopt(base: *mut u8, size: usize, align: usize) -> Object {
        assert!(!base.is_null(), "no memory for {size} at {align}");
        assert_eq!(base.addr() % align, 0, "{size} at {align} is not aligned: {base:?}");
        assert!(hakmem::owns(base), "{base:?} came from elsewhere");
        let pattern = NEXT_PATTERN.fetch_add(1, Ordering::Relaxed) as u8;
        let object = Object { base, layout: layout(size, align), pattern };
        object.fill();
        object
    }

    pub(crate) fn size(&self) -> usize {
        self.layout.size()
    }

    pub(crate) fn range(&self) -> (usize, usize) {
        (self.base.addr(), self.base.addr() + self.size())
    }

    /// Writes the whole object; of one above 1 MiB every page and both ends.
    fn fill(&self) {
        if self.size() <= MIB {
            // SAFETY: inside the object.
            unsafe { self.base.write_bytes(self.pattern, self.size()) };
        } else {
            for at in marks(self.size()) {
                // SAFETY: inside the object.
                unsafe { self.base.add(at).write(self.pattern) };
            }
        }
    }

    /// Holds the first `len` bytes against what [`Object::fill`] wrote for an object of `filled` bytes.
    pub(crate) fn check(&self, len: usize, filled: usize) {
        if filled <= MIB {
            // SAFETY: inside the object, and initialised.
            let bytes = unsafe { std::slice::from_raw_parts(self.base, len) };
            assert!(all_are(bytes, self.pattern), "contents of {:?} lost", self.layout);
        } else {
            for at in marks(filled).filter(|&at| at < len) {
                // SAFETY: inside the object, and written by `fill`.
                assert_eq!(unsafe { *self.base.add(at) }, self.pattern, "byte {at} of {:?}", self.layout);
            }
        }
    }

    pub(crate) fn resize(&mut self, size: usize) {
        let old = self.size();
        self.check(old, old);
        // SAFETY: made with this layout; the new size is not 0.
        let base = unsafe { alloc::realloc(self.base, self.layout, size) };
        assert!(!base.is_null(), "no memory for {size}");
        assert_eq!(base.addr() % self.layout.align(), 0, "{old} to {size} lost its alignment");
        self.base = base;
        self.layout = layout(size, self.layout.align());
        self.check(old.min(size), old);
        self.fill();
    }

    pub(crate) fn free(self) {
        self.check(self.size(), self.size());
        // SAFETY: made with this layout, and consumed.
        unsafe { alloc::dealloc(self.base, self.layout) };
    }
}

/// Places that are written in a long object: one in each page, none at a page's first bytes, and both ends.
fn marks(size: usize) -> impl Iterator<Item = usize> {
    [0, size - 1].into_iter().chain((777..size).step_by(PAGE))
}

/// Whether all bytes have this value; as fast in a debug build.
fn all_are(bytes: &[u8], value: u8) -> bool {
    bytes.first().is_none_or(|&first| first == value) && bytes[1.min(bytes.len())..] == bytes[..bytes.len().max(1) - 1]
}

pub(crate) fn assert_disjoint(objects: &[Object]) {
    let mut ranges: Vec<_> = objects.iter().map(Object::range).collect();
    ranges.sort_unstable();
    for pair in ranges.windows(2) {
        assert!(pair[0].1 <= pair[1].0, "objects overlap: {pair:x?}");
    }
}

/// The largest size of each class, and of the shapes beyond them.
pub(crate) fn class_bytes() -> Vec<usize> {
    let mut classes: Vec<usize> = (1..=8).map(|class| class * 16).collect();
    classes.extend((0..9).flat_map(|doubling| (5..9).map(move |quarter| quarter << (5 + doubling))));
    classes.retain(|&class| class <= 56 << 10);
    let units = [1, 2, 3, 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64];
    classes.extend(units.map(|units| units << 16));
    assert!(classes.is_sorted() && classes.len() == 63);
    classes
}
