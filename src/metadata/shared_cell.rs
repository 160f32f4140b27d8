//! Cells of a record that one thread writes while others may read them.
//!
//! The records live for ever, and any thread may look up an address (`hakmem::owns`) or take the statistics
//! (`hakmem::stats`) while another thread changes a record. Such a reader may see an old value, never a torn one. Where
//! a value must be seen together with others, the lock that the field names orders them, or whatever passed the address
//! on.

use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicUsize, Ordering};

/// As [`core::cell::Cell`], but any thread may read it. All-zero bytes are 0, `false`, null or `None`.
#[derive(Debug)]
pub(crate) struct SharedCell<T: Shared>(T::Atomic);

/// A value that fits an atomic.
pub(crate) trait Shared: Copy {
    /// The atomic that holds it.
    type Atomic;

    /// An atomic that holds the value.
    #[cfg(test)]
    fn atomic(self) -> Self::Atomic;

    /// Reads without ordering.
    fn load(atomic: &Self::Atomic) -> Self;

    /// Writes without ordering.
    fn store(self, atomic: &Self::Atomic);
}

impl<T: Shared> SharedCell<T> {
    /// A cell that holds the value.
    #[cfg(test)]
    pub(crate) fn new(value: T) -> SharedCell<T> {
        SharedCell(value.atomic())
    }

    /// The value; an older one, if nothing orders this call after the last [`SharedCell::set`].
    #[inline(always)]
    pub(crate) fn get(&self) -> T {
        T::load(&self.0)
    }

    /// Writes the value.
    #[inline(always)]
    pub(crate) fn set(&self, value: T) {
        value.store(&self.0);
    }
}

macro_rules! shared {
    ($($value:ty: $atomic:ty),+ $(,)?) => {$(
        impl Shared for $value {
            type Atomic = $atomic;

            #[cfg(test)]
            fn atomic(self) -> $atomic {
                <$atomic>::new(self)
            }

            #[inline(always)]
            fn load(atomic: &$atomic) -> $value {
                atomic.load(Ordering::Relaxed)
            }

            #[inline(always)]
            fn store(self, atomic: &$atomic) {
                atomic.store(self, Ordering::Relaxed);
            }
        }
    )+};
}

shared! {
    bool: AtomicBool,
    u8: AtomicU8,
    u32: AtomicU32,
    usize: AtomicUsize,
    *mut u8: AtomicPtr<u8>,
}

impl<T: 'static> Shared for Option<&'static T> {
    type Atomic = AtomicPtr<T>;

    #[cfg(test)]
    fn atomic(self) -> AtomicPtr<T> {
        AtomicPtr::new(self.map_or(core::ptr::null_mut(), |record| core::ptr::from_ref(record).cast_mut()))
    }

    #[inline(always)]
    fn load(atomic: &AtomicPtr<T>) -> Option<&'static T> {
        // SAFETY: null, or the address of a record that lives for ever.
        unsafe { atomic.load(Ordering::Relaxed).as_ref() }
    }

    #[inline(always)]
    fn store(self, atomic: &AtomicPtr<T>) {
        let record = self.map_or(core::ptr::null_mut(), |record| core::ptr::from_ref(record).cast_mut());
        atomic.store(record, Ordering::Relaxed);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn zeroes_are_the_empty_value_and_what_is_set_is_read() {
        let record: &'static u64 = std::boxed::Box::leak(std::boxed::Box::new(7));
        // SAFETY: zeroes are an atomic of null.
        let cell: SharedCell<Option<&'static u64>> = unsafe { core::mem::zeroed() };
        assert_eq!(cell.get(), None);
        cell.set(Some(record));
        assert_eq!(cell.get(), Some(&7));
        let flag = SharedCell::new(false);
        flag.set(true);
        assert!(flag.get());
    }
}
