//! The registry: each factor once, with its name, feature, toggle, levels and counters.
//!
//! This is the only file that names Cargo features of factors. A factor's file in [`crate::factor`] does the work.

use super::level::{Choice, Factor, Level, Variant};
use crate::factor::original::header;
use crate::factor::{
    align, arena, bigcache, canary, elo, evolution, free_check, guard_pages, madvise_batch, owned_pages, purge,
    quarantine, random_slots, thp, thread_cache, tick, zero_free,
};

/// A factor's identity. As a number it is the factor's index in [`registry()`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(usize)]
#[non_exhaustive]
pub enum FactorId {
    /// Keeps freed large objects.
    BigCache,
    /// Chooses by Elo ratings of measured costs.
    Elo,
    /// Writes a header before every object.
    Header,
    /// Counts allocations in one word that all threads share.
    Tick,
    /// Decides when learning stops and restarts.
    Evolution,
    /// Unmaps freed large mappings together.
    MadviseBatch,
    /// Lets large mappings start at a multiple of 2 MiB.
    Align,
    /// Advises the kernel on huge pages.
    Thp,
    /// Takes large objects from one range.
    Arena,
    /// Keeps free small objects in each thread.
    ThreadCache,
    /// Gives unused memory back to the OS.
    Purge,
    /// Verifies with every free that a live object starts at the address.
    FreeCheck,
    /// Gives pages of the smallest objects owners.
    OwnedPages,
    /// Verifies a secret word behind each object.
    Canary,
    /// Ends large objects and pages of slots with an OS page without access.
    GuardPages,
    /// Lets freed objects wait before they are handed out again.
    Quarantine,
    /// Zeroes freed memory and verifies that it stays so.
    ZeroFree,
    /// Hands free slots out in random order.
    RandomSlots,
}

impl FactorId {
    /// All factors, in the order of the registry.
    pub const ALL: [FactorId; FACTORS] = [
        FactorId::BigCache,
        FactorId::Elo,
        FactorId::Header,
        FactorId::Tick,
        FactorId::Evolution,
        FactorId::MadviseBatch,
        FactorId::Align,
        FactorId::Thp,
        FactorId::Arena,
        FactorId::ThreadCache,
        FactorId::Purge,
        FactorId::FreeCheck,
        FactorId::OwnedPages,
        FactorId::Canary,
        FactorId::GuardPages,
        FactorId::Quarantine,
        FactorId::ZeroFree,
        FactorId::RandomSlots,
    ];

    /// The factor of this name, as the registry, Cargo features and configs spell it.
    pub fn from_name(name: &str) -> Option<FactorId> {
        FactorId::ALL.into_iter().find(|id| id.name() == name)
    }

    /// Its name, `[a-z0-9-]+`.
    pub fn name(self) -> &'static str {
        REGISTRY[self as usize].name
    }
}

/// Number of factors.
pub(crate) const FACTORS: usize = 18;

/// The values of a factor with one form that is off by default.
const ON_OR_OFF: &[(&str, Level)] = &[("on", Level::On), ("off", Level::Off)];

/// The registry, in the order of [`FactorId`].
pub(crate) static REGISTRY: [Factor; FACTORS] = [
    Factor {
        name: "bigcache",
        present: cfg!(feature = "bigcache"),
        default: Level::Variant(Variant::Direct),
        toggle: "HAKMEM_DISABLE_BIGCACHE",
        choice: Some(Choice {
            variable: "HAKMEM_BIGCACHE",
            values: &[("ring", Level::On), ("direct", Level::Variant(Variant::Direct)), ("off", Level::Off)],
        }),
        counters: bigcache::Counters::NAMES,
        about: "keeps freed large objects: by size class in each thread, and beyond that in the transfer cache (direct); or by call site, in 64 rings of 4 objects (ring)",
        costs: "direct: 3 KiB per thread, and memory that waits: 2 to 16 objects per class and thread, and in the transfer cache about 32 MiB of all classes together. ring: 2.5 KiB, and up to 64 MiB that wait per ring; a lock and up to four compares per request or free of 1 MiB or more. Both save system calls and page faults",
    },
    Factor {
        name: "elo",
        present: cfg!(feature = "elo"),
        default: Level::Off,
        toggle: "HAKMEM_DISABLE_ELO",
        choice: Some(Choice {
            variable: "HAKMEM_ELO",
            values: &[
                ("softmax", Level::On),
                ("epsilon-greedy", Level::Variant(Variant::EpsilonGreedy)),
                ("slow-path", Level::Variant(Variant::SlowPath)),
                ("off", Level::Off),
            ],
        }),
        counters: elo::Counters::NAMES,
        about: "chooses by Elo ratings of measured costs: one of 12 plans (huge pages, wait before a purge, batches kept), for 64 measured steps of the slow path (slow-path); or one of 12 mmap thresholds for every allocation (softmax, epsilon-greedy); off keeps the plan that all programs start with",
        costs: "slow-path: nothing per allocation; two reads of the cycle counter and two atomic adds per measured step, one `getrusage` per 64. Thresholds: 1 KiB; a random number and up to twelve adds and compares per allocation; two reads of the cycle counter and four atomic adds per large one",
    },
    Factor {
        name: "header",
        present: cfg!(feature = "header"),
        default: Level::Off,
        toggle: "HAKMEM_DISABLE_HEADER",
        choice: Some(Choice {
            variable: "HAKMEM_HEADER",
            values: &[("32", Level::On), ("16", Level::Variant(Variant::Header16)), ("off", Level::Off)],
        }),
        counters: header::Counters::NAMES,
        about: "writes 32 bytes before every object, or 16 with the same in fewer bits, with a magic value that free verifies; when off, free uses the allocator's own records alone",
        costs: "32 or 16 bytes per object (or its alignment), one OS page more for a large power of two; four stores per allocation; a load, a compare and a store per free",
    },
    Factor {
        name: "tick",
        present: cfg!(feature = "tick"),
        default: Level::Variant(Variant::Batched),
        toggle: "HAKMEM_DISABLE_TICK",
        choice: Some(Choice {
            variable: "HAKMEM_TICK",
            values: &[("shared", Level::On), ("batched", Level::Variant(Variant::Batched)), ("off", Level::Off)],
        }),
        counters: tick::Counters::NAMES,
        about: "counts allocations in one word that all threads share: a thread adds what it has counted when it finds a slot list empty (batched), or each allocation at once (shared)",
        costs: "batched: one locked instruction per request that finds a slot list empty. shared: one per allocation, and the cache line moves between cores",
    },
    Factor {
        name: "evolution",
        present: cfg!(feature = "evolution"),
        default: Level::Off,
        toggle: "HAKMEM_DISABLE_EVOLUTION",
        choice: Some(Choice {
            variable: "HAKMEM_EVO_POLICY",
            values: &[
                ("auto", Level::On),
                ("learn", Level::Variant(Variant::Learn)),
                ("frozen", Level::Variant(Variant::Frozen)),
                ("slow-path", Level::Variant(Variant::SlowPath)),
                ("off", Level::Off),
            ],
        }),
        counters: evolution::Counters::NAMES,
        about: "records the sizes and latencies of requests that no cache served (slow-path), or of all (auto, learn, frozen), and decides by p99 and size distribution when learning stops and starts again",
        costs: "0.5 KiB per thread; per recorded request an increment, per 16 two reads of the cycle counter, per 1,024 a read of the clock",
    },
    Factor {
        name: "madvise-batch",
        present: cfg!(feature = "madvise-batch"),
        default: Level::On,
        toggle: "HAKMEM_DISABLE_MADVISE_BATCH",
        choice: None,
        counters: madvise_batch::Counters::NAMES,
        about: "collects freed large mappings and unmaps them together, neighbours in one call",
        costs: "4 KiB, and up to 4 MiB of memory that waits; a lock and two stores per freed mapping; saves system calls",
    },
    Factor {
        name: "align",
        present: cfg!(feature = "align"),
        default: Level::On,
        toggle: "HAKMEM_DISABLE_ALIGN",
        choice: Some(Choice {
            variable: "HAKMEM_ALIGN",
            values: &[("on", Level::On), ("user", Level::Variant(Variant::User)), ("off", Level::Off)],
        }),
        counters: align::Counters::NAMES,
        about: "starts large mappings of 2 MiB or more at a multiple of 2 MiB, so that huge pages can back them: the mapping (on), or the object, with its header on the OS page before (user)",
        costs: "one `munmap` more per mapping whose length is no multiple of 2 MiB; user: one OS page with a header; where the kernel aligns nothing by itself (before Linux 6.7) an `mmap` and up to two `munmap` more",
    },
    Factor {
        name: "thp",
        present: cfg!(feature = "thp"),
        default: Level::Variant(Variant::Dense),
        toggle: "HAKMEM_DISABLE_THP",
        choice: Some(Choice {
            variable: "HAKMEM_THP",
            values: &[
                ("on", Level::On),
                ("dense", Level::Variant(Variant::Dense)),
                ("never", Level::Variant(Variant::Never)),
                ("off", Level::Off),
            ],
        }),
        counters: thp::Counters::NAMES,
        about: "advises the kernel to back memory with huge pages where memory of the same sort was used densely (dense), everywhere but in the first 4 MiB of small objects (on), or not to (never); off leaves it to the system's policy",
        costs: "one `madvise` per mapping, and per half segment or step of the arena; dense: a `mincore` per 2 MiB without a huge page, a `process_vm_readv` per 8 with one; on: 2 MiB of memory where one byte is touched; both save page faults",
    },
    Factor {
        name: "arena",
        present: cfg!(feature = "arena"),
        default: Level::On,
        toggle: "HAKMEM_DISABLE_ARENA",
        choice: None,
        counters: arena::Counters::NAMES,
        about: "takes large objects up to 4 MiB from one reserved range instead of mapping each",
        costs: "address space; a lock and a search of 64 bits where no cache has an object; saves two system calls per object",
    },
    Factor {
        name: "thread-cache",
        present: cfg!(feature = "thread-cache"),
        default: Level::On,
        toggle: "HAKMEM_DISABLE_THREAD_CACHE",
        choice: None,
        counters: thread_cache::Counters::NAMES,
        about: "keeps free small objects in each thread, and passes them on in batches; when off, every request and free takes the lock of its class",
        costs: "30 KiB per thread, up to 380 KiB where it frees many objects of all sizes; what threads hold is at most 512 KiB for each and 32 MiB for all, and goes back when it is not used; in the transfer cache about 32 MiB of all classes together; three instructions for the restartable sequence; saves two locks per object",
    },
    Factor {
        name: "purge",
        present: cfg!(feature = "purge"),
        default: Level::On,
        toggle: "HAKMEM_DISABLE_PURGE",
        choice: Some(Choice {
            variable: "HAKMEM_PURGE",
            values: &[
                ("batched", Level::On),
                ("immediate", Level::Variant(Variant::Immediate)),
                ("never", Level::Off),
                ("on", Level::On),
                ("off", Level::Off),
            ],
        }),
        counters: purge::Counters::NAMES,
        about: "gives unused memory back to the OS, 2 MiB at a time: what was free for 0.6 s (batched), or with the free (immediate)",
        costs: "one `madvise` per 2 MiB, and page faults when they are used again; batched: a thread while anything waits",
    },
    Factor {
        name: "free-check",
        present: cfg!(feature = "free-check"),
        default: Level::On,
        toggle: "HAKMEM_DISABLE_FREE_CHECK",
        choice: None,
        counters: free_check::Counters::NAMES,
        about: "verifies with every free that a live object starts at the address, and ends the process at a double free or a free inside an object; where objects have headers, these verify",
        costs: "17 instructions per small object, whose second word is written when it is freed; about 40 per larger one, and one OS page per 4 MiB of them",
    },
    Factor {
        name: "owned-pages",
        present: cfg!(feature = "owned-pages"),
        default: Level::On,
        toggle: "HAKMEM_DISABLE_OWNED_PAGES",
        choice: None,
        counters: owned_pages::Counters::NAMES,
        about: "takes objects up to 112 bytes from pages that belong to the thread, and sends those that other threads free back to them, so that threads do not share cache lines",
        costs: "about 2 ns per object that another thread frees, where it frees those of many threads, and else none; a page per class and thread, as far as it is used, and 4 KiB of addresses; no instruction on the fast path",
    },
    Factor {
        name: "canary",
        present: cfg!(feature = "canary"),
        default: Level::Off,
        toggle: "HAKMEM_DISABLE_CANARY",
        choice: Some(Choice { variable: "HAKMEM_CANARY", values: ON_OR_OFF }),
        counters: canary::Counters::NAMES,
        about: "writes a secret word behind each object that says how long it is, and verifies it with every free and resize, and that of the slot before it: a write that runs on ends the process. It replaces `free-check`; off where objects have headers",
        costs: "8 bytes per object; up to 72 bytes written per request and read per free; every request takes the slow path",
    },
    Factor {
        name: "guard-pages",
        present: cfg!(feature = "guard-pages"),
        default: Level::Off,
        toggle: "HAKMEM_DISABLE_GUARD_PAGES",
        choice: Some(Choice { variable: "HAKMEM_GUARD_PAGES", values: ON_OR_OFF }),
        counters: guard_pages::Counters::NAMES,
        about: "ends each object beyond 56 KiB, and each page of smaller slots, with an OS page without access; off where objects have headers",
        costs: "addresses: two OS pages per large object, one per page of slots; a system call per slot beyond 56 KiB of a new page, two per object beyond 512 KiB; every request takes the slow path",
    },
    Factor {
        name: "quarantine",
        present: cfg!(feature = "quarantine"),
        default: Level::Off,
        toggle: "HAKMEM_DISABLE_QUARANTINE",
        choice: Some(Choice { variable: "HAKMEM_QUARANTINE", values: ON_OR_OFF }),
        counters: quarantine::Counters::NAMES,
        about: "lets freed objects up to 4 MiB wait in two rings per thread and class, for a random number of frees; off where objects have headers",
        costs: "up to 128 KiB of small objects per class and thread that wait, and 16 larger ones without memory; 74 KiB of records per thread; every request takes the slow path",
    },
    Factor {
        name: "zero-free",
        present: cfg!(feature = "zero-free"),
        default: Level::Off,
        toggle: "HAKMEM_DISABLE_ZERO_FREE",
        choice: Some(Choice { variable: "HAKMEM_ZERO_FREE", values: ON_OR_OFF }),
        counters: zero_free::Counters::NAMES,
        about: "zeroes objects when they are freed, by the OS beyond 56 KiB, and verifies that their memory is zero still when it is handed out again: a write after free ends the process; off where objects have headers",
        costs: "a write and a read of all bytes of each object; a system call and page faults per object beyond 56 KiB; every request takes the slow path",
    },
    Factor {
        name: "random-slots",
        present: cfg!(feature = "random-slots"),
        default: Level::Off,
        toggle: "HAKMEM_DISABLE_RANDOM_SLOTS",
        choice: Some(Choice { variable: "HAKMEM_RANDOM_SLOTS", values: ON_OR_OFF }),
        counters: random_slots::Counters::NAMES,
        about: "hands out a random one of up to 16 free slots; off where objects have headers",
        costs: "up to sixteen moves between stacks per request; every request takes the slow path",
    },
];

/// The registry of all factors, compiled in or not.
pub fn registry() -> &'static [Factor] {
    &REGISTRY
}

/// A level for each factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Levels([Level; FACTORS]);

impl Levels {
    /// The default level of each factor.
    pub(crate) fn defaults() -> Levels {
        Levels(core::array::from_fn(|index| REGISTRY[index].default))
    }

    pub(crate) fn set(&mut self, id: FactorId, level: Level) {
        self.0[id as usize] = level;
    }

    pub(crate) fn set_index(&mut self, index: usize, level: Level) {
        self.0[index] = level;
    }

    /// The level of the factor with this index; absent when it is not compiled in, whatever was set.
    pub(crate) fn get(&self, index: usize) -> Level {
        if REGISTRY[index].present { self.0[index] } else { Level::Absent }
    }

    /// The levels as they were set, in the order of the registry, whether the factors are compiled in or not.
    pub(crate) fn iter(self) -> impl Iterator<Item = Level> {
        self.0.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::factor::Counters;
    use std::string::String;
    use std::vec::Vec;

    #[test]
    fn counters_are_in_the_order_of_the_registry() {
        let names: Vec<String> = REGISTRY.iter().map(|factor| factor.name.replace('-', "_")).collect();
        assert_eq!(Counters::FACTORS, names);
        let counters = Counters::new();
        counters.purge.bytes.add(7);
        for (factor, row) in REGISTRY.iter().enumerate() {
            for (counter, &name) in row.counters.iter().enumerate() {
                let expected = if (row.name, name) == ("purge", "bytes") { 7 } else { 0 };
                assert_eq!(counters.read(factor, counter), expected, "{} {name}", row.name);
            }
        }
    }

    #[test]
    fn ids_are_indices_of_the_registry() {
        for (index, (id, name)) in FactorId::ALL.into_iter().zip(Counters::FACTORS).enumerate() {
            assert_eq!((id as usize, id.name().replace('-', "_")), (index, String::from(*name)));
            assert_eq!(FactorId::from_name(id.name()), Some(id));
            // `MadviseBatch` is the factor `madvise-batch`.
            let spelt: String = std::format!("{id:?}").to_lowercase();
            assert_eq!(spelt, name.replace('_', ""));
        }
        assert_eq!(FactorId::from_name("none"), None);
    }
}
