//! `ablate plan`: what a study would build and run, and about how long that takes. Starts nothing.

use crate::config::Study;
use crate::design::Design;
use crate::progress::human;
use crate::record::{CellKind, CellPlan, Pass};
use crate::run::schedule;
use crate::store;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tabled::builder::Builder;
use tabled::settings::peaker::Priority;
use tabled::settings::{Style, Width};

/// What one process takes when nobody has measured it.
const GUESS: Duration = Duration::from_millis(60);

/// How many processes a study starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Processes {
    /// One a cell.
    pub preflight: usize,
    /// With counters.
    pub counting: usize,
    /// With counters, without operations.
    pub idle: usize,
    /// For time.
    pub timing: usize,
}

impl Processes {
    /// Counts them.
    pub fn of(study: &Study, design: &Design) -> Processes {
        let cells = design.plan.cells.len();
        let running: usize = (0..design.plan.workloads.len()).map(|w| schedule::running(&design.plan, w).len()).sum();
        let counting = schedule::counting(study, &design.plan);
        let idle = counting.iter().filter(|slot| slot.pass == Pass::CountingIdle).count();
        Processes { preflight: cells, counting: counting.len() - idle, idle, timing: running * study.blocks as usize }
    }

    /// All together.
    pub fn total(self) -> usize {
        self.preflight + self.counting + self.idle + self.timing
    }
}

/// What one process took, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Each {
    /// Mean wall time.
    pub time: Duration,
    /// Where it was measured; `None`: a guess.
    pub from: Option<PathBuf>,
}

/// Mean time of a process in the newest earlier run of the study under `studies`, or a guess.
pub fn each(study: &str, studies: &Path) -> Each {
    let guess = Each { time: GUESS, from: None };
    let Ok(entries) = std::fs::read_dir(studies) else { return guess };
    let own = |path: &PathBuf| path.file_name().is_some_and(|n| n.to_string_lossy().starts_with(&format!("{study}-")));
    let mut folders: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(own).collect();
    folders.sort();
    for folder in folders.into_iter().rev() {
        let Ok((manifest, records, _)) = store::read(&folder) else { continue };
        let ran: Vec<u64> = records.iter().map(|r| r.wall_ns).filter(|ns| *ns > 0).collect();
        if manifest.study == study && !ran.is_empty() {
            let mean = ran.iter().sum::<u64>() / ran.len() as u64;
            return Each { time: Duration::from_nanos(mean), from: Some(folder) };
        }
    }
    guess
}

/// The text of `ablate plan`, at most `columns` wide.
pub fn describe(study: &Study, design: &Design, each: &Each, columns: usize) -> String {
    let mut out = String::new();
    let about = if study.about.is_empty() { String::new() } else { format!(": {}", study.about) };
    // Writing to a String cannot fail.
    let _ = writeln!(out, "study {}{about}\n", study.name);
    let rows = design.builds.iter().map(|b| vec![b.id.clone(), b.features.join(", ")]);
    section(&mut out, &format!("builds ({})", design.builds.len()), &["build", "features"], rows, columns);
    let rows = design.plan.cells.iter().map(|cell| {
        let arm = cell.arm.map_or("", crate::record::Arm::as_str);
        vec![cell.id.clone(), arm.to_owned(), cell.build.clone(), differences(cell)]
    });
    section(
        &mut out,
        &format!("cells ({})", design.plan.cells.len()),
        &["cell", "arm", "build", "differs in"],
        rows,
        columns,
    );
    let rows = study.workloads.iter().map(|w| {
        let pinned = if w.pin { "one processor" } else { "all processors" };
        vec![w.name.clone(), pinned.to_owned(), w.args.join(" ")]
    });
    section(
        &mut out,
        &format!("workloads ({})", study.workloads.len()),
        &["workload", "runs on", "arguments"],
        rows,
        columns,
    );
    let count = Processes::of(study, design);
    let shape = |times: u32, what: &str| {
        format!("{} cells × {} workloads × {times} {what}", design.plan.cells.len(), design.plan.workloads.len())
    };
    let repeats = study.counting_repeats;
    let rows = [
        ("preflight", count.preflight, "each cell once".to_owned()),
        ("counting", count.counting, shape(repeats, "repeats")),
        (
            "counting, idle",
            count.idle,
            if count.idle == 0 { "no idle_args".to_owned() } else { shape(repeats, "repeats") },
        ),
        ("timing", count.timing, shape(study.blocks, "blocks")),
        ("all", count.total(), String::new()),
    ];
    let rows = rows.into_iter().map(|(pass, n, how)| vec![pass.to_owned(), n.to_string(), how]);
    section(&mut out, "processes", &["pass", "processes", "how"], rows, columns);
    let time = human(each.time * u32::try_from(count.total()).unwrap_or(u32::MAX));
    let millis = each.time.as_secs_f64() * 1e3;
    let how = match &each.from {
        Some(folder) => format!("{millis:.0} ms a process, as measured in {}", folder.display()),
        None => format!("a guess of {millis:.0} ms a process: nothing was measured yet"),
    };
    let _ = writeln!(out, "time: about {time} ({how}), and the builds");
    out
}

fn differences(cell: &CellPlan) -> String {
    match cell.kind {
        CellKind::Baseline => "nothing".to_owned(),
        CellKind::Placebo => "nothing that matters".to_owned(),
        CellKind::Peer => cell.args.join(" "),
        CellKind::Treatment => {
            let moved = cell.levels.iter().filter(|(_, level)| *level != "on");
            moved.map(|(factor, level)| format!("{factor} {level}")).collect::<Vec<_>>().join(", ")
        }
    }
}

fn section(out: &mut String, title: &str, head: &[&str], rows: impl Iterator<Item = Vec<String>>, columns: usize) {
    let mut builder = Builder::default();
    builder.push_record(head.iter().copied());
    for row in rows {
        builder.push_record(row);
    }
    let mut table = builder.build();
    table.with(Style::sharp()).with(Width::wrap(columns).priority(Priority::max(true)).keep_words(true));
    let _ = writeln!(out, "{title}\n{table}\n");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{GOOD, parsed};
    use crate::record::Pass;
    use crate::store::tests::{manifest, record};

    #[test]
    fn processes_are_counted() {
        let study = parsed(GOOD).expect("the config is good");
        let design = crate::design::resolve(&study).expect("the design is good");
        let count = Processes::of(&study, &design);
        assert_eq!(count, Processes { preflight: 10, counting: 40, idle: 40, timing: 60 });
    }

    #[test]
    fn a_plan_fits_the_columns_and_says_that_it_guesses() {
        let study = parsed(&GOOD.replace("\"--n\", \"10\"", &"\"--quite-a-long-argument\",".repeat(20))).expect("good");
        let design = crate::design::resolve(&study).expect("the design is good");
        for columns in [60, 100] {
            let text = describe(&study, &design, &each("demo", Path::new("/no/such/folder")), columns);
            let widest = text.lines().filter(|line| !line.starts_with("time")).map(|line| line.chars().count()).max();
            assert!(widest <= Some(columns), "{widest:?} over {columns}:\n{text}");
            assert!(text.contains("a guess of 60 ms"), "{text}");
            assert!(text.contains("no-red@feature") && text.contains("red absent"), "{text}");
        }
    }

    #[test]
    fn an_earlier_run_tells_the_time() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let folder = store::Folder::create(&dir.path().join("demo-5")).expect("creates");
        folder.write_manifest(&manifest()).expect("writes");
        let mut run = record(Pass::Timing, 0, "small", "baseline");
        run.wall_ns = 5_000_000;
        folder.records().expect("opens").append(&run).expect("appends");
        let found = each("demo", dir.path());
        assert_eq!((found.time, found.from.is_some()), (Duration::from_millis(5), true));
        assert_eq!(each("other", dir.path()).from, None);
    }
}
