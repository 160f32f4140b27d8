//! The study as it is written down: strict TOML in, a validated [`Study`] out.
//!
//! What leaves this module is consistent: every name refers to something, every level exists, every environment
//! name can be passed to a process. Every error points at `path:line:column`, shows the line and says what to do.
//! What the study means (cells, contrasts, builds) is left to [`crate::design`].

mod check;
pub(crate) mod claims;
mod crossing;
mod factor;
mod levels;
mod names;
mod paths;
mod peers;
mod place;
mod raw;
mod subject;
mod targets;
mod treatments;
mod workloads;

pub(crate) use check::is_name;
pub(crate) use names::nearest;
pub use peers::{Absent, Peer};
pub(crate) use peers::{PRELOAD, libraries};
pub(crate) use place::Part;
pub use place::Pointed;

use ablate_format::{Arm, Curve, Hypothesis, MainResponse, Target};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longest config that is read; a larger file is no config.
const MAX_BYTES: u64 = 1 << 20;

/// A validated study.
#[derive(Debug, Clone, PartialEq)]
pub struct Study {
    /// Path of the config as it was given.
    pub path: PathBuf,
    /// Whole text of the config.
    pub text: String,
    /// Name, `[a-z0-9-]+`.
    pub name: String,
    /// One line for people; empty when there is none.
    pub about: String,
    /// Seed of the block orders, the padding and the bootstrap.
    pub seed: u64,
    /// Timing blocks, 1 to 10000.
    pub blocks: u32,
    /// How often each cell is counted with each workload.
    pub counting_repeats: u32,
    /// How levels are brought about, in the order of the config.
    pub arms: Vec<Arm>,
    /// Designs, in the order of the config.
    pub designs: Vec<DesignKind>,
    /// Time limit of one process.
    pub timeout: Duration,
    /// Name of the peer that shares of the gap refer to.
    pub reference_peer: Option<String>,
    /// What is built and run.
    pub subject: Subject,
    /// Overhead sources.
    pub factors: Vec<Factor>,
    /// Treatments of the design `explicit`.
    pub treatments: Vec<Treatment>,
    /// Workloads, at least one.
    pub workloads: Vec<Workload>,
    /// Other ways to serve the same workloads.
    pub peers: Vec<Peer>,
    /// Peers that may be missing and are. Empty until the machine was asked for them.
    pub absent: Vec<Absent>,
    /// Code layouts of every build, 1 to 16.
    pub layouts: u32,
    /// Groups of instruments for the counting passes, by name (`perf`, `callgrind`, `strace`).
    pub instruments: Vec<String>,
    /// Factors of the designs `factorial`, `fractional`, `plackett-burman` and `pairs`, in the order of the config.
    pub crossed: Vec<String>,
    /// The p of 2^(k − p), for the design `fractional`; at least 1.
    pub fraction: u32,
    /// What levels need of one another.
    pub constraints: Vec<Constraint>,
    /// Claims to decide.
    pub hypotheses: Vec<Hypothesis>,
    /// Bars to judge the subject by.
    pub targets: Vec<Target>,
    /// Ideas added in turn.
    pub paths: Vec<ablate_format::Path>,
    /// Groups of workloads that time is fitted over.
    pub curves: Vec<Curve>,
    /// Functions whose shares a profile shows.
    pub functions: Vec<Function>,
    /// Where its parts stand in the text, for errors that only the design can find.
    pub(crate) places: BTreeMap<Part, Range<usize>>,
}

/// Functions under one name, for profiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Function {
    /// Name for people, `[a-z0-9-]+`.
    pub name: String,
    /// Parts of names of functions; one of them is enough.
    pub patterns: Vec<String>,
}

impl Study {
    /// Folder of the config, which paths in it are relative to and which its processes start in.
    pub fn folder(&self) -> &Path {
        // An empty parent is the current folder.
        self.path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    /// Leaves these workloads and what is about them. Returns the names of the hypotheses, targets, paths and curves that go.
    ///
    /// # Errors
    /// [`ConfigError::NoWorkload`].
    pub fn only(&mut self, workloads: &[String]) -> Result<Vec<String>, ConfigError> {
        for name in workloads {
            if self.workloads.iter().all(|workload| workload.name != *name) {
                let hint = names::suggest(name, self.workloads.iter().map(|workload| workload.name.as_str()));
                return Err(ConfigError::NoWorkload {
                    path: self.path.display().to_string(),
                    name: name.clone(),
                    hint,
                });
            }
        }
        self.workloads.retain(|workload| workloads.contains(&workload.name));
        // Cells that only the others run with would be built for nothing.
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

    /// Whether levels are brought about in one binary, by variables and arguments.
    pub fn in_one_binary(&self) -> bool {
        in_one_binary(&self.arms)
    }

    /// Whether levels are brought about by building without or with Cargo features.
    pub fn by_feature(&self) -> bool {
        self.arms.contains(&Arm::Feature)
    }

    /// An error that points at a part.
    pub(crate) fn complain(&self, part: Part, message: String) -> ConfigError {
        let end = self.text.len();
        let span = self.places.get(&part).cloned().unwrap_or(end..end);
        Pointed::new(&self.path.display().to_string(), &self.text, span, message).into()
    }
}

/// The arms `env` and `args` are one: in one binary, by whatever the levels set.
fn in_one_binary(arms: &[Arm]) -> bool {
    arms.contains(&Arm::Env) || arms.contains(&Arm::Args)
}

/// Cells with all levels of `when` must have one of the levels of each factor of `needs`.
#[derive(Debug, Clone, PartialEq)]
pub struct Constraint {
    /// Factor → level.
    pub when: BTreeMap<String, String>,
    /// Factor → levels, one of which it must have.
    pub needs: BTreeMap<String, Vec<String>>,
}

/// Which treatments a study has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DesignKind {
    /// Those of the `[[treatment]]` tables.
    Explicit,
    /// Every level of every factor that is not the baseline's: `no-<factor>` for `off`, `<factor>-<level>` for others.
    LeaveOneOut,
    /// `none`, and `only-<factor>` for each factor.
    AddOneIn,
    /// Every two crossed factors away together, beside each away alone.
    Pairs,
    /// Main effects of up to n − 1 factors in n cells, n a multiple of 4 (Plackett and Burman, 1946).
    PlackettBurman,
    /// 2^(k − p) of the combinations, of the highest resolution there is.
    Fractional,
    /// Every combination of the levels that the crossed factors have in one binary.
    Factorial,
}

impl DesignKind {
    /// All designs with their names in the config.
    pub const NAMES: [(&'static str, DesignKind); 7] = [
        ("explicit", DesignKind::Explicit),
        ("leave-one-out", DesignKind::LeaveOneOut),
        ("add-one-in", DesignKind::AddOneIn),
        ("pairs", DesignKind::Pairs),
        ("plackett-burman", DesignKind::PlackettBurman),
        ("fractional", DesignKind::Fractional),
        ("factorial", DesignKind::Factorial),
    ];

    /// Its name in the config.
    pub fn as_str(self) -> &'static str {
        Self::NAMES.into_iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }

    /// Whether it combines the crossed factors, in one binary.
    pub fn is_crossing(self) -> bool {
        match self {
            DesignKind::Explicit | DesignKind::LeaveOneOut | DesignKind::AddOneIn => false,
            DesignKind::Pairs | DesignKind::PlackettBurman | DesignKind::Fractional | DesignKind::Factorial => true,
        }
    }
}

/// The measured program and how it is built.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    /// What is run.
    pub program: Program,
    /// A Cargo feature of dead code: building it in changes the code layout and nothing else.
    pub placebo_feature: Option<String>,
    /// Arguments before those of the workload.
    pub args: Vec<String>,
    /// Arguments of both counting passes, after those of the workload and before `idle_args`.
    pub counting_args: Vec<String>,
    /// Arguments that make a run do no operation, appended last; `None`: start-up cost is not counted apart.
    pub idle_args: Option<Vec<String>>,
    /// What `served_by` must say.
    pub served_by: Option<String>,
    /// Names that are passed on from the runner's environment.
    pub allow_env: Vec<String>,
    /// Environment of every cell.
    pub env: BTreeMap<String, String>,
}

/// What is run.
#[derive(Debug, Clone, PartialEq)]
pub enum Program {
    /// A binary that cargo builds.
    Cargo(CargoProgram),
    /// A program that is there: its path or name, then arguments.
    Command(Vec<String>),
}

/// A binary of a Cargo package.
#[derive(Debug, Clone, PartialEq)]
pub struct CargoProgram {
    /// Cargo package.
    pub package: String,
    /// Its binary.
    pub binary: String,
    /// Where the package is.
    pub source: Source,
    /// Cargo profile.
    pub profile: String,
    /// Cargo features built in besides those of the factors.
    pub features: Vec<String>,
}

impl CargoProgram {
    /// Path of a `Cargo.toml` of its workspace; empty for a package of the registry, which has none yet.
    pub fn manifest(&self) -> &Path {
        match &self.source {
            Source::Manifest(path) => path,
            Source::Registry(_) => Path::new(""),
        }
    }
}

/// Where a package is.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// Path of a `Cargo.toml` of its workspace; exists.
    Manifest(PathBuf),
    /// This version of the package on crates.io.
    Registry(String),
}

/// How a level is brought about.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Level {
    /// Variables.
    pub env: BTreeMap<String, String>,
    /// Arguments, after those of the subject and before those of the workload.
    pub args: Vec<String>,
    /// Cargo features, for a variant that is compiled in; empty for levels of one binary.
    pub features: Vec<String>,
}

/// One overhead source.
#[derive(Debug, Clone, PartialEq)]
pub struct Factor {
    /// Name, `[a-z0-9-]+`.
    pub name: String,
    /// One line for people; empty when there is none.
    pub about: String,
    /// The Cargo feature without which the factor is `absent`.
    pub feature: Option<String>,
    /// Counters `factor.counter` that prove it; empty: exact counts or the binaries must differ between its levels.
    pub proof: Vec<String>,
    /// Level of the baseline.
    pub baseline: String,
    /// Level → how it is brought about; has the baseline's. The level `absent` is not among them.
    pub levels: BTreeMap<String, Level>,
}

/// Levels that differ from the baseline, under a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Treatment {
    /// Name, `[a-z0-9-]+`.
    pub name: String,
    /// One line for people; empty when there is none.
    pub about: String,
    /// Factor → level; factors that are not named have their baseline's.
    pub levels: BTreeMap<String, String>,
    /// Counters `factor.counter` that must be 0.
    pub expect_zero: Vec<String>,
}

/// Arguments of the measured program under a name.
#[derive(Debug, Clone, PartialEq)]
pub struct Workload {
    /// Name, `[a-z0-9-]+`.
    pub name: String,
    /// One line for people; empty when there is none.
    pub about: String,
    /// Arguments after those of the cell.
    pub args: Vec<String>,
    /// Whether the process is bound to one processor.
    pub pin: bool,
    /// What of a process's latency the effects are about.
    pub response: MainResponse,
    /// Designs whose cells run with it; `None`: all.
    pub designs: Option<Vec<DesignKind>>,
}

/// Why there is no study.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: cannot read the config: {source}; give the path of a study, like `ablate run configs/NAME.toml`")]
    Unreadable {
        /// Path as it was given.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is far too large.
    #[error("{path}: {bytes} bytes are too many for a config (limit {MAX_BYTES}); give the path of a TOML study")]
    TooLarge {
        /// Path as it was given.
        path: String,
        /// Its size.
        bytes: u64,
    },
    /// Somebody asked for a workload that it does not have.
    #[error("{path} has no workload `{name}`{hint}")]
    NoWorkload {
        /// Path as it was given.
        path: String,
        /// What was asked for.
        name: String,
        /// What was probably meant.
        hint: String,
    },
    /// Something in the file is wrong.
    #[error(transparent)]
    Invalid(#[from] Box<Pointed>),
}

/// Reads and validates a study.
///
/// # Errors
/// [`ConfigError`], pointing at the line where there is one.
pub fn load(path: &Path) -> Result<Study, ConfigError> {
    let unreadable = |source| ConfigError::Unreadable { path: path.display().to_string(), source };
    let bytes = std::fs::metadata(path).map_err(unreadable)?.len();
    if bytes > MAX_BYTES {
        return Err(ConfigError::TooLarge { path: path.display().to_string(), bytes });
    }
    let bytes = std::fs::read(path).map_err(unreadable)?;
    parse(path, &bytes)
}

/// Validates the bytes of a config; `path` is used in messages and to find the manifest.
///
/// # Errors
/// [`ConfigError::Invalid`], pointing at the line.
pub fn parse(path: &Path, bytes: &[u8]) -> Result<Study, ConfigError> {
    let shown = path.display().to_string();
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(e) => {
            let readable = String::from_utf8_lossy(bytes);
            let at = e.valid_up_to();
            let message = "this byte is not UTF-8; save the file as UTF-8".to_owned();
            return Err(Pointed::new(&shown, &readable, at..at + 1, message).into());
        }
    };
    if text.starts_with('\u{feff}') {
        let message = "the file starts with a byte order mark; save it as UTF-8 without BOM".to_owned();
        return Err(Pointed::new(&shown, text, 0..0, message).into());
    }
    let raw: raw::Study = toml::from_str(text).map_err(|e| {
        let span = e.span().unwrap_or(0..0);
        Pointed::new(&shown, text, span, names::reword(e.message()))
    })?;
    Ok(check::check(path, text, raw)?)
}

#[cfg(test)]
pub(crate) mod tests;
#[cfg(test)]
mod tests_language;
#[cfg(test)]
mod tests_paths;
#[cfg(test)]
pub(crate) mod tests_race;
#[cfg(test)]
mod tests_targets;
