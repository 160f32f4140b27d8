//! What a page fault and a system call cost on this machine, now: the prices in the account of a gap.
//!
//! `ablate unit-costs` measures them in a process of its own and prints one JSON line; a study runs it once a block, so
//! that the prices come from the same minutes as the times that they are to explain. Every price is the mean over a
//! batch of calls, less what the clock costs, and the low percentile over the rounds that no neighbour disturbed. What
//! this machine does not do (huge pages, say) is missing, never 0.

mod mapping;
mod probes;
mod rounds;

use ablate_format::FORMAT;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// First touch of a 4 KiB page of a private anonymous mapping by a write: entry, page, zeroing, page tables of 2 MiB
/// spread over their 512 pages, and the store.
pub const PAGE_FAULT_4K: &str = "page-fault-4k";

/// First touch of an aligned 2 MiB with huge pages asked for, by one write; missing where the kernel gave none.
pub const PAGE_FAULT_HUGE: &str = "page-fault-huge";

/// What a touched 4 KiB page adds to the `munmap` that gives it back.
pub const UNMAP_PAGE: &str = "unmap-page";

/// What a touched huge page adds to the `munmap` that gives it back; missing together with [`PAGE_FAULT_HUGE`].
pub const UNMAP_HUGE: &str = "unmap-huge";

/// What a touched 4 KiB page adds to the `madvise(MADV_DONTNEED)` that gives it back.
pub const MADVISE_PAGE: &str = "madvise-page";

/// `mmap` of 2 MiB, private and anonymous, nothing touched.
pub const SYS_MMAP: &str = "sys-mmap";

/// `munmap` of the same, nothing touched.
pub const SYS_MUNMAP: &str = "sys-munmap";

/// `madvise(MADV_DONTNEED)` over 2 MiB of which nothing was touched.
pub const SYS_MADVISE: &str = "sys-madvise";

/// `mremap` of an untouched mapping: the mean of doubling and halving it.
pub const SYS_MREMAP: &str = "sys-mremap";

/// The least that any system call costs: `getppid`, which enters the kernel and returns.
pub const SYSCALL: &str = "syscall";

/// Time after which no further round starts. A round takes about 2 ms.
const BUDGET: Duration = Duration::from_millis(11);

/// The line that `ablate unit-costs` prints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Always [`FORMAT`].
    pub format: u32,
    /// Nanoseconds by kind; what could not be measured is missing.
    pub unit_costs_ns: BTreeMap<String, f64>,
}

/// Measures every price. Takes about 12 ms.
///
/// `canary` tells how disturbed the machine is at the moment, in nanoseconds a step: rounds in which it is much slower
/// than at its best are left out.
pub fn measure(canary: impl FnMut() -> f64) -> Line {
    let mut rounds = rounds::Rounds::new(canary);
    rounds.run(BUDGET, &probes::ALL);
    let mut costs = rounds.costs();
    for (kind, call, pages) in probes::WITH_CALL {
        // Each from its own calm rounds: a difference within one round would be low when the call alone was disturbed.
        let page = costs.get(kind).zip(costs.get(call)).map(|(ns, call)| ns - call / pages as f64);
        match page.filter(|ns| *ns > 0.0) {
            Some(ns) => costs.insert(kind.to_owned(), ns),
            None => costs.remove(kind),
        };
    }
    // A hundredth of a nanosecond is more than the clock sees.
    costs.values_mut().for_each(|ns| *ns = (*ns * 100.0).round() / 100.0);
    Line { format: FORMAT, unit_costs_ns: costs }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_price_of_this_machine_is_positive_and_the_line_can_be_read_back() {
        let line = measure(|| 1.0);
        let always = [PAGE_FAULT_4K, UNMAP_PAGE, MADVISE_PAGE, SYS_MMAP, SYS_MUNMAP, SYS_MADVISE, SYS_MREMAP, SYSCALL];
        for kind in always {
            assert!(line.unit_costs_ns.get(kind).is_some_and(|ns| *ns > 0.0), "{kind}: {:?}", line.unit_costs_ns);
        }
        assert_eq!(line.unit_costs_ns.contains_key(PAGE_FAULT_HUGE), line.unit_costs_ns.contains_key(UNMAP_HUGE));
        let text = serde_json::to_string(&line).unwrap();
        assert_eq!(serde_json::from_str::<Line>(&text).unwrap(), line);
    }
}
