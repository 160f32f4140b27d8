//! The allocator's records of memory, kept apart from the memory itself.
//!
//! From the ground up: the metadata allocator hands out records that live for ever, intrusive lists link them, and the
//! records of large mappings, pages and segments describe memory. The range and the page map find the record of an address.
//! Nothing here decides what memory is used for: that is left to `alloc`.

pub(crate) mod allocator;
pub(crate) mod large_mapping;
pub(crate) mod list;
pub(crate) mod page;
pub(crate) mod page_map;
pub(crate) mod range;
pub(crate) mod segment;
pub(crate) mod shared_cell;
