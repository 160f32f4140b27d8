//! `cargo ablate profile`: where two cells of a study spend their time, by function, and as flame graphs.
//!
//! Samples come from perf. Stacks come from the debug information, so that frame pointers are not needed and inlined
//! functions have frames of their own. Without perf, callgrind counts the instructions of every function instead.
//! `[[function]]` tables of the config name the functions to show.

mod choose;
mod flame;
mod repeat;
mod sample;
mod shares;

use crate::config::Function;
use crate::report::document::{Document, Table};
use crate::report::number::count;
use crate::support::call::{PROGRAM, quoted};
use crate::support::progress::note;
use crate::support::settings::Settings;
use crate::support::studies::fresh;
use crate::tools::cells::{self, Cells, CellsError};
use ablate_format::{ABOUT, PROFILE};
pub(crate) use repeat::repeat;
use sample::{Profiler, Sampled};
use shares::{Interval, Share};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Functions that are shown when the config names none.
const TOP: usize = 12;

/// Largest growth of the number of processes from one session to the next.
const GROWTH: u32 = 8;

/// A profile to make, with the options of the call.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// The study, a TOML file.
    pub(crate) config: PathBuf,
    /// The cell to profile. Default: the cell with the largest effect in an earlier run of this study.
    pub(crate) cell: Option<String>,
    /// The cell to compare it with.
    pub(crate) against: String,
    /// The workload. Default: that of the largest effect, else the first.
    pub(crate) workload: Option<String>,
    /// Folder for flame graphs and folded stacks. Default: `profile-TIME` in the newest run of the study, else
    /// target/ablate/profile-STUDY-TIME.
    pub(crate) out: Option<PathBuf>,
    /// Samples per cell. Sampling ends earlier when the time is over.
    pub(crate) samples: u64,
    /// Time for taking samples.
    pub(crate) time: Duration,
}

/// Builds two cells, profiles them, writes the graphs, and returns the tables, at most as wide as the settings say.
///
/// # Errors
/// [`CellsError`].
pub(crate) fn run(request: &Request, settings: &Settings) -> Result<String, CellsError> {
    let opened = cells::open(&request.config, settings)?;
    let (study, design, workspace) = &opened;
    let target = workspace.target.join("ablate");
    let ids = || design.plan.cells.iter().map(|cell| cell.id.as_str());
    let chosen = match &request.cell {
        Some(cell) => choose::Chosen {
            cell: cell.clone(),
            workload: request.workload.clone(),
            why: None,
            run: choose::newest(&target, study),
        },
        None => choose::largest(&target, study, &request.against, request.workload.as_deref())?,
    };
    for id in [&chosen.cell, &request.against] {
        if ids().all(|own| own != id) {
            return Err(cells::unknown(study, "cell", id, ids()));
        }
    }
    let workload = Cells::workload(study, chosen.workload.as_deref())?;
    let run = chosen.run.filter(|_| request.out.is_none());
    let out = request.out.clone().unwrap_or_else(|| match &run {
        Some(run) => fresh(run, PROFILE),
        None => fresh(&target, &format!("{PROFILE}-{}", study.name)),
    });
    let names = [request.against.clone(), chosen.cell.clone()];
    let cells = Cells::build(opened, |cell| names.contains(&cell.id))?;
    std::fs::create_dir_all(&out).map_err(CellsError::io(&out, "creating the folder"))?;
    let index = |id: &String| cells.design.plan.cells.iter().position(|cell| cell.id == *id).unwrap_or(0);
    let profiler = Profiler::find()?;
    let mut both = [Sampled::default(), Sampled::default()];
    let deadline = Instant::now() + request.time;
    note(&format!("profiling {} and {} with {}", names[0], names[1], cells.study.workloads[workload].name));
    // The cells take turns, so that a drift of the machine affects both alike.
    let mut times = 1;
    loop {
        let started = Instant::now();
        for (id, sampled) in names.iter().zip(&mut both) {
            if sampled.total() < request.samples {
                sampled.add(profiler.profile(&cells, index(id), workload, times)?, times);
            }
        }
        let enough = both.iter().all(|sampled| sampled.total() >= request.samples);
        if enough || profiler.is_exact() || Instant::now() >= deadline {
            break;
        }
        let left = deadline.saturating_duration_since(Instant::now()).as_secs_f64();
        let fit = f64::from(times) * left / started.elapsed().as_secs_f64();
        let needed = both.iter().filter_map(|sampled| sampled.missing(request.samples)).max().unwrap_or(1);
        times = needed.min(times * GROWTH).min(fit as u32).max(1);
    }
    let files = flame::write(&out, &names, &both, profiler.unit())?;
    let about = Head {
        study: &cells.study.name,
        workload: &cells.study.workloads[workload].name,
        why: chosen.why.as_deref(),
        names: &names,
        profiler: &profiler,
    };
    let [first, second] =
        both.each_ref().map(|sampled| format!("{} {}", count(sampled.total() as usize), profiler.unit()));
    let line = format!("{}: {} against {}, by {first} and {second}\n", about.workload, names[1], names[0]);
    let path = out.join(ABOUT);
    std::fs::write(&path, line).map_err(CellsError::io(&path, "writing the file"))?;
    let mut document = text(&about, &both, &cells.study.functions, &out, &files);
    if let Some(run) = run {
        document.text(format!(
            "`{PROGRAM} report {} --html` shows the graphs beside the numbers of that run.",
            quoted(&run)
        ));
    }
    Ok(document.terminal(settings.columns))
}

/// The facts at the head of the text.
struct Head<'a> {
    study: &'a str,
    workload: &'a str,
    why: Option<&'a str>,
    names: &'a [String; 2],
    profiler: &'a Profiler,
}

fn text(head: &Head<'_>, both: &[Sampled; 2], functions: &[Function], out: &Path, files: &[String]) -> Document {
    let mut document = Document::default();
    let [against, cell] = head.names;
    document.title(format!("cargo ablate profile: {}, {}", head.study, head.workload));
    let unit = head.profiler.unit();
    for (name, sampled) in head.names.iter().zip(both) {
        document.item(format!(
            "{name}: {} {unit}, processes: {} ({})",
            count(sampled.total() as usize),
            count(sampled.runs as usize),
            head.profiler.about()
        ));
    }
    if let Some(why) = head.why {
        document.item(why);
    }
    let exact = head.profiler.is_exact();
    if functions.is_empty() {
        document.heading(format!("The {TOP} functions in which most of the {unit} are"));
        let rows = shares::heaviest(&both[0].stacks, &both[1].stacks, TOP);
        document.table(table(head.names, rows.iter().map(|(name, shares)| (name.as_str(), *shares)), exact));
        document.text(
            "Innermost frames, without what they call. [[function]] tables in the config name functions of interest.",
        );
    } else {
        let rows = |shares_of: fn(&[Function], &shares::Stacks) -> Vec<Share>| {
            let [before, after] = [shares_of(functions, &both[0].stacks), shares_of(functions, &both[1].stacks)];
            let names = functions.iter().map(|function| function.name.as_str()).chain(["elsewhere"]);
            let pairs = before.into_iter().zip(after).map(|(before, after)| [before, after]);
            table(head.names, names.zip(pairs), exact)
        };
        document.heading("Share of the named functions, with everything that they call");
        document.table(rows(shares::inclusive));
        document.text("Functions that call one another count twice here, so these shares do not add up.");
        let unseen = unseen(functions, both);
        if !unseen.is_empty() {
            document.text(format!(
                "Not seen: {}. These functions do not run in this workload, or their `match` fits no frame of this build.",
                unseen.join(", ")
            ));
        }
        document.heading("Share of the innermost named function");
        document.table(rows(shares::innermost));
        document.text("Each sample counts once, for the named function nearest to where it was taken.");
    }
    if exact {
        document.text(
            "Instructions of the whole process, start-up included; exact. callgrind does not see functions that were \
             inlined: they count for the function that they are in, with a frame `inlined from FILE` that `match` may name.",
        );
    } else {
        document.text(format!(
            "Shares of the whole process, start-up included. Intervals: 95 %, binomial (Wilson), as if {unit} were \
             independent; of differences: Newcombe's."
        ));
    }
    document.text(format!("Written to {}:", out.display()));
    for file in files {
        document.item(file.clone());
    }
    document.text(format!(
        "In the differential graph, red frames are wider in {cell} than in {against}, blue ones narrower."
    ));
    document
}

/// Named functions that no stack of either cell has.
fn unseen<'f>(functions: &'f [Function], both: &[Sampled; 2]) -> Vec<&'f str> {
    let [before, after] =
        [shares::inclusive(functions, &both[0].stacks), shares::inclusive(functions, &both[1].stacks)];
    let zero = |share: &Share| share.value().is_none_or(|value| value == 0.0);
    let rows = functions.iter().zip(before.iter().zip(&after));
    rows.filter(|(_, (before, after))| zero(before) && zero(after))
        .map(|(function, _)| function.name.as_str())
        .collect()
}

/// One row per function: both shares and their difference.
fn table<'a>(names: &[String; 2], rows: impl Iterator<Item = (&'a str, [Share; 2])>, exact: bool) -> Table {
    let [against, cell] = names;
    let mut table = Table::new(["<function".to_owned(), against.clone(), cell.clone(), "difference".to_owned()]);
    for (name, [before, after]) in rows {
        let share = |share: Share| percent(share.value(), (!exact).then(|| share.interval()).flatten(), false);
        let difference = after.value().zip(before.value()).map(|(after, before)| after - before);
        let ends = (!exact).then(|| shares::difference(after, before)).flatten();
        table.row([name.to_owned(), share(before), share(after), percent(difference, ends, true)]);
    }
    table
}

/// `12.3 [11.0, 13.7] %`.
fn percent(value: Option<f64>, ends: Option<Interval>, signed: bool) -> String {
    let Some(value) = value else { return crate::report::number::MISSING.to_owned() };
    let one = |share: f64| {
        let text = format!("{:.1}", 100.0 * share.abs());
        let zero = text == "0.0";
        if share < 0.0 && !zero { format!("−{text}") } else { text }
    };
    let plus = if signed && value >= 0.000_5 { "+" } else { "" };
    match ends {
        Some((low, high)) => format!("{plus}{} [{}, {}] %", one(value), one(low), one(high)),
        None => format!("{plus}{} %", one(value)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_that_were_never_seen_are_named() {
        let function =
            |name: &str, pattern: &str| Function { name: name.to_owned(), patterns: vec![pattern.to_owned()] };
        let functions = [function("hot", "main"), function("gone", "nothing::at_all")];
        let mut both = [Sampled::default(), Sampled::default()];
        both[1].add(shares::Stacks::from([("a;main;x".to_owned(), 3)]), 1);
        assert_eq!(unseen(&functions, &both), ["gone"]);
    }

    #[test]
    fn shares_look_like_shares() {
        assert_eq!(percent(Some(0.123), Some((0.11, 0.1372)), false), "12.3 [11.0, 13.7] %");
        assert_eq!(percent(Some(-0.01), Some((-0.02, 0.0001)), true), "−1.0 [−2.0, 0.0] %");
        assert_eq!(percent(Some(0.5), None, true), "+50.0 %");
        assert_eq!(percent(None, None, true), "n/a");
    }
}
