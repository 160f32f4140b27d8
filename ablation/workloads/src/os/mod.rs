//! What the program asks the kernel: child processes, the time, memory, and what the process uses.

pub(crate) mod child;
pub(crate) mod clock;
pub(crate) mod own_memory;
pub(crate) mod usage;

/// Bytes of an OS page: the granularity of touching, and of sizes that are drawn in pages.
pub(crate) const OS_PAGE: u32 = 4096;
