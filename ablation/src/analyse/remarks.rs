//! What a study as a whole cannot show, and what disturbed the machine while it ran.

use super::workload::WorkloadAnalysis;
use crate::prove::{self, JudgedRun};
use crate::support::count::counted;
use ablate_format::{CellKind, MainResponse, Pass, Status, StudyPlan};
use std::collections::{BTreeMap, BTreeSet};

/// Fewer workloads than that invite to tune for them.
const FEW_WORKLOADS: usize = 3;
/// From so many page faults per operation on, first touch is a good part of the time.
const COLD_FAULTS: f64 = 1.0;

/// One sentence each; empty when there is nothing to say.
pub(super) fn remarks(plan: &StudyPlan, workloads: &[WorkloadAnalysis], records: &[JudgedRun]) -> Vec<String> {
    let mut out = plan.remarks.clone();
    // A process that is measured as a whole includes its start, so it is not a steady state.
    let measured: Vec<&WorkloadAnalysis> =
        workloads.iter().filter(|w| baseline_faults(w).is_some() && !w.response.is_outside()).collect();
    let cold = measured.iter().all(|w| baseline_faults(w).is_some_and(|faults| faults >= COLD_FAULTS));
    if !measured.is_empty() && cold {
        let most = measured.iter().filter_map(|w| baseline_faults(w)).fold(0.0, f64::max);
        out.push(format!(
            "every workload is a cold start (up to {most:.1} page faults per operation), so what is measured is first touch \
             as well: add a workload with more operations to see the steady state"
        ));
    }
    if (1..FEW_WORKLOADS).contains(&workloads.len()) {
        let names: Vec<&str> = workloads.iter().map(|w| w.name.as_str()).collect();
        out.push(format!(
            "what is found holds for {} alone: other sizes and lifetimes were not run",
            names.join(" and ")
        ));
    }
    out.extend(two_speeds(workloads));
    out.extend(prove::outputs::remarks(plan, records));
    out.extend(peaks_from_outside(plan, records));
    out.extend(shared_counters(records));
    let timed = || records.iter().filter(|r| r.pass == Pass::Timing && r.status == Status::Ok);
    let (ticks, seen) = timed()
        .filter_map(|r| r.steal_ticks)
        .fold((0_u64, 0), |(ticks, seen), t| (ticks.saturating_add(t), seen + 1_u64));
    let wall_s = timed().map(|r| r.wall_ns as f64 / 1e9).sum::<f64>();
    if seen > 0 && ticks > 0 {
        // A tick is a hundredth of a second on every Linux that has /proc/stat (USER_HZ, proc_stat(5)).
        let share = 100.0 * ticks as f64 / 100.0 / wall_s.max(1e-9);
        out.push(format!(
            "the host took the processors away for {} while runs were timed ({share:.2} %)",
            counted(ticks as usize, "clock tick")
        ));
    }
    out
}

fn baseline_faults(workload: &WorkloadAnalysis) -> Option<f64> {
    let baseline = workload.cells.iter().find(|cell| cell.kind == CellKind::Baseline)?;
    baseline.per_operation("page-faults")
}

/// Peaks of resident memory that the programs did not tell themselves, where something is judged by them.
fn peaks_from_outside(plan: &StudyPlan, records: &[JudgedRun]) -> Option<String> {
    let is_peak = |response: MainResponse| response == MainResponse::RssPeak;
    let by_itself = |name: &str| plan.workloads.iter().any(|w| w.name == name && is_peak(w.response));
    let aimed = |name: &str| {
        let mut targets = plan.targets.iter().filter(|target| target.workloads.iter().any(|w| w == name));
        targets.any(|target| target.response.is_some_and(|r| is_peak(r.of) || r.over.is_some_and(is_peak)))
    };
    let judged = |name: &str| by_itself(name) || aimed(name);
    let is_own = |run: &JudgedRun| run.measured.as_ref().is_some_and(|measured| measured.has_own_peak);
    let (mut cells, mut most) = (BTreeSet::new(), None);
    for record in records.iter().filter(|r| r.pass == Pass::Timing && r.status == Status::Ok && judged(&r.workload)) {
        if !is_own(record) {
            cells.insert(format!("{} in {}", record.cell, record.workload));
            most = most.max(record.runner_rss_bytes);
        }
    }
    let first = cells.first()?;
    let more = if cells.len() > 1 { format!(" and {} more", cells.len() - 1) } else { String::new() };
    let runner = most.map_or_else(
        || "how much that was is not known".to_owned(),
        |bytes| format!("at most {:.1} MiB, and all peaks are above it", bytes as f64 / 1_048_576.0),
    );
    Some(format!(
        "rss-peak of {first}{more} is the kernel's, which begins with the memory that the runner had when it started the \
         process ({runner}); a program that prints `rss_peak_bytes` is judged by that number"
    ))
}

/// Counters that had to share the processor: how far they were scaled, or why they gave nothing.
fn shared_counters(records: &[JudgedRun]) -> Vec<String> {
    let mut least: BTreeMap<&str, f64> = BTreeMap::new();
    let mut refused: BTreeMap<&str, (usize, &str)> = BTreeMap::new();
    for record in records.iter().filter_map(|run| run.counted.as_ref()) {
        for (name, coverage) in &record.coverage {
            let known = least.entry(name).or_insert(1.0);
            *known = known.min(*coverage);
        }
        for (name, why) in &record.refused {
            refused.entry(name).or_insert((0, why)).0 += 1;
        }
    }
    let scaled: Vec<String> = least.iter().map(|(name, share)| format!("{name} {:.1} %", 100.0 * share)).collect();
    let mut out = Vec::new();
    if !scaled.is_empty() {
        let scaled = scaled.join(", ");
        out.push(format!(
            "counters that shared the processor are scaled up; the smallest part of the time that they counted: {scaled}"
        ));
    }
    out.extend(
        refused.iter().map(|(name, (runs, why))| format!("{name} gave no count in {}: {why}", counted(*runs, "run"))),
    );
    out
}

/// Workloads whose baseline runs fall into two speeds.
fn two_speeds(workloads: &[WorkloadAnalysis]) -> Option<String> {
    let mut named = Vec::new();
    for workload in workloads {
        let baseline = workload.cells.iter().find(|cell| cell.kind == CellKind::Baseline)?;
        let noise = workload.noise.iter().find(|noise| noise.cell == baseline.id);
        if let Some(found) = noise.and_then(|noise| noise.two_speeds) {
            let share = 100.0 * found.slow_share;
            let (fast, slow) = (found.fast_ns, found.slow_ns);
            let per = if workload.is_per_run { " per run" } else { "/op" };
            named.push(format!("{} ({fast:.3} and {slow:.3} ns{per}, {share:.0} % slow)", workload.name));
        }
    }
    (!named.is_empty()).then(|| format!("baseline runs have two speeds in {}: intervals are wide", named.join(", ")))
}

#[cfg(test)]
mod tests {
    use crate::analyse::analyse;
    use crate::analyse::fixture::Study;
    use ablate_format::MainResponse;

    #[test]
    fn cold_starts_few_workloads_and_two_speeds_are_said() {
        let study = Study::new(&["cache"], &["w"]);
        let slow = |block: u32| if block.is_multiple_of(3) { 1_000.0 } else { 0.0 };
        let mut records = study.records(30, |_, _, block| 2_000.0 + slow(block));
        for repeat in 0..2 {
            records.push(study.counting("w", "baseline", repeat, &[("page-faults", 51_300)]));
            records.push(study.idle("w", "baseline", repeat, &[("page-faults", 300)]));
        }
        records[0].steal_ticks = Some(7);
        records[0].coverage.insert("cycles".to_owned(), 0.97);
        records[1].coverage.insert("cycles".to_owned(), 0.96);
        records[2].refused.insert("branches".to_owned(), "busy; end what uses it".to_owned());
        let remarks = analyse(&study.manifest, &records).remarks;
        insta::assert_snapshot!("disturbed", remarks.join("\n"));
        let mut study = Study::new(&["cache"], &["a", "b", "c"]);
        study.manifest.plan.workloads[0].response = MainResponse::RssPeak;
        let mut records = study.records(12, |_, _, _| 2_000.0);
        records.iter_mut().for_each(|r| (r.process_rss_peak_bytes, r.runner_rss_bytes) = (9 << 20, Some(8 << 20)));
        let outside = analyse(&study.manifest, &records).remarks;
        insta::assert_snapshot!("peaks_from_outside", outside.join("\n"));
        records.iter_mut().for_each(|r| r.measured.as_mut().unwrap().rss_peak_bytes = Some(3 << 20));
        assert!(analyse(&study.manifest, &records).remarks.is_empty());
        let study = Study::new(&["cache"], &["a", "b", "c"]);
        let quiet = analyse(&study.manifest, &study.records(12, |_, _, _| 2_000.0)).remarks;
        assert!(quiet.is_empty(), "{quiet:?}");
        // Numbers of damaged records have no sum.
        let mut damaged = study.records(12, |_, _, _| 2_000.0);
        damaged.iter_mut().for_each(|record| record.steal_ticks = Some(u64::MAX));
        assert!(
            analyse(&study.manifest, &damaged).remarks.iter().any(|said| said.contains("took the processors away"))
        );
    }
}
