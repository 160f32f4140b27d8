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
use ablate_format::Manifest;
pub(crate) use bisect::{Found, bisect};
pub(crate) use comparison::{Comparison, Gate, Part, PartEnd};
pub(crate) use error::DiffError;
pub(crate) use files::{Format, annotations, to_text, write};
pub(crate) use request::Request;
use std::path::{Path, PathBuf};
pub(crate) use text::terminal;

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
    let mut out = Comparison { base: String::new(), head: String::new(), parts: Vec::new(), margin: request.margin };
    let (margin, is_gate, stop) = (request.margin, request.is_gate, request.stop);
    let watch = Watch { margin, is_gate, stop, judge: compare::standings };
    for study in &mut studies {
        let sides = sides_of(request, study)?;
        study.compare_revisions(&[("base", &sides.base), ("head", &sides.head)]);
        subject::arrange(request, study);
        if out.base.is_empty() {
            note(&format!("comparing {} with {}", sides.head, sides.base));
        }
        let name = subject::name(study);
        if request.is_gate && request.stop != Stop::Never && out.gate() == Gate::Worse {
            // No other part can change the exit code.
            out.parts.push(not_run(name));
            continue;
        }
        let call = study::Request {
            blocks: Some(request.blocks),
            out: request.out.as_ref().map(|dir| if several { dir.join(&name) } else { dir.clone() }),
            resume: request.resume && request.out.as_ref().is_some_and(|dir| !several || dir.join(&name).exists()),
            budget: Some(request.budget),
            stop_if: Some(are_identical),
            watch: Some(watch),
            ..study::Request::of(study.path.clone())
        };
        // Else its records would be a change of the repository, and part of the next worktree that is compared.
        request.out.iter().for_each(|dir| hide_from_git(dir));
        let outcome =
            study::run_loaded(study.clone(), &call, settings).map_err(|error| failed(request, study, error))?;
        if outcome.interrupted {
            return Ok(End::Interrupted(resume_command(request.out.as_deref().unwrap_or(&outcome.dir))));
        }
        let (part, base, head) = part(name, &outcome, request.margin)?;
        (out.base, out.head) = (base, head);
        out.parts.push(part);
    }
    Ok(End::Complete(out))
}

fn sides_of(request: &Request, study: &Study) -> Result<sides::Sides, DiffError> {
    let folder = subject::sources(study)?;
    let repository = revisions::top(&folder).ok_or(DiffError::NoRepository { folder })?;
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

/// What a study says about both revisions, and their names.
fn part(name: String, outcome: &study::Outcome, margin: f64) -> Result<(Part, String, String), DiffError> {
    let (manifest, records, _) = store::read_judged(&outcome.dir)?;
    let (mut records, _) = store::whole_blocks(&manifest, records);
    prove::prove_together(&manifest.plan, &mut records);
    let analysis = analyse_proven(&manifest, &records);
    let bad = records.iter().filter(|record| record.status != ablate_format::Status::Ok).count();
    let shown = |id: Option<&str>| {
        let build = manifest.builds.iter().find(|build| Some(build.id.as_str()) == id);
        build.and_then(|build| build.settings.get("revision")).cloned().unwrap_or_default()
    };
    let of = |kind| manifest.plan.cells.iter().find(|cell| cell.kind == kind).map(|cell| cell.build.as_str());
    let (base, head) = (of(ablate_format::CellKind::Baseline), of(ablate_format::CellKind::Treatment));
    let (base, head) = (shown(base), shown(head));
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
    Ok((part, base, head))
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

/// A part that cannot change the exit code any more.
fn not_run(name: String) -> Part {
    let (rows, outputs, outlook) = (Vec::new(), Vec::new(), None);
    Part {
        name,
        dir: PathBuf::new(),
        end: PartEnd::NotRun,
        rows,
        outputs,
        outlook,
        blocks: 0,
        layouts: 0,
        runs: (0, 0),
    }
}

/// The command that continues a comparison.
fn resume_command(dir: &Path) -> String {
    let mut words: Vec<String> = crate::support::call::command();
    // What follows belongs to the program.
    let own = words.split_off(words.iter().position(|word| word == "--").unwrap_or(words.len()));
    words.retain(|word| word != "--resume");
    let has_out = words.iter().any(|word| word == "--out" || word.starts_with("--out="));
    if !has_out {
        words.extend(["--out".to_owned(), dir.display().to_string()]);
    }
    words.push("--resume".to_owned());
    shell_words::join(words.iter().chain(&own))
}

#[cfg(test)]
mod tests;
