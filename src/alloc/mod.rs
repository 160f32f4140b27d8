//! The path of a request, one file per station, in the order in which a request passes them.
//!
//! | station | files |
//! |---|---|
//! | the calls | `allocate`, `free`, `reallocate`, `inspect` (length, owner), `census` (what each station holds), `flush` |
//! | which station serves a request | `stations` |
//! | start and end of a thread, and of a process | `thread`, `thread_end`, `gate` (closed while the process forks), `fork` |
//! | where no lock may be waited for | `bypass`, `bypass_chunks` (which of its chunks are free), `deferred_frees` |
//! | the background purge | `purge` |
//! | caches that are not used | `idle_caches`, `gather` (before memory comes from the OS) |
//! | objects of other owners' pages | `outbox` |
//! | past the caches | `release`, `find` (address → object), `learning` (what a plan or a strategy costs) |
//! | per thread | `thread_heap`, `thread_cache`, `slot_list` |
//! | between threads | `transfer_cache`, `transfer_batch`, `treiber_stack` (the lock-free stack, the bypass's too) |
//! | per size class | `central_free_list` |
//! | large objects | `mapping_pool`, `pool_entries` (what waits, by address), `large_mappings` |
//! | the range | `arena`, `arena_growth` (new segments), `huge_pages`, `density` (what new memory will be used like) |
//!
//! A station uses those below it and never one above: it returns a value (whether the purge is due, a page, objects
//! that did not fit), and the caller decides. The calls, the purge and a thread's start and end read the levels of
//! factors and pass them down. `models` has the model checker's tests of several stations together.

pub(crate) mod allocate;
pub(crate) mod census;
pub(crate) mod flush;
pub(crate) mod free;
pub(crate) mod inspect;
pub(crate) mod reallocate;

mod hardening;
mod stations;

mod bypass;
mod bypass_chunks;
mod deferred_frees;
mod fork;
mod gate;
mod thread;
mod thread_end;

pub(crate) mod purge;

mod gather;
mod idle_caches;

mod outbox;

mod find;
mod learning;
mod release;

mod slot_list;
mod thread_cache;
pub(crate) mod thread_heap;

mod transfer_batch;
mod transfer_cache;
mod treiber_stack;

mod central_free_list;

mod large_mappings;
mod mapping_pool;
mod pool_entries;

mod arena;
mod arena_growth;
mod density;
mod huge_pages;

#[cfg(all(test, loom))]
mod models;
