//! A thread's heap: its cache, the pages it owns, and the queue of its slots that other threads freed.
//!
//! A heap outlives its thread: its pages are abandoned to the central, its queue is closed, and the record waits for
//! the next thread. What is done by factors is left to [`super`]; here their state and counters have their room.

use super::central;
use super::thread_cache::ThreadCache;
use crate::class::{CLASSES, Class};
use crate::factor;
use crate::map;
use crate::meta;
use crate::page::{Object, Owner, Page, PageList};
use crate::sync::Lock;
use core::cell::{Cell, UnsafeCell};
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

/// The value of a closed queue; no object has this address.
const CLOSED: usize = 1;

/// One thread's memory. Zeroes are a heap without a thread.
#[derive(Debug)]
#[repr(align(64))]
pub(crate) struct Heap {
    pub(crate) cache: ThreadCache,
    /// Pages with a free slot, by class.
    partial: [PageList; CLASSES],
    /// Pages without one.
    full: [PageList; CLASSES],
    pub(crate) counters: factor::Counters,
    locals: UnsafeCell<factor::Locals>,
    /// Slots freed by other threads: a list by first words, or [`CLOSED`]. On a line of its own.
    remote: Remote,
    /// Every heap that ever was.
    next_made: AtomicPtr<Heap>,
    /// Heaps that wait for a thread.
    next_spare: Cell<Option<&'static Heap>>,
}

#[derive(Debug)]
#[repr(align(64))]
struct Remote(AtomicUsize);

// SAFETY: everything but `remote`, the counters and `next_made` is used only by the thread that the heap belongs to, or
// by the holder of the lock that guards the heap of threads that are gone.
unsafe impl Sync for Heap {}

static MADE: AtomicPtr<Heap> = AtomicPtr::new(ptr::null_mut());
static SPARE: Lock<SpareHeaps> = Lock::new(SpareHeaps { first: None });

#[derive(Debug)]
struct SpareHeaps {
    first: Option<&'static Heap>,
}

// SAFETY: heaps in the list belong to no thread.
unsafe impl Send for SpareHeaps {}

/// A heap for a thread: one that another thread left, or a new one.
pub(super) fn take() -> Option<&'static Heap> {
    let mut spare = SPARE.lock();
    if let Some(heap) = spare.first {
        spare.first = heap.next_spare.take();
        // Release: pairs with the acquire in `free_remote`; whoever pushes finds a heap that has a thread.
        heap.remote.0.store(0, Ordering::Release);
        return Some(heap);
    }
    drop(spare);
    // SAFETY: the record lives for ever, and zeroes are a heap.
    let heap: &'static Heap = unsafe { meta::allocate::<Heap>()?.as_ref() };
    heap.cache.open();
    let mut first = MADE.load(Ordering::Relaxed);
    loop {
        heap.next_made.store(first, Ordering::Relaxed);
        // Release: pairs with the acquire in `all`.
        match MADE.compare_exchange_weak(first, ptr::from_ref(heap).cast_mut(), Ordering::Release, Ordering::Relaxed) {
            Ok(_) => return Some(heap),
            Err(newer) => first = newer,
        }
    }
}

/// Every heap that was ever made.
pub(crate) fn all() -> impl Iterator<Item = &'static Heap> {
    // SAFETY: heaps live for ever. Acquire: pairs with the release in `take`.
    let mut next: Option<&'static Heap> = unsafe { MADE.load(Ordering::Acquire).as_ref() };
    core::iter::from_fn(move || {
        let heap = next?;
        // SAFETY: as above; the link was written before the heap could be found.
        next = unsafe { heap.next_made.load(Ordering::Relaxed).as_ref() };
        Some(heap)
    })
}

impl Heap {
    /// The heap as pages know it.
    pub(super) fn as_owner(&self) -> *const Owner {
        ptr::from_ref(self).cast()
    }

    /// The factors' state of this thread.
    ///
    /// # Safety
    /// - the heap is the calling thread's, and no other reference to the state is alive.
    #[expect(clippy::mut_from_ref, reason = "one thread, one reference at a time, by the caller's promise")]
    pub(crate) unsafe fn locals(&self) -> &mut factor::Locals {
        // SAFETY: the caller's promise.
        unsafe { &mut *self.locals.get() }
    }

    /// A slot of the class, after the cache was found empty: fills it with a batch.
    #[cold]
    #[inline(never)]
    pub(super) fn refill(&'static self, class: Class) -> Option<&'static Object> {
        self.collect_remote();
        if let Some(object) = self.cache.pop(class) {
            return Some(object);
        }
        let partial = &self.partial[class.index()];
        let page = match partial.first() {
            Some(page) => page,
            None => {
                let page = central::take_page(class, self)?;
                partial.push(page);
                page
            }
        };
        let object = page.take()?;
        // The cache's list runs backwards, so that slots come out in the order of their addresses: at most 64 wait here.
        let mut batch = [ptr::null_mut::<Object>(); 64];
        let wanted = self.cache.batch(class).min(batch.len() as u32 + 1) as usize - 1;
        let mut got = 0;
        while got < wanted
            && let Some(object) = page.take()
        {
            batch[got] = ptr::from_ref(object).cast_mut();
            got += 1;
        }
        for &object in batch[..got].iter().rev() {
            self.cache.push(class.index() as u8, object);
        }
        if page.is_full() {
            partial.remove(page);
            self.full[class.index()].push(page);
        }
        Some(object)
    }

    /// Frees a slot that the cache did not take: drains a batch of its class, then keeps the slot.
    #[cold]
    #[inline(never)]
    pub(super) fn overflow(&'static self, class: Class, object: *mut Object) {
        for _ in 0..self.cache.batch(class) {
            match self.cache.pop(class) {
                Some(old) => self.give_back(old),
                None => break,
            }
        }
        if !self.cache.push(class.index() as u8, object) {
            // SAFETY: the caller frees the slot, which is readable.
            self.give_back(unsafe { &*object });
        }
    }

    /// Returns a slot to its page, whoever owns it.
    fn give_back(&'static self, object: &'static Object) {
        let Some(page) = map::page_of(ptr::from_ref(object).cast()) else {
            return;
        };
        if ptr::eq(page.owner(), self.as_owner()) { self.free_own(page, object) } else { free_elsewhere(page, object) }
    }

    /// Frees a slot of a page of ours.
    fn free_own(&'static self, page: &'static Page, object: &'static Object) {
        let class = usize::from(page.class_index.get());
        let was_full = page.is_full();
        page.give(object);
        if was_full {
            self.full[class].remove(page);
            self.partial[class].push(page);
        }
        // One empty page of a class stays, so that a count that goes to and fro does not take the lock each time.
        if page.used.get() == 0 && !self.partial[class].is_single() {
            self.partial[class].remove(page);
            page.set_owner(ptr::null());
            central::give_run(page);
        }
    }

    /// Takes in what other threads freed.
    fn collect_remote(&'static self) {
        if self.remote.0.load(Ordering::Relaxed) != 0 {
            // Acquire: pairs with the release in `free_remote`; the links must be seen.
            self.take_in(self.remote.0.swap(0, Ordering::Acquire));
        }
    }

    fn take_in(&'static self, first: usize) {
        let mut next: *mut Object = ptr::with_exposed_provenance_mut(first);
        // SAFETY: the queue holds free slots, linked by their first words.
        while let Some(object) = unsafe { next.as_ref() } {
            next = object.next.get();
            self.give_back(object);
        }
    }

    /// Gives up everything: the thread ends. The record waits for another thread.
    pub(super) fn retire(&'static self) {
        for class in Class::all() {
            while let Some(object) = self.cache.pop(class) {
                self.give_back(object);
            }
        }
        self.collect_remote();
        for list in self.partial.iter().chain(&self.full) {
            while let Some(page) = list.pop() {
                central::abandon(page);
            }
        }
        // From here on pushers find the queue closed and look for the page's new owner.
        // Acquire: pairs with the release in `free_remote`. Release: they must see the owners that changed above.
        let rest = self.remote.0.swap(CLOSED, Ordering::AcqRel);
        self.take_in(rest);
        let mut spare = SPARE.lock();
        self.next_spare.set(spare.first);
        spare.first = Some(self);
    }

    /// Queues a slot for the heap; `false` when the queue is closed.
    fn free_remote(&self, object: &'static Object) -> bool {
        let queue = &self.remote.0;
        let mut first = queue.load(Ordering::Acquire);
        loop {
            if first == CLOSED {
                return false;
            }
            object.next.set(ptr::with_exposed_provenance_mut(first));
            // Release: pairs with the acquires of the owner. Acquire on failure: a closed queue means changed owners.
            let address = ptr::from_ref(object).expose_provenance();
            match queue.compare_exchange_weak(first, address, Ordering::Release, Ordering::Acquire) {
                Ok(_) => return true,
                Err(newer) => first = newer,
            }
        }
    }
}

/// Frees a slot of a page that the caller's heap, if it has one, does not own.
pub(super) fn free_elsewhere(page: &'static Page, object: &'static Object) {
    loop {
        // SAFETY: heaps live for ever.
        let done = match unsafe { page.owner().cast::<Heap>().as_ref() } {
            Some(owner) => owner.free_remote(object),
            None => central::free_abandoned(page, object),
        };
        if done {
            return;
        }
    }
}

/// The lock, for the handlers around a fork.
pub(crate) fn acquire_for_fork() {
    SPARE.acquire();
}

/// Frees the lock after a fork.
///
/// # Safety
/// - [`acquire_for_fork`] took it.
pub(crate) unsafe fn release_after_fork() {
    // SAFETY: passed on.
    unsafe { SPARE.release() };
}
