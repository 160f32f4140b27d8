//! Header: bytes before every object that an allocation writes and a free verifies: 32 as in the original, or 16 with
//! nearly the same, packed by bits. By default off.
//!
//! Costs the bytes (or the alignment, when that is more), four stores per allocation, or two and some shifts, and a
//! load with a compare per free; no system call. A 2 MiB object takes 513 OS pages instead of 512, and does not start
//! at a huge page. Off, a free relies on the allocator's own records, kept apart from user memory. They exist in either
//! case, so that a foreign address is recognised before anything near it is read.

use crate::fatal::Fault;
use crate::sync::counters;

counters! {
    /// Headers written.
    writes,
    /// Headers whose magic value was verified.
    verified,
}

/// The form of the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The original's 32 bytes.
    Full,
    /// 16 bytes.
    Packed,
}

impl Form {
    /// Bytes of the header.
    #[inline(always)]
    pub(crate) fn bytes(self) -> usize {
        match self {
            Form::Full => size_of::<Full>(),
            Form::Packed => size_of::<Packed>(),
        }
    }

    /// Bytes to put before an object of this alignment.
    #[inline(always)]
    pub(crate) fn prefix(self, align: usize) -> usize {
        self.bytes().max(align)
    }
}

/// The magic value of a live header: "HAK" and a version.
const LIVE: u32 = 0x4841_4b01;
/// The magic value after the object was freed.
const FREED: u32 = 0x4841_4b00;

/// How an object was allocated, as the original tags it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u16)]
pub(crate) enum Method {
    /// From the allocator's pages; in the original, from malloc.
    Pages = 0,
    /// A mapping of its own.
    Mmap = 1,
}

/// What a header records.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    /// Bytes that the user asked for.
    pub(crate) size: usize,
    /// Bytes that the object takes: its slot, or its whole mapping.
    pub(crate) held: usize,
    /// Call site.
    pub(crate) site: usize,
    pub(crate) method: Method,
    /// Bytes from the start of the slot or mapping to the object, for objects in slots: a power of two.
    pub(crate) prefix: usize,
}

/// The header of 32 bytes.
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Full {
    size: usize,
    held: usize,
    site: usize,
    magic: u32,
    method: u16,
    prefix_log2: u16,
}

/// The header of 16 bytes. First word, from the low bits: size (48 bits), binary logarithm of the prefix (8), method
/// (8). Then the magic value (32), the bytes held beyond the size in units of 16 (24), and a hash of the call site (8).
#[derive(Clone, Copy, Debug)]
#[repr(C)]
struct Packed {
    size_prefix_method: u64,
    magic: u32,
    site_spare: u32,
}

const _: () = assert!(size_of::<Full>() == 32 && size_of::<Packed>() == 16);

/// Most units of 16 bytes held beyond the size that fit; more are recorded as so many.
const SPARE_MAX: usize = (1 << 24) - 1;

fn pack(facts: &Facts) -> Packed {
    let spare = ((facts.held - facts.size) / 16).min(SPARE_MAX);
    // Fibonacci hashing, as sites are addresses or small numbers.
    let site = (facts.site as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
    Packed {
        size_prefix_method: facts.size as u64
            | u64::from(facts.prefix.trailing_zeros()) << 48
            | (facts.method as u64) << 56,
        magic: LIVE,
        site_spare: (site as u32) << 24 | spare as u32,
    }
}

impl Packed {
    /// Bytes of the prefix. An impossibly large value where the first word was overwritten, which the magic value does
    /// not guard.
    fn prefix(self) -> usize {
        1_usize.checked_shl((self.size_prefix_method >> 48) as u32 & 0xff).unwrap_or(usize::MAX)
    }
}

/// Writes the header of an object.
///
/// # Safety
/// - the bytes of the form before `user` are the object's own and aligned to 16.
#[inline(always)]
pub(crate) unsafe fn write(counters: &Counters, form: Form, user: *mut u8, facts: &Facts) {
    counters.writes.add(1);
    match form {
        Form::Full => {
            let header = Full {
                size: facts.size,
                held: facts.held,
                site: facts.site,
                magic: LIVE,
                method: facts.method as u16,
                prefix_log2: facts.prefix.trailing_zeros() as u16,
            };
            // SAFETY: the caller's promise. Volatile, here and below: before a free that the compiler can see, the
            // stores would be dead.
            unsafe { user.sub(size_of::<Full>()).cast::<Full>().write_volatile(header) };
        }
        // SAFETY: the caller's promise.
        Form::Packed => unsafe { user.sub(size_of::<Packed>()).cast::<Packed>().write_volatile(pack(facts)) },
    }
}

/// The address of the magic value.
fn magic_of(user: *mut u8) -> *mut u32 {
    // The distance is the same in both forms: the magic value is the last word of four bytes but one.
    user.wrapping_sub(8).cast()
}

const _: () = assert!(core::mem::offset_of!(Full, magic) == 32 - 8 && core::mem::offset_of!(Packed, magic) == 16 - 8);

/// Verifies the header of an object, and returns its prefix.
///
/// # Errors
/// The object was freed already, or its header was overwritten.
///
/// # Safety
/// - the bytes of the form before `user` are readable memory of the allocator's, aligned to 16.
#[inline(always)]
pub(crate) unsafe fn verify(counters: &Counters, form: Form, user: *mut u8) -> Result<usize, Fault> {
    // SAFETY: the caller's promise. Only the magic value is read before it is verified.
    let magic = unsafe { magic_of(user).read() };
    match magic {
        LIVE => {
            counters.verified.add(1);
            // SAFETY: a live magic value means that `write` filled the other fields.
            Ok(unsafe {
                match form {
                    Form::Full => {
                        let log2 = user.wrapping_sub(size_of::<Full>()).cast::<Full>().read().prefix_log2;
                        1_usize.checked_shl(u32::from(log2)).unwrap_or(usize::MAX)
                    }
                    Form::Packed => user.wrapping_sub(size_of::<Packed>()).cast::<Packed>().read().prefix(),
                }
            })
        }
        FREED => Err(Fault::DoubleFree),
        _ => Err(Fault::Header),
    }
}

/// Changes the sizes in a live header, for an object that grows or shrinks in its place.
///
/// # Safety
/// - [`verify`] found the header live.
pub(crate) unsafe fn resize(form: Form, user: *mut u8, size: usize, held: usize) {
    match form {
        Form::Full => {
            let header = user.wrapping_sub(size_of::<Full>()).cast::<Full>();
            // SAFETY: the caller's promise.
            unsafe {
                (&raw mut (*header).size).write(size);
                (&raw mut (*header).held).write(held);
            }
        }
        Form::Packed => {
            let header = user.wrapping_sub(size_of::<Packed>()).cast::<Packed>();
            // SAFETY: the caller's promise.
            let header = unsafe { &mut *header };
            header.size_prefix_method = header.size_prefix_method >> 48 << 48 | size as u64;
            let spare = ((held - size) / 16).min(SPARE_MAX);
            header.site_spare = header.site_spare >> 24 << 24 | spare as u32;
        }
    }
}

/// Marks the object as freed.
///
/// # Safety
/// - [`verify`] found the header live.
#[inline(always)]
pub(crate) unsafe fn mark_freed(user: *mut u8) {
    // SAFETY: the caller's promise. Volatile: a second free reads it.
    unsafe { magic_of(user).write_volatile(FREED) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_verified_marked_freed_and_found_damaged() {
        for form in [Form::Full, Form::Packed] {
            let counters = Counters::new();
            #[repr(align(16))]
            struct Bytes([u8; 96]);
            let mut bytes = Bytes([0xee; 96]);
            let user = (&raw mut bytes.0).cast::<u8>().wrapping_add(32);
            let facts = Facts { size: 100, held: 4096, site: 7, method: Method::Mmap, prefix: 64 };
            // SAFETY: 32 of the bytes lie before `user`.
            unsafe {
                assert_eq!(verify(&counters, form, user), Err(Fault::Header));
                write(&counters, form, user, &facts);
                assert_eq!(verify(&counters, form, user), Ok(64));
                resize(form, user, 200, 4096);
                assert_eq!(verify(&counters, form, user), Ok(64));
                mark_freed(user);
                assert_eq!(verify(&counters, form, user), Err(Fault::DoubleFree));
            }
            assert_eq!((counters.writes.get(), counters.verified.get()), (1, 2));
            assert!(bytes.0[32..].iter().all(|&byte| byte == 0xee), "the object itself is untouched");
            assert!(bytes.0[..32 - form.bytes()].iter().all(|&byte| byte == 0xee), "and what lies before the header");
        }
    }

    #[test]
    fn packed_bits_do_not_touch_each_other() {
        for size in [1, 100, 0xffff_ffff_ffff] {
            for prefix in [16, 32, 4096, 1 << 16] {
                for method in [Method::Pages, Method::Mmap] {
                    let header = pack(&Facts { size, held: size + 5 * 16, site: usize::MAX, method, prefix });
                    assert_eq!(header.size_prefix_method & 0xffff_ffff_ffff, size as u64);
                    assert_eq!(header.prefix(), prefix);
                    assert_eq!(header.size_prefix_method >> 56, method as u64);
                    assert_eq!(header.site_spare & 0xff_ffff, 5);
                }
            }
        }
    }
}
