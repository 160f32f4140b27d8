//! What a call asks of a study.

use super::rule::{Budget, HalfWidth, Rule};
use super::watch::Watch;
use crate::builds::revisions::Pinned;
use ablate_format::{Manifest, Shard};
use std::path::{Path, PathBuf};

/// A study to run, with the options of the call.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The study, a TOML file.
    pub(crate) config: PathBuf,
    /// Timing blocks, instead of the config's; with a rule the most that are run.
    pub(crate) blocks: Option<u32>,
    /// The only workloads, if not all are run.
    pub(crate) workloads: Vec<String>,
    /// The only factors that treatments may change, if not all are run.
    pub(crate) factors: Vec<String>,
    /// The only treatments, by name or id of a cell, if not all are run.
    pub(crate) cells: Vec<String>,
    /// The form of the study.
    pub(crate) form: Form,
    /// Folder for the results; must be empty or new. Default: target/ablate/STUDY-TIME.
    pub(crate) out: Option<PathBuf>,
    /// Go on with the study in `out`.
    pub(crate) resume: bool,
    /// Seed of the orders, instead of the config's.
    pub(crate) seed: Option<u64>,
    /// How narrow the intervals of every workload must become, half of a width.
    pub(crate) until_halfwidth: Option<HalfWidth>,
    /// How long the blocks may take.
    pub(crate) budget: Option<Budget>,
    /// The part of the study that is run, if not all of it.
    pub(crate) shard: Option<Shard>,
    /// Folder of binaries that `cargo ablate build` made, instead of building.
    pub(crate) builds: Option<PathBuf>,
    /// Run nothing when this is true of what was built.
    pub(crate) stop_if: Option<fn(&Manifest) -> bool>,
    /// Commits of revisions by their names. Those of a study that is continued come first.
    pub(crate) pinned: Pinned,
    /// What a comparison of revisions looks at between its blocks.
    pub(crate) watch: Option<Watch>,
}

impl Request {
    /// The study in `config`, with no option set.
    pub(crate) fn of(config: PathBuf) -> Request {
        let (workloads, blocks, out, seed) = (Vec::new(), None, None, None);
        let (form, resume) = (Form::Whole, false);
        let (until_halfwidth, budget, stop_if, watch) = (None, None, None, None);
        let (factors, cells) = (Vec::new(), Vec::new());
        let (shard, builds) = (None, None);
        Request {
            config,
            blocks,
            workloads,
            factors,
            cells,
            form,
            out,
            resume,
            seed,
            until_halfwidth,
            budget,
            shard,
            builds,
            stop_if,
            pinned: Pinned::new(),
            watch,
        }
    }

    /// The folder of the study that is continued.
    pub(super) fn continued(&self) -> Option<&Path> {
        self.out.as_deref().filter(|_| self.resume)
    }

    /// When the study stops by itself; `None`: after its blocks.
    pub(super) fn rule(&self) -> Option<Rule> {
        let rule = Rule { width: self.until_halfwidth, budget: self.budget };
        (rule.width.is_some() || rule.budget.is_some()).then_some(rule)
    }
}

/// Which form of a study is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// All of it.
    Whole,
    /// The short form under `[quick]`.
    Quick,
    /// The short form where the study has one, else all of it.
    QuickIfAny,
}
