//! The statistics close: their parts sum to the whole, and they say what this program holds. At every level of every factor.

mod common;

use common::object::layout;
use common::{KIB, MIB, PAGE};
use hakmem::{Amount, Hakmem, Stats};
use std::alloc::{GlobalAlloc, Layout};
use std::time::Duration;

// The program's own memory comes from the C library, so that hakmem has what the tests request and nothing else.

/// Objects that the test holds.
struct Held(Vec<(*mut u8, Layout)>);

// SAFETY: the memory belongs to one object at a time; a free by another thread is part of what is tested.
unsafe impl Send for Held {}

impl Held {
    /// So many objects of this size and alignment, the first byte of each OS page written.
    fn new(size: usize, align: usize, count: usize) -> Held {
        let layout = layout(size, align);
        let objects = (0..count).map(|_| {
            // SAFETY: the size is not 0.
            let object = unsafe { Hakmem.alloc(layout) };
            assert!(!object.is_null());
            for at in (0..size).step_by(PAGE) {
                // SAFETY: inside the object. Volatile: it is not read.
                unsafe { object.add(at).write_volatile(1) };
            }
            (object, layout)
        });
        Held(objects.collect())
    }

    /// Bytes that the objects may use.
    fn usable_bytes(&self) -> u64 {
        // SAFETY: the objects live.
        self.0.iter().map(|&(object, _)| unsafe { hakmem::usable_bytes(object) } as u64).sum()
    }

    fn free(self) {
        for (object, layout) in self.0 {
            // SAFETY: made with this layout, and consumed.
            unsafe { Hakmem.dealloc(object, layout) };
        }
    }
}

/// Sizes, alignments and counts: small, large in both kinds of classes, beyond them, and beyond all classes.
const SHAPES: [(usize, usize, usize); 9] = [
    (1, 1, 300),
    (64, 16, 3000),
    (1000, 8, 500),
    (24 * KIB, 64, 40),
    (60 * KIB, 16, 20),
    (300 * KIB, PAGE, 9),
    (2 * MIB, 16, 7),
    (200 * KIB, 128 * KIB, 3),
    (9 * MIB, 16, 3),
];

const COUNT: u64 = 300 + 3000 + 500 + 40 + 20 + 9 + 7 + 3 + 3;

fn hold_all() -> Vec<Held> {
    SHAPES.into_iter().map(|(size, align, count)| Held::new(size, align, count)).collect()
}

fn sum(stats: &Stats, part: impl Fn(&hakmem::ClassStats) -> Amount) -> (u64, u64) {
    stats.classes().iter().map(part).fold((0, 0), |(objects, bytes), it| (objects + it.objects, bytes + it.bytes))
}

fn pair(amount: Amount) -> (u64, u64) {
    (amount.objects, amount.bytes)
}

/// What does not close in a snapshot, in words.
fn gaps(stats: &Stats) -> Vec<String> {
    let mut gaps = Vec::new();
    let mut equal = |what: &str, left: (u64, u64), right: (u64, u64)| {
        if left != right {
            gaps.push(format!("{what}: {left:?} is not {right:?}"));
        }
    };
    let parts: u64 = stats.parts().iter().map(|(_, bytes)| bytes).sum();
    equal("the parts and what is mapped", (0, parts), (0, stats.mapped_bytes));
    equal("allocations − frees and live objects", (stats.allocations - stats.frees, 0), (stats.live.objects, 0));
    let (objects, bytes) = sum(stats, |class| class.live);
    let unclassed = pair(stats.unclassed);
    equal("live, by class", (objects + unclassed.0, bytes + unclassed.1), pair(stats.live));
    equal("in threads, by class", sum(stats, |class| class.thread_caches), pair(stats.thread_caches));
    equal("in transfer, by class", sum(stats, |class| class.transfer_cache), pair(stats.transfer_cache));
    equal("free, by class", sum(stats, |class| class.free_slots), pair(stats.free_slots));
    equal("resident and returned", (0, stats.resident_bytes + stats.returned_bytes()), (0, stats.mapped_bytes));
    equal("lost", (0, stats.lost_bytes), (0, 0));
    for class in stats.classes() {
        let amounts = [class.live, class.thread_caches, class.transfer_cache, class.free_slots];
        let each = class.object_bytes as u64;
        if let Some(amount) = amounts.iter().find(|amount| amount.bytes != amount.objects * each) {
            gaps.push(format!("{each}: {amount:?}"));
        }
    }
    gaps
}

/// A snapshot in which nothing moves: the background purge may be at work for a moment.
#[track_caller]
fn quiet() -> Stats {
    for _ in 0..10_000 {
        let stats = hakmem::stats();
        if gaps(&stats).is_empty() {
            return stats;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let stats = hakmem::stats();
    panic!("{:#?}\n{stats}", gaps(&stats));
}

#[test]
fn the_sums_close_and_live_is_what_the_program_holds() {
    let name = "the_sums_close_and_live_is_what_the_program_holds";
    common::at_each(name, &common::treatments(), || {
        let before = quiet();
        assert_eq!(before.live.objects, 0, "nothing was requested yet");
        let held = hold_all();
        let usable: u64 = held.iter().map(Held::usable_bytes).sum();
        let full = quiet();
        assert_eq!(full.live.objects, COUNT);
        assert_eq!((full.allocations, full.frees), (COUNT, 0));
        assert!(full.live.bytes >= usable, "{} bytes hold {usable} usable ones", full.live.bytes);
        let requested: usize = SHAPES.iter().map(|(size, _, count)| size * count).sum();
        assert!(full.resident_bytes >= requested as u64 / 2, "every OS page was written to:\n{full}");
        assert!(full.mapped_bytes_max >= full.mapped_bytes && full.mapped_bytes > before.mapped_bytes);

        // Half is freed by another thread, which ends; the objects of a second one outlive it.
        let (odd, even): (Vec<_>, Vec<_>) = held.into_iter().enumerate().partition(|(nth, _)| nth % 2 == 1);
        let odd: Vec<Held> = odd.into_iter().map(|(_, held)| held).collect();
        let freed: u64 = odd.iter().map(|held| held.0.len() as u64).sum();
        std::thread::spawn(move || odd.into_iter().for_each(Held::free)).join().expect("no panic");
        let half = quiet();
        assert_eq!((half.live.objects, half.frees), (COUNT - freed, freed));
        let others = std::thread::spawn(hold_all).join().expect("no panic");
        assert_eq!(quiet().live.objects, 2 * COUNT - freed);

        for held in even.into_iter().map(|(_, held)| held).chain(others) {
            held.free();
        }
        let empty = quiet();
        assert_eq!((empty.live.objects, empty.live.bytes), (0, 0));
        assert_eq!((empty.allocations, empty.frees), (2 * COUNT, 2 * COUNT));
        hakmem::flush();
        let flushed = quiet();
        // What the quarantine has waits on.
        let waiting = |name| flushed.factor(hakmem::factors::FactorId::Quarantine).counter(name).expect("a counter");
        let quarantined = waiting("entered") - waiting("left");
        assert_eq!((flushed.thread_caches.objects, flushed.transfer_cache.objects), (quarantined, 0));
        for waits in [flushed.mapping_pool, flushed.bigcache_ring, flushed.madvise_batch] {
            assert_eq!(pair(waits), (0, 0));
        }
        // Records of pages of which nothing was free until now show where no memory goes back.
        let waited = [empty.mapping_pool, empty.bigcache_ring, empty.madvise_batch].iter().any(|it| it.objects > 0);
        let keeps_all = common::level("purge") == common::off_or_absent("purge");
        let records = if keeps_all && !waited { 64 * KIB as u64 } else { 0 };
        assert!(flushed.mapped_bytes <= empty.mapped_bytes, "{empty}\n{flushed}");
        assert!(flushed.resident_bytes <= empty.resident_bytes + records, "{empty}\n{flushed}");
    });
}

#[test]
fn threads_that_stay_are_counted_with_what_they_keep() {
    let name = "threads_that_stay_are_counted_with_what_they_keep";
    let work = || {
        let (ready, wait) = (std::sync::Barrier::new(5), std::sync::Barrier::new(5));
        std::thread::scope(|scope| {
            let threads = [(); 4].map(|()| {
                scope.spawn(|| {
                    let kept = Held::new(48, 16, 1000);
                    Held::new(48, 16, 700).free();
                    Held::new(3 * MIB, 16, 2).free();
                    ready.wait();
                    wait.wait();
                    kept.free();
                })
            });
            ready.wait();
            let stats = quiet();
            assert_eq!(stats.live.objects, 4000);
            let class = stats.classes().iter().find(|class| class.object_bytes == 48).expect("a class of 48 bytes");
            assert_eq!(class.live.objects, 4000, "no header by default");
            if common::level("thread-cache") == "on" {
                let kept = class.thread_caches.objects + class.transfer_cache.objects;
                assert!(kept >= 4 * 700, "what threads freed waits in front of the pages:\n{stats}");
            }
            wait.wait();
            // The scope waits for the closures alone; a thread returns its cache afterwards, as it ends.
            threads.into_iter().for_each(|thread| thread.join().expect("no panic"));
        });
        assert_eq!(quiet().live.objects, 0);
    };
    common::case(name, "default").succeeds(work);
    common::only(name, "the cache alone", &["thread-cache"]).succeeds(work);
    common::only(name, "nothing", &[]).succeeds(work);
}

#[test]
fn resident_memory_is_what_was_touched_and_what_waits() {
    let name = "resident_memory_is_what_was_touched_and_what_waits";
    common::case(name, "without huge pages").var("HAKMEM_THP", "never").succeeds(|| {
        let before = quiet();
        // SAFETY: the size is not 0.
        let object = unsafe { Hakmem.alloc(layout(32 * MIB, 16)) };
        let untouched = quiet();
        assert!(untouched.mapped_bytes >= before.mapped_bytes + 32 * MIB as u64);
        assert!(untouched.resident_bytes <= before.resident_bytes + MIB as u64, "{untouched}");
        for at in (0..16 * MIB).step_by(PAGE) {
            // SAFETY: inside the object.
            unsafe { object.add(at).write_volatile(1) };
        }
        let touched = quiet();
        let grown = touched.resident_bytes - untouched.resident_bytes;
        assert!((16 * MIB as u64..17 * MIB as u64).contains(&grown), "{grown}");
        // SAFETY: made with this layout, and freed once.
        unsafe { Hakmem.dealloc(object, layout(32 * MIB, 16)) };
        hakmem::flush();
        let after = quiet();
        assert!(after.resident_bytes <= before.resident_bytes + MIB as u64, "{after}");
    });
}

#[test]
fn the_table_names_every_part() {
    let stats = hakmem::stats();
    let table = stats.to_string();
    for (part, bytes) in stats.parts() {
        let line = table.lines().find(|line| line.starts_with(part)).unwrap_or_else(|| panic!("{part}:\n{table}"));
        assert!(line.ends_with(&format!(" {bytes}")), "{line}");
    }
    for factor in stats.factors() {
        assert!(table.lines().any(|line| line.starts_with(factor.name())), "{}:\n{table}", factor.name());
    }
    assert!(table.lines().all(|line| line.len() <= 160), "{table}");
}
