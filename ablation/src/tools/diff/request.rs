//! What a call of `cargo ablate diff` asks for.

use crate::study::rule::Budget;
use crate::study::watch::Stop;
use std::path::PathBuf;

/// A comparison to make.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// `BASE..HEAD`, `BASE...HEAD` or `BASE`; `None`: the nearest change.
    pub(crate) revisions: Option<String>,
    /// A study whose subject and workloads are compared, instead of the package here.
    pub(crate) config: Option<PathBuf>,
    /// The package, where the workspace has several.
    pub(crate) package: Option<String>,
    /// The benchmark target.
    pub(crate) bench: Option<String>,
    /// The binary.
    pub(crate) binary: Option<String>,
    /// Benchmarks whose id matches this regular expression.
    pub(crate) filter: Option<String>,
    /// Cargo features; empty: the default ones.
    pub(crate) features: Vec<String>,
    /// Arguments of the binary, or more options of the harness.
    pub(crate) args: Vec<String>,
    /// What a binary is judged by.
    pub(crate) response: Option<String>,
    /// The change that matters, a share of the base.
    pub(crate) margin: f64,
    /// Most blocks.
    pub(crate) blocks: u32,
    /// Code layouts of each build; `None`: the usual number.
    pub(crate) layouts: Option<u32>,
    /// Time that each benchmark target may take.
    pub(crate) budget: Budget,
    /// When it ends before its time.
    pub(crate) stop: Stop,
    /// Whether the exit code is what is asked for.
    pub(crate) is_gate: bool,
    /// Seed of the orders.
    pub(crate) seed: u64,
    /// Folder for the results.
    pub(crate) out: Option<PathBuf>,
    /// Go on with the comparison in `out`.
    pub(crate) resume: bool,
}
