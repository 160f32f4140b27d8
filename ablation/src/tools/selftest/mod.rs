//! `cargo ablate selftest`: tests on this machine whether injected costs are found.
//!
//! The subject is this program itself with injected costs of known size ([`mod@synthetic`]). It goes through the same
//! stages as any study, once beside an idle and once beside a busy neighbour. Every answer is compared with the
//! injected cost.

mod chain;
mod factors;
mod judge;
mod neighbour;
mod synthetic;

use crate::analyse::{self, Analysis};
use crate::builds;
use crate::prove;
use crate::report::document::{Document, Table};
use crate::report::number::{MISSING, interval, number};
use crate::run::Cpus;
use crate::store::{self, StoreError};
use crate::study::rule::Budget;
use crate::study::{self, StudyError};
use crate::support::count::counted;
use crate::support::exit::{ExitStatus, ShellCode};
use crate::support::progress::note;
use crate::support::settings::Settings;
use crate::support::studies::fresh;
use ablate_format::{Record, Status};
use factors::{FACTORS, variable};
use judge::{Answer, Found, Row, Truth};
use neighbour::Neighbour;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
pub(crate) use synthetic::{SyntheticRequest, synthetic};

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
    /// Whether no row says miss.
    pub(crate) passed: bool,
    /// Whether Ctrl-C was pressed.
    pub(crate) interrupted: bool,
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
    /// The clock of the machine does not advance.
    #[error(
        "a link of the synthetic chain took {0} ns, so the clock of this machine does not work; see `cargo ablate doctor`"
    )]
    Link(f64),
}

impl ExitStatus for SelftestError {
    fn exit(&self) -> ShellCode {
        match self {
            SelftestError::Study(error) => error.exit(),
            SelftestError::Store(error) => error.exit(),
            SelftestError::System { .. } | SelftestError::Link(_) => ShellCode::BadRuns,
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
}

impl Condition {
    fn name(self) -> &'static str {
        match self {
            Condition::Idle => "idle",
            Condition::Busy => "busy",
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
    let link_ns = synthetic::link_ns();
    if factors::Links::of(link_ns).is_none() {
        return Err(SelftestError::Link(link_ns));
    }
    let target = settings
        .target_dir
        .clone()
        .unwrap_or_else(|| builds::target_folder(&std::env::current_dir().unwrap_or_else(|_| PathBuf::from("."))));
    let dir = request.out.clone().unwrap_or_else(|| fresh(&target.join("ablate"), "selftest"));
    std::fs::create_dir_all(&dir).map_err(system("make the folder"))?;

    let mut outcome = Outcome { text: String::new(), passed: true, interrupted: false };
    let mut document = Document::default();
    document.title("cargo ablate selftest");
    document.text(introduction(link_ns));
    for &condition in &request.conditions {
        document.heading(format!("{} neighbour", condition.name()));
        let busy = match condition {
            Condition::Idle => None,
            Condition::Busy => match Neighbour::start(&cpus).map_err(system("start a busy neighbour"))? {
                Some(neighbour) => Some(neighbour),
                None => {
                    document.text("Not run: a busy neighbour needs a second processor, and this machine has one.");
                    continue;
                }
            },
        };
        note(&format!("selftest: study with the neighbour {}", condition.name()));
        let path = dir.join(format!("{}.toml", condition.name()));
        std::fs::write(&path, config(condition, &program, link_ns, request.blocks))
            .map_err(system("write the config"))?;
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
        let ended = ended?;
        if ended.interrupted {
            outcome.interrupted = true;
            break;
        }
        outcome.passed &= judge_study(&mut document, &ended.dir, took)?;
    }
    if !outcome.interrupted {
        document.text(match outcome.passed {
            true => "Passed: no row says miss.".to_owned(),
            false => format!("Failed: at least one row says miss; the records are in {}.", dir.display()),
        });
    }
    outcome.text = document.terminal(settings.columns);
    Ok(outcome)
}

fn introduction(link_ns: f64) -> String {
    format!(
        "The subject is a chain of links of {} ns each; a factor that is on adds links to every operation. Every \
         process measures how long a link takes, and the truth is the median of that. A truth is met when the estimate is \
         within 0.5 ns or 5 % of it, whichever is more, and half of its 95 % interval is no wider than that. The first \
         six factors are crossed and have Shapley values; the others are left out one at a time. A page fault \
         is costed as one of many in a row, which is the least that it can cost; where the answer depends on that, it is not \
         known.",
        number(link_ns)
    )
}

/// Reads a study, compares it with the injected costs and adds its table. Returns whether no row says miss.
fn judge_study(document: &mut Document, dir: &Path, took: Duration) -> Result<bool, StoreError> {
    let (manifest, records, _) = store::read(dir)?;
    let (records, _) = store::whole_blocks(&manifest, records);
    let runs = prove::judge_all(&manifest.plan, &records);
    let analysis = analyse::analyse_proven(&manifest, &runs);
    let proven = records.into_iter().zip(&runs).filter(|(_, run)| run.status == Status::Ok);
    let proven: Vec<Record> = proven.map(|(record, _)| record).collect();
    let rows = judge::rows(&Truth::of(&proven), &Found::of(&manifest, &runs, &analysis));
    document.table(table(&rows));
    document.text(circumstances(manifest.blocks, &analysis, took));
    Ok(rows.iter().all(|row| !matches!(row.answer, Answer::Miss(_))))
}

fn table(rows: &[Row]) -> Table {
    let mut table = Table::new(["<injected", "truth", "estimate", "95 % interval", "within ±", "=answer"]);
    for row in rows {
        // Page faults per operation are some thousandths.
        let digits = if row.truth.is_some_and(|truth| truth != 0.0 && truth.abs() < 0.1) { 5 } else { 3 };
        let shown = |value: Option<f64>| value.map_or_else(|| MISSING.to_owned(), |value| format!("{value:.digits$}"));
        let truth = row.truth.map_or_else(|| "invalid".to_owned(), |truth| shown(Some(truth)));
        let answer = match &row.answer {
            Answer::Hit => "hit".to_owned(),
            Answer::Miss(why) => format!("miss: {why}"),
            Answer::Unknown(why) => format!("not known: {why}"),
        };
        let found = match (&row.found, &row.answer) {
            (None, Answer::Hit) => "invalid".to_owned(),
            (found, _) => shown(found.map(|found| found.value)),
        };
        let ends = row.found.and_then(|found| found.interval);
        table.row([row.what.clone(), truth, found, interval(ends), shown(row.within), answer]);
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
fn config(condition: Condition, program: &Path, link_ns: f64, blocks: u32) -> String {
    let quoted = |text: &str| toml::Value::from(text).to_string();
    let crossed: Vec<String> = FACTORS.iter().filter(|f| f.crossed).map(|f| quoted(f.name)).collect();
    let mut text = format!(
        "study = \"selftest-{}\"\nabout = \"costs of known size, injected into a synthetic subject\"\nseed = 20251123\n\
         blocks = {blocks}\ncounting_repeats = 2\narms = [\"env\"]\ndesign = [\"factorial\", \"leave-one-out\"]\n\
         crossed = [{}]\ntimeout_seconds = 60\n\n[subject]\ncommand = [{}, \"synthetic\", \"--link-ns\", \"{link_ns:.4}\"]\n\
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
    use ablate_format::effects::Estimate;

    fn study() -> config::Study {
        let text = super::config(Condition::Idle, Path::new("/bin/a \"b\""), 0.27, 30);
        config::parse(Path::new("idle.toml"), text.as_bytes()).unwrap_or_else(|e| panic!("{e}\n{text}"))
    }

    #[test]
    fn the_config_is_one_and_has_the_cells_that_the_rows_need() {
        let study = study();
        assert_eq!(study.crossed, ["half", "two", "ten", "fifty", "left", "right"]);
        let design = design::resolve(&study).expect("a design");
        // 2^6, placebo, and three factors that are left out alone.
        assert_eq!(design.plan.cells.len(), 64 + 1 + 3);
        for factor in ["zero", "inert", "faulty"] {
            let contrast = design.plan.contrasts.iter().find(|c| c.factor == factor && c.contrast == "on-off");
            assert!(contrast.is_some(), "{factor}");
        }
    }

    #[test]
    fn every_row_is_shown_with_its_answer() {
        let found = Some(Estimate { value: 2.01, interval: Some((1.9, 2.12)), blocks: 30 });
        let within = Some(0.5);
        let row = |what: &str, truth, found, answer| Row { what: what.to_owned(), truth, found, within, answer };
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
