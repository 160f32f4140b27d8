//! The scenarios: sizes, call sites, and how many operations an iteration and a timed batch have.
//!
//! The file has only tables; the memory shapes stand last, each with the defaults of its parameters. [`crate::workload::script`] draws the order of the operations, and
//! [`crate::workload::lifetime`] decides when a block is freed. Call sites are written out one by one: a macro that
//! expands to several would give all of them its own place in the source.

use crate::os::OS_PAGE;
use crate::workload::shape::{Keep, Parameters, Part, Shape};
use crate::workload::touch::Touch;
use hakmem::{Site, site};
use std::ops::RangeInclusive;

const KIB: u32 = 1 << 10;
const MIB: u32 = 1 << 20;
/// Smallest and largest block that `--bytes` may ask for, bytes.
pub(crate) const BYTES: RangeInclusive<u32> = 16..=64 * MIB;
/// Fewest bytes that are live at once with [`LifetimeRule::AllAtOnce`].
pub(crate) const FILLED_BYTES: u64 = 256 * MIB as u64;
/// Most operations of a timed batch of a given size, and most OS pages or bytes that it touches. This is about 20 µs at the
/// speed of a cache, and agrees with the listed batches of json, mir and vm.
const BATCH_MAX: u64 = 4096;
const BATCH_PAGES: u64 = 8192;
const BATCH_BYTES: u64 = 4 * MIB as u64;

/// How the sizes of a scenario are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sizes {
    /// Groups in which each size occurs once, in a random order. Each size has its own call site.
    Each(&'static [u32]),
    /// First an octave of `first << 0 .. octaves`, then a size within it. This is about log-uniform in
    /// `first ..= first << octaves`, in whole numbers, so that every machine draws the same. Call sites are random.
    Octaves {
        /// Smallest size, bytes.
        first: u32,
        /// Number of doublings.
        octaves: u32,
    },
    /// Whole OS pages from `min` to `max`, both included. Call sites are random.
    Pages {
        /// Smallest size, bytes.
        min: u32,
        /// Largest size, bytes.
        max: u32,
    },
    /// The one size of `--bytes`.
    Given,
    /// A shape's sizes, `--bytes` to `--bytes-max`.
    Range,
}

/// What decides when a block is freed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LifetimeRule {
    /// `--lifetime` decides.
    Chosen,
    /// The scenario decides: a slot is picked at random, and freed when it is occupied, else filled.
    Random,
    /// The scenario decides: another thread frees.
    OtherThread,
    /// The scenario decides: as [`LifetimeRule::Random`], in each of several threads.
    RandomInEachThread,
    /// All blocks are live before the first is freed; `--lifetime` decides the order.
    AllAtOnce,
    /// The scenario decides: a memory shape.
    Shape(Shape),
}

/// One scenario.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// Name on the command line.
    pub(crate) name: &'static str,
    /// Description for `--list`.
    pub(crate) about: &'static str,
    /// Operations per iteration; `None` for as many as fill [`FILLED_BYTES`].
    pub(crate) operations: Option<u64>,
    /// How sizes are drawn.
    pub(crate) sizes: Sizes,
    /// Call sites; with [`Sizes::Each`] one per size.
    pub(crate) sites: &'static [Site],
    /// What decides when a block is freed.
    pub(crate) lifetime: LifetimeRule,
    /// The parameters of a shape, with their defaults.
    pub(crate) shape: Parameters,
    /// How many operations a timed batch has. A batch takes at least about 20 µs with usual allocators, and has every size
    /// of [`Sizes::Each`] equally often.
    batch_size: BatchSize,
}

/// How many operations a timed batch has.
#[derive(Debug)]
enum BatchSize {
    /// With [`Touch::None`], [`Touch::Page`] and [`Touch::Full`].
    Listed([u32; 3]),
    /// Computed from the given size, up to the `BATCH_` limits.
    BySize,
}

impl Scenario {
    /// Operations per timed batch of a warm run. `bytes` is the size with [`Sizes::Given`]; others ignore it.
    pub(crate) fn batch_operations(&self, touch: Touch, bytes: u32) -> u64 {
        match (&self.batch_size, touch) {
            (BatchSize::Listed([none, _, _]), Touch::None) => u64::from(*none),
            (BatchSize::Listed([_, page, _]), Touch::Page) => u64::from(*page),
            (BatchSize::Listed([_, _, full]), Touch::Full) => u64::from(*full),
            (BatchSize::BySize, Touch::None) => BATCH_MAX,
            (BatchSize::BySize, Touch::Page) => (BATCH_PAGES / u64::from(bytes.div_ceil(OS_PAGE))).clamp(1, BATCH_MAX),
            (BatchSize::BySize, Touch::Full) => (BATCH_BYTES / u64::from(bytes)).clamp(1, BATCH_MAX),
        }
    }

    /// The scenario of that name.
    pub(crate) fn named(name: &str) -> Option<&'static Scenario> {
        SCENARIOS.iter().find(|s| s.name == name)
    }
}

/// Every scenario, in the order of the lists.
pub(crate) static SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "json",
        about: "64 KiB, one call site",
        operations: Some(1000),
        sizes: Sizes::Each(&[64 * KIB]),
        sites: &[site!()],
        lifetime: LifetimeRule::Chosen,
        shape: NO_SHAPE,
        batch_size: BatchSize::Listed([1000, 500, 50]),
    },
    Scenario {
        name: "mir",
        about: "256 KiB, one call site",
        operations: Some(100),
        sizes: Sizes::Each(&[256 * KIB]),
        sites: &[site!()],
        lifetime: LifetimeRule::Chosen,
        shape: NO_SHAPE,
        batch_size: BatchSize::Listed([1000, 100, 10]),
    },
    Scenario {
        name: "vm",
        about: "2 MiB, one call site",
        operations: Some(10),
        sizes: Sizes::Each(&[2 * MIB]),
        sites: &[site!()],
        lifetime: LifetimeRule::Chosen,
        shape: NO_SHAPE,
        batch_size: BatchSize::Listed([1000, 10, 2]),
    },
    Scenario {
        name: "mixed",
        about: "64 KiB, 256 KiB and 2 MiB in random order, equally often, each from its call site",
        operations: Some(100),
        sizes: Sizes::Each(&[64 * KIB, 256 * KIB, 2 * MIB]),
        sites: &[site!(), site!(), site!()],
        lifetime: LifetimeRule::Chosen,
        shape: NO_SHAPE,
        batch_size: BatchSize::Listed([1002, 48, 6]),
    },
    Scenario {
        name: "small",
        about: "16 B to 1 KiB, about log-uniform, eight call sites",
        operations: Some(10_000),
        sizes: Sizes::Octaves { first: 16, octaves: 6 },
        sites: &[site!(), site!(), site!(), site!(), site!(), site!(), site!(), site!()],
        lifetime: LifetimeRule::Chosen,
        shape: NO_SHAPE,
        batch_size: BatchSize::Listed([2000, 2000, 1000]),
    },
    Scenario {
        name: "churn",
        about: "1 to 4 MiB, eight call sites, random lifetimes in 64 slots, about 32 blocks live",
        operations: Some(100),
        sizes: Sizes::Pages { min: MIB, max: 4 * MIB },
        sites: &[site!(), site!(), site!(), site!(), site!(), site!(), site!(), site!()],
        lifetime: LifetimeRule::Random,
        shape: NO_SHAPE,
        batch_size: BatchSize::Listed([1000, 10, 2]),
    },
    Scenario {
        name: "threads",
        about: "16 B to 4 KiB, eight call sites; each of --threads producers has a second thread that frees its blocks",
        operations: Some(10_000),
        sizes: Sizes::Octaves { first: 16, octaves: 8 },
        sites: &[site!(), site!(), site!(), site!(), site!(), site!(), site!(), site!()],
        lifetime: LifetimeRule::OtherThread,
        shape: NO_SHAPE,
        batch_size: BatchSize::Listed([2000, 2000, 1000]),
    },
    Scenario {
        name: "fixed",
        about: "blocks of --bytes, 16 B to 64 MiB, one call site",
        operations: Some(1),
        sizes: Sizes::Given,
        sites: &[site!()],
        lifetime: LifetimeRule::Chosen,
        shape: NO_SHAPE,
        batch_size: BatchSize::BySize,
    },
    Scenario {
        name: "parallel",
        about: "the sizes of small, random lifetimes, in each of --threads threads at once; ns/op is wall time divided by \
                the operations of all threads",
        operations: Some(10_000),
        sizes: Sizes::Octaves { first: 16, octaves: 6 },
        sites: &[site!(), site!(), site!(), site!(), site!(), site!(), site!(), site!()],
        lifetime: LifetimeRule::RandomInEachThread,
        shape: NO_SHAPE,
        batch_size: BatchSize::Listed([2000, 2000, 1000]),
    },
    Scenario {
        name: "memory-return",
        about: "256 MiB in blocks of --bytes, all freed, then --rest; measures how much stays resident",
        operations: None,
        sizes: Sizes::Given,
        sites: &[site!()],
        lifetime: LifetimeRule::AllAtOnce,
        shape: NO_SHAPE,
        batch_size: BatchSize::BySize,
    },
    shape(
        "idle-threads",
        Shape::IdleThreads,
        &[site!()],
        "--threads use all sizes --bytes to --bytes-max, free everything and \
        sleep for --seconds. --live: bytes of a thread, of all sizes at once; --count N: N objects of one size at a time instead",
        Parameters {
            bytes_max: Some(1 << 15),
            live: Some(8 << 20),
            count: Some(0),
            threads: Some(32),
            seconds: Some(2.0),
            ..NO_SHAPE
        },
    ),
    shape(
        "phases",
        Shape::Phases,
        &[site!()],
        "--count phases of one size each, --bytes to --bytes-max, with --live bytes; everything is \
        freed between them",
        Parameters { bytes: Some(64), bytes_max: Some(9 << 20), live: Some(60 << 20), count: Some(10), ..NO_SHAPE },
    ),
    shape(
        "sparse",
        Shape::Sparse,
        &[site!()],
        "objects of --bytes, --live bytes in all; one byte of each is written",
        Parameters { bytes: Some(20_000), live: Some(1 << 30), ..NO_SHAPE },
    ),
    shape(
        "survivors",
        Shape::Survivors,
        &[site!()],
        "--live bytes of objects of --bytes, of which --keep stays; then --seconds without a call. A \
        second part of --keep frees more, and waits again",
        Parameters {
            bytes: Some(1024),
            live: Some(64 << 20),
            keep: Some(Keep { first: Part::new(1, 64), second: None }),
            seconds: Some(4.0),
            ..NO_SHAPE
        },
    ),
    shape(
        "aligned",
        Shape::Aligned,
        &[site!()],
        "--count objects of --bytes with the alignment --align, then as many that are freed at once",
        Parameters { bytes: Some(64), align: Some(1 << 16), count: Some(20_000), ..NO_SHAPE },
    ),
    shape(
        "calloc",
        Shape::Calloc,
        &[site!()],
        "a zeroed object of --bytes, of which two bytes are written, again and again",
        Parameters { bytes: Some(64 << 20), ..NO_SHAPE },
    ),
    shape(
        "resize",
        Shape::Resize,
        &[site!()],
        "--count buffers grow by --step to --bytes, in turn, and are then halved; --seconds later resident \
        memory is read again",
        Parameters { bytes: Some(64 << 20), step: Some(1 << 16), count: Some(1), seconds: Some(0.0), ..NO_SHAPE },
    ),
    shape(
        "large-reuse",
        Shape::LargeReuse,
        &[site!()],
        "objects of --bytes to --bytes-max in a ring of --count; after the last, all are freed and \
        --seconds pass",
        Parameters { bytes: Some(5 << 20), bytes_max: Some(64 << 20), count: Some(4), seconds: Some(2.0), ..NO_SHAPE },
    ),
    shape(
        "thread-churn",
        Shape::ThreadChurn,
        &[site!()],
        "--threads start at once, request and free --count objects of --bytes to --bytes-max each, and \
        end",
        Parameters { bytes_max: Some(1 << 15), count: Some(1000), threads: Some(4), ..NO_SHAPE },
    ),
    shape(
        "producers-consumers",
        Shape::ProducersConsumers,
        &[site!()],
        "each of --threads requests --count objects of --bytes to --bytes-max, and \
        --consumers free them",
        Parameters { bytes_max: Some(1 << 12), count: Some(100_000), threads: Some(3), consumers: Some(1), ..NO_SHAPE },
    ),
    shape(
        "neighbours",
        Shape::Neighbours,
        &[site!()],
        "--threads with --count objects of --bytes each free every second object of the next thread, \
        request as many again, and write; measures the writes",
        Parameters { count: Some(1000), threads: Some(2), ..NO_SHAPE },
    ),
    shape(
        "bursts",
        Shape::Bursts,
        &[site!()],
        "--live bytes of objects of --bytes are requested and freed, once in --seconds",
        Parameters { bytes: Some(256), live: Some(256 << 20), seconds: Some(1.0), ..NO_SHAPE },
    ),
    shape(
        "drift",
        Shape::Drift,
        &[site!()],
        "a cache of --live bytes whose objects go from --bytes to --bytes-max in --count steps; random ones make \
        room. Then all are freed and --seconds pass",
        Parameters {
            bytes: Some(64),
            bytes_max: Some(4096),
            live: Some(256 << 20),
            count: Some(16),
            seconds: Some(2.0),
            ..NO_SHAPE
        },
    ),
    shape(
        "fork",
        Shape::Fork,
        &[site!()],
        "the process forks while --threads request and free objects of --bytes to --bytes-max; the child requests \
        one",
        Parameters { bytes_max: Some(1 << 15), threads: Some(8), ..NO_SHAPE },
    ),
];

/// The parameters of a scenario that is no shape, and those of a shape that gives no other: its smallest size.
const NO_SHAPE: Parameters = Parameters {
    bytes: None,
    bytes_max: None,
    live: None,
    count: None,
    align: None,
    step: None,
    keep: None,
    threads: None,
    consumers: None,
    seconds: None,
};

/// A memory shape. It has a smallest size, from 16 bytes where nothing else is said.
const fn shape(
    name: &'static str,
    shape: Shape,
    sites: &'static [Site],
    about: &'static str,
    parameters: Parameters,
) -> Scenario {
    let bytes = match parameters.bytes {
        Some(bytes) => bytes,
        None => 16,
    };
    Scenario {
        name,
        about,
        operations: None,
        sizes: Sizes::Range,
        sites,
        lifetime: LifetimeRule::Shape(shape),
        shape: Parameters { bytes: Some(bytes), ..parameters },
        batch_size: BatchSize::BySize,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_there_once_and_are_found() {
        for scenario in SCENARIOS {
            assert_eq!(SCENARIOS.iter().filter(|s| s.name == scenario.name).count(), 1, "{}", scenario.name);
            assert_eq!(Scenario::named(scenario.name).map(|s| s.name), Some(scenario.name));
        }
        assert!(Scenario::named("vmm").is_none());
    }

    #[test]
    fn call_sites_are_distinct() {
        let sites: Vec<Site> = SCENARIOS.iter().flat_map(|s| s.sites).copied().collect();
        for (i, site) in sites.iter().enumerate() {
            assert!(!sites[..i].contains(site), "call site {i} of {} occurs twice", sites.len());
        }
    }

    #[test]
    fn batches_hold_whole_groups_and_untouched_ones_a_thousand() {
        for scenario in SCENARIOS {
            assert!(scenario.batch_operations(Touch::None, 64) >= 1000, "{}", scenario.name);
            if let Sizes::Each(sizes) = scenario.sizes {
                assert_eq!(sizes.len(), scenario.sites.len(), "{}", scenario.name);
                for touch in [Touch::None, Touch::Page, Touch::Full] {
                    assert_eq!(scenario.batch_operations(touch, 0) % sizes.len() as u64, 0, "{}", scenario.name);
                }
            }
        }
    }

    #[test]
    fn batches_of_a_given_size_shrink_with_what_is_touched() {
        let fixed = Scenario::named("fixed").expect("a known scenario");
        let batches = |bytes| [Touch::None, Touch::Page, Touch::Full].map(|touch| fixed.batch_operations(touch, bytes));
        assert_eq!(batches(16), [4096, 4096, 4096]);
        assert_eq!(batches(64 * KIB), [4096, 512, 64]);
        assert_eq!(batches(2 * MIB), [4096, 16, 2]);
        assert_eq!(batches(64 * MIB), [4096, 1, 1]);
    }
}
