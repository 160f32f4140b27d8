//! The cost of page faults and system calls on this machine, now: the unit costs of a cost breakdown.
//!
//! `cargo ablate unit-costs` measures them in a process of its own and prints one JSON line. A study runs it once per
//! block, so that unit costs and times come from the same minutes. Each round gives the mean over many calls, less the
//! cost of the clock. A unit cost is a low percentile of the rounds that no neighbour disturbed. Features that this
//! machine lacks (huge pages, for example) are missing, never 0.

mod kinds;
mod mapping;
mod probes;
mod rounds;

use ablate_format::FORMAT;
pub(crate) use kinds::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

/// Time after which no further round starts. A round takes about 2 ms.
const BUDGET: Duration = Duration::from_millis(11);

/// The line that `cargo ablate unit-costs` prints.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    /// Always [`FORMAT`].
    pub(crate) format: u32,
    /// Nanoseconds by kind; what could not be measured is missing.
    pub(crate) unit_costs_ns: BTreeMap<String, f64>,
}

/// Measures every unit cost. Takes about 12 ms.
///
/// `contention_probe` takes the contention probe, in nanoseconds per step. Rounds in which it is much slower than its
/// fastest are left out.
pub(crate) fn measure(contention_probe: impl FnMut() -> f64) -> Line {
    let mut rounds = rounds::Rounds::new(contention_probe);
    rounds.run(BUDGET, &probes::ALL);
    let mut costs = rounds.costs();
    for (kind, call, pages) in probes::WITH_CALL {
        // Each cost comes from its own undisturbed rounds. A difference within one round would be too low when only the
        // call was disturbed.
        let page = costs.get(kind).zip(costs.get(call)).map(|(ns, call)| ns - call / pages as f64);
        match page.filter(|ns| *ns > 0.0) {
            Some(ns) => costs.insert(kind.to_owned(), ns),
            None => costs.remove(kind),
        };
    }
    // The clock does not resolve a hundredth of a nanosecond.
    costs.values_mut().for_each(|ns| *ns = (*ns * 100.0).round() / 100.0);
    Line { format: FORMAT, unit_costs_ns: costs }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cost_of_this_machine_is_positive_and_the_line_can_be_read_back() {
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
