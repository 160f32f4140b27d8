//! The central free list: the pages of each class of slots, and which of them have free ones.
//!
//! One lock per class is taken for a batch of slots at a time, when the transfer cache is empty or full. Pages of the
//! smallest classes belong to owners (`factor/owned_pages.rs`), all others to every thread. A thread that ends gives none
//! up: the next one with its heap, or any other, goes on with them.

use super::arena;
use super::huge_pages::Policy;
use crate::class::{BLOCK, Class, OWNERS, Owner, SLOT_CLASSES};
use crate::factor::{self, guard_pages, owned_pages, purge};
use crate::fatal::{self, Call, Fault};
use crate::metadata::allocator;
use crate::metadata::page::{GiveError, Page, PageList, WaitingList};
use crate::metadata::page_map;
use crate::metadata::range;
use crate::metadata::segment::Kind;
use crate::os::{self, OS_PAGE};
use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Guard, Lock, global};

global! {
    table static LISTS: [Lock<CentralFreeList>; SLOT_CLASSES] = each Lock::new(CentralFreeList::new());
}
global! {
    /// Bytes of the slots of all classes that wait for the purge. Accesses are relaxed: the count orders nothing.
    static WAITING_BYTES: AtomicUsize = AtomicUsize::new(0);
}

/// Bytes that wait in all classes together from which on the purge is due. A program that uses every class would
/// otherwise keep as much in each.
const PURGE_BYTES_MIN: usize = 4 << 20;

/// Pages of each owner.
#[derive(Debug)]
struct OwnedPages([PageList; OWNERS]);

/// The pages of one class.
#[derive(Debug)]
#[repr(align(64))]
struct CentralFreeList {
    /// Pages with both free and used slots, and without an owner. Full pages are in no list. Those whose memory went back
    /// to the OS come last.
    partial: PageList,
    /// The same with owners. Made for the first page of a class with owners.
    owned: Option<&'static OwnedPages>,
    /// Pages of these lists with slots that came back since the page last went through the purge, by the epoch of the
    /// last such slot. So the purge finds what is due at the front, and looks at nothing else.
    waiting: WaitingList,
    /// Number of pages in `waiting`.
    waiting_pages: usize,
    /// One page with free slots only, so that a program whose count of objects varies around a whole page does not take
    /// the arena's lock each time.
    spare: Option<&'static Page>,
}

// SAFETY: only the lock's holder uses the pages that it leads to.
unsafe impl Send for CentralFreeList {}

/// Takes up to `slots.len()` free slots. Returns how many there are, 0 when there is no memory, and whether the last of
/// them is known to be zero.
pub(super) fn take(
    counters: &factor::Counters,
    policy: Policy,
    class: Class,
    owner: Owner,
    slots: &mut [*mut u8],
) -> (usize, bool) {
    let mut list = LISTS[class.index()].lock();
    let owner = owner.of_class(class);
    let page = match list.first(owner).or_else(|| list.adopt(counters, class, owner)) {
        Some(page) => page,
        None => {
            if !list.has_lists_of(owner) {
                return (0, false);
            }
            let page = list.spare.take().or_else(|| new_page(counters, policy, class, owner));
            let Some(page) = page else { return (0, false) };
            list.push(page, class, owner);
            if page.given.get() > 0 {
                page.freed_at.set(purge::epoch() as u8);
                list.start_waiting(page);
                let bytes = page.given.get() as usize * class.slot_bytes();
                WAITING_BYTES.fetch_add(bytes, Ordering::Relaxed);
            }
            page
        }
    };
    let waited = page.given.get();
    let (taken, zeroed) = page.take(slots);
    page.taken_at.set(purge::epoch() as u8);
    let left = waited - page.given.get();
    WAITING_BYTES.fetch_sub(left as usize * class.slot_bytes(), Ordering::Relaxed);
    if page.is_full() {
        list.pages_of(page).remove(page);
        if waited > 0 {
            list.stop_waiting(page);
        }
    }
    (taken, zeroed)
}

/// Whether the next [`take`] makes the arena grow.
pub(super) fn must_grow(class: Class, owner: Owner) -> bool {
    !has_page(class, owner) && arena::must_grow(kind_of(class), class.blocks())
}

/// Whether the next [`take`] begins a page in memory without contents.
pub(super) fn is_next_untouched(class: Class, owner: Owner) -> bool {
    !has_page(class, owner) && arena::is_next_untouched(kind_of(class), class.blocks())
}

/// Whether the next [`take`] begins no page.
fn has_page(class: Class, owner: Owner) -> bool {
    let list = LISTS[class.index()].lock();
    list.first(owner.of_class(class)).is_some() || list.left().is_some() || list.spare.is_some()
}

/// Takes slots back, and hands pages that became free to `evict`, outside the lock. Returns whether the purge is due,
/// for the slots that stay here.
pub(super) fn give(class: Class, slots: &[*mut u8], mut evict: impl FnMut(&'static Page)) -> bool {
    let mut list = LISTS[class.index()].lock();
    let now = purge::epoch() as u8;
    WAITING_BYTES.fetch_add(slots.len() * class.slot_bytes(), Ordering::Relaxed);
    // Slots of one page often come one after the other: what concerns the page is done once for them.
    let mut rest = slots;
    while let Some(&first) = rest.first() {
        let page = page_map::page_of(first).filter(|page| usize::from(page.class_index.get()) == class.index());
        let Some(page) = page else {
            rest = refuse(class, Fault::DoubleFree, rest);
            continue;
        };
        let (was_full, waited) = (page.is_full(), page.given.get() > 0);
        let (given, result) = page.give(rest);
        rest = &rest[given..];
        if given > 0 {
            if page.is_at_purge.get() {
                // The purge puts it into the lists again.
                page.freed_at.set(now);
            } else {
                if was_full {
                    list.pages_of(page).push(page);
                }
                // The age is that of the first slot: where few come back at a time, the last one is always young.
                if !waited {
                    page.freed_at.set(now);
                    list.start_waiting(page);
                }
                if page.used.get() == 0 {
                    list = keep_spare(list, class, page, &mut evict);
                }
            }
        }
        match result {
            Ok(()) => {}
            Err(GiveError::Interior) => rest = refuse(class, Fault::Interior, rest),
            Err(GiveError::DoubleFree) => rest = refuse(class, Fault::DoubleFree, rest),
        }
    }
    drop(list);
    waiting_bytes() >= PURGE_BYTES_MIN
}

/// Notes a fault of the first of these slots, which does not wait for the purge. Returns the others.
#[cold]
fn refuse(class: Class, fault: Fault, slots: &[*mut u8]) -> &[*mut u8] {
    fatal::note(fault, Call::Free);
    WAITING_BYTES.fetch_sub(class.slot_bytes(), Ordering::Relaxed);
    &slots[1..]
}

/// Bytes of free slots that wait for the purge, in pages with used ones, over all classes. Whole OS pages among them
/// will go back; what shares its OS page with a used slot counts as well.
pub(super) fn waiting_bytes() -> usize {
    WAITING_BYTES.load(Ordering::Relaxed)
}

/// Gives back to the OS what free slots hold in pages that began to wait so many epochs of the purge ago, and from which no
/// slot was taken since: OS pages of which no slot in use has a part. Pages that became free meanwhile go to `evict`. No
/// lock is held while the kernel works, and `next` is called after each page: if it returns `false`, the rest is left for
/// later. Returns whether anything waits.
pub(super) fn purge_older_than(
    counters: &factor::Counters,
    epochs: u32,
    mut evict: impl FnMut(Class, &'static Page),
    mut next: impl FnMut() -> bool,
) -> bool {
    // A longer page of the kernel's would take used slots along.
    if os::kernel_page() != OS_PAGE {
        return false;
    }
    let mut waits = false;
    for (class, lock) in Class::all().zip(LISTS.iter()) {
        let mut list = lock.lock();
        // Those that begin to wait while others are given back are left for the next time.
        for _ in 0..list.waiting_pages {
            let Some(page) = list.waiting.first() else { break };
            let now = purge::epoch() as u8;
            if u32::from(now.wrapping_sub(page.freed_at.get())) < epochs {
                break;
            }
            if u32::from(now.wrapping_sub(page.taken_at.get())) < epochs {
                list.stop_waiting(page);
                page.freed_at.set(now);
                list.start_waiting(page);
                continue;
            }
            let given = page.given.replace(0) as usize;
            WAITING_BYTES.fetch_sub(given * class.slot_bytes(), Ordering::Relaxed);
            list.pages_of(page).remove(page);
            list.stop_waiting(page);
            page.is_at_purge.set(true);
            let free = page.free_slots();
            drop(list);
            arena::give_parts_back(counters, page);
            // SAFETY: the slots are free, and no thread takes one from a page that is in no list.
            page.each_free_range(&free, |start, bytes| unsafe {
                purge::decommit(&counters.purge, start, bytes);
            });
            list = lock.lock();
            page.is_at_purge.set(false);
            list.pages_of(page).push_last(page);
            if page.given.get() > 0 {
                list.start_waiting(page);
            }
            if page.used.get() == 0 {
                list = keep_spare(list, class, page, &mut |page| evict(class, page));
            }
            drop(list);
            if !next() {
                return true;
            }
            list = lock.lock();
        }
        waits |= list.waiting.first().is_some();
    }
    waits
}

/// Hands the spare page of each class to `evict`, outside the locks.
pub(super) fn give_empty(mut evict: impl FnMut(Class, &'static Page)) {
    for (class, list) in Class::all().zip(LISTS.iter()) {
        let spare = list.lock().spare.take();
        if let Some(page) = spare {
            evict(class, page);
        }
    }
}

fn kind_of(class: Class) -> Kind {
    if class.is_large() { Kind::Large } else { Kind::Small }
}

impl CentralFreeList {
    const fn new() -> CentralFreeList {
        CentralFreeList {
            partial: PageList::new(),
            owned: None,
            waiting: WaitingList::new(),
            waiting_pages: 0,
            spare: None,
        }
    }

    /// The list of an owner's pages.
    fn pages(&self, owner: Owner) -> &PageList {
        self.owned.filter(|_| owner != Owner::NONE).map_or(&self.partial, |owned| &owned.0[owner.index()])
    }

    /// The list that a page is in, or belongs to. Where pages lie outside the range, they have no owner.
    fn pages_of(&self, page: &Page) -> &PageList {
        self.pages(range::slot_list_at(page.base.get()).owner())
    }

    /// Makes the lists of owners, if these are needed and there are none. `false` when there is no memory.
    fn has_lists_of(&mut self, owner: Owner) -> bool {
        if owner != Owner::NONE && self.owned.is_none() {
            // SAFETY: zeroes are empty lists, and the record lives for ever.
            self.owned = allocator::allocate::<OwnedPages>().map(|owned| unsafe { owned.as_ref() });
        }
        owner == Owner::NONE || self.owned.is_some()
    }

    /// The page that the owner takes slots from first, if it has one.
    fn first(&self, owner: Owner) -> Option<&'static Page> {
        self.pages(owner).first().or_else(|| self.partial.first())
    }

    /// A page whose owner has no threads any more.
    fn left(&self) -> Option<&'static Page> {
        let owned = self.owned?;
        Owner::all().filter(|&owner| !owned_pages::has_threads(owner)).find_map(|owner| owned.0[owner.index()].first())
    }

    /// Makes another owner's page this one's: one that its threads left, or where memory would grow instead, one that is
    /// half free.
    fn adopt(&self, counters: &factor::Counters, class: Class, owner: Owner) -> Option<&'static Page> {
        let owned = self.owned.filter(|_| owner != Owner::NONE)?;
        let is_half_free = |page: &&'static Page| 2 * page.used.get() <= page.capacity.get();
        let half_free = || Owner::all().find_map(|owner| owned.0[owner.index()].first().filter(is_half_free));
        let grows = || self.spare.is_none() && arena::must_grow(kind_of(class), class.blocks());
        let page = self.left().or_else(|| half_free().filter(|_| grows()))?;
        counters.owned_pages.adopted.add(1);
        self.pages_of(page).remove(page);
        self.push(page, class, owner);
        Some(page)
    }

    /// Adds a page that is in no list to an owner's.
    fn push(&self, page: &'static Page, class: Class, owner: Owner) {
        let list = class.slot_list().of_owner(owner);
        if range::slot_list_at(page.base.get()) != list {
            for block in 0..class.blocks() {
                range::change_owner(page.base.get().wrapping_add(block * BLOCK), list);
            }
        }
        self.pages_of(page).push(page);
    }

    fn start_waiting(&mut self, page: &'static Page) {
        self.waiting.push_last(page);
        self.waiting_pages += 1;
    }

    fn stop_waiting(&mut self, page: &'static Page) {
        self.waiting.remove(page);
        self.waiting_pages -= 1;
    }
}

/// Takes a page without a used slot out of the lists, and keeps it as the spare one. The one before goes to `evict`,
/// outside the lock.
fn keep_spare<'a>(
    mut list: Guard<'a, CentralFreeList>,
    class: Class,
    page: &'static Page,
    evict: &mut impl FnMut(&'static Page),
) -> Guard<'a, CentralFreeList> {
    list.pages_of(page).remove(page);
    if page.given.get() > 0 {
        list.stop_waiting(page);
        let bytes = page.given.get() as usize * class.slot_bytes();
        WAITING_BYTES.fetch_sub(bytes, Ordering::Relaxed);
    }
    if let Some(old) = list.spare.replace(page) {
        // The callback may wait for the arena or the OS: other threads may take slots meanwhile.
        drop(list);
        evict(old);
        list = LISTS[class.index()].lock();
    }
    list
}

/// Takes a run of blocks from the arena and makes it a page of free slots.
fn new_page(counters: &factor::Counters, policy: Policy, class: Class, owner: Owner) -> Option<&'static Page> {
    let (page, zeroed) = arena::take_run(counters, policy, kind_of(class), class.blocks(), class.slot_bytes())?;
    counters.arena.runs.add(u64::from(class.is_large()));
    let tail = guard_pages::page_tail();
    page.begin_slots(class, zeroed, tail);
    if tail > 0 {
        let (base, bytes) = (page.base.get(), class.blocks() * BLOCK);
        // SAFETY: the page is new, and no slot takes its end.
        unsafe {
            guard_pages::install_all(&counters.guard_pages, base, bytes, class.slot_bytes(), class.is_large());
        }
    }
    for block in 0..class.blocks() {
        range::set_slot_list(page.base.get().wrapping_add(block * BLOCK), class.slot_list().of_owner(owner));
    }
    Some(page)
}
