//! The allocator for C programs: the C library's allocation functions, for `LD_PRELOAD`.
//!
//! Feature `preload`; `cargo preload` builds the library. Where the standards leave a choice, the functions do as glibc
//! does: a size of 0 gives an object of its own, `realloc(p, 0)` frees, and sizes beyond `PTRDIFF_MAX` fail with
//! `ENOMEM`. Where glibc's versions differ, they do as the newest: [`aligned_alloc`] refuses an alignment that is no
//! power of two. Every object is aligned to 16 bytes. The functions call [`crate::alloc`] and set `errno` where a
//! request fails; they add nothing to one that succeeds. [`crate::preload_glibc`] has the names that are glibc's alone.
//!
//! The loader calls them before any constructor has run, so no call relies on one: the first request does what the
//! constructor of [`crate::alloc`] has not done yet. glibc's statistics functions report hakmem's [`crate::stats()`]:
//! `malloc_stats`, `mallinfo`, `mallinfo2` and `malloc_info`.

use crate::alloc::{allocate, flush, free as free_path, inspect, reallocate};
use crate::fatal::Call;
use crate::{os, stats};
use core::ffi::{c_char, c_int, c_void};
use core::fmt::{self, Write};
use core::ptr;

/// Alignment in bytes of every object: `max_align_t` of both architectures.
const ALIGN: usize = 16;

/// The library's version. A program finds [`hakmem_version`] by `dlsym`, as proof that this allocator serves it.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), "\0");

/// Allocates `size` bytes. Null and `ENOMEM` when there is no memory.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) extern "C" fn malloc(size: usize) -> *mut c_void {
    allocate::allocate_apart(size, || malloc_slow(size), || malloc_beyond(size)).cast()
}

/// `malloc` of a size above 1,024 or of 0, in a function of its own, so that small sizes take no jump.
#[inline(never)]
fn malloc_beyond(size: usize) -> *mut u8 {
    allocate::allocate_or_else(size, || malloc_slow(size))
}

/// `malloc` past the thread's cache, in a function of its own, so that `malloc` ends with a jump and has no frame.
#[cold]
#[inline(never)]
fn malloc_slow(size: usize) -> *mut u8 {
    or_enomem(allocate::allocate_slow(size, ALIGN, None, false)).cast()
}

/// Frees an object; does nothing for null. Never changes `errno`.
///
/// # Safety
/// - the address is null, or came from this library, and the object is not used any more.
#[unsafe(no_mangle)]
#[inline(never)]
pub(crate) unsafe extern "C" fn free(object: *mut c_void) {
    // SAFETY: the caller's promise.
    unsafe { free_path::free(object.cast()) }
}

/// Allocates `count` times `size` zeroed bytes. Null and `ENOMEM` when there is no memory, or the product overflows.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn calloc(count: usize, size: usize) -> *mut c_void {
    match count.checked_mul(size) {
        Some(bytes) => or_enomem(allocate::allocate_zeroed(bytes, ALIGN)),
        None => fail(libc::ENOMEM),
    }
}

/// Changes an object's size, in its place or elsewhere. Frees it and returns null when `size` is 0. Null and `ENOMEM`
/// when there is no memory; the object is then as it was.
///
/// # Safety
/// - the address is null, or came from this library, and no other thread uses the object.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn realloc(object: *mut c_void, size: usize) -> *mut c_void {
    if object.is_null() {
        return malloc(size);
    }
    if size == 0 {
        // SAFETY: the caller's promise; the object is not null.
        unsafe { free_path::free(object.cast()) };
        return ptr::null_mut();
    }
    // The caller may have written to all that `malloc_usable_size` gave it.
    // SAFETY: the caller's promise. A move keeps the alignment of `malloc` only, as the standard allows.
    or_enomem(unsafe { reallocate::reallocate(object.cast(), usize::MAX, ALIGN, size) })
}

/// Allocates with an alignment that is a power of two and a multiple of a pointer's size. Returns 0, `EINVAL` or
/// `ENOMEM`; on an error neither `*out` nor `errno` is touched.
///
/// # Safety
/// - `out` is valid for a write.
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn posix_memalign(out: *mut *mut c_void, align: usize, size: usize) -> c_int {
    if !align.is_power_of_two() || align < size_of::<*mut c_void>() {
        return libc::EINVAL;
    }
    let object = allocate::allocate(size, align.max(ALIGN), None);
    if object.is_null() {
        return libc::ENOMEM;
    }
    // SAFETY: the caller's promise.
    unsafe { out.write(object.cast()) };
    0
}

/// Allocates with an alignment that is a power of two, of which `size` need not be a multiple. Null and `EINVAL` for
/// any other alignment, null and `ENOMEM` when there is no memory.
#[unsafe(no_mangle)]
extern "C" fn aligned_alloc(align: usize, size: usize) -> *mut c_void {
    if align.is_power_of_two() { aligned(align, size) } else { fail(libc::EINVAL) }
}

/// As [`aligned_alloc`], but rounds the alignment up to a power of two; `EINVAL` when that overflows.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn memalign(align: usize, size: usize) -> *mut c_void {
    match align.checked_next_power_of_two() {
        Some(align) => aligned(align, size),
        None => fail(libc::EINVAL),
    }
}

/// Allocates from the start of one of the kernel's pages.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn valloc(size: usize) -> *mut c_void {
    aligned(os::kernel_page(), size)
}

/// As [`valloc`], but rounds the size up to whole pages, at least one; `ENOMEM` when that overflows.
#[unsafe(no_mangle)]
pub(crate) extern "C" fn pvalloc(size: usize) -> *mut c_void {
    let page = os::kernel_page();
    match size.max(1).checked_next_multiple_of(page) {
        Some(bytes) => aligned(page, bytes),
        None => fail(libc::ENOMEM),
    }
}

/// Bytes of an object that may be used, at least the requested ones; 0 for null.
///
/// # Safety
/// - the address is null or that of an object of this library's.
#[unsafe(no_mangle)]
unsafe extern "C" fn malloc_usable_size(object: *mut c_void) -> usize {
    if object.is_null() { 0 } else { inspect::usable_bytes(object.cast(), Call::UsableSize) }
}

/// Gives memory that waits for reuse back to the OS. Returns 1, "memory was released", whether any was or not.
#[unsafe(no_mangle)]
extern "C" fn malloc_trim(_pad: usize) -> c_int {
    flush::flush();
    1
}

/// Returns 0, "refused": none of glibc's parameters has a counterpart. The environment sets the levels.
#[unsafe(no_mangle)]
extern "C" fn mallopt(_parameter: c_int, _value: c_int) -> c_int {
    0
}

/// As [`mallinfo2`], with numbers beyond `INT_MAX` as `INT_MAX`.
#[unsafe(no_mangle)]
extern "C" fn mallinfo() -> libc::mallinfo {
    let wide = mallinfo2();
    let narrow = |value: usize| c_int::try_from(value).unwrap_or(c_int::MAX);
    libc::mallinfo {
        arena: narrow(wide.arena),
        ordblks: narrow(wide.ordblks),
        smblks: narrow(wide.smblks),
        hblks: narrow(wide.hblks),
        hblkhd: narrow(wide.hblkhd),
        usmblks: narrow(wide.usmblks),
        fsmblks: narrow(wide.fsmblks),
        uordblks: narrow(wide.uordblks),
        fordblks: narrow(wide.fordblks),
        keepcost: narrow(wide.keepcost),
    }
}

/// The statistics in glibc's terms: `arena` is `uordblks + fordblks`, what is in use is `uordblks + hblkhd`.
/// docs/stats.md maps each field.
#[unsafe(no_mangle)]
extern "C" fn mallinfo2() -> libc::mallinfo2 {
    let stats = stats::stats();
    let arena = stats.mapped_bytes.saturating_sub(stats.own_mappings.bytes);
    let in_use = stats.live.bytes.saturating_sub(stats.own_mappings.bytes);
    let waiting = [stats.transfer_cache, stats.mapping_pool, stats.bigcache_ring, stats.madvise_batch];
    let free = [stats.thread_caches, stats.free_slots];
    libc::mallinfo2 {
        arena: arena as usize,
        ordblks: waiting.iter().chain(&free).map(|amount| amount.objects as usize).sum(),
        smblks: stats.thread_caches.objects as usize,
        hblks: stats.own_mappings.objects as usize,
        hblkhd: stats.own_mappings.bytes as usize,
        usmblks: 0,
        fsmblks: stats.thread_caches.bytes as usize,
        uordblks: in_use as usize,
        fordblks: arena.saturating_sub(in_use) as usize,
        keepcost: waiting.iter().map(|amount| amount.bytes).sum::<u64>() as usize + stats.dirty_block_bytes as usize,
    }
}

/// Writes the statistics to standard error, as the table that [`stats::Stats`] displays. Allocates nothing.
#[unsafe(no_mangle)]
extern "C" fn malloc_stats() {
    let mut out = Buffered::new(|text| {
        os::write_stderr(text);
        true
    });
    _ = write!(out, "{}", stats::stats());
    out.flush();
}

/// Writes the statistics as an XML document in glibc's form, one heap with a `size` per size class that has free
/// objects. Returns 0, or -1 when the stream fails; `EINVAL` for any option, of which there are none.
///
/// # Safety
/// - `stream` is open.
#[unsafe(no_mangle)]
unsafe extern "C" fn malloc_info(options: c_int, stream: *mut libc::FILE) -> c_int {
    if options != 0 {
        return libc::EINVAL;
    }
    // Taken before the stream is written to, which may allocate.
    let stats = stats::stats();
    let mut out = Buffered::new(|text| {
        // SAFETY: the buffer's bytes, and the caller's stream.
        unsafe { libc::fwrite(text.as_ptr().cast(), 1, text.len(), stream) == text.len() }
    });
    _ = write_document(&mut out, &stats);
    if out.flush() { 0 } else { -1 }
}

/// The document of [`malloc_info`].
fn write_document(out: &mut impl Write, stats: &stats::Stats) -> fmt::Result {
    let version = env!("CARGO_PKG_VERSION");
    writeln!(out, "<malloc version=\"hakmem-{version}\">\n<heap nr=\"0\">\n<sizes>")?;
    let mut below = 0;
    for class in stats.classes() {
        let free = [class.thread_caches, class.transfer_cache, class.free_slots];
        let (count, total) =
            free.iter().fold((0, 0), |(count, total), amount| (count + amount.objects, total + amount.bytes));
        let to = class.object_bytes;
        if count > 0 {
            // Coloured classes and runs of as many blocks overlap: `from` never lies beyond `to`.
            writeln!(out, "  <size from=\"{}\" to=\"{to}\" total=\"{total}\" count=\"{count}\"/>", to.min(below + 1))?;
        }
        below = to;
    }
    writeln!(out, "</sizes>")?;
    let rest = [stats.transfer_cache, stats.free_slots, stats.mapping_pool, stats.bigcache_ring, stats.madvise_batch];
    let (count, size) = rest.iter().fold((0, 0), |(count, size), amount| (count + amount.objects, size + amount.bytes));
    let fast = stats.thread_caches;
    for end in ["</heap>\n", ""] {
        writeln!(out, "<total type=\"fast\" count=\"{}\" size=\"{}\"/>", fast.objects, fast.bytes)?;
        writeln!(out, "<total type=\"rest\" count=\"{count}\" size=\"{size}\"/>")?;
        if end.is_empty() {
            let own = stats.own_mappings;
            writeln!(out, "<total type=\"mmap\" count=\"{}\" size=\"{}\"/>", own.objects, own.bytes)?;
        }
        writeln!(out, "<system type=\"current\" size=\"{}\"/>", stats.mapped_bytes)?;
        writeln!(out, "<system type=\"max\" size=\"{}\"/>", stats.mapped_bytes_max)?;
        writeln!(out, "<aspace type=\"total\" size=\"{}\"/>", stats.mapped_bytes)?;
        writeln!(out, "<aspace type=\"mprotect\" size=\"{}\"/>", stats.mapped_bytes)?;
        out.write_str(end)?;
    }
    out.write_str("</malloc>\n")
}

/// Writes text in pieces of 512 bytes, without an allocation.
struct Buffered<F: FnMut(&[u8]) -> bool> {
    bytes: [u8; 512],
    len: usize,
    /// Writes a piece; returns whether all of it was written.
    write: F,
    /// Whether all pieces were written so far.
    is_good: bool,
}

impl<F: FnMut(&[u8]) -> bool> Buffered<F> {
    fn new(write: F) -> Buffered<F> {
        Buffered { bytes: [0; 512], len: 0, write, is_good: true }
    }

    /// Writes the rest. Returns whether all of the text was written.
    fn flush(&mut self) -> bool {
        if self.len > 0 {
            self.is_good &= (self.write)(&self.bytes[..self.len]);
            self.len = 0;
        }
        self.is_good
    }
}

impl<F: FnMut(&[u8]) -> bool> Write for Buffered<F> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for &byte in text.as_bytes() {
            if self.len == self.bytes.len() {
                self.flush();
            }
            self.bytes[self.len] = byte;
            self.len += 1;
        }
        Ok(())
    }
}

/// The library's version: a static string.
#[unsafe(no_mangle)]
extern "C" fn hakmem_version() -> *const c_char {
    VERSION.as_ptr().cast()
}

/// Allocates with an alignment that is a power of two.
fn aligned(align: usize, size: usize) -> *mut c_void {
    or_enomem(allocate::allocate(size, align.max(ALIGN), None))
}

#[inline(always)]
fn or_enomem(object: *mut u8) -> *mut c_void {
    if object.is_null() { fail(libc::ENOMEM) } else { object.cast() }
}

/// Sets `errno` and returns null.
#[cold]
#[inline(never)]
pub(crate) fn fail(reason: c_int) -> *mut c_void {
    // SAFETY: the calling thread's own word.
    unsafe { *libc::__errno_location() = reason };
    ptr::null_mut()
}

/// The library has no Rust runtime. A panic is a bug in hakmem: it ends the process with a fixed sentence.
#[cfg(panic = "abort")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    os::write_stderr(b"hakmem: internal error\n");
    // SAFETY: does not return, and runs no code of the allocator.
    unsafe { libc::abort() }
}
