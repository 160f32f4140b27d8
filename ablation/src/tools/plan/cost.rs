//! What a study will take: processes, time, builds, the disk that its records fill, and the memory that its report needs.
//! Predictions are from an earlier run of the study where there is one, and from stated assumptions elsewhere.

use crate::config::Study;
use crate::design::Design;
use crate::support::studies;
use ablate_format::{StudyPlan, WorkloadPlan};
use ablate_stats::bootstrap::DRAWS;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Assumed time of one process before any was measured.
const GUESS: Duration = Duration::from_millis(60);

/// Assumed bytes of a record before any was written. A program that reports its timed batches has about 3,000, one that
/// reports nothing 500.
const RECORD_GUESS: u64 = 2_000;

/// Bytes that a report needs for a cell of a workload: eight values with their draws. Measured with factorials of 256 and
/// of 1,024 cells, of a program that reports its timed batches; others need less.
const CELL_BYTES: u64 = 8 * 8 * DRAWS as u64;

/// Bytes that a report needs for a record, measured likewise.
const RUN_BYTES: u64 = 1_500;

/// Bytes that a report needs in any case.
const LEAST_BYTES: u64 = 30_000_000;

/// How many processes a study starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Processes {
    /// One per cell.
    pub(crate) preflight: usize,
    /// With counters.
    pub(crate) counting: usize,
    /// With counters, without operations.
    pub(crate) idle: usize,
    /// For time.
    pub(crate) timing: usize,
}

impl Processes {
    /// Counts them.
    pub(crate) fn of(study: &Study, design: &Design) -> Processes {
        let once: usize = design.plan.workloads.iter().map(|workload| cells_of(&design.plan, workload)).sum();
        let counting = once * study.counting_repeats as usize;
        Processes {
            preflight: design.plan.cells.len(),
            counting,
            idle: if study.subject.idle_args.is_some() { counting } else { 0 },
            timing: once * study.blocks as usize,
        }
    }

    /// All together.
    pub(crate) fn total(self) -> usize {
        self.preflight + self.counting + self.idle + self.timing
    }

    /// Those that leave a record.
    pub(super) fn recorded(self) -> usize {
        self.counting + self.idle + self.timing
    }
}

/// Number of cells that run with a workload.
pub(super) fn cells_of(plan: &StudyPlan, workload: &WorkloadPlan) -> usize {
    if workload.cells.is_empty() { plan.cells.len() } else { workload.cells.len() }
}

/// What one process takes, and where it was measured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProcessTime {
    /// Mean wall time.
    pub(crate) time: Duration,
    /// Mean time of a build there, where one was recorded.
    pub(crate) of_build: Option<Duration>,
    /// Mean bytes of a record there, where there is one.
    pub(crate) record_bytes: Option<u64>,
    /// Where it was measured; `None`: a guess.
    pub(crate) measured_in: Option<PathBuf>,
}

impl ProcessTime {
    /// Time of so many processes.
    pub(super) fn of(&self, processes: usize) -> Duration {
        self.time.saturating_mul(u32::try_from(processes).unwrap_or(u32::MAX))
    }
}

/// Mean time of a process in the newest earlier run of the study under `parent`, also in a stage of a screening, or a
/// guess.
pub(crate) fn process_time(study: &str, parent: &Path) -> ProcessTime {
    let stages = studies::earlier(parent, &format!("{study}-screen")).into_iter();
    let stages = stages.flat_map(|dir| [dir.join("clean"), dir.join("screen")]);
    let measured = studies::earlier(parent, study).into_iter().chain(stages).find_map(|folder| {
        let manifest = ablate_format::read_manifest(&folder).ok().filter(|manifest| manifest.study == study)?;
        let time = Duration::from_nanos(ablate_format::mean_wall_ns(&folder)?);
        let seconds: Vec<f64> = manifest.builds.iter().filter_map(|build| build.seconds).collect();
        let mean = seconds.iter().sum::<f64>() / seconds.len().max(1) as f64;
        let of_build = (!seconds.is_empty()).then(|| Duration::from_secs_f64(mean.clamp(0.0, 1e6)));
        let record_bytes = ablate_format::mean_record_bytes(&folder);
        Some(ProcessTime { time, of_build, record_bytes, measured_in: Some(folder) })
    });
    measured.unwrap_or(ProcessTime { time: GUESS, of_build: None, record_bytes: None, measured_in: None })
}

/// Bytes of the records, and of one of them.
pub(super) fn disk(processes: Processes, known: &ProcessTime) -> (u64, u64) {
    let each = known.record_bytes.unwrap_or(RECORD_GUESS);
    (processes.recorded() as u64 * each, each)
}

/// Bytes that analysing the study needs.
pub(super) fn memory(design: &Design, processes: Processes) -> u64 {
    let cells: usize = design.plan.workloads.iter().map(|workload| cells_of(&design.plan, workload)).sum();
    LEAST_BYTES + cells as u64 * CELL_BYTES + processes.recorded() as u64 * RUN_BYTES
}

/// Bytes in a unit that people read.
pub(super) fn bytes(bytes: u64) -> String {
    let (size, unit) = match bytes {
        0..=999 => return format!("{bytes} bytes"),
        1_000..=999_999 => (bytes as f64 / 1e3, "KB"),
        1_000_000..=999_999_999 => (bytes as f64 / 1e6, "MB"),
        _ => (bytes as f64 / 1e9, "GB"),
    };
    if size < 9.95 { format!("{size:.1} {unit}") } else { format!("{size:.0} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_said_in_units_that_people_read() {
        let said = [7, 2_000, 12_345, 999_999, 1_500_000, 3_200_000_000].map(bytes);
        assert_eq!(said, ["7 bytes", "2.0 KB", "12 KB", "1000 KB", "1.5 MB", "3.2 GB"]);
    }
}
