//! Which figures a study has, and what they are drawn from.

mod costs;
mod figure;
mod gaps;
mod runs;
mod thin;

use crate::analyse::WorkloadAnalysis;
use crate::report::content::Study;
pub(super) use figure::Figure;
use std::collections::BTreeSet;

/// The figures of a study.
pub(super) struct Figures {
    /// Those over all workloads.
    pub(super) answer: Vec<Figure>,
    /// Those of each workload.
    pub(super) workloads: Vec<Vec<Figure>>,
}

impl Figures {
    pub(super) fn into_all(self) -> impl Iterator<Item = Figure> {
        self.answer.into_iter().chain(self.workloads.into_iter().flatten())
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
