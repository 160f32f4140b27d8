//! What only the research original had: forms of factors that the default allocator does not use.
//!
//! `HAKMEM_MODE=original` brings all of them; each also has a variable of its own (docs/factors.md). They look at every
//! request, so that no thread can use its cache unseen, and the request path calls them beside the
//! default forms. A file has the name of its factor; where the default has a form as well, its file in
//! [`crate::factor`] has the counters of both.

pub(crate) mod bigcache;
pub(crate) mod elo;
pub(crate) mod evolution;
pub(crate) mod header;
pub(crate) mod tick;

/// Which strategy an allocation shall get: what `evolution` tells `elo`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pick {
    /// Draw one.
    Learn,
    /// The one that was best when learning stopped: no work.
    Frozen,
    /// The second best, on trial.
    Candidate,
}
