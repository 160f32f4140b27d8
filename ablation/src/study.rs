//! `ablate run` as a whole: config → design → builds → preflight → runs, in a folder that can be resumed.

mod adaptive;
pub mod rule;

use crate::builds::{self, BuildError, Built, Workspace};
use crate::cli::Run;
use crate::config::{self, ConfigError, Study};
use crate::design::{self, Design};
use crate::machine;
use crate::measure;
use crate::progress::{Progress, note};
use crate::run::{self, Context, Cpus, End, PreflightError, RunError, Session, interrupt};
use crate::settings::Settings;
use crate::store::{self, Folder, Key, StoreError, key};
use ablate_format::{BuildRecord, FORMAT, Machine, Manifest, StudyPlan};
use adaptive::Adaptive;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// What became of a study.
#[derive(Debug)]
pub struct Outcome {
    /// The folder with its results.
    pub dir: PathBuf,
    /// Whether somebody pressed Ctrl-C.
    pub interrupted: bool,
    /// The command that goes on.
    pub resume: String,
    /// What is to be said after the report: how far a study came that was to stop by itself.
    pub closing: Vec<String>,
}

/// Why a study did not run.
#[derive(Debug, thiserror::Error)]
pub enum StudyError {
    /// The config.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The folder.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The binaries.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The first look at every cell.
    #[error(transparent)]
    Preflight(#[from] PreflightError),
    /// A run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The system refused to prepare the runner.
    #[error("cannot prepare the runner: {step}: {source}")]
    Prepare {
        /// The step.
        step: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

impl StudyError {
    /// Whether the call or the config has to be changed, and not the machine.
    pub fn is_usage(&self) -> bool {
        match self {
            StudyError::Config(_) | StudyError::Preflight(PreflightError::Rejected { .. }) => true,
            StudyError::Store(e) => e.is_usage(),
            StudyError::Build(e) => e.is_usage(),
            StudyError::Preflight(PreflightError::Run(_) | PreflightError::AllFailed { .. })
            | StudyError::Run(_)
            | StudyError::Prepare { .. } => false,
        }
    }
}

/// Runs a study, or goes on with one.
///
/// # Errors
/// [`StudyError`]; what was recorded before is kept.
pub fn run(args: &Run, settings: &Settings) -> Result<Outcome, StudyError> {
    let mut study = config::load(&args.config)?;
    if !args.workloads.is_empty() {
        let gone = study.only(&args.workloads)?;
        if !gone.is_empty() {
            note(&format!("left out with the other workloads: {}", gone.join(", ")));
        }
    }
    let libraries = builds::find_peers(&mut study)?;
    for absent in &study.absent {
        let hint = if absent.hint.is_empty() { String::new() } else { format!("; {}", absent.hint) };
        note(&format!("peer {} is left out: {}{hint}", absent.peer, absent.why));
    }
    let design = design::resolve(&study)?;
    let workspace = builds::workspace(&study, settings.target_dir.as_deref())?;
    prepare("signal handlers", interrupt::install())?;
    let (folder, earlier) = open(args, &study, &workspace)?;
    overrides(args, &mut study, earlier.as_ref().map(|(manifest, _)| manifest), folder.dir())?;
    // What compiler and version control say takes a tenth of a second, which a short study need not wait for.
    let (machine, built) = std::thread::scope(|scope| {
        let machine = scope.spawn(|| machine::machine(&workspace.root));
        let built = builds::build_all(&study, &design.builds, &workspace, &folder.logs());
        (machine.join().unwrap_or_else(|_| machine::machine(&workspace.root)), built)
    });
    let built = built?;
    // After the builds: what a compiler leaves behind, such as a cache server, is none of our business.
    prepare("becoming the reaper of orphans", run::become_reaper())?;
    // Looking for instruments that nobody will read takes a third of a second.
    let probed = measure::probe_groups(if study.counting_repeats == 0 { &[] } else { &study.instruments });
    let mut manifest = manifest(args, &study, &design, built, machine, &probed);
    manifest.libraries = libraries;
    let mut done: BTreeSet<Key> = BTreeSet::new();
    if let Some((before, keys)) = earlier {
        same_study(&before, &manifest, folder.dir())?;
        manifest.started_unix_s = before.started_unix_s;
        manifest.machine = before.machine;
        // A study that stops by itself is complete with the blocks that it has.
        manifest.blocks = before.blocks.max(if args.rule().is_some() { 1 } else { study.blocks });
        done = keys;
    } else if args.rule().is_some() {
        manifest.blocks = 1;
    }
    let plan = manifest.plan.clone();
    let context = Context {
        study: &study,
        plan: &plan,
        programs: &design.builds,
        builds: &manifest.builds.clone(),
        seed: study.seed,
        cpus: prepare("choosing processors", Cpus::take())?,
        probed: &probed,
    };
    let outcome = |interrupted, closing| Outcome {
        dir: folder.dir().to_owned(),
        interrupted,
        resume: resume_command(args, folder.dir()),
        closing,
    };
    let remaining = run::remaining(&context, manifest.blocks, &done);
    let mut stopped = false;
    if remaining > 0 {
        match run::preflight(&context)? {
            Some(suspicious) => suspicious.iter().for_each(|line| note(&format!("preflight: {line}"))),
            None => stopped = true,
        }
    }
    // Only now: a study that the preflight refuses leaves a folder that can be used again.
    folder.write_manifest(&manifest)?;
    if stopped {
        return Ok(outcome(true, Vec::new()));
    }
    let mut records = folder.records()?;
    let mut progress = Progress::start(args.rule().is_none().then_some(remaining));
    let mut session = Session::new(&mut records, &done, &mut progress);
    let mut end = run::counting(&context, &mut session)?;
    let mut closing = Vec::new();
    if end == End::Complete {
        match args.rule() {
            None => end = blocks(&context, manifest.blocks, &mut session)?,
            Some(rule) => {
                let limit = args.blocks.unwrap_or(MAX_BLOCKS);
                let mut adaptive = Adaptive { rule, limit, folder: &folder, manifest: &mut manifest, done: &done };
                (end, closing) = adaptive.run(&context, &mut session)?;
            }
        }
    }
    progress.finish();
    Ok(outcome(end == End::Interrupted, closing))
}

/// The most blocks of a study that stops by itself, as of any other.
const MAX_BLOCKS: u32 = 10_000;

fn blocks(context: &Context<'_>, blocks: u32, session: &mut Session<'_>) -> Result<End, RunError> {
    for block in 0..blocks {
        if run::block(context, block, session)? == End::Interrupted {
            return Ok(End::Interrupted);
        }
    }
    Ok(End::Complete)
}

fn prepare<T>(step: &'static str, result: std::io::Result<T>) -> Result<T, StudyError> {
    result.map_err(|source| StudyError::Prepare { step, source })
}

type Earlier = (Manifest, BTreeSet<Key>);

fn open(args: &Run, study: &Study, workspace: &Workspace) -> Result<(Folder, Option<Earlier>), StudyError> {
    let dir = match &args.out {
        Some(dir) => dir.clone(),
        None => fresh(&workspace.target.join("ablate"), &study.name),
    };
    if !args.resume {
        let folder = Folder::create(&dir)?;
        return Ok((folder, None));
    }
    let folder = Folder::open(&dir)?;
    let (manifest, records, bad_lines) = store::read(&dir)?;
    for bad in bad_lines {
        note(&format!("{}:{}: skipped: {}", dir.join(store::RECORDS).display(), bad.line, bad.why));
    }
    let done = records.iter().map(key).collect();
    Ok((folder, Some((manifest, done))))
}

/// `NAME-TIME`, with a counter when two studies start within a second.
pub(crate) fn fresh(parent: &Path, name: &str) -> PathBuf {
    let now = unix_seconds();
    let first = parent.join(format!("{name}-{now}"));
    let others = (2..).map(|n| parent.join(format!("{name}-{now}-{n}")));
    [first.clone()].into_iter().chain(others).find(|dir| !dir.exists()).unwrap_or(first)
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Seed and blocks: the command line first, then the study that is resumed, then the config.
fn overrides(args: &Run, study: &mut Study, before: Option<&Manifest>, dir: &Path) -> Result<(), StudyError> {
    if let Some(before) = before {
        if let Some(seed) = args.seed.filter(|seed| *seed != before.seed) {
            let what = format!("it was run with seed {}, and --seed says {seed}", before.seed);
            return Err(StoreError::Differs { dir: dir.to_owned(), what }.into());
        }
        if let Some(blocks) = args.blocks.filter(|blocks| *blocks < before.blocks) {
            let what = format!("it was started with {} blocks, and --blocks {blocks} is fewer", before.blocks);
            return Err(StoreError::Differs { dir: dir.to_owned(), what }.into());
        }
        study.seed = before.seed;
        study.blocks = before.blocks;
    }
    study.seed = args.seed.unwrap_or(study.seed);
    study.blocks = args.blocks.unwrap_or(study.blocks);
    Ok(())
}

fn manifest(
    args: &Run,
    study: &Study,
    design: &Design,
    built: Built,
    mut machine: Machine,
    probed: &measure::Probed,
) -> Manifest {
    if let config::Program::Cargo(program) = &study.subject.program
        && let config::Source::Registry(version) = &program.source
    {
        // The commit around a fetched package is not that of its sources.
        machine.facts.insert("commit".to_owned(), None);
        machine.facts.insert("uncommitted-changes".to_owned(), None);
        machine.facts.insert("package".to_owned(), Some(format!("{} {version}", program.package)));
    }
    if study.layouts > 1 {
        let why = built.one_layout.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        machine.facts.insert("layouts".to_owned(), Some(format!("{}{why}", built.layouts)));
    }
    let plan = StudyPlan { layouts: built.layouts, ..design.plan.clone() };
    let rest = std::env::args_os().skip(1).map(|arg| arg.to_string_lossy().into_owned());
    Manifest {
        format: FORMAT,
        study: study.name.clone(),
        config_path: args.config.display().to_string(),
        config_text: study.text.clone(),
        command: ["ablate".to_owned()].into_iter().chain(rest).collect(),
        started_unix_s: unix_seconds(),
        seed: study.seed,
        blocks: study.blocks,
        plan,
        builds: built.records,
        libraries: Vec::new(),
        machine,
        instruments: probed.status.clone(),
    }
}

/// Records of two configs, two binaries or two machines must not mix.
fn same_study(before: &Manifest, now: &Manifest, dir: &Path) -> Result<(), StoreError> {
    let differs = |what: String| Err(StoreError::Differs { dir: dir.to_owned(), what });
    if before.config_text != now.config_text || before.plan != now.plan {
        return differs(format!(
            "{} is not the config that it was started with, or --workload differs",
            now.config_path
        ));
    }
    for build in &now.builds {
        let hash = |build: &BuildRecord| -> Option<Vec<String>> {
            let first = build.result.as_ref().ok()?;
            Some([first].into_iter().chain(&build.layouts).map(|built| built.sha256.clone()).collect())
        };
        let old = before.builds.iter().find(|old| old.id == build.id);
        if old.is_none_or(|old| hash(old) != hash(build)) {
            return differs(format!(
                "the binary of build `{}` is another one, because sources or compiler changed",
                build.id
            ));
        }
    }
    if before.libraries != now.libraries {
        return differs("a library that a peer preloads is another one, or elsewhere".to_owned());
    }
    for name in machine::FIXED {
        let (old, new) = (before.machine.facts.get(name), now.machine.facts.get(name));
        if old != new {
            let show = |value: Option<&Option<String>>| value.cloned().flatten().unwrap_or_else(|| "n/a".to_owned());
            return differs(format!("{name} was {} and is {}, and machines do not mix", show(old), show(new)));
        }
    }
    Ok(())
}

fn resume_command(args: &Run, dir: &Path) -> String {
    let mut command = format!("ablate run {} --out {} --resume", quoted(&args.config), quoted(dir));
    for workload in &args.workloads {
        command.push_str(&format!(" --workload {workload}"));
    }
    if let Some(blocks) = args.blocks {
        command.push_str(&format!(" --blocks {blocks}"));
    }
    if let Some(width) = args.until_halfwidth {
        command.push_str(&format!(" --until-halfwidth {width}"));
    }
    if let Some(budget) = args.budget {
        command.push_str(&format!(" --budget {budget}"));
    }
    command
}

/// For a shell, when it needs it.
pub(crate) fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::manifest;

    #[test]
    fn another_config_binary_or_machine_cannot_be_resumed() {
        let check = |change: &dyn Fn(&mut Manifest), part: &str| {
            let mut now = manifest();
            change(&mut now);
            let error = same_study(&manifest(), &now, Path::new("d")).expect_err(part).to_string();
            assert!(error.contains(part) && error.contains("--out"), "{error}");
        };
        assert!(same_study(&manifest(), &manifest(), Path::new("d")).is_ok());
        check(&|m| m.config_text.push('#'), "demo.toml");
        check(&|m| m.builds[1].result.as_mut().expect("built").sha256 = "11".into(), "`bare`");
        check(&|m| drop(m.machine.facts.insert("cpu".into(), Some("Z".into()))), "cpu was n/a and is Z");
    }

    #[test]
    fn paths_are_quoted_for_a_shell_when_they_need_it() {
        assert_eq!(quoted(Path::new("a/b-1.toml")), "a/b-1.toml");
        assert_eq!(quoted(Path::new("a b's")), r"'a b'\''s'");
    }

    #[test]
    fn fresh_folders_do_not_exist() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let first = fresh(dir.path(), "x");
        std::fs::create_dir(&first).expect("creates");
        assert!(!fresh(dir.path(), "x").exists());
    }
}
