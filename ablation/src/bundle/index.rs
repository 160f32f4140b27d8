//! `index.json` of a bundle: what was built, from which sources, on which processor.

use super::error::BundleError;
use crate::builds::{self, BuildError};
use crate::config::{Absent, Program, Study};
use crate::design::BuildPlan;
use crate::support::{files, machine};
use ablate_format::{BuildRecord, Library};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Name of the file.
pub(super) const INDEX: &str = "index.json";

/// Version of the file.
pub(super) const FORMAT: u32 = 1;

/// The facts of a manifest that are of the sources, which a shard takes from where they were built.
const FACTS: [&str; 4] = ["commit", "uncommitted-changes", "lock-file-sha256", "rustc"];

/// The content of the file. Paths are relative to the folder of the bundle.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Index {
    /// Version of the file.
    pub(super) format: u32,
    /// Name of the study.
    pub(super) study: String,
    /// SHA-256 of the config's text.
    pub(super) config_sha256: String,
    /// What tells the sources from others, by name. What could not be had is missing.
    pub(super) sources: BTreeMap<String, String>,
    /// Facts of the sources for manifests.
    pub(super) facts: BTreeMap<String, Option<String>>,
    /// The processor of the machine that built.
    pub(super) cpu: Cpu,
    /// Whether a build was made for that processor alone, as far as settings say.
    pub(super) is_native: bool,
    /// Code layouts of every build.
    pub(super) layouts: u32,
    /// The reason for one layout where the study asks for several.
    pub(super) one_layout: Option<String>,
    /// Every build of the study, the baseline's first.
    pub(super) builds: Vec<Build>,
    /// Libraries that peers preload.
    pub(super) libraries: Vec<Library>,
    /// Optional peers that are not in the bundle: name, what is missing, hint.
    pub(super) absent: Vec<(String, String, String)>,
}

/// One build.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Build {
    /// Whether it is an installed program, which is not in the bundle and looked for on every machine.
    pub(super) is_installed: bool,
    /// Its record, as in a manifest.
    pub(super) record: BuildRecord,
}

/// A processor, as far as a binary depends on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Cpu {
    /// Architecture, as Rust names it.
    pub(super) arch: String,
    /// Name; `None` where the kernel has none.
    pub(super) model: Option<String>,
    /// Features, as the kernel names them.
    pub(super) features: BTreeSet<String>,
}

impl Index {
    /// The optional peers that are not in the bundle.
    pub(super) fn absent(&self) -> Vec<Absent> {
        let of = |(peer, why, hint): &(String, String, String)| Absent {
            peer: peer.clone(),
            why: why.clone(),
            hint: hint.clone(),
        };
        self.absent.iter().map(of).collect()
    }

    /// The facts of the sources that were built, and no others.
    pub(super) fn facts(&self) -> impl Iterator<Item = (String, Option<String>)> {
        self.facts.clone().into_iter().filter(|(name, _)| FACTS.contains(&name.as_str()))
    }

    /// Writes the file, as the last of a bundle.
    pub(super) fn write(&self, dir: &Path) -> Result<(), BundleError> {
        let path = dir.join(INDEX);
        let text = serde_json::to_vec_pretty(self).map_err(|e| BuildError::io(&path, "encoding")(e.into()))?;
        Ok(files::replace(&path, &text).map_err(BuildError::io(&path, "writing"))?)
    }

    /// Reads the file of a bundle.
    pub(super) fn read(dir: &Path) -> Result<Index, BundleError> {
        #[derive(Deserialize)]
        struct Versioned {
            format: u32,
        }
        let path = dir.join(INDEX);
        let is_index = |found: &std::fs::Metadata| found.is_dir() || (found.is_file() && found.len() <= INDEX_MAX);
        if path.metadata().is_ok_and(|found| !is_index(&found)) {
            let why = "is no index: it is no file, or too large for one".to_owned();
            return Err(BundleError::Damaged { path, why });
        }
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
                return Err(BundleError::NoIndex { dir: dir.to_owned() });
            }
            Err(e) => return Err(BuildError::io(&path, "reading")(e).into()),
        };
        let damaged = |e: serde_json::Error| {
            let why = format!("is damaged: {e}");
            BundleError::Damaged { path: path.clone(), why }
        };
        let Versioned { format } = serde_json::from_slice(&text).map_err(damaged)?;
        if format > FORMAT {
            return Err(BundleError::Version { dir: dir.to_owned(), format });
        }
        let index: Index = serde_json::from_slice(&text).map_err(damaged)?;
        let has_layouts = |build: &Build| build.record.layouts.len() + 1 == index.layouts as usize;
        let is_whole = |build: &Build| build.is_installed || build.record.result.is_err() || has_layouts(build);
        if index.format != FORMAT || !index.builds.iter().all(is_whole) {
            let why = "is damaged: it has another number of code layouts than it says, or no version".to_owned();
            return Err(BundleError::Damaged { path, why });
        }
        Ok(index)
    }
}

impl Build {
    /// What it was built as instead of what a study asks for; `None` where both are the same. What the environment of the
    /// build decided besides is in its record only.
    pub(super) fn difference(&self, study: &Study, plan: &BuildPlan) -> Option<String> {
        let words = |features: &[String]| if features.is_empty() { "none".to_owned() } else { features.join(", ") };
        if self.is_installed != is_installed(study, plan) {
            let (is, asked) = if self.is_installed { ("an installed", "a built") } else { ("a built", "an installed") };
            return Some(format!("is {is} program, and the study asks for {asked} one"));
        }
        if self.is_installed {
            return None;
        }
        let record = &self.record;
        if record.features != plan.features {
            let (is, asked) = (words(&record.features), words(&plan.features));
            return Some(format!("has the features {is}, and the study asks for {asked}"));
        }
        let asked = plan.settings.shown();
        let (name, value) = asked.iter().find(|(name, value)| record.settings.get(*name) != Some(value))?;
        let is = record.settings.get(name).map_or("no value".to_owned(), |is| format!("`{is}`"));
        Some(format!("has {is} for {name}, and the study asks for `{value}`"))
    }
}

/// Whether a build is an installed program.
pub(super) fn is_installed(study: &Study, plan: &BuildPlan) -> bool {
    plan.command.is_some() || matches!(study.subject.program, Program::Command(_))
}

/// Largest index, in bytes. One of 10,000 builds has 10 MB.
const INDEX_MAX: u64 = 256 << 20;

impl Cpu {
    /// That of this machine.
    pub(super) fn here() -> Cpu {
        Cpu::of(&std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default())
    }

    fn of(cpuinfo: &str) -> Cpu {
        // `Features` on Arm.
        let line = cpuinfo.lines().find(|line| line.starts_with("flags") || line.starts_with("Features"));
        let features = line.and_then(|line| line.split_once(':')).map_or("", |(_, features)| features);
        Cpu {
            arch: std::env::consts::ARCH.to_owned(),
            model: machine::cpu_model(cpuinfo),
            features: features.split_whitespace().map(str::to_owned).collect(),
        }
    }
}

/// Whether one of these texts asks a compiler for the processor at hand.
pub(super) fn is_native<'t>(texts: impl IntoIterator<Item = &'t str>) -> bool {
    const WORDS: [&str; 3] = ["target-cpu=native", "march=native", "mcpu=native"];
    texts.into_iter().any(|text| WORDS.iter().any(|word| text.contains(word)))
}

/// Whether the settings of a build, or the configuration of cargo around it, ask for the processor at hand.
pub(super) fn asks_for_native(records: &[BuildRecord], root: &Path) -> bool {
    let files = builds::configurations(root);
    // A key of a level is a flag as well: `target-cpu` with the value `native`.
    let settings = records.iter().flat_map(|record| &record.settings).map(|(name, value)| format!("{name}={value}"));
    is_native(settings.chain(files).collect::<Vec<_>>().iter().map(String::as_str))
}

/// What tells the sources of a study from others. Nothing for installed programs, which are compared themselves.
pub(super) fn sources(study: &Study, root: &Path, target: &Path) -> BTreeMap<String, String> {
    let mut out = BTreeMap::new();
    match &study.subject.program {
        Program::Command(_) => return out,
        Program::Made(_) => {
            // Files outside of version control count too, as they do for the build.
            let files = builds::files(root, target).ok().and_then(|files| serde_json::to_vec(&files).ok());
            out.extend(files.map(|files| ("files".to_owned(), builds::sha256(&files))));
            return out;
        }
        Program::Cargo(_) => {}
    }
    let mut fact = |name: &str, value: Option<String>| out.extend(value.map(|value| (name.to_owned(), value)));
    fact("commit", builds::git(root, &["rev-parse", "HEAD"]).ok().map(|commit| commit.trim().to_owned()));
    let others = format!(":(top,exclude){}", machine::ARCHIVE);
    let changes = builds::git(root, &["diff", "HEAD", "--binary", "--no-ext-diff", "--", ":/", &others]);
    fact("uncommitted changes", changes.ok().map(|changes| builds::sha256(changes.as_bytes())));
    fact("Cargo.lock", machine::sha256_of(&root.join("Cargo.lock")).ok());
    out
}

/// The facts of the sources that a manifest has.
pub(super) fn facts(root: &Path) -> BTreeMap<String, Option<String>> {
    let mut facts = machine::machine(root).facts;
    facts.retain(|name, _| FACTS.contains(&name.as_str()));
    facts
}

/// The path of a file of a bundle; an error for one that would lead out of it.
pub(super) fn within(dir: &Path, path: &str) -> Result<PathBuf, BundleError> {
    let relative = ablate_format::path_of_text(path);
    let is_within = relative.components().all(|part| matches!(part, std::path::Component::Normal(_)));
    if path.is_empty() || !is_within {
        let why = format!("names a file outside of the bundle, `{path}`");
        return Err(BundleError::Damaged { path: dir.join(INDEX), why });
    }
    Ok(dir.join(relative))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_read_on_both_architectures() {
        let cpu = Cpu::of("processor : 0\nmodel name\t: X\nflags\t\t: fpu avx2\n");
        assert_eq!((cpu.model.as_deref(), cpu.features.len()), (Some("X"), 2));
        let cpu = Cpu::of("CPU implementer\t: 0x41\nCPU part\t: 0xd0c\nFeatures\t: fp asimd sve\n");
        assert!(cpu.model.is_some() && cpu.features.contains("sve"), "{cpu:?}");
    }

    #[test]
    fn builds_for_the_processor_at_hand_are_known_by_their_flags() {
        for text in ["-C target-cpu=native", "-O2 -march=native", "rustflags = [\"-Ctarget-cpu=native\"]"] {
            assert!(is_native([text]), "{text}");
        }
        assert!(!is_native(["-C target-cpu=x86-64-v3", "native", ""]));
    }

    #[test]
    fn a_level_may_ask_for_the_processor_at_hand() {
        let mut records = crate::store::tests::manifest().builds;
        let root = tempfile::tempdir().expect("a temporary folder");
        assert!(!asks_for_native(&records, root.path()));
        records[1].settings.insert("target-cpu".into(), "x86-64-v3".into());
        assert!(!asks_for_native(&records, root.path()));
        records[1].settings.insert("target-cpu".into(), "native".into());
        assert!(asks_for_native(&records, root.path()));
    }

    #[test]
    fn a_path_stays_within_the_bundle() {
        for path in ["../x", "/etc/passwd", "objects/../../x", "", "./x"] {
            assert!(within(Path::new("b"), path).is_err(), "{path}");
        }
        assert_eq!(within(Path::new("b"), "objects/00/x").expect("is within"), Path::new("b/objects/00/x"));
    }
}
