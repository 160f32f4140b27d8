//! Binaries that are made once and travel: a folder with every program and preloaded library of a study, by the hashes of
//! their contents, and an index.
//!
//! `objects/SHA256/NAME` keeps the name of a file, because `served_by` of a preloaded library and the report of a program
//! are about it. Nothing in the folder is an absolute path, so it can be copied and mounted anywhere.

mod error;
mod index;
mod write;

use crate::builds::revisions::Pinned;
use crate::builds::{
    self, BuildError, Built, SUBJECT, Workspace, build_all, find_peers, target_folder, workspace_with,
};
use crate::config::{Origin, PRELOAD, Program, Study, libraries};
use crate::design::BuildPlan;
use crate::support::machine::sha256_of;
use crate::support::progress::warn;
use ablate_format::{BuildFailure, BuildRecord, BuiltBinary, Library, Machine, path_to_text};
pub(crate) use error::BundleError;
use index::{Cpu, Index};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
pub(crate) use write::{begin, write};

/// A bundle that belongs to a study and may be used on this machine. Its files are checked as they are taken.
#[derive(Debug)]
pub(crate) struct Bundle {
    dir: PathBuf,
    index: Index,
}

impl Bundle {
    /// Opens the bundle in a folder for a study.
    ///
    /// # Errors
    /// [`BundleError`]: there is none, it is damaged, of another config, or of another kind of processor.
    pub(crate) fn open(dir: &Path, study: &Study) -> Result<Bundle, BundleError> {
        supported(study)?;
        let index = Index::read(dir)?;
        let dir = std::path::absolute(dir).map_err(BuildError::io(dir, "finding the folder"))?;
        let bundle = Bundle { dir, index };
        if bundle.index.config_sha256 != builds::sha256(study.text.as_bytes()) {
            let name = &bundle.index.study;
            let what =
                if *name == study.name { "the text of its config differs".into() } else { format!("it is of {name}") };
            return Err(bundle.foreign(what));
        }
        bundle.check_layouts(study)?;
        bundle.check_machine(&Cpu::here())?;
        Ok(bundle)
    }

    /// What [`find_peers`] does, with the libraries of the bundle where there is one.
    ///
    /// # Errors
    /// Those of [`find_peers`], and [`BundleError`].
    pub(crate) fn find_peers(bundle: Option<&Bundle>, study: &mut Study) -> Result<Vec<Library>, BundleError> {
        let Some(bundle) = bundle else { return Ok(find_peers(study)?) };
        let mut all = Vec::new();
        let of_subject = study.subject.env.get_mut(PRELOAD).map(|preload| (SUBJECT, preload));
        let of_peers = study.peers.iter_mut().filter_map(|peer| Some((peer.name.as_str(), peer.env.get_mut(PRELOAD)?)));
        for (owner, preload) in of_subject.into_iter().chain(of_peers) {
            let own = bundle.index.libraries.iter().filter(|library| library.peer == owner);
            let own: Vec<Library> = own.map(|library| bundle.library(library)).collect::<Result<_, _>>()?;
            let is_absent = bundle.index.absent.iter().any(|(name, ..)| *name == owner);
            if !is_absent && own.len() != libraries(preload).count() {
                return Err(bundle.foreign(format!("it lacks a library of `{owner}`")));
            }
            *preload = own.iter().map(|library| library.path.as_str()).collect::<Vec<_>>().join(":");
            all.extend(own);
        }
        for absent in bundle.index.absent() {
            // One that this call leaves out is not missed.
            let Some(at) = study.peers.iter().position(|peer| peer.name == absent.peer) else { continue };
            if !study.peers[at].optional {
                return Err(bundle.foreign(format!("it lacks peer `{}`, which is not optional", absent.peer)));
            }
            study.peers.remove(at);
            study.absent.push(absent);
        }
        builds::forget_absent(study);
        Ok(all)
    }

    /// What [`workspace_with`] does, without cargo and without the sources where there is a bundle.
    ///
    /// # Errors
    /// Those of [`workspace_with`], and [`BundleError`] where the sources are there and are others.
    pub(crate) fn workspace(
        bundle: Option<&Bundle>,
        study: &Study,
        target: Option<&Path>,
        pinned: &Pinned,
    ) -> Result<Workspace, BundleError> {
        let folder = match (bundle, &study.subject.program) {
            (None, _) | (_, Program::Command(_)) => return Ok(workspace_with(study, target, pinned)?),
            (Some(_), Program::Made(made)) => made.sources.clone(),
            (Some(_), Program::Cargo(program)) => match &program.origin {
                Origin::Manifest(path) => path.parent().unwrap_or(Path::new(".")).to_owned(),
                Origin::Registry(_) => study.folder().to_owned(),
            },
        };
        builds::check_auxiliary(study)?;
        let folder = builds::absolute(&folder)?;
        let target = target.map_or_else(|| Ok(target_folder(&folder)), builds::absolute)?;
        let is_locked = |above: &&Path| above.join("Cargo.lock").is_file();
        let root = match &study.subject.program {
            Program::Cargo(_) => folder.ancestors().find(is_locked).unwrap_or(&folder).to_owned(),
            _ => folder.clone(),
        };
        if let Some(bundle) = bundle {
            bundle.check_sources(study, &root, &target)?;
        }
        builds::hide(&target);
        Ok(Workspace { root, target, manifest: None, package: None, revisions: None })
    }

    /// What [`build_all`] does, with the binaries of the bundle where there is one.
    ///
    /// # Errors
    /// Those of [`build_all`], and [`BundleError`].
    pub(crate) fn build_all(
        bundle: Option<&Bundle>,
        study: &Study,
        plans: &[BuildPlan],
        workspace: &Workspace,
        logs: &Path,
    ) -> Result<Built, BundleError> {
        let Some(bundle) = bundle else { return Ok(build_all(study, plans, workspace, logs)?) };
        let mut records = plans.iter().map(|plan| bundle.record(study, plan)).collect::<Result<Vec<_>, _>>()?;
        if let Some(BuildRecord { id, result: Err(BuildFailure { message, log }), .. }) = records.first() {
            let (id, message, log) = (id.clone(), message.clone(), log.clone());
            return Err(BuildError::Baseline { id, message, log }.into());
        }
        let (mut layouts, mut one_layout) = (bundle.index.layouts, bundle.index.one_layout.clone());
        if study.layouts == 1 {
            records.iter_mut().for_each(|record| record.layouts.clear());
            (layouts, one_layout) = (1, None);
        }
        Ok(Built { records, layouts, one_layout })
    }

    /// Writes the facts of the sources that were built into those of the machine, whose own sources do not matter.
    pub(crate) fn name_sources(&self, machine: &mut Machine) {
        machine.facts.extend(self.index.facts());
    }

    fn foreign(&self, what: String) -> BundleError {
        BundleError::Foreign { dir: self.dir.clone(), what }
    }

    /// The layouts that the study asks for, or one, where the sources could not be linked in several.
    fn check_layouts(&self, study: &Study) -> Result<(), BundleError> {
        match self.index.layouts {
            1 => Ok(()),
            layouts if layouts == study.layouts || study.layouts == 1 => Ok(()),
            layouts => {
                Err(self.foreign(format!("it has {layouts} code layouts, and the study asks for {}", study.layouts)))
            }
        }
    }

    fn check_machine(&self, here: &Cpu) -> Result<(), BundleError> {
        let built = &self.index.cpu;
        let refused = |what: String| Err(BundleError::OtherMachine { dir: self.dir.clone(), what });
        if built.arch != here.arch {
            return refused(format!(
                "it was built for {}, and this is {}; build it on this kind",
                built.arch, here.arch
            ));
        }
        let lacks: Vec<&str> = built.features.difference(&here.features).map(String::as_str).collect();
        let some = lacks.iter().take(5).copied().collect::<Vec<_>>().join(", ");
        match (self.index.is_native, lacks.is_empty()) {
            (true, false) => {
                return refused(format!(
                    "it was built for the processor at hand (target-cpu=native or the like), which has {some}, and this \
                     one has not; name a processor that all machines have, such as target-cpu=x86-64-v3, and build again"
                ));
            }
            (true, true) if built.model != here.model => warn(&format!(
                "{}: built for the processor at hand, {}, which is another one than this: the code is not what a build \
                 here would give",
                self.dir.display(),
                built.model.as_deref().unwrap_or("unnamed")
            )),
            (false, false) => warn(&format!(
                "{}: built on a processor that has {some}, which this one has not; where a build asked for the \
                 processor at hand in a place that ablate does not see, its programs may fail here",
                self.dir.display()
            )),
            _ => {}
        }
        Ok(())
    }

    fn check_sources(&self, study: &Study, root: &Path, target: &Path) -> Result<(), BundleError> {
        let here = index::sources(study, root, target);
        let mut built = self.index.sources.iter();
        match built.find(|(name, value)| here.get(*name).is_some_and(|here| here != *value)) {
            Some((name, _)) if name == "commit" => {
                let short = |of: &std::collections::BTreeMap<String, String>| {
                    of.get("commit").map_or_else(String::new, |commit| commit.chars().take(12).collect())
                };
                let both = (short(&self.index.sources), short(&here));
                Err(self.foreign(format!("it was built from commit {}, and these sources are {}", both.0, both.1)))
            }
            Some((name, _)) => Err(self.foreign(format!("{name} of the sources differ from what it was built from"))),
            None => Ok(()),
        }
    }

    /// The record of one build, with absolute paths and checked files.
    fn record(&self, study: &Study, plan: &BuildPlan) -> Result<BuildRecord, BundleError> {
        let Some(known) = self.index.builds.iter().find(|build| build.record.id == plan.id) else {
            return Err(self.foreign(format!("it has no build `{}`", plan.id)));
        };
        if let Some(difference) = known.difference(study, plan) {
            return Err(self.foreign(format!("build `{}` {difference}", plan.id)));
        }
        if known.is_installed {
            return self.installed(study, plan, &known.record);
        }
        let mut record = BuildRecord { seconds: None, ..known.record.clone() };
        match &mut record.result {
            Ok(built) => self.place(built)?,
            Err(BuildFailure { log, .. }) => *log = path_to_text(index::within(&self.dir, log)?),
        }
        record.layouts.iter_mut().try_for_each(|built| self.place(built))?;
        Ok(record)
    }

    /// An installed program, which must be the one of the machine that built.
    fn installed(&self, study: &Study, plan: &BuildPlan, known: &BuildRecord) -> Result<BuildRecord, BundleError> {
        let none = Vec::new();
        let command = match (&plan.command, &study.subject.program) {
            (Some(command), _) | (None, Program::Command(command)) => command,
            _ => &none,
        };
        let found = builds::find_installed(study, plan, command)?;
        let hash = |record: &BuildRecord| record.result.as_ref().ok().map(|built| built.sha256.clone());
        if hash(&found) != hash(known) {
            let name = command.first().map_or("", String::as_str);
            let what = format!(
                "`{name}` or a file among its arguments is another one than where the bundle was built; install the same \
                 version here"
            );
            return Err(BundleError::OtherMachine { dir: self.dir.clone(), what });
        }
        Ok(found)
    }

    fn library(&self, library: &Library) -> Result<Library, BundleError> {
        let path = self.checked(&library.path, &library.sha256)?;
        let text = path_to_text(&path);
        if text.contains([' ', ':']) {
            let what = format!(
                "the loader would read `{text}` as several libraries, because it contains a blank or a colon; move the \
                 bundle to another folder"
            );
            return Err(BundleError::OtherMachine { dir: self.dir.clone(), what });
        }
        Ok(Library { path: text, ..library.clone() })
    }

    /// Makes the path of a binary absolute, once its file is what was built, and says what its code is by the file itself.
    fn place(&self, built: &mut BuiltBinary) -> Result<(), BundleError> {
        let path = self.checked(&built.path, &built.sha256)?;
        let mode = std::fs::metadata(&path).map_err(BuildError::io(&path, "reading"))?.permissions().mode();
        if mode & 0o111 == 0 {
            // Stores of artefacts forget it.
            let permissions = PermissionsExt::from_mode(mode | 0o755);
            std::fs::set_permissions(&path, permissions).map_err(BuildError::io(&path, "making it executable"))?;
        }
        built.path = path_to_text(&path);
        built.code_sha256 = builds::sha256_of_code(&path);
        Ok(())
    }

    fn checked(&self, path: &str, sha256: &str) -> Result<PathBuf, BundleError> {
        let path = index::within(&self.dir, path)?;
        let damaged = |why: &str| Err(BundleError::Damaged { path: path.clone(), why: why.to_owned() });
        // A pipe would be waited for, and a link may lead anywhere.
        let is_within = |found: &PathBuf| self.dir.canonicalize().is_ok_and(|dir| found.starts_with(dir));
        match path.canonicalize() {
            Ok(found) if !is_within(&found) => return damaged("is a link to a file outside of the bundle"),
            Ok(found) if !found.is_file() => return damaged("is no file"),
            _ => {}
        }
        match sha256_of(&path) {
            Ok(found) if found == sha256 => Ok(path),
            Ok(_) => damaged("is not what was built: its SHA-256 differs from the index"),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => damaged("is missing"),
            Err(e) => Err(BuildError::io(&path, "reading")(e).into()),
        }
    }
}

/// Refuses a study that needs its sources when it runs.
pub(crate) fn supported(study: &Study) -> Result<(), BundleError> {
    let refused = |what| Err(BundleError::Unsupported { config: study.path.clone(), what });
    if study.subject.harness.is_some() {
        return refused("the benchmarks of a harness are listed and run in the folder of their package");
    }
    let mut levels = study.factors.iter().flat_map(|factor| factor.levels.values());
    if levels.any(|level| level.build.revision.is_some()) {
        return refused("a level names a revision, whose files stand beside its runs");
    }
    Ok(())
}

#[cfg(test)]
mod tests;
