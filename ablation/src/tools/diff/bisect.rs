//! `cargo ablate bisect`: the commit after which a program is worse.
//!
//! Every step is a comparison of three commits in the same blocks: the good one, the bad one, and one between. The one
//! between belongs to the nearer side. A step whose interval does not tell them apart goes on with twice the time. The
//! confidence of all steps together is 95 %, because each has 1 − 0.05 / steps (Bonferroni).

use super::chosen::{exist, resolved};
use super::compare;
use super::comparison::Verdict;
use super::error::DiffError;
use super::options;
use super::request::Request;
use super::resume;
use super::subject;
use crate::analyse::{Analysis, analyse_proven};
use crate::builds::BuildError;
use crate::builds::revisions::git;
use crate::config::Study;
use crate::prove;
use crate::store;
use crate::study;
use crate::study::rule::{Budget, HalfWidth};
use crate::study::watch::{Stop, Watch};
use crate::support::files::hide_from_git;
use crate::support::progress::note;
use crate::support::settings::Settings;
use ablate_format::Manifest;
use std::path::Path;

/// Levels of the commits of a step.
const GOOD: &str = "good";
const BAD: &str = "bad";
const BETWEEN: &str = "between";

/// A step that is undecided is continued at most so often, each time with twice the time.
const CONTINUED: u32 = 3;

/// Where a search ended.
#[derive(Debug)]
pub(crate) enum Found {
    /// The first commit that is worse, with its title.
    Commit(String),
    /// It is one of these, oldest first: what lies between could not be built or not be told apart.
    OneOf(Vec<String>),
    /// The good and the bad commit do not differ by the margin or more.
    NoChange(String),
    /// Whether they differ by that is not known.
    Unknown(String),
    /// One of the ends cannot be built, so there is nothing to compare the others with.
    NotBuilt {
        /// Its name in the call.
        commit: String,
        /// First error line.
        message: String,
        /// Path of the log.
        log: String,
    },
    /// Ctrl-C was pressed.
    Interrupted {
        /// The commits that are left, oldest first.
        left: Vec<String>,
        /// The command that continues the search.
        resume: String,
    },
}

/// The side that a commit between belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Good,
    Bad,
    Unknown,
    Broken,
}

/// Searches the commits after `good` up to `bad`.
///
/// # Errors
/// [`DiffError`].
pub(crate) fn bisect(request: &Request, good: &str, bad: &str, settings: &Settings) -> Result<Found, DiffError> {
    search(request, good, bad, settings).map_err(|error| options::named(request, error))
}

fn search(request: &Request, good: &str, bad: &str, settings: &Settings) -> Result<Found, DiffError> {
    exist(request, &[good, bad])?;
    let study = subject::studies(request)?;
    let [study] = study.as_slice() else {
        let names: Vec<String> = study.iter().map(subject::name).collect();
        return Err(DiffError::WhichBench { names: names.join(", ") });
    };
    let repository = subject::repository(study)?;
    let out = match &request.out {
        Some(out) => out.clone(),
        None => resume::default_folder("bisect", study, settings)?,
    };
    // A search that is continued has the ends that it began with, wherever their branches are now.
    let (first, last) = match resume::begun(request, [out.join("step-1").as_path()], (GOOD, BAD))? {
        Some(begun) => (begun.base.commit, begun.head.commit),
        None => (resolved(&repository, good)?.commit, resolved(&repository, bad)?.commit),
    };
    let Some(mut commits) = between(&repository, &first, &last)? else {
        return Err(DiffError::NotBefore { good: good.to_owned(), bad: bad.to_owned() });
    };
    let steps = usize::BITS - commits.len().leading_zeros();
    note(&format!("{} after {good}, at most {steps} steps", crate::support::count::counted(commits.len(), "commit")));
    let mut search = Search {
        request,
        settings,
        study,
        ends: [&first, &last],
        names: [good, bad],
        out: &out,
        confidence: 1.0 - 0.05 / f64::from(steps + 1),
        runs: 0,
    };
    if let Some(found) = search.ends()? {
        return Ok(found);
    }
    // The last commit is known to be bad. The range between has what is not known yet.
    let mut skipped: Vec<String> = Vec::new();
    loop {
        let open: Vec<usize> = (0..commits.len() - 1).filter(|at| !skipped.contains(&commits[*at])).collect();
        let Some(at) = open.get(open.len() / 2).copied() else { break };
        let commit = commits[at].clone();
        match search.side(&commit)? {
            None => {
                let left = titles(&repository, &commits)?;
                return Ok(Found::Interrupted { left, resume: resume::command(&out, None) });
            }
            Some(Side::Bad) => {
                note(&format!("{}: bad", title(&repository, &commit)?));
                commits.truncate(at + 1);
            }
            Some(Side::Good) => {
                note(&format!("{}: good", title(&repository, &commit)?));
                commits.drain(..=at);
            }
            Some(side) => {
                let why = if side == Side::Broken { "cannot be built or run" } else { "not told apart" };
                note(&format!("{}: {why}, skipped", title(&repository, &commit)?));
                skipped.push(commit);
            }
        }
    }
    match commits.as_slice() {
        [one] => Ok(Found::Commit(title(&repository, one)?)),
        _ => Ok(Found::OneOf(titles(&repository, &commits)?)),
    }
}

/// The commits after one up to another, oldest first; `None` where they are not in this order. Of merges the first
/// parent counts, so that a branch that was merged is one step.
fn between(repository: &Path, first: &str, last: &str) -> Result<Option<Vec<String>>, DiffError> {
    let is_before = git(repository, &["merge-base", "--is-ancestor", first, last]).is_ok();
    let range = format!("{first}..{last}");
    let list = git(repository, &["rev-list", "--reverse", "--first-parent", &range])?;
    let commits: Vec<String> = list.lines().map(str::to_owned).collect();
    Ok(Some(commits).filter(|commits| is_before && !commits.is_empty()))
}

fn title(repository: &Path, commit: &str) -> Result<String, DiffError> {
    Ok(git(repository, &["show", "--no-patch", "--format=%h %s", commit])?.trim().to_owned())
}

fn titles(repository: &Path, commits: &[String]) -> Result<Vec<String>, DiffError> {
    commits.iter().map(|commit| title(repository, commit)).collect()
}

/// When a comparison ends before its time.
enum Until {
    /// When the builds decide it, or it is certain whether anything is worse.
    Watched(Watch, fn(&Manifest) -> bool),
    /// When the builds decide it, or the intervals are narrow enough.
    Known(fn(&Manifest) -> bool),
}

struct Search<'a> {
    request: &'a Request,
    settings: &'a Settings,
    study: &'a Study,
    /// The commits of the good and the bad end.
    ends: [&'a str; 2],
    /// Their names in the call.
    names: [&'a str; 2],
    /// Folder of the steps.
    out: &'a Path,
    confidence: f64,
    /// Steps so far, for the names of folders.
    runs: u32,
}

impl Search<'_> {
    /// Compares both ends. `Some` when the search is over before it began.
    fn ends(&mut self) -> Result<Option<Found>, DiffError> {
        let levels = [(GOOD, self.ends[0]), (BAD, self.ends[1])];
        // Whether anything is worse, which is known long before by how much.
        let watch =
            Watch { margin: self.request.margin, is_gate: true, stop: Stop::Decided, judge: compare::standings };
        let not_built = |name: &str, message: &str, log: &str| {
            let (commit, message, log) = (name.to_owned(), message.to_owned(), log.to_owned());
            Ok(Some(Found::NotBuilt { commit, message, log }))
        };
        let (manifest, analysis, _) =
            match self.run(&levels, Until::Watched(watch, lacks_a_build), false, self.request.budget) {
                Ok(Some(run)) => run,
                Ok(None) => {
                    let resume = resume::command(self.out, None);
                    return Ok(Some(Found::Interrupted { left: Vec::new(), resume }));
                }
                Err(error) => match error.build() {
                    Some(BuildError::Baseline { message, log, .. }) => return not_built(self.names[0], message, log),
                    _ => return Err(error),
                },
            };
        if let Some(failure) = manifest.builds.iter().find_map(|build| build.result.as_ref().err()) {
            return not_built(self.names[1], &failure.message, &failure.log);
        }
        let rows = compare::compare(&manifest, &analysis, self.request.margin);
        if rows.iter().any(|row| row.verdict == Verdict::Worse) {
            return Ok(None);
        }
        let is_open = |row: &super::comparison::Compared| match row.verdict {
            Verdict::Invalid => true,
            _ => row.may_be_worse(self.request.margin),
        };
        let open = rows.iter().any(is_open);
        let shown: Vec<String> =
            rows.iter().map(|row| format!("{}: {}", row.workload, super::text::changed(row))).collect();
        let shown = shown.join(", ");
        Ok(Some(if open { Found::Unknown(shown) } else { Found::NoChange(shown) }))
    }

    /// The side of a commit; `None` after Ctrl-C.
    fn side(&mut self, commit: &str) -> Result<Option<Side>, DiffError> {
        let levels = [(GOOD, self.ends[0]), (BAD, self.ends[1]), (BETWEEN, commit)];
        let mut budget = self.request.budget;
        for continued in 0..=CONTINUED {
            let Some((manifest, analysis, stopped)) =
                self.run(&levels, Until::Known(is_known), continued > 0, budget)?
            else {
                return Ok(None);
            };
            let side = match (stopped, is_built(&manifest)) {
                (_, false) => Side::Broken,
                (true, true) => known_side(&manifest),
                (false, true) => nearer(&manifest, &analysis, self.confidence),
            };
            if side != Side::Unknown {
                return Ok(Some(side));
            }
            budget = Budget(budget.0 * 2);
        }
        Ok(Some(Side::Unknown))
    }

    /// Runs one comparison in a folder of its own; `None` after Ctrl-C.
    fn run(
        &mut self,
        levels: &[(&str, &str)],
        until: Until,
        resume: bool,
        budget: Budget,
    ) -> Result<Option<(Manifest, Analysis, bool)>, DiffError> {
        let mut study = self.study.clone();
        study.compare_revisions(levels);
        subject::arrange(self.request, &mut study);
        self.runs += u32::from(!resume);
        let out = self.out.join(format!("step-{}", self.runs));
        let call = study::Request {
            blocks: Some(self.request.blocks),
            resume: (resume || self.request.resume) && resume::is_begun(&out),
            out: Some(out),
            budget: Some(budget),
            ..study::Request::of(study.path.clone())
        };
        let call = match until {
            Until::Watched(watch, stop_if) => study::Request { watch: Some(watch), stop_if: Some(stop_if), ..call },
            Until::Known(stop_if) => study::Request {
                until_halfwidth: Some(HalfWidth::Share(self.request.margin / 2.0)),
                stop_if: Some(stop_if),
                ..call
            },
        };
        self.request.out.iter().for_each(|dir| hide_from_git(dir));
        let failed = |error| options::failed(self.request, self.study, error);
        let outcome = match study::run_loaded(study, &call, self.settings).map_err(failed) {
            Ok(outcome) if outcome.interrupted => return Ok(None),
            Err(error) if error.is_interrupted() => return Ok(None),
            ended => ended?,
        };
        let (manifest, records, _) = store::read_judged(&outcome.dir)?;
        let (mut records, _) = store::whole_blocks(&manifest, records);
        prove::prove_together(&manifest.plan, &mut records);
        let analysis = analyse_proven(&manifest, &records);
        Ok(Some((manifest, analysis, outcome.stopped)))
    }
}

/// The binaries of a comparison by level.
fn hash<'m>(manifest: &'m Manifest, level: &str) -> Option<&'m str> {
    let levels = |cell: &&ablate_format::CellPlan| cell.levels.values().any(|own| own == level);
    let cell = manifest.plan.cells.iter().find(levels)?;
    let build = manifest.builds.iter().find(|build| build.id == cell.build)?;
    Some(build.result.as_ref().ok()?.code())
}

fn lacks_a_build(manifest: &Manifest) -> bool {
    manifest.builds.iter().any(|build| build.result.is_err())
}

fn is_built(manifest: &Manifest) -> bool {
    hash(manifest, BETWEEN).is_some()
}

/// Whether the binaries alone tell the side, or there is none.
fn is_known(manifest: &Manifest) -> bool {
    !is_built(manifest) || known_side(manifest) != Side::Unknown
}

fn known_side(manifest: &Manifest) -> Side {
    match hash(manifest, BETWEEN) {
        None => Side::Broken,
        between if between == hash(manifest, GOOD) => Side::Good,
        between if between == hash(manifest, BAD) => Side::Bad,
        _ => Side::Unknown,
    }
}

/// The nearer side by the workload in which good and bad are told apart best: whether what is between differs from the
/// good one by more than half of what the bad one does.
fn nearer(manifest: &Manifest, analysis: &Analysis, confidence: f64) -> Side {
    let id = |level: &str| {
        let cells = manifest.plan.cells.iter();
        let mut of_level = cells.filter(|cell| cell.levels.values().any(|own| own == level));
        of_level.next().map(|cell| cell.id.as_str())
    };
    let (Some(good), Some(bad), Some(between)) = (id(GOOD), id(BAD), id(BETWEEN)) else { return Side::Unknown };
    let told = analysis.tables.iter().filter_map(|table| {
        let whole = table.main_difference(bad, good)?;
        let part = table.main_difference(between, good)?;
        let error = whole.standard_error()?;
        let sign = whole.point.signum();
        let beyond = part.combine(&whole, |part, whole| sign * (part - whole / 2.0));
        Some((whole.point.abs() / error, beyond))
    });
    let best = told.max_by(|(one, _), (other, _)| one.total_cmp(other));
    let interval = best.and_then(|(_, beyond)| beyond.interval_at(confidence));
    match interval {
        Some((lo, _)) if lo > 0.0 => Side::Bad,
        Some((_, hi)) if hi < 0.0 => Side::Good,
        Some(_) => Side::Unknown,
        None => Side::Broken,
    }
}
