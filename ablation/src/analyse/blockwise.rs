//! The values of the cells in every block, for analyses that go block by block.

use super::contention;
use super::index;
use super::words::Response;
use crate::prove::JudgedRun;
use ablate_format::Manifest;
use std::collections::BTreeMap;

/// The main response of one workload, by cell and block.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Blockwise {
    /// The workload.
    pub(crate) workload: String,
    /// What its values are.
    pub(crate) response: Response,
    /// Id of a cell → block → value of its proven run, as tables take it. A cell without a proven run is missing.
    pub(crate) cells: BTreeMap<String, BTreeMap<u32, f64>>,
}

/// Every workload of a study, in the order of the plan, from runs that were judged each and together.
pub(crate) fn blockwise(manifest: &Manifest, runs: &[JudgedRun]) -> Vec<Blockwise> {
    let contention = contention::read(runs);
    let (indexed, _) = index::index(&manifest.plan, runs, &contention);
    let workloads = manifest.plan.workloads.iter().zip(&indexed);
    let of = |(plan, runs): (&ablate_format::WorkloadPlan, &index::Runs<'_>)| {
        let values = |cell: &index::CellRuns<'_>| -> BTreeMap<u32, f64> {
            let timing = cell.timing.iter().filter_map(|(block, run)| Some((*block, run.value(plan.response)?)));
            timing.filter(|(_, value)| value.is_finite()).collect()
        };
        let cells = runs.cells.iter().map(|cell| (cell.plan.id.clone(), values(cell)));
        let cells = cells.filter(|(_, values)| !values.is_empty()).collect();
        Blockwise { workload: plan.name.clone(), response: Response::main(plan.response), cells }
    };
    workloads.map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::fixture::Study;

    #[test]
    fn every_cell_has_its_values_by_block() {
        let study = Study::new(&["cache"], &["w"]);
        let records =
            study.records(3, |_, cell, block| if cell == "baseline" { 100.0 + 100.0 * f64::from(block) } else { 90.0 });
        let judged = crate::prove::judge_all(&study.manifest.plan, &records);
        let found = blockwise(&study.manifest, &judged);
        assert_eq!((found.len(), found[0].workload.as_str()), (1, "w"));
        // The fixture adds noise of up to 1 ns.
        let values = |cell: &str| -> Vec<(u32, f64)> {
            found[0].cells[cell].iter().map(|(block, value)| (*block, (value / 10.0).round())).collect()
        };
        assert_eq!(values("baseline"), [(0, 10.0), (1, 20.0), (2, 30.0)]);
        assert_eq!(values("no-cache@env"), [(0, 9.0), (1, 9.0), (2, 9.0)]);
    }
}
