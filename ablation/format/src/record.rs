//! `records.jsonl`: one line for each process that was run.

use crate::measured::Measured;
use crate::version::FORMAT;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a process was run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pass {
    /// For its times. No counter is attached.
    Timing,
    /// For its counts. Counters are attached, so its times are not used.
    Counting,
    /// For the counts of its start-up, without an operation. They are subtracted from those of [`Pass::Counting`].
    CountingIdle,
    /// For the unit costs of the machine, in [`Record::unit_costs_ns`]. The process is the runner's own, not the
    /// subject's; its workload and cell are `unit-costs`.
    UnitCosts,
}

/// One line of `records.jsonl`: one process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Version of the record ([`FORMAT`]).
    pub format: u32,
    /// What the process was run for.
    pub pass: Pass,
    /// Block (timing) or repeat (counting), from 0.
    pub block: u32,
    /// Position within the block, from 0.
    pub order: u32,
    /// Workload name.
    pub workload: String,
    /// Cell id.
    pub cell: String,
    /// How the run ended.
    pub status: Status,
    /// Why the status is not `ok`; empty otherwise.
    #[serde(default)]
    pub reason: String,
    /// Wall time of the process in nanoseconds, seen from outside.
    pub wall_ns: u64,
    /// Minor and major page faults of the whole process, from `wait4`.
    pub process_page_faults: u64,
    /// Peak resident bytes of the process, from `wait4`. The kernel counts the runner's pages that it had before its
    /// `exec`; [`Record::rss_peak_bytes`] leaves out a peak that may be theirs.
    pub process_rss_peak_bytes: u64,
    /// Resident bytes of the runner when it started the process; `None` where `/proc` does not have them.
    #[serde(default)]
    pub runner_rss_bytes: Option<u64>,
    /// Resident bytes of the process and its descendants: mean over the time from 50 ms after its start, by samples that
    /// the runner takes in timing runs; `None` where it ended before there were two samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rss_mean_bytes: Option<u64>,
    /// Resident bytes at the last of these samples.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rss_last_bytes: Option<u64>,
    /// The most of these samples, or of the first process alone from its `exec` to the last of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rss_sampled_peak_bytes: Option<u64>,
    /// Whether a process of the run opened every library of its `LD_PRELOAD`, as the kernel told; `None` where there is
    /// no such library, where the kernel cannot tell, and in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preload_opened: Option<bool>,
    /// Exit code of the process; `None` where a signal ended it, and in older records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Hash of all standard output, in timing runs without a result line whose workload has its output compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_sha256: Option<String>,
    /// Beginning of that output, in the first two blocks: what tells where two outputs differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output_start: Option<String>,
    /// Machine of the run, an index of [`Manifest::machines`](crate::Manifest::machines); 0 where there is one machine.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub machine: u32,
    /// Code layout of the binary, below [`StudyPlan::layouts`](crate::StudyPlan::layouts).
    #[serde(default)]
    pub layout: u32,
    /// User and system time of the process in nanoseconds, from `wait4`. Kernels that account by clock ticks round it.
    #[serde(default)]
    pub cpu_ns: u64,
    /// Voluntary and involuntary context switches of the process, from `wait4`.
    #[serde(default)]
    pub context_switches: Option<(u64, u64)>,
    /// Clock ticks of the kernel in which the host gave the processors of this machine to others while the process ran;
    /// `None` where `/proc/stat` does not have them.
    #[serde(default)]
    pub steal_ticks: Option<u64>,
    /// Runs before this one that do not count, because the machine was suspended while they ran. They were repeated at once.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub suspended_runs: u32,
    /// The contention probe of the runner just before and just after the process, nanoseconds per step.
    #[serde(default)]
    pub contention_probe_ns: Option<(f64, f64)>,
    /// Counts of the whole process by instrument name. An instrument that is missing was not available.
    #[serde(default)]
    pub counts: BTreeMap<String, u64>,
    /// Share of the running time in which a counter was on the processor, 0 to 1, for counters that shared it. Their
    /// counts are scaled up.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub coverage: BTreeMap<String, f64>,
    /// Available instruments that gave no count in this run, each with the reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<String, String>,
    /// Nanoseconds per event, for [`Pass::UnitCosts`]: `page-fault-4k`, `page-fault-huge`, `sys-mmap`, ….
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unit_costs_ns: BTreeMap<String, f64>,
    /// What the measured program printed, when it printed a readable line.
    #[serde(default)]
    pub measured: Option<Measured>,
    /// What the command that reads the configuration of the running server printed; `None` where there is none. The
    /// folder of the run and its port stand there as `{scratch}` and `{port}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_back: Option<String>,
    /// Last 2 KiB of standard error when the run is not `ok`.
    #[serde(default)]
    pub stderr: String,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Status {
    /// The process ended with exit code 0, and its result line agrees with the plan.
    Ok,
    /// The process ended with exit code 0, and its levels, counters, checksum or `served_by` contradict the plan.
    Invalid,
    /// The binary could not be built.
    BuildFailed,
    /// The process ended by a signal or with another exit code than 0.
    Crashed,
    /// The process exceeded the time limit, and its process group was ended.
    Timeout,
    /// The process ended with exit code 0 and printed no readable result line.
    Garbage,
}

impl Status {
    /// The word in records and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Invalid => "invalid",
            Status::BuildFailed => "build-failed",
            Status::Crashed => "crashed",
            Status::Timeout => "timeout",
            Status::Garbage => "garbage",
        }
    }
}

impl Record {
    /// The record of a run that has not been made: [`Status::Ok`], zeros, and nothing counted or measured.
    pub fn new(pass: Pass, block: u32, workload: &str, cell: &str) -> Record {
        Record {
            format: FORMAT,
            pass,
            block,
            order: 0,
            workload: workload.to_owned(),
            cell: cell.to_owned(),
            status: Status::Ok,
            reason: String::new(),
            wall_ns: 0,
            process_page_faults: 0,
            process_rss_peak_bytes: 0,
            runner_rss_bytes: None,
            rss_mean_bytes: None,
            rss_last_bytes: None,
            rss_sampled_peak_bytes: None,
            preload_opened: None,
            exit_code: None,
            output_sha256: None,
            output_start: None,
            machine: 0,
            layout: 0,
            cpu_ns: 0,
            context_switches: None,
            steal_ticks: None,
            suspended_runs: 0,
            contention_probe_ns: None,
            counts: BTreeMap::new(),
            coverage: BTreeMap::new(),
            refused: BTreeMap::new(),
            unit_costs_ns: BTreeMap::new(),
            measured: None,
            read_back: None,
            stderr: String::new(),
        }
    }

    /// Peak resident bytes: as the program reported them, else as `wait4` did.
    ///
    /// A peak of `wait4` that is not above [`Record::runner_rss_bytes`] may be the runner's, because the kernel counts the
    /// pages that a process shares with the runner before its `exec`. There it is what the samples saw, and `None` without
    /// samples.
    pub fn rss_peak_bytes(&self) -> Option<u64> {
        let may_be_the_runner_s = |peak: &u64| self.runner_rss_bytes.is_some_and(|runner| *peak <= runner);
        let from_outside = || Some(self.process_rss_peak_bytes).filter(|peak| !may_be_the_runner_s(peak));
        let own = self.measured.as_ref().and_then(|measured| measured.rss_peak_bytes);
        own.or_else(from_outside).or(self.rss_sampled_peak_bytes)
    }

    /// Mean of the resident bytes: as the program reported it, else by the runner's samples.
    pub fn rss_mean(&self) -> Option<u64> {
        self.measured.as_ref().and_then(|measured| measured.rss_mean_bytes).or(self.rss_mean_bytes)
    }
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_has_one_word_in_records_and_tables() {
        use Status::*;
        for status in [Ok, Invalid, BuildFailed, Crashed, Timeout, Garbage] {
            assert_eq!(serde_json::to_value(status).expect("is text"), status.as_str());
        }
    }

    #[test]
    fn a_peak_is_the_program_s_own_or_surely_not_the_runner_s() {
        let peak = |own: Option<u64>, seen: u64, runner: Option<u64>| {
            let line = r#"{"format":2,"operations":1,"checksum":"c","latency_over":"batches","samples":1,
                "latency_ns_p10":1.0,"latency_ns_p50":1.0,"latency_ns_p99":1.0,"latency_ns_mean":1.0}"#;
            let measured = serde_json::from_str(line).expect("the required keys");
            let record = Record {
                process_rss_peak_bytes: seen,
                runner_rss_bytes: runner,
                measured: Some(Measured { rss_peak_bytes: own, ..measured }),
                ..Record::new(Pass::Timing, 0, "w", "baseline")
            };
            record.rss_peak_bytes()
        };
        assert_eq!(peak(Some(5), 9, Some(8)), Some(5), "its own report counts");
        assert_eq!(peak(Some(5), 9, Some(9)), Some(5));
        assert_eq!(peak(None, 9, Some(8)), Some(9));
        assert_eq!(peak(None, 9, Some(9)), None, "it may be the runner's");
        assert_eq!(peak(None, 9, None), Some(9), "what the runner had is unknown");
    }
}
