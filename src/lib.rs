//! hakmem: a memory allocator that can be taken apart.
//!
//! A general-purpose, thread-safe allocator for Linux on x86-64 and aarch64 that takes its memory from the OS itself. Each
//! part of it that costs something is a *factor*, behind a Cargo feature of the same name and an environment toggle, so that
//! its cost can be measured. Each of the first six has the form of an older research allocator as well
//! (`HAKMEM_MODE=original`):
//!
//! | factor | by default | forms |
//! |---|---|---|
//! | `bigcache`: freed large objects are kept | by size class in each thread | `HAKMEM_BIGCACHE=ring`: by call site |
//! | `elo`: choices by Elo ratings | plans, where no cache serves | `HAKMEM_ELO=softmax`: mmap thresholds, every allocation |
//! | `header` before every object | off | `HAKMEM_HEADER=32`, `16`: bytes, verified on free |
//! | `tick`: a shared count of allocations | raised when a cache is empty | `HAKMEM_TICK=shared`: every allocation |
//! | `evolution`: when learning stops and restarts | sees what no cache serves | `HAKMEM_EVO_POLICY=auto`: every allocation |
//! | `madvise-batch`: large mappings unmapped together | on | |
//! | `align`: large mappings at a multiple of 2 MiB | on | `HAKMEM_ALIGN=user`: the object itself |
//! | `thp`: huge pages advised | on | `HAKMEM_THP=never`: advised against |
//! | `arena`: large objects from one range | on | |
//! | `thread-cache` of small objects | on | |
//! | `purge`: unused memory goes back | by time | `HAKMEM_PURGE=immediate`, `never` |
//!
//! [`receipt()`] tells what is at work and what it did. docs/factors.md has every variable; ARCHITECTURE.md the design.
//!
//! ```
//! use hakmem::Hakmem;
//! use std::alloc::{GlobalAlloc, Layout};
//!
//! let layout = Layout::from_size_align(2 << 20, 16).unwrap();
//! // SAFETY: the layout is not empty, and the object is freed with the layout it was made with.
//! unsafe {
//!     let object = Hakmem.alloc_at(layout, hakmem::site!());
//!     assert!(hakmem::owns(object));
//!     Hakmem.dealloc(object, layout);
//! }
//! ```

#![no_std]
#![warn(missing_docs)]
#![cfg_attr(loom, allow(dead_code, reason = "the models use a part, and have a kernel of their own"))]

#[cfg(any(test, feature = "settings"))]
extern crate std;

mod alloc;
mod class;
mod config;
mod factor;
mod fatal;
mod global;
mod metadata;
#[cfg(all(test, loom))]
mod model;
mod os;
#[cfg(all(feature = "preload", not(test)))]
mod preload;
mod receipt;
mod request;
#[cfg(feature = "settings")]
pub mod settings;
mod sync;

pub use config::{AlreadySealed, Choice, Factor, Level, Preset, Setting, lifecycle_settings, registry, seal};
pub use global::Hakmem;
pub use receipt::{FactorReceipt, Receipt, receipt};
pub use request::Site;

/// The call site as a [`Site`]: a constant of file, line and column.
///
/// ```
/// let here = hakmem::site!();
/// let there = hakmem::site!();
/// assert_ne!(here, there);
/// ```
#[macro_export]
macro_rules! site {
    () => {
        const { $crate::Site::of_place(file!(), line!(), column!()) }
    };
}

/// Whether the address lies in memory that hakmem has handed out: the own address of a live object with a mapping of its
/// own, or any address in a page that is in use.
pub fn owns(address: *const u8) -> bool {
    alloc::inspect::owns(address)
}

/// Bytes that an object may use: at least what was asked for, and whatever its slot or mapping has beyond.
///
/// ```
/// let object = Box::into_raw(Box::new([0_u8; 100]));
/// # #[global_allocator] static GLOBAL: hakmem::Hakmem = hakmem::Hakmem;
/// // SAFETY: the object lives, and hakmem allocated it.
/// assert!(unsafe { hakmem::usable_bytes(object.cast()) } >= 100);
/// # drop(unsafe { Box::from_raw(object) });
/// ```
///
/// # Safety
/// - the address is that of an object that hakmem allocated and that was not freed.
pub unsafe fn usable_bytes(object: *mut u8) -> usize {
    alloc::inspect::usable_bytes(object)
}

/// Gives back to the OS all memory that waits to be used again: in the calling thread's cache and the transfer cache, in
/// BigCache and the mapping pool, in the madvise batch, full or not, and in free halves of segments. What other threads' caches
/// hold stays.
pub fn flush() {
    alloc::flush::flush();
}

/// The shared count of allocations that the factor `tick` keeps.
pub fn ticks() -> u64 {
    factor::tick::total()
}

/// Elo ratings in points, all 1500 before the first round: of the twelve plans at the level `slow-path`, else of the twelve
/// mmap thresholds, smallest threshold first.
pub fn elo_ratings() -> [f64; 12] {
    if config::active().elo_plans() { factor::elo::ratings() } else { factor::original::elo::ratings() }
}
