//! The allocators by name: what `--allocator` understands, and how each is run and proved.

#[cfg(feature = "jemalloc")]
use crate::allocator::jemalloc;
use crate::allocator::library::{self, Library};
#[cfg(feature = "mimalloc")]
use crate::allocator::mimalloc;
#[cfg(feature = "snmalloc")]
use crate::allocator::snmalloc;
use crate::allocator::{Allocator, Witness, floor, hakmem, precomputed, preloaded, system};
use crate::proof::{self, Tally};
use crate::replay::image::Image;
use crate::replay::plan::ReplayPlan;
use crate::replay::{self, ReplayError};
use crate::workload::drive;
use crate::workload::lifetime::RING;
use crate::workload::measurement::Measurement;
use crate::workload::plan::{LifetimePattern, RunPlan};
use crate::workload::scenario::Sizes;
use crate::workload::script::Op;
use ::hakmem::Preset;

/// How an allocator of this build is run and proved.
#[derive(Clone, Copy)]
pub(crate) struct Engine {
    /// Runs a plan.
    pub(crate) drive: fn(&RunPlan) -> Measurement,
    /// Replays a trace.
    pub(crate) replay: fn(&ReplayPlan, &Image) -> Result<Measurement, ReplayError>,
    /// Requests blocks of these operations' sizes, and asks every witness about each block.
    pub(crate) verify: fn(&[Op], &[Witness]) -> Vec<Tally>,
    /// The witness of this allocator.
    pub(crate) witness: Witness,
    /// Finds the library behind a symbol, for an allocator that is known by its symbol only.
    pub(crate) provider: Option<fn() -> Result<Library, String>>,
    /// Which plans it can run; `None` for all.
    pub(crate) can_run: Option<fn(&RunPlan) -> bool>,
}

impl Engine {
    /// The engine of one allocator.
    const fn of<A: Allocator + Default>(witness: Witness) -> Engine {
        Engine {
            drive: drive::drive::<A>,
            replay: replay::run::<A>,
            verify: proof::verify::<A>,
            witness,
            provider: None,
            can_run: None,
        }
    }
}

const HAKMEM: Engine = Engine::of::<hakmem::HakmemCrate>(hakmem::WITNESS);
const SYSTEM: Engine = Engine::of::<system::CLibrary>(system::WITNESS);
const PRELOADED: Engine =
    Engine { provider: Some(library::of_malloc), ..Engine::of::<preloaded::Preloaded>(preloaded::WITNESS) };
const FLOOR: Engine = Engine {
    drive: |plan| {
        fill_floor(plan);
        drive::drive::<floor::Floor>(plan)
    },
    verify: |ops, witnesses| {
        sizes_of(ops).into_iter().for_each(|size| floor::fill(size, proof::blocks(ops) + 1, false));
        proof::verify::<floor::Floor>(ops, witnesses)
    },
    can_run: Some(floor_can_run),
    ..Engine::of::<floor::Floor>(floor::WITNESS)
};
const PRECOMPUTED: Engine = Engine::of::<precomputed::Precomputed>(precomputed::WITNESS);

#[cfg(feature = "jemalloc")]
const JEMALLOC: Option<Engine> = Some(Engine::of::<jemalloc::JemallocCrate>(jemalloc::WITNESS));
#[cfg(not(feature = "jemalloc"))]
const JEMALLOC: Option<Engine> = None;
#[cfg(feature = "snmalloc")]
const SNMALLOC: Option<Engine> = Some(Engine::of::<snmalloc::SnmallocCrate>(snmalloc::WITNESS));
#[cfg(not(feature = "snmalloc"))]
const SNMALLOC: Option<Engine> = None;
const MIMALLOC: Option<Engine> = mimalloc_of(3);
const MIMALLOC_V2: Option<Engine> = mimalloc_of(2);

/// mimalloc of that major version, if the build has it.
#[cfg(feature = "mimalloc")]
const fn mimalloc_of(version: i32) -> Option<Engine> {
    if mimalloc::VERSION == version { Some(Engine::of::<mimalloc::MimallocCrate>(mimalloc::WITNESS)) } else { None }
}
/// mimalloc is not in this build.
#[cfg(not(feature = "mimalloc"))]
const fn mimalloc_of(_version: i32) -> Option<Engine> {
    None
}

/// One name that `--allocator` understands.
pub(crate) struct NamedAllocator {
    /// Name on the command line.
    pub(crate) name: &'static str,
    /// Description for `--list`.
    pub(crate) about: &'static str,
    /// Cargo feature that brings it in.
    pub(crate) feature: Option<&'static str>,
    /// Cargo feature that takes its place in a build.
    pub(crate) replaced_by: Option<&'static str>,
    /// The preset that hakmem's levels are sealed with; `None` for the others.
    pub(crate) preset: Option<Preset>,
    /// `None` when it is not built in.
    pub(crate) engine: Option<Engine>,
    /// What replays traces in its place; it needs addresses that are computed before.
    pub(crate) precomputed: Option<Engine>,
}

/// Every allocator, in the order of the lists.
pub(crate) const ALLOCATORS: &[NamedAllocator] = &[
    hakmem_with("hakmem", "hakmem's default; the environment can change it", Preset::Default),
    hakmem_with("hakmem-evolving", "hakmem, every factor on and learning", Preset::Evolving),
    hakmem_with("hakmem-baseline", "hakmem, learning off", Preset::Baseline),
    hakmem_with("hakmem-minimal", "hakmem, BigCache, ELO and evolution off", Preset::Minimal),
    NamedAllocator {
        replaced_by: Some("mimalloc-v2"),
        ..peer("mimalloc", "mimalloc v3; a build has either v3 or v2", MIMALLOC)
    },
    peer("mimalloc-v2", "mimalloc v2; replaces v3 in a build with this feature", MIMALLOC_V2),
    peer("jemalloc", "jemalloc 5, as tikv-jemallocator builds it", JEMALLOC),
    peer("snmalloc", "snmalloc 2, as snmalloc-rs builds it", SNMALLOC),
    always("system", "malloc of the C library, through std::alloc::System", SYSTEM),
    always(
        "preloaded",
        "malloc and free of the library in LD_PRELOAD, else of the C library. served_by is that library's name, c for \
         the C library. The program's own memory comes from it as well, before the measured part",
        PRELOADED,
    ),
    NamedAllocator {
        precomputed: Some(PRECOMPUTED),
        ..always(
            "floor",
            "the least that an allocator can cost: blocks that are mapped and faulted in before the run, on a stack per \
             size. Runs json, mir, vm, mixed and fixed with lifo or ring. With --trace every address is computed before",
            FLOOR,
        )
    },
];

const fn hakmem_with(name: &'static str, about: &'static str, preset: Preset) -> NamedAllocator {
    NamedAllocator { preset: Some(preset), ..always(name, about, HAKMEM) }
}

const fn peer(name: &'static str, about: &'static str, engine: Option<Engine>) -> NamedAllocator {
    NamedAllocator { name, about, feature: Some(name), replaced_by: None, preset: None, engine, precomputed: None }
}

const fn always(name: &'static str, about: &'static str, engine: Engine) -> NamedAllocator {
    let engine = Some(engine);
    NamedAllocator { name, about, feature: None, replaced_by: None, preset: None, engine, precomputed: None }
}

/// The witnesses to ask when `engine` serves: its own, and one of each other allocator in this build. The witness of `preloaded` may be asked
/// about blocks of `malloc` only, so it is left out for every other engine. The C library's is left out when the C library
/// is behind `malloc`, because both would then claim the same blocks.
pub(crate) fn witnesses(engine: &Engine) -> Vec<Witness> {
    let by_symbol = engine.provider.is_some();
    let behind_it = |name| by_symbol && name == system::WITNESS.name && system::is_malloc();
    let mut all: Vec<Witness> = vec![engine.witness];
    for other in ALLOCATORS.iter().filter_map(|a| a.engine) {
        let witness = other.witness;
        let is_askable = other.provider.is_none() || by_symbol;
        if is_askable && !behind_it(witness.name) && all.iter().all(|w| w.name != witness.name) {
            all.push(witness);
        }
    }
    all
}

// The ring's blocks and the proof's must fit a stack of the floor.
const _: () = assert!(RING + proof::BLOCKS < floor::PLACES);

/// Whether the floor can run the plan: it must know how many blocks live at once, and each size needs its own stack.
fn floor_can_run(plan: &RunPlan) -> bool {
    matches!(plan.pattern, LifetimePattern::Lifo | LifetimePattern::Ring)
        && matches!(plan.scenario.sizes, Sizes::Each(_) | Sizes::Given)
}

/// Fills the floor's stacks for a plan that [`floor_can_run`] allows.
fn fill_floor(plan: &RunPlan) {
    let live = if plan.pattern == LifetimePattern::Ring { RING } else { 1 };
    match plan.scenario.sizes {
        Sizes::Each(sizes) => sizes.iter().for_each(|size| floor::fill(*size, live, true)),
        Sizes::Given => floor::fill(plan.bytes, live, true),
        Sizes::Octaves { .. } | Sizes::Pages { .. } | Sizes::Range => {}
    }
}

/// The sizes that occur, each once.
fn sizes_of(ops: &[Op]) -> Vec<u32> {
    let mut sizes: Vec<u32> = ops.iter().map(|op| op.size).collect();
    sizes.sort_unstable();
    sizes.dedup();
    sizes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::workload::plan::Lifetime;
    use crate::workload::scenario::SCENARIOS;

    #[test]
    fn every_name_is_there_once() {
        for allocator in ALLOCATORS {
            assert_eq!(ALLOCATORS.iter().filter(|a| a.name == allocator.name).count(), 1, "{}", allocator.name);
        }
    }

    #[test]
    fn hakmem_has_one_witness_for_its_four_presets() {
        let names: Vec<_> = witnesses(&HAKMEM).iter().map(|w| w.name).collect();
        assert_eq!(names.iter().filter(|n| **n == "hakmem").count(), 1, "{names:?}");
        assert!(names.contains(&"system") && !names.contains(&"preloaded"), "{names:?}");
    }

    #[test]
    fn the_c_library_is_not_asked_against_itself() {
        let names: Vec<_> = witnesses(&PRELOADED).iter().map(|w| w.name).collect();
        assert!(names.contains(&"preloaded") && names.contains(&"hakmem"), "{names:?}");
        assert_eq!(names.contains(&"system"), !system::is_malloc(), "{names:?}");
    }

    #[test]
    fn every_listed_size_has_a_stack_of_its_own() {
        for scenario in SCENARIOS {
            if let Sizes::Each(sizes) = scenario.sizes {
                let mut stacks: Vec<_> = sizes.iter().map(|size| floor::stack(*size as usize)).collect();
                stacks.dedup();
                assert_eq!(stacks.len(), sizes.len(), "{}", scenario.name);
            }
        }
    }

    #[test]
    fn the_floor_runs_plans_with_a_known_number_of_blocks() {
        let check = |scenario, lifetime| floor_can_run(&RunPlan::of_test(scenario, lifetime));
        for scenario in ["json", "mir", "vm", "mixed", "fixed"] {
            assert!(check(scenario, None) && check(scenario, Some(Lifetime::Ring)));
            assert!(!check(scenario, Some(Lifetime::Batch)) && !check(scenario, Some(Lifetime::Handoff)));
        }
        for scenario in ["small", "churn", "threads", "parallel", "memory-return"] {
            assert!(!check(scenario, None), "{scenario}");
        }
    }
}
