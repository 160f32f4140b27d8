//! The registry of factors: each overhead source once, with its name, feature, toggle, levels and counters.
//!
//! This is the only place that names Cargo features; whether a factor is at work says [`crate::active`], and the factor
//! files do the work and never ask. In which order factors act on a request is written in [`crate::alloc`].

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

use crate::active;
pub(crate) use crate::active::{Active, Levels, active, seal_once};
pub use crate::active::{AlreadySealed, seal};
pub use crate::level::{Choice, Factor, Level};
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
        costs: "one locked instruction an allocation, and the line travels between cores; batched: one for up to 126 allocations or more",
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
        costs: "one `madvise` a mapping, or step of the arena, up to 64 MiB; `on` 2 MiB of memory where one byte is touched; saves page faults",
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
    active::acquire_for_fork();
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
    // SAFETY: passed on.
    unsafe {
        madvise_batch::release_after_fork();
        evolution::release_after_fork();
        elo::release_after_fork();
        bigcache::release_after_fork();
        active::release_after_fork();
    }
}
