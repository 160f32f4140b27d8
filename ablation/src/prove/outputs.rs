//! Outputs compared with each other: a level must not change what a program prints, or the work was not the same.
//!
//! For programs that print no result line; such a line has a checksum.

use super::judged::{JudgedRun, Printed};
use crate::support::count::counted;
use crate::support::text::{printable, shortened};
use ablate_format::{CellKind, OutputRule, Pass, Status, StudyPlan, WorkloadPlan};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Longest part of a line that a reason quotes, in characters.
const LINE_MAX: usize = 60;

/// What the outputs of one workload say.
#[derive(Debug, Default, PartialEq)]
struct Compared {
    /// Cells whose output differs between their own runs, the baseline with its placebo as one: where that differs.
    unsteady: Vec<String>,
    /// The indices of the runs whose output differs from what the baseline always prints, by cell.
    different: Vec<(String, Vec<usize>)>,
    /// How the first run of each of these cells differs.
    how: BTreeMap<String, String>,
}

/// Runs to make invalid, each by its index with the reason: those whose output differs from the baseline's, where the
/// config does not expect it.
pub(super) fn differing(plan: &StudyPlan, runs: &[JudgedRun]) -> Vec<(usize, String)> {
    let mut out = Vec::new();
    for workload in plan.workloads.iter().filter(|workload| is_same(workload)) {
        let compared = compare(plan, runs, workload);
        for (cell, at) in &compared.different {
            let way_out = "if the levels are meant to print different things, say output = \"may-differ\"";
            let reason = format!("{}; {way_out}", compared.how[cell]);
            out.extend(at.iter().map(|at| (*at, reason.clone())));
        }
    }
    out
}

/// What a reader must know of the outputs, one sentence for each workload.
pub(crate) fn remarks(plan: &StudyPlan, runs: &[JudgedRun]) -> Vec<String> {
    let mut out = Vec::new();
    for workload in plan.workloads.iter().filter(|workload| workload.output != OutputRule::Ignored) {
        let compared = compare(plan, runs, workload);
        let name = &workload.name;
        if let Some(first) = compared.unsteady.first() {
            let more = match compared.unsteady.len() - 1 {
                0 => String::new(),
                more => format!(" and of {}", counted(more, "more cell")),
            };
            out.push(format!(
                "the output of {first}{more} in {name} differs from run to run, so it cannot show whether the levels do \
                 the same work; with output = \"ignored\" it is not looked at"
            ));
        }
        let may = if workload.output == OutputRule::MayDiffer { compared.different.as_slice() } else { &[] };
        if let Some((first, _)) = may.first() {
            let how = &compared.how[first];
            let more = match may.len() - 1 {
                0 => String::new(),
                more => format!("; so does that of {}", counted(more, "more cell")),
            };
            out.push(format!("the output of {first} in {name} differs, which is allowed: {how}{more}"));
        }
    }
    out
}

/// Whether a run has an output that counts: a proven timing run without a result line.
fn is_compared(run: &JudgedRun, workload: &str) -> bool {
    run.pass == Pass::Timing && run.status == Status::Ok && *run.workload == *workload && run.printed.is_some()
}

/// Whether runs whose output differs are invalid.
fn is_same(workload: &WorkloadPlan) -> bool {
    matches!(workload.output, OutputRule::Same | OutputRule::SameForAll)
}

fn compare(plan: &StudyPlan, runs: &[JudgedRun], workload: &WorkloadPlan) -> Compared {
    let mut by_cell: BTreeMap<&str, Vec<(usize, &Printed)>> = BTreeMap::new();
    for (at, run) in runs.iter().enumerate().filter(|(_, run)| is_compared(run, &workload.name)) {
        if let Some(printed) = &run.printed {
            by_cell.entry(&*run.cell).or_default().push((at, printed));
        }
    }
    let of_kind = |kinds: &[CellKind]| plan.cells.iter().filter(|cell| kinds.contains(&cell.kind)).collect::<Vec<_>>();
    let mut out = Compared::default();
    // The placebo is the baseline's program once more; a placebo of another build need not print the same.
    let twins = of_kind(&[CellKind::Baseline, CellKind::Placebo]);
    let twins = twins.iter().filter(|cell| cell.arm.is_none()).filter_map(|cell| by_cell.get(cell.id.as_str()));
    let reference: Vec<&Printed> = twins.flatten().map(|(_, printed)| *printed).collect();
    let is_steady = |printed: &[&Printed]| printed.iter().map(|p| p.answer()).collect::<BTreeSet<_>>().len() < 2;
    let is_reference_steady = is_steady(&reference);
    if !is_reference_steady {
        out.unsteady.push("the baseline".to_owned());
    }
    let compared: &[CellKind] = match workload.output {
        OutputRule::SameForAll => &[CellKind::Treatment, CellKind::Peer],
        _ => &[CellKind::Treatment],
    };
    for cell in of_kind(compared) {
        let Some(printed) = by_cell.get(cell.id.as_str()) else { continue };
        let all: Vec<&Printed> = printed.iter().map(|(_, printed)| *printed).collect();
        if !is_reference_steady {
            // Nothing to compare with.
            out.unsteady.extend((!is_steady(&all)).then(|| cell.id.clone()));
        } else if reference.len() >= 2 {
            // One run shows no steady output.
            let differ = printed.iter().filter(|(_, printed)| printed.answer() != reference[0].answer());
            let (at, different): (Vec<usize>, Vec<&Printed>) = differ.copied().unzip();
            if !at.is_empty() {
                out.how.insert(cell.id.clone(), difference(&reference, &different));
                out.different.push((cell.id.clone(), at));
            }
        }
    }
    out
}

/// Where two outputs differ, in one sentence.
fn difference(baseline: &[&Printed], other: &[&Printed]) -> String {
    let (a, b) = (baseline[0], other[0]);
    if a.exit_code != b.exit_code {
        let code = |printed: &Printed| printed.exit_code.map_or_else(|| "unknown".to_owned(), |code| code.to_string());
        return format!("its exit code is {}, and that of the baseline {}", code(b), code(a));
    }
    let start = |runs: &[&Printed]| runs.iter().find_map(|printed| printed.start.clone());
    let (Some(a), Some(b)) = (start(baseline), start(other)) else {
        return "its output differs from that of the baseline".to_owned();
    };
    let Some((number, a, b)) = first_difference(&a, &b) else {
        return "its output differs from that of the baseline, after the part that is stored".to_owned();
    };
    let quoted = |line: Option<&str>| {
        line.map_or_else(|| "nothing".to_owned(), |line| format!("`{}`", shortened(&printable(line), LINE_MAX)))
    };
    format!("its output differs from that of the baseline in line {number}: {} instead of {}", quoted(b), quoted(a))
}

/// Number of the first line that differs, from 1, and the lines; `None` stands for a missing one.
fn first_difference<'t>(a: &'t Arc<str>, b: &'t Arc<str>) -> Option<(usize, Option<&'t str>, Option<&'t str>)> {
    let (mut a, mut b) = (a.split('\n'), b.split('\n'));
    let mut number = 0;
    loop {
        number += 1;
        match (a.next(), b.next()) {
            (None, None) => return None,
            (a, b) if a != b => return Some((number, a, b)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::judge_all;
    use super::*;
    use crate::analyse::fixture::Study;
    use ablate_format::{MainResponse, Record};

    /// Runs of a program that prints no line; what it prints by cell and block.
    fn printed(rule: OutputRule, text: impl Fn(&str, u32) -> (i32, String)) -> (Study, Vec<Record>) {
        let mut study = Study::new(&["cache"], &["w"]);
        study.manifest.plan.workloads[0].response = MainResponse::Wall;
        study.manifest.plan.workloads[0].output = rule;
        study.manifest.plan.factors[0].proof.clear();
        study.manifest.plan.cells.iter_mut().for_each(|cell| cell.served_by = None);
        let mut records = study.records(6, |_, _, _| 1.0);
        for record in &mut records {
            let (code, text) = text(&record.cell, record.block);
            record.measured = None;
            record.exit_code = Some(code);
            record.output_sha256 = Some(format!("hash of {text}"));
            record.output_start = (record.block < 2).then_some(text);
        }
        (study, records)
    }

    fn check(rule: OutputRule, text: impl Fn(&str, u32) -> (i32, String)) -> (Vec<String>, String, Vec<String>) {
        let (study, records) = printed(rule, text);
        let runs = judge_all(&study.manifest.plan, &records);
        let invalid: Vec<&JudgedRun> = runs.iter().filter(|run| run.status == Status::Invalid).collect();
        let mut cells: Vec<String> = invalid.iter().map(|run| run.cell.to_string()).collect();
        cells.dedup();
        cells.sort();
        cells.dedup();
        let reason = invalid.first().map_or_else(String::new, |run| run.reason.to_string());
        (cells, reason, remarks(&study.manifest.plan, &runs))
    }

    #[test]
    fn peers_print_what_they_like_unless_all_are_to_print_the_same() {
        let text = |cell: &str, _: u32| (0, if cell == "peer-fast" { "other" } else { "one" }.to_owned());
        assert_eq!(check(OutputRule::Same, text).0, Vec::<String>::new());
        let (cells, reason, _) = check(OutputRule::SameForAll, text);
        assert_eq!(cells, ["peer-fast"]);
        assert!(reason.contains("line 1: `other` instead of `one`"), "{reason}");
        let level = |cell: &str, _: u32| (0, if cell == "no-cache@env" { "other" } else { "one" }.to_owned());
        assert_eq!(check(OutputRule::SameForAll, level).0, ["no-cache@env"]);
    }

    #[test]
    fn a_level_that_prints_something_else_is_invalid_and_both_lines_are_shown() {
        let text =
            |cell: &str, _: u32| (0, if cell == "no-cache@env" { "one\n\u{1b}[31mtwo" } else { "one\n2" }.to_owned());
        let (cells, reason, remarks) = check(OutputRule::Same, text);
        assert_eq!((cells, remarks), (vec!["no-cache@env".to_owned()], vec![]));
        assert_eq!(
            reason,
            "its output differs from that of the baseline in line 2: `\\u{1b}[31mtwo` instead of `2`; if the levels are \
             meant to print different things, say output = \"may-differ\""
        );
    }

    #[test]
    fn an_expected_difference_is_said_and_an_ignored_one_is_not() {
        let text = |cell: &str, _: u32| (0, if cell == "no-cache@env" { "b" } else { "a" }.to_owned());
        let (cells, _, remarks) = check(OutputRule::MayDiffer, text);
        assert!(cells.is_empty() && remarks.len() == 1 && remarks[0].contains("`b` instead of `a`"), "{remarks:?}");
        let (cells, _, remarks) = check(OutputRule::Ignored, text);
        assert!(cells.is_empty() && remarks.is_empty());
    }

    #[test]
    fn an_output_that_differs_from_run_to_run_invalidates_nothing() {
        let (cells, _, remarks) = check(OutputRule::Same, |cell, block| (0, format!("{cell} took {block} s")));
        assert!(cells.is_empty(), "{cells:?}");
        assert_eq!(remarks.len(), 1);
        assert!(remarks[0].contains("the baseline and of 3 more cells in w differs from run to run"), "{remarks:?}");
        // The baseline always prints the same: a level that never does works otherwise, and so does a single run.
        let text = |cell: &str, block: u32| match cell {
            "no-cache@env" => (0, format!("failed after {block} s")),
            "minimal@env" if block == 2 => (0, "other".to_owned()),
            _ => (0, "same".to_owned()),
        };
        let (study, records) = printed(OutputRule::Same, text);
        let runs = judge_all(&study.manifest.plan, &records);
        let invalid =
            |cell: &str| runs.iter().filter(|run| *run.cell == *cell && run.status == Status::Invalid).count();
        assert_eq!((invalid("no-cache@env"), invalid("minimal@env"), invalid("baseline")), (6, 1, 0));
        assert!(super::remarks(&study.manifest.plan, &runs).is_empty());
    }

    #[test]
    fn an_exit_code_counts_as_output_and_peers_may_print_anything() {
        let text = |cell: &str, _: u32| {
            (i32::from(cell == "no-cache@env"), if cell.starts_with("peer") { "x" } else { "a" }.to_owned())
        };
        let (cells, reason, _) = check(OutputRule::Same, text);
        assert_eq!(cells, ["no-cache@env"]);
        assert!(reason.starts_with("its exit code is 1, and that of the baseline 0"), "{reason}");
    }

    #[test]
    fn the_first_line_that_differs_is_found_at_any_end() {
        let of = |a: &str, b: &str| {
            let (a, b): (Arc<str>, Arc<str>) = (a.into(), b.into());
            let found = first_difference(&a, &b);
            found.map(|(at, a, b)| (at, a.map(str::to_owned), b.map(str::to_owned)))
        };
        assert_eq!(of("a\nb", "a\nb"), None);
        assert_eq!(of("a", "a\nb"), Some((2, None, Some("b".to_owned()))));
        assert_eq!(of("", "x"), Some((1, Some(String::new()), Some("x".to_owned()))));
    }
}
