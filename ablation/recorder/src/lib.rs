//! `libhakmem_trace.so`: records what a program asks of its allocator, by `LD_PRELOAD`; and the layout of its raw file.
//!
//! With the feature `preload` the crate defines the C library's allocation functions and C++'s `new` and `delete`. Each
//! notes what was asked for and passes it on to the next allocator: the C library's, or one that is preloaded too. Events
//! go straight into a shared mapping of the raw file, so that what was written survives the process, however it ends.
//! `cargo ablate trace record` sets it up, and makes a compact trace of the raw file; docs/traces.md tells how to use it.
//!
//! Without the feature the crate is [`layout`] alone.
//!
//! # Rules of the recorder
//!
//! - It allocates nothing, takes no lock that it waits for, and calls no function at which a thread can be cancelled.
//! - A signal's handler may allocate at any instruction: a thread that is inside the recorder is marked busy, and what its
//!   handler does goes into a second chunk.
//! - A full disk, a reached limit or a refused file ends the recording, and never the program.
//! - The child of a fork finds the word that switches recording on wiped by the kernel, whichever call made it.

#![no_std]
#![warn(missing_docs)]

pub mod layout;

#[cfg(feature = "preload")]
mod arch;
#[cfg(feature = "preload")]
mod bootstrap;
#[cfg(feature = "preload")]
mod chunks;
#[cfg(feature = "preload")]
mod edges;
#[cfg(feature = "preload")]
mod entries;
#[cfg(feature = "preload")]
mod entries_cxx;
#[cfg(feature = "preload")]
mod entries_identity;
#[cfg(feature = "preload")]
mod entries_threads;
#[cfg(feature = "preload")]
mod maps;
#[cfg(feature = "preload")]
mod next;
#[cfg(feature = "preload")]
mod owners;
#[cfg(feature = "preload")]
mod record;
#[cfg(feature = "preload")]
mod start;
#[cfg(feature = "preload")]
mod switch;
#[cfg(feature = "preload")]
mod sys;
#[cfg(feature = "preload")]
mod thread;
#[cfg(feature = "preload")]
mod touch;

/// The name of the library's file.
pub const LIBRARY: &str = concat!("lib", env!("CARGO_CRATE_NAME"), ".so");

/// The library has no Rust runtime. A panic is a bug of the recorder.
#[cfg(all(feature = "preload", panic = "abort", not(test)))]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    sys::say(b"the recorder of allocations: internal error\n");
    // SAFETY: does not return.
    unsafe { libc::abort() }
}
