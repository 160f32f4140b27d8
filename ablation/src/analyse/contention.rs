//! Which timed batches a busy neighbour disturbed, by the contention probes around them; the rule is the same for every
//! cell.
//!
//! A batch is retained when the contention probes before and after it are within 8 % of the study's reference, the 2nd
//! percentile of all contention probes. The percentiles of a run are then over its retained batches. Whether retaining
//! depends on the cell is tested, because it would bias the comparison of cells.

use crate::prove::{JudgedRun, Reported};
use ablate_format::effects::Contention;
use ablate_format::{Pass, Status};
use ablate_stats::order::{percentile, percentile_of, sorted};
use std::collections::BTreeSet;

/// A contention probe this much above the reference was disturbed.
const TOLERANCE: f64 = 1.08;
/// Percentile of all contention probes that is the reference.
const REFERENCE: f64 = 0.02;
/// Fewest retained batches of a run that counts.
const LEAST_RETAINED: usize = 8;
/// Below this share of retained batches over a study, all batches are taken: then there is no quiet state to select.
const LEAST_SHARE: f64 = 0.2;

/// Reads the contention probes of all proven timing runs. Several machines have a reference each, because a step takes
/// another time on each.
pub(super) fn read(records: &[JudgedRun]) -> Contention {
    let timed = || records.iter().filter(|r| r.pass == Pass::Timing && r.status == Status::Ok);
    let measured = || timed().filter_map(|r| r.measured.as_ref());
    // There are no more machines than runs: the number of another one is of a damaged record.
    let runs = timed().count();
    let machines: BTreeSet<u32> = timed().map(|run| run.machine).filter(|machine| (*machine as usize) < runs).collect();
    let probes = || measured().flat_map(|m| m.contention_probes_ns().iter().copied());
    let [reference_ns, median_ns] = places(probes, [REFERENCE, 0.5]);
    let mut contention = Contention { reference_ns, median_ns, ..Contention::default() };
    if let Some(last) = machines.last().filter(|last| **last > 0) {
        let of = |machine: u32| {
            let own = || timed().filter(move |run| run.machine == machine).filter_map(|run| run.measured.as_ref());
            places(|| own().flat_map(|m| m.contention_probes_ns().iter().copied()), [REFERENCE])[0]
        };
        contention.reference_by_machine_ns = vec![None; *last as usize + 1];
        for machine in &machines {
            contention.reference_by_machine_ns[*machine as usize] = of(*machine);
        }
    }
    if contention.reference_ns.is_some() {
        let (mut retained, mut batches) = (0, 0);
        for run in timed() {
            let Some((measured, reference)) = run.measured.as_ref().zip(reference(&contention, run.machine)) else {
                continue;
            };
            retained += quiet(measured, reference).count();
            batches += measured.batches_ns().len();
        }
        let share = retained as f64 / batches.max(1) as f64;
        (contention.retained, contention.applied) = ((batches > 0).then_some(share), share >= LEAST_SHARE);
    }
    let (mut quiet, mut all) = (0, 0);
    for machine in machines {
        let own = timed().filter(|run| run.machine == machine);
        let around: Vec<(f64, f64)> = own.filter_map(|r| r.contention_probe_ns).collect();
        let own = sorted(&around.iter().flat_map(|(a, b)| [*a, *b]).collect::<Vec<_>>());
        if let Some(reference) = percentile(&own, REFERENCE) {
            quiet += around.iter().filter(|(a, b)| a.max(*b) <= TOLERANCE * reference).count();
            all += around.len();
        }
    }
    contention.quiet_processes = (all > 0).then(|| quiet as f64 / all as f64);
    contention
}

/// The reference of a machine.
fn reference(contention: &Contention, machine: u32) -> Option<f64> {
    match contention.reference_by_machine_ns.get(machine as usize) {
        Some(own) => *own,
        None => contention.reference_ns,
    }
}

/// Percentiles of a run over its retained batches, and how many of how many were retained.
pub(super) fn judge(contention: &Contention, machine: u32, measured: &Reported) -> Undisturbed {
    let told = Undisturbed { p10: measured.latency_ns_p10, p50: measured.latency_ns_p50, retained: None };
    let Some(reference) = reference(contention, machine) else { return told };
    if measured.batches_ns().is_empty() || measured.contention_probes_ns().len() != measured.batches_ns().len() + 1 {
        return told;
    }
    let mut retained: Vec<f64> = quiet(measured, reference).map(f64::from).collect();
    let share = Some((retained.len(), measured.batches_ns().len()));
    if !contention.applied {
        return Undisturbed { retained: share, ..told };
    }
    // Short runs have fewer batches than that to begin with.
    if retained.len() < LEAST_RETAINED.min(measured.batches_ns().len()) {
        return Undisturbed { p10: None, p50: None, retained: share };
    }
    retained.retain(|ns| ns.is_finite());
    Undisturbed { p10: percentile_of(&mut retained, 0.1), p50: percentile_of(&mut retained, 0.5), retained: share }
}

/// The finite values at these shares of their order, rounded down to a value; `None` without any.
///
/// There are a hundred for each run: two passes count them by the upper and by the lower half of their bits, where
/// sorting or selecting would copy them all first.
fn places<const N: usize, I: Iterator<Item = f32>>(values: impl Fn() -> I, shares: [f64; N]) -> [Option<f64>; N] {
    // Bits in the order of the values: those of negative ones are turned over.
    let ordered = |value: f32| {
        let bits = value.to_bits();
        if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
    };
    let finite = || values().filter(|value| value.is_finite()).map(ordered);
    let mut upper = vec![0_usize; 1 << 16];
    finite().for_each(|bits| upper[(bits >> 16) as usize] += 1);
    let all: usize = upper.iter().sum();
    let find = |counts: &[usize], mut place: usize| {
        let at = counts.iter().position(|count| {
            let is_here = place < *count;
            place -= if is_here { 0 } else { *count };
            is_here
        });
        Some((at?, place))
    };
    let upper = shares.map(|share| find(&upper, (all.checked_sub(1)? as f64 * share) as usize));
    let mut lower: Vec<[usize; N]> = std::iter::repeat_n([0; N], 1 << 16).collect();
    for bits in finite() {
        for (at, found) in upper.iter().enumerate() {
            lower[(bits & 0xffff) as usize][at] +=
                usize::from(found.is_some_and(|(half, _)| half == (bits >> 16) as usize));
        }
    }
    std::array::from_fn(|at| {
        let (half, place) = upper[at]?;
        let counts: Vec<usize> = lower.iter().map(|counts| counts[at]).collect();
        let bits = (half << 16 | find(&counts, place)?.0) as u32;
        Some(f64::from(f32::from_bits(if bits >> 31 == 1 { bits & !(1 << 31) } else { !bits })))
    })
}

/// A run's percentiles as far as it was undisturbed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Undisturbed {
    /// 10th percentile, nanoseconds per operation; `None`: too few batches are left.
    pub(super) p10: Option<f64>,
    /// Median, nanoseconds per operation.
    pub(super) p50: Option<f64>,
    /// Batches retained, and all; `None` for a program without contention probes.
    pub(super) retained: Option<(usize, usize)>,
}

/// The batches between two quiet contention probes.
fn quiet(measured: &Reported, reference: f64) -> impl Iterator<Item = f32> + '_ {
    let limit = (TOLERANCE * reference) as f32;
    let ends = measured.contention_probes_ns().windows(2);
    measured.batches_ns().iter().zip(ends).filter(move |(_, ends)| ends[0].max(ends[1]) <= limit).map(|(ns, _)| *ns)
}

#[cfg(test)]
mod tests {
    use super::places;
    use crate::analyse::fixture::Study;
    use crate::analyse::{Verdict, analyse};
    use ablate_format::Record;

    /// Sixteen batches a run; those where `busy` says so take twice as long, contention probe and all.
    fn with_batches(mut records: Vec<Record>, busy: impl Fn(&Record, usize) -> bool) -> Vec<Record> {
        for record in &mut records {
            let slow: Vec<bool> = (0..16).map(|i| busy(record, i)).collect();
            let measured = record.measured.as_mut().unwrap();
            let ns = measured.latency_ns_p10.unwrap() as f32;
            measured.batches_ns = slow.iter().map(|slow| if *slow { 2.0 * ns } else { ns }).collect();
            let near = |i: usize| slow.get(i.wrapping_sub(1)) == Some(&true) || slow.get(i) == Some(&true);
            measured.contention_probes_ns = (0..17).map(|i| if near(i) { 1.1 } else { 0.57 }).collect();
            // What the program itself says is over all batches.
            measured.latency_ns_p50 = Some(f64::from(ns) * 1.5);
            measured.latency_ns_p99 = Some(f64::from(ns) * 2.0);
        }
        records
    }

    #[test]
    fn places_are_those_of_the_sorted_values() {
        let values = [0.57, -1.0, 3e30, 0.5701, f32::NAN, 0.0, -0.0, 1e-40, 0.57, f32::INFINITY, -2e-3];
        let mut sorted: Vec<f32> = values.into_iter().filter(|value| value.is_finite()).collect();
        sorted.sort_by(f32::total_cmp);
        for share in [0.0, 0.02, 0.3, 0.5, 0.7, 0.99, 1.0] {
            let at = ((sorted.len() - 1) as f64 * share) as usize;
            let found = places(|| values.into_iter(), [0.1, share])[1].map(f64::to_bits);
            assert_eq!(found, Some(f64::from(sorted[at]).to_bits()), "{share}");
        }
        assert_eq!(places(std::iter::empty, [0.5]), [None]);
    }

    #[test]
    fn disturbed_batches_are_left_out_of_every_cell_alike() {
        let study = Study::new(&["cache"], &["w"]);
        let records = study.records(12, |_, cell, _| if cell.starts_with("no-cache") { 1_900.0 } else { 2_000.0 });
        let records = with_batches(records, |r, i| (i + r.block as usize).is_multiple_of(8));
        let analysis = analyse(&study.manifest, &records);
        assert!(
            analysis.contention.applied
                && analysis.contention.retained.is_some_and(|retained| (0.55..0.7).contains(&retained))
        );
        let workload = &analysis.workloads[0];
        let retention = workload.retention.as_ref().unwrap();
        assert!(!retention.is_biased() && retention.contended == 0, "{retention:?}");
        let median = workload.cells[0].latency_ns_p50.unwrap().value;
        assert!((median - 2_000.0).abs() < 2.0, "{median}");
    }

    #[test]
    fn a_number_that_no_machine_has_needs_no_place() {
        let study = Study::new(&["cache"], &["w"]);
        let mut records = with_batches(study.records(6, |_, _, _| 2_000.0), |_, _| false);
        records[0].machine = u32::MAX;
        records[1].machine = 3_000_000_000;
        let contention = analyse(&study.manifest, &records).contention;
        assert!(contention.reference_ns.is_some() && contention.reference_by_machine_ns.is_empty(), "{contention:?}");
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
            record.measured.as_mut().unwrap().latency_ns_p10 = Some(2_100.0 + f64::from(record.block % 5));
        }
        let withdrawn = row(&records);
        assert!((withdrawn.estimate.unwrap() - 100.0).abs() < 1.0, "the retained batches still say so");
        assert_eq!(withdrawn.verdict, Verdict::Inconclusive);
        assert_eq!(withdrawn.reason, "costs over the retained batches, yet the opposite over all of them");
    }

    #[test]
    fn retention_that_depends_on_the_cell_is_flagged() {
        let study = Study::new(&["cache"], &["w"]);
        let records = study.records(12, |_, _, _| 2_000.0);
        let busy = |r: &Record, i: usize| r.cell == "no-cache@env" && i < 5 || (i + r.block as usize).is_multiple_of(9);
        let analysis = analyse(&study.manifest, &with_batches(records, busy));
        let retention = analysis.workloads[0].retention.as_ref().unwrap();
        assert!(retention.is_biased(), "{retention:?}");
        insta::assert_snapshot!("biased_retention", analysis.workloads[0].notes.join("\n"));
    }

    #[test]
    fn a_machine_that_is_never_quiet_keeps_everything_and_says_so() {
        let study = Study::new(&["cache"], &["w"]);
        let records = study.records(12, |_, _, _| 2_000.0);
        let analysis = analyse(&study.manifest, &with_batches(records, |r, _| r.block != 3));
        assert!(
            !analysis.contention.applied && analysis.contention.reference_ns.is_some(),
            "{:?}",
            analysis.contention
        );
        assert!(analysis.workloads[0].cells[0].latency_ns_p10.is_some());
    }
}
