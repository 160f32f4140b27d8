//! The path of a request, one file per station, in the order in which a request passes them.
//!
//! ```text
//!  the calls                   allocate, free, reallocate, inspect, census, flush
//!  start and end of a thread   thread, fork
//!  the driver                  purge
//!  past the caches             release
//!  per thread                  thread_heap, thread_cache
//!  between threads             transfer_cache
//!  per size class              central_free_list
//!  large objects               large_mappings, mapping_pool
//!  the range                   arena, huge_pages
//! ```
//!
//! A station uses those below it and never one above: it returns a value (what waits to be purged, a page, objects that had no
//! room), and the caller decides. Levels of factors are read at the top, by the calls, the driver and a thread's start and
//! end, and passed down.

pub(crate) mod allocate;
pub(crate) mod census;
pub(crate) mod flush;
pub(crate) mod free;
pub(crate) mod inspect;
pub(crate) mod reallocate;

mod fork;
mod late_heap;
mod thread;
mod thread_key;

pub(crate) mod purge;

mod find;
mod learning;
mod release;
mod waiting;

mod thread_cache;
pub(crate) mod thread_heap;

mod transfer_batch;
mod transfer_cache;

mod central_free_list;

mod large_mappings;
mod mapping_pool;

mod arena;
mod huge_pages;

#[cfg(all(test, loom))]
mod models;
