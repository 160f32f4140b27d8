//! Which figures a study has, and what they are drawn from.

mod costs;
mod gaps;
mod runs;
mod thin;

use crate::analyse::WorkloadAnalysis;
use crate::prove::JudgedRun;
use crate::report::content::Study;
use crate::report::figure::Mark;
use crate::report::number::counted;
use ablate_format::Pass;
use ablate_format::effects::Estimate;
use std::collections::BTreeSet;

/// One figure.
pub(super) struct Figure {
    /// Its name in links and of its file.
    pub(super) id: String,
    /// What it shows.
    pub(super) title: String,
    /// The same in words, for those who do not see it.
    pub(super) words: String,
    /// How it is read.
    pub(super) legend: String,
    pub(super) svg: String,
    /// The records that it is made from.
    pub(super) origin: Origin,
}

/// Where the values of a figure come from.
#[derive(Clone)]
pub(super) struct Origin {
    /// How many records, and which, for people.
    pub(super) count: String,
    /// What selects them: a filter of jq.
    pub(super) filter: String,
}

/// The figures of a study.
pub(super) struct Figures {
    /// Those over all workloads.
    pub(super) answer: Vec<Figure>,
    /// Those of each workload.
    pub(super) workloads: Vec<Vec<Figure>>,
}

impl Figures {
    pub(super) fn all(&self) -> impl Iterator<Item = &Figure> {
        self.answer.iter().chain(self.workloads.iter().flatten())
    }
}

pub(super) fn of_study(study: Study<'_>) -> Figures {
    let workloads = study.analysis.workloads.iter().map(|workload| of_workload(study, workload));
    let mut figures = Figures {
        answer: costs::claims(study).into_iter().chain(gaps::ratios(study)).collect(),
        workloads: workloads.collect(),
    };
    // Names from outside may be alike in the letters that are left.
    let mut known = BTreeSet::new();
    for figure in figures.answer.iter_mut().chain(figures.workloads.iter_mut().flatten()) {
        let first = figure.id.clone();
        let names = std::iter::once(first.clone()).chain((2..).map(|n| format!("{first}.{n}")));
        figure.id = names.into_iter().find(|name| !known.contains(name)).unwrap_or(first);
        known.insert(figure.id.clone());
    }
    figures
}

fn of_workload(study: Study<'_>, workload: &WorkloadAnalysis) -> Vec<Figure> {
    let breakdowns = study.explained.breakdowns.iter().filter(|gap| gap.workload == workload.name);
    let breakdowns: Vec<Figure> = breakdowns.map(|each| gaps::gap(study, each)).collect();
    [costs::attribution(study, workload), costs::memory(study, workload), costs::interactions(study, workload)]
        .into_iter()
        .flatten()
        .chain(breakdowns)
        .chain(runs::spread(study, workload))
        .chain(runs::over_blocks(study, workload))
        .collect()
}

/// The timed runs of one workload, or of all.
fn timed(study: Study<'_>, workload: Option<&str>) -> Origin {
    let is_meant =
        |record: &&JudgedRun| record.pass == Pass::Timing && workload.is_none_or(|name| &*record.workload == name);
    let runs = counted(study.records.iter().filter(is_meant).count(), "timed run");
    match workload {
        None => Origin { count: format!("{runs} of all workloads"), filter: "select(.pass == \"timing\")".to_owned() },
        Some(name) => Origin {
            count: format!("{runs} of {name}"),
            filter: format!("select(.pass == \"timing\" and .workload == {})", json(name)),
        },
    }
}

/// Every run of one workload: those that were timed, and those whose events were counted.
fn of_all_passes(study: Study<'_>, workload: &str) -> Origin {
    let is_meant = |record: &&JudgedRun| &*record.workload == workload || record.pass == Pass::UnitCosts;
    let runs = study.records.iter().filter(is_meant).count();
    Origin {
        count: format!("{}: the timed and the counted ones of {workload}, and the unit costs", counted(runs, "run")),
        filter: format!("select(.workload == {} or .pass == \"unit-costs\")", json(workload)),
    }
}

/// A text as JSON has it.
fn json(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Longest part of the name of a figure.
const PART_MAX: usize = 60;

/// A name that a link and a file may have. No name of a workload or a peer has a dot, so that two figures have two names.
fn id(parts: &[&str]) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let part = |part: &&str| part.chars().take(PART_MAX).map(plain).collect::<String>();
    parts.iter().map(part).collect::<Vec<_>>().join(".")
}

fn mark(estimate: Estimate) -> Mark {
    Mark::new(estimate.value, estimate.interval)
}
