//! The thread cache: one thread's free objects by class, taken and put back without a lock or a locked instruction.
//!
//! A slot list is a stack of addresses, apart from the objects: taking and putting back touches neither the object nor
//! its page, so that untouched memory stays untouched, and a large object costs no more than a small one. At the base
//! of each stack lies a null, which an empty slot list returns.
//!
//! A freed object joins the stack of the thread that frees it, but for objects of another owner's pages ([`outbox`]);
//! other stations are asked only when the stack is full or empty. A closed slot list is always empty and always full. Threads that have no cache yet,
//! or no longer, that are past their cache at this moment, or that must pass the factors' hooks at every request, use
//! [`EMPTY`], all of whose slot lists are closed: the fast path needs no test of its own for them.
//!
//! The fast path finds the cache by the thread's first word and changes a stack in a restartable sequence
//! ([`crate::os::pop`]). All other code uses [`ThreadCache::pop`] and [`ThreadCache::push`], while the first two words
//! are [`EMPTY`]'s address.
//!
//! For classes with owners there is a place for each owner's lists, of which a cache has one owner's. The fast path takes
//! by the thread's second word, which is the address of these, and puts back into the list that the object's block has,
//! as for all classes. If the block is another owner's, two words of zero lie there, which look like a full list, or one
//! of the few return lists, which collect for one owner. So the fast path needs no test of its own for owners either.
//!
//! [`outbox`]: super::outbox

use super::slot_list::{self, Slot, SlotList};
use crate::class::{self, CLASSES, Class, OWNED_CLASSES, OWNERS, Owner, SMALL_LISTS, SPAN_BYTES, SlotListOffset};
use crate::os;
use crate::sync::Count;
use core::cell::Cell;
use core::mem::offset_of;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// Most slots of a slot list's first stack. A list that needs more gets the stack of full length.
pub(crate) const FIRST_SLOTS: usize = 64;

/// Places of an outbox, and of a return list.
pub(crate) const OUTBOX_SLOTS: usize = 126;
/// Return lists of a cache.
pub(crate) const RETURN_LISTS: usize = 8;

/// Words of a thread by which it takes objects: of classes without owners, and of those with owners.
const CACHE_WORD: usize = 0;
const OWN_WORD: usize = 1;

/// Takes an object of a size, in the class's slot list of the calling thread's cache. Sizes without a class have a list
/// that is always empty.
#[inline(always)]
pub(super) fn take_bytes(bytes: usize) -> Taken {
    // Size 0 wraps around, to a size beyond all classes.
    match class::own_list_of(bytes.wrapping_sub(1)) {
        Some(list) => take_own(list),
        None => take_shared(class::slot_list_of(bytes)),
    }
}

/// Takes an object from a class's slot list of the calling thread's cache.
///
/// A free and the request after it pass the stack pointer to each other through memory, and some processors forward it
/// without a wait only where one register is the whole address; the sequences see to that (ARCHITECTURE.md has the
/// numbers).
#[inline(always)]
pub(super) fn take(list: SlotListOffset) -> Taken {
    if list.is_of_own() { take_own(list) } else { take_shared(list) }
}

/// As [`take`], of a class with owners.
#[inline(always)]
fn take_own(list: SlotListOffset) -> Taken {
    // SAFETY: the second word is always the address of an owner's lists, in the empty cache or in a heap's, which lives
    // for ever; at every offset of a list lies one, which is a stack.
    unsafe {
        let (object, lists) = os::pop::<OWN_WORD>(list.0 as usize);
        Taken { object, count: lists + offset_of!(OwnerLists, allocations) }
    }
}

/// As [`take`], of a class without owners, or none.
#[inline(always)]
fn take_shared(list: SlotListOffset) -> Taken {
    // SAFETY: as above; the first word is always the address of such a cache.
    unsafe {
        let (object, cache) = os::pop::<CACHE_WORD>(list.0 as usize);
        Taken { object, count: cache + offset_of!(ThreadCache, allocations) }
    }
}

/// What was taken from a slot list.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    /// The object; null when the list was empty.
    pub(super) object: *mut u8,
    /// The address of the count of such objects.
    count: usize,
}

impl Taken {
    /// Counts the object, which is not null, as allocated.
    #[inline(always)]
    pub(super) fn count(self) {
        // SAFETY: only the empty cache has no count there, and no object comes from it.
        unsafe { &*ptr::with_exposed_provenance::<Count>(self.count) }.add(1);
    }
}

/// As [`take`], for a size from 1 to 1,024 that is no constant; `None` for all other sizes.
#[inline(always)]
#[allow(dead_code, reason = "only the C interface calls it")]
pub(super) fn take_small(bytes: usize) -> Option<Taken> {
    // Size 0 wraps around, to a place beyond the table.
    let index = bytes.wrapping_sub(1) / 16;
    // SAFETY: as in `take_shared`; the places of the table are addresses of slot lists.
    (index < SMALL_LISTS.len()).then(|| unsafe {
        let (object, cache) = os::pop_of_table::<{ offset_of!(ThreadCache, small_lists) }>(index);
        Taken { object, count: cache + offset_of!(ThreadCache, allocations) }
    })
}

/// Puts an object into a slot list of the calling thread's cache: that of the object's block, or the outbox. `false` when
/// the list is full or another owner's.
#[inline(always)]
pub(super) fn put(list: SlotListOffset, object: *mut u8) -> bool {
    // SAFETY: as in `take_shared`; in the place of another owner's lists lie zeroes.
    unsafe { os::push(list.0 as usize, object) }
}

/// Whether a list is that of another owner than the calling thread's, and no return list; or the thread has no open cache
/// at this moment.
pub(super) fn is_foreign(list: SlotListOffset) -> bool {
    // SAFETY: the calling thread's words.
    let words = unsafe { os::thread_slots().read_volatile() };
    let own = words[OWN_WORD].wrapping_sub(words[CACHE_WORD]);
    // SAFETY: as in `put`. Only the thread itself changes a cache that its first word leads to.
    let place: &SlotList = unsafe { &*ptr::with_exposed_provenance(words[CACHE_WORD] + list.0 as usize) };
    let is_return_list = !place.limit.get().is_null();
    list.owner() != Owner::NONE && own != list.owner().index() * SPAN_BYTES && !is_return_list
}

/// The lists of one owner.
#[derive(Debug)]
#[repr(C)]
struct OwnerLists {
    /// Objects that the fast path has taken from these lists, by this word.
    allocations: Count,
    _none: usize,
    lists: [SlotList; OWNED_CLASSES],
}

const _: () = assert!(size_of::<OwnerLists>() == SPAN_BYTES);

/// One thread's free objects, and counts of what came and went.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct ThreadCache {
    // [`SlotListOffset`]s lead to these.
    /// Slot lists that are never opened: for sizes without a class, and what the empty cache has for its owner's.
    closed: [SlotList; OWNED_CLASSES + 1],
    /// One owner's lists, and in the places of all others' zeroes or return lists.
    owners: [OwnerLists; OWNERS - 1],
    /// The lists of classes without owners.
    lists: [SlotList; CLASSES - OWNED_CLASSES],
    /// Objects of classes with owners, on their way back to these.
    outboxes: [SlotList; OWNED_CLASSES],
    /// Objects that this thread has allocated, but for those that are counted with the owner's lists.
    pub(crate) allocations: Count,
    /// Objects that came from other stations, and those that went back to them. The difference is what users and the
    /// cache hold.
    pub(crate) received: Count,
    pub(crate) returned: Count,
    /// The slot lists of sizes up to 1,024, one per 16 bytes, for code that knows no constant size.
    small_lists: [Cell<*const SlotList>; SMALL_LISTS.len()],
    /// Where the null of each class's stack lies.
    bases: [AtomicPtr<Slot>; CLASSES],
    /// Where those of the outboxes lie.
    outbox_bases: [AtomicPtr<Slot>; OWNED_CLASSES],
    returns: [ReturnList; RETURN_LISTS],
    /// The return list that is the next to change its place.
    next_return: Cell<usize>,
    owner: Cell<Owner>,
}

/// A list in the place of another owner's: objects of one class on their way back to one owner.
#[derive(Debug)]
struct ReturnList {
    /// The place, as the number of a [`SlotListOffset`]; 0 for none.
    place: AtomicU32,
    /// Where the null of the stack lies.
    base: AtomicPtr<Slot>,
}

const _: () = assert!(offset_of!(ThreadCache, outboxes) == SlotListOffset::OUTBOXES.0 as usize);

/// The slot list of every small size in [`EMPTY`].
struct Closed(SlotList);

// SAFETY: never written.
unsafe impl Sync for Closed {}

static CLOSED: Closed = Closed(SlotList::closed());

/// The cache that holds nothing and takes nothing. It is never written.
#[unsafe(export_name = "hakmem_0_1_empty_cache")]
pub(crate) static EMPTY: ThreadCache = ThreadCache::new();

// SAFETY: only its thread uses a cache, except for the atomics, and for `EMPTY`, which is never written.
unsafe impl Sync for ThreadCache {}

impl ThreadCache {
    /// All slot lists closed.
    pub(crate) const fn new() -> ThreadCache {
        ThreadCache {
            closed: [const { SlotList::closed() }; OWNED_CLASSES + 1],
            // SAFETY: zeroes are counts of 0 and lists that are only compared.
            owners: unsafe { core::mem::zeroed() },
            lists: [const { SlotList::closed() }; CLASSES - OWNED_CLASSES],
            outboxes: [const { SlotList::closed() }; OWNED_CLASSES],
            allocations: Count::new(),
            received: Count::new(),
            returned: Count::new(),
            small_lists: [const { Cell::new(&raw const CLOSED.0) }; SMALL_LISTS.len()],
            bases: [const { AtomicPtr::new(slot_list::null()) }; CLASSES],
            outbox_bases: [const { AtomicPtr::new(slot_list::null()) }; OWNED_CLASSES],
            returns: [const { ReturnList { place: AtomicU32::new(0), base: AtomicPtr::new(ptr::null_mut()) } };
                RETURN_LISTS],
            next_return: Cell::new(0),
            owner: Cell::new(Owner::NONE),
        }
    }

    /// Sets up a cache of all-zero bytes: closes all slot lists.
    pub(super) fn set_up(&self, owner: Owner) {
        self.owner.set(owner);
        for (own, list) in self.small_lists.iter().zip(&SMALL_LISTS) {
            own.set(list.class().map_or(&raw const CLOSED.0, |class| self.list(class)));
        }
        self.closed.iter().for_each(SlotList::close);
        self.outboxes.iter().for_each(SlotList::close);
        Class::all().for_each(|class| self.list(class).close());
        let null: *mut Slot = slot_list::null();
        self.bases.iter().chain(&self.outbox_bases).for_each(|base| base.store(null, Ordering::Relaxed));
    }

    /// The owner of the pages that the cache is filled from.
    pub(crate) fn owner(&self) -> Owner {
        self.owner.get()
    }

    /// The words by which a thread uses the cache on its fast path.
    pub(super) fn words(&self) -> [usize; 2] {
        let cache = ptr::from_ref(self).expose_provenance();
        [cache, cache + self.owner.get().index() * SPAN_BYTES]
    }

    /// Objects that this thread has allocated.
    pub(crate) fn allocations(&self) -> u64 {
        let own = self.owner.get().index().checked_sub(1).map_or(0, |place| self.owners[place].allocations.get());
        self.allocations.get() + own
    }

    /// Opens a slot list, or gives it a longer stack. Its objects stay in it.
    ///
    /// # Safety
    /// - `stack` has room for `slots` addresses and one more, begins with a null, and belongs to this slot list alone
    ///   for as long as the cache lives.
    /// - the slot list holds at most `slots` objects.
    pub(super) unsafe fn open(&self, class: Class, stack: *mut *mut u8, slots: usize) {
        let held = self.held(class);
        let stack: *mut Slot = stack.cast();
        if held > 0 {
            let old = self.bases[class.index()].load(Ordering::Relaxed);
            // SAFETY: both are at least as long as what is copied, by the caller's promise. Nothing is written to the
            // stack of an empty list, which stays untouched until an object comes.
            unsafe { ptr::copy_nonoverlapping(old.add(1), stack.add(1), held) };
        }
        self.bases[class.index()].store(stack, Ordering::Relaxed);
        // SAFETY: inside the stack.
        unsafe { self.list(class).open(stack, held, slots) };
    }

    /// Opens the outboxes, which are empty, and gives the return lists their stacks.
    ///
    /// # Safety
    /// - as for [`ThreadCache::open`], for [`OUTBOX_SLOTS`] and each outbox and return list, one stack behind the other.
    pub(super) unsafe fn open_outboxes(&self, stacks: *mut *mut u8) {
        for (place, outbox) in self.outboxes.iter().enumerate() {
            let stack: *mut Slot = stacks.wrapping_add(place * (OUTBOX_SLOTS + 1)).cast();
            self.outbox_bases[place].store(stack, Ordering::Relaxed);
            // SAFETY: inside the stack.
            unsafe { outbox.open(stack, 0, OUTBOX_SLOTS) };
        }
        for (place, list) in self.returns.iter().enumerate() {
            let stack = stacks.wrapping_add((OWNED_CLASSES + place) * (OUTBOX_SLOTS + 1));
            list.base.store(stack.cast(), Ordering::Relaxed);
        }
    }

    /// Takes an object; null when the slot list is empty.
    pub(crate) fn pop(&self, class: Class) -> *mut u8 {
        self.list(class).pop()
    }

    /// Puts an object back; `false` when the slot list is full.
    pub(crate) fn push(&self, class: Class, object: *mut u8) -> bool {
        self.list(class).push(object)
    }

    /// Takes the newest objects, as many as there are and have room in `objects`, the newest last. Returns how many.
    pub(super) fn pop_all(&self, class: Class, objects: &mut [*mut u8]) -> usize {
        self.list(class).pop_all(&self.bases[class.index()], objects)
    }

    /// Puts objects back, the last one to come out first; none, and `false`, where the list has no room for all.
    pub(super) fn push_all(&self, class: Class, objects: &[*mut u8]) -> bool {
        self.list(class).push_all(objects)
    }

    /// Takes what the outbox of a class with owners holds. Returns how many objects that are.
    pub(super) fn empty_outbox(&self, class: Class, objects: &mut [*mut u8; OUTBOX_SLOTS]) -> usize {
        self.outboxes[class.index()].pop_all(&self.outbox_bases[class.index()], objects)
    }

    /// Puts an object into it; `false` when it is full or closed.
    pub(super) fn push_outbox(&self, class: Class, object: *mut u8) -> bool {
        self.outboxes[class.index()].push(object)
    }

    /// How many objects the outbox of the class and its return lists hold, if it has any: exact in its own thread, else a
    /// moment old.
    pub(crate) fn held_in_outbox(&self, class: Class) -> usize {
        let outbox = self.outboxes.get(class.index()).zip(self.outbox_bases.get(class.index()));
        let returned = self.return_lists().filter(|(place, ..)| place.class() == Some(class));
        let lists = returned.map(|(_, list, base)| (list, base)).chain(outbox);
        lists.map(|(list, base)| list.held(base).min(OUTBOX_SLOTS)).sum()
    }

    /// The places of the return lists, the lists, and their bases.
    fn return_lists(&self) -> impl Iterator<Item = (SlotListOffset, &SlotList, &AtomicPtr<Slot>)> {
        self.returns.iter().filter_map(|list| {
            let place = SlotListOffset(list.place.load(Ordering::Relaxed));
            Some((place, self.place(place)?, &list.base))
        })
    }

    /// The list of a class and owner, if it has one.
    fn place(&self, list: SlotListOffset) -> Option<&SlotList> {
        let owner = list.owner().index().checked_sub(1)?;
        Some(&self.owners[owner].lists[list.class()?.index()])
    }

    /// Takes what a return list holds. Returns how many objects that are; `None` where none is in that place.
    pub(super) fn empty_return(&self, place: SlotListOffset, objects: &mut [*mut u8; OUTBOX_SLOTS]) -> Option<usize> {
        let (_, list, base) = self.return_lists().find(|(of, ..)| *of == place)?;
        Some(list.pop_all(base, objects))
    }

    /// The return list in a place, if there is one.
    pub(super) fn return_list(&self, place: SlotListOffset) -> Option<&SlotList> {
        self.return_lists().find(|(of, ..)| *of == place).map(|(_, list, _)| list)
    }

    /// The place of the return list that [`ThreadCache::move_return`] moves next.
    pub(super) fn next_return(&self) -> SlotListOffset {
        SlotListOffset(self.returns[self.next_return.get()].place.load(Ordering::Relaxed))
    }

    /// Moves that list, which is empty, to the place of another owner's, which has none.
    pub(super) fn move_return(&self, place: SlotListOffset) {
        let number = self.next_return.get();
        self.next_return.set((number + 1) % RETURN_LISTS);
        let list = &self.returns[number];
        let before = SlotListOffset(list.place.swap(place.0, Ordering::Relaxed));
        if let Some(before) = self.place(before) {
            before.make_foreign();
        }
        if let Some(list_there) = self.place(place) {
            // SAFETY: the stack is so long.
            unsafe { list_there.open(list.base.load(Ordering::Relaxed), 0, OUTBOX_SLOTS) };
        }
    }

    /// The places of all return lists.
    pub(super) fn return_places(&self) -> impl Iterator<Item = SlotListOffset> {
        self.return_lists().map(|(place, ..)| place)
    }

    /// How many objects of the class the cache holds. Another thread may read any number, more than there is room for,
    /// while the slot list gets a longer stack: the pointer of one stack and the base of the other.
    pub(crate) fn held(&self, class: Class) -> usize {
        self.list(class).held(&self.bases[class.index()])
    }

    /// How many objects of the class the slot list can hold; 0 when it is closed.
    pub(crate) fn limit(&self, class: Class) -> usize {
        let base = self.bases[class.index()].load(Ordering::Relaxed);
        (self.list(class).limit.get().addr() - base.addr()) / size_of::<Slot>()
    }

    /// How many objects the cache holds: exact in its own thread, else a moment old.
    pub(crate) fn held_all(&self) -> u64 {
        // Bounded: a slot list that gets a longer stack at this moment may seem to hold any number.
        Class::all().map(|class| (self.held(class).min(class.cache_slots()) + self.held_in_outbox(class)) as u64).sum()
    }

    /// Sets how many objects of the class the slot list can hold, in the stack that it has.
    ///
    /// # Safety
    /// - the list is open, its stack has room for `slots` addresses, and it holds no more objects than that.
    pub(super) unsafe fn set_limit(&self, class: Class, slots: usize) {
        let base = self.bases[class.index()].load(Ordering::Relaxed);
        // SAFETY: inside the stack.
        self.list(class).limit.set(unsafe { base.add(slots) });
    }

    /// The stack pointer of the class, as a number that changes with every object that comes or goes.
    pub(super) fn position(&self, class: Class) -> usize {
        self.list(class).pointer.load(Ordering::Relaxed).addr()
    }

    /// As [`ThreadCache::position`], of all outboxes and return lists together.
    pub(super) fn outbox_position(&self) -> usize {
        let lists = self.outboxes.iter().chain(self.return_lists().map(|(_, list, _)| list));
        lists.fold(0, |sum, list| sum.wrapping_add(list.pointer.load(Ordering::Relaxed).addr()))
    }

    /// The slot list of a class.
    fn list(&self, class: Class) -> &SlotList {
        match (class.index().checked_sub(OWNED_CLASSES), self.owner.get().index().checked_sub(1)) {
            (Some(place), _) => &self.lists[place],
            (None, Some(owner)) => &self.owners[owner].lists[class.index()],
            (None, None) => &self.closed[1 + class.index()],
        }
    }
}
