//! A record after its check: what analysis and report need of it, small enough for a million runs in memory.

use super::alone::{counter, prove_cell, works};
use ablate_format::{CellPlan, MainResponse, Measured, Pass, Record, Status, StudyPlan};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

/// A run that was checked by itself. Its fields are those of [`Record`]. A run that is not [`Status::Ok`] has no
/// [`JudgedRun::measured`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct JudgedRun {
    /// What it was run for.
    pub(crate) pass: Pass,
    /// How it ended, and whether it is proven.
    pub(crate) status: Status,
    /// Block (timing) or repeat (counting), from 0.
    pub(crate) block: u32,
    /// Machine, an index of the manifest's; 0 where there is one.
    pub(crate) machine: u32,
    /// Code layout of the binary.
    pub(crate) layout: u32,
    /// Workload name.
    pub(crate) workload: Arc<str>,
    /// Cell id.
    pub(crate) cell: Arc<str>,
    /// Why it is not `ok`; empty otherwise.
    pub(crate) reason: Arc<str>,
    /// Wall time of the process in nanoseconds, seen from outside.
    pub(crate) wall_ns: u64,
    /// User and system time of the process in nanoseconds.
    pub(crate) cpu_ns: u64,
    /// Minor and major page faults of the whole process.
    pub(crate) process_page_faults: u64,
    /// Peak resident bytes, as [`Record::rss_peak_bytes`] has them.
    pub(crate) rss_peak_bytes: Option<u64>,
    /// Mean of the resident bytes, as [`Record::rss_mean`] has it.
    pub(crate) rss_mean_bytes: Option<u64>,
    /// Resident bytes at the last sample, where they were sampled.
    pub(crate) rss_last_bytes: Option<u64>,
    /// What it printed, where that is compared.
    pub(crate) printed: Option<Printed>,
    /// Resident bytes of the runner when it started the process.
    pub(crate) runner_rss_bytes: Option<u64>,
    /// Voluntary and involuntary context switches of the process.
    pub(crate) context_switches: Option<(u64, u64)>,
    /// Clock ticks in which the host gave the processors to others.
    pub(crate) steal_ticks: Option<u64>,
    /// The contention probe of the runner just before and just after the process, nanoseconds per step.
    pub(crate) contention_probe_ns: Option<(f64, f64)>,
    /// What the configuration of a server was, as it told.
    pub(crate) read_back: Option<Arc<str>>,
    /// What the measured program printed.
    pub(crate) measured: Option<Reported>,
    /// What instruments counted; `None` in most timing runs, which have no counter attached.
    pub(crate) counted: Option<Box<Counted>>,
}

/// Output and exit code of a program without a result line.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Printed {
    /// SHA-256 of its standard output.
    pub(crate) sha256: Arc<str>,
    /// Its exit code.
    pub(crate) exit_code: Option<i32>,
    /// Beginning of the output, in the runs that have it.
    pub(crate) start: Option<Arc<str>>,
}

impl Printed {
    /// What two runs must have in common to have printed the same.
    pub(crate) fn answer(&self) -> (&str, Option<i32>) {
        (&self.sha256, self.exit_code)
    }
}

/// What a measured program printed, as far as it is needed after the check.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reported {
    /// Operations of the measured part.
    pub(crate) operations: u64,
    /// Equal for all runs of one workload; empty for a program that reports none.
    pub(crate) checksum: Arc<str>,
    /// Name of the allocator that served the operations.
    pub(crate) served_by: Option<Arc<str>>,
    /// Proof counters of factors at work that stayed at 0, `factor.counter`.
    pub(crate) zero_counters: Box<[Arc<str>]>,
    /// 10th percentile, nanoseconds per operation.
    pub(crate) latency_ns_p10: Option<f64>,
    /// Median, nanoseconds per operation.
    pub(crate) latency_ns_p50: Option<f64>,
    /// 99th percentile, nanoseconds per operation.
    pub(crate) latency_ns_p99: Option<f64>,
    /// Mean, nanoseconds per operation.
    pub(crate) latency_ns_mean: Option<f64>,
    /// Whether the program reported its peak of resident bytes.
    pub(crate) has_own_peak: bool,
    /// Page faults of the measured part.
    pub(crate) page_faults: Option<u64>,
    /// The timed batches and then the contention probes, in one allocation because they are most of a run's bytes.
    series_ns: Box<[f32]>,
    /// Number of timed batches in `series_ns`.
    batches: u32,
    /// Numbers of the program's own by name, in the order of the names.
    pub(crate) values: Box<[(Arc<str>, f64)]>,
}

/// What instruments counted in one run; the fields are those of [`Record`].
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Counted {
    /// Counters by instrument name.
    pub(crate) counts: BTreeMap<String, u64>,
    /// Share of the time in which an instrument was on the processor.
    pub(crate) coverage: BTreeMap<String, f64>,
    /// Instruments that gave no count, each with the reason.
    pub(crate) refused: BTreeMap<String, String>,
    /// Unit costs in nanoseconds.
    pub(crate) unit_costs_ns: BTreeMap<String, f64>,
}

impl JudgedRun {
    /// Value of a response in this run, in the unit of its quantity; `None` when the run does not have it.
    ///
    /// It is over all timed batches, disturbed or not: [`crate::analyse`] leaves out the disturbed ones.
    pub(crate) fn value(&self, response: MainResponse) -> Option<f64> {
        let measured = self.measured.as_ref();
        match response {
            MainResponse::P10 => measured?.latency_ns_p10,
            MainResponse::P50 => measured?.latency_ns_p50,
            MainResponse::P99 => measured?.latency_ns_p99,
            MainResponse::Mean => measured?.latency_ns_mean,
            // Per operation where the program reports how many there were.
            MainResponse::Wall => Some(self.wall_ns as f64 / self.operations()),
            MainResponse::Cpu => Some(self.cpu_ns as f64 / self.operations()),
            MainResponse::RssPeak => self.rss_peak_bytes.map(|bytes| bytes as f64),
            MainResponse::RssMean => self.rss_mean_bytes.map(|bytes| bytes as f64),
            MainResponse::Value(value) => measured?.value(value.name()),
        }
    }

    /// Operations of the measured part; 1 for a program that does not report them.
    pub(crate) fn operations(&self) -> f64 {
        self.measured.as_ref().map_or(1.0, |measured| measured.operations.max(1) as f64)
    }

    /// Count of an instrument.
    pub(crate) fn count(&self, instrument: &str) -> Option<u64> {
        self.counted.as_ref()?.counts.get(instrument).copied()
    }
}

impl Reported {
    /// Nanoseconds per operation of every timed batch, in their order.
    pub(crate) fn batches_ns(&self) -> &[f32] {
        &self.series_ns[..self.batches as usize]
    }

    /// The contention probe before the first timed batch and after every one, nanoseconds per step.
    pub(crate) fn contention_probes_ns(&self) -> &[f32] {
        &self.series_ns[self.batches as usize..]
    }

    /// One of the program's own numbers.
    pub(crate) fn value(&self, name: &str) -> Option<f64> {
        self.values.iter().find(|(own, _)| **own == *name).map(|(_, value)| *value)
    }
}

/// Checks the records of one study against its plan, one after the other.
#[derive(Debug)]
pub(crate) struct Judge<'p> {
    plan: &'p StudyPlan,
    cells: HashMap<&'p str, &'p CellPlan>,
    /// Every name once, because names repeat in all records.
    names: HashSet<Arc<str>>,
}

impl<'p> Judge<'p> {
    /// For the records of this plan.
    pub(crate) fn new(plan: &'p StudyPlan) -> Judge<'p> {
        let mut cells = HashMap::new();
        for cell in &plan.cells {
            cells.entry(cell.id.as_str()).or_insert(cell);
        }
        Judge { plan, cells, names: HashSet::new() }
    }

    /// Checks one run by itself, as [`super::prove`] does, and drops what is not needed later.
    pub(crate) fn judge(&mut self, mut record: Record) -> JudgedRun {
        let cell = self.cells.get(record.cell.as_str()).copied();
        prove_cell(self.plan, cell, &mut record);
        let (rss_peak_bytes, rss_mean_bytes) = (record.rss_peak_bytes(), record.rss_mean());
        // A program that reports its own mean measures something else than the processes that were sampled.
        let has_own_mean = record.measured.as_ref().is_some_and(|measured| measured.rss_mean_bytes.is_some());
        let measured = record.measured.take().filter(|_| record.status == Status::Ok);
        let is_counted = !(record.counts.is_empty()
            && record.coverage.is_empty()
            && record.refused.is_empty()
            && record.unit_costs_ns.is_empty());
        JudgedRun {
            pass: record.pass,
            status: record.status,
            block: record.block,
            machine: record.machine,
            layout: record.layout,
            workload: self.name(&record.workload),
            cell: self.name(&record.cell),
            reason: self.name(&record.reason),
            wall_ns: record.wall_ns,
            cpu_ns: record.cpu_ns,
            process_page_faults: record.process_page_faults,
            rss_peak_bytes,
            rss_mean_bytes,
            rss_last_bytes: record.rss_last_bytes.filter(|_| !has_own_mean),
            printed: record.output_sha256.as_deref().map(|sha256| Printed {
                sha256: self.name(sha256),
                exit_code: record.exit_code,
                start: record.output_start.as_deref().map(|start| self.name(start)),
            }),
            runner_rss_bytes: record.runner_rss_bytes,
            context_switches: record.context_switches,
            steal_ticks: record.steal_ticks,
            contention_probe_ns: record.contention_probe_ns,
            read_back: record.read_back.take().map(|told| self.name(&told)),
            measured: measured.map(|measured| self.reported(cell, measured)),
            counted: is_counted.then(|| {
                Box::new(Counted {
                    counts: record.counts,
                    coverage: record.coverage,
                    refused: record.refused,
                    unit_costs_ns: record.unit_costs_ns,
                })
            }),
        }
    }

    fn reported(&mut self, cell: Option<&CellPlan>, measured: Measured) -> Reported {
        let is_at_work = |factor: &str| cell.and_then(|c| c.levels.get(factor)).is_some_and(|level| works(level));
        let at_work = self.plan.factors.iter().filter(|factor| is_at_work(&factor.name));
        let zero = at_work.flat_map(|factor| &factor.proof).filter(|name| counter(&measured, name) == Some(0));
        Reported {
            operations: measured.operations,
            checksum: self.name(&measured.checksum),
            served_by: measured.served_by.as_deref().map(|name| self.name(name)),
            zero_counters: zero.map(|name| self.name(name)).collect(),
            latency_ns_p10: measured.latency_ns_p10,
            latency_ns_p50: measured.latency_ns_p50,
            latency_ns_p99: measured.latency_ns_p99,
            latency_ns_mean: measured.latency_ns_mean,
            has_own_peak: measured.rss_peak_bytes.is_some(),
            page_faults: measured.page_faults,
            values: measured.values.iter().map(|(name, value)| (self.name(name), *value)).collect(),
            // A line has at most 4 MiB, so the number of batches fits into 32 bits.
            batches: measured.batches_ns.len() as u32,
            series_ns: measured.batches_ns.into_iter().chain(measured.contention_probes_ns).collect(),
        }
    }

    fn name(&mut self, name: &str) -> Arc<str> {
        if let Some(known) = self.names.get(name) {
            return known.clone();
        }
        let name: Arc<str> = name.into();
        self.names.insert(name.clone());
        name
    }
}
