//! What hakmem offers to C programs beyond the C library's functions. `include/hakmem.h` declares and documents them.

use crate::alloc::{flush, inspect};
use crate::config::FactorId;
use crate::stats;
use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr;

/// `struct hakmem_stats` of the header: fields are only ever added at its end.
#[repr(C)]
struct CStats {
    allocations: u64,
    frees: u64,
    live_objects: u64,
    live_bytes: u64,
    cached_objects: u64,
    cached_bytes: u64,
    mapped_bytes: u64,
    mapped_bytes_max: u64,
    resident_bytes: u64,
    metadata_bytes: u64,
}

/// Writes the first `bytes` of the statistics, and returns how many bytes all of them are.
///
/// # Safety
/// - `out` is valid for writes of `bytes` bytes, or null with `bytes` 0.
#[unsafe(no_mangle)]
unsafe extern "C" fn hakmem_stats(out: *mut c_void, bytes: usize) -> usize {
    let stats = stats::stats();
    let caches = [
        stats.thread_caches,
        stats.transfer_cache,
        stats.mapping_pool,
        stats.bigcache_ring,
        stats.madvise_batch,
        stats.free_slots,
    ];
    let all = CStats {
        allocations: stats.allocations,
        frees: stats.frees,
        live_objects: stats.live.objects,
        live_bytes: stats.live.bytes,
        cached_objects: caches.iter().map(|amount| amount.objects).sum(),
        cached_bytes: caches.iter().map(|amount| amount.bytes).sum(),
        mapped_bytes: stats.mapped_bytes,
        mapped_bytes_max: stats.mapped_bytes_max,
        resident_bytes: stats.resident_bytes,
        metadata_bytes: stats.metadata_bytes,
    };
    let written = bytes.min(size_of::<CStats>());
    if written > 0 {
        // SAFETY: the caller's promise; the source is as long, and has no padding.
        unsafe { ptr::copy_nonoverlapping((&raw const all).cast::<u8>(), out.cast::<u8>(), written) };
    }
    size_of::<CStats>()
}

/// Whether an address is that of memory which hakmem has handed out: 1 or 0, as [`crate::owns`].
#[unsafe(no_mangle)]
extern "C" fn hakmem_owns(address: *const c_void) -> c_int {
    c_int::from(inspect::owns(address.cast()))
}

/// Gives memory that waits for reuse back to the OS, as [`crate::flush`].
#[unsafe(no_mangle)]
extern "C" fn hakmem_trim() {
    flush::flush();
}

/// Writes the level of a factor in this process as text with a zero at its end, cut to `bytes` bytes. Returns the length of
/// the level's name; 0 where no factor has the name.
///
/// # Safety
/// - `factor` is null or a string, and `out` is valid for writes of `bytes` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn hakmem_level(factor: *const c_char, out: *mut c_char, bytes: usize) -> usize {
    // SAFETY: the caller's promise.
    let name = if factor.is_null() { &[] } else { unsafe { CStr::from_ptr(factor) }.to_bytes() };
    let known = core::str::from_utf8(name).ok().and_then(FactorId::from_name);
    let level = known.map_or("", |id| id.level().as_str());
    if bytes > 0 {
        let written = level.len().min(bytes - 1);
        // SAFETY: the caller's promise, with room for the zero.
        unsafe {
            ptr::copy_nonoverlapping(level.as_ptr(), out.cast::<u8>(), written);
            out.add(written).write(0);
        }
    }
    level.len()
}
