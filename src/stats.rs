//! The receipt: which factors are at work in this process, and what they did so far.

use crate::alloc::{purge, thread_heap};
use crate::config::{self, FACTORS, Level, REGISTRY};

/// What is at work in this process, and what it did so far, summed over all threads.
#[derive(Clone, Copy, Debug)]
pub struct Receipt {
    /// Objects handed out.
    pub allocations: u64,
    /// Objects taken back, by what is held; exact while no thread allocates or frees.
    pub frees: u64,
    factors: [FactorReceipt; FACTORS],
}

impl Receipt {
    /// One entry per factor, in the order of the registry.
    pub fn factors(&self) -> &[FactorReceipt] {
        &self.factors
    }

    /// The entry of one factor.
    pub fn factor(&self, name: &str) -> Option<&FactorReceipt> {
        self.factors.iter().find(|factor| factor.name == name)
    }
}

/// Level and activity of one factor.
#[derive(Clone, Copy, Debug)]
pub struct FactorReceipt {
    /// Name in the registry.
    pub name: &'static str,
    /// Its sealed level.
    pub level: Level,
    names: &'static [&'static str],
    values: [u64; COUNTERS_MAX],
}

/// Most counters of one factor.
const COUNTERS_MAX: usize = 8;

impl FactorReceipt {
    /// Names and values of its activity counters.
    pub fn counters(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        self.names.iter().copied().zip(self.values)
    }

    /// One counter; `None` when the factor has none of that name.
    pub fn counter(&self, name: &str) -> Option<u64> {
        self.counters().find(|(known, _)| *known == name).map(|(_, value)| value)
    }
}

/// Levels and activity counters as they are now. Seals the default levels if nothing has sealed them yet.
pub fn receipt() -> Receipt {
    config::seal_once();
    let active = config::active();
    let factors = core::array::from_fn(|index| {
        let factor = &REGISTRY[index];
        let mut values = [0; COUNTERS_MAX];
        for (counter, value) in values.iter_mut().enumerate().take(factor.counters.len()) {
            let all = thread_heap::all().map(|heap| &heap.counters).chain([purge::counters()]);
            *value = all.map(|counters| counters.read(index, counter)).sum();
        }
        FactorReceipt { name: factor.name, level: active.level(index), names: factor.counters, values }
    });
    let allocations: u64 = thread_heap::all().map(|heap| heap.cache.allocations.get()).sum();
    Receipt { allocations, frees: allocations.saturating_sub(thread_heap::live_objects()), factors }
}
