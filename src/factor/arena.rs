//! Arena: large objects up to 4 MiB are runs of arena blocks in one reserved range, instead of mappings of their own.
//!
//! The mechanism is a station of the request path, and exists in any case, for small objects. The factor decides
//! whether large objects lie there too, so this file has the counters alone. Off, each object that reaches the mmap
//! threshold is mapped and unmapped.
//!
//! Costs address space, and a lock and a search among the free blocks of a segment when no cache has an object. No
//! system call per object: one call makes up to 64 MiB memory.

use crate::sync::counters;

counters! {
    /// Large objects that came from the range.
    runs,
    /// Large objects that went back to it.
    returns,
}
