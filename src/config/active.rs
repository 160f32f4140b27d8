//! The active configuration: a level for each factor, sealed before the first request and read by the request path.
//!
//! These are the levels in effect: beside headers the factors that need objects without them are off. They are packed into
//! one word: [`active`] is one relaxed load, and the word never changes after the seal. Sealing also starts the lifecycle of the factor `evolution`, before any thread can see the levels.

use super::environment;
use super::level::Level;
use super::preset::Preset;
use super::registry::{FACTORS, FactorId, Levels, REGISTRY};
use crate::factor::{align, canary, elo, evolution, free_check, guard_pages, original, purge, random_slots, thp};
use crate::sync::{Once, global};

const LEVEL_BITS: u32 = 3;
const LEVEL_MASK: u64 = (1 << LEVEL_BITS) - 1;
const SEALED: u64 = 1 << 63;
const _: () = assert!(FACTORS as u32 * LEVEL_BITS < 63);
const _: () = {
    let mut index = 0;
    while index < FACTORS {
        let values = if let Some(choice) = &REGISTRY[index].choice { choice.values.len() } else { 1 };
        assert!(values <= LEVEL_MASK as usize, "a level has no ordinal");
        index += 1;
    }
};

/// Which factors are compiled in.
const PRESENT: [bool; FACTORS] = {
    let mut present = [false; FACTORS];
    let mut index = 0;
    while index < FACTORS {
        present[index] = REGISTRY[index].present;
        index += 1;
    }
    present
};

/// Whether the factor `free-check` is compiled in: it acts in every free.
pub(crate) const FREE_CHECK: bool = PRESENT[FactorId::FreeCheck as usize];

global! {
    /// The sealed levels, packed: never 0.
    static LEVELS: Once = Once::new();
}

/// Ordinal of evolution's level `slow-path`, which sees only requests that no cache serves.
const EVOLUTION_SLOW_PATH: u64 = 4;

/// The sealed levels, packed. A request reads them once and passes copies down.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ActiveConfig(u64);

/// The sealed levels; before the seal, every factor is off.
#[inline(always)]
pub(crate) fn active() -> ActiveConfig {
    // Relaxed: a thread calls `seal_once` before its first request.
    ActiveConfig(LEVELS.peek())
}

impl ActiveConfig {
    fn of(levels: &Levels) -> ActiveConfig {
        let mut word = SEALED;
        for (index, factor) in REGISTRY.iter().enumerate() {
            let ordinal = match levels.get(index) {
                Level::Absent | Level::Off => 0,
                Level::On => 1,
                // A choice's position is its ordinal: `on` is the first value.
                Level::Variant(variant) => factor.choice.as_ref().map_or(1, |choice| {
                    choice.values.iter().position(|(_, level)| *level == Level::Variant(variant)).unwrap_or(0) as u64
                        + 1
                }),
            };
            word |= ordinal << (LEVEL_BITS * index as u32);
        }
        ActiveConfig(word)
    }

    #[inline(always)]
    fn ordinal(self, id: FactorId) -> u64 {
        // A factor that is not compiled in is off at compile time, so that the compiler removes its code.
        if !PRESENT[id as usize] {
            return 0;
        }
        (self.0 >> (LEVEL_BITS * id as u32)) & LEVEL_MASK
    }

    /// Whether BigCache keeps large mappings by call site.
    #[inline(always)]
    pub(crate) fn bigcache_is_ring(self) -> bool {
        self.ordinal(FactorId::BigCache) == 1
    }

    /// Whether BigCache keeps large objects by size class.
    #[inline(always)]
    pub(crate) fn bigcache_is_direct(self) -> bool {
        self.ordinal(FactorId::BigCache) == 2
    }

    /// How an mmap threshold is drawn for every request; `None` when none is drawn.
    #[inline(always)]
    pub(crate) fn elo(self) -> Option<original::elo::Selection> {
        match self.ordinal(FactorId::Elo) {
            1 => Some(original::elo::Selection::Softmax),
            2 => Some(original::elo::Selection::EpsilonGreedy),
            _ => None,
        }
    }

    /// Whether plans are learned, on requests that no cache serves.
    #[inline(always)]
    pub(crate) fn elo_plans(self) -> bool {
        self.ordinal(FactorId::Elo) == 3
    }

    /// Which header objects have, if any.
    #[inline(always)]
    pub(crate) fn header(self) -> Option<original::header::Form> {
        match self.ordinal(FactorId::Header) {
            0 => None,
            1 => Some(original::header::Form::Full),
            _ => Some(original::header::Form::Packed),
        }
    }

    /// Whether every request raises the shared count.
    #[inline(always)]
    pub(crate) fn tick(self) -> bool {
        self.ordinal(FactorId::Tick) == 1
    }

    /// Whether the shared count is raised at requests that no cache serves.
    #[inline(always)]
    pub(crate) fn tick_is_batched(self) -> bool {
        self.ordinal(FactorId::Tick) == 2
    }

    /// Whether sizes and latencies are recorded, of all requests or of those that no cache serves.
    #[inline(always)]
    pub(crate) fn evolution(self) -> bool {
        self.ordinal(FactorId::Evolution) != 0
    }

    /// Whether large objects lie in the arena.
    #[inline(always)]
    pub(crate) fn arena(self) -> bool {
        self.ordinal(FactorId::Arena) != 0
    }

    /// Whether threads keep small objects.
    #[inline(always)]
    pub(crate) fn thread_cache(self) -> bool {
        self.ordinal(FactorId::ThreadCache) != 0
    }

    /// When unused memory goes back to the OS; `None` is never.
    #[inline(always)]
    pub(crate) fn purge(self) -> Option<purge::When> {
        match self.ordinal(FactorId::Purge) {
            0 => None,
            1 => Some(purge::When::ByTime),
            _ => Some(purge::When::AtOnce),
        }
    }

    /// Whether freed large mappings are unmapped together.
    #[inline(always)]
    pub(crate) fn madvise_batch(self) -> bool {
        self.ordinal(FactorId::MadviseBatch) != 0
    }

    /// What starts at a multiple of 2 MiB, if anything.
    #[inline(always)]
    pub(crate) fn align(self) -> Option<align::Start> {
        match self.ordinal(FactorId::Align) {
            0 => None,
            1 => Some(align::Start::Mapping),
            _ => Some(align::Start::User),
        }
    }

    /// The rule by which the kernel is advised on huge pages, if it is.
    #[inline(always)]
    pub(crate) fn thp(self) -> Option<thp::Rule> {
        match self.ordinal(FactorId::Thp) {
            0 => None,
            1 => Some(thp::Rule::Always),
            2 => Some(thp::Rule::Dense),
            _ => Some(thp::Rule::Never),
        }
    }

    /// Whether frees are verified by marks. Where objects have headers, or canaries, these verify.
    #[inline(always)]
    pub(crate) fn free_check(self) -> bool {
        self.ordinal(FactorId::FreeCheck) != 0
    }

    /// Whether any of the five factors below is on.
    #[inline(always)]
    pub(crate) fn is_hardened(self) -> bool {
        self.canary() || self.guard_pages() || self.quarantine() || self.zero_free() || self.random_slots()
    }

    /// Whether objects end with a seal.
    #[inline(always)]
    pub(crate) fn canary(self) -> bool {
        self.ordinal(FactorId::Canary) != 0
    }

    /// Whether large objects end with a guard.
    #[inline(always)]
    pub(crate) fn guard_pages(self) -> bool {
        self.ordinal(FactorId::GuardPages) != 0
    }

    /// Whether freed objects wait.
    #[inline(always)]
    pub(crate) fn quarantine(self) -> bool {
        self.ordinal(FactorId::Quarantine) != 0
    }

    /// Whether freed memory is zeroed, and verified when it is used again.
    #[inline(always)]
    pub(crate) fn zero_free(self) -> bool {
        self.ordinal(FactorId::ZeroFree) != 0
    }

    /// Whether slots come in random order.
    #[inline(always)]
    pub(crate) fn random_slots(self) -> bool {
        self.ordinal(FactorId::RandomSlots) != 0
    }

    /// Whether pages of the smallest objects belong to threads.
    #[inline(always)]
    pub(crate) fn owned_pages(self) -> bool {
        self.ordinal(FactorId::OwnedPages) != 0
    }

    /// Whether a factor must see every request, so that no thread may use its cache on the fast path.
    #[inline(always)]
    pub(crate) fn per_request(self) -> bool {
        let evolution = self.evolution() && self.ordinal(FactorId::Evolution) != EVOLUTION_SLOW_PATH;
        self.header().is_some() || self.tick() || evolution || self.elo().is_some() || self.is_hardened()
    }

    fn evolution_policy(self) -> evolution::Policy {
        match self.ordinal(FactorId::Evolution) {
            2 => evolution::Policy::Learn,
            3 => evolution::Policy::Frozen,
            EVOLUTION_SLOW_PATH => evolution::Policy::SlowPath,
            _ => evolution::Policy::Auto,
        }
    }

    /// The level of the factor with this index.
    pub(crate) fn level(self, index: usize) -> Level {
        let factor = &REGISTRY[index];
        let ordinal = (self.0 >> (LEVEL_BITS * index as u32)) & LEVEL_MASK;
        match (factor.present, ordinal, &factor.choice) {
            (false, _, _) => Level::Absent,
            (true, 0, _) => Level::Off,
            (true, n, Some(choice)) => choice.values[n as usize - 1].1,
            (true, _, None) => Level::On,
        }
    }
}

impl FactorId {
    /// Its level in this process. Seals the levels if nothing has sealed them yet.
    pub fn level(self) -> Level {
        seal_once();
        active().level(self as usize)
    }
}

/// Seals the levels, unless they are sealed: the environment over the program's preset. Called before a thread's first
/// request.
pub(crate) fn seal_once() {
    LEVELS.get_or_make(|| {
        let environment = environment::read(Preset::of_program());
        let active = ActiveConfig::of(&environment.levels);
        if active.evolution() {
            evolution::begin(active.evolution_policy(), environment.settings);
            if active.evolution_policy() == evolution::Policy::Frozen {
                elo::freeze();
                original::elo::freeze();
            }
        }
        if active.free_check() {
            free_check::begin();
        }
        if active.canary() {
            canary::begin();
        }
        if active.guard_pages() {
            guard_pages::begin();
        }
        if active.random_slots() {
            random_slots::begin();
        }
        active.0
    });
}
