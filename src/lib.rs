//! hakmem: a memory allocator that can be taken apart.
//!
//! A general-purpose, thread-safe allocator for Linux on x86-64 and aarch64, which takes its memory from the OS itself.
//! Each part that costs something is a *factor*, with a Cargo feature of its name and an environment variable, so that
//! its cost can be measured.
//!
//! # As the global allocator
//!
//! ```
//! use hakmem::Hakmem;
//!
//! #[global_allocator]
//! static GLOBAL: Hakmem = Hakmem;
//!
//! let words: Vec<u64> = (0..1000).collect();
//! assert!(hakmem::owns(words.as_ptr().cast()));
//! ```
//!
//! C programs use it with `LD_PRELOAD` (feature `preload`, docs/preload.md). With the feature `allocator-api2`,
//! collections take it as their allocator: `Vec::new_in(Hakmem)` of the crate `allocator-api2`.
//!
//! # Levels
//!
//! Each factor has a level: absent (not compiled in), off, on, or another form. The first request reads the levels, and
//! they never change after that:
//!
//! 1. Cargo features decide what is compiled in; all factors are, by default.
//! 2. [`preset!`] names the program's preset, if it is not the default.
//! 3. The environment overrides it: `HAKMEM_MODE` names a preset, `HAKMEM_DISABLE_<FACTOR>=1` switches a factor off,
//!    and a factor's own variable chooses its form.
//!
//! `HAKMEM_MODE=original` sets the first six factors to the forms of an older research allocator, and switches off
//! `align`, `thp`, `arena` and `purge`:
//!
//! | factor | by default | forms |
//! |---|---|---|
//! | `bigcache`: freed large objects are kept | by size class in each thread | `HAKMEM_BIGCACHE=ring`: by call site |
//! | `elo`: choices by Elo ratings | off | `HAKMEM_ELO=slow-path`: plans, where no cache has an object; `softmax`: mmap thresholds |
//! | `header` before every object | off | `HAKMEM_HEADER=32`, `16`: bytes, verified on free |
//! | `tick`: a shared count of allocations | raised when a cache is empty | `HAKMEM_TICK=shared`: every allocation |
//! | `evolution`: when learning stops and restarts | off | `HAKMEM_EVO_POLICY=slow-path`: sees requests that no cache had; `auto`: all |
//! | `madvise-batch`: large mappings unmapped together | on | |
//! | `align`: large mappings at a multiple of 2 MiB | on | `HAKMEM_ALIGN=user`: the object itself |
//! | `thp`: huge pages advised | where memory is used densely | `HAKMEM_THP=on`: everywhere, `never`: advised against |
//! | `arena`: large objects from one range | on | |
//! | `thread-cache` of small objects | on | |
//! | `purge`: unused memory goes back | by time | `HAKMEM_PURGE=immediate`, `never` |
//! | `free-check`: every free is verified | on | |
//! | `owned-pages`: pages of the smallest objects belong to threads | on | |
//! | `canary`, `guard-pages`, `quarantine`, `zero-free`, `random-slots`: misuse of memory is found | off | `HAKMEM_MODE=hardened`: all on |
//!
//! [`factors::registry`] has this table as values, and docs/factors.md every variable. The module `settings` (feature
//! `settings`) reads the variables for a program that shows the levels, or refuses to start with a misspelt name.
//!
//! # Statistics
//!
//! [`stats()`] returns one snapshot: objects and bytes in use and at each place where free memory waits, in total and
//! by size class, the resident bytes, and the level and activity of each factor. Its parts sum to the whole.
//!
//! ```
//! # #[global_allocator] static GLOBAL: hakmem::Hakmem = hakmem::Hakmem;
//! let stats = hakmem::stats();
//! println!("{} bytes in {} objects, {} resident", stats.live.bytes, stats.live.objects, stats.resident_bytes);
//! for factor in stats.factors() {
//!     println!("{}: {}", factor.name(), factor.level.as_str());
//! }
//! println!("{stats}"); // all of it, as a table
//! ```
//!
//! # Call sites
//!
//! [`Hakmem::alloc_at`] takes the place that allocates, by which the factor `bigcache` keeps freed objects in its form
//! `ring`:
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
#[cfg(feature = "allocator-api2")]
mod allocator_api;
mod class;
mod config;
mod factor;
mod fatal;
mod global;
#[cfg(not(any(feature = "preload", loom)))]
mod keep_loaded;
mod metadata;
#[cfg(all(test, loom))]
mod model;
mod os;
#[cfg(all(feature = "preload", not(test)))]
mod preload;
#[cfg(all(feature = "preload", not(test)))]
mod preload_end;
#[cfg(all(feature = "preload", not(test)))]
mod preload_glibc;
#[cfg(all(feature = "preload", not(test)))]
mod preload_identity;
#[cfg(all(feature = "preload", not(test)))]
mod preload_own;
mod request;
#[cfg(feature = "settings")]
pub mod settings;
mod stats;
mod sync;

pub use alloc::census::Amount;
pub use config::Preset;
pub use global::Hakmem;
pub use request::Site;
pub use stats::{ClassStats, FactorStats, Stats, stats};

/// The factors: their levels, the variables that set them, and what each factor does and costs.
///
/// ```
/// use hakmem::factors::{self, FactorId};
///
/// for factor in factors::registry() {
///     println!("{}: {}", factor.name, factor.about);
/// }
/// println!("the arena is {}", FactorId::Arena.level().as_str());
/// ```
pub mod factors {
    pub use super::config::{Choice, Factor, FactorId, Level, Setting, Variant, lifecycle_settings, registry};
}

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

/// Names the program's preset: the levels of all factors, where the environment sets no others. `HAKMEM_MODE` overrides
/// it. A program may use it once; the linker refuses a second use as a duplicate symbol.
///
/// The expression is evaluated once, when the levels are sealed: at the first request, or when a level is read. It must
/// neither allocate from hakmem nor unwind. A constructor registers it before `main`, and before constructors without a
/// priority.
///
/// ```
/// use hakmem::{Hakmem, Preset};
///
/// #[global_allocator]
/// static GLOBAL: Hakmem = Hakmem;
/// hakmem::preset!(Preset::Minimal);
///
/// let words: Vec<u64> = (0..1000).collect();
/// # if std::env::var_os("HAKMEM_MODE").is_none() && cfg!(feature = "bigcache") {
/// assert_eq!(hakmem::factors::FactorId::BigCache.level(), hakmem::factors::Level::Off);
/// # }
/// # drop(words);
/// ```
#[macro_export]
macro_rules! preset {
    ($preset:expr) => {
        const _: () = {
            extern "C" fn note() {
                fn preset() -> $crate::Preset {
                    $preset
                }
                $crate::Preset::__note(preset);
            }

            #[used]
            #[unsafe(no_mangle)]
            #[unsafe(link_section = ".init_array.00000")]
            static __hakmem_preset: extern "C" fn() = note;
        };
    };
}

/// Whether hakmem has handed out the memory at an address: the first address of a live object that has a mapping of its
/// own, or any address in a slab page or run of blocks that is in use.
///
/// Any thread may ask for any address: the call reads the allocator's records, and never the memory at the address.
/// While another thread allocates or frees the object there, the answer is that of before or of after.
pub fn owns(address: *const u8) -> bool {
    alloc::inspect::owns(address)
}

/// Bytes of an object that may be used: the requested ones, and the rest of its slot or mapping.
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
    alloc::inspect::usable_bytes(object, fatal::Call::UsableSize)
}

/// Gives all memory that waits for reuse back to the OS: that of the threads' caches, the transfer cache, BigCache, the
/// mapping pool, the madvise batch, and free half segments. The cache of a thread that allocates or frees at this moment
/// is left out, and so are those of other threads where the C library has no restartable sequences (glibc before 2.35).
/// Without the factor `purge`, half segments stay resident.
pub fn flush() {
    alloc::flush::flush();
}
