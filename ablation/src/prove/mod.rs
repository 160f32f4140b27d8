//! Proof: whether a run did what its cell in the plan asks for.
//!
//! A run whose result line contradicts its cell is invalid. It stays in the records, and no mean contains it. This
//! module only decides; [`crate::analyse`] leaves invalid runs out and [`crate::report`] names them.

mod alone;
mod judged;
mod known;
pub(crate) mod outputs;
mod together;
mod values;
mod ways;

use crate::support::count::grouped;
use ablate_format::{FactorPlan, Record, StudyPlan};
pub(crate) use alone::prove;
pub(crate) use judged::{Judge, JudgedRun, Printed, Reported};
pub(crate) use known::KnownCounters;
pub(crate) use together::{prove_together, undo};
pub(crate) use ways::{Outputs, ways};

/// Checks all records of a study, each by itself and then together.
pub(crate) fn judge_all(plan: &StudyPlan, records: &[Record]) -> Vec<JudgedRun> {
    let mut judge = Judge::new(plan);
    let mut runs: Vec<JudgedRun> = records.iter().map(|record| judge.judge(record.clone())).collect();
    prove_together(plan, &mut runs);
    runs
}

/// Largest share of the runs in which the proof counters of an exercised factor stay at 0. A program that decides at
/// random leaves a factor without work in some runs.
const MAX_ZERO_RUNS: f64 = 0.05;

/// Whether a factor was exercised: at least one of its proof counters moved in the runs of a cell. `Ok` with a sentence
/// when all of them stayed at 0 in a few runs.
///
/// # Errors
/// The reason when they stayed at 0 in more than 5 % of the runs: which counters, and in how many runs.
pub(crate) fn exercised<'a>(
    factor: &FactorPlan,
    runs: impl IntoIterator<Item = &'a Reported>,
) -> Result<Option<String>, String> {
    if factor.proof.is_empty() {
        // A factor without counters is proven by exact counts or by its binaries.
        return Ok(None);
    }
    let (mut zero, mut all) = (0_u32, 0_u32);
    for measured in runs {
        all += 1;
        // A proven run reports all counters of a factor at work.
        let stayed = |name: &String| measured.zero_counters.iter().any(|zero| **zero == **name);
        zero += u32::from(factor.proof.iter().all(stayed));
    }
    if zero == 0 {
        return Ok(None);
    }
    let evidence = format!(
        "{} stayed 0 in {} of {} runs although `{}` is on",
        factor.proof.join(", "),
        grouped(zero.into()),
        grouped(all.into()),
        factor.name
    );
    if f64::from(zero) <= MAX_ZERO_RUNS * f64::from(all) { Ok(Some(evidence)) } else { Err(evidence) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::fixture::Study;
    use ablate_format::MainResponse;
    use ablate_format::{Measured, Pass, Status};

    fn check(change: impl FnOnce(&mut Record), cell: &str, expected: &str) {
        let study = Study::new(&["cache", "tick"], &["w"]);
        let mut record = study.timing("w", cell, 0, 100.0);
        prove(&study.manifest.plan, &mut record);
        assert_eq!((record.status, record.reason.as_str()), (Status::Ok, ""), "untouched");
        change(&mut record);
        prove(&study.manifest.plan, &mut record);
        assert_eq!((record.status, record.reason.as_str()), (Status::Invalid, expected));
    }

    fn measured(record: &mut Record) -> &mut Measured {
        record.measured.as_mut().unwrap()
    }

    fn set(record: &mut Record, factor: &str, value: u64) {
        measured(record).counters.entry(factor.into()).or_default().insert("moves".into(), value);
    }

    #[test]
    fn contradictions_make_a_run_invalid() {
        check(|r| measured(r).served_by = None, "baseline", "served by `no name`, expected `subject`");
        check(|r| measured(r).served_by = Some("libc".into()), "peer-fast", "served by `libc`, expected `fast`");
        let refused = "the program refused its environment: X=7: no such value";
        check(|r| measured(r).env_rejected = vec!["X=7: no such value".into()], "baseline", refused);
        let level = "factor `cache`: expected level `off`, seen `on`";
        check(|r| _ = measured(r).levels.insert("cache".into(), "on".into()), "no-cache@env", level);
        let none = "factor `tick`: expected level `on`, seen `no level`";
        check(|r| _ = measured(r).levels.remove("tick"), "baseline", none);
        let moved = "factor `cache` is off: expected counter cache.moves at 0, seen 3";
        check(|r| set(r, "cache", 3), "no-cache@env", moved);
        let moved = "factor `cache` is absent: expected counter cache.moves at 0, seen 1";
        check(|r| set(r, "cache", 1), "no-cache@feature", moved);
        let missing = "factor `cache` is on, but the run reported no counter cache.moves";
        check(|r| _ = measured(r).counters.remove("cache"), "baseline", missing);
        check(|r| r.measured = None, "baseline", "no result line");
        check(|r| r.cell = "other".into(), "baseline", "cell `other` is not in the plan");
        let other = "it ran code layout 3, and the study has 1; the record is of another study";
        check(|r| r.layout = 3, "baseline", other);
        check(|r| measured(r).operations = 0, "baseline", "0 operations were measured");
        let absurd = "a latency is negative or not a number: p10, p50, p99 = [NaN, 102.0, 110.0] ns";
        check(|r| measured(r).latency_ns_p10 = Some(f64::NAN), "baseline", absurd);
        let order = "percentiles are out of order: p10, p50, p99 = [100.0, 102.0, 5.0] ns";
        check(|r| measured(r).latency_ns_p99 = Some(5.0), "baseline", order);
    }

    #[test]
    fn a_part_that_is_off_by_default_may_be_absent_and_one_that_is_switched_off_may_not() {
        let mut study = Study::new(&["cache"], &["w"]);
        let absent = |study: &Study| {
            let mut record = study.timing("w", "no-cache@env", 0, 100.0);
            _ = measured(&mut record).levels.insert("cache".into(), "absent".into());
            prove(&study.manifest.plan, &mut record);
            record.status
        };
        assert_eq!(absent(&study), Status::Invalid);
        study.manifest.plan.factors[0].baseline = "off".to_owned();
        assert_eq!(absent(&study), Status::Ok);
    }

    #[test]
    fn a_workload_that_is_judged_by_a_value_needs_it_while_timing() {
        let mut study = Study::new(&["cache"], &["w"]);
        study.manifest.plan.workloads[0].response = MainResponse::named("value:held_bytes").unwrap();
        let judged = |pass: Pass, values: &[(&str, f64)]| {
            let mut record = study.timing("w", "peer-fast", 0, 100.0);
            record.pass = pass;
            measured(&mut record).values = values.iter().map(|(name, value)| (name.to_string(), *value)).collect();
            prove(&study.manifest.plan, &mut record);
            record.reason
        };
        let missing = "`w` is judged by value `held_bytes`, which the run did not report: its values are";
        assert_eq!(judged(Pass::Timing, &[]), format!("{missing} none"));
        assert_eq!(
            judged(Pass::Timing, &[("spans", 3.0)]),
            format!("{missing} spans; write response = \"value:spans\" or another")
        );
        assert_eq!(judged(Pass::Timing, &[("held_bytes", 3.0)]), "");
        assert_eq!(judged(Pass::Counting, &[]), "");
        assert_eq!(judged(Pass::Timing, &[("held_bytes", f64::NAN)]), "value `held_bytes` is not a number: NaN");
    }

    #[test]
    fn a_preloaded_library_that_no_process_opened_served_nothing() {
        let study = Study::new(&["cache"], &["w"]);
        let judged = |opened: Option<bool>| {
            let mut record = study.timing("w", "baseline", 0, 100.0);
            record.preload_opened = opened;
            prove(&study.manifest.plan, &mut record);
            record.reason
        };
        assert!(judged(Some(false)).starts_with("no process of the run opened"));
        assert_eq!((judged(Some(true)), judged(None)), (String::new(), String::new()));
    }

    #[test]
    fn a_peak_that_may_be_the_runner_s_is_no_peak_of_the_program() {
        let mut study = Study::new(&["cache"], &["w"]);
        study.manifest.plan.workloads[0].response = MainResponse::RssPeak;
        let judged = |study: &Study, pass: Pass, own: Option<u64>, is_silent: bool| {
            let mut record = study.timing("w", "peer-fast", 0, 100.0);
            (record.pass, record.process_rss_peak_bytes, record.runner_rss_bytes) = (pass, 3 << 20, Some(8 << 20));
            measured(&mut record).rss_peak_bytes = own;
            record.measured = record.measured.filter(|_| !is_silent);
            prove(&study.manifest.plan, &mut record);
            record.reason
        };
        let hidden = "a peak of 3 MiB, seen from outside, is not above the 8 MiB that the runner had";
        assert!(judged(&study, Pass::Timing, None, false).starts_with(hidden));
        assert_eq!(judged(&study, Pass::Timing, Some(2 << 20), false), "");
        assert_eq!(judged(&study, Pass::Counting, None, false), "");
        study.cell("peer-fast").served_by = None;
        assert!(judged(&study, Pass::Timing, None, true).starts_with(hidden));
        study.manifest.plan.workloads[0].response = MainResponse::Wall;
        assert_eq!(judged(&study, Pass::Timing, None, true), "");
    }

    fn judged(study: &Study, record: &Record) -> JudgedRun {
        Judge::new(&study.manifest.plan).judge(record.clone())
    }

    #[test]
    fn a_judged_run_keeps_what_shows_a_factor_that_had_nothing_to_do() {
        let study = Study::new(&["cache", "tick"], &["w"]);
        let mut record = study.timing("w", "no-tick@env", 0, 100.0);
        set(&mut record, "cache", 0);
        let run = judged(&study, &record);
        assert_eq!(run.status, Status::Ok);
        let slim = run.measured.as_ref().unwrap();
        assert_eq!(slim.latency_ns_p10, Some(100.0));
        let factors = &study.manifest.plan.factors;
        assert_eq!(
            exercised(&factors[0], [slim]),
            Err("cache.moves stayed 0 in 1 of 1 runs although `cache` is on".into())
        );
        let names: Vec<&str> = slim.zero_counters.iter().map(|name| &**name).collect();
        assert_eq!(names, ["cache.moves"], "tick is off, so that its 0 says nothing");
        let moved = judged(&study, &study.timing("w", "baseline", 0, 100.0));
        let slim = moved.measured.as_ref().unwrap();
        assert_eq!((exercised(&factors[0], [slim]), slim.zero_counters.len()), (Ok(None), 0));
        let mut invalid = study.timing("w", "no-tick@env", 0, 100.0);
        set(&mut invalid, "tick", 5);
        let invalid = judged(&study, &invalid);
        assert!(invalid.status == Status::Invalid && invalid.measured.is_none(), "{}", invalid.reason);
    }

    #[test]
    fn expected_zeros_are_held() {
        let mut study = Study::new(&["cache"], &["w"]);
        study.cell("no-cache@env").expect_zero = vec!["other.steps".into()];
        let mut record = study.timing("w", "no-cache@env", 0, 100.0);
        measured(&mut record).counters.insert("other".into(), [("steps".to_owned(), 2)].into());
        prove(&study.manifest.plan, &mut record);
        assert_eq!(record.reason, "expected counter other.steps at 0 in this treatment, seen 2");
    }

    #[test]
    fn other_failures_are_left_alone() {
        let study = Study::new(&["cache"], &["w"]);
        let mut record = study.failed("w", "baseline", 0, Status::Crashed, "signal 11");
        prove(&study.manifest.plan, &mut record);
        assert_eq!((record.status, record.reason.as_str()), (Status::Crashed, "signal 11"));
        let mut idle = study.timing("w", "baseline", 0, 1.0);
        idle.pass = Pass::CountingIdle;
        measured(&mut idle).operations = 0;
        prove(&study.manifest.plan, &mut idle);
        assert_eq!(idle.status, Status::Ok);
    }

    #[test]
    fn a_start_up_run_that_worked_is_invalid() {
        let study = Study::new(&["cache"], &["w"]);
        let mut idle = study.timing("w", "baseline", 0, 1.0);
        idle.pass = Pass::CountingIdle;
        measured(&mut idle).operations = 80_000;
        prove(&study.manifest.plan, &mut idle);
        insta::assert_snapshot!(format!("{}: {}", idle.status.as_str(), idle.reason), @"invalid: it is to show what start-up costs, and did 80,000 operations: `idle_args` do not keep the program from working");
    }

    #[test]
    fn counting_may_leave_out_who_served_but_not_name_another() {
        let study = Study::new(&["cache"], &["w"]);
        for pass in [Pass::Counting, Pass::CountingIdle] {
            for (served_by, status) in [(None, Status::Ok), (Some("libc".to_owned()), Status::Invalid)] {
                let mut record = study.timing("w", "baseline", 0, 100.0);
                record.pass = pass;
                if pass == Pass::CountingIdle {
                    measured(&mut record).operations = 0;
                }
                measured(&mut record).served_by = served_by;
                prove(&study.manifest.plan, &mut record);
                assert_eq!(record.status, status, "{pass:?} {}", record.reason);
            }
        }
    }

    #[test]
    fn a_program_that_is_measured_from_outside_still_proves_what_it_promised() {
        let mut study = Study::new(&["cache"], &["w"]);
        study.manifest.plan.workloads[0].response = MainResponse::Wall;
        let silent = |study: &Study, pass: Pass| {
            let mut record = study.timing("w", "baseline", 0, 100.0);
            (record.pass, record.measured) = (pass, None);
            prove(&study.manifest.plan, &mut record);
            (record.status, record.reason)
        };
        let (status, reason) = silent(&study, Pass::Timing);
        assert!(status == Status::Invalid && reason.contains("to be proven by it"), "{reason}");
        assert_eq!(silent(&study, Pass::CountingIdle).0, Status::Ok);
        study.manifest.plan.factors[0].proof.clear();
        study.cell("baseline").served_by = None;
        assert_eq!(silent(&study, Pass::Timing).0, Status::Ok);
    }

    #[test]
    fn exercised_needs_almost_every_run() {
        let study = Study::new(&["cache"], &["w"]);
        let factor = &study.manifest.plan.factors[0];
        let moved = judged(&study, &study.timing("w", "baseline", 0, 1.0)).measured.unwrap();
        let mut still = study.timing("w", "baseline", 1, 1.0);
        set(&mut still, "cache", 0);
        let still = judged(&study, &still).measured.unwrap();
        assert_eq!(exercised(factor, [&moved]), Ok(None));
        let reason = exercised(factor, [&moved, &still]).unwrap_err();
        assert_eq!(reason, "cache.moves stayed 0 in 1 of 2 runs although `cache` is on");
        let one_of = |all: usize| exercised(factor, std::iter::repeat_n(&moved, all - 1).chain([&still]));
        assert!(one_of(19).is_err());
        let evidence = one_of(20).expect("almost always at work").expect("it is said");
        assert_eq!(evidence, "cache.moves stayed 0 in 1 of 20 runs although `cache` is on");
    }
}
