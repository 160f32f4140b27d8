//! The factors: one mechanism per file, each of which costs something and can be switched off.
//!
//! A factor file does its work and never asks whether it is on: [`crate::config`] knows that, and the request path asks
//! it. This file has what all of them share: counters, and state in each thread.
//!
//! The files here make up the default allocator. Forms that only the research original had are in [`original`], which
//! uses these files; none of these uses it. `arena`, `thread_cache` and `bigcache` have counters alone: their mechanism
//! is a station of the request path, and the file says which, and what it costs.

pub(crate) mod align;
pub(crate) mod arena;
pub(crate) mod bigcache;
pub(crate) mod canary;
pub(crate) mod elo;
pub(crate) mod evolution;
pub(crate) mod free_check;
pub(crate) mod guard_pages;
pub(crate) mod madvise_batch;
pub(crate) mod original;
pub(crate) mod owned_pages;
pub(crate) mod purge;
pub(crate) mod quarantine;
pub(crate) mod random_slots;
pub(crate) mod thp;
pub(crate) mod thread_cache;
pub(crate) mod tick;
pub(crate) mod zero_free;

/// Declares the counters of all factors. The order is that of the registry, which a test there holds.
macro_rules! all_counters {
    ($($factor:ident: $counters:ty),+ $(,)?) => {
        /// Activity counters of one thread.
        #[derive(Debug)]
        pub(crate) struct Counters {
            $(pub(crate) $factor: $counters,)+
        }

        impl Counters {
            /// Names of the factors, as identifiers.
            #[cfg(test)]
            pub(crate) const FACTORS: &'static [&'static str] = &[$(stringify!($factor)),+];

            const READ: &'static [fn(&Counters, usize) -> u64] =
                &[$(|counters, counter| counters.$factor.read(counter)),+];

            /// All counters at zero, as all-zero bytes are.
            pub(crate) const fn new() -> Counters {
                Counters { $($factor: <$counters>::new()),+ }
            }

            /// The value of one counter, by the factor's index in the registry and the counter's index in the factor.
            pub(crate) fn read(&self, factor: usize, counter: usize) -> u64 {
                Self::READ[factor](self, counter)
            }
        }
    };
}

all_counters! {
    bigcache: bigcache::Counters,
    elo: elo::Counters,
    header: original::header::Counters,
    tick: tick::Counters,
    evolution: evolution::Counters,
    madvise_batch: madvise_batch::Counters,
    align: align::Counters,
    thp: thp::Counters,
    arena: arena::Counters,
    thread_cache: thread_cache::Counters,
    purge: purge::Counters,
    free_check: free_check::Counters,
    owned_pages: owned_pages::Counters,
    canary: canary::Counters,
    guard_pages: guard_pages::Counters,
    quarantine: quarantine::Counters,
    zero_free: zero_free::Counters,
    random_slots: random_slots::Counters,
}

/// State of the factors in one thread. All-zero bytes are the state of a new thread.
#[derive(Debug)]
pub(crate) struct Locals {
    pub(crate) elo: original::elo::Local,
    pub(crate) evolution: evolution::Local,
    pub(crate) tick: tick::Local,
    pub(crate) quarantine: quarantine::Local,
}
