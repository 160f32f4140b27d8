//! Header: 32 bytes before every object, written by malloc, verified by free.
//!
//! Costs 32 bytes an object (or the alignment, when that is more), four stores an allocation and a load with a compare
//! a free; no system call. A 2 MiB object takes 513 OS pages instead of 512 and starts off a huge page. Off means that
//! the allocator's own records, kept apart from user memory, tell everything; they exist in either case, so that an
//! address that is not ours is recognised before anything near it is read.

use crate::fatal::Fault;

counters! {
    /// Headers written.
    writes,
    /// Headers whose magic value was verified.
    verified,
}

/// Bytes before the object.
pub(crate) const BYTES: usize = 32;

/// "hakmem" and a version, in a live header.
const LIVE: u32 = 0x4841_4b01;
/// What the magic value becomes when the object is freed.
const FREED: u32 = 0x4841_4b00;

/// How an object was allocated, as the original tags it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Method {
    /// From the allocator's pages; the original's malloc.
    Pages = 0,
    /// A mapping of its own.
    Mmap = 1,
}

/// The header. The magic value comes last: a free slot's link overwrites the first word, and a second free must still
/// find that the object was freed.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
pub(crate) struct AllocHeader {
    /// Bytes that the user asked for.
    pub(crate) size: usize,
    /// Bytes that the object takes: its slot, or its whole mapping.
    pub(crate) held: usize,
    /// Call site.
    pub(crate) site: usize,
    magic: u32,
    /// A [`Method`] as a number: what a program overwrites may be no method at all.
    method: u16,
    prefix_log2: u16,
}

const _: () = assert!(size_of::<AllocHeader>() == BYTES);

impl AllocHeader {
    /// Bytes from the start of the slot or mapping to the object, for objects in slots. More than there can be when the
    /// bytes next to the object were overwritten: they are not the magic value's.
    pub(crate) fn prefix(&self) -> usize {
        1_usize.checked_shl(u32::from(self.prefix_log2)).unwrap_or(usize::MAX)
    }
}

/// Bytes to put before an object of this alignment.
#[inline(always)]
pub(crate) fn prefix(align: usize) -> usize {
    if align > BYTES { align } else { BYTES }
}

/// Writes the header of an object.
///
/// # Safety
/// - the [`BYTES`] before `user` are the object's own and aligned to 16.
#[inline(always)]
pub(crate) unsafe fn write(
    counters: &Counters,
    user: *mut u8,
    method: Method,
    size: usize,
    held: usize,
    site: usize,
    prefix: usize,
) {
    let header = AllocHeader {
        size,
        held,
        site,
        magic: LIVE,
        method: method as u16,
        prefix_log2: prefix.trailing_zeros() as u16,
    };
    // SAFETY: the caller's promise. Volatile: the compiler must not find the stores dead before a free that it can see.
    unsafe { user.sub(BYTES).cast::<AllocHeader>().write_volatile(header) };
    counters.writes.add(1);
}

/// Verifies and reads the header of an object.
///
/// # Errors
/// What is wrong with it.
///
/// # Safety
/// - the [`BYTES`] before `user` are readable memory of ours, aligned to 16.
#[inline(always)]
pub(crate) unsafe fn verify(counters: &Counters, user: *mut u8) -> Result<AllocHeader, Fault> {
    let header = user.wrapping_sub(BYTES).cast::<AllocHeader>();
    // SAFETY: the caller's promise. Only the magic value is read until it is known to be right.
    let magic = unsafe { (&raw const (*header).magic).read() };
    match magic {
        LIVE => {
            counters.verified.add(1);
            // SAFETY: a live magic value means that `write` filled the other fields.
            Ok(unsafe { header.read() })
        }
        FREED => Err(Fault::DoubleFree),
        _ => Err(Fault::Header),
    }
}

/// Changes the sizes in a live header, for an object that grows or shrinks and keeps its header.
///
/// # Safety
/// - [`verify`] found the header live.
pub(crate) unsafe fn resize(user: *mut u8, size: usize, held: usize) {
    let header = user.wrapping_sub(BYTES).cast::<AllocHeader>();
    // SAFETY: the caller's promise.
    unsafe {
        (&raw mut (*header).size).write(size);
        (&raw mut (*header).held).write(held);
    }
}

/// Marks the object as freed.
///
/// # Safety
/// - [`verify`] found the header live.
#[inline(always)]
pub(crate) unsafe fn retire(user: *mut u8) {
    // SAFETY: the caller's promise. Volatile: a second free looks for it.
    unsafe { (&raw mut (*user.sub(BYTES).cast::<AllocHeader>()).magic).write_volatile(FREED) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_verified_retired_and_found_damaged() {
        let counters = Counters::new();
        #[repr(align(16))]
        struct Room([u8; 96]);
        let mut room = Room([0xee; 96]);
        let user = (&raw mut room.0).cast::<u8>().wrapping_add(BYTES);
        // SAFETY: 32 bytes of the room lie before `user`.
        unsafe {
            assert_eq!(verify(&counters, user).unwrap_err(), Fault::Header);
            write(&counters, user, Method::Mmap, 100, 4096, 7, 32);
            let header = verify(&counters, user).expect("just written");
            assert_eq!((header.size, header.held, header.site, header.prefix()), (100, 4096, 7, 32));
            assert_eq!(header.method, Method::Mmap as u16);
            retire(user);
            assert_eq!(verify(&counters, user).unwrap_err(), Fault::DoubleFree);
        }
        assert_eq!((counters.writes.get(), counters.verified.get()), (1, 1));
        assert!(room.0[BYTES..].iter().all(|&byte| byte == 0xee), "the object itself is untouched");
    }
}
