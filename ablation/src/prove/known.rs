//! Counters that a config names and no run reports: a misspelt name, which would make every run invalid.

use super::alone::{counter, works};
use crate::support::nearest::suggestion;
use ablate_format::{CellPlan, Measured, StudyPlan};
use std::collections::{BTreeMap, BTreeSet};

/// Which counters of the config runs have reported.
#[derive(Debug, Default)]
pub(crate) struct KnownCounters {
    /// Counters that a run had to report, by name, and whether one did.
    asked: BTreeMap<String, bool>,
    /// All counters that runs have reported.
    reported: BTreeSet<String>,
}

impl KnownCounters {
    /// Adds the line of one run of the subject.
    pub(crate) fn add(&mut self, plan: &StudyPlan, cell: &CellPlan, measured: &Measured) {
        let level = |factor: &str| cell.levels.get(factor).map(String::as_str);
        let of_factors = plan.factors.iter().filter(|factor| level(&factor.name).is_some_and(works));
        let of_factors = of_factors.flat_map(|factor| &factor.proof);
        // A factor that is off or absent need not report its counters.
        let is_at_work = |name: &&String| name.split_once('.').and_then(|(factor, _)| level(factor)).is_none_or(works);
        for name in of_factors.chain(cell.expect_zero.iter().filter(is_at_work)) {
            *self.asked.entry(name.clone()).or_default() |= counter(measured, name).is_some();
        }
        for (factor, counters) in &measured.counters {
            self.reported.extend(counters.keys().map(|counter| format!("{factor}.{counter}")));
        }
    }

    /// A line for each counter that no run has reported, though a run of each factor at work does.
    pub(crate) fn unknown(&self) -> Vec<String> {
        let missing = self.asked.iter().filter(|(_, is_there)| !**is_there).map(|(name, _)| name);
        let near = |name: &String| suggestion(name, self.reported.iter().map(String::as_str));
        missing.map(|name| format!("  no run reported `{name}`{}", near(name))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::fixture::Study;

    /// What is unknown after one run of a cell whose factor `cache` has this proof; runs report `cache.moves`.
    #[track_caller]
    fn check(proof: &str, cells: &[&str], expected: &[&str]) {
        let mut study = Study::new(&["cache"], &["w"]);
        study.manifest.plan.factors[0].proof = vec![proof.to_owned()];
        let mut known = KnownCounters::default();
        for id in cells {
            let record = study.timing("w", id, 0, 100.0);
            let cell = study.cell(id).clone();
            known.add(&study.manifest.plan, &cell, &record.measured.expect("is a timing run"));
        }
        assert_eq!(known.unknown(), expected, "{proof} {cells:?}");
    }

    #[test]
    fn a_counter_that_no_run_at_work_reports_is_unknown() {
        check("cache.moves", &["baseline", "no-cache@env"], &[]);
        check(
            "cache.movse",
            &["baseline", "no-cache@env"],
            &["  no run reported `cache.movse`; did you mean `cache.moves`?"],
        );
        check("cache.hits", &["baseline"], &["  no run reported `cache.hits`; known: `cache.moves`"]);
        // Off, it need not report.
        check("cache.movse", &["no-cache@env"], &[]);
    }
}
