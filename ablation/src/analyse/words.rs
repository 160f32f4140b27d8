//! The words of an analysis: what is measured, what can be said, what is proven.

use ablate_format::{MainResponse, ValueName};

/// A measured quantity that effects are computed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Response {
    /// 10th percentile of a process, nanoseconds per operation: the main response by default.
    LatencyNsP10,
    /// Median of a process, nanoseconds per operation: must agree with the 10th percentile, or is the main response.
    LatencyNsP50,
    /// 99th percentile of a process, nanoseconds per operation: the main response where the config says so.
    LatencyNsP99,
    /// Mean of a process, nanoseconds per operation: the main response where the config says so.
    LatencyNsMean,
    /// Wall time of the process, nanoseconds per operation: for programs that report nothing.
    WallNs,
    /// Processor time of the process, nanoseconds per operation: for programs that report nothing.
    CpuNs,
    /// Most resident bytes of the process: beside every main response, or that where the config says so.
    RssPeakBytes,
    /// Mean of the resident bytes over the time of the process: beside every main response.
    RssMeanBytes,
    /// A number of the program's own: the main response where the config says so.
    Value(ValueName),
    /// Instructions per operation, from the counting passes.
    InstructionsPerOp,
    /// Page faults per operation, from the counting passes.
    PageFaultsPerOp,
    /// System calls per operation, from the counting passes.
    SyscallsPerOp,
}

impl Response {
    /// The responses that are counted, with the name of their instrument.
    pub(crate) const COUNTED: [(Response, &'static str); 3] = [
        (Response::InstructionsPerOp, "instructions"),
        (Response::PageFaultsPerOp, "page-faults"),
        (Response::SyscallsPerOp, "syscalls"),
    ];

    /// The response that a workload is judged by.
    pub(crate) fn main(of: MainResponse) -> Response {
        match of {
            MainResponse::P10 => Response::LatencyNsP10,
            MainResponse::P50 => Response::LatencyNsP50,
            MainResponse::P99 => Response::LatencyNsP99,
            MainResponse::Mean => Response::LatencyNsMean,
            MainResponse::Wall => Response::WallNs,
            MainResponse::Cpu => Response::CpuNs,
            MainResponse::RssPeak => Response::RssPeakBytes,
            MainResponse::RssMean => Response::RssMeanBytes,
            MainResponse::Value(value) => Response::Value(value),
        }
    }

    /// The responses of memory.
    pub(crate) const MEMORY: [Response; 2] = [Response::RssPeakBytes, Response::RssMeanBytes];

    /// The responses of timing runs that every contrast of a workload has a row for, the main one first, those of memory
    /// last.
    pub(crate) fn timed(main: MainResponse) -> Vec<Response> {
        // Beside a mean, the median of a process would hide the first operations again.
        let second = (main == MainResponse::P10).then_some(Response::LatencyNsP50);
        let memory = Response::MEMORY.into_iter().filter(|memory| *memory != Response::main(main));
        [Response::main(main)].into_iter().chain(second).chain(memory).collect()
    }

    /// Whether more of it is better: so it is for rates, and for nothing else.
    fn is_better_high(self) -> bool {
        matches!(self, Response::Value(value) if MainResponse::Value(value).quantity().is_better_high())
    }

    /// A difference as what it costs: positive where the side with the factor is worse.
    pub(crate) fn cost_of(self, difference: f64) -> f64 {
        if self.is_better_high() { -difference } else { difference }
    }

    /// What a difference that is told apart from 0 says of its factor.
    pub(crate) fn verdict_of(self, difference: f64) -> Verdict {
        if self.cost_of(difference) > 0.0 { Verdict::Costs } else { Verdict::Saves }
    }

    /// Whether it comes from the counting passes.
    pub(crate) fn is_counted(self) -> bool {
        Response::COUNTED.iter().any(|(counted, _)| *counted == self)
    }

    /// Name in `effects.json`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Response::LatencyNsP10 => "latency_ns_p10",
            Response::LatencyNsP50 => "latency_ns_p50",
            Response::LatencyNsP99 => "latency_ns_p99",
            Response::LatencyNsMean => "latency_ns_mean",
            Response::WallNs => "wall_ns",
            Response::CpuNs => "cpu_ns",
            Response::RssPeakBytes => "rss_peak_bytes",
            Response::RssMeanBytes => "rss_mean_bytes",
            Response::Value(value) => MainResponse::Value(value).as_str(),
            Response::InstructionsPerOp => "instructions_per_op",
            Response::PageFaultsPerOp => "page_faults_per_op",
            Response::SyscallsPerOp => "syscalls_per_op",
        }
    }
}

/// What can be said about an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Verdict {
    /// Detected: with the factor the value is worse, so a time is longer, or a rate is lower. The cross-check of times
    /// agrees (docs/methodology.md).
    Costs,
    /// Detected: with the factor the value is better.
    Saves,
    /// The interval contains 0 and the effect is smaller than what the study could have found.
    NotDetected,
    /// Detected, but not larger than the difference between the baseline and its placebo.
    BelowFloor,
    /// The factor did nothing in this workload; no effect is claimed.
    NotExercised,
    /// No proven run in one of the two cells.
    Invalid,
    /// Too few blocks, or the evidence does not agree.
    Inconclusive,
    /// One of the two cells could not be built.
    BuildFailed,
}

impl Verdict {
    /// The verdict about the other side of the difference: what one level costs, the other saves.
    pub(crate) fn reversed(self) -> Verdict {
        match self {
            Verdict::Costs => Verdict::Saves,
            Verdict::Saves => Verdict::Costs,
            other => other,
        }
    }

    /// The word in tables and sentences: the name in `effects.json`, with spaces.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Verdict::NotDetected => "not detected",
            Verdict::BelowFloor => "below floor",
            Verdict::NotExercised => "not exercised",
            Verdict::BuildFailed => "build failed",
            Verdict::Costs | Verdict::Saves | Verdict::Invalid | Verdict::Inconclusive => self.as_str(),
        }
    }

    /// Name in `effects.json`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Verdict::Costs => "costs",
            Verdict::Saves => "saves",
            Verdict::NotDetected => "not-detected",
            Verdict::BelowFloor => "below-floor",
            Verdict::NotExercised => "not-exercised",
            Verdict::Invalid => "invalid",
            Verdict::Inconclusive => "inconclusive",
            Verdict::BuildFailed => "build-failed",
        }
    }
}

/// What is said of an effect in one word: its verdict, or `unproven` where nothing tells its levels apart, so that nothing is
/// claimed. Both are words of `effects.json` or of reports.
pub(crate) fn word_of<'a>(verdict: &'a str, proof: &str) -> &'a str {
    if is_unproven(proof) { Proof::Unproven.as_str() } else { verdict }
}

/// Whether a proof in the words of `effects.json` is none.
pub(crate) fn is_unproven(proof: &str) -> bool {
    proof == Proof::Unproven.as_str()
}

/// Whether the two cells of an effect did what they were run for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// Both cells have proven runs, and the factor did its work where it was on.
    Proven,
    /// Both cells have proven runs, but the factor had nothing to do in this workload.
    NotExercised,
    /// One of the cells has no proven run, for whatever reason; or the levels are the same thing under two names.
    Invalid,
    /// The factor has no counters, and nothing that was counted tells its levels apart.
    Unproven,
}

impl Proof {
    /// Name in `effects.json`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Proof::Proven => "proven",
            Proof::NotExercised => "not-exercised",
            Proof::Invalid => "invalid",
            Proof::Unproven => "unproven",
        }
    }
}
