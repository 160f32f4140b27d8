//! The result of a run: one line of JSON, or a table to read.

use crate::proof::Proof;
use crate::replay::TraceFacts;
use crate::replay::image::Image;
use crate::replay::plan as replay;
use crate::workload::latency::Latency;
use crate::workload::measurement::Values;
use crate::workload::plan::{Rest, RunPlan};
use crate::workload::shape::{Parameters, Shape};
use crate::workload::touch::Touch;
use serde::Serialize;
use std::collections::BTreeMap;
use tabled::builder::Builder;
use tabled::settings::peaker::Priority;
use tabled::settings::{Style, Width};

/// Version of the line, as docs/format.md counts.
pub(crate) const FORMAT: u32 = 2;
/// Most columns of a table.
const COLUMNS: usize = 100;

/// What one process measured. Field names are the JSON's; docs/format.md describes them.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    format: u32,
    program: &'static str,
    allocator: &'static str,
    scenario: &'static str,
    /// Of a replay: passes.
    iterations: u64,
    operations: u64,
    /// Operations before the measured part, the same with `--iterations 0`.
    warm_up_operations: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u32>,
    /// `None` where the shape says what is written.
    #[serde(skip_serializing_if = "Option::is_none")]
    touch: Option<replay::Touch>,
    lifetime: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    rest: Option<Rest>,
    /// The parameters of a memory shape.
    #[serde(skip_serializing_if = "Option::is_none")]
    shape: Option<Parameters>,
    /// The trace of a replay.
    #[serde(skip_serializing_if = "Option::is_none")]
    trace: Option<TraceFacts>,
    threads: u32,
    cold: bool,
    /// `None` where nothing is drawn.
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    levels: Levels,
    /// Of the whole run: warm-up, measured part and final frees.
    counters: Counters,
    served_by: Option<String>,
    served_proof: String,
    checksum: String,
    latency_over: &'static str,
    batch_operations: u64,
    #[serde(flatten)]
    latency: Latency,
    page_faults: u64,
    page_faults_per_op: f64,
    rss_peak_bytes: Option<u64>,
    timer_ns: u64,
    env_rejected: Vec<String>,
    #[serde(skip_serializing_if = "Values::is_empty")]
    values: Values,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    batches_ns: Vec<f64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    contention_probes_ns: Vec<f64>,
}

/// What a run did, whether it was a scenario or a trace.
struct Work {
    name: &'static str,
    iterations: u64,
    touch: Option<replay::Touch>,
    lifetime: &'static str,
    threads: u32,
    latency_over: &'static str,
    timed_operations: u64,
}

impl From<Touch> for replay::Touch {
    fn from(touch: Touch) -> replay::Touch {
        match touch {
            Touch::None => replay::Touch::None,
            Touch::Page => replay::Touch::Page,
            Touch::Full => replay::Touch::Full,
        }
    }
}

/// Factor → level.
pub(crate) type Levels = BTreeMap<&'static str, &'static str>;
/// Factor → counter → value.
pub(crate) type Counters = BTreeMap<&'static str, BTreeMap<&'static str, u64>>;

/// What the run found out; the plan, or the trace, has the rest of the report.
pub(crate) struct Findings {
    /// Name of the allocator.
    pub(crate) allocator: &'static str,
    /// Operations of the measured part.
    pub(crate) operations: u64,
    /// Operations of the warm-up.
    pub(crate) warm_up_operations: u64,
    /// Checksum of the operations.
    pub(crate) checksum: u64,
    /// Nanoseconds per operation of every timed batch; empty when no contention probes were taken to judge them by.
    pub(crate) batches_ns: Vec<f64>,
    /// The contention probe before the first batch and after each, nanoseconds per step.
    pub(crate) contention_probes_ns: Vec<f64>,
    /// Nanoseconds per operation.
    pub(crate) latency: Latency,
    /// Page faults of the measured part.
    pub(crate) page_faults: u64,
    /// Peak of resident memory before the proof, bytes.
    pub(crate) rss_peak_bytes: Option<u64>,
    /// Cost of one timed interval's clock readings, nanoseconds.
    pub(crate) timer_ns: u64,
    /// Levels of hakmem's factors; empty for other allocators.
    pub(crate) levels: Levels,
    /// Counters of hakmem's factors; empty for other allocators.
    pub(crate) counters: Counters,
    /// Which allocator served; `None` with `--no-proof`.
    pub(crate) proof: Option<Proof>,
    /// Refused environment variables, each with the reason.
    pub(crate) env_rejected: Vec<String>,
    /// What else was measured.
    pub(crate) values: Values,
}

impl Report {
    /// Combines the plan and the findings.
    pub(crate) fn new(plan: &RunPlan, findings: Findings) -> Report {
        let touch = Some(plan.touch).filter(|_| !plan.pattern.shape().is_some_and(Shape::has_own_touch));
        Report {
            bytes: Some(plan.bytes).filter(|bytes| *bytes > 0),
            rest: plan.pattern.measures_memory_return().then_some(plan.rest),
            shape: plan.pattern.shape().map(|_| plan.shape),
            cold: plan.cold,
            seed: Some(plan.seed),
            ..Report::of(
                Work {
                    name: plan.scenario.name,
                    iterations: plan.iterations,
                    touch: touch.map(Touch::into),
                    lifetime: plan.lifetime_name(),
                    threads: plan.threads,
                    latency_over: plan.latency_over(),
                    timed_operations: plan.timed_operations(),
                },
                findings,
            )
        }
    }

    /// Combines a replay and its findings. Operations are those of one pass.
    pub(crate) fn of_replay(passes: u32, image: &Image, trace: TraceFacts, findings: Findings) -> Report {
        Report {
            trace: Some(trace),
            ..Report::of(
                Work {
                    name: "trace",
                    iterations: passes.into(),
                    touch: Some(image.touch()),
                    lifetime: "recorded",
                    threads: image.threads(),
                    latency_over: "batches",
                    timed_operations: image.operations(),
                },
                findings,
            )
        }
    }

    fn of(work: Work, findings: Findings) -> Report {
        let (served_by, served_proof) = match findings.proof {
            Some(proof) => (Some(proof.served_by), proof.sentence),
            None => (None, "not checked (--no-proof)".to_owned()),
        };
        Report {
            format: FORMAT,
            program: env!("CARGO_PKG_NAME"),
            allocator: findings.allocator,
            scenario: work.name,
            iterations: work.iterations,
            operations: findings.operations,
            warm_up_operations: findings.warm_up_operations,
            bytes: None,
            touch: work.touch,
            lifetime: work.lifetime,
            rest: None,
            shape: None,
            trace: None,
            threads: work.threads,
            cold: false,
            seed: None,
            levels: findings.levels,
            counters: findings.counters,
            served_by,
            served_proof,
            checksum: format!("{:016x}", findings.checksum),
            latency_over: work.latency_over,
            batch_operations: work.timed_operations,
            latency: findings.latency,
            page_faults: findings.page_faults,
            page_faults_per_op: match findings.operations {
                0 => 0.0,
                operations => findings.page_faults as f64 / operations as f64,
            },
            rss_peak_bytes: findings.rss_peak_bytes,
            timer_ns: findings.timer_ns,
            env_rejected: findings.env_rejected,
            values: findings.values,
            batches_ns: findings.batches_ns,
            contention_probes_ns: findings.contention_probes_ns,
        }
    }

    /// One line, without the line's end.
    ///
    /// # Errors
    /// None that are known: all keys are strings, all numbers finite.
    pub(crate) fn json(&self) -> serde_json::Result<String> {
        serde_json::to_string(self)
    }

    /// The same as a table of at most 100 columns.
    pub(crate) fn table(&self) -> String {
        let mut rows = Builder::default();
        let mut row = |name: &str, value: String| rows.push_record([name.to_owned(), value]);
        row("allocator", self.allocator.to_owned());
        row("served by", format!("{}: {}", self.served_by.as_deref().unwrap_or("n/a"), self.served_proof));
        match &self.trace {
            Some(trace) => {
                row("trace", format!("{} of {}", trace.file(), trace.program()));
                row("replay", format!("touch {}, {trace}", self.touch.map_or("its own", touch_name)));
                let (passes, threads) =
                    (counted_with(self.iterations, "pass", "passes"), counted(self.threads.into(), "thread"));
                row("operations", format!("{} ({passes}), {threads}", self.operations));
            }
            None => {
                row("scenario", self.scenario_sentence());
                let (iterations, warm_up) = (counted(self.iterations, "iteration"), self.warm_up_operations);
                row("operations", format!("{} ({iterations}), after {warm_up} of warm-up", self.operations));
            }
        }
        let latency = self.latency;
        let over = if self.latency_over == "operations" {
            counted(latency.samples, "operation")
        } else if self.trace.is_some() {
            counted_with(latency.samples, "pass", "passes")
        } else {
            format!("{} of {}", counted_with(latency.samples, "batch", "batches"), self.batch_operations)
        };
        if latency.samples == 0 {
            let option = if self.trace.is_some() { "--passes" } else { "--iterations" };
            row("ns/op", format!("nothing measured ({option} 0)"));
        } else {
            row(
                "ns/op",
                format!(
                    "p10 {:.1}   p50 {:.1}   p99 {:.1}   mean {:.1}   over {over}",
                    latency.latency_ns_p10, latency.latency_ns_p50, latency.latency_ns_p99, latency.latency_ns_mean
                ),
            );
        }
        row("clock", format!("{} ns per reading, contained once in every timed value", self.timer_ns));
        row("page faults", format!("{} ({:.3} per operation)", self.page_faults, self.page_faults_per_op));
        row("peak memory", self.rss_peak_bytes.map_or_else(|| "n/a".to_owned(), |bytes| mebibytes(bytes as f64)));
        for (name, value) in &self.values {
            row(name, if name.ends_with("_bytes") { mebibytes(*value) } else { format!("{value:.3}") });
        }
        row("checksum", self.checksum.clone());
        for (factor, level) in &self.levels {
            let counters: Vec<String> = self
                .counters
                .get(factor)
                .into_iter()
                .flatten()
                .map(|(name, value)| format!("{name} {value}"))
                .collect();
            row(factor, format!("{level:<8} {}", counters.join(", ")).trim_end().to_owned());
        }
        for refused in &self.env_rejected {
            row("refused variable", refused.clone());
        }
        fit(rows, false)
    }

    fn scenario_sentence(&self) -> String {
        format!(
            "{}{}, touch {}, lifetime {}, {}, seed {}",
            self.scenario,
            self.bytes.map_or_else(String::new, |bytes| of_bytes(bytes, self.shape.and_then(|shape| shape.bytes_max))),
            self.touch.map_or("its own", touch_name),
            self.lifetime,
            if self.cold { "cold" } else { "warm" },
            self.seed.unwrap_or_default()
        )
    }
}

/// ` of 64 bytes`, or ` of 64 to 9437184 bytes` where objects have sizes of a range.
fn of_bytes(bytes: u32, most: Option<u64>) -> String {
    match most.filter(|most| *most > u64::from(bytes)) {
        Some(most) => format!(" of {bytes} to {most} bytes"),
        None => format!(" of {}", counted(bytes.into(), "byte")),
    }
}

/// `1 iteration`, `2 iterations`.
fn counted(number: u64, one: &str) -> String {
    counted_with(number, one, &format!("{one}s"))
}

fn counted_with(number: u64, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}

fn mebibytes(bytes: f64) -> String {
    format!("{:.1} MiB", bytes / 1048576.0)
}

/// The name on the command line.
fn touch_name(touch: replay::Touch) -> &'static str {
    match touch {
        replay::Touch::None => "none",
        replay::Touch::Page => "page",
        replay::Touch::Full => "full",
        replay::Touch::Recorded => "recorded",
    }
}

/// The table as text, with its widest column wrapped at words so that it fits [`COLUMNS`].
pub(crate) fn fit(rows: Builder, headed: bool) -> String {
    let mut table = rows.build();
    if headed {
        table.with(Style::rounded());
    } else {
        table.with(Style::rounded().remove_horizontals());
    }
    table.with(Width::wrap(COLUMNS).keep_words(true).priority(Priority::max(true)));
    table.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_agree_with_their_nouns_and_ranges_have_both_ends() {
        assert_eq!(
            (counted(1, "iteration").as_str(), counted(0, "iteration").as_str()),
            ("1 iteration", "0 iterations")
        );
        assert_eq!(counted_with(1, "batch", "batches"), "1 batch");
        assert_eq!(of_bytes(64, Some(9 << 20)), " of 64 to 9437184 bytes");
        assert_eq!((of_bytes(64, None).as_str(), of_bytes(64, Some(64)).as_str()), (" of 64 bytes", " of 64 bytes"));
    }
}
