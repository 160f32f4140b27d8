//! BigCache: keeps freed large objects for the next request of their size. By default in each thread, by size class.
//!
//! The thread cache is the mechanism, and exists in any case: the factor decides whether the slot lists of large size
//! classes are open. Objects beyond a full list go to the transfer cache. So this file has the counters alone, which
//! both forms share. The original's form, a ring per call site, is [`crate::factor::original::bigcache`].
//!
//! Costs 3 KiB per thread, and memory that waits: 2 to 16 objects per class and thread, and in the transfer cache about
//! 32 MiB of all classes together. Saves system calls and page faults.

use crate::sync::counters;

counters! {
    /// Requests that found their slot list empty, and looked further; in the form `ring`, all that looked.
    lookups,
    /// Those of them that found a kept object.
    hits,
    /// Times that a full slot list was emptied in part; in the form `ring`, freed mappings that were kept.
    puts,
    /// Objects that the caches gave up.
    evictions,
}
