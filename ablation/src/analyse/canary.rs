//! Which batches a busy neighbour disturbed: the contention canary's word, the same for every cell.
//!
//! A batch is kept when the canaries before and after it are within 8 % of the study's reference, the 2nd percentile of
//! all canaries. The percentiles of a run are then over its kept batches. Whether keeping depends on the cell is tested,
//! because then it would choose among the cells and not among the moments.

use super::index::Runs;
use ablate_format::{Measured, Pass, Record, Status, WorkloadPlan};
use ablate_stats::order::{percentile, sorted};
use ablate_stats::{bootstrap, many, table};
use serde::Serialize;

/// A canary this much above the reference was disturbed.
const TOLERANCE: f64 = 1.08;
/// Percentile of all canaries that is the reference.
const REFERENCE: f64 = 0.02;
/// Fewest kept batches of a run that counts.
const LEAST_KEPT: usize = 8;
/// Below this share of kept batches over a study, all batches are taken: then there is no quiet state to keep to.
const LEAST_SHARE: f64 = 0.2;
/// Probability below which keeping is said to depend on the cell.
const ALPHA: f64 = 0.01;

/// What the canaries of a study say.
#[derive(Debug, Clone, PartialEq, Serialize, Default)]
pub struct Canaries {
    /// The reference, nanoseconds a step; `None` when no program took a canary.
    pub reference_ns: Option<f64>,
    /// Median of all canaries, nanoseconds a step.
    pub median_ns: Option<f64>,
    /// Share of the batches with both canaries within 8 % of the reference.
    pub kept: Option<f64>,
    /// Whether only kept batches are in the tables; false when too few would be left.
    pub applied: bool,
    /// Share of the processes with both canaries of the runner within 8 % of the runner's reference.
    pub quiet_processes: Option<f64>,
}

/// What keeping did to one workload.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Keeping {
    /// Share of batches kept, by cell id.
    pub kept: Vec<(String, f64)>,
    /// Runs left out because fewer than eight of their batches were kept.
    pub contended: usize,
    /// Probability of shares that differ this much if keeping does not depend on the cell; `None` for too few blocks.
    pub p: Option<f64>,
}

impl Keeping {
    /// Whether keeping depends on the cell, so that the kept batches are not a fair sample.
    pub fn is_biased(&self) -> bool {
        self.p.is_some_and(|p| p < ALPHA)
    }
}

impl Canaries {
    /// Reads the canaries of all proven timing runs.
    pub(super) fn of(records: &[Record]) -> Canaries {
        let timed = || records.iter().filter(|r| r.pass == Pass::Timing && r.status == Status::Ok);
        let mut all: Vec<f32> =
            timed().filter_map(|r| r.measured.as_ref()).flat_map(|m| m.contention_probes_ns.iter().copied()).collect();
        all.retain(|canary| canary.is_finite());
        // There are millions of them in a large study, and two are asked for.
        let mut at = |p: f64| {
            let place = (all.len().checked_sub(1)? as f64 * p) as usize;
            Some(f64::from(*all.select_nth_unstable_by(place, f32::total_cmp).1))
        };
        let mut canaries = Canaries { reference_ns: at(REFERENCE), median_ns: at(0.5), ..Canaries::default() };
        drop(all);
        if let Some(reference) = canaries.reference_ns {
            let (mut kept, mut batches) = (0, 0);
            for measured in timed().filter_map(|r| r.measured.as_ref()) {
                kept += quiet(measured, reference).count();
                batches += measured.batches_ns.len();
            }
            let share = kept as f64 / batches.max(1) as f64;
            (canaries.kept, canaries.applied) = ((batches > 0).then_some(share), share >= LEAST_SHARE);
        }
        let around: Vec<(f64, f64)> = timed().filter_map(|r| r.contention_probe_ns).collect();
        let own = sorted(&around.iter().flat_map(|(a, b)| [*a, *b]).collect::<Vec<_>>());
        if let Some(reference) = percentile(&own, REFERENCE) {
            let quiet = around.iter().filter(|(a, b)| a.max(*b) <= TOLERANCE * reference).count();
            canaries.quiet_processes = Some(quiet as f64 / around.len() as f64);
        }
        canaries
    }

    /// Percentiles of a run over its kept batches, and how many of how many were kept.
    pub(super) fn judge(&self, measured: &Measured) -> Judged {
        let told = Judged { p10: Some(measured.latency_ns_p10), p50: Some(measured.latency_ns_p50), kept: None };
        let Some(reference) = self.reference_ns else { return told };
        if measured.batches_ns.is_empty() || measured.contention_probes_ns.len() != measured.batches_ns.len() + 1 {
            return told;
        }
        let kept: Vec<f64> = quiet(measured, reference).map(f64::from).collect();
        let share = Some((kept.len(), measured.batches_ns.len()));
        if !self.applied {
            return Judged { kept: share, ..told };
        }
        // Short runs have fewer batches than that to begin with.
        if kept.len() < LEAST_KEPT.min(measured.batches_ns.len()) {
            return Judged { p10: None, p50: None, kept: share };
        }
        let kept = sorted(&kept);
        Judged { p10: percentile(&kept, 0.1), p50: percentile(&kept, 0.5), kept: share }
    }
}

/// A run's percentiles as far as it was undisturbed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Judged {
    /// 10th percentile, nanoseconds per operation; `None`: too few batches are left.
    pub(super) p10: Option<f64>,
    /// Median, nanoseconds per operation.
    pub(super) p50: Option<f64>,
    /// Batches kept, and all; `None` for a program without canaries.
    pub(super) kept: Option<(usize, usize)>,
}

/// The batches between two quiet canaries.
fn quiet(measured: &Measured, reference: f64) -> impl Iterator<Item = f32> + '_ {
    let limit = (TOLERANCE * reference) as f32;
    let ends = measured.contention_probes_ns.windows(2);
    measured.batches_ns.iter().zip(ends).filter(move |(_, ends)| ends[0].max(ends[1]) <= limit).map(|(ns, _)| *ns)
}

/// What keeping did to a workload; `None` when nobody took canaries in it.
pub(super) fn keeping(plan: &WorkloadPlan, runs: &Runs, seed: u64) -> Option<Keeping> {
    let mut kept = Vec::new();
    let mut shares: Vec<Vec<(usize, f64)>> = Vec::new();
    let mut contended = 0;
    for cell in runs.cells.iter().filter(|cell| plan.runs(&cell.plan.id)) {
        let mut series = Vec::new();
        for (block, run) in &cell.timing {
            let Some((quiet, all)) = run.judged.kept else { continue };
            contended += usize::from(run.judged.p10.is_none());
            if let Some(index) = runs.blocks.get(block) {
                series.push((*index, quiet as f64 / all.max(1) as f64));
            }
        }
        if !series.is_empty() {
            kept.push((cell.plan.id.clone(), series.iter().map(|(_, share)| share).sum::<f64>() / series.len() as f64));
            shares.push(series);
        }
    }
    if kept.is_empty() {
        return None;
    }
    // Each cell against the mean of all, Holm over the cells: one that stands out is enough.
    let drawn = table::table(&shares, runs.blocks.len(), bootstrap::DRAWS / 4, seed);
    let count = drawn.len() as f64;
    let mean = bootstrap::Drawn::linear(drawn.iter().map(|d| (1.0 / count, d)));
    let against = |d: &bootstrap::Drawn| mean.as_ref().and_then(|mean| d.combine(mean, |a, b| a - b).p_value());
    let p: Option<Vec<f64>> = drawn.iter().map(against).collect();
    let p = p.filter(|p| p.len() > 1).map(|p| many::holm(&p).into_iter().fold(1.0, f64::min));
    Some(Keeping { kept, contended, p })
}

#[cfg(test)]
mod tests {
    use crate::analyse::fixture::Study;
    use crate::analyse::{Verdict, analyse};
    use ablate_format::Record;

    /// Sixteen batches a run; those where `busy` says so take twice as long, canary and all.
    fn with_batches(mut records: Vec<Record>, busy: impl Fn(&Record, usize) -> bool) -> Vec<Record> {
        for record in &mut records {
            let slow: Vec<bool> = (0..16).map(|i| busy(record, i)).collect();
            let measured = record.measured.as_mut().unwrap();
            let ns = measured.latency_ns_p10 as f32;
            measured.batches_ns = slow.iter().map(|slow| if *slow { 2.0 * ns } else { ns }).collect();
            let near = |i: usize| slow.get(i.wrapping_sub(1)) == Some(&true) || slow.get(i) == Some(&true);
            measured.contention_probes_ns = (0..17).map(|i| if near(i) { 1.1 } else { 0.57 }).collect();
            // What the program itself says is over all batches.
            measured.latency_ns_p50 = f64::from(ns) * 1.5;
            measured.latency_ns_p99 = f64::from(ns) * 2.0;
        }
        records
    }

    #[test]
    fn disturbed_batches_are_left_out_of_every_cell_alike() {
        let study = Study::new(&["cache"], &["w"]);
        let records = study.records(12, |_, cell, _| if cell.starts_with("no-cache") { 1_900.0 } else { 2_000.0 });
        let records = with_batches(records, |r, i| (i + r.block as usize).is_multiple_of(8));
        let analysis = analyse(&study.manifest, &records);
        assert!(analysis.canaries.applied && analysis.canaries.kept.is_some_and(|kept| (0.55..0.7).contains(&kept)));
        let workload = &analysis.workloads[0];
        let keeping = workload.keeping.as_ref().unwrap();
        assert!(!keeping.is_biased() && keeping.contended == 0, "{keeping:?}");
        let median = workload.cells[0].latency_ns_p50.unwrap().value;
        assert!((median - 2_000.0).abs() < 2.0, "{median}");
    }

    #[test]
    fn a_claim_that_all_batches_contradict_is_withdrawn() {
        let study = Study::new(&["cache"], &["w"]);
        let records = study.records(12, |_, cell, _| if cell.starts_with("no-cache") { 1_900.0 } else { 2_000.0 });
        let mut records = with_batches(records, |r, i| (i + r.block as usize).is_multiple_of(8));
        let row = |records: &[Record]| {
            let effects = analyse(&study.manifest, records).workloads.remove(0).effects;
            effects.into_iter().find(|e| e.factor == "cache" && e.contrast == "on-off").expect("a row")
        };
        let agreed = row(&records);
        assert!(agreed.all_batches.is_some_and(|all| (all.value - 100.0).abs() < 1.0), "{agreed:?}");
        assert_eq!(agreed.verdict, Verdict::Costs);
        for record in records.iter_mut().filter(|r| r.cell == "no-cache@env") {
            record.measured.as_mut().unwrap().latency_ns_p10 = 2_100.0 + f64::from(record.block % 5);
        }
        let withdrawn = row(&records);
        assert!((withdrawn.estimate.unwrap() - 100.0).abs() < 1.0, "the kept batches still say so");
        assert_eq!(withdrawn.verdict, Verdict::Inconclusive);
        assert_eq!(withdrawn.reason, "costs over the kept batches, yet the opposite over all of them");
    }

    #[test]
    fn keeping_that_depends_on_the_cell_is_flagged() {
        let study = Study::new(&["cache"], &["w"]);
        let records = study.records(12, |_, _, _| 2_000.0);
        let busy = |r: &Record, i: usize| r.cell == "no-cache@env" && i < 5 || (i + r.block as usize).is_multiple_of(9);
        let analysis = analyse(&study.manifest, &with_batches(records, busy));
        let keeping = analysis.workloads[0].keeping.as_ref().unwrap();
        assert!(keeping.is_biased(), "{keeping:?}");
        assert!(analysis.workloads[0].notes.iter().any(|note| note.contains("depends on the cell")));
    }

    #[test]
    fn a_machine_that_is_never_quiet_keeps_everything_and_says_so() {
        let study = Study::new(&["cache"], &["w"]);
        let records = study.records(12, |_, _, _| 2_000.0);
        let analysis = analyse(&study.manifest, &with_batches(records, |r, _| r.block != 3));
        assert!(!analysis.canaries.applied && analysis.canaries.reference_ns.is_some(), "{:?}", analysis.canaries);
        assert!(analysis.workloads[0].cells[0].latency_ns_p10.is_some());
    }
}
