//! Runs held against each other: that all did the same work, and that counts belong to who the plan says.

use super::void;
use ablate_format::{Measured, Pass, Record, Status, StudyPlan};
use std::collections::BTreeMap;

/// Checks what only a whole study can show: that all runs of a workload did the same work ([`prove_checksums`]), and
/// that counts belong to who the plan says ([`prove_counting`]).
pub fn prove_together(plan: &StudyPlan, records: &mut [Record]) {
    prove_checksums(plan, records);
    prove_counting(plan, records);
}

/// Voids the counting runs of a cell and workload of which no timing run is proven to be served by who was planned. A
/// run that names its server itself only falls when there are timing runs and all of them failed.
fn prove_counting(plan: &StudyPlan, records: &mut [Record]) {
    let mut timed: BTreeMap<(String, String), bool> = BTreeMap::new();
    for record in records.iter().filter(|r| r.pass == Pass::Timing) {
        *timed.entry((record.cell.clone(), record.workload.clone())).or_default() |= record.status == Status::Ok;
    }
    let planned = |cell: &str| plan.cells.iter().find(|c| c.id == cell).and_then(|c| c.served_by.as_deref());
    for record in records.iter_mut().filter(|r| r.pass != Pass::Timing && r.status == Status::Ok) {
        let Some(expected) = planned(&record.cell) else { continue };
        let proven = timed.get(&(record.cell.clone(), record.workload.clone()));
        let says = record.measured.as_ref().is_some_and(|measured| measured.served_by.is_some());
        if proven == Some(&false) || (proven.is_none() && !says) {
            void(record, format!("no timing run proves that `{expected}` served it"));
        }
    }
}

/// Checks the runs of each workload against each other: all must report the same checksum over the same number of
/// operations. The most frequent answer holds and the others become void; where two are equally frequent, nobody can
/// say which is right and all are void.
///
/// Only for whole studies: after two runs that differ there is no majority yet.
fn prove_checksums(plan: &StudyPlan, records: &mut [Record]) {
    for workload in &plan.workloads {
        let mut answers: BTreeMap<(String, u64), usize> = BTreeMap::new();
        for record in records.iter().filter(|r| r.workload == workload.name) {
            if let Some(measured) = comparable(record) {
                *answers.entry((measured.checksum.clone(), measured.operations)).or_default() += 1;
            }
        }
        if answers.len() < 2 {
            continue;
        }
        let most = answers.values().copied().max().unwrap_or(0);
        let mut holders = answers.iter().filter(|(_, count)| **count == most).map(|(answer, _)| answer);
        let majority = holders.next().filter(|_| answers.values().filter(|count| **count == most).count() == 1);
        for record in records.iter_mut().filter(|r| r.workload == workload.name) {
            let Some(measured) = comparable(record) else {
                continue;
            };
            let seen = format!("checksum {} over {} operations", measured.checksum, measured.operations);
            match majority {
                Some((checksum, operations)) => {
                    if *checksum != measured.checksum || *operations != measured.operations {
                        void(record, format!("{seen}, but most runs have {checksum} over {operations}"));
                    }
                }
                None => void(record, format!("{seen}, and equally many runs have another one")),
            }
        }
    }
}

fn comparable(record: &Record) -> Option<&Measured> {
    let counts = record.status == Status::Ok && record.pass != Pass::CountingIdle;
    record.measured.as_ref().filter(|_| counts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::fixture::Study;

    fn measured(record: &mut Record) -> &mut Measured {
        record.measured.as_mut().unwrap()
    }

    #[test]
    fn a_minority_checksum_is_void() {
        let study = Study::new(&["cache"], &["w", "v"]);
        let mut records: Vec<Record> = (0..4).map(|block| study.timing("w", "baseline", block, 100.0)).collect();
        measured(&mut records[2]).checksum = "bad".into();
        records.push(study.timing("v", "baseline", 0, 100.0));
        measured(&mut records[4]).checksum = "its own".into();
        prove_checksums(&study.manifest.plan, &mut records);
        let void: Vec<usize> = (0..5).filter(|i| records[*i].status == Status::Invalid).collect();
        assert_eq!(void, [2]);
        assert_eq!(records[2].reason, "checksum bad over 1000 operations, but most runs have c0ffee over 1000");
    }

    #[test]
    fn a_tie_voids_all_and_operations_count() {
        let study = Study::new(&["cache"], &["w"]);
        let mut records: Vec<Record> = (0..2).map(|block| study.timing("w", "baseline", block, 100.0)).collect();
        measured(&mut records[1]).operations = 2_000;
        prove_checksums(&study.manifest.plan, &mut records);
        assert!(records.iter().all(|r| r.status == Status::Invalid), "{records:?}");
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
            prove_together(&study.manifest.plan, &mut records);
            assert_eq!(records[0].status, expected, "{timing:?} {says}: {}", records[0].reason);
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
