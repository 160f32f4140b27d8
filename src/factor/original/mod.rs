//! What only the research original had: forms of factors that the default allocator does not use.
//!
//! `HAKMEM_MODE=original` selects all of them; each also has a variable of its own (docs/factors.md). All but
//! `bigcache` see every request, so that no thread can use its cache on the fast path. A file has the name of its
//! factor; where there is a default form as well, its file in [`crate::factor`] has what both share, at least the
//! counters. The default forms use nothing of this folder. `evolution` has no file here: the original's policies are
//! values of the lifecycle in [`crate::factor::evolution`].

pub(crate) mod bigcache;
pub(crate) mod elo;
pub(crate) mod header;
pub(crate) mod tick;
