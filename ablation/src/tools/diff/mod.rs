//! `cargo ablate diff`: builds two revisions, runs both in the same blocks, and says what changed.
//!
//! It is a study like any other, with the one factor `revision`: randomised blocks of fresh processes, the base against
//! itself as the placebo, several code layouts of each build, and blocks until the intervals are narrow enough. What it
//! adds is the choice of what to compare, and a verdict for each workload against the change that matters.

mod bisect;
mod compare;
mod comparison;
mod error;
mod files;
mod request;
mod resume;
mod sides;
mod subject;
mod text;

use crate::analyse::analyse_proven;
use crate::builds::revisions;
use crate::config::Study;
use crate::prove;
use crate::run::PreflightError;
use crate::store;
use crate::study::watch::{Stop, Watch};
use crate::study::{self, StudyError};
use crate::support::files::hide_from_git;
use crate::support::nearest::suggestion;
use crate::support::progress::note;
use crate::support::settings::Settings;
use ablate_format::{CellKind, Manifest};
pub(crate) use bisect::{Found, bisect};
pub(crate) use comparison::{Comparison, Gate, Part, PartEnd};
pub(crate) use error::DiffError;
pub(crate) use files::{Format, annotations, to_text, write};
pub(crate) use request::Request;
use std::path::{Path, PathBuf};
pub(crate) use text::terminal;

/// Level of the revision that is compared with.
const BASE: &str = "base";
/// Level of the one that is judged.
const HEAD: &str = "head";

/// How a comparison ended.
#[derive(Debug)]
pub(crate) enum End {
    /// It is complete.
    Complete(Comparison),
    /// Ctrl-C was pressed; the command continues it.
    Interrupted(String),
}

/// Makes a comparison.
///
/// # Errors
/// [`DiffError`]; what was recorded before is kept.
pub(crate) fn run(request: &Request, settings: &Settings) -> Result<End, DiffError> {
    let mut studies = subject::studies(request)?;
    let several = studies.len() > 1;
    let out = match (&request.out, studies.first()) {
        (None, Some(first)) if several => Some(resume::default_folder(&first.name, first, settings)?),
        (out, _) => out.clone(),
    };
    let folder =
        |study: &Study| out.as_ref().map(|dir| if several { dir.join(subject::name(study)) } else { dir.clone() });
    let folders: Vec<PathBuf> = studies.iter().filter_map(folder).collect();
    let mut begun = resume::begun(request, folders.iter().map(PathBuf::as_path), (BASE, HEAD))?;
    let goes_on = begun.is_some();
    let mut comparison =
        Comparison { base: String::new(), head: String::new(), parts: Vec::new(), margin: request.margin };
    let mut failures = Vec::new();
    let (margin, is_gate, stop) = (request.margin, request.is_gate, request.stop);
    let watch = Watch { margin, is_gate, stop, judge: compare::standings };
    for study in &mut studies {
        // All parts are of the same commits, also where a branch moves or a file changes meanwhile.
        let sides = match &begun {
            Some(begun) => sides::Sides { base: begun.base.commit.clone(), head: begun.head.commit.clone() },
            None => sides_of(request, study)?,
        };
        study.compare_revisions(&[(BASE, &sides.base), (HEAD, &sides.head)]);
        subject::arrange(request, study);
        if comparison.parts.is_empty() {
            note(&format!("comparing {} with {}", sides.head, sides.base));
        }
        let name = subject::name(study);
        if request.is_gate && request.stop != Stop::Never && comparison.gate() == Gate::Worse {
            // No other part can change the exit code.
            comparison.parts.push(Part::without(name, PathBuf::new(), PartEnd::NotRun));
            continue;
        }
        let dir = folder(study);
        let call = study::Request {
            blocks: Some(request.blocks),
            resume: request.resume && (!several || !goes_on || dir.as_deref().is_some_and(resume::is_begun)),
            out: dir,
            budget: Some(request.budget),
            stop_if: Some(if request.stop == Stop::Never { does_not_build } else { needs_no_runs }),
            watch: Some(watch),
            pinned: begun.as_ref().map(resume::Begun::pinned).unwrap_or_default(),
            ..study::Request::of(study.path.clone())
        };
        // Else its records would be a change of the repository, and part of the next worktree that is compared.
        request.out.iter().for_each(|dir| hide_from_git(dir));
        let outcome =
            match study::run_loaded(study.clone(), &call, settings).map_err(|error| failed(request, study, error)) {
                Ok(outcome) => outcome,
                Err(error) if error.is_interrupted() && !comparison.parts.is_empty() => {
                    return Ok(End::Interrupted(resume::command(out.as_deref().unwrap_or(Path::new("")))));
                }
                Err(error) if several && error.is_of_a_revision() => {
                    note(&format!("{name} is left out: {error}"));
                    let end = PartEnd::Failed(error.to_string());
                    comparison.parts.push(Part::without(name, call.out.unwrap_or_default(), end));
                    failures.push(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
        if outcome.interrupted {
            return Ok(End::Interrupted(resume::command(out.as_deref().unwrap_or(&outcome.dir))));
        }
        let (manifest, part) = part(name, &outcome, request.margin)?;
        (comparison.base, comparison.head) = named(&manifest);
        begun = begun.or_else(|| resume::Begun::of(&manifest, BASE, HEAD));
        comparison.parts.push(part);
    }
    match failures.pop() {
        // Nothing was measured, so there is nothing to show.
        Some(error) if failures.len() + 1 == comparison.parts.len() => Err(error),
        _ => Ok(End::Complete(comparison)),
    }
}

fn sides_of(request: &Request, study: &Study) -> Result<sides::Sides, DiffError> {
    let repository = subject::repository(study)?;
    let sides = sides::sides(&repository, request.revisions.as_deref())?;
    for name in [&sides.base, &sides.head] {
        if revisions::resolve(&repository, name)?.is_none() {
            let branches = revisions::git(&repository, &["for-each-ref", "--format=%(refname:short)"])?;
            let one = name.split("...").next().unwrap_or(name);
            let hint = suggestion(one, branches.lines().chain([revisions::WORKTREE, "HEAD"]));
            return Err(DiffError::Unknown { what: format!("revision `{name}`"), hint });
        }
    }
    Ok(sides)
}

/// Whether runs would say nothing: a revision has no binary, or all have the same one.
fn needs_no_runs(manifest: &Manifest) -> bool {
    failure(manifest).is_some() || are_identical(manifest)
}

/// Whether a revision has no binary.
fn does_not_build(manifest: &Manifest) -> bool {
    failure(manifest).is_some()
}

/// Why a revision has no binary.
fn failure(manifest: &Manifest) -> Option<String> {
    let failed = manifest.builds.iter().find_map(|build| Some((build, build.result.as_ref().err()?)));
    failed.map(|(build, failure)| {
        let revision = build.settings.get("revision").map_or(build.id.as_str(), String::as_str);
        format!("{revision} does not build: {}; log: {}", failure.message, failure.log)
    })
}

/// Whether all builds are the same file, so that every difference would be noise.
fn are_identical(manifest: &Manifest) -> bool {
    let hash = |id: &str| -> Option<&str> {
        let build = manifest.builds.iter().find(|build| build.id == id)?;
        Some(build.result.as_ref().ok()?.code())
    };
    let mut hashes = manifest.plan.cells.iter().map(|cell| hash(&cell.build));
    let first = hashes.next().flatten();
    first.is_some() && hashes.all(|other| other == first)
}

/// What a study says about both revisions.
fn part(name: String, outcome: &study::Outcome, margin: f64) -> Result<(Manifest, Part), DiffError> {
    let (manifest, records, _) = store::read_judged(&outcome.dir)?;
    if let Some(why) = failure(&manifest) {
        return Ok((manifest, Part::without(name, outcome.dir.clone(), PartEnd::Failed(why))));
    }
    let (mut records, _) = store::whole_blocks(&manifest, records);
    prove::prove_together(&manifest.plan, &mut records);
    let analysis = analyse_proven(&manifest, &records);
    let bad = records.iter().filter(|record| record.status != ablate_format::Status::Ok).count();
    let (end, rows) = match outcome.stopped {
        true => (PartEnd::Identical, compare::identical(&manifest)),
        false => (PartEnd::Run, compare::compare(&manifest, &analysis, margin)),
    };
    let part = Part {
        name,
        dir: outcome.dir.clone(),
        end,
        rows,
        outlook: outcome.closing.first().cloned(),
        outputs: prove::outputs::remarks(&manifest.plan, &records),
        blocks: manifest.blocks,
        layouts: manifest.plan.layouts,
        runs: (records.len(), bad),
    };
    Ok((manifest, part))
}

/// Base and head for people.
fn named(manifest: &Manifest) -> (String, String) {
    let shown = |kind| {
        let cell = manifest.plan.cells.iter().find(|cell| cell.kind == kind)?;
        let build = manifest.builds.iter().find(|build| build.id == cell.build)?;
        build.settings.get("revision").cloned()
    };
    (shown(CellKind::Baseline).unwrap_or_default(), shown(CellKind::Treatment).unwrap_or_default())
}

/// The error of a study, with the way out where a binary may have wanted arguments.
fn failed(request: &Request, study: &Study, error: StudyError) -> DiffError {
    let is_binary = request.config.is_none() && study.subject.harness.is_none();
    match error {
        StudyError::Preflight(PreflightError::AllFailed { .. }) if is_binary && request.args.is_empty() => {
            let call = shell_words::join(crate::support::call::command());
            DiffError::NoArguments { binary: subject::name(study), call, error: Box::new(error) }
        }
        other => other.into(),
    }
}

#[cfg(test)]
mod tests;
