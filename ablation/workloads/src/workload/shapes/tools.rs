//! What the shapes share: what a driver returns, objects and the worker that requests and frees them, readings of resident memory, and threads.

use crate::allocator::{ALIGN, Allocator, out_of_memory};
use crate::os::own_memory::{OwnMemory, Zeroable};
use crate::os::{clock, usage};
use crate::workload::measurement::{Requests, Values};
use crate::workload::plan::RunPlan;
use crate::workload::touch::{EachPage, Touch, Untouched, Use, Whole};
use hakmem::Site;
use std::alloc::Layout;
use std::sync::Barrier;

/// What a shape's driver returns.
pub(super) struct Outcome {
    /// Nanoseconds of each pass.
    pub(super) pass_ns: Vec<u64>,
    /// Operations before the first pass.
    pub(super) warm_up_operations: u64,
    /// Requests of the whole run.
    pub(super) requests: Requests,
    /// Evidence of the work.
    pub(super) sum: u64,
    /// Resident bytes and times.
    pub(super) values: Values,
}

impl Outcome {
    /// Of a shape without warm-up whose requests were counted by its workers.
    pub(super) fn of<A: Allocator>(pass_ns: Vec<u64>, worker: &Worker<A>, values: Values) -> Outcome {
        let requests = Requests::Counted(worker.requests);
        Outcome { pass_ns, warm_up_operations: 0, requests, sum: worker.sum, values }
    }
}

/// Waits as long as the plan says.
pub(super) fn wait(plan: &RunPlan) {
    clock::sleep_until_ns(clock::now_ns() + plan.shape.wait_ns());
}

/// A place for the time of each pass.
pub(super) fn passes(plan: &RunPlan) -> Vec<u64> {
    Vec::with_capacity(plan.iterations as usize)
}

/// Where the threads of a shape and the one that times their passes wait for each other.
pub(super) struct Turns {
    /// A pass begins.
    pub(super) start: Barrier,
    /// All threads are there; after that, a pass is done.
    pub(super) done: Barrier,
    /// The last reading was taken.
    pub(super) end: Barrier,
}

impl Turns {
    /// For so many threads and the one that times them.
    pub(super) fn new(threads: u32) -> Turns {
        let barrier = || Barrier::new(threads as usize + 1);
        Turns { start: barrier(), done: barrier(), end: barrier() }
    }

    /// Times the passes of the plan, after a reading of what is resident once all threads are there.
    pub(super) fn time(&self, meter: &mut Meter, plan: &RunPlan, pass_ns: &mut Vec<u64>) {
        self.done.wait();
        meter.read("resident_before_bytes");
        for _ in 0..plan.iterations {
            self.start.wait();
            let began = clock::now_ns();
            self.done.wait();
            pass_ns.push(clock::now_ns() - began);
        }
    }
}

/// A live object, or an empty place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Object {
    /// Null in an empty place.
    pub(super) ptr: *mut u8,
    /// Bytes requested.
    pub(super) size: u32,
}

// SAFETY: null and 0.
unsafe impl Zeroable for Object {}

// SAFETY: one thread at a time uses an object, and every allocator allows a free by another thread.
unsafe impl Send for Object {}

/// Requests and frees objects, and keeps the evidence of the work.
pub(super) struct Worker<A> {
    a: A,
    site: Site,
    touch: Touch,
    /// Requests so far.
    pub(super) requests: u64,
    /// Sum over all objects of what [`evidence`] makes of them. It does not depend on the order, which between threads is
    /// not the same in every run.
    pub(super) sum: u64,
}

impl<A: Allocator> Worker<A> {
    pub(super) fn new(a: A, plan: &RunPlan) -> Worker<A> {
        Worker { a, site: plan.scenario.sites[0], touch: plan.touch, requests: 0, sum: 0 }
    }

    /// The layout of an object of `size` bytes.
    fn layout(size: u32) -> Layout {
        Layout::from_size_align(size as usize, ALIGN).expect("far below isize::MAX")
    }

    /// Requests an object and touches it as the plan says.
    #[inline]
    pub(super) fn request(&mut self, size: u32) -> Object {
        let object = self.request_untouched(Self::layout(size));
        let byte = self.next_byte();
        // SAFETY: just requested with this size.
        unsafe {
            match self.touch {
                Touch::None => Untouched::write(object.ptr, size as usize, byte),
                Touch::Page => EachPage::write(object.ptr, size as usize, byte),
                Touch::Full => Whole::write(object.ptr, size as usize, byte),
            }
        }
        object
    }

    /// Requests an object and writes nothing.
    #[inline]
    pub(super) fn request_untouched(&mut self, layout: Layout) -> Object {
        self.requests += 1;
        // SAFETY: no shape has an object of size 0.
        let ptr = unsafe { self.a.alloc(layout, self.site) };
        if ptr.is_null() {
            out_of_memory(layout.size());
        }
        Object { ptr: std::hint::black_box(ptr), size: layout.size() as u32 }
    }

    /// Requests an object that is all zero.
    pub(super) fn request_zeroed(&mut self, size: u32) -> Object {
        self.requests += 1;
        // SAFETY: no shape has an object of size 0.
        let ptr = unsafe { self.a.alloc_zeroed(Self::layout(size)) };
        if ptr.is_null() {
            out_of_memory(size as usize);
        }
        Object { ptr, size }
    }

    /// Gives an object another size.
    ///
    /// # Safety
    /// - The object is live and came from [`Worker::request`] or a call of this.
    pub(super) unsafe fn resize(&mut self, object: Object, size: u32) -> Object {
        // SAFETY: the caller promises a live object, whose layout this is; the size is not 0.
        let ptr = unsafe { self.a.realloc(object.ptr, Self::layout(object.size), size as usize) };
        if ptr.is_null() {
            out_of_memory(size as usize);
        }
        Object { ptr, size }
    }

    /// Touches the part of an object from `from` on as the plan says, with `byte`.
    ///
    /// # Safety
    /// - The object is live, and `from` is below its size.
    pub(super) unsafe fn touch_from(&self, object: Object, from: u32, byte: u8) {
        // SAFETY: the caller promises both.
        unsafe {
            let (ptr, size) = (object.ptr.add(from as usize), (object.size - from) as usize);
            match self.touch {
                Touch::None => Untouched::write(ptr, size, byte),
                Touch::Page => EachPage::write(ptr, size, byte),
                Touch::Full => Whole::write(ptr, size, byte),
            }
        }
    }

    /// A byte for the next object; never 0, which fresh memory contains anyway.
    pub(super) fn next_byte(&self) -> u8 {
        1 + (self.requests % 255) as u8
    }

    /// Reads back what was written into an object and frees it.
    ///
    /// # Safety
    /// - The object is live and came from [`Worker::request`] with the same touch and allocator.
    #[inline]
    pub(super) unsafe fn free(&mut self, object: Object) {
        // SAFETY: the caller promises a live object of the layout that a request without alignment has.
        unsafe { self.free_read(object, Self::layout(object.size)) };
    }

    /// The same for an object that was requested with this layout.
    ///
    /// # Safety
    /// - As for [`Worker::free`], and `layout` is the object's.
    #[inline]
    pub(super) unsafe fn free_read(&mut self, object: Object, layout: Layout) {
        let size = object.size as usize;
        // SAFETY: the caller promises a live object that was touched in this way.
        let byte = unsafe {
            match self.touch {
                Touch::None => Untouched::read(object.ptr, size),
                Touch::Page => EachPage::read(object.ptr, size),
                Touch::Full => Whole::read(object.ptr, size),
            }
        };
        self.add(object.size, byte);
        // SAFETY: the caller promises a live object with this layout.
        unsafe { self.free_unread(object, layout) };
    }

    /// Frees an object without reading it.
    ///
    /// # Safety
    /// - The object is live and was requested with this layout.
    #[inline]
    pub(super) unsafe fn free_unread(&mut self, object: Object, layout: Layout) {
        // SAFETY: the caller promises a live object with this layout.
        unsafe { self.a.dealloc(object.ptr, layout) };
    }

    /// Frees an object of [`Worker::request_zeroed`] or [`Worker::resize`] without reading it.
    ///
    /// # Safety
    /// - The object is live.
    pub(super) unsafe fn free_written(&mut self, object: Object) {
        // SAFETY: the caller promises a live object; its layout is that of its size.
        unsafe { self.free_unread(object, Self::layout(object.size)) };
    }

    /// Adds an object's evidence to the sum.
    #[inline]
    pub(super) fn add(&mut self, size: u32, byte: u8) {
        self.sum = self.sum.wrapping_add(evidence(size, byte));
    }

    /// Takes over the requests and the sum of another thread's worker.
    pub(super) fn join(&mut self, (requests, sum): (u64, u64)) {
        self.requests += requests;
        self.sum = self.sum.wrapping_add(sum);
    }

    /// The requests and the sum, for [`Worker::join`].
    pub(super) fn done(&self) -> (u64, u64) {
        (self.requests, self.sum)
    }
}

/// A number that depends on every bit of an object's size and byte: the finaliser of SplitMix64.
fn evidence(size: u32, byte: u8) -> u64 {
    let mut z = (u64::from(size) << 8 | u64::from(byte)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z ^ (z >> 27)
}

/// Reads resident memory without the program's own tables.
#[derive(Default)]
pub(super) struct Meter {
    own_bytes: u64,
    /// The readings so far.
    pub(super) values: Values,
}

impl Meter {
    /// A table of `len` empty places, which the readings leave out.
    pub(super) fn table(&mut self, len: u64) -> OwnMemory<Object> {
        let len = len as usize;
        self.own_bytes += OwnMemory::<Object>::bytes_of(len) as u64;
        OwnMemory::new(len)
    }

    /// A table of numbers, which the readings leave out.
    pub(super) fn numbers(&mut self, len: u64) -> OwnMemory<u32> {
        let len = len as usize;
        self.own_bytes += OwnMemory::<u32>::bytes_of(len) as u64;
        OwnMemory::new(len)
    }

    /// Resident bytes at this moment; `None` when the kernel does not report them.
    pub(super) fn resident(&self) -> Option<u64> {
        Some(usage::resident_bytes()?.saturating_sub(self.own_bytes))
    }

    /// Records what is resident at this moment.
    pub(super) fn read(&mut self, name: &'static str) {
        let resident = self.resident();
        self.values.extend(resident.map(|bytes| (name, bytes as f64)));
    }

    /// Records the largest reading of a name.
    pub(super) fn read_most(&mut self, name: &'static str) {
        if let Some(bytes) = self.resident() {
            let most = self.values.entry(name).or_default();
            *most = most.max(bytes as f64);
        }
    }

    /// Records the most that was ever resident.
    pub(super) fn read_peak(&mut self) {
        let peak = usage::resident_peak_bytes().map(|bytes| bytes.saturating_sub(self.own_bytes));
        self.values.extend(peak.map(|bytes| ("resident_peak_bytes", bytes as f64)));
    }

    /// Records a number.
    pub(super) fn set(&mut self, name: &'static str, value: f64) {
        self.values.insert(name, value);
    }
}

/// Runs one closure in each of `threads` threads, gives them their number, and returns what they return.
pub(super) fn in_threads<T: Send>(threads: u32, work: impl Fn(u32) -> T + Sync) -> Vec<T> {
    let work = &work;
    std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|thread| scope.spawn(move || work(thread))).collect();
        handles.into_iter().map(|handle| handle.join().unwrap_or_else(|p| std::panic::resume_unwind(p))).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_left_out_of_the_readings() {
        let mut meter = Meter::default();
        let table = meter.table(1 << 20);
        assert_eq!(meter.own_bytes, 16 << 20);
        // Other tests of this process request and free meanwhile, so two readings agree only in a moment without them.
        let agree = || {
            let with = usage::resident_bytes().expect("Linux has /proc");
            let without = meter.resident().expect("Linux has /proc");
            with == without + (16 << 20)
        };
        assert!((0..1_000_000).any(|_| agree()), "no two of a million readings agree");
        assert!(table.iter().all(|object| object.ptr.is_null()));
    }

    #[test]
    fn the_evidence_tells_sizes_and_bytes_apart() {
        let mut seen: Vec<u64> = (16..300).flat_map(|size| (0..=255).map(move |byte| evidence(size, byte))).collect();
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), count);
    }
}
