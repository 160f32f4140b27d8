//! The scenarios: sizes, call sites, and how many operations an iteration and a timed batch have.
//!
//! The file has only tables. [`crate::workload::script`] draws the order of the operations, and
//! [`crate::workload::lifetime`] decides when a block is freed. Call sites are written out one by one: a macro that
//! expands to several would give all of them its own place in the source.

use crate::os::OS_PAGE;
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
        batch_size: BatchSize::Listed([1000, 500, 50]),
    },
    Scenario {
        name: "mir",
        about: "256 KiB, one call site",
        operations: Some(100),
        sizes: Sizes::Each(&[256 * KIB]),
        sites: &[site!()],
        lifetime: LifetimeRule::Chosen,
        batch_size: BatchSize::Listed([1000, 100, 10]),
    },
    Scenario {
        name: "vm",
        about: "2 MiB, one call site",
        operations: Some(10),
        sizes: Sizes::Each(&[2 * MIB]),
        sites: &[site!()],
        lifetime: LifetimeRule::Chosen,
        batch_size: BatchSize::Listed([1000, 10, 2]),
    },
    Scenario {
        name: "mixed",
        about: "64 KiB, 256 KiB and 2 MiB in random order, equally often, each from its call site",
        operations: Some(100),
        sizes: Sizes::Each(&[64 * KIB, 256 * KIB, 2 * MIB]),
        sites: &[site!(), site!(), site!()],
        lifetime: LifetimeRule::Chosen,
        batch_size: BatchSize::Listed([1002, 48, 6]),
    },
    Scenario {
        name: "small",
        about: "16 B to 1 KiB, about log-uniform, eight call sites",
        operations: Some(10_000),
        sizes: Sizes::Octaves { first: 16, octaves: 6 },
        sites: &[site!(), site!(), site!(), site!(), site!(), site!(), site!(), site!()],
        lifetime: LifetimeRule::Chosen,
        batch_size: BatchSize::Listed([2000, 2000, 1000]),
    },
    Scenario {
        name: "churn",
        about: "1 to 4 MiB, eight call sites, random lifetimes in 64 slots, about 32 blocks live",
        operations: Some(100),
        sizes: Sizes::Pages { min: MIB, max: 4 * MIB },
        sites: &[site!(), site!(), site!(), site!(), site!(), site!(), site!(), site!()],
        lifetime: LifetimeRule::Random,
        batch_size: BatchSize::Listed([1000, 10, 2]),
    },
    Scenario {
        name: "threads",
        about: "16 B to 4 KiB, eight call sites; each of --threads producers has a second thread that frees its blocks",
        operations: Some(10_000),
        sizes: Sizes::Octaves { first: 16, octaves: 8 },
        sites: &[site!(), site!(), site!(), site!(), site!(), site!(), site!(), site!()],
        lifetime: LifetimeRule::OtherThread,
        batch_size: BatchSize::Listed([2000, 2000, 1000]),
    },
    Scenario {
        name: "fixed",
        about: "blocks of --bytes, 16 B to 64 MiB, one call site",
        operations: Some(1),
        sizes: Sizes::Given,
        sites: &[site!()],
        lifetime: LifetimeRule::Chosen,
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
        batch_size: BatchSize::Listed([2000, 2000, 1000]),
    },
    Scenario {
        name: "memory-return",
        about: "256 MiB in blocks of --bytes, all freed, then --rest; measures how much stays resident",
        operations: None,
        sizes: Sizes::Given,
        sites: &[site!()],
        lifetime: LifetimeRule::AllAtOnce,
        batch_size: BatchSize::BySize,
    },
];

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
