//! Whether retaining batches depends on the cell, which would bias the comparison of cells.

use super::index::Runs;
use ablate_format::WorkloadPlan;
use ablate_stats::{bootstrap, many, table};

/// Probability below which retaining is said to depend on the cell.
const ALPHA: f64 = 0.01;

/// What retaining did to one workload.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Retention {
    /// Share of batches retained, by cell id.
    pub(crate) retained: Vec<(String, f64)>,
    /// Runs left out because fewer than eight of their batches were retained.
    pub(crate) contended: usize,
    /// Probability of shares that differ this much if retaining does not depend on the cell; `None` for too few blocks.
    pub(crate) p: Option<f64>,
}

impl Retention {
    /// Whether retaining depends on the cell, so that the retained batches are not a fair sample.
    pub(crate) fn is_biased(&self) -> bool {
        self.p.is_some_and(|p| p < ALPHA)
    }
}

/// What retaining did to a workload; `None` without contention probes.
pub(super) fn retention(plan: &WorkloadPlan, runs: &Runs, seed: u64) -> Option<Retention> {
    let mut retained = Vec::new();
    let mut shares: Vec<Vec<(usize, f64)>> = Vec::new();
    let mut contended = 0;
    for cell in runs.cells.iter().filter(|cell| plan.runs(&cell.plan.id)) {
        let mut series = Vec::new();
        for (block, run) in &cell.timing {
            let Some((quiet, all)) = run.undisturbed.retained else { continue };
            contended += usize::from(run.undisturbed.p10.is_none());
            if let Some(index) = runs.blocks.get(block) {
                series.push((*index, quiet as f64 / all.max(1) as f64));
            }
        }
        if !series.is_empty() {
            retained
                .push((cell.plan.id.clone(), series.iter().map(|(_, share)| share).sum::<f64>() / series.len() as f64));
            shares.push(series);
        }
    }
    if retained.is_empty() {
        return None;
    }
    // Each cell against the mean of all, Holm over the cells: one that stands out is enough.
    let drawn = table::table(&shares, runs.blocks.len(), bootstrap::DRAWS / 4, seed);
    let count = drawn.len() as f64;
    let mean = bootstrap::Drawn::linear(drawn.iter().map(|d| (1.0 / count, d)));
    let against = |d: &bootstrap::Drawn| mean.as_ref().and_then(|mean| d.combine(mean, |a, b| a - b).p_value());
    let p: Option<Vec<f64>> = drawn.iter().map(against).collect();
    let p = p.filter(|p| p.len() > 1).map(|p| many::holm(&p).into_iter().fold(1.0, f64::min));
    Some(Retention { retained, contended, p })
}
