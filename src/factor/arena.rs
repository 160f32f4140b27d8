//! Arena: large objects up to 4 MiB are runs of arena blocks in one reserved range, instead of mappings of their own.
//!
//! The mechanism is a station of the request path: the range and its segments exist in any case, for small objects. The
//! factor decides whether large objects lie there too, so this file has the counters alone. Off, each object that reaches
//! the mmap threshold is mapped and unmapped.
//!
//! Costs address space, and a search among the free blocks of a segment when no cache has an object; no system call per
//! object, as 64 MiB become memory with one call.

use crate::sync::counters;

counters! {
    /// Large objects that came from the range.
    runs,
    /// Large objects that went back to it.
    returns,
}
