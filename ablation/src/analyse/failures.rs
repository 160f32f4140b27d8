//! Runs that do not count, grouped so that people can act on them.

use crate::prove::JudgedRun;
use ablate_format::{Manifest, Status};
use std::collections::HashMap;

/// Runs that ended in one way for one reason.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Failure {
    /// `invalid`, `build-failed`, `crashed`, `timeout` or `garbage`.
    pub(crate) status: &'static str,
    /// Why.
    pub(crate) reason: String,
    /// Number of runs; 0 for a build that failed before any run.
    pub(crate) runs: usize,
    /// Where: `workload/cell`, or the build's id.
    pub(crate) places: Vec<String>,
}

/// Groups by status and reason, most frequent first.
pub(super) fn collect(manifest: &Manifest, records: &[JudgedRun]) -> Vec<Failure> {
    let mut groups: Vec<Failure> = Vec::new();
    let mut known: HashMap<(Status, &str), usize> = HashMap::new();
    let mut known_builds: HashMap<&str, usize> = HashMap::new();
    for build in &manifest.builds {
        if let Err(failure) = &build.result {
            known_builds.insert(build.id.as_str(), groups.len());
            groups.push(Failure {
                status: Status::BuildFailed.as_str(),
                reason: format!("{} (log: {})", failure.message, failure.log),
                runs: 0,
                places: vec![format!("build {}", build.id)],
            });
        }
    }
    let builds: HashMap<&str, &str> =
        manifest.plan.cells.iter().map(|cell| (cell.id.as_str(), cell.build.as_str())).collect();
    for record in records.iter().filter(|record| record.status != Status::Ok) {
        // The build's own entry has the log; its cells only add their number.
        let build = builds.get(&*record.cell).and_then(|build| known_builds.get(build));
        if let (Status::BuildFailed, Some(group)) = (record.status, build) {
            groups[*group].runs += 1;
            continue;
        }
        let at = *known.entry((record.status, &record.reason)).or_insert_with(|| {
            groups.push(Failure {
                status: record.status.as_str(),
                reason: record.reason.to_string(),
                runs: 0,
                places: Vec::new(),
            });
            groups.len() - 1
        });
        let group = &mut groups[at];
        group.runs += 1;
        // Places only grow with the design, not with the blocks.
        let place = format!("{}/{}", record.workload, record.cell);
        if !group.places.contains(&place) {
            group.places.push(place);
        }
    }
    groups.sort_by(|a, b| b.runs.cmp(&a.runs).then_with(|| a.reason.cmp(&b.reason)));
    groups
}
