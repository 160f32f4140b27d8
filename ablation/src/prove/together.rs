//! Runs compared with each other: all must do the same work and print the same, and counts must be those of the planned allocator.

use super::judged::{JudgedRun, Reported};
use super::outputs;
use crate::support::count::grouped;
use ablate_format::{Pass, Status, StudyPlan};
use std::collections::HashMap;

/// Checks what only a whole study can show: that all runs of a workload did the same work, and that counts are those of
/// the planned allocator. Returns the indexes of the runs that became invalid, for [`undo`].
pub(crate) fn prove_together(plan: &StudyPlan, runs: &mut [JudgedRun]) -> Vec<usize> {
    let mut changed = prove_checksums(plan, runs);
    changed.extend(invalidate_all(runs, outputs::differing(plan, runs)));
    changed.extend(prove_counting(plan, runs));
    changed
}

/// Takes back what [`prove_together`] did, so that more runs can be added and all of them checked again.
pub(crate) fn undo(runs: &mut [JudgedRun], changed: &[usize]) {
    for at in changed {
        (runs[*at].status, runs[*at].reason) = (Status::Ok, "".into());
    }
}

/// Makes the counting runs of a cell and workload invalid when no timing run proves the planned allocator. A counting
/// run that names the allocator itself becomes invalid only when there are timing runs and all of them failed.
fn prove_counting(plan: &StudyPlan, runs: &mut [JudgedRun]) -> Vec<usize> {
    let mut timed: HashMap<(&str, &str), bool> = HashMap::new();
    for run in runs.iter().filter(|run| run.pass == Pass::Timing) {
        *timed.entry((&run.cell, &run.workload)).or_default() |= run.status == Status::Ok;
    }
    let planned = |cell: &str| plan.cells.iter().find(|c| c.id == cell).and_then(|c| c.served_by.as_deref());
    let mut invalid = Vec::new();
    for (at, run) in runs.iter().enumerate().filter(|(_, run)| run.pass != Pass::Timing && run.status == Status::Ok) {
        let Some(expected) = planned(&run.cell) else { continue };
        let proven = timed.get(&(&*run.cell, &*run.workload));
        let has_name = run.measured.as_ref().is_some_and(|measured| measured.served_by.is_some());
        if proven == Some(&false) || (proven.is_none() && !has_name) {
            invalid.push((at, format!("no timing run proves that `{expected}` served it")));
        }
    }
    invalidate_all(runs, invalid)
}

/// Compares the runs of each workload: all must report the same checksum over the same number of operations. Runs with
/// another answer than the most frequent one become invalid. When two answers are equally frequent, all runs do.
///
/// Only for whole studies: after two runs that differ there is no majority yet.
fn prove_checksums(plan: &StudyPlan, runs: &mut [JudgedRun]) -> Vec<usize> {
    let mut answers: HashMap<&str, HashMap<(&str, u64), usize>> =
        plan.workloads.iter().map(|workload| (workload.name.as_str(), HashMap::new())).collect();
    for run in runs.iter() {
        if let (Some(measured), Some(answers)) = (comparable(run), answers.get_mut(&*run.workload)) {
            *answers.entry((&measured.checksum, measured.operations)).or_default() += 1;
        }
    }
    answers.retain(|_, answers| answers.len() > 1);
    if answers.is_empty() {
        return Vec::new();
    }
    let mut invalid = Vec::new();
    for (at, run) in runs.iter().enumerate() {
        let (Some(measured), Some(answers)) = (comparable(run), answers.get(&*run.workload)) else { continue };
        let most = answers.values().copied().max().unwrap_or(0);
        let mut holders = answers.iter().filter(|(_, count)| **count == most).map(|(answer, _)| *answer);
        let majority = holders.next().filter(|_| holders.next().is_none());
        let seen = format!("checksum {} over {} operations", measured.checksum, grouped(measured.operations));
        match majority {
            Some((checksum, operations)) => {
                if *checksum != *measured.checksum || operations != measured.operations {
                    invalid.push((at, format!("{seen}, but most runs have {checksum} over {}", grouped(operations))));
                }
            }
            None => invalid.push((at, format!("{seen}, and equally many runs have another one"))),
        }
    }
    invalidate_all(runs, invalid)
}

/// Makes these runs invalid, each by its index with the reason. Returns the indexes.
fn invalidate_all(runs: &mut [JudgedRun], invalid: Vec<(usize, String)>) -> Vec<usize> {
    let indexes = invalid.iter().map(|(at, _)| *at).collect();
    for (at, reason) in invalid {
        (runs[at].status, runs[at].reason) = (Status::Invalid, reason.into());
    }
    indexes
}

/// What a run reported, where it is to be compared with others. A program without a checksum decides itself how many
/// operations it does.
fn comparable(run: &JudgedRun) -> Option<&Reported> {
    let counts = run.status == Status::Ok && run.pass != Pass::CountingIdle;
    run.measured.as_ref().filter(|measured| counts && !measured.checksum.is_empty())
}

#[cfg(test)]
mod tests {
    use super::super::Judge;
    use super::*;
    use crate::analyse::fixture::Study;
    use ablate_format::{Measured, Record};

    fn measured(record: &mut Record) -> &mut Measured {
        record.measured.as_mut().unwrap()
    }

    fn judged(study: &Study, records: &[Record]) -> Vec<JudgedRun> {
        let mut judge = Judge::new(&study.manifest.plan);
        records.iter().map(|record| judge.judge(record.clone())).collect()
    }

    #[test]
    fn a_minority_checksum_is_invalid() {
        let study = Study::new(&["cache"], &["w", "v"]);
        let mut records: Vec<Record> = (0..4).map(|block| study.timing("w", "baseline", block, 100.0)).collect();
        measured(&mut records[2]).checksum = "bad".into();
        records.push(study.timing("v", "baseline", 0, 100.0));
        measured(&mut records[4]).checksum = "its own".into();
        let alone = judged(&study, &records);
        let mut runs = alone.clone();
        let changed = prove_together(&study.manifest.plan, &mut runs);
        let invalid: Vec<usize> = (0..5).filter(|i| runs[*i].status == Status::Invalid).collect();
        assert_eq!((&invalid, &changed), (&vec![2], &vec![2]));
        undo(&mut runs, &changed);
        assert_eq!(runs, alone);
        prove_together(&study.manifest.plan, &mut runs);
        assert_eq!(&*runs[2].reason, "checksum bad over 1,000 operations, but most runs have c0ffee over 1,000");
    }

    #[test]
    fn a_tie_makes_all_invalid_and_operations_count() {
        let study = Study::new(&["cache"], &["w"]);
        let mut records: Vec<Record> = (0..2).map(|block| study.timing("w", "baseline", block, 100.0)).collect();
        measured(&mut records[1]).operations = 2_000;
        let mut runs = judged(&study, &records);
        prove_checksums(&study.manifest.plan, &mut runs);
        assert!(runs.iter().all(|run| run.status == Status::Invalid), "{runs:?}");
    }

    #[test]
    fn counts_need_a_timing_run_that_proves_who_served() {
        let study = Study::new(&["cache"], &["w", "v"]);
        let check = |timing: Option<Status>, says: bool, expected: Status| {
            let mut counting = study.counting("w", "peer-fast", 0, &[("syscalls", 3)]);
            if !says {
                measured(&mut counting).served_by = None;
            }
            // Another workload proves nothing for this one.
            let mut records = vec![counting, study.timing("v", "peer-fast", 0, 100.0)];
            if let Some(status) = timing {
                let mut record = study.timing("w", "peer-fast", 0, 100.0);
                record.status = status;
                records.push(record);
            }
            let mut runs = judged(&study, &records);
            prove_together(&study.manifest.plan, &mut runs);
            assert_eq!(runs[0].status, expected, "{timing:?} {says}: {}", runs[0].reason);
        };
        for says in [true, false] {
            check(Some(Status::Ok), says, Status::Ok);
            check(Some(Status::Invalid), says, Status::Invalid);
            check(Some(Status::Crashed), says, Status::Invalid);
        }
        check(None, true, Status::Ok);
        check(None, false, Status::Invalid);
    }
}
