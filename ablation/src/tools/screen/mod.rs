//! `cargo ablate screen`: which of many factors matter, and how these interact.
//!
//! Two studies in one folder. The screen has every factor in a folded-over design and is looked at after 2, 4, 8, …
//! blocks; factors whose interval lies within the margin are dropped. The clean stage has the others in a design that
//! tells main effects and interactions of two factors apart, on blocks of its own, and every claim is made from these.

mod cells;
mod claims;
mod decide;
mod error;
mod progress;
mod proof;
mod scale;
mod stages;
mod text;

use crate::analyse::{analyse_proven, blockwise};
use crate::benchmarks;
use crate::builds;
use crate::config::{self, Study};
use crate::prove::{self, JudgedRun};
use crate::report::{self, Screen};
use crate::store::{self, StoreError};
use crate::study::until::Until;
use crate::study::{self, StudyError};
use crate::support::call::{self, PROGRAM, quoted};
use crate::support::count::counted;
use crate::support::files::{self, hide_from_git};
use crate::support::progress::note;
use crate::support::settings::Settings;
use crate::support::studies::fresh;
use ablate_format::{Asked, FORMAT, MANIFEST, Manifest, SCREENING, Screening};
use ablate_stats::sequential;
pub(crate) use error::ScreenError;
pub(crate) use stages::MOST_PAIRED;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Folder of the screen, in that of the screening.
const SCREEN: &str = "screen";
/// Folder of the clean stage.
const CLEAN: &str = "clean";
/// The report for people, in Markdown.
const REPORT: &str = "screening.md";
/// Probability of dropping a factor that matters, and of a false claim.
const ERROR: f64 = 0.05;

/// A screening to make.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The study, a TOML file.
    pub(crate) config: PathBuf,
    /// Effects within ± this many percent of the baseline are negligible.
    pub(crate) margin: Option<f64>,
    /// Whether effects are ratios instead of differences.
    pub(crate) ratios: bool,
    /// Factors to screen; empty: all.
    pub(crate) factors: Vec<String>,
    /// Workloads to run; empty: all.
    pub(crate) workloads: Vec<String>,
    /// Blocks of the clean stage, instead of the config's.
    pub(crate) blocks: Option<u32>,
    /// Most blocks of the screen, instead of the config's.
    pub(crate) screen_blocks: Option<u32>,
    /// Most factors whose interactions the clean stage estimates.
    pub(crate) pairs_up_to: Option<u32>,
    /// Seed of the random orders, instead of the config's.
    pub(crate) seed: Option<u64>,
    /// Folder for the results; must be empty or new. Default: target/ablate/STUDY-screen-TIME.
    pub(crate) out: Option<PathBuf>,
    /// Go on with the screening in `out`.
    pub(crate) resume: bool,
}

/// Margin in percent, unless another one is asked for.
const MARGIN: f64 = 1.0;

/// How a screening ended.
#[derive(Debug)]
pub(crate) enum End {
    /// It is complete.
    Complete(Told),
    /// Ctrl-C was pressed; the command continues it.
    Interrupted(String),
}

/// What is told of a screening.
#[derive(Debug)]
pub(crate) struct Told {
    /// Its text for the terminal, or `screening.json`.
    pub(crate) text: String,
    /// Whether every timed run of both stages is proven.
    pub(crate) is_proven: bool,
    /// Why its intervals are not the last ones; `None` when both stages are complete.
    pub(crate) preliminary: Option<String>,
}

/// Makes a screening, or continues one.
///
/// # Errors
/// [`ScreenError`]; what was recorded before is kept.
pub(crate) fn run(request: &Request, settings: &Settings) -> Result<End, ScreenError> {
    let request = &with_names(request)?;
    let mut study = config::load(&request.config)?;
    benchmarks::complete(&mut study, settings.target_dir.as_deref(), &Default::default())?;
    if !request.workloads.is_empty() {
        study.only(&request.workloads)?;
    }
    let factors = stages::factors(&study, &request.factors)?;
    let first = stages::screen(&study, &factors)?;
    let dir = match &request.out {
        Some(dir) => dir.clone(),
        None => {
            let workspace = builds::workspace_with(&first, settings.target_dir.as_deref(), &Default::default())?;
            fresh(&workspace.target.join("ablate"), &format!("{}-{SCREEN}", study.name))
        }
    };
    let mut screening = begin(request, &study, factors, &dir)?;
    note(&described(&screening.asked, &first));
    let until = until(&screening.asked, &dir);
    let was_interrupted = stage(&first, &dir.join(SCREEN), Some(until), &screening.asked, settings)?;
    if was_interrupted {
        return Ok(End::Interrupted(resume_command(request, &dir)));
    }
    read_screen(&mut screening, &dir)?;
    write(&screening, &dir)?;
    let kept: Vec<String> = kept(&screening);
    if !kept.is_empty() {
        let second = stages::clean(&study, &kept, screening.asked.pairs_up_to)?;
        note(&format!(
            "the screen keeps {} of {}: {}",
            kept.len(),
            counted(first.crossed.len(), "factor"),
            kept.join(", ")
        ));
        let was_interrupted = stage(&second, &dir.join(CLEAN), None, &screening.asked, settings)?;
        if was_interrupted {
            return Ok(End::Interrupted(resume_command(request, &dir)));
        }
        read_clean(&mut screening, &dir)?;
    }
    let text = finish(&screening, &dir, settings)?;
    for stage in stages(&dir) {
        let (manifest, runs) = read(&stage)?;
        report::write(&stage, &manifest, &runs, Screen::Tables, settings.columns)?;
    }
    Ok(End::Complete(told(&screening, text)))
}

fn told(screening: &Screening, text: String) -> Told {
    let unproven = screening.screen.as_ref().map_or(0, |screen| screen.unproven);
    let is_proven = unproven + screening.clean.as_ref().map_or(0, |clean| clean.unproven) == 0;
    Told { text, is_proven, preliminary: progress::preliminary(screening) }
}

/// Whether a folder is that of a screening.
pub(crate) fn is_screening(dir: &Path) -> bool {
    dir.join(SCREENING).is_file()
}

/// The folders of the stages that have begun: each is a study of its own.
pub(crate) fn stages(dir: &Path) -> Vec<PathBuf> {
    [SCREEN, CLEAN].iter().map(|stage| dir.join(stage)).filter(|stage| stage.join(MANIFEST).is_file()).collect()
}

/// Reads the stages of a screening again, writes its report, and returns what is told of it: `screening.json` where `is_json`
/// is set.
///
/// # Errors
/// [`ScreenError`].
pub(crate) fn report_again(dir: &Path, is_json: bool, settings: &Settings) -> Result<Told, ScreenError> {
    let mut screening = ablate_format::read_screening(dir).map_err(StoreError::from)?;
    if dir.join(SCREEN).join(MANIFEST).is_file() {
        read_screen(&mut screening, dir)?;
    }
    // Its factors are fixed when the clean stage begins.
    if dir.join(CLEAN).join(MANIFEST).is_file() {
        read_clean(&mut screening, dir)?;
    }
    let text = finish(&screening, dir, settings)?;
    Ok(told(&screening, if is_json { json(&screening) } else { text }))
}

/// The request with the names of the screening that it continues, where it gives none.
fn with_names(request: &Request) -> Result<Request, ScreenError> {
    let mut request = request.clone();
    let Some(dir) = request.out.as_deref().filter(|dir| request.resume && is_screening(dir)) else {
        return Ok(request);
    };
    let Asked { factors, workloads, .. } = ablate_format::read_screening(dir).map_err(StoreError::from)?.asked;
    if request.factors.is_empty() {
        request.factors = factors;
    }
    if request.workloads.is_empty() {
        request.workloads = workloads;
    }
    Ok(request)
}

/// Writes what is asked for before anything runs, or reads it.
fn begin(request: &Request, study: &Study, factors: Vec<String>, dir: &Path) -> Result<Screening, ScreenError> {
    let asked = |before: Option<&Asked>| {
        let most = request.screen_blocks.unwrap_or(study.blocks).max(2);
        let looks = sequential::looks(most as usize).into_iter().map(|look| look as u32).collect();
        Asked {
            factors,
            workloads: study.workloads.iter().map(|workload| workload.name.clone()).collect(),
            margin_percent: request.margin.or(before.map(|asked| asked.margin_percent)).unwrap_or(MARGIN),
            ratios: request.ratios || before.is_some_and(|asked| asked.ratios),
            error: ERROR,
            looks: match before.filter(|_| request.screen_blocks.is_none()) {
                Some(asked) => asked.looks.clone(),
                None => looks,
            },
            clean_blocks: request.blocks.or(before.map(|asked| asked.clean_blocks)).unwrap_or(study.blocks),
            pairs_up_to: request.pairs_up_to.or(before.map(|asked| asked.pairs_up_to)).unwrap_or(MOST_PAIRED),
            seed: request.seed.or(before.map(|asked| asked.seed)).unwrap_or(study.seed),
        }
    };
    if request.resume {
        if !is_screening(dir) {
            return Err(ScreenError::NoScreening { dir: dir.to_owned() });
        }
        let screening = ablate_format::read_screening(dir).map_err(StoreError::from)?;
        let now = asked(Some(&screening.asked));
        return match differs(&screening.asked, &now) {
            Some((before, now)) => Err(ScreenError::Differs { dir: dir.to_owned(), before, now }),
            None => Ok(screening),
        };
    }
    let is_empty = |dir: &Path| match std::fs::read_dir(dir) {
        Ok(entries) => entries.filter_map(Result::ok).all(|entry| entry.file_name() == files::HIDDEN),
        Err(_) => !dir.exists(),
    };
    if dir.is_file() {
        return Err(StoreError::BadOut { dir: dir.to_owned() }.into());
    }
    if !is_empty(dir) {
        return Err(ScreenError::NotEmpty { dir: dir.to_owned() });
    }
    hide_from_git(dir);
    std::fs::create_dir_all(dir).map_err(|source| io(dir, "creating the folder", source))?;
    let screening = Screening {
        format: FORMAT,
        study: study.name.clone(),
        config_path: study.path.display().to_string(),
        command: call::command(),
        asked: asked(None),
        screen: None,
        clean: None,
    };
    write(&screening, dir)?;
    Ok(screening)
}

/// The first thing in which two requests differ, in words: of the first, and of the second.
fn differs(before: &Asked, now: &Asked) -> Option<(String, String)> {
    let pairs = [
        ("the factors", before.factors.join(", "), now.factors.join(", ")),
        ("the workloads", before.workloads.join(", "), now.workloads.join(", ")),
        ("--margin", before.margin_percent.to_string(), now.margin_percent.to_string()),
        ("--ratios", before.ratios.to_string(), now.ratios.to_string()),
        ("--screen-blocks", format!("{:?}", before.looks.last()), format!("{:?}", now.looks.last())),
        ("--blocks", before.clean_blocks.to_string(), now.clean_blocks.to_string()),
        ("--pairs-up-to", before.pairs_up_to.to_string(), now.pairs_up_to.to_string()),
        ("--seed", before.seed.to_string(), now.seed.to_string()),
    ];
    let (name, before, now) = pairs.into_iter().find(|(_, before, now)| before != now)?;
    let plain = |text: String| text.trim_start_matches("Some(").trim_end_matches(')').to_owned();
    Some((format!("{name} {}", plain(before)), plain(now)))
}

/// What is about to run, in a sentence.
fn described(asked: &Asked, first: &Study) -> String {
    let cells = crate::design::folded_cells(asked.factors.len());
    let most = asked.looks.last().copied().unwrap_or(0);
    format!(
        "screening {} in {cells} cells × {} × at most {}; then those that matter by ± {} % in a clean stage of {}",
        counted(asked.factors.len(), "factor"),
        counted(first.workloads.len(), "workload"),
        counted(most as usize, "block"),
        asked.margin_percent,
        counted(asked.clean_blocks as usize, "block"),
    )
}

/// When the screen is over.
fn until(asked: &Asked, dir: &Path) -> Until {
    let (looks, asked, dir) = (asked.looks.clone(), asked.clone(), dir.join(SCREEN));
    let is_over = move |manifest: &Manifest, runs: &[JudgedRun], blocks: u32| {
        // What cannot be decided ends the screen, and reading it again tells why.
        let decided = decide::decide(&asked, manifest, runs, blocks, &dir);
        decided.map_or(Some("a cell has no runs that count".to_owned()), |decided| decided.over)
    };
    Until { looks, is_over: Arc::new(is_over) }
}

/// Runs a stage, or continues it; returns whether Ctrl-C ended it, or the builds before it.
fn stage(
    study: &Study,
    dir: &Path,
    until: Option<Until>,
    asked: &Asked,
    settings: &Settings,
) -> Result<bool, ScreenError> {
    let call = study::Request {
        blocks: until.is_none().then_some(asked.clean_blocks),
        seed: Some(asked.seed),
        resume: dir.join(MANIFEST).is_file(),
        out: Some(dir.to_owned()),
        until,
        ..study::Request::of(study.path.clone())
    };
    match study::run_loaded(study.clone(), &call, settings) {
        Err(StudyError::Interrupted { .. }) => Ok(true),
        outcome => Ok(outcome?.interrupted),
    }
}

/// Manifest and runs of a stage, without those of an unfinished block.
fn read(dir: &Path) -> Result<(Manifest, Vec<JudgedRun>), ScreenError> {
    let (manifest, runs, _) = store::read_judged(dir)?;
    let (mut runs, _) = store::whole_blocks(&manifest, runs);
    prove::prove_together(&manifest.plan, &mut runs);
    Ok((manifest, runs))
}

fn read_screen(screening: &mut Screening, dir: &Path) -> Result<(), ScreenError> {
    let dir = dir.join(SCREEN);
    let (manifest, runs) = read(&dir)?;
    let blocks = runs.iter().filter(|run| run.pass == ablate_format::Pass::Timing).map(|run| run.block + 1).max();
    screening.screen = match blocks {
        Some(blocks) if screening.asked.looks.first().is_some_and(|first| *first <= blocks) => {
            let mut result = decide::decide(&screening.asked, &manifest, &runs, blocks, &dir)?.result;
            proof::of_screen(&mut result, &manifest, &runs);
            Some(result)
        }
        _ => None,
    };
    Ok(())
}

fn read_clean(screening: &mut Screening, dir: &Path) -> Result<(), ScreenError> {
    let folder = dir.join(CLEAN);
    let (manifest, runs) = read(&folder)?;
    let (Some(screen), true) = (&screening.screen, runs.iter().any(|run| run.pass == ablate_format::Pass::Timing))
    else {
        screening.clean = None;
        return Ok(());
    };
    let analysis = analyse_proven(&manifest, &runs);
    let values = blockwise(&manifest, &runs);
    let timed = runs.iter().filter(|run| run.pass == ablate_format::Pass::Timing);
    let (sum, count) = timed.fold((0.0, 0_u64), |(sum, count), run| (sum + run.wall_ns as f64 / 1e9, count + 1));
    let seconds = sum / count.max(1) as f64;
    let result = claims::claims(&screening.asked, &manifest, (&analysis, &values, &runs), (screen, seconds), &folder)?;
    screening.clean = Some(result);
    Ok(())
}

/// The factors that the screen keeps.
fn kept(screening: &Screening) -> Vec<String> {
    let factors = screening.screen.iter().flat_map(|screen| &screen.factors);
    factors.filter(|factor| factor.kept).map(|factor| factor.factor.clone()).collect()
}

/// Writes both files, and returns the text for a terminal.
fn finish(screening: &Screening, dir: &Path, settings: &Settings) -> Result<String, ScreenError> {
    write(screening, dir)?;
    let document = text::document(screening, dir);
    let path = dir.join(REPORT);
    files::replace(&path, document.markdown().as_bytes()).map_err(|source| io(&path, "writing", source))?;
    Ok(format!("{}\nresults: {}\n", document.terminal(settings.columns).trim_end(), path.display()))
}

fn write(screening: &Screening, dir: &Path) -> Result<(), ScreenError> {
    let path = dir.join(SCREENING);
    files::replace(&path, json(screening).as_bytes()).map_err(|source| io(&path, "writing", source))
}

fn json(screening: &Screening) -> String {
    serde_json::to_string_pretty(screening).expect("the keys are text, so that it is always JSON") + "\n"
}

fn io(path: &Path, doing: &'static str, source: std::io::Error) -> ScreenError {
    ScreenError::Io { path: path.to_owned(), doing, source }
}

/// The command that continues a screening. What it was asked for is in its folder.
fn resume_command(request: &Request, dir: &Path) -> String {
    format!("{PROGRAM} screen {} --out {} --resume", quoted(&request.config), quoted(dir))
}
