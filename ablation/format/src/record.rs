//! `records.jsonl`: one line for each process that was run.

use crate::measured::Measured;
use crate::response::MainResponse;
use crate::version::FORMAT;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What a process was run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pass {
    /// Nothing attached; latency counts.
    Timing,
    /// Counters attached; latency does not count.
    Counting,
    /// Counters attached, no operation: start-up cost, to be subtracted from [`Pass::Counting`].
    CountingIdle,
    /// Not the subject but the machine: what a page fault and each system call cost, in [`Record::unit_costs_ns`].
    /// Workload and cell are `unit-costs`.
    UnitCosts,
}

/// One line of `records.jsonl`: one process.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Version of the record ([`FORMAT`]).
    pub format: u32,
    /// What it was run for.
    pub pass: Pass,
    /// Block (timing) or repeat (counting), from 0.
    pub block: u32,
    /// Position within the block, from 0.
    pub order: u32,
    /// Workload name.
    pub workload: String,
    /// Cell id.
    pub cell: String,
    /// How it ended.
    pub status: Status,
    /// Why it is not `ok`; empty otherwise.
    #[serde(default)]
    pub reason: String,
    /// Wall time of the process in nanoseconds, seen from outside.
    pub wall_ns: u64,
    /// Minor and major page faults of the whole process, from `wait4`.
    pub process_page_faults: u64,
    /// Peak resident bytes of the process, from `wait4`: not less than what it had of the runner before its `exec`.
    pub process_rss_peak_bytes: u64,
    /// Resident bytes of the runner when it started the process; `None` where the kernel does not tell.
    #[serde(default)]
    pub runner_rss_bytes: Option<u64>,
    /// Code layout of the binary, below [`StudyPlan::layouts`](crate::StudyPlan::layouts).
    #[serde(default)]
    pub layout: u32,
    /// User and system time of the process in nanoseconds, from `wait4`; tick accounting, coarse.
    #[serde(default)]
    pub cpu_ns: u64,
    /// Times that the process was taken off its processor: it waited, it was preempted.
    #[serde(default)]
    pub context_switches: Option<(u64, u64)>,
    /// Clock ticks of the kernel in which the host gave the processors of this machine to others while the process ran.
    #[serde(default)]
    pub steal_ticks: Option<u64>,
    /// The contention probe of the runner just before and just after the process, nanoseconds per step.
    #[serde(default)]
    pub contention_probe_ns: Option<(f64, f64)>,
    /// Counters by instrument name; an instrument that is missing was not available.
    #[serde(default)]
    pub counts: BTreeMap<String, u64>,
    /// Share of the time in which an instrument was on the processor, for those that had to share it; their counts are
    /// scaled up.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub coverage: BTreeMap<String, f64>,
    /// Instruments that could be had and gave no count this time, each with the reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<String, String>,
    /// Unit costs in nanoseconds, for [`Pass::UnitCosts`]: `page-fault-4k`, `page-fault-huge`, `sys-mmap`, ….
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unit_costs_ns: BTreeMap<String, f64>,
    /// What the measured program printed, when it printed a readable line.
    #[serde(default)]
    pub measured: Option<Measured>,
    /// Last 2 KiB of standard error when the run is not `ok`.
    #[serde(default)]
    pub stderr: String,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Finished, proven.
    Ok,
    /// Finished, but levels, counters, checksum or served-by contradict the plan.
    Invalid,
    /// The binary could not be built.
    BuildFailed,
    /// Ended by a signal or a non-zero exit.
    Crashed,
    /// Exceeded the time limit; its process group was ended.
    Timeout,
    /// Exit 0 but no readable result line.
    Garbage,
}

impl Record {
    /// The record of a run that has not been.
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
            layout: 0,
            cpu_ns: 0,
            context_switches: None,
            steal_ticks: None,
            contention_probe_ns: None,
            counts: BTreeMap::new(),
            coverage: BTreeMap::new(),
            refused: BTreeMap::new(),
            unit_costs_ns: BTreeMap::new(),
            measured: None,
            stderr: String::new(),
        }
    }

    /// Value of a response in this run, in the unit of its quantity; `None` when the run does not have it.
    ///
    /// Over all timed batches, disturbed or not: the analysis judges the contention probes.
    pub fn value(&self, response: MainResponse) -> Option<f64> {
        let measured = self.measured.as_ref();
        match response {
            MainResponse::P10 => Some(measured?.latency_ns_p10),
            MainResponse::P50 => Some(measured?.latency_ns_p50),
            MainResponse::P99 => Some(measured?.latency_ns_p99),
            MainResponse::Mean => Some(measured?.latency_ns_mean),
            // Per operation where the program says how many there were.
            MainResponse::Wall => Some(self.wall_ns as f64 / self.operations()),
            MainResponse::Cpu => Some(self.cpu_ns as f64 / self.operations()),
            MainResponse::RssPeak => self.rss_peak_bytes().map(|bytes| bytes as f64),
            MainResponse::Value(value) => measured?.values.get(value.name()).copied(),
        }
    }

    /// Peak resident bytes: as the program saw them, else from outside; `None` where what is seen from outside may be the
    /// runner's.
    pub fn rss_peak_bytes(&self) -> Option<u64> {
        let from_outside = || Some(self.process_rss_peak_bytes).filter(|peak| !self.hides_in_the_runner(*peak));
        self.measured.as_ref().and_then(|measured| measured.rss_peak_bytes).or_else(from_outside)
    }

    /// Whether the runner itself had as much when it started the process. The kernel counts what a process has before its
    /// `exec`, the runner's pages that it shares, as its own.
    fn hides_in_the_runner(&self, peak: u64) -> bool {
        self.runner_rss_bytes.is_some_and(|runner| peak <= runner)
    }

    /// Operations of the measured part; 1 for a program that does not report them.
    pub fn operations(&self) -> f64 {
        self.measured.as_ref().map_or(1.0, |measured| measured.operations.max(1) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            record.value(MainResponse::RssPeak)
        };
        assert_eq!(peak(Some(5), 9, Some(8)), Some(5.0), "its own word counts");
        assert_eq!(peak(Some(5), 9, Some(9)), Some(5.0));
        assert_eq!(peak(None, 9, Some(8)), Some(9.0));
        assert_eq!(peak(None, 9, Some(9)), None, "it may be the runner's");
        assert_eq!(peak(None, 9, None), Some(9.0), "what the runner had is unknown");
    }
}
