//! The registry of factors: each overhead source once, with its name, feature, toggle, levels and counters.
//!
//! This is the only place that names Cargo features and that decides whether a factor is at work; the factor files do
//! the work and never ask. Levels are sealed before the first request ([`seal_once`]) and never change after: the
//! packed word of [`active`] is one relaxed load. In which order factors act on a request is written in
//! [`crate::source`]; how the environment is read, in [`crate::env`].

/// Declares a factor's counters: a struct of [`crate::sync::Count`], and their names.
macro_rules! counters {
    ($($(#[$about:meta])* $name:ident),+ $(,)?) => {
        /// Activity counters of one thread.
        #[derive(Debug)]
        pub(crate) struct Counters {
            $($(#[$about])* pub(crate) $name: $crate::sync::Count,)+
        }

        impl Counters {
            pub(crate) const NAMES: &'static [&'static str] = &[$(stringify!($name)),+];

            pub(crate) const fn new() -> Counters {
                Counters { $($name: $crate::sync::Count::new()),+ }
            }

            pub(super) fn read(&self, index: usize) -> u64 {
                [$(&self.$name),+][index].get()
            }
        }
    };
}

pub(crate) mod align;
pub(crate) mod arena;
pub(crate) mod bigcache;
pub(crate) mod elo;
pub(crate) mod evolution;
pub(crate) mod header;
pub(crate) mod madvise_batch;
pub(crate) mod purge;
pub(crate) mod thp;
pub(crate) mod thread_cache;
pub(crate) mod tick;

use crate::env;
pub use crate::level::{Choice, Factor, Level};
use crate::preset::Mode;
use crate::sync::{Once, global};
pub use evolution::Setting;

/// Index of a factor in the registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub(crate) enum Id {
    BigCache,
    Elo,
    Header,
    Tick,
    Evolution,
    MadviseBatch,
    Align,
    Thp,
    Arena,
    ThreadCache,
    Purge,
}

/// Number of factors.
pub(crate) const FACTORS: usize = 11;

/// The registry, in the order of [`Id`].
pub(crate) static REGISTRY: [Factor; FACTORS] = [
    Factor {
        name: "bigcache",
        present: cfg!(feature = "bigcache"),
        default: Level::Variant("direct"),
        toggle: "HAKMEM_DISABLE_BIGCACHE",
        choice: Some(Choice {
            variable: "HAKMEM_BIGCACHE",
            values: &[("ring", Level::On), ("direct", Level::Variant("direct"))],
        }),
        counters: bigcache::Counters::NAMES,
        about: "keeps freed large objects: by call site, 64 sites with a ring of 4 each (ring); or in each thread by size class, without a search, and what is over for all threads (direct)",
        costs: "ring: 2.5 KiB, and memory that waits, up to 64 MiB a row of sites; a lock and up to four compares a request or free of 1 MiB or more. direct: 3 KiB a thread, 2 to 16 objects of a class in each and up to 32 MiB of a class for all; nothing that small objects do not cost. Both save system calls and page faults",
    },
    Factor {
        name: "elo",
        present: cfg!(feature = "elo"),
        default: Level::Variant("slow-path"),
        toggle: "HAKMEM_DISABLE_ELO",
        choice: Some(Choice {
            variable: "HAKMEM_ELO",
            values: &[
                ("softmax", Level::On),
                ("epsilon-greedy", Level::Variant("epsilon-greedy")),
                ("slow-path", Level::Variant("slow-path")),
            ],
        }),
        counters: elo::Counters::NAMES,
        about: "chooses by Elo ratings of measured costs: one of 12 mmap thresholds for every allocation (softmax, epsilon-greedy), or one of 12 plans for huge pages, waiting and keeping for every 64 runs that no cache had (slow-path)",
        costs: "1 KiB; a random number and up to twelve adds and compares an allocation; two reads of the cycle counter and four atomic adds a large one. slow-path: nothing an allocation; two reads of the cycle counter and two atomic adds a run, one `getrusage` for 64",
    },
    Factor {
        name: "header",
        present: cfg!(feature = "header"),
        default: Level::Off,
        toggle: "HAKMEM_DISABLE_HEADER",
        choice: Some(Choice {
            variable: "HAKMEM_HEADER",
            values: &[("32", Level::On), ("16", Level::Variant("16")), ("off", Level::Off)],
        }),
        counters: header::Counters::NAMES,
        about: "32 bytes before every object, or 16 with the same in fewer bits, with a magic value that free verifies; off, records apart tell everything",
        costs: "32 or 16 bytes an object (or its alignment), one OS page more for a large power of two; four stores an allocation, a load, a compare and a store a free",
    },
    Factor {
        name: "tick",
        present: cfg!(feature = "tick"),
        default: Level::Variant("batched"),
        toggle: "HAKMEM_DISABLE_TICK",
        choice: Some(Choice {
            variable: "HAKMEM_TICK",
            values: &[("shared", Level::On), ("batched", Level::Variant("batched"))],
        }),
        counters: tick::Counters::NAMES,
        about: "a count of allocations that all threads share: one atomic fetch_add per allocation (shared), or one whenever a thread's cache is empty, by what the thread counted since (batched)",
        costs: "one locked instruction an allocation, and the line travels between cores; batched: one for up to 62 allocations or more",
    },
    Factor {
        name: "evolution",
        present: cfg!(feature = "evolution"),
        default: Level::Variant("slow-path"),
        toggle: "HAKMEM_DISABLE_EVOLUTION",
        choice: Some(Choice {
            variable: "HAKMEM_EVO_POLICY",
            values: &[
                ("auto", Level::On),
                ("learn", Level::Variant("learn")),
                ("frozen", Level::Variant("frozen")),
                ("slow-path", Level::Variant("slow-path")),
                ("off", Level::Off),
            ],
        }),
        counters: evolution::Counters::NAMES,
        about: "records the size of every request, or of every one that no cache served (slow-path), and decides by p99 and size distribution when learning stops and starts again",
        costs: "0.5 KiB a thread; an increment an allocation, two reads of the cycle counter every 16th, a clock every 1,024th",
    },
    Factor {
        name: "madvise-batch",
        present: cfg!(feature = "madvise-batch"),
        default: Level::On,
        toggle: "HAKMEM_DISABLE_MADVISE_BATCH",
        choice: None,
        counters: madvise_batch::Counters::NAMES,
        about: "collects freed spans and unmaps them together, neighbours in one call",
        costs: "4 KiB, and up to 4 MiB of memory that waits; a lock and two stores a freed span; saves system calls",
    },
    Factor {
        name: "align",
        present: cfg!(feature = "align"),
        default: Level::On,
        toggle: "HAKMEM_DISABLE_ALIGN",
        choice: Some(Choice {
            variable: "HAKMEM_ALIGN",
            values: &[("on", Level::On), ("user", Level::Variant("user")), ("off", Level::Off)],
        }),
        counters: align::Counters::NAMES,
        about: "starts spans of 2 MiB or more at a multiple of 2 MiB, so that huge pages can back them: the mapping (on), or the object itself, its header on the page before (user)",
        costs: "one `munmap` more a span whose length is no multiple of 2 MiB; `user` one OS page with a header; where the kernel aligns nothing by itself (before Linux 6.7) an `mmap` and up to two `munmap` more",
    },
    Factor {
        name: "thp",
        present: cfg!(feature = "thp"),
        default: Level::On,
        toggle: "HAKMEM_DISABLE_THP",
        choice: Some(Choice {
            variable: "HAKMEM_THP",
            values: &[("on", Level::On), ("never", Level::Variant("never")), ("off", Level::Off)],
        }),
        counters: thp::Counters::NAMES,
        about: "advises the kernel to back large objects, and small ones beyond the first 16 MiB, with huge pages (on), or not to (never); off leaves them to the system's policy",
        costs: "one `madvise` a mapping, or 64 MiB of the arena; `on` 2 MiB of memory where one byte is touched; saves page faults",
    },
    Factor {
        name: "arena",
        present: cfg!(feature = "arena"),
        default: Level::On,
        toggle: "HAKMEM_DISABLE_ARENA",
        choice: None,
        counters: arena::Counters::NAMES,
        about: "takes large objects up to 4 MiB from one reserved range instead of mapping each",
        costs: "address space; a lock and a search of 64 bits where no cache has an object; saves two system calls an object",
    },
    Factor {
        name: "thread-cache",
        present: cfg!(feature = "thread-cache"),
        default: Level::On,
        toggle: "HAKMEM_DISABLE_THREAD_CACHE",
        choice: None,
        counters: thread_cache::Counters::NAMES,
        about: "keeps free small objects in each thread, and passes them on in batches; off, every request and free takes the lock of its class",
        costs: "25 KiB a thread, up to 240 KiB where it frees many, and up to a MiB of each class that waits; saves two locks an object",
    },
    Factor {
        name: "purge",
        present: cfg!(feature = "purge"),
        default: Level::On,
        toggle: "HAKMEM_DISABLE_PURGE",
        choice: Some(Choice {
            variable: "HAKMEM_PURGE",
            values: &[("batched", Level::On), ("immediate", Level::Variant("immediate")), ("never", Level::Off)],
        }),
        counters: purge::Counters::NAMES,
        about: "gives memory that nobody uses back to the OS, 2 MiB at a time: what was free for a second (batched), or with the free (immediate)",
        costs: "one `madvise` 2 MiB, and page faults when they are used again; batched: a thread while anything waits",
    },
];

/// The registry of all factors, compiled in or not.
pub fn registry() -> &'static [Factor] {
    &REGISTRY
}

/// The variables that set the numbers of the lifecycle (factor `evolution`).
pub fn lifecycle_settings() -> &'static [Setting] {
    evolution::VARIABLES
}

/// A level for each factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Levels([Level; FACTORS]);

impl Levels {
    pub(crate) fn set(&mut self, id: Id, level: Level) {
        self.0[id as usize] = level;
    }

    pub(crate) fn set_index(&mut self, index: usize, level: Level) {
        self.0[index] = level;
    }

    /// The level of the factor with this index; absent when it is not compiled in, whatever was set.
    pub(crate) fn get(&self, index: usize) -> Level {
        if REGISTRY[index].present { self.0[index] } else { Level::Absent }
    }

    /// The levels when nothing is said.
    pub(crate) fn defaults() -> Levels {
        Levels(core::array::from_fn(|index| REGISTRY[index].default))
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Level> {
        self.0.into_iter()
    }

    fn pack(&self) -> u64 {
        let mut word = SEALED;
        for (index, factor) in REGISTRY.iter().enumerate() {
            let ordinal = match self.get(index) {
                Level::Absent | Level::Off => 0,
                Level::On => 1,
                // A choice's position is its ordinal: `on` is the first value.
                Level::Variant(name) => factor.choice.as_ref().map_or(1, |choice| {
                    choice.values.iter().position(|(_, level)| *level == Level::Variant(name)).unwrap_or(0) as u64 + 1
                }),
            };
            word |= ordinal << (LEVEL_BITS * index as u32);
        }
        word
    }
}

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

global! {
    /// The sealed levels, packed, which are never 0.
    static LEVELS: Once = Once::new();
}

/// The level of evolution that sees only what no cache serves.
const EVOLUTION_SLOW_PATH: u64 = 4;

/// Which factors are at work: the sealed levels, packed. Copied around within a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Active(u64);

/// The sealed levels; before the seal, nothing is at work.
#[inline(always)]
pub(crate) fn active() -> Active {
    // Threads seal, or see the seal, before their first request.
    Active(LEVELS.peek())
}

impl Active {
    #[inline(always)]
    fn ordinal(self, id: Id) -> u64 {
        (self.0 >> (LEVEL_BITS * id as u32)) & LEVEL_MASK
    }

    /// Whether BigCache keeps spans by call site.
    #[inline(always)]
    pub(crate) fn bigcache_is_ring(self) -> bool {
        cfg!(feature = "bigcache") && self.ordinal(Id::BigCache) == 1
    }

    /// Whether BigCache keeps large objects by size class.
    #[inline(always)]
    pub(crate) fn bigcache_is_direct(self) -> bool {
        cfg!(feature = "bigcache") && self.ordinal(Id::BigCache) == 2
    }

    /// How thresholds are drawn for every request, if they are.
    #[inline(always)]
    pub(crate) fn elo(self) -> Option<elo::Selection> {
        if !cfg!(feature = "elo") {
            return None;
        }
        match self.ordinal(Id::Elo) {
            1 => Some(elo::Selection::Softmax),
            2 => Some(elo::Selection::EpsilonGreedy),
            _ => None,
        }
    }

    /// Whether plans are learned where no cache serves.
    #[inline(always)]
    pub(crate) fn elo_plans(self) -> bool {
        cfg!(feature = "elo") && self.ordinal(Id::Elo) == 3
    }

    #[inline(always)]
    pub(crate) fn header(self) -> Option<header::Form> {
        match (cfg!(feature = "header"), self.ordinal(Id::Header)) {
            (false, _) | (_, 0) => None,
            (_, 1) => Some(header::Form::Full),
            _ => Some(header::Form::Packed),
        }
    }

    /// Whether every request raises the shared count.
    #[inline(always)]
    pub(crate) fn tick(self) -> bool {
        cfg!(feature = "tick") && self.ordinal(Id::Tick) == 1
    }

    /// Whether the shared count is raised where no cache serves.
    #[inline(always)]
    pub(crate) fn tick_is_batched(self) -> bool {
        cfg!(feature = "tick") && self.ordinal(Id::Tick) == 2
    }

    #[inline(always)]
    pub(crate) fn evolution(self) -> bool {
        cfg!(feature = "evolution") && self.ordinal(Id::Evolution) != 0
    }

    #[inline(always)]
    pub(crate) fn arena(self) -> bool {
        cfg!(feature = "arena") && self.ordinal(Id::Arena) != 0
    }

    #[inline(always)]
    pub(crate) fn thread_cache(self) -> bool {
        cfg!(feature = "thread-cache") && self.ordinal(Id::ThreadCache) != 0
    }

    #[inline(always)]
    pub(crate) fn purge(self) -> Option<purge::When> {
        match (cfg!(feature = "purge"), self.ordinal(Id::Purge)) {
            (false, _) | (_, 0) => None,
            (_, 1) => Some(purge::When::ByTime),
            _ => Some(purge::When::AtOnce),
        }
    }

    #[inline(always)]
    pub(crate) fn madvise_batch(self) -> bool {
        cfg!(feature = "madvise-batch") && self.ordinal(Id::MadviseBatch) != 0
    }

    #[inline(always)]
    pub(crate) fn align(self) -> Option<align::Start> {
        match (cfg!(feature = "align"), self.ordinal(Id::Align)) {
            (false, _) | (_, 0) => None,
            (_, 1) => Some(align::Start::Mapping),
            _ => Some(align::Start::User),
        }
    }

    #[inline(always)]
    pub(crate) fn thp(self) -> Option<thp::Advice> {
        match (cfg!(feature = "thp"), self.ordinal(Id::Thp)) {
            (false, _) | (_, 0) => None,
            (_, 1) => Some(thp::Advice::Huge),
            _ => Some(thp::Advice::Small),
        }
    }

    /// Whether some factor must see every request, so that no thread may use its cache unseen.
    #[inline(always)]
    pub(crate) fn per_request(self) -> bool {
        let evolution = self.evolution() && self.ordinal(Id::Evolution) != EVOLUTION_SLOW_PATH;
        self.header().is_some() || self.tick() || evolution || self.elo().is_some()
    }

    fn evolution_policy(self) -> evolution::Policy {
        match self.ordinal(Id::Evolution) {
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

/// The levels were sealed before: by an earlier call, or by the first request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlreadySealed;

impl core::fmt::Display for AlreadySealed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the levels are sealed already; call seal() before the first request")
    }
}

impl core::error::Error for AlreadySealed {}

/// Seals the levels: the toggles of the environment over a preset. `HAKMEM_MODE` overrides the preset.
///
/// # Errors
/// [`AlreadySealed`] when a request or an earlier call came first; nothing changes then.
pub fn seal(mode: Mode) -> Result<(), AlreadySealed> {
    if seal_with(mode) { Ok(()) } else { Err(AlreadySealed) }
}

/// Seals the default levels unless they are sealed. Called before a thread's first request.
pub(crate) fn seal_once() {
    seal_with(Mode::Default);
}

fn seal_with(mode: Mode) -> bool {
    let (_, is_ours) = LEVELS.get_or_make(|| {
        let environment = env::read(mode);
        let active = Active(environment.levels.pack());
        if active.evolution() {
            evolution::begin(active.evolution_policy(), environment.settings);
        }
        active.0
    });
    is_ours
}

/// Activity counters of one thread.
#[derive(Debug)]
pub(crate) struct Counters {
    pub(crate) bigcache: bigcache::Counters,
    pub(crate) elo: elo::Counters,
    pub(crate) header: header::Counters,
    pub(crate) tick: tick::Counters,
    pub(crate) evolution: evolution::Counters,
    pub(crate) madvise_batch: madvise_batch::Counters,
    pub(crate) align: align::Counters,
    pub(crate) thp: thp::Counters,
    pub(crate) arena: arena::Counters,
    pub(crate) thread_cache: thread_cache::Counters,
    pub(crate) purge: purge::Counters,
}

impl Counters {
    /// All at zero; so are zeroes.
    pub(crate) const fn new() -> Counters {
        Counters {
            bigcache: bigcache::Counters::new(),
            elo: elo::Counters::new(),
            header: header::Counters::new(),
            tick: tick::Counters::new(),
            evolution: evolution::Counters::new(),
            madvise_batch: madvise_batch::Counters::new(),
            align: align::Counters::new(),
            thp: thp::Counters::new(),
            arena: arena::Counters::new(),
            thread_cache: thread_cache::Counters::new(),
            purge: purge::Counters::new(),
        }
    }

    /// The counter of the factor with this index.
    pub(crate) fn read(&self, index: usize, counter: usize) -> u64 {
        match index {
            0 => self.bigcache.read(counter),
            1 => self.elo.read(counter),
            2 => self.header.read(counter),
            3 => self.tick.read(counter),
            4 => self.evolution.read(counter),
            5 => self.madvise_batch.read(counter),
            6 => self.align.read(counter),
            7 => self.thp.read(counter),
            8 => self.arena.read(counter),
            9 => self.thread_cache.read(counter),
            _ => self.purge.read(counter),
        }
    }
}

/// State of the factors in one thread. Zeroes are the state of a new thread.
#[derive(Debug)]
pub(crate) struct Locals {
    pub(crate) elo: elo::Local,
    pub(crate) evolution: evolution::Local,
    pub(crate) tick: tick::Local,
}

/// The locks of the factors, for the handlers around a fork.
pub(crate) fn acquire_for_fork() {
    LEVELS.acquire();
    bigcache::acquire_for_fork();
    elo::acquire_for_fork();
    evolution::acquire_for_fork();
    madvise_batch::acquire_for_fork();
}

/// Frees the locks after a fork.
///
/// # Safety
/// - [`acquire_for_fork`] took them.
pub(crate) unsafe fn release_after_fork() {
    // SAFETY: passed on, and the seal is held.
    unsafe {
        madvise_batch::release_after_fork();
        evolution::release_after_fork();
        elo::release_after_fork();
        bigcache::release_after_fork();
        LEVELS.release();
    }
}
