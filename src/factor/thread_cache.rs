//! Thread cache: free small objects wait in each thread, for its next requests.
//!
//! The caches exist in any case, as the place where factors close the fast path; the factor decides whether the bins of
//! small classes are open, and so whether batches are passed on through the depot. Off, every request and every free of a
//! small object takes the lock of its class and looks for its page.

counters! {
    /// Times that an empty bin was filled.
    refills,
    /// Times that a full bin was emptied in part.
    drains,
}
