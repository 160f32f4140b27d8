//! The values of a consistent config.

use super::build_settings::BuildSettings;
use super::diagnostic::{Diagnostic, Part};
use super::error::ConfigError;
pub(crate) use super::program::{CargoProgram, CargoTarget, MadeProgram, Origin, Program};
use super::surroundings::{Server, Surroundings};
use crate::harness::Harness;
use crate::support::nearest::suggestion;
use ablate_format::{Arm, Curve, Hypothesis, MainResponse, OutputRule, Target};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Name of the factor of a comparison of revisions.
pub(crate) const REVISION: &str = "revision";

/// A validated study.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Study {
    /// Path of the config as it was given.
    pub(crate) path: PathBuf,
    /// Whole text of the config.
    pub(crate) text: String,
    /// Name, `[a-z0-9-]+`.
    pub(crate) name: String,
    /// One line for people; empty when there is none.
    pub(crate) about: String,
    /// Seed of the block orders, the padding and the bootstrap.
    pub(crate) seed: u64,
    /// Timing blocks, 1 to 10000.
    pub(crate) blocks: u32,
    /// How often each cell is counted with each workload.
    pub(crate) counting_repeats: u32,
    /// How levels are brought about, in the order of the config.
    pub(crate) arms: Vec<Arm>,
    /// Designs, in the order of the config.
    pub(crate) designs: Vec<DesignKind>,
    /// Time limit of one process.
    pub(crate) timeout: Duration,
    /// Name of the peer that shares of the gap refer to.
    pub(crate) reference_peer: Option<String>,
    /// The program that is built and run.
    pub(crate) subject: Subject,
    /// Factors: the parts of the program whose cost is measured.
    pub(crate) factors: Vec<Factor>,
    /// Treatments of the design `explicit`.
    pub(crate) treatments: Vec<Treatment>,
    /// Workloads, at least one. None where they are all benchmarks of a harness, until [`crate::benchmarks`] listed them.
    pub(crate) workloads: Vec<Workload>,
    /// Other allocators or programs that run the same workloads.
    pub(crate) peers: Vec<Peer>,
    /// Optional peers that this machine lacks. Empty until [`crate::builds`] looked for them.
    pub(crate) absent: Vec<Absent>,
    /// Code layouts of every build, 1 to 64.
    pub(crate) layouts: u32,
    /// Groups of instruments for the counting passes, by name (`perf`, `callgrind`, `strace`).
    pub(crate) instruments: Vec<String>,
    /// Factors of the designs that combine factors ([`DesignKind::is_crossing`]), in the order of the config.
    pub(crate) crossed: Vec<String>,
    /// The p of 2^(k − p), for the design `fractional`; at least 1.
    pub(crate) fraction: u32,
    /// Rules about levels that need other levels.
    pub(crate) constraints: Vec<Constraint>,
    /// Claims to decide.
    pub(crate) hypotheses: Vec<Hypothesis>,
    /// Limits to judge the subject by.
    pub(crate) targets: Vec<Target>,
    /// Treatments added in turn.
    pub(crate) paths: Vec<ablate_format::Path>,
    /// Groups of workloads that time is fitted over.
    pub(crate) curves: Vec<Curve>,
    /// Functions whose shares a profile shows.
    pub(crate) functions: Vec<Function>,
    /// The short form of the study, for a first answer.
    pub(super) quick: Option<Quick>,
    /// The treatments to run, when the call names some.
    pub(crate) selected: Selected,
    /// Spans of its parts in the text, in bytes, for errors that only the design can find.
    pub(crate) spans: BTreeMap<Part, Range<usize>>,
}

/// Treatments that a call names. An empty list is all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Selected {
    /// Factors, of which a treatment may change no other.
    factors: Vec<String>,
    /// Names of treatments or ids of cells.
    cells: Vec<String>,
}

impl Selected {
    /// Whether a treatment of this name is to run, which changes these factors.
    pub(crate) fn has<'f>(&self, name: &str, mut changed: impl Iterator<Item = &'f str>) -> bool {
        let is_named = |cell: &String| cell.split('@').next() == Some(name);
        let by_factor = self.factors.is_empty() || changed.all(|own| self.factors.iter().any(|factor| factor == own));
        by_factor && (self.cells.is_empty() || self.cells.iter().any(is_named))
    }
}

/// Functions under one name, for profiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Function {
    /// Name for people, `[a-z0-9-]+`.
    pub(crate) name: String,
    /// Parts of names of functions. A function matches when its name contains one of them.
    pub(crate) patterns: Vec<String>,
}

impl Study {
    /// Folder of the config, which paths in it are relative to and which its processes start in.
    pub(crate) fn folder(&self) -> &Path {
        // An empty parent is the current folder.
        self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    /// Removes all other workloads and everything that refers to them. Returns the names of the hypotheses, targets,
    /// paths and curves that were removed.
    ///
    /// # Errors
    /// [`ConfigError::NotThere`].
    pub(crate) fn only(&mut self, workloads: &[String]) -> Result<Vec<String>, ConfigError> {
        for name in workloads {
            self.has("workload", name, self.workloads.iter().map(|workload| workload.name.as_str()))?;
        }
        self.workloads.retain(|workload| workloads.contains(&workload.name));
        // Cells that run only with the removed workloads would be built for nothing.
        self.peers.retain_mut(|peer| {
            peer.workloads.iter_mut().for_each(|own| own.retain(|name| workloads.contains(name)));
            peer.workloads.as_ref().is_none_or(|own| !own.is_empty())
        });
        let peers = &self.peers;
        self.reference_peer.take_if(|name| peers.iter().all(|peer| peer.name != *name));
        let used = |w: &Workload, design: &DesignKind| w.designs.as_ref().is_none_or(|own| own.contains(design));
        self.designs.retain(|design| self.workloads.iter().any(|workload| used(workload, design)));
        let mut gone = Vec::new();
        self.hypotheses.retain(|hypothesis| {
            let stays = workloads.contains(&hypothesis.workload);
            gone.extend((!stays).then(|| hypothesis.name.clone()));
            stays
        });
        self.targets.retain(|target| {
            let stays = target.workloads.iter().all(|workload| workloads.contains(workload));
            gone.extend((!stays).then(|| target.name.clone()));
            stays
        });
        self.paths.retain_mut(|path| {
            path.workloads.retain(|workload| workloads.contains(workload));
            gone.extend(path.workloads.is_empty().then(|| path.name.clone()));
            !path.workloads.is_empty()
        });
        self.curves.retain(|curve| {
            let stays = curve.workloads.iter().all(|workload| workloads.contains(workload));
            gone.extend((!stays).then(|| curve.name.clone()));
            stays
        });
        Ok(gone)
    }

    /// Checks that a name is known; `what` is `workload`, `factor` or `cell`.
    ///
    /// # Errors
    /// [`ConfigError::NotThere`].
    pub(crate) fn has<'n>(
        &self,
        what: &'static str,
        name: &str,
        known: impl Iterator<Item = &'n str> + Clone,
    ) -> Result<(), ConfigError> {
        if known.clone().any(|known| known == name) {
            return Ok(());
        }
        let hint = suggestion(name, known);
        Err(ConfigError::NotThere { path: self.path.display().to_string(), what, name: name.to_owned(), hint })
    }

    /// Leaves out treatments that change another factor than these, or that have none of these names or ids; an empty list
    /// leaves nothing out. Returns the names of the hypotheses and paths that are gone, because their cells may be.
    ///
    /// # Errors
    /// [`ConfigError::NotThere`] for a factor that does not exist.
    pub(crate) fn only_cells(&mut self, factors: &[String], cells: &[String]) -> Result<Vec<String>, ConfigError> {
        for name in factors {
            self.has("factor", name, self.factors.iter().map(|factor| factor.name.as_str()))?;
        }
        self.selected = Selected { factors: factors.to_vec(), cells: cells.to_vec() };
        // The columns of a fraction say something only with all of its cells.
        self.designs
            .retain(|kind| !matches!(kind, DesignKind::Fractional | DesignKind::PlackettBurman | DesignKind::Foldover));
        let hypotheses = self.hypotheses.drain(..).map(|hypothesis| hypothesis.name);
        Ok(hypotheses.chain(self.paths.drain(..).map(|path| path.name)).collect())
    }

    /// Turns the study into a comparison of revisions: one factor, [`REVISION`], whose levels are these, the baseline's
    /// first, and no other factor, no peer and no claim.
    pub(crate) fn compare_revisions(&mut self, levels: &[(&str, &str)]) {
        // What the levels of the baseline set stays.
        let mut kept = Level::default();
        for factor in &self.factors {
            kept.features.extend(factor.feature.clone());
            if let Some(own) = factor.levels.get(&factor.baseline) {
                kept.env.extend(own.env.clone());
                kept.args.extend_from_slice(&own.args);
                kept.features.extend_from_slice(&own.features);
                kept.build.extend(&own.build);
            }
        }
        let level = |(name, revision): &(&str, &str)| {
            let mut level = kept.clone();
            level.build.revision = Some((*revision).to_owned());
            ((*name).to_owned(), level)
        };
        self.factors = vec![Factor {
            name: REVISION.to_owned(),
            about: "the revision of the sources".to_owned(),
            feature: None,
            proof: Vec::new(),
            baseline: levels.first().map_or_else(String::new, |(name, _)| (*name).to_owned()),
            levels: levels.iter().map(level).collect(),
        }];
        self.arms = vec![Arm::Build];
        self.designs = vec![DesignKind::LeaveOneOut];
        self.workloads.iter_mut().for_each(|workload| workload.designs = None);
        self.subject.placebo_feature = None;
        self.reference_peer = None;
        self.quick = None;
        self.treatments.clear();
        self.peers.clear();
        self.constraints.clear();
        self.crossed.clear();
        self.hypotheses.clear();
        self.targets.clear();
        self.paths.clear();
        self.curves.clear();
    }

    /// Whether levels are brought about in one binary, by variables and arguments.
    pub(crate) fn in_one_binary(&self) -> bool {
        in_one_binary(&self.arms)
    }

    /// Whether levels are brought about in binaries of their own, by Cargo features or build settings.
    pub(crate) fn in_own_binaries(&self) -> bool {
        self.arms.iter().any(|arm| arm.has_own_binary())
    }

    /// An error with this message that points at a part.
    pub(crate) fn error_at(&self, part: Part, message: String) -> ConfigError {
        let end = self.text.len();
        let span = self.spans.get(&part).cloned().unwrap_or(end..end);
        Diagnostic::new(&self.path.display().to_string(), &self.text, span, message).into()
    }
}

/// Whether arms bring levels about in one binary. `env` and `args` both do, by whatever the levels set.
pub(super) fn in_one_binary(arms: &[Arm]) -> bool {
    arms.contains(&Arm::Env) || arms.contains(&Arm::Args)
}

/// A rule for cells: those with all levels of `when` must have one of the listed levels of each factor of `needs`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Constraint {
    /// Factor → level.
    pub(crate) when: BTreeMap<String, String>,
    /// Factor → levels, one of which it must have.
    pub(crate) needs: BTreeMap<String, Vec<String>>,
}

/// A rule that makes treatments from the factors of a study.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum DesignKind {
    /// Those of the `[[treatment]]` tables.
    Explicit,
    /// Every level of every factor that is not the baseline's: `no-<factor>` for `off`, `<factor>-<level>` for others.
    LeaveOneOut,
    /// `none`, and `only-<factor>` for each factor.
    AddOneIn,
    /// Every pair of crossed factors away together, and each away alone.
    Pairs,
    /// Main effects of up to n − 1 factors in n cells, n a multiple of 4 (Plackett and Burman, 1946).
    PlackettBurman,
    /// Main effects clear of two-factor interactions, of up to n factors in 2n cells: a screen and its mirror.
    Foldover,
    /// 2^(k − p) of the combinations, of the highest resolution there is.
    Fractional,
    /// Every combination of the levels that the crossed factors have in one binary.
    Factorial,
}

impl DesignKind {
    /// All designs with their names in the config.
    pub(crate) const NAMES: [(&'static str, DesignKind); 8] = [
        ("explicit", DesignKind::Explicit),
        ("leave-one-out", DesignKind::LeaveOneOut),
        ("add-one-in", DesignKind::AddOneIn),
        ("pairs", DesignKind::Pairs),
        ("plackett-burman", DesignKind::PlackettBurman),
        ("foldover", DesignKind::Foldover),
        ("fractional", DesignKind::Fractional),
        ("factorial", DesignKind::Factorial),
    ];

    /// Its name in the config.
    pub(crate) fn as_str(self) -> &'static str {
        Self::NAMES.into_iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    /// Whether it combines the crossed factors, in one binary.
    pub(crate) fn is_crossing(self) -> bool {
        match self {
            DesignKind::Explicit | DesignKind::LeaveOneOut | DesignKind::AddOneIn => false,
            DesignKind::Pairs
            | DesignKind::PlackettBurman
            | DesignKind::Foldover
            | DesignKind::Fractional
            | DesignKind::Factorial => true,
        }
    }
}

/// The measured program and how it is built.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Subject {
    /// The program that is run.
    pub(crate) program: Program,
    /// A Cargo feature of dead code: building it in changes the code layout and nothing else.
    pub(crate) placebo_feature: Option<String>,
    /// Arguments before those of the workload.
    pub(crate) args: Vec<String>,
    /// Arguments of both counting passes, after those of the workload and before `idle_args`.
    pub(crate) counting_args: Vec<String>,
    /// Arguments, appended last, with which a run does no operation. `None`: the cost of start-up is not counted apart.
    pub(crate) idle_args: Option<Vec<String>>,
    /// Value that `served_by` of the result line must have.
    pub(crate) served_by: Option<String>,
    /// Names that are passed on from the runner's environment.
    pub(crate) allow_env: Vec<String>,
    /// Environment of every cell.
    pub(crate) env: BTreeMap<String, String>,
    /// What its runs need around their process.
    pub(crate) surroundings: Surroundings,
    /// The benchmark harness that it is; `None` for a program that reports by a line of its own, or not at all.
    pub(crate) harness: Option<Harness>,
    /// Regular expression of the benchmarks that become workloads where the config has none.
    pub(crate) filter: Option<String>,
}

impl Subject {
    /// The server that is measured, if there is one.
    pub(crate) fn server(&self) -> Option<&Server> {
        self.surroundings.server.as_ref()
    }

    /// Whether its times are seen from outside unless a workload says otherwise.
    pub(super) fn is_outside(&self) -> bool {
        !matches!(self.program, Program::Cargo(_)) || self.server().is_some()
    }
}

/// How a level is brought about.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Level {
    /// Variables.
    pub(crate) env: BTreeMap<String, String>,
    /// Arguments, after those of the subject and before those of the workload.
    pub(crate) args: Vec<String>,
    /// Cargo features, for a variant that is compiled in; empty for levels of one binary.
    pub(crate) features: Vec<String>,
    /// How its binary is built otherwise; empty for levels of one binary.
    pub(crate) build: BuildSettings,
}

/// A factor: one part of the program whose cost is measured.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Factor {
    /// Name, `[a-z0-9-]+`.
    pub(crate) name: String,
    /// One line for people; empty when there is none.
    pub(crate) about: String,
    /// The Cargo feature without which the factor is `absent`.
    pub(crate) feature: Option<String>,
    /// Counters `factor.counter` that prove it; empty: exact counts or the binaries must differ between its levels.
    pub(crate) proof: Vec<String>,
    /// Level of the baseline.
    pub(crate) baseline: String,
    /// Level → how it is brought about; has the baseline's. The level `absent` is not among them.
    pub(crate) levels: BTreeMap<String, Level>,
}

/// Levels that differ from the baseline, under a name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Treatment {
    /// Name, `[a-z0-9-]+`.
    pub(crate) name: String,
    /// One line for people; empty when there is none.
    pub(crate) about: String,
    /// Factor → level; factors that are not named have their baseline's.
    pub(crate) levels: BTreeMap<String, String>,
    /// Counters `factor.counter` that must be 0.
    pub(crate) expect_zero: Vec<String>,
}

/// Arguments of the measured program under a name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Workload {
    /// Name, `[a-z0-9-]+`.
    pub(crate) name: String,
    /// One line for people; empty when there is none.
    pub(crate) about: String,
    /// Another program than the subject's, its path or name, then arguments; `None`: the subject's.
    pub(crate) command: Option<Vec<String>>,
    /// Arguments after those of the cell.
    pub(crate) args: Vec<String>,
    /// Id of the benchmark that it is, where the subject is a harness.
    pub(crate) benchmark: Option<String>,
    /// Whether the process is bound to one processor.
    pub(crate) pin: bool,
    /// The response that effects are reported in.
    pub(crate) response: MainResponse,
    /// Whether the config leaves the response to what the program reports.
    pub(crate) is_judged_by_default: bool,
    /// Designs whose cells run with it; `None`: all.
    pub(crate) designs: Option<Vec<DesignKind>>,
    /// Whether the program's output is compared between levels.
    pub(crate) output: OutputRule,
}

/// Another allocator or program that runs the workloads: in the baseline's binary, in another build of it, or in
/// another program.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Peer {
    /// Name, `[a-z0-9-]+`.
    pub(crate) name: String,
    /// Another program, its path or name, then arguments; `None`: the subject's.
    pub(crate) command: Option<Vec<String>>,
    /// Cargo features of a build of its own; `None`: the baseline's.
    pub(crate) features: Option<Vec<String>>,
    /// Variables besides the subject's.
    pub(crate) env: BTreeMap<String, String>,
    /// Arguments before those of the workload.
    pub(crate) args: Vec<String>,
    /// Value that `served_by` of the result line must have.
    pub(crate) served_by: Option<String>,
    /// Whether a machine may lack it.
    pub(crate) optional: bool,
    /// How to get it on a machine that lacks it. Empty when the config does not say.
    pub(crate) hint: String,
    /// Workloads that it runs with; `None`: all.
    pub(crate) workloads: Option<Vec<String>>,
    /// Whether it is compared where a target names the best peer or every peer.
    pub(crate) compare: bool,
}

/// An optional peer that this machine lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Absent {
    /// Name of the peer.
    pub(crate) peer: String,
    /// The part that is missing.
    pub(crate) why: String,
    /// How to get it. Empty when the config does not say.
    pub(crate) hint: String,
}

/// The short form of a study: one code layout of each build, no claims, no placebo that has to be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Quick {
    /// Timing blocks, 1 to 10000.
    pub(super) blocks: u32,
    /// Names of workloads, at least one.
    pub(super) workloads: Vec<String>,
    /// Arms; at least one in a study with factors.
    pub(super) arms: Vec<Arm>,
    /// Designs; at least one in a study with factors.
    pub(super) designs: Vec<DesignKind>,
}

impl Study {
    /// Turns the study into its quick form. Returns whether it has one.
    pub(crate) fn make_quick(&mut self) -> bool {
        let Some(quick) = self.quick.take() else { return false };
        let known = self.only(&quick.workloads);
        debug_assert!(known.is_ok(), "the config was read, so all names are known");
        self.workloads.iter_mut().for_each(|workload| workload.designs = None);
        self.blocks = quick.blocks;
        self.arms = quick.arms;
        self.designs = quick.designs;
        self.layouts = 1;
        if !self.in_own_binaries() {
            self.subject.placebo_feature = None;
        }
        // Claims are about cells and numbers of blocks that a short form need not have.
        self.hypotheses.clear();
        self.targets.clear();
        self.paths.clear();
        self.curves.clear();
        true
    }
}
