//! `cargo ablate selftest`: tests on this machine whether planted costs are found.
//!
//! The subject is this program itself with planted costs ([`mod@synthetic`]), which measures in every process what they
//! really are. It goes through the same stages as any study, once beside an idle and once beside a busy neighbour. Every
//! answer is compared with the truth.

mod built;
mod factors;
mod judge;
mod neighbour;
mod operation;
mod pages;
mod synthetic;
mod truth;

use crate::analyse::{self, Analysis};
use crate::builds;
use crate::prove;
use crate::report::document::{Document, Table};
use crate::report::number::{MISSING, interval};
use crate::run::Cpus;
use crate::store::{self, StoreError};
use crate::study::rule::Budget;
use crate::study::{self, StudyError};
use crate::support::count::counted;
use crate::support::exit::{ExitStatus, ShellCode};
use crate::support::interrupt;
use crate::support::progress::note;
use crate::support::settings::Settings;
use crate::support::studies::fresh;
use ablate_format::effects::Estimate;
use ablate_format::{Pass, Record, Status};
use ablate_stats::MIN_BLOCKS;
use factors::{FACTORS, variable};
use judge::{Answer, Found, Row};
use neighbour::Neighbour;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
pub(crate) use synthetic::{BATCHES, SyntheticRequest, synthetic};
use truth::Truth;

/// A self-test to run, with the options of the call.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// Timing blocks of each study.
    pub(crate) blocks: u32,
    /// Time for each study, into which at most `blocks` blocks have to fit.
    pub(crate) budget: Option<Budget>,
    /// Conditions. Each has a study of its own.
    pub(crate) conditions: Vec<Condition>,
    /// Folder for configs and results; must be empty or new. Default: target/ablate/selftest-TIME.
    pub(crate) out: Option<PathBuf>,
}

/// Outcome of a self-test.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// Text to print.
    pub(crate) text: String,
    /// What the rows say together.
    pub(crate) answer: Together,
    /// Whether Ctrl-C was pressed.
    pub(crate) interrupted: bool,
}

/// What several rows say together: the worst of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Together {
    /// Every row was met.
    Passed,
    /// No row was missed, and at least one is not known.
    NotKnown,
    /// At least one row was missed.
    Failed,
}

/// A self-test that could not run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SelftestError {
    /// Its study.
    #[error(transparent)]
    Study(#[from] StudyError),
    /// Its records.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The system refused.
    #[error("cannot {doing}: {source}; allow it, or give another --out")]
    System {
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl ExitStatus for SelftestError {
    fn exit(&self) -> ShellCode {
        match self {
            SelftestError::Study(error) => error.exit(),
            SelftestError::Store(error) => error.exit(),
            SelftestError::System { .. } => ShellCode::BadRuns,
        }
    }
}

/// The load beside the subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    /// No load by this program.
    Idle,
    /// A thread on another processor that works in bursts.
    Busy,
    /// No load, and a factor that is a feature of a build.
    Builds,
}

impl Condition {
    fn name(self) -> &'static str {
        match self {
            Condition::Idle => "idle",
            Condition::Busy => "busy",
            Condition::Builds => "feature",
        }
    }
}

/// Runs the self-test.
///
/// # Errors
/// [`SelftestError`]. A miss is not an error but a row of the [`Outcome`].
pub(crate) fn run(request: &Request, settings: &Settings) -> Result<Outcome, SelftestError> {
    let system = |doing: &'static str| move |source| SelftestError::System { doing, source };
    let cpus = Cpus::read().map_err(system("read the processors"))?;
    let program = std::env::current_exe().map_err(system("find this program"))?;
    let target = settings
        .target_dir
        .clone()
        .unwrap_or_else(|| builds::target_folder(&std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."))));
    let dir = request.out.clone().unwrap_or_else(|| fresh(&target.join("ablate"), "selftest"));
    std::fs::create_dir_all(&dir).map_err(system("make the folder"))?;

    let mut outcome = Outcome { text: String::new(), answer: Together::Passed, interrupted: false };
    let mut document = Document::default();
    document.title("cargo ablate selftest");
    document.text(INTRODUCTION);
    for &condition in &request.conditions {
        document.heading(match condition {
            Condition::Builds => "a feature of a build, one code layout per block".to_owned(),
            _ => format!("{} neighbour", condition.name()),
        });
        let busy = match condition {
            Condition::Idle | Condition::Builds => None,
            Condition::Busy => match Neighbour::start(&cpus).map_err(system("start a busy neighbour"))? {
                Some(neighbour) => Some(neighbour),
                None => {
                    document.text("Not run: a busy neighbour needs a second processor, and this machine has one.");
                    continue;
                }
            },
        };
        let path = dir.join(format!("{}.toml", condition.name()));
        let written = match condition {
            Condition::Builds => {
                note("selftest: study of a feature between builds");
                built::write(&dir, request.blocks)
            }
            _ => {
                note(&format!("selftest: study with the neighbour {}", condition.name()));
                std::fs::write(&path, config(condition, &program, request.blocks))
            }
        };
        written.map_err(system("write the config"))?;
        let out = dir.join(condition.name());
        let study = study::Request {
            blocks: Some(request.blocks),
            out: Some(out),
            budget: request.budget,
            ..study::Request::of(path)
        };
        let started = Instant::now();
        let ended = study::run(&study, settings);
        let took = started.elapsed();
        drop(busy);
        // A study moves the runner off the measured processor, and the next study must find that processor again.
        cpus.allow().map_err(system("go back to all processors"))?;
        let ended = match ended {
            Err(_) if interrupt::asked() => {
                outcome.interrupted = true;
                document.text("No run was complete.");
                break;
            }
            // Without cargo, a linker or room for builds the other conditions still have an answer.
            Err(error) if condition == Condition::Builds => {
                document.text(format!("Not known: {error}"));
                outcome.answer = outcome.answer.max(Together::NotKnown);
                continue;
            }
            ended => ended?,
        };
        outcome.interrupted = ended.interrupted;
        match judge_study(&mut document, condition, &ended.dir, took) {
            Ok(answer) => outcome.answer = outcome.answer.max(answer),
            // Before the first block there is nothing to read.
            Err(_) if outcome.interrupted => document.text("No block was complete."),
            Err(error) => return Err(error.into()),
        }
        if outcome.interrupted {
            break;
        }
    }
    document.text(match (outcome.interrupted, outcome.answer) {
        (true, _) => format!(
            "Interrupted: the rows above are of the blocks that were complete, and other conditions were not run. The \
             records are in {}. Run the same command again for an answer.",
            dir.display()
        ),
        (false, Together::Passed) => "Passed: every row was met.".to_owned(),
        (false, Together::NotKnown) => format!(
            "Not known: no row says miss, and at least one could not be told here. Give more blocks or a quieter machine; \
             the records are in {}.",
            dir.display()
        ),
        (false, Together::Failed) => {
            format!("Failed: at least one row says miss; the records are in {}.", dir.display())
        }
    });
    outcome.text = document.terminal(settings.columns);
    Ok(outcome)
}

const INTRODUCTION: &str = "The subject plants costs: additions, calls, loads, page faults and system calls. Every process measures what they cost \
     in it, by switching each factor beside the batches that are timed and by the processor's clock around each part; where \
     the two differ, the truth is not known. A truth is met when the estimate is within 0.5 ns or 5 % of it, whichever is \
     more, and half of its interval is no wider than that. The first six factors are crossed and have Shapley values; \
     the others are left out one at a time. A study knows the cost of a page fault as that of one of many in a row, which is \
     the least that it can be; so the rest of `faulty` is a range.";

/// Reads the whole blocks of a study, compares it with the planted costs and adds its table.
fn judge_study(
    document: &mut Document,
    condition: Condition,
    dir: &Path,
    took: Duration,
) -> Result<Together, StoreError> {
    let (mut manifest, records, _) = store::read(dir)?;
    let (records, _) = store::whole_blocks(&manifest, records);
    let timed = records.iter().filter(|record| record.pass == Pass::Timing);
    let blocks = timed.map(|record| record.block + 1).max().unwrap_or(0);
    if (blocks as usize) < MIN_BLOCKS {
        document.text(format!("{}: too few for an answer.", counted(blocks as usize, "whole block")));
        return Ok(Together::NotKnown);
    }
    manifest.blocks = blocks;
    let runs = prove::judge_all(&manifest.plan, &records);
    let analysis = analyse::analyse_proven(&manifest, &runs);
    let proven = records.into_iter().zip(&runs).filter(|(_, run)| run.status == Status::Ok);
    let proven: Vec<Record> = proven.map(|(record, _)| record).collect();
    let truth = Truth::of(&proven, manifest.seed);
    let rows = match condition {
        Condition::Builds => built::rows(&truth, &manifest, &analysis, disturbed(&analysis)),
        _ => judge::rows(&truth, &Found::of(&manifest, &runs, &analysis), disturbed(&analysis)),
    };
    document.table(table(&rows));
    document.text(circumstances(blocks, &analysis, took));
    Ok(together(&rows))
}

/// Why times of this study are not to be relied on, where they are not.
fn disturbed(analysis: &Analysis) -> Option<&'static str> {
    (analysis.contention.retained.is_none() || !analysis.contention.applied)
        .then_some("this machine was too busy: too few batches were undisturbed")
}

fn together(rows: &[Row]) -> Together {
    let of = |row: &Row| match row.answer {
        Answer::Hit => Together::Passed,
        Answer::Unknown(_) => Together::NotKnown,
        Answer::Miss(_) => Together::Failed,
    };
    rows.iter().map(of).max().unwrap_or(Together::NotKnown)
}

fn table(rows: &[Row]) -> Table {
    let mut table =
        Table::new(["<planted", "truth", "95 % interval", "estimate", "95 % interval", "within ±", "=answer"]);
    for row in rows {
        // Page faults per operation are some thousandths.
        let value = row.truth.map_or(0.0, |truth| truth.value);
        let digits = if value != 0.0 && value.abs() < 0.1 { 5 } else { 3 };
        let shown = |value: Option<f64>| value.map_or_else(|| MISSING.to_owned(), |value| format!("{value:.digits$}"));
        let answer = match &row.answer {
            Answer::Hit => "hit".to_owned(),
            Answer::Miss(why) => format!("miss: {why}"),
            Answer::Unknown(why) => format!("not known: {why}"),
        };
        let found = match (&row.found, &row.answer) {
            (None, Answer::Hit) => "invalid".to_owned(),
            (found, _) => shown(found.map(|found| found.value)),
        };
        let truth = match (&row.truth, &row.answer) {
            (None, Answer::Unknown(_)) => MISSING.to_owned(),
            (None, _) => "invalid".to_owned(),
            (truth, _) => shown(truth.map(|truth| truth.value)),
        };
        let ends = |value: Option<Estimate>| interval(value.and_then(|value| value.interval));
        let exact = row.truth.filter(|truth| truth.interval.is_some_and(|(lo, hi)| lo < hi));
        let cells = [row.what.clone(), truth, ends(exact), found, ends(row.found), shown(row.within), answer];
        table.row(cells);
    }
    table
}

fn circumstances(blocks: u32, analysis: &Analysis, took: Duration) -> String {
    let retained = match (analysis.contention.retained, analysis.contention.applied) {
        (Some(share), true) => format!("{:.0} % of the timed batches were undisturbed and are used", 100.0 * share),
        (Some(share), false) => {
            format!("only {:.0} % of the timed batches were undisturbed, so all are used", 100.0 * share)
        }
        (None, _) => "no timed batch had a contention probe".to_owned(),
    };
    let (blocks, runs) = (counted(blocks as usize, "block"), counted(analysis.runs, "run"));
    format!("{blocks}, {runs}, {:.0} s; nanoseconds per operation; {retained}.", took.as_secs_f64())
}

/// The study as a config.
fn config(condition: Condition, program: &Path, blocks: u32) -> String {
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let crossed: Vec<String> = FACTORS.iter().filter(|f| f.crossed).map(|f| quoted(f.name)).collect();
    let mut text = format!(
        "study = \"selftest-{}\"\nabout = \"planted costs, which a synthetic subject measures itself\"\nseed = 20251123\n\
         blocks = {blocks}\ncounting_repeats = 2\narms = [\"env\"]\ndesign = [\"factorial\", \"leave-one-out\"]\n\
         crossed = [{}]\ntimeout_seconds = 60\n\n[subject]\ncommand = [{}, \"synthetic\"]\n\
         counting_args = [\"--counted\"]\nidle_args = [\"--batches\", \"0\"]\n",
        condition.name(),
        crossed.join(", "),
        quoted(&program.display().to_string()),
    );
    for factor in &FACTORS {
        text += &format!(
            "\n[[factor]]\nname = {}\nabout = {}\nproof = [\"{}.work\"]\n[factor.levels]\non = {{}}\noff = {{ {} = \"1\" }}\n",
            quoted(factor.name),
            quoted(factor.about),
            factor.name,
            variable(factor)
        );
    }
    text + "\n[[workload]]\nname = \"operations\"\nargs = []\nresponse = \"p10\"\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::design;

    fn study() -> config::Study {
        let text = super::config(Condition::Idle, Path::new("/bin/a \"b\""), 30);
        config::parse(Path::new("idle.toml"), text.as_bytes()).unwrap_or_else(|e| panic!("{e}\n{text}"))
    }

    #[test]
    fn the_config_is_one_and_has_the_cells_that_the_rows_need() {
        let study = study();
        assert_eq!(study.crossed, ["half", "two", "ten", "fifty", "left", "right"]);
        let design = design::resolve(&study).expect("a design");
        // 2^6, placebo, and the factors that are left out alone.
        assert_eq!(design.plan.cells.len(), 64 + 1 + 7);
        for factor in ["zero", "inert", "faulty", "calls", "near", "far", "kernel"] {
            let contrast = design.plan.contrasts.iter().find(|c| c.factor == factor && c.contrast == "on-off");
            assert!(contrast.is_some(), "{factor}");
        }
    }

    #[test]
    fn every_row_is_shown_with_its_answer() {
        let found = Some(Estimate { value: 2.01, interval: Some((1.9, 2.12)), blocks: 30 });
        let within = Some(0.5);
        let row = |what: &str, truth: Option<f64>, found, answer| {
            let truth = truth.map(|value| Estimate { value, interval: Some((value, value)), blocks: 30 });
            Row { what: what.to_owned(), truth, found, within, answer }
        };
        let mut document = Document::default();
        document.table(table(&[
            row("two", Some(2.0), found, Answer::Hit),
            row("inert", None, None, Answer::Hit),
            row("ten", Some(10.0), None, Answer::Miss("nothing found".to_owned())),
            row("faults", Some(0.0025), None, Answer::Unknown("not counted".to_owned())),
        ]));
        let text = document.terminal(100);
        let line = |what: &str| text.lines().find(|line| line.starts_with(what)).expect(what).to_owned();
        assert!(line("two").contains("2.000") && line("two").contains("2.010") && line("two").ends_with("hit"));
        assert!(line("faults").contains("0.00250"), "{text}");
        assert!(line("inert").contains("invalid") && line("inert").ends_with("hit"), "{text}");
        assert!(line("ten").ends_with("miss: nothing found") && line("faults").ends_with("not known: not counted"));
    }
}
