//! The page map: finds the record of an address, without reading at the address.
//!
//! The tables of [`range`] cover the addresses of the range. For all others there are two levels over 4 MiB granules: a
//! static root of 8,192 words, and nodes of 8,192 words (32 GiB of addresses each) made on demand. A granule's word
//! leads to a segment, or to a leaf with one word per OS page for the large mappings that start there. Any address may
//! be looked up; one that is not the allocator's is [`Place::Foreign`].

use crate::metadata::allocator;
use crate::metadata::large_mapping::LargeMapping;
use crate::metadata::page::{Page, Use};
use crate::metadata::range;
use crate::metadata::segment::{SEGMENT, Segment};
use crate::os::OS_PAGE;
use crate::sync::{Lock, global};
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};

const GRANULE_BITS: u32 = SEGMENT.trailing_zeros();
const NODE_BITS: u32 = 13;
const NODE_WORDS: usize = 1 << NODE_BITS;
/// User addresses of both architectures end here.
const ADDRESS_BITS: u32 = 48;
const LEAF_WORDS: usize = SEGMENT / OS_PAGE;
/// Marks a granule's word as the address of a leaf.
const LEAF_TAG: usize = 1;

const _: () = assert!(GRANULE_BITS + 2 * NODE_BITS == ADDRESS_BITS);

type Node = [AtomicUsize; NODE_WORDS];
type Leaf = [AtomicPtr<LargeMapping>; LEAF_WORDS];

/// The holder of [`GROW`] enters nodes, leaves and segments; the owner of a large mapping enters and removes it. Stores
/// release and loads acquire.
#[unsafe(link_section = ".bss.hakmem_tables")]
static ROOT: [AtomicPtr<Node>; NODE_WORDS] = [const { AtomicPtr::new(ptr::null_mut()) }; NODE_WORDS];
global! {
    static GROW: Lock<()> = Lock::new(());
}

/// What lies at an address.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// Nothing of the allocator's.
    Foreign,
    /// A page, in use or not.
    Page(&'static Page),
    /// A large mapping whose object starts in the address's OS page, or whose run of blocks the address lies in.
    Mapping(&'static LargeMapping),
}

/// The page of an address; `None` outside of segments.
pub(crate) fn page_of(address: *const u8) -> Option<&'static Page> {
    segment_of(address).map(|segment| segment.page_at(address))
}

/// The segment of an address; `None` outside of segments.
pub(crate) fn segment_of(address: *const u8) -> Option<&'static Segment> {
    range::segment_of(address).or_else(|| {
        let word = granule_word(address)?.load(Ordering::Acquire);
        if word == 0 || word & LEAF_TAG != 0 {
            return None;
        }
        // SAFETY: untagged words are addresses of segments, which live for ever.
        Some(unsafe { &*ptr::with_exposed_provenance(word) })
    })
}

/// Finds the record of an address.
pub(crate) fn look_up(address: *const u8) -> Place {
    let page = page_of(address);
    if let Some(page) = page
        && page.usage.get() != Use::Free
    {
        return page.mapping.get().map_or(Place::Page(page), Place::Mapping);
    }
    // A part of a segment may be unmapped, and the kernel, which has run out of other addresses, may map there.
    large_mapping_at(address).map_or_else(|| page.map_or(Place::Foreign, Place::Page), Place::Mapping)
}

/// The large mapping whose object starts in the OS page of an address.
fn large_mapping_at(address: *const u8) -> Option<&'static LargeMapping> {
    let word = granule_word(address)?.load(Ordering::Acquire);
    if word & LEAF_TAG == 0 {
        return None;
    }
    // SAFETY: a leaf's words are null or addresses of mapping records, which live for ever.
    unsafe { leaf_of(word)[leaf_index(address)].load(Ordering::Acquire).as_ref() }
}

/// Calls back with every segment outside the range and every large mapping. Takes no lock: it may miss what another
/// thread enters or removes meanwhile.
pub(crate) fn each(mut segment: impl FnMut(&'static Segment), mut mapping: impl FnMut(&'static LargeMapping)) {
    for node in &ROOT {
        // SAFETY: nodes live for ever.
        let Some(node) = (unsafe { node.load(Ordering::Acquire).as_ref() }) else { continue };
        for word in node {
            match word.load(Ordering::Acquire) {
                0 => {}
                word if word & LEAF_TAG == 0 => {
                    // SAFETY: untagged words are addresses of segments, which live for ever.
                    segment(unsafe { &*ptr::with_exposed_provenance(word) });
                }
                word => {
                    for entry in leaf_of(word) {
                        // SAFETY: a leaf's words are null or addresses of mapping records, which live for ever.
                        if let Some(entered) = unsafe { entry.load(Ordering::Acquire).as_ref() } {
                            mapping(entered);
                        }
                    }
                }
            }
        }
    }
}

/// Enters a segment outside the range. Returns `false` when there is no memory for a node.
pub(crate) fn enter_segment(segment: &'static Segment) -> bool {
    let _grow = GROW.lock();
    let Some(word) = granule_word_or_grow(segment.base.get()) else {
        return false;
    };
    // A leaf that was here is dropped: the arena's chunks are never unmapped, so no mapping can start in this granule
    // again.
    word.store(ptr::from_ref(segment).expose_provenance(), Ordering::Release);
    true
}

/// Enters a mapping by its object's address. Returns `false` when there is no memory for a node or leaf.
pub(crate) fn enter_mapping(user: *const u8, mapping: &'static LargeMapping) -> bool {
    let word = match granule_word(user).map(|word| word.load(Ordering::Acquire)) {
        Some(word) if word & LEAF_TAG != 0 => word,
        _ => match make_leaf(user) {
            Some(word) => word,
            None => return false,
        },
    };
    leaf_of(word)[leaf_index(user)].store(ptr::from_ref(mapping).cast_mut(), Ordering::Release);
    true
}

/// Removes a mapping that was entered by this address, unless another one has taken its place.
pub(crate) fn remove_mapping(user: *const u8, mapping: &'static LargeMapping) {
    if let Some(word) = granule_word(user) {
        let word = word.load(Ordering::Acquire);
        if word & LEAF_TAG != 0 {
            let known = ptr::from_ref(mapping).cast_mut();
            let entry = &leaf_of(word)[leaf_index(user)];
            // A failure means that the entry is another mapping's by now.
            _ = entry.compare_exchange(known, ptr::null_mut(), Ordering::Release, Ordering::Relaxed);
        }
    }
}

fn granule_word(address: *const u8) -> Option<&'static AtomicUsize> {
    let granule = address.addr() >> GRANULE_BITS;
    let node = ROOT.get(granule >> NODE_BITS)?.load(Ordering::Acquire);
    // SAFETY: nodes live for ever.
    let node: &'static Node = unsafe { node.as_ref() }?;
    Some(&node[granule % NODE_WORDS])
}

/// The granule's word, in a new node if there is none yet. The caller holds [`GROW`].
fn granule_word_or_grow(address: *const u8) -> Option<&'static AtomicUsize> {
    if granule_word(address).is_none() {
        let root = ROOT.get(address.addr() >> GRANULE_BITS >> NODE_BITS)?;
        root.store(allocator::allocate::<Node>()?.as_ptr(), Ordering::Release);
    }
    granule_word(address)
}

#[cold]
fn make_leaf(address: *const u8) -> Option<usize> {
    let _grow = GROW.lock();
    let word = granule_word_or_grow(address)?;
    let known = word.load(Ordering::Acquire);
    if known & LEAF_TAG != 0 {
        return Some(known);
    }
    let leaf = allocator::allocate::<Leaf>()?.as_ptr().expose_provenance() | LEAF_TAG;
    word.store(leaf, Ordering::Release);
    Some(leaf)
}

fn leaf_of(word: usize) -> &'static Leaf {
    // SAFETY: tagged words are addresses of leaves, which live for ever.
    unsafe { &*ptr::with_exposed_provenance(word & !LEAF_TAG) }
}

fn leaf_index(address: *const u8) -> usize {
    address.addr() / OS_PAGE % LEAF_WORDS
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn addresses_outside_the_allocator_are_foreign() {
        let local = 0_u64;
        for address in [0, 1, 4096, usize::MAX, usize::MAX / 2, 1 << 48, (1 << 47) - 1, (&raw const local).addr()] {
            assert!(matches!(look_up(ptr::without_provenance(address)), Place::Foreign), "{address:#x}");
        }
    }

    #[test]
    fn a_mapping_in_an_unmapped_part_of_a_segment_is_found() {
        range::reserve_once();
        let (base, bytes) = range::bounds();
        // The middle of the range, which no other test uses.
        let base = base.wrapping_add(bytes / 2 / SEGMENT * SEGMENT);
        // SAFETY: zeroes are a segment without memory, and the record lives for ever.
        let segment: &'static Segment = unsafe { allocator::allocate::<Segment>().expect("memory").as_ref() };
        segment.base.set(base);
        range::enter_segment(segment);
        let object = base.wrapping_add(3 * OS_PAGE);
        let mapping: &'static LargeMapping = std::boxed::Box::leak(std::boxed::Box::new(LargeMapping::new()));
        assert!(matches!(look_up(object), Place::Page(page) if page.usage.get() == Use::Free));
        assert!(enter_mapping(object, mapping));
        assert!(matches!(look_up(object), Place::Mapping(found) if ptr::eq(found, mapping)));
        remove_mapping(object, mapping);
        assert!(matches!(look_up(object), Place::Page(_)));
    }
}
