//! What only the research original had: forms of factors that the default allocator does not use.
//!
//! `HAKMEM_MODE=original` brings all of them; each also has a variable of its own (docs/factors.md). They look at every
//! request, so that no thread can use its cache unseen, and the request path calls them beside the default forms. A file has
//! the name of its factor; where the default has a form as well, its file in [`crate::factor`] has what both share, at least
//! the counters. The default forms use nothing of this folder. `evolution` has no file here: the original's policies are
//! values of the one lifecycle in [`crate::factor::evolution`].

pub(crate) mod bigcache;
pub(crate) mod elo;
pub(crate) mod header;
pub(crate) mod tick;
