//! A figure with what stands around it.

use crate::prove::JudgedRun;
use crate::report::content::Study;
use crate::report::figure::Mark;
use crate::report::number::counted;
use ablate_format::Pass;
use ablate_format::effects::Estimate;

/// One figure.
pub(in crate::report::html) struct Figure {
    /// Its name in links and of its file.
    pub(in crate::report::html) id: String,
    /// What it shows.
    pub(in crate::report::html) title: String,
    /// The same in words, for those who do not see it.
    pub(in crate::report::html) words: String,
    /// How it is read.
    pub(in crate::report::html) legend: String,
    pub(in crate::report::html) svg: String,
    /// The records that it is made from.
    pub(in crate::report::html) origin: Origin,
}

/// Where the values of a figure come from.
#[derive(Clone)]
pub(in crate::report::html) struct Origin {
    /// How many records, and which, for people.
    pub(in crate::report::html) count: String,
    /// What selects them: a filter of jq.
    pub(in crate::report::html) filter: String,
}

/// The timed runs of one workload, or of all.
pub(super) fn timed(study: Study<'_>, workload: Option<&str>) -> Origin {
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
pub(super) fn of_all_passes(study: Study<'_>, workload: &str) -> Origin {
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
pub(super) fn id(parts: &[&str]) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let part = |part: &&str| part.chars().take(PART_MAX).map(plain).collect::<String>();
    parts.iter().map(part).collect::<Vec<_>>().join(".")
}

pub(super) fn mark(estimate: Estimate) -> Mark {
    Mark::new(estimate.value, estimate.interval)
}
