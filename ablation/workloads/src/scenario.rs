//! The scenarios: sizes, call sites, how many operations an iteration has, and how many a batch.
//!
//! Only tables. The order of the operations is made by [`crate::script`], the time between a block's request and its
//! return by [`crate::lifetime`]. Call sites are written out one by one: a macro that wrote several would give them all
//! its own place.

use crate::plan::Touch;
use hakmem::{Site, site};

const KIB: u32 = 1 << 10;
const MIB: u32 = 1 << 20;

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
}

/// Who decides how long a block lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lives {
    /// `--lifetime`.
    AsTold,
    /// The scenario: a slot is picked at random, and freed when it is occupied, else filled.
    Randomly,
    /// The scenario: another thread frees.
    InAnotherThread,
}

/// One scenario.
#[derive(Debug)]
pub(crate) struct Scenario {
    /// Name on the command line.
    pub(crate) name: &'static str,
    /// One line for people.
    pub(crate) about: &'static str,
    /// Operations an iteration.
    pub(crate) inner: u64,
    /// How sizes are drawn.
    pub(crate) sizes: Sizes,
    /// Call sites; with [`Sizes::Each`] one a size.
    pub(crate) sites: &'static [Site],
    /// Who decides how long a block lives.
    pub(crate) lives: Lives,
    /// Operations a batch when blocks are not touched, touched once a page, written whole. A batch takes at least about
    /// 20 µs with usual allocators, and has every size of [`Sizes::Each`] equally often.
    batch: [u32; 3],
}

impl Scenario {
    /// Operations that are timed together when warm.
    pub(crate) fn batch(&self, touch: Touch) -> u64 {
        u64::from(match touch {
            Touch::None => self.batch[0],
            Touch::Page => self.batch[1],
            Touch::Full => self.batch[2],
        })
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
        inner: 1000,
        sizes: Sizes::Each(&[64 * KIB]),
        sites: &[site!()],
        lives: Lives::AsTold,
        batch: [1000, 500, 50],
    },
    Scenario {
        name: "mir",
        about: "256 KiB, one call site",
        inner: 100,
        sizes: Sizes::Each(&[256 * KIB]),
        sites: &[site!()],
        lives: Lives::AsTold,
        batch: [1000, 100, 10],
    },
    Scenario {
        name: "vm",
        about: "2 MiB, one call site",
        inner: 10,
        sizes: Sizes::Each(&[2 * MIB]),
        sites: &[site!()],
        lives: Lives::AsTold,
        batch: [1000, 10, 2],
    },
    Scenario {
        name: "mixed",
        about: "64 KiB, 256 KiB and 2 MiB in random order, equally often, each from its call site",
        inner: 100,
        sizes: Sizes::Each(&[64 * KIB, 256 * KIB, 2 * MIB]),
        sites: &[site!(), site!(), site!()],
        lives: Lives::AsTold,
        batch: [1002, 48, 6],
    },
    Scenario {
        name: "small",
        about: "16 B to 1 KiB, about log-uniform, eight call sites",
        inner: 10_000,
        sizes: Sizes::Octaves { first: 16, octaves: 6 },
        sites: &[site!(), site!(), site!(), site!(), site!(), site!(), site!(), site!()],
        lives: Lives::AsTold,
        batch: [2000, 2000, 1000],
    },
    Scenario {
        name: "churn",
        about: "1 to 4 MiB from eight call sites in 64 slots, random lifetimes, about 32 blocks live",
        inner: 100,
        sizes: Sizes::Pages { min: MIB, max: 4 * MIB },
        sites: &[site!(), site!(), site!(), site!(), site!(), site!(), site!(), site!()],
        lives: Lives::Randomly,
        batch: [1000, 10, 2],
    },
    Scenario {
        name: "threads",
        about: "16 B to 4 KiB, eight call sites; each of --threads producers has a thread that frees its blocks",
        inner: 10_000,
        sizes: Sizes::Octaves { first: 16, octaves: 8 },
        sites: &[site!(), site!(), site!(), site!(), site!(), site!(), site!(), site!()],
        lives: Lives::InAnotherThread,
        batch: [2000, 2000, 1000],
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
            assert!(scenario.batch(Touch::None) >= 1000, "{}", scenario.name);
            if let Sizes::Each(sizes) = scenario.sizes {
                assert_eq!(sizes.len(), scenario.sites.len(), "{}", scenario.name);
                for touch in [Touch::None, Touch::Page, Touch::Full] {
                    assert_eq!(scenario.batch(touch) % sizes.len() as u64, 0, "{}", scenario.name);
                }
            }
        }
    }
}
