//! Unit costs of page faults and system calls over the blocks of a study.

use crate::prove::JudgedRun;
use crate::unit_costs::SYSCALL;
use ablate_format::{Pass, Status};
use ablate_stats::bootstrap::Drawn;
use ablate_stats::series::{Series, draw};
use std::collections::BTreeMap;

/// What each kind of event costs, in nanoseconds, with draws that combine with those of a workload.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct UnitCosts {
    costs: BTreeMap<String, Drawn>,
}

/// The unit cost of one event.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct UnitCost<'a> {
    /// Nanoseconds of one.
    pub(crate) ns: &'a Drawn,
    /// False when this system call was not measured and the unit cost is that of the cheapest one: a lower bound.
    pub(crate) own: bool,
}

impl UnitCosts {
    /// From unit costs by kind (the constants of [`crate::unit_costs`]).
    pub(crate) fn new(costs: impl IntoIterator<Item = (String, Drawn)>) -> UnitCosts {
        UnitCosts { costs: costs.into_iter().collect() }
    }

    /// From the unit-cost records of a study: for each kind the trimmed mean over the blocks.
    ///
    /// `blocks`, `draws` and `seed` are those of the workloads' tables, so that a unit cost and a time of one draw come
    /// from the same blocks.
    pub(crate) fn of_records<'r>(
        records: impl IntoIterator<Item = &'r JudgedRun>,
        blocks: usize,
        draws: usize,
        seed: u64,
    ) -> UnitCosts {
        let mut series: BTreeMap<&str, Vec<(usize, f64)>> = BTreeMap::new();
        for record in records {
            let block = record.block as usize;
            if record.pass != Pass::UnitCosts || record.status != Status::Ok || block >= blocks {
                continue;
            }
            for (kind, ns) in record.counted.iter().flat_map(|counted| &counted.unit_costs_ns) {
                series.entry(kind).or_default().push((block, *ns));
            }
        }
        let (kinds, series): (Vec<&str>, Vec<Series>) =
            series.into_iter().map(|(kind, values)| (kind, Series::new(values))).unzip();
        let costs = kinds.into_iter().zip(draw(&series, blocks, draws, seed));
        UnitCosts::new(costs.filter(|(_, ns)| ns.point.is_finite()).map(|(kind, ns)| (kind.to_owned(), ns)))
    }

    /// Every measured unit cost by kind.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &Drawn)> {
        self.costs.iter().map(|(kind, ns)| (kind.as_str(), ns))
    }

    /// The unit cost of a kind; for a system call that was not measured that of the cheapest one. `None` when there is none.
    pub(crate) fn cost(&self, kind: &str) -> Option<UnitCost<'_>> {
        let own = self.costs.get(kind).map(|ns| UnitCost { ns, own: true });
        let least = || self.costs.get(SYSCALL).map(|ns| UnitCost { ns, own: false });
        own.or_else(|| kind.starts_with("sys-").then(least)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gap::fixture::unit_costs;
    use crate::prove::Judge;
    use crate::unit_costs::{PAGE_FAULT_4K, PAGE_FAULT_HUGE};
    use ablate_format::Record;

    fn record(block: u32, ns: f64, status: Status) -> Record {
        let line = serde_json::json!({
            "format": 2, "pass": "unit-costs", "block": block, "order": 0, "workload": "unit-costs",
            "cell": "unit-costs", "status": status, "wall_ns": 1, "process_page_faults": 0,
            "process_rss_peak_bytes": 0, "unit_costs_ns": { "page-fault-4k": ns, "syscall": 100.0 },
        });
        serde_json::from_value(line).unwrap()
    }

    #[test]
    fn unit_costs_are_trimmed_means_over_the_blocks() {
        let mut records: Vec<Record> = (0..10).map(|block| record(block, 500.0, Status::Ok)).collect();
        records[3].unit_costs_ns.insert(PAGE_FAULT_4K.to_owned(), 9_000.0);
        records.push(record(10, 1.0, Status::Crashed));
        records.push(record(99, 1.0, Status::Ok));
        let plan = crate::analyse::fixture::Study::new(&[], &[]).manifest.plan;
        let mut judge = Judge::new(&plan);
        let runs: Vec<JudgedRun> = records.into_iter().map(|record| judge.judge(record)).collect();
        let costs = UnitCosts::of_records(&runs, 11, 200, 3);
        let cost = costs.cost(PAGE_FAULT_4K).unwrap();
        assert_eq!((cost.ns.point, cost.ns.blocks, cost.own), (500.0, 10, true));
        assert_eq!(costs.cost(PAGE_FAULT_HUGE), None);
        assert_eq!(costs.all().map(|(kind, _)| kind).collect::<Vec<_>>(), ["page-fault-4k", "syscall"]);
    }

    #[test]
    fn a_system_call_without_a_unit_cost_has_that_of_the_cheapest() {
        let costs = unit_costs(&[(SYSCALL, 100.0), ("sys-mmap", 900.0)]);
        let cost = |kind| costs.cost(kind).map(|cost| (cost.ns.point.round(), cost.own));
        assert_eq!(cost("sys-mmap"), Some((900.0, true)));
        assert_eq!(cost("sys-futex"), Some((100.0, false)));
        assert_eq!(cost(PAGE_FAULT_4K), None, "a page fault is no system call");
        assert!(UnitCosts::default().cost("sys-futex").is_none());
    }
}
