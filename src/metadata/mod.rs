//! The allocator's records of memory, kept apart from the memory itself.
//!
//! The metadata allocator hands out records that live for ever, and intrusive lists link them. Records of large
//! mappings, pages and segments describe memory. The range and the page map find the record of an address. What memory
//! is used for is decided in `alloc`.

pub(crate) mod allocator;
pub(crate) mod large_mapping;
pub(crate) mod list;
pub(crate) mod page;
pub(crate) mod page_map;
pub(crate) mod range;
pub(crate) mod segment;
pub(crate) mod shared_cell;
