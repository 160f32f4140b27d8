//! Spans above a segment's size that are not sent back to the OS when they are freed, because they lie below the mmap
//! threshold or because BigCache is the direct one, which has no ring for them: kept for the next request of like size.

use crate::factor::purge;
use crate::metadata::large_mapping::Span;
use crate::request::Request;
use crate::sync::{Lock, global, held_at_fork};

/// Most bytes that wait here; what comes beyond goes back to the OS.
const KEPT_BYTES_MAX: usize = 128 << 20;

global! {
    static POOL: Lock<Pool> = Lock::new(Pool { first: None, bytes: 0 });
}

#[derive(Debug)]
struct Pool {
    first: Option<&'static Span>,
    bytes: usize,
}

/// A kept span that fits, at most twice as long as needed, or a new one from `map`, which is kept as well when it is
/// freed. Says whether its memory is known to be zero.
pub(super) fn take(request: &Request, map: impl FnOnce() -> Option<&'static Span>) -> Option<(&'static Span, bool)> {
    if let Some(span) = POOL.lock().take(request) {
        span.site.set(request.site.id());
        span.revive();
        return Some((span, false));
    }
    let span = map()?;
    // A span that is long for its alignment's sake fits no request of like size, and would wait for ever.
    span.kept.set(span.usable() / 2 <= request.size);
    Some((span, true))
}

/// Keeps a freed span. When the pool is full, the oldest ones go to `evict`, so that sizes which nobody asks for any more
/// do not wait for ever.
pub(super) fn give(span: &'static Span, mut evict: impl FnMut(&'static Span)) {
    span.freed_at.set(purge::now());
    let mut pool = POOL.lock();
    span.next.set(pool.first);
    pool.first = Some(span);
    pool.bytes += span.mapped.get();
    while pool.bytes > KEPT_BYTES_MAX
        && let Some(oldest) = pool.take_oldest()
    {
        // The callback may wait for the OS; nobody else should have to.
        drop(pool);
        evict(oldest);
        pool = POOL.lock();
    }
}

/// Hands spans that wait for so many ticks of the purge to `evict`. Returns whether younger ones wait.
pub(super) fn evict_older_than(ticks: u32, mut evict: impl FnMut(&'static Span)) -> bool {
    loop {
        let mut pool = POOL.lock();
        let old = pool.take_first(|span| purge::now().wrapping_sub(span.freed_at.get()) >= ticks);
        let waits = pool.first.is_some();
        drop(pool);
        match old {
            Some(span) => evict(span),
            None => return waits,
        }
    }
}

/// Hands every span that is kept to `evict`.
pub(super) fn drain(mut evict: impl FnMut(&'static Span)) {
    loop {
        let Some(span) = POOL.lock().take_oldest() else { return };
        evict(span);
    }
}

impl Pool {
    fn take(&mut self, request: &Request) -> Option<&'static Span> {
        self.take_first(|span| span.fits(request) && span.usable() / 2 <= request.size)
    }

    fn take_oldest(&mut self) -> Option<&'static Span> {
        self.take_first(|span| span.next.get().is_none())
    }

    /// Takes the newest span that is wanted.
    fn take_first(&mut self, wanted: impl Fn(&'static Span) -> bool) -> Option<&'static Span> {
        let mut before: Option<&'static Span> = None;
        let mut candidate = self.first;
        while let Some(span) = candidate {
            if wanted(span) {
                match before {
                    Some(before) => before.next.set(span.next.get()),
                    None => self.first = span.next.get(),
                }
                span.next.set(None);
                self.bytes -= span.mapped.get();
                return Some(span);
            }
            before = Some(span);
            candidate = span.next.get();
        }
        None
    }
}

held_at_fork!(POOL);
