//! The scenarios: sizes, call sites, how many operations an iteration has, and how many a batch.
//!
//! Only tables. The order of the operations is made by [`crate::workload::script`], the time between a block's request and its
//! return by [`crate::workload::lifetime`]. Call sites are written out one by one: a macro that wrote several would give them all
//! its own place.

use crate::os::OS_PAGE;
use crate::workload::touch::Touch;
use hakmem::{Site, site};
use std::ops::RangeInclusive;

const KIB: u32 = 1 << 10;
const MIB: u32 = 1 << 20;
/// Smallest and largest size that `--bytes` may give.
pub(crate) const BYTES: RangeInclusive<u32> = 16..=64 * MIB;
/// What [`LifetimeRule::AllAtOnce`] has live at once, at least.
pub(crate) const FILLED_BYTES: u64 = 256 * MIB as u64;
/// Most operations of a batch of a given size, and OS pages or bytes that it touches: about 20 µs at the speed of a cache,
/// and what the listed batches of json, mir and vm have.
const BATCH_MAX: u64 = 4096;
const BATCH_PAGES: u64 = 8192;
const BATCH_BYTES: u64 = 4 * MIB as u64;

/// How the sizes of a scenario are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sizes {
    /// Groups in which each size occurs once, in a random order; each size has its own call site.
    Each(&'static [u32]),
    /// An octave of `first << 0 .. octaves`, then a size within it: about log-uniform in
    /// `first ..= first << octaves`, in whole numbers so that every machine draws the same. Any call site.
    Octaves {
        /// Smallest size, bytes.
        first: u32,
        /// Number of doublings.
        octaves: u32,
    },
    /// Whole OS pages between the two, both included. Any call site.
    Pages {
        /// Smallest size, bytes.
        min: u32,
        /// Largest size, bytes.
        max: u32,
    },
    /// The one size that `--bytes` gives.
    Given,
}

/// Who decides how long a block lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LifetimeRule {
    /// `--lifetime`.
    Chosen,
    /// The scenario: a slot is picked at random, and freed when it is occupied, else filled.
    Random,
    /// The scenario: another thread frees.
    OtherThread,
    /// The scenario: as [`LifetimeRule::Random`], in every one of several threads.
    RandomInEachThread,
    /// The scenario: all are there before the first goes; `--lifetime` says in which order.
    AllAtOnce,
}

/// One scenario.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// Name on the command line.
    pub(crate) name: &'static str,
    /// One line for people.
    pub(crate) about: &'static str,
    /// Operations an iteration; `None` when it is as many as fill [`FILLED_BYTES`].
    pub(crate) operations: Option<u64>,
    /// How sizes are drawn.
    pub(crate) sizes: Sizes,
    /// Call sites; with [`Sizes::Each`] one a size.
    pub(crate) sites: &'static [Site],
    /// Who decides how long a block lives.
    pub(crate) lifetime: LifetimeRule,
    /// Operations a batch when blocks are not touched, touched once a page, written whole. A batch takes at least about
    /// 20 µs with usual allocators, and has every size of [`Sizes::Each`] equally often.
    batch_size: BatchSize,
}

/// How many operations a batch has.
#[derive(Debug)]
enum BatchSize {
    /// When blocks are not touched, touched once a page, written whole.
    Listed([u32; 3]),
    /// By the size that is given.
    BySize,
}

impl Scenario {
    /// Operations that are timed together when warm. `bytes` is the given size, where one is.
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
        about: "1 to 4 MiB from eight call sites in 64 slots, random lifetimes, about 32 blocks live",
        operations: Some(100),
        sizes: Sizes::Pages { min: MIB, max: 4 * MIB },
        sites: &[site!(), site!(), site!(), site!(), site!(), site!(), site!(), site!()],
        lifetime: LifetimeRule::Random,
        batch_size: BatchSize::Listed([1000, 10, 2]),
    },
    Scenario {
        name: "threads",
        about: "16 B to 4 KiB, eight call sites; each of --threads producers has a thread that frees its blocks",
        operations: Some(10_000),
        sizes: Sizes::Octaves { first: 16, octaves: 8 },
        sites: &[site!(), site!(), site!(), site!(), site!(), site!(), site!(), site!()],
        lifetime: LifetimeRule::OtherThread,
        batch_size: BatchSize::Listed([2000, 2000, 1000]),
    },
    Scenario {
        name: "fixed",
        about: "objects of the size that --bytes gives, 16 B to 64 MiB, one call site",
        operations: Some(1),
        sizes: Sizes::Given,
        sites: &[site!()],
        lifetime: LifetimeRule::Chosen,
        batch_size: BatchSize::BySize,
    },
    Scenario {
        name: "parallel",
        about: "sizes of small, random lifetimes, in each of --threads threads at once; ns/op is wall time by the \
                operations of all threads",
        operations: Some(10_000),
        sizes: Sizes::Octaves { first: 16, octaves: 6 },
        sites: &[site!(), site!(), site!(), site!(), site!(), site!(), site!(), site!()],
        lifetime: LifetimeRule::RandomInEachThread,
        batch_size: BatchSize::Listed([2000, 2000, 1000]),
    },
    Scenario {
        name: "memory-return",
        about: "256 MiB in objects of --bytes, all freed, then --rest: how much stays resident",
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
