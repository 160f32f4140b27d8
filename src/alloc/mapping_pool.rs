//! The mapping pool: freed large mappings that wait for the next request of similar size.
//!
//! The pool takes mappings without a size class, where they are shorter than the mmap threshold or where BigCache is in
//! its direct form, which has no ring for them.

use crate::factor::purge;
use crate::metadata::large_mapping::LargeMapping;
use crate::request::Request;
use crate::sync::{Lock, global, held_at_fork};

/// Most bytes that wait here; the oldest mappings beyond it go back to the OS.
const KEPT_BYTES_MAX: usize = 128 << 20;

global! {
    static POOL: Lock<Pool> = Lock::new(Pool { first: None, bytes: 0 });
}

#[derive(Debug)]
struct Pool {
    first: Option<&'static LargeMapping>,
    bytes: usize,
}

/// Takes a kept mapping that fits, at most twice as long as needed, or else a new one from `map`, which the pool takes
/// when it is freed. Also returns whether its memory is known to be zero.
pub(super) fn take(
    request: &Request,
    map: impl FnOnce() -> Option<&'static LargeMapping>,
) -> Option<(&'static LargeMapping, bool)> {
    if let Some(mapping) = POOL.lock().take(request) {
        mapping.site.set(request.site.id());
        mapping.mark_live();
        return Some((mapping, false));
    }
    let mapping = map()?;
    // A mapping that is long because of its alignment fits no request of its size, and would wait for nothing.
    mapping.pooled.set(mapping.usable() / 2 <= request.size);
    Some((mapping, true))
}

/// Keeps a freed mapping. When the pool is full, `evict` gets the oldest ones. Returns whether the purge is due, which
/// it is as soon as a mapping waits.
pub(super) fn give(mapping: &'static LargeMapping, mut evict: impl FnMut(&'static LargeMapping)) -> bool {
    mapping.freed_at.set(purge::epoch());
    let mut pool = POOL.lock();
    mapping.next.set(pool.first);
    pool.first = Some(mapping);
    pool.bytes += mapping.mapped.get();
    while pool.bytes > KEPT_BYTES_MAX
        && let Some(oldest) = pool.take_oldest()
    {
        // The callback may wait for the OS; other threads must not.
        drop(pool);
        evict(oldest);
        pool = POOL.lock();
    }
    pool.bytes > 0
}

/// Hands mappings that have waited for `epochs` epochs of the purge to `evict`. Returns whether younger ones wait.
pub(super) fn evict_older_than(epochs: u32, mut evict: impl FnMut(&'static LargeMapping)) -> bool {
    loop {
        let mut pool = POOL.lock();
        let old = pool.take_first(|mapping| purge::epoch().wrapping_sub(mapping.freed_at.get()) >= epochs);
        let waits = pool.first.is_some();
        drop(pool);
        match old {
            Some(mapping) => evict(mapping),
            None => return waits,
        }
    }
}

/// Bytes of the mappings that are kept.
pub(super) fn waiting_bytes() -> usize {
    POOL.lock().bytes
}

/// Hands every mapping that is kept to `evict`.
pub(super) fn drain(mut evict: impl FnMut(&'static LargeMapping)) {
    loop {
        let Some(mapping) = POOL.lock().take_oldest() else { return };
        evict(mapping);
    }
}

impl Pool {
    fn take(&mut self, request: &Request) -> Option<&'static LargeMapping> {
        self.take_first(|mapping| mapping.fits(request) && mapping.usable() / 2 <= request.size)
    }

    fn take_oldest(&mut self) -> Option<&'static LargeMapping> {
        self.take_first(|mapping| mapping.next.get().is_none())
    }

    /// Takes the newest mapping that `wanted` accepts.
    fn take_first(&mut self, wanted: impl Fn(&'static LargeMapping) -> bool) -> Option<&'static LargeMapping> {
        let mut before: Option<&'static LargeMapping> = None;
        let mut candidate = self.first;
        while let Some(mapping) = candidate {
            if wanted(mapping) {
                match before {
                    Some(before) => before.next.set(mapping.next.get()),
                    None => self.first = mapping.next.get(),
                }
                mapping.next.set(None);
                self.bytes -= mapping.mapped.get();
                return Some(mapping);
            }
            before = Some(mapping);
            candidate = mapping.next.get();
        }
        None
    }
}

held_at_fork!(POOL);
