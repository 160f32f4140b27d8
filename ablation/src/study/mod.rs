//! `cargo ablate run` as a whole: config → design → builds → preflight → runs, in a folder that can be resumed.

mod adaptive;
mod clock;
mod expected;
mod facts;
pub(crate) mod outlook;
mod pinned;
mod request;
mod resume;
pub(crate) mod rule;
mod same;
pub(crate) mod shard;
pub(crate) mod until;
pub(crate) mod watch;

use crate::benchmarks::{self, BenchmarksError};
use crate::builds::{self, BuildError, Built, Workspace};
use crate::bundle::{self, Bundle, BundleError};
use crate::config::{self, ConfigError, Study};
use crate::design::{self, Design};
use crate::measure;
use crate::run::{self, Context, Cpus, End, Opened, PreflightError, RunError, Session};
use crate::store::{self, Folder, Key, StoreError, key};
use crate::support::call;
use crate::support::count::counted;
use crate::support::exit::{ExitStatus, ShellCode};
use crate::support::interrupt;
use crate::support::machine;
use crate::support::progress::{Progress, note};
use crate::support::settings::Settings;
use crate::support::studies::{fresh, unix_seconds};
use ablate_format::{FORMAT, Machine, Manifest, StudyPlan};
use ablate_stats::MAX_BLOCKS;
use adaptive::Adaptive;
pub(crate) use request::{Form, Request};
use shard::ShardError;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Outcome of a study.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// The folder with its results.
    pub(crate) dir: PathBuf,
    /// Whether the quick form was run.
    pub(crate) is_quick: bool,
    /// Whether nothing was run, because of [`Request::stop_if`].
    pub(crate) stopped: bool,
    /// Whether Ctrl-C was pressed.
    pub(crate) interrupted: bool,
    /// The command that continues the study.
    pub(crate) resume: String,
    /// Lines to print after the report: how far an adaptive study came.
    pub(crate) closing: Vec<String>,
}

/// A study that did not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StudyError {
    /// The config.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The folder.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The binaries.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// Ctrl-C while the binaries were made.
    #[error("interrupted while building; finished runs are stored. To continue:\n  {resume}")]
    Interrupted {
        /// The folder of the study.
        dir: PathBuf,
        /// The command that continues it.
        resume: String,
    },
    /// Binaries that were built elsewhere.
    #[error(transparent)]
    Bundle(BundleError),
    /// The benchmarks of a harness.
    #[error(transparent)]
    Benchmarks(#[from] BenchmarksError),
    /// The preflight.
    #[error(transparent)]
    Preflight(#[from] PreflightError),
    /// A run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The part of the study that is to be run.
    #[error(transparent)]
    Shard(#[from] ShardError),
    /// The quick form was asked for, and there is none.
    #[error(
        "{} has no [quick] table, so it has no quick form; add one (configs/README.md shows it), or take a first look with \
         `--blocks 2 --workload NAME`",
        config.display()
    )]
    NoQuickForm {
        /// The study.
        config: PathBuf,
    },
    /// The system refused a step of preparing the runner.
    #[error("cannot prepare the runner: {step}: {source}; allow it, or raise the limits of this shell")]
    Prepare {
        /// The step.
        step: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
}

impl From<BundleError> for StudyError {
    fn from(error: BundleError) -> StudyError {
        match error {
            BundleError::Build(error) => StudyError::Build(error),
            other => StudyError::Bundle(other),
        }
    }
}

impl ExitStatus for StudyError {
    fn exit(&self) -> ShellCode {
        match self {
            StudyError::Config(error) => error.exit(),
            StudyError::Store(error) => error.exit(),
            StudyError::Build(error) => error.exit(),
            StudyError::Bundle(error) => error.exit(),
            StudyError::Benchmarks(error) => error.exit(),
            StudyError::Preflight(error) => error.exit(),
            StudyError::Run(error) => error.exit(),
            StudyError::Interrupted { .. } => ShellCode::Interrupted,
            StudyError::Shard(error) => error.exit(),
            StudyError::NoQuickForm { .. } => ShellCode::WrongCall,
            StudyError::Prepare { .. } => ShellCode::BadRuns,
        }
    }
}

/// Runs a study, or continues one.
///
/// # Errors
/// [`StudyError`]; what was recorded before is kept.
pub(crate) fn run(request: &Request, settings: &Settings) -> Result<Outcome, StudyError> {
    let mut study = config::load(&request.config)?;
    // Before anything is built.
    request.builds.iter().try_for_each(|_| bundle::supported(&study))?;
    let is_quick = request.form != Form::Whole && study.make_quick();
    let form = match request.form {
        _ if is_quick => Form::Quick,
        Form::Quick => return Err(StudyError::NoQuickForm { config: request.config.clone() }),
        Form::QuickIfAny => {
            note(&format!("{} has no [quick] table, so the whole study runs", request.config.display()));
            Form::Whole
        }
        Form::Whole => Form::Whole,
    };
    let request = &Request { form, ..request.clone() };
    setup("signal handlers", interrupt::install())?;
    let pinned = pinned::of(request.continued(), &study)?;
    benchmarks::complete(&mut study, settings.target_dir.as_deref(), &pinned)?;
    if !request.workloads.is_empty() {
        let gone = study.only(&request.workloads)?;
        if !gone.is_empty() {
            note(&format!("left out with the other workloads: {}", gone.join(", ")));
        }
    }
    if !request.factors.is_empty() || !request.cells.is_empty() {
        let gone = study.only_cells(&request.factors, &request.cells)?;
        if !gone.is_empty() {
            note(&format!("left out with the other cells: {}", gone.join(", ")));
        }
        let design = design::resolve(&study)?;
        for name in &request.cells {
            // Of all cells, so that the nearest name is found among those that are left out now.
            let all = design::resolve(&config::load(&request.config)?)?.plan;
            let known = all.cells.iter().flat_map(|cell| [cell.id.as_str(), cell.name.as_str()]);
            let is_there = design.plan.cells.iter().any(|cell| cell.id == *name || cell.name == *name);
            if !is_there {
                study.has("cell", name, known)?;
            }
        }
    }
    let outcome = run_loaded(study, request, settings)?;
    Ok(Outcome { is_quick, ..outcome })
}

/// Runs a study that was read already, or continues one.
///
/// # Errors
/// [`StudyError`]; what was recorded before is kept.
pub(crate) fn run_loaded(mut study: Study, request: &Request, settings: &Settings) -> Result<Outcome, StudyError> {
    let mut pinned = request.pinned.clone();
    pinned.extend(pinned::of(request.continued(), &study)?);
    benchmarks::complete(&mut study, settings.target_dir.as_deref(), &pinned)?;
    let bundle = request.builds.as_deref().map(|dir| Bundle::open(dir, &study)).transpose()?;
    let libraries = Bundle::find_peers(bundle.as_ref(), &mut study)?;
    for absent in &study.absent {
        let hint = if absent.hint.is_empty() { String::new() } else { format!("; {}", absent.hint) };
        note(&format!("peer {} is left out: {}{hint}", absent.peer, absent.why));
    }
    let mut design = design::resolve(&study)?;
    let workspace = Bundle::workspace(bundle.as_ref(), &study, settings.target_dir.as_deref(), &pinned)?;
    setup("signal handlers", interrupt::install())?;
    let (folder, earlier) = open(request, &study, &workspace)?;
    set_seed_and_blocks(request, &mut study, earlier.as_ref().map(|(manifest, _)| manifest), folder.dir())?;
    let shard = shard::here(request, study.seed, study.blocks)?;
    // Asking compiler and version control takes a tenth of a second, so it happens during the builds.
    let (machine, built) = std::thread::scope(|scope| {
        let machine = scope.spawn(|| machine::machine(&workspace.root));
        let built = Bundle::build_all(bundle.as_ref(), &study, &design.builds, &workspace, &folder.logs());
        (machine.join().unwrap_or_else(|_| machine::machine(&workspace.root)), built)
    });
    let built = built.map_err(|error| match StudyError::from(error) {
        StudyError::Build(BuildError::Interrupted) => {
            StudyError::Interrupted { dir: folder.dir().to_owned(), resume: resume::command(request, folder.dir()) }
        }
        error => error,
    })?;
    let beside = builds::beside(&workspace, &design.builds, &benchmarks::folder(&study, &workspace))?;
    let around = (&workspace, beside.as_ref());
    design.plan.remarks = benchmarks::compare(&study, &mut design, &built.records, around)?;
    design.plan.remarks.iter().for_each(|remark| note(remark));
    // After the builds, because a process that a compiler leaves behind, such as a cache server, must not be ended.
    setup("becoming the reaper of orphans", run::become_reaper())?;
    // Looking for instruments takes a third of a second, so a study without counting skips it.
    let probed = measure::probe_groups(if study.counting_repeats == 0 { &[] } else { &study.instruments });
    let mut manifest = manifest(&study, &design, built, machine, &probed);
    manifest.libraries = libraries;
    manifest.shard = shard;
    bundle.iter().for_each(|bundle| bundle.name_sources(&mut manifest.machine));
    let mut done: BTreeSet<Key> = BTreeSet::new();
    if let Some((before, keys)) = earlier {
        same::keep_responses(&mut study, &before.plan, &mut manifest.plan);
        same::same_study(&before, &manifest, folder.dir())?;
        manifest.started_unix_s = before.started_unix_s;
        manifest.machine = before.machine;
        // An adaptive study is complete with the blocks that it has.
        manifest.blocks = before.blocks.max(if request.is_open_ended() { 1 } else { study.blocks });
        done = keys;
    } else if request.is_open_ended() {
        manifest.blocks = 1;
    }
    let plan = manifest.plan.clone();
    let (builds, shard) = (manifest.builds.clone(), manifest.shard.clone());
    let mut context = Context {
        study: &study,
        plan: &plan,
        programs: &design.builds,
        builds: &builds,
        seed: study.seed,
        shard: shard.as_ref(),
        package: workspace.package.as_deref(),
        beside: beside.as_ref(),
        cpus: setup("choosing processors", Cpus::take())?,
        probed: &probed,
        block: Default::default(),
    };
    let (stopped, mut refused) = match request.stop_if.is_some_and(|is_enough| is_enough(&manifest)) {
        true => stops(&context)?,
        false => (false, false),
    };
    let outcome = |interrupted, closing| Outcome {
        dir: folder.dir().to_owned(),
        is_quick: false,
        stopped,
        interrupted,
        resume: resume::command(request, folder.dir()),
        closing,
    };
    if stopped {
        folder.write_manifest(&manifest)?;
        return Ok(outcome(false, Vec::new()));
    }
    let remaining = run::remaining(&context, manifest.blocks, &done);
    if remaining > 0 && !refused {
        let started = Instant::now();
        match run::preflight(&context)? {
            Some(found) => {
                found.suspicious.iter().for_each(|line| note(&format!("preflight: {line}")));
                found.settle(&mut manifest.plan);
                let known = if request.is_open_ended() { 0 } else { remaining };
                expected::tell(known, manifest.plan.cells.len(), started.elapsed());
            }
            None => refused = true,
        }
    }
    let settled = manifest.plan.clone();
    context.plan = &settled;
    // Written after the preflight, so that a refused study leaves a folder that can be used again.
    folder.write_manifest(&manifest)?;
    if refused {
        return Ok(outcome(true, Vec::new()));
    }
    let mut records = folder.records()?;
    let mut progress = Progress::start((!request.is_open_ended()).then_some(remaining));
    let mut session = Session::new(&mut records, &done, &mut progress);
    let mut end = run::counting(&context, &mut session)?;
    let mut closing = Vec::new();
    if end == End::Complete {
        match request.rule() {
            None => {
                end = match &request.until {
                    Some(until) => until.run(&context, &mut session, (&folder, &mut manifest))?,
                    None => until::all(&context, manifest.blocks, &mut session)?,
                }
            }
            Some(rule) => {
                let limit = request.blocks.unwrap_or(MAX_BLOCKS as u32);
                let watch = request.watch;
                let mut adaptive =
                    Adaptive { rule, watch, limit, folder: &folder, manifest: &mut manifest, done: &done };
                (end, closing) = adaptive.run(&context, &mut session)?;
            }
        }
    }
    progress.finish();
    Ok(outcome(end == End::Interrupted, closing))
}

/// Whether a study that needs no runs by its binaries needs none by the files that they read, and whether Ctrl-C was
/// pressed meanwhile.
fn stops(context: &Context<'_>) -> Result<(bool, bool), StudyError> {
    // A binary that is missing is known without runs.
    let is_built = context.builds.iter().all(|build| build.result.is_ok());
    let Some(beside) = context.beside.filter(|_| is_built) else { return Ok((true, false)) };
    match run::opened(context, &beside.differing()?)? {
        Opened::Nothing => return Ok((true, false)),
        Opened::Interrupted => return Ok((false, true)),
        Opened::File(name) => note(&format!("{name} differs between the revisions and is read at run time")),
        Opened::Unknown(why) => note(&format!("whether a file that differs is read at run time is not known: {why}")),
    }
    Ok((false, false))
}

fn setup<T>(step: &'static str, result: std::io::Result<T>) -> Result<T, StudyError> {
    result.map_err(|source| StudyError::Prepare { step, source })
}

type Earlier = (Manifest, BTreeSet<Key>);

fn open(request: &Request, study: &Study, workspace: &Workspace) -> Result<(Folder, Option<Earlier>), StudyError> {
    let dir = match &request.out {
        Some(dir) => dir.clone(),
        None => fresh(&workspace.target.join("ablate"), &study.name),
    };
    if !request.resume {
        let folder = Folder::create(&dir)?;
        return Ok((folder, None));
    }
    let folder = Folder::open(&dir)?;
    if !folder.has_study() {
        note(&format!("{}: the study was ended before its first run, so it begins again", dir.display()));
        return Ok((folder, None));
    }
    let manifest = ablate_format::read_manifest(&dir).map_err(StoreError::from)?;
    let mut done = BTreeSet::new();
    let read = ablate_format::read_records(&dir, |record| _ = done.insert(key(&record)));
    let bad_lines = read.map_err(StoreError::from)?;
    for bad in bad_lines {
        note(&format!("{}:{}: skipped: {}", dir.join(store::RECORDS).display(), bad.line, bad.why));
    }
    Ok((folder, Some((manifest, done))))
}

/// Sets seed and blocks: from the command line first, then from the resumed study, then from the config.
fn set_seed_and_blocks(
    request: &Request,
    study: &mut Study,
    before: Option<&Manifest>,
    dir: &Path,
) -> Result<(), StudyError> {
    if let Some(before) = before {
        if let Some(seed) = request.seed.filter(|seed| *seed != before.seed) {
            let what = format!("the study was started with seed {}, and --seed is {seed}", before.seed);
            return Err(StoreError::Differs { dir: dir.to_owned(), what }.into());
        }
        if let Some(blocks) = request.blocks.filter(|blocks| *blocks < before.blocks) {
            let started = counted(before.blocks as usize, "block");
            let what = format!("the study was started with {started}, and --blocks {blocks} is fewer");
            return Err(StoreError::Differs { dir: dir.to_owned(), what }.into());
        }
        study.seed = before.seed;
        study.blocks = before.blocks;
    }
    study.seed = request.seed.unwrap_or(study.seed);
    study.blocks = request.blocks.unwrap_or(study.blocks);
    Ok(())
}

fn manifest(study: &Study, design: &Design, built: Built, mut machine: Machine, probed: &measure::Probed) -> Manifest {
    if let config::Program::Cargo(program) = &study.subject.program
        && let config::Origin::Registry(version) = &program.origin
    {
        // A fetched package lies in a workspace whose commit is not that of its sources.
        machine.facts.insert("commit".to_owned(), None);
        machine.facts.insert("uncommitted-changes".to_owned(), None);
        machine.facts.insert("package".to_owned(), Some(format!("{} {version}", program.package)));
    }
    for (name, fact) in facts::NAMES.iter().zip(facts::of(study)) {
        if let Some(fact) = fact {
            machine.facts.insert((*name).to_owned(), Some(fact));
        }
    }
    if study.layouts > 1 {
        let why = built.one_layout.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        machine.facts.insert("layouts".to_owned(), Some(format!("{}{why}", built.layouts)));
    }
    let plan = StudyPlan { layouts: built.layouts, ..design.plan.clone() };
    Manifest {
        format: FORMAT,
        study: study.name.clone(),
        config_path: study.path.display().to_string(),
        config_text: study.text.clone(),
        command: call::command(),
        started_unix_s: unix_seconds(),
        seed: study.seed,
        blocks: study.blocks,
        counting_repeats: Some(study.counting_repeats),
        plan,
        builds: built.records,
        libraries: Vec::new(),
        machine,
        shard: None,
        shards: Vec::new(),
        machines: Vec::new(),
        instruments: probed.status.clone(),
    }
}
