//! Paths through studies whose truth is known.

use super::*;
use crate::analyse::fixture::Study;
use crate::analyse::{Analysis, analyse};
use ablate_format::{CellKind, Record};

/// Baseline 2,000 ns, without `cache` 1,500, without both 900; the peer `fast` takes 1,000.
fn truth(cell: &str) -> f64 {
    match cell {
        "no-cache@env" => 1_500.0,
        "minimal@env" => 900.0,
        "peer-fast" => 1_000.0,
        _ => 2_000.0,
    }
}

fn goal(name: &str, high_percent: f64) -> Goal {
    Goal { name: name.to_owned(), high_percent }
}

fn study() -> Study {
    let mut study = Study::new(&["cache", "tick"], &["w"]);
    study.manifest.plan.paths = vec![Path {
        name: "down".to_owned(),
        about: "one after the other".to_owned(),
        peer: "fast".to_owned(),
        steps: ["baseline", "no-cache", "minimal"].map(str::to_owned).to_vec(),
        workloads: vec!["w".to_owned()],
        goals: vec![goal("half", 60.0), goal("even", 0.0), goal("half again", -50.0)],
    }];
    study
}

fn followed(study: &Study, blocks: u32, change: impl Fn(&mut Vec<Record>)) -> FollowedWorkload {
    let mut records = study.records(blocks, |_, cell, _| truth(cell));
    change(&mut records);
    let Analysis { mut paths, .. } = analyse(&study.manifest, &records);
    paths.remove(0).workloads.remove(0)
}

#[test]
fn every_step_has_its_change_and_its_gap() {
    let workload = followed(&study(), 12, |_| {});
    let near = |estimate: Option<Estimate>, percent: f64| {
        let estimate = estimate.expect("is measured");
        let (lo, hi) = estimate.interval.expect("12 blocks");
        assert!((estimate.value - percent).abs() < 0.3 && lo <= percent + 0.3 && percent - 0.3 <= hi, "{estimate:?}");
    };
    let [first, second, third] = &workload.steps[..] else { panic!("three steps") };
    assert_eq!((first.cell.as_str(), first.change_percent), ("baseline", None));
    near(first.gap_percent, 100.0);
    near(second.change_percent, -25.0);
    near(second.gap_percent, 50.0);
    near(third.change_percent, -40.0);
    near(third.gap_percent, -10.0);
    assert!((second.value.expect("is measured").value - 1_500.0).abs() < 2.0);
    assert!(workload.steps.iter().all(|step| step.not_exercised.is_empty()));
}

#[test]
fn a_goal_is_reached_at_the_first_step_whose_whole_interval_is_within_it() {
    let workload = followed(&study(), 12, |_| {});
    let goals: Vec<(GoalVerdict, Option<&str>, bool)> =
        workload.goals.iter().map(|goal| (goal.verdict, goal.step.as_deref(), goal.holds_at_the_end)).collect();
    let expected = [
        (GoalVerdict::Reached, Some("no-cache"), true),
        (GoalVerdict::Reached, Some("minimal"), true),
        (GoalVerdict::NotReached, Some("minimal"), false),
    ];
    assert_eq!(goals, expected);
}

#[test]
fn a_goal_that_is_lost_again_is_said_to_be() {
    let mut study = study();
    study.manifest.plan.paths[0].steps.push("no-tick".to_owned());
    let workload = followed(&study, 12, |_| {});
    let half = &workload.goals[0];
    assert_eq!(
        (half.verdict, half.step.as_deref(), half.holds_at_the_end),
        (GoalVerdict::Reached, Some("no-cache"), false)
    );
}

#[test]
fn what_spans_a_goal_or_is_not_there_leaves_it_open() {
    let few = followed(&study(), 5, |_| {});
    assert!(few.goals.iter().all(|goal| goal.verdict == GoalVerdict::Open && goal.gap_percent.is_some()), "{few:?}");
    let gone = followed(&study(), 12, |records| records.retain(|record| record.cell != "minimal@env"));
    assert_eq!((gone.steps[2].value, gone.steps[2].gap_percent), (None, None));
    let verdicts: Vec<GoalVerdict> = gone.goals.iter().map(|goal| goal.verdict).collect();
    assert_eq!(verdicts, [GoalVerdict::Reached, GoalVerdict::Open, GoalVerdict::Open]);
    let mut spans = study();
    spans.manifest.plan.paths[0].goals = vec![goal("here", -10.0)];
    assert_eq!(followed(&spans, 12, |_| {}).goals[0].verdict, GoalVerdict::Open);
    let mut alone = study();
    alone.manifest.plan.cells.retain(|cell| cell.kind != CellKind::Peer);
    let workload = followed(&alone, 12, |records| records.retain(|record| !record.cell.starts_with("peer")));
    assert!(workload.steps.iter().all(|step| step.gap_percent.is_none()) && workload.steps[1].change_percent.is_some());
    assert_eq!((workload.goals[0].verdict, &workload.goals[0].step), (GoalVerdict::Open, &None));
}

#[test]
fn what_had_nothing_to_do_is_named_at_the_step_that_changes_it() {
    let workload = followed(&study(), 12, |records| {
        for record in records.iter_mut() {
            let counters = &mut record.measured.as_mut().expect("has a line").counters;
            counters.get_mut("cache").into_iter().flat_map(|own| own.values_mut()).for_each(|moves| *moves = 0);
        }
    });
    let not_exercised: Vec<&[String]> = workload.steps.iter().map(|step| step.not_exercised.as_slice()).collect();
    assert_eq!(not_exercised, [&[][..], &["cache".to_owned()], &[]]);
}

#[test]
fn intervals_of_the_gaps_hold_together() {
    let workload = followed(&study(), 12, |_| {});
    let mut alone = study();
    alone.manifest.plan.paths[0].steps.truncate(2);
    let width = |workload: &FollowedWorkload| {
        let (lo, hi) = workload.steps[1].gap_percent.and_then(|gap| gap.interval).expect("12 blocks");
        hi - lo
    };
    assert!(width(&workload) >= width(&followed(&alone, 12, |_| {})));
}
