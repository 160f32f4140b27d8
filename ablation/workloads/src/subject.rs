//! The allocators that can be measured: what the loop needs of one, what proves that it served, and the list of them.
//!
//! Each allocator has a file of its own; a peer whose feature is not built in is replaced by `absent.rs`, which has the
//! same names. How they are driven is left to [`crate::drive`], what counts as proof to [`crate::proof`].

#[cfg(not(all(feature = "jemalloc", feature = "mimalloc", feature = "snmalloc")))]
mod absent;
mod floor;
mod hakmem;
#[cfg(feature = "jemalloc")]
mod jemalloc;
pub(crate) mod library;
#[cfg(feature = "mimalloc")]
mod mimalloc;
mod preloaded;
#[cfg(feature = "snmalloc")]
mod snmalloc;
mod system;

#[cfg(not(feature = "jemalloc"))]
use absent as jemalloc;
#[cfg(not(feature = "mimalloc"))]
use absent as mimalloc;
#[cfg(not(feature = "snmalloc"))]
use absent as snmalloc;

use crate::drive::{self, Run};
use crate::plan::Plan;
use crate::proof::{self, Tally};
use crate::script::Op;
use crate::subject::library::Library;
use ::hakmem::{Preset, Site};
use std::alloc::Layout;

/// An allocator as the loop sees it: two calls, always inlined, so that every allocator is measured in its own copy of
/// one loop.
pub(crate) trait Subject: Copy + Send + 'static {
    /// Requests a block. Null when there is no memory.
    ///
    /// # Safety
    /// - `layout.size()` is not zero.
    unsafe fn alloc(self, layout: Layout, site: Site) -> *mut u8;

    /// Gives a block back.
    ///
    /// # Safety
    /// - `ptr` came from [`Subject::alloc`] of the same subject with the same `layout`, and was not given back before.
    unsafe fn dealloc(self, ptr: *mut u8, layout: Layout);
}

/// Tells whether an allocator holds a given block, by that allocator's own knowledge.
#[derive(Clone, Copy)]
pub(crate) struct Witness {
    /// The allocator that it speaks for.
    pub(crate) name: &'static str,
    /// What it goes by, for the sentence of the proof.
    pub(crate) by: &'static str,
    /// Reads the allocator's books before one request; its value is handed to `claims`.
    pub(crate) mark: fn() -> u64,
    /// Whether the block of `size` bytes that was requested since `mark` is this allocator's.
    pub(crate) claims: fn(mark: u64, ptr: *const u8, size: usize) -> bool,
}

/// An allocator that is built in.
#[derive(Clone, Copy)]
pub(crate) struct Engine {
    /// Runs a plan.
    pub(crate) drive: fn(&Plan) -> Run,
    /// Requests blocks, and asks every witness about each.
    pub(crate) verify: fn(&[Op], &[Witness]) -> Vec<Tally>,
    /// Speaks for this allocator.
    pub(crate) witness: Witness,
    /// Finds out who is behind a name that says only how it is reached.
    pub(crate) provider: Option<fn() -> Result<Library, String>>,
    /// Which plans it can run, if not all.
    pub(crate) serves: Option<fn(&Plan) -> bool>,
}

impl Engine {
    /// The engine of one subject.
    const fn of<A: Subject + Default>(witness: Witness) -> Engine {
        Engine { drive: drive::drive::<A>, verify: proof::verify::<A>, witness, provider: None, serves: None }
    }
}

/// One name that `--allocator` understands.
pub(crate) struct Allocator {
    /// Name on the command line.
    pub(crate) name: &'static str,
    /// One line for people.
    pub(crate) about: &'static str,
    /// Cargo feature that brings it in.
    pub(crate) feature: Option<&'static str>,
    /// Cargo feature that takes its place in a build.
    pub(crate) replaced_by: Option<&'static str>,
    /// The preset that hakmem is sealed with; `None` for the others.
    pub(crate) mode: Option<Preset>,
    /// `None` when it is not built in.
    pub(crate) engine: Option<Engine>,
}

/// Every allocator, in the order of the lists.
pub(crate) const ALLOCATORS: &[Allocator] = &[
    subject_of_hakmem("hakmem", "the crate's default, obeying the environment", Preset::Default),
    subject_of_hakmem("hakmem-evolving", "hakmem with every factor on and learning", Preset::Evolving),
    subject_of_hakmem("hakmem-baseline", "hakmem with learning off", Preset::Baseline),
    subject_of_hakmem("hakmem-minimal", "hakmem with BigCache, ELO and evolution off", Preset::Minimal),
    Allocator {
        replaced_by: Some("mimalloc-v2"),
        ..peer("mimalloc", "mimalloc v3; not in one build with mimalloc-v2", mimalloc::ENGINE)
    },
    peer("mimalloc-v2", "mimalloc v2; takes the place of v3 in its build", mimalloc::ENGINE_V2),
    peer("jemalloc", "jemalloc 5, as tikv-jemallocator builds it", jemalloc::ENGINE),
    peer("snmalloc", "snmalloc 2, as snmalloc-rs builds it", snmalloc::ENGINE),
    always("system", "malloc of the C library (std::alloc::System)", system::ENGINE),
    always(
        "preloaded",
        "malloc and free of whoever provides them (LD_PRELOAD); served_by is the library's name, c when it is the C \
         library. The program's own memory comes from it too, before the measured part",
        preloaded::ENGINE,
    ),
    always(
        "floor",
        "no allocator: mapped, faulted-in blocks on a stack for each size. For json, mir, vm, mixed and fixed with lifo \
         or ring",
        floor::ENGINE,
    ),
];

const fn subject_of_hakmem(name: &'static str, about: &'static str, preset: Preset) -> Allocator {
    Allocator { mode: Some(preset), ..always(name, about, hakmem::ENGINE) }
}

const fn peer(name: &'static str, about: &'static str, engine: Option<Engine>) -> Allocator {
    Allocator { name, about, feature: Some(name), replaced_by: None, mode: None, engine }
}

const fn always(name: &'static str, about: &'static str, engine: Engine) -> Allocator {
    Allocator { name, about, feature: None, replaced_by: None, mode: None, engine: Some(engine) }
}

/// The witnesses of all allocators that are built in, one each, when `engine` serves. One that is reached by a symbol
/// speaks only then, as it may be asked about its own blocks only; and the C library is silent when it is the one behind
/// that symbol.
pub(crate) fn witnesses(engine: &Engine) -> Vec<Witness> {
    let by_symbol = engine.provider.is_some();
    let behind_it = |name| by_symbol && name == system::ENGINE.witness.name && system::is_malloc();
    let mut all: Vec<Witness> = Vec::new();
    for other in ALLOCATORS.iter().filter_map(|a| a.engine) {
        let witness = other.witness;
        let speaks = other.provider.is_none() || by_symbol;
        if speaks && !behind_it(witness.name) && all.iter().all(|w| w.name != witness.name) {
            all.push(witness);
        }
    }
    all
}

/// For witnesses that need no mark.
fn no_mark() -> u64 {
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_there_once() {
        for allocator in ALLOCATORS {
            assert_eq!(ALLOCATORS.iter().filter(|a| a.name == allocator.name).count(), 1, "{}", allocator.name);
        }
    }

    #[test]
    fn hakmem_has_one_witness_for_its_four_modes() {
        let names: Vec<_> = witnesses(&hakmem::ENGINE).iter().map(|w| w.name).collect();
        assert_eq!(names.iter().filter(|n| **n == "hakmem").count(), 1, "{names:?}");
        assert!(names.contains(&"system") && !names.contains(&"preloaded"), "{names:?}");
    }

    #[test]
    fn the_c_library_is_not_asked_against_itself() {
        let names: Vec<_> = witnesses(&preloaded::ENGINE).iter().map(|w| w.name).collect();
        assert!(names.contains(&"preloaded") && names.contains(&"hakmem"), "{names:?}");
        assert_eq!(names.contains(&"system"), !system::is_malloc(), "{names:?}");
    }
}
