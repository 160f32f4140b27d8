//! The operations of a run, drawn from the seed before the measured part.
//!
//! An *operation* is the life of one block: it is requested, touched and freed. The timed loops read one [`Op`] for each
//! and decide nothing.

use crate::os::OS_PAGE;
use crate::workload::plan::{LifetimePattern, RunPlan};
use crate::workload::scenario::Sizes;
use hakmem::Site;

/// Slots of the scenario with random lifetimes.
pub(crate) const SLOTS: usize = 64;

/// One operation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Op {
    /// Call site of the request.
    pub(crate) site: Site,
    /// Bytes requested, at least [`ALIGN`](crate::allocator::ALIGN).
    pub(crate) size: u32,
    /// With random lifetimes: how many entries of [`Script::frees`] are freed after this request.
    pub(crate) frees: u16,
    /// With random lifetimes: the slot that receives the block, below [`SLOTS`] and empty by then.
    pub(crate) slot: u8,
    /// The byte that the block is written with; never 0, which fresh memory contains anyway.
    pub(crate) byte: u8,
}

/// The operations of one thread; after the last comes the first again.
#[derive(Debug)]
pub(crate) struct Script {
    /// One entry per operation; [`RunPlan::script_len`] of them.
    pub(crate) ops: Vec<Op>,
    /// With random lifetimes: slots to be emptied, in order, each occupied by then.
    pub(crate) frees: Vec<u8>,
    /// With shuffled groups: for each group, its places in the order in which they are emptied.
    pub(crate) order: Vec<u16>,
}

impl Script {
    /// Draws the operations of thread or producer `producer`, counted from 0.
    pub(crate) fn new(plan: &RunPlan, producer: u32) -> Script {
        let mut random = SplitMix64(plan.seed.wrapping_add(u64::from(producer)));
        let mut ops = Vec::with_capacity(plan.script_len() as usize);
        let mut group: Vec<usize> = Vec::new();
        while (ops.len() as u64) < plan.script_len() {
            ops.push(draw(plan, &mut random, &mut group));
        }
        let mut script = Script { ops, frees: Vec::new(), order: Vec::new() };
        match plan.pattern {
            LifetimePattern::Random | LifetimePattern::RandomInEachThread => script.pick_slots(&mut random),
            LifetimePattern::ShuffledGroup => script.order_groups(plan.group() as u16, &mut random),
            LifetimePattern::Lifo
            | LifetimePattern::Ring
            | LifetimePattern::Group
            | LifetimePattern::OtherThread
            | LifetimePattern::AllAtOnce
            | LifetimePattern::AllAtOnceShuffled
            | LifetimePattern::Shape(_)
            | LifetimePattern::ShapeShuffled(_) => {}
        }
        script
    }

    /// Draws the order of frees for each group.
    fn order_groups(&mut self, group: u16, random: &mut SplitMix64) {
        self.order = (0..group).cycle().take(self.ops.len()).collect();
        self.order.chunks_exact_mut(usize::from(group)).for_each(|places| random.shuffle(places));
    }

    /// Distributes the operations over the slots. Every slot is picked an even number of times in a random order; picking
    /// an empty slot fills it, picking an occupied one frees it. So all slots are empty at the end.
    fn pick_slots(&mut self, random: &mut SplitMix64) {
        let mut picks: Vec<u8> = Vec::with_capacity(2 * self.ops.len());
        for i in 0..self.ops.len() {
            picks.extend([(i % SLOTS) as u8; 2]);
        }
        random.shuffle(&mut picks);
        self.frees = Vec::with_capacity(self.ops.len());
        let mut occupied = [false; SLOTS];
        let mut next = 0;
        for slot in picks {
            let taken = &mut occupied[usize::from(slot)];
            *taken = !*taken;
            if *taken {
                self.ops[next].slot = slot;
                next += 1;
            } else {
                self.frees.push(slot);
                self.ops[next - 1].frees += 1;
            }
        }
    }
}

/// Draws one operation. `group` holds the sizes still to come of a group of [`Sizes::Each`].
fn draw(plan: &RunPlan, random: &mut SplitMix64, group: &mut Vec<usize>) -> Op {
    let scenario = plan.scenario;
    let (size, site) = match scenario.sizes {
        Sizes::Each(sizes) => {
            if group.is_empty() {
                group.extend(0..sizes.len());
            }
            let which = group.swap_remove(random.below(group.len() as u64) as usize);
            (sizes[which], which)
        }
        Sizes::Octaves { first, octaves } => {
            let low = first << random.below(u64::from(octaves));
            (low + random.below(u64::from(low) + 1) as u32, random.below(scenario.sites.len() as u64) as usize)
        }
        Sizes::Pages { min, max } => {
            let pages = u64::from((max - min) / OS_PAGE);
            (min + OS_PAGE * random.below(pages + 1) as u32, random.below(scenario.sites.len() as u64) as usize)
        }
        Sizes::Given => (plan.bytes, 0),
        Sizes::Range => {
            let sizes = plan.shape.sizes();
            (sizes[random.below(sizes.len() as u64) as usize], 0)
        }
    };
    Op { site: scenario.sites[site], size, frees: 0, slot: 0, byte: 1 + random.below(255) as u8 }
}

/// Steele, Lea and Flood's SplitMix64 ("Fast splittable pseudorandom number generators", OOPSLA 2014): the same numbers
/// on every machine and in every version of this program.
pub(crate) struct SplitMix64(pub(crate) u64);

impl SplitMix64 {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `bound`, by the high half of the product (Lemire 2019); the bias of at most `bound / 2^64` does
    /// not matter here.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// Puts the values in a random order (Fisher and Yates).
    pub(crate) fn shuffle<T>(&mut self, values: &mut [T]) {
        for i in (1..values.len()).rev() {
            values.swap(i, self.below(i as u64 + 1) as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocator::ALIGN;
    use crate::workload::plan::Lifetime;
    use crate::workload::scenario::{BYTES, SCENARIOS};

    fn script(name: &str, seed: u64) -> Script {
        Script::new(&RunPlan { seed, ..RunPlan::of_test(name, None) }, 0)
    }

    #[test]
    fn random_numbers_are_those_of_the_published_generator() {
        let mut random = SplitMix64(1234567);
        assert_eq!([random.next(), random.next()], [6457827717110365317, 3203168211198807973]);
    }

    #[test]
    fn an_operation_fits_two_words_and_sizes_are_in_range() {
        assert!(size_of::<Op>() <= 16);
        for scenario in SCENARIOS {
            let script = script(scenario.name, 7);
            let (min, max) = match scenario.sizes {
                Sizes::Each(sizes) => (sizes[0], sizes[sizes.len() - 1]),
                Sizes::Octaves { first, octaves } => (first, first << octaves),
                Sizes::Pages { min, max } => (min, max),
                Sizes::Given => (*BYTES.start(), *BYTES.end()),
                Sizes::Range => (scenario.shape.bytes() as u32, scenario.shape.bytes_max() as u32),
            };
            for op in &script.ops {
                assert!((min..=max).contains(&op.size) && op.size as usize >= ALIGN && op.byte != 0, "{op:?}");
            }
        }
    }

    #[test]
    fn the_seed_decides_the_order() {
        let sizes = |seed| script("mixed", seed).ops.iter().map(|op| op.size).collect::<Vec<_>>();
        assert_eq!(sizes(1), sizes(1));
        assert_ne!(sizes(1), sizes(2));
        let first = sizes(1);
        assert_eq!(first.iter().filter(|s| **s == 2 << 20).count() * 3, first.len());
    }

    #[test]
    fn random_lifetimes_fill_only_empty_slots_and_end_empty() {
        let script = script("churn", 3);
        let mut occupied = [false; SLOTS];
        let mut frees = script.frees.iter();
        let mut live_max = 0;
        for op in &script.ops {
            assert!(!std::mem::replace(&mut occupied[usize::from(op.slot)], true));
            for slot in frees.by_ref().take(usize::from(op.frees)) {
                assert!(std::mem::replace(&mut occupied[usize::from(*slot)], false));
            }
            live_max = live_max.max(occupied.iter().filter(|o| **o).count());
        }
        assert_eq!(frees.next(), None);
        assert!(occupied.iter().all(|o| !o));
        assert!((32..SLOTS).contains(&live_max), "{live_max}");
    }

    #[test]
    fn every_shuffled_group_has_all_its_places_once() {
        let plan = RunPlan::of_test("fixed", Some(Lifetime::Shuffled));
        let script = Script::new(&plan, 0);
        assert_eq!(script.order.len(), script.ops.len());
        let groups: Vec<&[u16]> = script.order.chunks(plan.group() as usize).collect();
        for group in &groups {
            let mut places = group.to_vec();
            places.sort_unstable();
            assert!(places.iter().copied().eq(0..plan.group() as u16) && !group.is_sorted());
        }
        assert_ne!(groups[0], groups[1]);
    }
}
