//! Arena: large objects up to 4 MiB are runs of units of one reserved range, instead of mappings of their own.
//!
//! The range and its segments exist in any case, for small objects; the factor decides whether large ones lie there too.
//! On, an object costs a search among the free units of a segment when no cache has one, and nothing of the OS: 64 MiB
//! become memory with one call. Off, each that reaches the mmap threshold is mapped and unmapped.

counters! {
    /// Large objects that came from the range.
    runs,
    /// Large objects that went back to it.
    returns,
}
