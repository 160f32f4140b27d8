//! Ideas added in turn: one table per workload, and what became of the goals.

use super::document::{Document, Table};
use super::number::{MISSING, Unit, counted, percent, point};
use crate::analyse::{Analysis, FollowedPath, FollowedWorkload, GoalVerdict, JudgedGoal};
use ablate_format::effects::{Estimate, PathStep};
use ablate_stats::MIN_BLOCKS;

/// Every path with its workloads.
pub(super) fn paths(document: &mut Document, analysis: &Analysis, columns: usize) {
    for path in &analysis.paths {
        let about = if path.about.is_empty() { String::new() } else { format!(": {}", path.about) };
        document.heading(format!("Path {}{about}", path.name));
        for workload in &path.workloads {
            let is_per_run = analysis.workloads.iter().any(|other| other.name == workload.workload && other.is_per_run);
            let tables = [true, false].map(|wide| table(path, workload, is_per_run, wide));
            if let Some(table) = Table::first_that_fits(columns, tables) {
                document.table(table);
            }
            for goal in &workload.goals {
                document.item(format!("{}: {}", workload.workload, sentence(goal, workload.has_runs)));
            }
        }
        document.text(format!(
            "change: difference from the step before (− is less). gap: difference from {}, with intervals that hold for all steps \
             of a workload together. goals: the goals that this step is the first to reach, with the whole interval. not \
             exercised: the step changes a factor that has no work in this workload.",
            path.peer
        ));
    }
}

/// `2 of 3 goals reached`, for each workload of a path; `None` without goals.
pub(super) fn summary(path: &FollowedPath) -> Option<String> {
    let told = |workload: &FollowedWorkload| {
        let reached =
            workload.goals.iter().filter(|goal| goal.verdict == GoalVerdict::Reached && goal.holds_at_the_end).count();
        let last = workload.steps.last().map_or_else(|| MISSING.to_owned(), |step| gap(step.gap_percent, " "));
        format!("{} {last}, {reached} of {}", workload.workload, counted(workload.goals.len(), "goal"))
    };
    let all: Vec<String> = path.workloads.iter().map(told).collect();
    (!all.is_empty()).then(|| format!("Path {}, the last step against {}: {}", path.name, path.peer, all.join("; ")))
}

fn table(path: &FollowedPath, workload: &FollowedWorkload, is_per_run: bool, wide: bool) -> Table {
    let values = workload.steps.iter().filter_map(|step| step.value);
    let unit = Unit::of_response(workload.response, values, Unit::LIMIT);
    let unit = if is_per_run { unit.per_run() } else { unit };
    let mut table = Table::new([
        format!("<{}", workload.workload),
        unit.with(workload.response),
        "change [95 %]".to_owned(),
        format!("gap to {} [95 %, all steps]", path.peer),
        "=goals".to_owned(),
    ]);
    let between = if wide { " " } else { "\n" };
    for (at, step) in workload.steps.iter().enumerate() {
        table.row([
            step.step.clone(),
            step.value.map_or_else(
                || MISSING.to_owned(),
                |value| {
                    let value = unit.estimate(value);
                    point(value.value, value.interval)
                },
            ),
            if at == 0 { String::new() } else { gap(step.change_percent, between) },
            gap(step.gap_percent, between),
            marks(workload, step),
        ]);
    }
    table
}

/// The goals that a step is the first to reach, and the factors that it changes and that have no work.
fn marks(workload: &FollowedWorkload, step: &PathStep) -> String {
    let is_here = |goal: &&JudgedGoal| goal.verdict == GoalVerdict::Reached && goal.step.as_ref() == Some(&step.step);
    let mut marks: Vec<String> = workload.goals.iter().filter(is_here).map(|goal| goal.goal.name.clone()).collect();
    marks.extend((!step.not_exercised.is_empty()).then(|| format!("not exercised: {}", step.not_exercised.join(", "))));
    marks.join("; ")
}

/// `−12.0% [−15.0%, −9.0%]`.
fn gap(percents: Option<Estimate>, between: &str) -> String {
    let Some(Estimate { value, interval, .. }) = percents else { return MISSING.to_owned() };
    let ends = interval.map(|(lo, hi)| format!("{between}[{}, {}]", percent(lo / 100.0), percent(hi / 100.0)));
    percent(value / 100.0) + &ends.unwrap_or_default()
}

fn sentence(goal: &JudgedGoal, has_runs: bool) -> String {
    let JudgedGoal { goal: declared, verdict, step, gap_percent, holds_at_the_end } = goal;
    let head = format!("{} (gap ≤ {}): {}", declared.name, percent(declared.high_percent / 100.0), verdict.as_str());
    let Some((step, value)) = step.as_ref().zip(*gap_percent) else {
        return match has_runs {
            true => format!("{head}, because values of 0 or below have no gap in percent."),
            false => format!("{head}, for lack of proven runs."),
        };
    };
    let at = format!("{} at step `{step}`", gap(Some(value), " "));
    match verdict {
        GoalVerdict::Reached if *holds_at_the_end => format!("{head} at step `{step}`, {}.", gap(Some(value), " ")),
        GoalVerdict::Reached => {
            format!("{head} at step `{step}`, {}, and not held at the last step.", gap(Some(value), " "))
        }
        GoalVerdict::NotReached => format!("{head}, the nearest is {at}."),
        GoalVerdict::Open if value.interval.is_none() => {
            format!("{head}, the nearest is {at}; no interval below {MIN_BLOCKS} blocks.")
        }
        GoalVerdict::Open => format!("{head}, the nearest is {at}."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::analyse;
    use crate::analyse::fixture::Study;
    use ablate_format::{Goal, MainResponse, Path};

    fn analysis(blocks: u32) -> Analysis {
        let mut study = Study::new(&["cache", "tick"], &["w", "a-workload-with-a-long-name"]);
        let goal = |name: &str, high_percent: f64| Goal { name: name.to_owned(), high_percent };
        study.manifest.plan.paths = vec![Path {
            name: "down".to_owned(),
            about: "one after the other".to_owned(),
            peer: "fast".to_owned(),
            steps: ["baseline", "no-cache", "minimal", "no-tick"].map(str::to_owned).to_vec(),
            workloads: study.manifest.plan.workloads.iter().map(|w| w.name.clone()).collect(),
            goals: vec![goal("Phase 7", 60.0), goal("below the peer", 0.0), goal("half of it", -50.0)],
        }];
        let records = study.records(blocks, |_, cell, _| match cell {
            "no-cache@env" => 1_500.0,
            "minimal@env" => 900.0,
            "peer-fast" => 1_000.0,
            _ => 2_000.0,
        });
        analyse(&study.manifest, &records)
    }

    fn text(blocks: u32, columns: usize) -> String {
        let mut document = Document::default();
        paths(&mut document, &analysis(blocks), columns);
        document.terminal(columns)
    }

    #[test]
    fn a_path_is_a_table_a_workload_with_its_goals() {
        for columns in [72, 100, 140] {
            let text = text(12, columns);
            let widest = text.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(columns), "{widest:?}:\n{text}");
            insta::assert_snapshot!(format!("path_{columns}"), text);
        }
        let found = summary(&analysis(12).paths[0]).expect("has goals");
        insta::assert_snapshot!("path_summary", found);
    }

    #[test]
    fn a_whole_process_is_told_per_run() {
        let mut analysis = analysis(12);
        analysis.workloads[0].is_per_run = true;
        let mut document = Document::default();
        paths(&mut document, &analysis, 100);
        let text = document.terminal(100);
        let heads: Vec<&str> = text.lines().filter(|line| line.contains("change [95 %]")).collect();
        assert!(heads[0].contains(" per run") && heads[1].contains("ns/op"), "{text}");
    }

    #[test]
    fn a_goal_without_a_gap_says_whether_runs_or_percent_are_missing() {
        let goals = |value: fn(&str) -> f64, is_run: fn(&str) -> bool| {
            let mut study = Study::new(&["cache"], &["w"]);
            study.manifest.plan.paths = vec![Path {
                name: "down".to_owned(),
                about: String::new(),
                peer: "fast".to_owned(),
                steps: vec!["baseline".to_owned(), "no-cache".to_owned()],
                workloads: vec!["w".to_owned()],
                goals: vec![Goal { name: "near".to_owned(), high_percent: 60.0 }],
            }];
            study.manifest.plan.workloads[0].response = MainResponse::named("value:t_ns").expect("a response");
            let mut records = study.records(12, |_, _, _| 1_000.0);
            records.retain(|record| is_run(&record.cell));
            for record in &mut records {
                let value = value(&record.cell) + f64::from(record.block % 2);
                record.measured.as_mut().expect("a run").values.insert("t_ns".to_owned(), value);
            }
            let mut document = Document::default();
            paths(&mut document, &analyse(&study.manifest, &records), 100);
            document.terminal(100)
        };
        let below = goals(|_| -80.0, |_| true);
        let said = "w: near (gap ≤ +60.0%): open, because values of 0 or below have no gap in percent.";
        assert!(below.contains(said) && !below.contains("proven runs"), "{below}");
        let missing = goals(|_| 80.0, |cell| cell != "peer-fast");
        assert!(missing.contains("near (gap ≤ +60.0%): open, for lack of proven runs."), "{missing}");
    }

    #[test]
    fn few_blocks_leave_all_goals_open() {
        let text = text(5, 100);
        insta::assert_snapshot!("path_few_blocks", text);
    }
}
