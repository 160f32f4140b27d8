//! Programs that are drawn at random, held against a shadow of what they should find: no overlap, alignment, contents,
//! zeroes where zeroes were asked for, and counts that are exact when all is quiet.
//!
//! Three threads take turns, one step at a time, so that a program is the same in every run; any of them may free what
//! another made, and a thread may end and be replaced while its objects live on. Threads that work at once are in
//! tests/stress.rs and tests/contract.rs.

mod common;

use common::object::{Object, class_bytes};
use common::{MIB, PAGE};
use hakmem::Hakmem;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::alloc::{GlobalAlloc, Layout};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread::JoinHandle;

/// The allocator under test, and counts beside its own.
struct Counted;

#[global_allocator]
static GLOBAL: Counted = Counted;

static MADE: AtomicU64 = AtomicU64::new(0);
static FREED: AtomicU64 = AtomicU64::new(0);
/// Objects that changed their address: made and freed once more, unless their pages moved.
static MOVED: AtomicU64 = AtomicU64::new(0);

fn count(base: *mut u8) -> *mut u8 {
    MADE.fetch_add(u64::from(!base.is_null()), Ordering::Relaxed);
    base
}

// SAFETY: passed on to an allocator.
unsafe impl GlobalAlloc for Counted {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise, here and below.
        count(unsafe { Hakmem.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: as above.
        count(unsafe { Hakmem.alloc_zeroed(layout) })
    }

    unsafe fn dealloc(&self, object: *mut u8, layout: Layout) {
        FREED.fetch_add(1, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { Hakmem.dealloc(object, layout) }
    }

    unsafe fn realloc(&self, object: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: as above.
        let other = unsafe { Hakmem.realloc(object, layout, size) };
        MOVED.fetch_add(u64::from(other != object && !other.is_null()), Ordering::Relaxed);
        other
    }
}

/// Whether the sums of a snapshot close.
fn closes(stats: &hakmem::Stats) -> bool {
    let parts: u64 = stats.parts().iter().map(|(_, bytes)| bytes).sum();
    let live: u64 = stats.classes().iter().map(|class| class.live.objects).sum();
    parts == stats.mapped_bytes
        && stats.live.objects == stats.allocations - stats.frees
        && live + stats.unclassed.objects == stats.live.objects
        && stats.resident_bytes <= stats.mapped_bytes
}

/// What the statistics say while no other thread allocates or frees, against the counts beside the allocator and against
/// each other.
#[track_caller]
fn check_counts() {
    let read = || [&MADE, &FREED, &MOVED].map(|count| count.load(Ordering::Relaxed));
    let is_exact = |stats: &hakmem::Stats, [made, freed, moved]: [u64; 3]| {
        let copied = stats.allocations.wrapping_sub(made);
        copied <= moved && stats.frees == freed + copied && closes(stats)
    };
    // A thread that has said that it is done may still be on its way to sleep, with a request of its channel's.
    for _ in 0..2_000 {
        if is_exact(&hakmem::stats(), read()) {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    panic!("made, freed, moved: {:?}\n{}", read(), hakmem::stats());
}

// ---------------------------------------------------------------------------------------------------------------------
// Programs

const THREADS: usize = 3;

/// One step of a program; objects are chosen by number among the live ones.
#[derive(Clone, Debug)]
enum Step {
    Allocate {
        thread: usize,
        size: usize,
        align_log2: u32,
        zeroed: bool,
    },
    Resize {
        thread: usize,
        object: usize,
        size: usize,
    },
    Free {
        thread: usize,
        object: usize,
    },
    /// The newest objects go, so many: slot lists overflow, and what is beyond them is passed on.
    FreeMany {
        thread: usize,
        count: usize,
    },
    /// So many objects of one size.
    AllocateMany {
        thread: usize,
        size: usize,
        count: usize,
    },
    /// The thread ends, whatever it made, and another takes its place.
    End {
        thread: usize,
    },
}

fn any_size() -> impl Strategy<Value = usize> {
    // Around the bounds of classes, as they are with a header before the object and without.
    let bound = (proptest::sample::select(class_bytes()), proptest::sample::select(vec![0, 16, 32]), 0..3_usize)
        .prop_map(|(class, header, offset)| (class + offset).saturating_sub(header + 1).max(1));
    prop_oneof![
        6 => 1..600_usize,
        6 => bound,
        3 => 600..70_000_usize,
        2 => 70_000..600_000_usize,
        1 => 600_000..6_000_000_usize,
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    let align = prop_oneof![6 => 0..5_u32, 2 => 5..13_u32, 2 => 13..23_u32];
    let thread = || 0..THREADS;
    prop_oneof![
        8 => (thread(), any_size(), align, any::<bool>())
            .prop_map(|(thread, size, align_log2, zeroed)| Step::Allocate { thread, size, align_log2, zeroed }),
        4 => (thread(), any::<usize>(), any_size())
            .prop_map(|(thread, object, size)| Step::Resize { thread, object, size }),
        6 => (thread(), any::<usize>()).prop_map(|(thread, object)| Step::Free { thread, object }),
        1 => (thread(), 1..150_usize).prop_map(|(thread, count)| Step::FreeMany { thread, count }),
        1 => (thread(), any_size(), 1..150_usize).prop_map(|(thread, size, count)| {
            Step::AllocateMany { thread, size, count: count.min(16 * MIB / size).max(1) }
        }),
        1 => thread().prop_map(|thread| Step::End { thread }),
    ]
}

// ---------------------------------------------------------------------------------------------------------------------
// The shadow

/// The live objects by address; neighbours must not overlap.
#[derive(Default)]
struct Shadow {
    live: BTreeMap<usize, Object>,
}

impl Shadow {
    fn enter(&mut self, object: Object) {
        let (start, end) = object.range();
        if let Some((_, below)) = self.live.range(..=start).next_back() {
            assert!(below.range().1 <= start, "{:x?} overlaps {:x?}", below.range(), object.range());
        }
        if let Some((&above, _)) = self.live.range(start..).next() {
            assert!(end <= above, "{:x?} overlaps what starts at {above:x}", object.range());
        }
        self.live.insert(start, object);
    }

    fn leave(&mut self, nth: usize) -> Option<Object> {
        let address = *self.live.keys().nth(nth % self.live.len().max(1))?;
        self.live.remove(&address)
    }
}

type Task = Box<dyn FnOnce() -> Option<Object> + Send>;

/// A thread that does what it is told, one task at a time.
struct Worker {
    tasks: mpsc::SyncSender<Task>,
    done: mpsc::Receiver<Option<Object>>,
    thread: JoinHandle<()>,
}

impl Worker {
    fn start() -> Worker {
        let (tasks, inbox) = mpsc::sync_channel::<Task>(1);
        let (outbox, done) = mpsc::sync_channel(1);
        let thread = std::thread::spawn(move || {
            for task in inbox {
                if outbox.send(task()).is_err() {
                    return;
                }
            }
        });
        Worker { tasks, done, thread }
    }

    /// Has the thread do it, and waits. Objects that go in and come out change hands.
    fn run(&self, task: impl FnOnce() -> Option<Object> + Send + 'static) -> Option<Object> {
        self.tasks.send(Box::new(task)).expect("the thread lives");
        self.done.recv().expect("the thread did not panic")
    }

    /// Waits until the thread is gone for good, its destructors done.
    fn end(self) {
        drop(self.tasks);
        self.thread.join().expect("the thread did not panic");
    }
}

fn step(shadow: &mut Shadow, workers: &mut [Worker; THREADS], step: &Step) {
    match *step {
        Step::Allocate { thread, size, align_log2, zeroed } => {
            let make = if zeroed { Object::zeroed } else { Object::new };
            let object = workers[thread].run(move || Some(make(size, 1 << align_log2)));
            shadow.enter(object.expect("it was made"));
        }
        Step::Resize { thread, object, size } => {
            if let Some(mut object) = shadow.leave(object) {
                let object = workers[thread].run(move || {
                    object.resize(size);
                    Some(object)
                });
                shadow.enter(object.expect("it was resized"));
            }
        }
        Step::Free { thread, object } => {
            if let Some(object) = shadow.leave(object) {
                workers[thread].run(move || {
                    object.free();
                    None
                });
            }
        }
        Step::FreeMany { thread, count } => {
            let objects: Vec<Object> = (0..count).map_while(|_| shadow.live.pop_last().map(|(_, last)| last)).collect();
            workers[thread].run(move || {
                objects.into_iter().for_each(Object::free);
                None
            });
        }
        Step::AllocateMany { thread, size, count } => {
            for _ in 0..count {
                let object = workers[thread].run(move || Some(Object::new(size, 16)));
                shadow.enter(object.expect("it was made"));
            }
        }
        Step::End { thread } => {
            std::mem::replace(&mut workers[thread], Worker::start()).end();
        }
    }
}

fn programs_agree_with_the_shadow(cases: u32, steps: usize) {
    let mut runner = TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
    let result = runner.run(&proptest::collection::vec(any_step(), steps), |steps| {
        let mut workers = [(); THREADS].map(|()| Worker::start());
        let mut shadow = Shadow::default();
        for (nth, next) in steps.iter().enumerate() {
            step(&mut shadow, &mut workers, next);
            if nth % 64 == 0 {
                check_counts();
            }
        }
        for (nth, object) in std::mem::take(&mut shadow.live).into_values().enumerate() {
            workers[nth % THREADS].run(move || {
                object.free();
                None
            });
        }
        workers.into_iter().for_each(Worker::end);
        check_counts();
        Ok(())
    });
    if let Err(failure) = result {
        panic!("{failure}");
    }
}

#[test]
fn programs_agree_at_these_levels() {
    // Alone in a child: the harness's other threads would be counted.
    common::case("programs_agree_at_these_levels", "default").succeeds(|| programs_agree_with_the_shadow(48, 300));
}

#[test]
fn programs_agree_at_every_level_of_every_factor() {
    common::at_each("programs_agree_at_every_level_of_every_factor", &common::treatments(), || {
        programs_agree_with_the_shadow(4, 200);
    });
}

// ---------------------------------------------------------------------------------------------------------------------

/// One object of each class at several alignments, all live at once, and the counts at every point.
#[test]
fn counts_are_exact_when_all_is_quiet() {
    let work = || {
        let sizes = class_bytes();
        let mut objects: Vec<(*mut u8, Layout)> = Vec::with_capacity(2_000);
        check_counts();
        for size in sizes.iter().copied().chain([5 * MIB]) {
            for align in [8, 64, PAGE, 128 << 10] {
                let layout = Layout::from_size_align(size, align).expect("far from overflow");
                // SAFETY: the size is not 0.
                objects.push((unsafe { GLOBAL.alloc(layout) }, layout));
            }
            check_counts();
        }
        for (nth, (object, layout)) in objects.drain(..).enumerate() {
            // SAFETY: made with this layout, and freed once.
            unsafe { GLOBAL.dealloc(object, layout) };
            if nth % 8 == 0 {
                check_counts();
            }
        }
        check_counts();
        hakmem::flush();
        check_counts();
    };
    common::at_each("counts_are_exact_when_all_is_quiet", &common::treatments(), work);
}
