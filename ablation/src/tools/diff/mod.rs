//! `cargo ablate diff`: builds two revisions, runs both in the same blocks, and says what changed.
//!
//! It is a study like any other, with the one factor `revision`: randomised blocks of fresh processes, the base against
//! itself as the placebo, several code layouts of each build, and blocks until the intervals are narrow enough. What it
//! adds is the choice of what to compare, and a verdict for each workload against the change that matters.

mod bisect;
mod chosen;
mod compare;
mod comparison;
mod error;
mod files;
mod options;
mod request;
mod resume;
mod sides;
mod subject;
mod targets;
mod text;

use crate::analyse::analyse_proven;
use crate::config::Study;
use crate::prove;
use crate::store;
use crate::study;
use crate::study::watch::{Stop, Watch};
use crate::support::files::hide_from_git;
use crate::support::progress::note;
use crate::support::settings::Settings;
use ablate_format::{Manifest, Record, Status};
pub(crate) use bisect::{Found, bisect};
use comparison::Verdict;
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
    compare_all(request, settings).map_err(|error| options::named(request, error))
}

fn compare_all(request: &Request, settings: &Settings) -> Result<End, DiffError> {
    if let Some(given) = &request.revisions {
        let sides = sides::named(given);
        chosen::exist(request, &[&sides.base, &sides.head])?;
    }
    let studies = subject::studies(request)?;
    let several = studies.len() > 1;
    let out = match (&request.out, studies.first()) {
        (None, Some(first)) if several => Some(resume::default_folder(&first.name, first, settings)?),
        (out, _) => out.clone(),
    };
    let folder =
        |study: &Study| out.as_ref().map(|dir| if several { dir.join(subject::name(study)) } else { dir.clone() });
    let folders: Vec<PathBuf> = studies.iter().filter_map(folder).collect();
    let begun = resume::begun(request, folders.iter().map(PathBuf::as_path), (BASE, HEAD))?;
    let goes_on = begun.is_some();
    let Some(first) = studies.first() else { return Err(DiffError::NoPackage) };
    let begun = begun.as_ref().map(|begun| (out.as_deref().unwrap_or(Path::new(".")), begun));
    let chosen = chosen::chosen(request, &subject::repository(first)?, begun)?;
    let goes = begun.map_or_else(String::new, |(dir, _)| format!("{} goes on with its revisions: ", dir.display()));
    note(&format!("{goes}comparing {} with {}", chosen.head.shown, chosen.base.shown));
    let sorted = targets::sorted(request, studies, &chosen, settings)?;
    let (base, head) = (chosen.base.shown.clone(), chosen.head.shown.clone());
    let mut comparison = Comparison { base, head, parts: Vec::new(), margin: request.margin };
    let (mut failures, mut unmatched) = (Vec::new(), None);
    let (margin, is_gate, stop) = (request.margin, request.is_gate, request.stop);
    let call_again = |dir: &Path| {
        // Without a manifest no folder has the revisions.
        let is_kept = folders.iter().map(PathBuf::as_path).chain([dir]).any(resume::is_begun);
        resume::command(dir, request.revisions.as_deref().filter(|_| is_kept))
    };
    let watch = Watch { margin, is_gate, stop, judge: compare::standings };
    for (mut study, verdict) in sorted.studies {
        let name = subject::name(&study);
        if let Some(verdict) = verdict {
            comparison.parts.push(Part::one_sided(name, verdict));
            continue;
        }
        study.compare_revisions(&[(BASE, &chosen.names.base), (HEAD, &chosen.names.head)]);
        subject::arrange(request, &mut study);
        if request.is_gate && request.stop != Stop::Never && comparison.gate() == Gate::Worse {
            // No other part can change the exit code.
            comparison.parts.push(Part::without(name, PathBuf::new(), PartEnd::NotRun));
            continue;
        }
        let dir = folder(&study);
        let call = study::Request {
            blocks: Some(request.blocks),
            resume: request.resume && (!several || !goes_on || dir.as_deref().is_some_and(resume::is_begun)),
            out: dir,
            budget: Some(request.budget),
            stop_if: Some(if request.stop == Stop::Never { does_not_build } else { needs_no_runs }),
            watch: Some(watch),
            pinned: chosen.pinned(),
            ..study::Request::of(study.path.clone())
        };
        // Else its records would be a change of the repository, and part of the next worktree that is compared.
        request.out.iter().for_each(|dir| hide_from_git(dir));
        let outcome = match study::run_loaded(study.clone(), &call, settings)
            .map_err(|error| options::failed(request, &study, error))
        {
            Ok(outcome) => outcome,
            Err(error) if error.is_interrupted() => {
                match out.as_deref().filter(|dir| dir.exists()).or(error.interrupted_in()) {
                    Some(dir) => return Ok(End::Interrupted(call_again(dir))),
                    None => return Err(error),
                }
            }
            Err(error) if several && error.is_no_match() => {
                // Another target has what the filter selects.
                note(&format!("{name} has no benchmark that the filter matches, so it is left out"));
                unmatched = Some(error);
                continue;
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
            let dir = out.as_deref().unwrap_or(&outcome.dir);
            return Ok(End::Interrupted(call_again(dir)));
        }
        comparison.parts.push(part(name, &outcome, request.margin)?);
    }
    comparison.parts.extend(sorted.gone.into_iter().map(|(name, verdict)| Part::one_sided(name, verdict)));
    let is_one_sided = comparison.parts.iter().all(|part| part.end == PartEnd::OneSided);
    match (failures.pop(), unmatched) {
        // Nothing was measured, so there is nothing to show.
        (Some(error), _) if failures.len() + 1 == comparison.parts.len() => Err(error),
        (None, Some(error)) if is_one_sided => Err(error),
        _ => Ok(End::Complete(comparison)),
    }
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
fn part(name: String, outcome: &study::Outcome, margin: f64) -> Result<Part, DiffError> {
    let (manifest, records, _) = store::read_judged(&outcome.dir)?;
    if let Some(why) = failure(&manifest) {
        return Ok(Part::without(name, outcome.dir.clone(), PartEnd::Failed(why)));
    }
    let (mut records, _) = store::whole_blocks(&manifest, records);
    prove::prove_together(&manifest.plan, &mut records);
    let analysis = analyse_proven(&manifest, &records);
    let bad = records.iter().filter(|record| record.status != Status::Ok).count();
    let (end, mut rows) = match outcome.stopped {
        true => (PartEnd::Identical, compare::identical(&manifest)),
        false => (PartEnd::Run, compare::compare(&manifest, &analysis, margin)),
    };
    if rows.iter().any(|row| row.verdict == Verdict::Invalid) {
        let mut failed = Vec::new();
        let keep = |record: Record| failed.extend(Some(record).filter(|record| record.status != Status::Ok));
        ablate_format::read_records(&outcome.dir, keep).map_err(store::StoreError::from)?;
        compare::add_failures(&manifest.plan, &failed, &mut rows);
    }
    Ok(Part {
        name,
        dir: outcome.dir.clone(),
        end,
        rows,
        outlook: outcome.closing.first().cloned(),
        outputs: prove::outputs::remarks(&manifest.plan, &records),
        blocks: manifest.blocks,
        layouts: manifest.plan.layouts,
        runs: (records.len(), bad),
    })
}

#[cfg(test)]
mod tests;
