//! BigCache: freed large objects are kept for the next request of their size. By default in each thread, by size class.
//!
//! The mechanism is the thread cache's, which exists in any case: the factor decides whether the slot lists of large size
//! classes are open, and what is over goes to all threads through the transfer cache. So this file has the counters
//! alone, which both forms share. The original's form, a ring per call site, is [`crate::factor::original::bigcache`].
//!
//! Costs 3 KiB per thread, 2 to 16 objects of a class in each thread and up to 32 MiB of a class for all; nothing that
//! small objects do not cost. Saves system calls and page faults.

use crate::sync::counters;

counters! {
    /// Requests that looked for a kept object.
    lookups,
    /// Requests that found one.
    hits,
    /// Freed objects that were kept.
    puts,
    /// Objects that gave way to a newer one.
    evictions,
}
