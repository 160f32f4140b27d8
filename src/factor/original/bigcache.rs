//! BigCache as the original has it (`ring`): freed large mappings, kept by the call site that made them.
//!
//! There are 64 rows, and a hash of the site chooses one. A row is a ring of four mappings. A request of 1 MiB or more
//! walks the ring for a mapping of its ring class that is long enough. A freed mapping enters its site's ring; when the
//! ring is full, the callback of the caller gets the oldest. Nothing is mapped or unmapped here.
//!
//! A row keeps at most 64 MiB, so all rows at most 4 GiB; the callback gets what is beyond.
//!
//! Costs 2.5 KiB, and a lock and up to four compares per large request or free; nothing for smaller ones. No system
//! call. Different from the original: each row has a lock (the original had none, and lost memory under threads), and a
//! hit checks that the mapping is long enough, since a class covers a range.

use crate::factor::bigcache::Counters;
use crate::metadata::large_mapping::LargeMapping;
use crate::os::OS_PAGE;
use crate::request::Request;
use crate::sync::{Lock, global};

/// Smallest request that looks here.
pub(crate) const BYTES_MIN: usize = 1 << 20;

const SITES: usize = 64;
const RING: usize = 4;
/// Most bytes that one row keeps: twice the highest mmap threshold. The original keeps any mapping for ever.
const ROW_BYTES_MAX: usize = 64 << 20;

/// Ring classes by their least bytes. The last one has no upper end; in every class a hit uses at least half the
/// mapping.
const CLASS_BYTES: [usize; 4] = [1 << 20, 2 << 20, 4 << 20, 8 << 20];

/// The mappings of one site, or of several whose hashes collide.
#[derive(Debug)]
struct Row {
    ring: [Option<&'static LargeMapping>; RING],
    /// Where the next mapping goes: the oldest one's place when the ring is full.
    next: usize,
    /// Bytes of the mappings in the ring.
    bytes: usize,
}

global! {
    table static ROWS: [Lock<Row>; SITES] = each Lock::new(Row { ring: [None; RING], next: 0, bytes: 0 });
}

/// Looks for a mapping for a request of at least [`BYTES_MIN`].
#[inline]
pub(crate) fn get(counters: &Counters, request: &Request) -> Option<&'static LargeMapping> {
    counters.lookups.add(1);
    let class = class_of(request.size);
    let mut row = row_of(request.site.id()).lock();
    let row = &mut *row;
    for slot in &mut row.ring {
        if let Some(mapping) = *slot
            && mapping.fits(request)
            // A mapping is whole OS pages, so it may be of the class above the one of the request that made it.
            && (class_of(mapping.usable()) == class || mapping.usable() - request.size < OS_PAGE)
            && mapping.usable() / 2 <= request.size
        {
            *slot = None;
            row.bytes -= mapping.mapped.get();
            counters.hits.add(1);
            return Some(mapping);
        }
    }
    None
}

/// Keeps a freed mapping. `evict` gets what the row then has too much of, the oldest first, outside the lock.
#[inline]
pub(crate) fn put(counters: &Counters, mapping: &'static LargeMapping, evict: impl FnMut(&'static LargeMapping)) {
    counters.puts.add(1);
    let mut evicted = [None; RING + 1];
    let mut row = row_of(mapping.site.get()).lock();
    let place = row.ring.iter().position(Option::is_none).unwrap_or(row.next);
    evicted[0] = row.exchange(place, Some(mapping));
    row.next = (place + 1) % RING;
    for step in 0..RING {
        if row.bytes > ROW_BYTES_MAX {
            let oldest = (row.next + step) % RING;
            evicted[1 + step] = row.exchange(oldest, None);
        }
    }
    drop(row);
    let evicted = evicted.into_iter().flatten().inspect(|_| counters.evictions.add(1));
    evicted.for_each(evict);
}

/// Hands every kept mapping to `evict`, outside the locks.
pub(crate) fn drain(counters: &Counters, mut evict: impl FnMut(&'static LargeMapping)) {
    for row in ROWS.iter() {
        let mut row = row.lock();
        row.bytes = 0;
        let ring = core::mem::take(&mut row.ring);
        drop(row);
        for mapping in ring.into_iter().flatten() {
            counters.evictions.add(1);
            evict(mapping);
        }
    }
}

impl Row {
    /// Puts another mapping, or none, in a place, and returns the one that was there.
    fn exchange(&mut self, place: usize, mapping: Option<&'static LargeMapping>) -> Option<&'static LargeMapping> {
        let old = core::mem::replace(&mut self.ring[place], mapping);
        let bytes = |mapping: Option<&'static LargeMapping>| mapping.map_or(0, |mapping| mapping.mapped.get());
        self.bytes = self.bytes + bytes(mapping) - bytes(old);
        old
    }
}

fn class_of(bytes: usize) -> usize {
    CLASS_BYTES.iter().rposition(|&lowest| bytes >= lowest).unwrap_or(0)
}

fn row_of(site: usize) -> &'static Lock<Row> {
    // Fibonacci hashing: sites are often addresses or small numbers, whose low bits alone collide.
    let hash = (site as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    &ROWS[(hash >> (64 - SITES.trailing_zeros())) as usize]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Site;
    use std::boxed::Box;
    use std::vec::Vec;

    const MIB: usize = 1 << 20;

    /// Held by each test: they share the rows, and one of them drains all.
    static ONE_TEST: std::sync::Mutex<()> = std::sync::Mutex::new(());

    /// A mapping record over addresses that are never touched.
    fn mapping(site: usize, bytes: usize, at: usize) -> &'static LargeMapping {
        let mapping: &'static LargeMapping = Box::leak(Box::new(LargeMapping::new()));
        let base = core::ptr::without_provenance_mut(at);
        mapping.base.set(base);
        mapping.user.set(base);
        mapping.mapped.set(bytes);
        mapping.site.set(site);
        mapping
    }

    fn request(site: usize, size: usize) -> Request {
        Request { size, align: 16, site: Site::new(site), prefix: 0, grows: false, zeroed: false }
    }

    #[test]
    fn the_ring_keeps_four_and_hands_the_oldest_over() {
        let _one = ONE_TEST.lock();
        let counters = Counters::new();
        let site = 0x1001;
        let mut evicted = Vec::new();
        for at in 1..=6 {
            put(&counters, mapping(site, 2 * MIB, at << 24), |mapping| evicted.push(mapping.base.get().addr() >> 24));
        }
        assert_eq!(evicted, [1, 2]);
        assert_eq!((counters.puts.get(), counters.evictions.get()), (6, 2));
        for _ in 0..4 {
            assert!(get(&counters, &request(site, 2 * MIB)).is_some());
        }
        assert!(get(&counters, &request(site, 2 * MIB)).is_none());
        assert_eq!((counters.lookups.get(), counters.hits.get()), (5, 4));
    }

    #[test]
    fn a_hit_is_of_the_class_and_long_enough() {
        let _one = ONE_TEST.lock();
        let counters = Counters::new();
        let site = 0x2002;
        put(&counters, mapping(site, 2 * MIB, 7 << 24), |_| ());
        assert!(get(&counters, &request(site, MIB)).is_none(), "another class");
        assert!(get(&counters, &request(site, 3 * MIB)).is_none(), "the class, but too short");
        assert!(get(&counters, &request(site, 2 * MIB)).is_some());
        put(&counters, mapping(site, 2 * MIB, 7 << 24), |_| ());
        assert!(
            get(&counters, &request(site, 2 * MIB - 1)).is_some(),
            "rounded up to an OS page, into the class above"
        );
        put(&counters, mapping(site, 30 * MIB, 8 << 24), |_| ());
        assert!(get(&counters, &request(site, 9 * MIB)).is_none(), "too long for the open class");
        assert!(get(&counters, &request(site, 20 * MIB)).is_some());
    }

    #[test]
    fn a_row_keeps_so_many_bytes_and_the_oldest_gives_way() {
        let _one = ONE_TEST.lock();
        let counters = Counters::new();
        let site = 0x4004;
        let mut evicted = Vec::new();
        for (at, bytes) in [(1, 10 * MIB), (2, 10 * MIB), (3, 9 * MIB), (4, 40 * MIB), (5, 80 * MIB)] {
            put(&counters, mapping(site, bytes, at << 24), |mapping| evicted.push(mapping.base.get().addr() >> 24));
        }
        // 10, 10 and 9 MiB fit; 40 more push out the oldest; 80 push out all others and are not kept either.
        assert_eq!(evicted, [1, 2, 3, 4, 5]);
        put(&counters, mapping(site, 10 * MIB, 6 << 24), |_| ());
        let mut drained = Vec::new();
        drain(&counters, |mapping| drained.push(mapping.site.get()));
        assert!(drained.contains(&site));
        assert!(get(&counters, &request(site, 10 * MIB)).is_none(), "drained");
    }

    #[test]
    fn sites_do_not_see_each_other() {
        let _one = ONE_TEST.lock();
        let counters = Counters::new();
        put(&counters, mapping(0x3003, 2 * MIB, 9 << 24), |_| ());
        assert!(get(&counters, &request(0x3004, 2 * MIB)).is_none());
        assert!(get(&counters, &request(0x3003, 2 * MIB)).is_some());
    }
}
