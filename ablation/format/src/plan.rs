//! The plan of a study: factors, workloads, cells, contrasts, and the claims to decide.

use crate::path::{BASELINE, Path};
use crate::response::MainResponse;
use crate::target::Target;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// The plan of a study: every cell and every contrast by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StudyPlan {
    /// Factors in the order of the config.
    pub factors: Vec<FactorPlan>,
    /// Workloads in the order of the config.
    pub workloads: Vec<WorkloadPlan>,
    /// Cells: each runs once per block with every workload.
    pub cells: Vec<CellPlan>,
    /// Comparisons to report, by cell id.
    pub contrasts: Vec<Contrast>,
    /// Cell id of the peer that shares of the gap refer to; `None` without one.
    pub reference_peer: Option<String>,
    /// Claims to decide.
    #[serde(default)]
    pub hypotheses: Vec<Hypothesis>,
    /// Limits to judge the subject by.
    #[serde(default)]
    pub targets: Vec<Target>,
    /// Treatments that are added one after the other.
    #[serde(default)]
    pub paths: Vec<Path>,
    /// Groups of workloads that time is fitted over.
    #[serde(default)]
    pub curves: Vec<Curve>,
    /// Effects that a fraction of a factorial cannot tell apart, for people: `bigcache = elo×header`.
    #[serde(default)]
    pub aliases: Vec<String>,
    /// Cells that the constraints forbid, with the reason.
    #[serde(default)]
    pub impossible: Vec<Impossible>,
    /// Optional peers that the machine of the study did not have.
    #[serde(default)]
    pub absent: Vec<AbsentPeer>,
    /// Code layouts of each build, at least 1: block `b` runs layout `b mod layouts`.
    #[serde(default = "one")]
    pub layouts: u32,
    /// Factors that are combined in one binary, in the order of the config. Factor `i` is bit `i` of a mask.
    #[serde(default)]
    pub crossed: Vec<Crossed>,
    /// Name of a design → ids of the cells that it asks for. Designs that combine factors have the baseline among them.
    #[serde(default)]
    pub designs: BTreeMap<String, Vec<String>>,
    /// What had to be left out of the plan once the programs were built; sentences for people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
    /// Ids of benchmarks that the baseline does not have, by the build that has them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub only_in: BTreeMap<String, Vec<String>>,
}

impl StudyPlan {
    /// The cell of a step of a path: the baseline, or the treatment of this name in the baseline's binary. `None` when
    /// there is no such cell.
    pub fn step(&self, name: &str) -> Option<&CellPlan> {
        self.cells.iter().find(|cell| match cell.kind {
            CellKind::Baseline => name == BASELINE,
            CellKind::Treatment => cell.name == name && !cell.arm.is_some_and(Arm::has_own_binary),
            CellKind::Placebo | CellKind::Peer => false,
        })
    }
}

/// A factor that is combined with others. In a mask its bit is 1 at the baseline's level and 0 at `away`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crossed {
    /// Name of the factor.
    pub factor: String,
    /// The level without the factor: `off`, or the only one beside the baseline's in one binary.
    pub away: String,
}

fn one() -> u32 {
    1
}

/// A cell that a design asks for and a constraint forbids.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Impossible {
    /// Id that the cell would have.
    pub name: String,
    /// The constraint that forbids it.
    pub reason: String,
}

/// An optional peer that is left out because its program or library is missing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbsentPeer {
    /// Name of the peer.
    pub peer: String,
    /// The part that is missing.
    pub why: String,
    /// How to get it; empty when the config does not say.
    #[serde(default)]
    pub hint: String,
}

/// A group of workloads that differ in their number of operations only: time = a + b × page faults is fitted over them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Curve {
    /// Name, `[a-z0-9-]+`.
    pub name: String,
    /// Workloads, at least three.
    pub workloads: Vec<String>,
}

/// A claim that the study decides, declared before the first run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Hypothesis {
    /// Name, `[a-z0-9-]+`.
    pub name: String,
    /// The claim in words.
    pub claim: String,
    /// Workload that it is about.
    pub workload: String,
    /// What is claimed.
    pub kind: HypothesisKind,
}

/// What a hypothesis claims.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum HypothesisKind {
    /// The parts together are a share of the gap to a peer, between `low` and `high` (1 is the whole gap).
    Share {
        /// Name of the peer.
        peer: String,
        /// Parts of the gap: names of factors, `system-calls`, `page-faults`, `residual`.
        of: Vec<String>,
        /// Lower end of the claimed share; minus infinity, `null` in files, when it is open.
        #[serde(deserialize_with = "open_below")]
        low: f64,
        /// Upper end of the claimed share; infinity, `null` in files, when it is open.
        #[serde(deserialize_with = "open_above")]
        high: f64,
    },
    /// The response of cell `plus` minus that of cell `minus` lies between `low_ns` and `high_ns`.
    Difference {
        /// Cell id.
        plus: String,
        /// Cell id.
        minus: String,
        /// Lower end, nanoseconds per operation; minus infinity, `null` in files, when it is open.
        #[serde(deserialize_with = "open_below")]
        low_ns: f64,
        /// Upper end, nanoseconds per operation; infinity, `null` in files, when it is open.
        #[serde(deserialize_with = "open_above")]
        high_ns: f64,
    },
    /// The response of cell `plus` is so many percent more than that of cell `minus`, between `low_percent` and
    /// `high_percent` of the latter. In configs a `difference` with other ends.
    Relative {
        /// Cell id.
        plus: String,
        /// Cell id.
        minus: String,
        /// Lower end, percent; minus infinity, `null` in files, when it is open.
        #[serde(deserialize_with = "open_below")]
        low_percent: f64,
        /// Upper end, percent; infinity, `null` in files, when it is open.
        #[serde(deserialize_with = "open_above")]
        high_percent: f64,
    },
    /// The cells are in this order, the fastest first.
    Ordering {
        /// Cell ids, at least two.
        cells: Vec<String>,
    },
}

/// An end of a claimed interval. JSON has no infinity, so an open end is `null`.
fn open_below<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::NEG_INFINITY))
}

fn open_above<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or(f64::INFINITY))
}

/// One factor, with its levels and the counters that prove them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FactorPlan {
    /// Name, equal in the config and in the measured program's line.
    pub name: String,
    /// Counters `factor.counter`. At least one must move when the factor is at work, and all must stay at 0 when it is
    /// off or absent. Empty: exact counts or the binaries must differ between the levels.
    pub proof: Vec<String>,
    /// One line for people.
    #[serde(default)]
    pub about: String,
    /// The baseline's level.
    #[serde(default = "on")]
    pub baseline: String,
    /// Every level of the study, the baseline's first.
    #[serde(default)]
    pub levels: Vec<String>,
}

fn on() -> String {
    "on".to_owned()
}

/// One workload: arguments of the measured program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkloadPlan {
    /// Name, `[a-z0-9-]+`.
    pub name: String,
    /// Another program than the cell's, then its arguments; `None`: the cell's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Vec<String>>,
    /// Arguments after those of the cell.
    pub args: Vec<String>,
    /// One line for people; empty when there is none.
    #[serde(default)]
    pub about: String,
    /// The value of a process that the workload is judged by.
    #[serde(default)]
    pub response: MainResponse,
    /// Ids of the cells that run with it; empty: all.
    #[serde(default)]
    pub cells: Vec<String>,
    /// Whether the output of the program must be the same at all levels; missing in older manifests.
    #[serde(default, skip_serializing_if = "OutputRule::is_same")]
    pub output: OutputRule,
    /// Id of the benchmark that it is, as the harness of the subject names it; `None` without a harness.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub benchmark: Option<String>,
}

/// What is asked of the standard output and exit code of a program without a result line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum OutputRule {
    /// They are equal at all levels; runs of a level that differs from the baseline are invalid.
    #[default]
    Same,
    /// The same, for peers as well.
    SameForAll,
    /// They may differ between levels, which is said.
    MayDiffer,
    /// The output is not looked at.
    Ignored,
}

impl OutputRule {
    /// The rules by their names in configs.
    pub const NAMES: [(&'static str, OutputRule); 4] = [
        ("same", OutputRule::Same),
        ("same-for-all", OutputRule::SameForAll),
        ("may-differ", OutputRule::MayDiffer),
        ("ignored", OutputRule::Ignored),
    ];

    fn is_same(&self) -> bool {
        *self == OutputRule::Same
    }
}

impl WorkloadPlan {
    /// Whether a cell runs with this workload.
    pub fn runs(&self, cell: &str) -> bool {
        self.cells.is_empty() || self.cells.iter().any(|id| id == cell)
    }
}

/// The part of a cell in the comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CellKind {
    /// The subject with every factor at its baseline level.
    Baseline,
    /// The baseline once more, with an environment variable that no program reads, or (arm `feature`) with dead code
    /// built in. Its difference from the baseline is noise.
    Placebo,
    /// The subject with at least one factor at another level.
    Treatment,
    /// Another program or another allocator.
    Peer,
}

/// How a level is brought about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Arm {
    /// By the environment, in one binary.
    Env,
    /// By Cargo features, in another binary.
    Feature,
    /// By arguments, in one binary.
    Args,
    /// By another revision or other build settings, in another binary.
    Build,
}

impl Arm {
    /// The arm's name in files and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Arm::Env => "env",
            Arm::Feature => "feature",
            Arm::Args => "args",
            Arm::Build => "build",
        }
    }

    /// Whether its cells have a binary of their own.
    pub fn has_own_binary(self) -> bool {
        match self {
            Arm::Feature | Arm::Build => true,
            Arm::Env | Arm::Args => false,
        }
    }
}

/// One cell of the design, to be crossed with every workload.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CellPlan {
    /// Unique: `baseline`, `placebo`, `no-bigcache@env`, `no-bigcache@feature`, `peer-mimalloc`.
    pub id: String,
    /// Name for people and for `effects.json`: `no-bigcache`, `mimalloc`.
    pub name: String,
    /// Its part in the comparisons.
    pub kind: CellKind,
    /// How its levels are brought about; `None` for the baseline, peers, and the placebo in the baseline's binary.
    pub arm: Option<Arm>,
    /// The level that the measured program must report for each factor; empty for peers.
    pub levels: BTreeMap<String, String>,
    /// `factor.counter` names that must be 0 in this cell although the factor is on (`frozen`: no selections).
    #[serde(default)]
    pub expect_zero: Vec<String>,
    /// Id of the build that it runs.
    pub build: String,
    /// Arguments before those of the workload.
    pub args: Vec<String>,
    /// Environment variables besides those that are passed on from the runner.
    pub env: BTreeMap<String, String>,
    /// The name that the measured program must report in `served_by`; `None`: any.
    pub served_by: Option<String>,
    /// Whether targets that name the best peer or every peer compare with this one. Always true for the subject.
    #[serde(default = "yes", skip_serializing_if = "is_yes")]
    pub compare: bool,
}

fn yes() -> bool {
    true
}

fn is_yes(value: &bool) -> bool {
    *value
}

/// One comparison of two cells. The effect is `plus − minus`, positive when the factor costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contrast {
    /// The factor, or the treatment's name when several factors differ.
    pub factor: String,
    /// The levels as `<baseline's>-<other>`: `on-off`, `on-absent`, `on-frozen`; `off-absent` for the cost of the
    /// switch; `baseline-<treatment>` for several factors; `alone-none`, `main`, `placebo`.
    pub contrast: String,
    /// The arm of the cells; `None` for `off-absent` and the placebo in the baseline's binary.
    pub arm: Option<Arm>,
    /// Id of the cell with the factor at work. Empty for `main`, which is over all crossed cells.
    pub plus: String,
    /// Id of the cell without the factor. Empty for `main`.
    pub minus: String,
    /// Whether it is a row of the attribution table, which has one factor per row.
    pub attribution: bool,
}
