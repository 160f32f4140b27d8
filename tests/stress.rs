//! Ten million operations in eight threads, with hakmem as the global allocator.
//!
//! Every object carries its size and a pattern of its own, and the thread that frees it checks both. A fifth of the objects
//! are handed to another thread, which frees them. The test runs at the levels that the environment and the features set;
//! the CI runs it for every feature set of its list.

use hakmem::factors::FactorId;
use hakmem::{FactorStats, Hakmem, Stats};
use std::alloc::{GlobalAlloc, Layout};
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

#[global_allocator]
static GLOBAL: Hakmem = Hakmem;

const THREADS: usize = 8;
const OPERATIONS: usize = 10_000_000;
const LIVE: usize = 256;

/// An object with the pattern that fills it.
struct Object {
    base: *mut u8,
    layout: Layout,
    pattern: u8,
}

// SAFETY: the object owns its memory; handing it to another thread is what is tested.
unsafe impl Send for Object {}

impl Object {
    fn new(random: &mut Random) -> Object {
        let bits = random.next();
        // Mostly small; one in 64 up to 64 KiB, one in 4096 up to 4 MiB.
        let most = match bits % 4096 {
            0 => 4 << 20,
            n if n % 64 == 1 => 64 << 10,
            _ => 512,
        };
        let size = 1 + (bits >> 20) as usize % most;
        let align = 1 << ((bits >> 12) % 8);
        let layout = Layout::from_size_align(size, align).expect("a power of two, and far from overflow");
        // SAFETY: the size is not 0.
        let base = unsafe {
            match bits >> 62 {
                0 => GLOBAL.alloc_zeroed(layout),
                1 => GLOBAL.alloc_at(layout, hakmem::site!()),
                _ => GLOBAL.alloc(layout),
            }
        };
        assert!(!base.is_null(), "no memory for {layout:?}");
        assert_eq!(base.addr() % align, 0);
        if bits >> 62 == 0 {
            // SAFETY: the object is `size` bytes long and initialised.
            unsafe { assert!(*base == 0 && *base.add(size / 2) == 0 && *base.add(size - 1) == 0, "not zeroed") };
        }
        let object = Object { base, layout, pattern: bits as u8 };
        object.mark();
        object
    }

    /// Writes the pattern where objects meet: at both ends, and in the middle.
    fn mark(&self) {
        let size = self.layout.size();
        let ends = size.min(16);
        // SAFETY: inside the object.
        unsafe {
            self.base.write_bytes(self.pattern, ends);
            self.base.add(size / 2).write(self.pattern);
            self.base.add(size - ends).write_bytes(self.pattern, ends);
        }
    }

    fn check(&self, size: usize) {
        let ends = size.min(16);
        for at in (0..ends).chain([size / 2]).chain(size - ends..size) {
            // SAFETY: inside the object, and written by `mark`.
            assert_eq!(unsafe { *self.base.add(at) }, self.pattern, "byte {at} of {:?}", self.layout);
        }
    }

    fn resize(&mut self, random: &mut Random) {
        let old = self.layout.size();
        let size = 1 + random.next() as usize % (2 * old);
        // SAFETY: the object was made with this layout; the new size is not 0.
        self.base = unsafe { GLOBAL.realloc(self.base, self.layout, size) };
        assert!(!self.base.is_null());
        self.layout = Layout::from_size_align(size, self.layout.align()).expect("far from overflow");
        for at in 0..old.min(size).min(16.min(old)) {
            // SAFETY: inside the object; the old contents are kept.
            assert_eq!(unsafe { *self.base.add(at) }, self.pattern, "contents lost by realloc");
        }
        self.mark();
    }

    fn free(self) {
        self.check(self.layout.size());
        // SAFETY: made with this layout, and consumed here.
        unsafe { GLOBAL.dealloc(self.base, self.layout) };
    }
}

/// xorshift64*
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

/// Where objects wait for another thread. Atomics of this file and no lock of the standard library's, which
/// ThreadSanitizer does not see through.
struct Mailbox([AtomicPtr<Object>; 64]);

impl Mailbox {
    fn new() -> Mailbox {
        Mailbox([const { AtomicPtr::new(ptr::null_mut()) }; 64])
    }

    /// Puts an object, or none, into one of the places, and takes out what is there.
    fn exchange(&self, place: usize, object: Option<Object>) -> Option<Object> {
        let object = object.map_or(ptr::null_mut(), |object| Box::into_raw(Box::new(object)));
        // Pairs with itself: the thread that takes an object out sees what was done with it before it was put in.
        let other = self.0[place % self.0.len()].swap(object, Ordering::AcqRel);
        // SAFETY: what is in a place came from a box, and the swap makes its taker the only owner.
        (!other.is_null()).then(|| *unsafe { Box::from_raw(other) })
    }
}

fn work(thread: usize, operations: usize, mailbox: &Mailbox) {
    let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ (thread as u64 + 1));
    let mut live: Vec<Option<Object>> = (0..LIVE).map(|_| None).collect();
    for _ in 0..operations {
        let bits = random.next();
        let slot = &mut live[bits as usize % LIVE];
        match slot.take() {
            None => *slot = Some(Object::new(&mut random)),
            Some(mut object) if bits >> 60 == 0 => {
                object.resize(&mut random);
                *slot = Some(object);
            }
            Some(object) if bits >> 32 & 7 == 0 => {
                if let Some(other) = mailbox.exchange((bits >> 40) as usize, Some(object)) {
                    other.free();
                }
            }
            Some(object) => object.free(),
        }
    }
    live.into_iter().flatten().for_each(Object::free);
}

/// Generations whose threads have ended. A static: ThreadSanitizer does not see that a scope waits for its threads.
static ENDED: AtomicUsize = AtomicUsize::new(0);

/// Asks about addresses and takes statistics while other threads allocate and free: both read records that change meanwhile.
fn watch(mailbox: &Mailbox, generation: usize) {
    let own = Box::new([0_u8; 64]);
    let mut round = 0_usize;
    while ENDED.load(Ordering::Relaxed) <= generation {
        // An object that lives is owned, whatever others do.
        assert!(hakmem::owns(own.as_ptr()));
        // What waits in a place may be freed at any moment, so that either answer is right.
        let waiting = mailbox.0[round % mailbox.0.len()].load(Ordering::Relaxed);
        for step in 0..64 {
            let address = waiting.cast::<u8>().wrapping_add(step * (64 << 10));
            std::hint::black_box(hakmem::owns(address));
        }
        if round.is_multiple_of(64) {
            std::hint::black_box(hakmem::stats());
        }
        round += 1;
        std::thread::yield_now();
    }
}

#[test]
fn ten_million_operations_in_eight_threads() {
    let before = hakmem::stats();
    let mailbox = Mailbox::new();
    // Four generations, so that threads end while their objects live on and their heaps are taken over.
    for generation in 0..4 {
        std::thread::scope(|scope| {
            let mailbox = &mailbox;
            scope.spawn(move || watch(mailbox, generation));
            let threads: Vec<_> = (0..THREADS)
                .map(|thread| {
                    scope.spawn(move || work(generation * THREADS + thread, OPERATIONS / THREADS / 4, mailbox))
                })
                .collect();
            threads.into_iter().for_each(|thread| thread.join().expect("no thread panicked"));
            ENDED.store(generation + 1, Ordering::Relaxed);
        });
    }
    for place in 0..mailbox.0.len() {
        if let Some(object) = mailbox.exchange(place, None) {
            object.free();
        }
    }
    // Waiting memory goes back at once, with or without the purge's thread.
    hakmem::flush();
    let after = hakmem::stats();
    let allocations = after.allocations - before.allocations;
    assert!(allocations > OPERATIONS as u64 / 3, "{allocations} went through hakmem");
    for factor in after.factors() {
        let active = factor.counters().any(|(_, count)| count > 0);
        let level = factor.level.as_str();
        // A factor that is on met its occasion in ten million operations; one that is off did nothing.
        let expected = !["absent", "off"].contains(&level) && has_occasion(&after, factor);
        assert_eq!(active, expected, "{} is {level}", factor.name());
    }
}

/// Whether there is anything for the factor to do, as the others are.
fn has_occasion(stats: &Stats, factor: &FactorStats) -> bool {
    let level = |id| stats.factor(id).level.as_str();
    // Objects with headers have neither marks nor what hardening puts around them; seals replace the marks.
    let has_headers = !["absent", "off"].contains(&level(FactorId::Header));
    let is_sealed = level(FactorId::Canary) == "on";
    let by_headers = match factor.id {
        FactorId::FreeCheck => has_headers || is_sealed,
        FactorId::Canary | FactorId::GuardPages | FactorId::Quarantine | FactorId::ZeroFree | FactorId::RandomSlots => {
            has_headers
        }
        _ => false,
    };
    if by_headers {
        return false;
    }
    // A plan is for runs that have a class: with the direct BigCache and the arena.
    (factor.id, factor.level.as_str()) != (FactorId::Elo, "slow-path")
        || (level(FactorId::BigCache) == "direct" && level(FactorId::Arena) == "on")
}
