//! The allocator's records of memory, apart from the memory itself.

pub(crate) mod allocator;
pub(crate) mod large_mapping;
pub(crate) mod list;
pub(crate) mod page;
pub(crate) mod page_map;
pub(crate) mod range;
