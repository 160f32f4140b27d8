//! Size ↔ size class.
//!
//! Sixteen bytes apart up to 128, then four classes to a doubling up to 448 KiB: at most 20 % of a slot is lost beyond
//! 128 bytes. Objects above [`MAX_BYTES`] have no class; they are large.

/// Number of size classes.
pub(crate) const CLASSES: usize = 55;
/// The largest size that has a class: below the lowest mmap threshold (512 KiB), so that the threshold decides about
/// large objects only.
pub(crate) const MAX_BYTES: usize = 448 << 10;
/// Pages are made of these; a page of small objects is one.
pub(crate) const UNIT: usize = 64 << 10;

/// Index of a rounded size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Class(u8);

const LINEAR_CLASSES: usize = 8;

const SLOT_BYTES: [u32; CLASSES] = {
    let mut table = [0; CLASSES];
    let mut class = 0;
    while class < CLASSES {
        table[class] = if class < LINEAR_CLASSES {
            (class as u32 + 1) * 16
        } else {
            let step = class - LINEAR_CLASSES;
            (5 + (step % 4) as u32) << (5 + step / 4)
        };
        class += 1;
    }
    table
};

const _: () = assert!(SLOT_BYTES[LINEAR_CLASSES - 1] == 128 && SLOT_BYTES[LINEAR_CLASSES] == 160);
const _: () = assert!(SLOT_BYTES[CLASSES - 1] as usize == MAX_BYTES);

impl Class {
    /// Every class, smallest first.
    pub(crate) fn all() -> impl Iterator<Item = Class> {
        (0..CLASSES as u8).map(Class)
    }

    /// The smallest class whose slots hold `bytes`, for `bytes` in `1..=MAX_BYTES`.
    #[inline(always)]
    pub(crate) fn of(bytes: usize) -> Class {
        debug_assert!((1..=MAX_BYTES).contains(&bytes));
        let last = bytes - 1;
        if last < 128 {
            return Class((last >> 4) as u8);
        }
        // `log` is the power of two below `bytes`, the two bits under the leading one choose among the four.
        let log = usize::BITS - 1 - last.leading_zeros();
        let quarter = (last >> (log - 2)) & 3;
        Class((LINEAR_CLASSES + (log as usize - 7) * 4 + quarter) as u8)
    }

    /// The smallest class that holds `bytes` and whose slots are all aligned to `align`, if there is one.
    #[inline]
    pub(crate) fn aligned(bytes: usize, align: usize) -> Option<Class> {
        if bytes > MAX_BYTES || align > UNIT {
            return None;
        }
        let first = Class::of(bytes);
        if align <= 16 {
            return Some(first);
        }
        (first.0..CLASSES as u8).map(Class).find(|class| class.slot_bytes() % align == 0)
    }

    /// Bytes of a slot.
    #[inline(always)]
    pub(crate) fn slot_bytes(self) -> usize {
        SLOT_BYTES[self.index()] as usize
    }

    /// Units in a page of this class: enough for four slots at least, so that a page is worth its bookkeeping.
    pub(crate) fn page_units(self) -> usize {
        match self.slot_bytes() {
            0..=0x2000 => 1,
            0x2001..=0x1_0000 => 8,
            _ => 32,
        }
    }

    /// How many slots a thread cache keeps: 256 small ones, or 1 MiB of larger ones, and at least two.
    pub(crate) fn cache_slots(self) -> usize {
        ((1 << 20) / self.slot_bytes()).clamp(2, 256)
    }

    /// The class as an index below [`CLASSES`].
    #[inline(always)]
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_has_the_smallest_class_that_holds_it() {
        for bytes in 1..=MAX_BYTES {
            let class = Class::of(bytes);
            assert!(class.slot_bytes() >= bytes, "{bytes}");
            if class.index() > 0 {
                assert!((SLOT_BYTES[class.index() - 1] as usize) < bytes, "{bytes} fits the class below");
            }
        }
    }

    #[test]
    fn slots_waste_at_most_a_fifth_beyond_128_bytes() {
        for bytes in 129..=MAX_BYTES {
            let slot = Class::of(bytes).slot_bytes();
            assert!((slot - bytes) * 5 <= slot, "{bytes} in {slot}");
        }
    }

    #[test]
    fn aligned_classes_hold_and_align() {
        for log in 0..=16 {
            let align = 1 << log;
            for bytes in [1, 15, 16, 17, 100, 1000, 4096, 5000, 65536, 100_000, MAX_BYTES] {
                match Class::aligned(bytes, align) {
                    Some(class) => {
                        assert!(class.slot_bytes() >= bytes);
                        assert!(align <= 16 || class.slot_bytes() % align == 0);
                    }
                    None => assert!(bytes > 256 << 10, "{bytes} at {align}"),
                }
            }
        }
        assert_eq!(Class::aligned(64, 2 * UNIT), None);
    }

    #[test]
    fn pages_hold_at_least_four_slots() {
        for class in Class::all() {
            assert!(class.page_units() * UNIT / class.slot_bytes() >= 4);
        }
    }
}
