//! Counted events per operation: counting passes minus start-up, divided by the operations.

use super::index::CellRuns;
use crate::prove::JudgedRun;
use ablate_format::Manifest;
use ablate_stats::order;
use std::collections::{BTreeMap, BTreeSet};

/// Difference between two counts of page faults of one process that is no contradiction: the stack and the loader move
/// with every start.
const PAGE_FAULT_TOLERANCE: u64 = 2;

/// Cells that a remark names one by one.
const MAX_NAMED: usize = 4;

/// Remarks, each with the cells that it is about.
#[derive(Default)]
pub(super) struct Notes {
    about: BTreeMap<String, Vec<String>>,
}

impl Notes {
    pub(super) fn add(&mut self, about: String, place: String) {
        self.about.entry(about).or_default().push(place);
    }

    /// One line a remark.
    pub(super) fn lines(&self) -> Vec<String> {
        let line = |(about, places): (&String, &Vec<String>)| {
            let named = places.iter().take(MAX_NAMED).cloned().collect::<Vec<_>>().join(", ");
            let more = places.len().saturating_sub(MAX_NAMED);
            let rest = if more > 0 { format!(", and {more} more") } else { String::new() };
            format!("{about}: {named}{rest}")
        };
        self.about.iter().map(line).collect()
    }
}

/// A counted event, per operation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PerOperation {
    /// Median of the repeats.
    pub(crate) value: f64,
    /// Lowest repeat.
    pub(crate) lo: f64,
    /// Highest repeat.
    pub(crate) hi: f64,
    /// Number of repeats.
    pub(crate) repeats: usize,
    /// Operations of a run: the lowest of the repeats.
    pub(crate) operations: f64,
    /// False when an exact instrument gave different counts for one process.
    pub(crate) agrees: bool,
}

/// Every counted event of a cell by instrument name. What was not counted is missing.
///
/// Page faults come from the instrument where it exists, else from `wait4`, else from the program's own count in the
/// timing passes.
pub(super) fn per_operation(manifest: &Manifest, runs: &CellRuns, notes: &mut Notes) -> BTreeMap<String, PerOperation> {
    let mut counts = BTreeMap::new();
    let mut names: BTreeSet<&str> = runs
        .counting
        .values()
        .filter_map(|run| run.counted.as_ref())
        .flat_map(|counted| counted.counts.keys().map(String::as_str))
        .collect();
    if !runs.counting.is_empty() {
        names.insert("page-faults");
    }
    for name in names {
        let raw: Vec<(u64, u64)> = runs
            .counting
            .values()
            .filter_map(|record| Some((value(record, name)?, record.operations() as u64)))
            .filter(|(_, operations)| *operations > 0)
            .collect();
        let idle: Vec<f64> = runs.idle.values().filter_map(|record| Some(value(record, name)? as f64)).collect();
        let start_up = order::median(&idle).unwrap_or(0.0);
        let per: Vec<f64> = raw.iter().map(|(count, ops)| (*count as f64 - start_up) / *ops as f64).collect();
        let per = order::sorted(&per);
        let (Some(median), Some(lo), Some(hi)) = (order::percentile(&per, 0.5), per.first(), per.last()) else {
            continue;
        };
        let agrees = agree(manifest, name, &raw);
        if !agrees {
            let seen: Vec<String> = raw.iter().map(|(count, _)| count.to_string()).collect();
            let about = format!("repeats do not agree on {name}");
            notes.add(about, format!("{} {}", runs.plan.id, seen.join(" / ")));
        }
        let operations = raw.iter().map(|(_, operations)| *operations).min().unwrap_or(1) as f64;
        let count = PerOperation { value: median, lo: *lo, hi: *hi, repeats: per.len(), operations, agrees };
        counts.insert(name.to_owned(), count);
    }
    if runs.idle.is_empty() && !runs.counting.is_empty() {
        let about = "counts include the start of the process, for lack of a start-up run";
        notes.add(about.to_owned(), runs.plan.id.clone());
    }
    if !counts.contains_key("page-faults") {
        let own = runs.timing.values().filter_map(|run| run.record.measured.as_ref());
        let own = own.filter_map(|m| Some(m.page_faults? as f64 / m.operations as f64));
        let own = order::sorted(&own.collect::<Vec<_>>());
        if let (Some(median), Some(lo), Some(hi)) = (order::percentile(&own, 0.5), own.first(), own.last()) {
            let operations = runs.timing.values().map(|run| run.record.operations()).fold(f64::INFINITY, f64::min);
            let count = PerOperation { value: median, lo: *lo, hi: *hi, repeats: own.len(), operations, agrees: true };
            counts.insert("page-faults".to_owned(), count);
        }
    }
    counts
}

fn value(record: &JudgedRun, name: &str) -> Option<u64> {
    let counted = record.count(name);
    if name == "page-faults" { counted.or(Some(record.process_page_faults)) } else { counted }
}

fn agree(manifest: &Manifest, name: &str, raw: &[(u64, u64)]) -> bool {
    let page_faults = name == "page-faults";
    let exact = manifest.instruments.iter().any(|instrument| instrument.name == name && instrument.exact);
    if !exact && !page_faults {
        return true;
    }
    let counts = raw.iter().map(|(count, _)| *count);
    let spread = counts.clone().max().unwrap_or(0) - counts.min().unwrap_or(0);
    spread <= if page_faults { PAGE_FAULT_TOLERANCE } else { 0 }
}

#[cfg(test)]
mod tests {
    use crate::analyse::analyse;
    use crate::analyse::fixture::Study;

    #[test]
    fn start_up_is_subtracted() {
        let study = Study::new(&["cache"], &["w"]);
        let mut records = study.records(6, |_, _, _| 100.0);
        for repeat in 0..2 {
            records.push(study.counting("w", "baseline", repeat, &[("syscalls", 2_050), ("page-faults", 500)]));
            records.push(study.idle("w", "baseline", repeat, &[("syscalls", 50), ("page-faults", 100)]));
        }
        let analysis = analyse(&study.manifest, &records);
        let cell = &analysis.workloads[0].cells[0];
        assert_eq!(cell.per_operation("syscalls"), Some(2.0));
        assert_eq!(cell.per_operation("page-faults"), Some(0.4));
        assert_eq!(cell.per_operation("instructions"), None, "missing is missing, not 0");
        assert!(analysis.workloads[0].notes.is_empty());
    }

    #[test]
    fn repeats_that_do_not_agree_are_named_with_both_values() {
        let study = Study::new(&["cache"], &["w"]);
        let mut records = study.records(6, |_, _, _| 100.0);
        records.push(study.counting("w", "baseline", 0, &[("syscalls", 2_000), ("page-faults", 500)]));
        records.push(study.counting("w", "baseline", 1, &[("syscalls", 2_001), ("page-faults", 502)]));
        let notes = &analyse(&study.manifest, &records).workloads[0].notes;
        assert_eq!(
            notes,
            &[
                "counts include the start of the process, for lack of a start-up run: baseline",
                "repeats do not agree on syscalls: baseline 2000 / 2001",
            ]
        );
    }

    #[test]
    fn without_counting_the_program_is_believed() {
        let study = Study::new(&["cache"], &["w"]);
        let mut records = study.records(6, |_, _, _| 100.0);
        for record in &mut records {
            record.measured.as_mut().unwrap().page_faults = Some(3_000);
        }
        let cell = &analyse(&study.manifest, &records).workloads[0].cells[0];
        assert_eq!(cell.per_operation("page-faults"), Some(3.0));
    }
}
