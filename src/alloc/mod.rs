//! The path of a request, station by station.

pub(crate) mod allocate;
pub(crate) mod arena;
pub(crate) mod central_free_list;
pub(crate) mod fork;
pub(crate) mod free;
pub(crate) mod large_mappings;
pub(crate) mod mapping_pool;
#[cfg(all(test, loom))]
mod models;
pub(crate) mod purge;
pub(crate) mod thread;
pub(crate) mod thread_cache;
pub(crate) mod thread_heap;
mod transfer_batch;
mod transfer_cache;
