//! The C library's malloc through `std::alloc::System`.

use super::{ALIGN, Allocator, Witness, layout, library};
use hakmem::Site;
use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::{Once, OnceLock};

/// The C library's malloc.
#[derive(Clone, Copy, Default)]
pub(crate) struct CLibrary;

impl Allocator for CLibrary {
    #[inline(always)]
    unsafe fn alloc(self, layout: Layout, _site: Site) -> *mut u8 {
        // SAFETY: the caller promises a size that is not zero.
        unsafe { System.alloc(layout) }
    }

    #[inline(always)]
    unsafe fn alloc_zeroed(self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller promises a size that is not zero.
        unsafe { System.alloc_zeroed(layout) }
    }

    #[inline(always)]
    unsafe fn realloc(self, ptr: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller promises a live block of this allocator with this layout, and a size that is not zero.
        unsafe { System.realloc(ptr, layout, size) }
    }

    #[inline(always)]
    unsafe fn dealloc(self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller promises a live block of this allocator with this layout.
        unsafe { System.dealloc(ptr, layout) }
    }
}

/// glibc cannot be asked about an address. A block is glibc's when it lies in the `brk` heap, which only glibc extends
/// while `malloc` is glibc's. It is also glibc's when the bytes in use grew by the block's size during the request.
pub(crate) const WITNESS: Witness = Witness {
    name: "system",
    by: "mallinfo2 and the brk heap",
    mark,
    claims: |mark, ptr, size| in_brk_heap(ptr) || bytes_in_use().saturating_sub(mark) >= size as u64,
};

/// Bytes in use before a request. The first call also does what would disturb these numbers later.
fn mark() -> u64 {
    static READY: Once = Once::new();
    READY.call_once(|| {
        in_brk_heap(std::ptr::null());
        empty_thread_cache();
    });
    bytes_in_use()
}

/// Takes everything out of glibc's cache of this thread and keeps it: such a block counts as in use already, and lies
/// outside the `brk` heap when this thread freed it for another.
fn empty_thread_cache() {
    // glibc caches up to 7 blocks (16 since 2.42) of each multiple of 16 bytes up to 1032.
    const EACH: usize = 16;
    for size in (ALIGN..=1040).step_by(ALIGN) {
        for _ in 0..EACH {
            // The compiler would drop a request whose block is not used.
            // SAFETY: the size is at least ALIGN. The block is left to the end of the process.
            black_box(unsafe { System.alloc(layout(size)) });
        }
    }
}

/// Bytes that glibc has handed out, mapped blocks among them. 0 with other C libraries, which proves nothing.
#[cfg(target_env = "gnu")]
fn bytes_in_use() -> u64 {
    type Mallinfo2 = unsafe extern "C" fn() -> libc::mallinfo2;
    static OF_GLIBC: OnceLock<Option<Mallinfo2>> = OnceLock::new();
    // From the C library's file, as a preloaded library may bring a function of this name.
    let of_glibc = OF_GLIBC.get_or_init(|| {
        // SAFETY: both names end with zero; the C library is loaded already and stays.
        let symbol = unsafe {
            let glibc = libc::dlopen(c"libc.so.6".as_ptr(), libc::RTLD_NOLOAD | libc::RTLD_LAZY);
            if glibc.is_null() { glibc } else { libc::dlsym(glibc, c"mallinfo2".as_ptr()) }
        };
        // SAFETY: null, or glibc's function of this name and type.
        unsafe { std::mem::transmute::<*mut libc::c_void, Option<Mallinfo2>>(symbol) }
    });
    let Some(mallinfo2) = of_glibc else {
        return 0;
    };
    // SAFETY: only reads the statistics of glibc's arenas, under their locks.
    let info = unsafe { mallinfo2() };
    (info.uordblks + info.hblkhd) as u64
}

/// Bytes that glibc has handed out, mapped blocks among them. 0 with other C libraries, which proves nothing.
#[cfg(not(target_env = "gnu"))]
fn bytes_in_use() -> u64 {
    0
}

/// Whether `malloc` is the C library's own.
pub(crate) fn is_malloc() -> bool {
    static IS: OnceLock<bool> = OnceLock::new();
    *IS.get_or_init(|| library::of_malloc().is_ok_and(|library| library.is_libc()))
}

/// Whether the address lies between the start of the `brk` heap and its present end.
fn in_brk_heap(ptr: *const u8) -> bool {
    static START: OnceLock<Option<usize>> = OnceLock::new();
    let Some(start) = *START.get_or_init(|| brk_heap_start().filter(|_| is_malloc())) else {
        return false;
    };
    // SAFETY: an increment of 0 only asks for the end.
    let end = unsafe { libc::sbrk(0) } as usize;
    (start..end).contains(&(ptr as usize))
}

/// Where the `brk` heap starts, from `/proc/self/maps`; `None` when it cannot be told.
fn brk_heap_start() -> Option<usize> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    let line = maps.lines().find(|line| line.ends_with("[heap]"))?;
    usize::from_str_radix(line.split('-').next()?, 16).ok()
}
