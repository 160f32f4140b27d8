//! `cargo ablate plan`: shows what a study would build and run, and about how long that takes. Starts no measured
//! process.

use crate::config::Study;
use crate::design::{BuildPlan, Design};
use crate::support::count::{count, counted};
use crate::support::progress::human;
use crate::support::text::printable;
use ablate_format::{CellKind, CellPlan, StudyPlan, Target};
use cost::cells_of;
pub(crate) use cost::{ProcessTime, Processes, process_time};
use std::fmt::Write as _;
use tabled::builder::Builder;
use tabled::settings::peaker::Priority;
use tabled::settings::{Style, Width};

mod advice;
mod cost;

/// Rows of a table from which on only the first ones are shown.
const MANY_ROWS: usize = 100;

/// Rows that are shown of such a table.
const FIRST_ROWS: usize = 20;

/// The text of `cargo ablate plan`, at most `columns` wide. `all` shows every row of long tables.
pub(crate) fn describe(study: &Study, design: &Design, process: &ProcessTime, (columns, all): (usize, bool)) -> String {
    let mut text = Text { out: String::new(), columns, all };
    let about = if study.about.is_empty() { String::new() } else { format!(": {}", printable(&study.about)) };
    text.paragraph(&format!("study {}{about}\n", study.name));
    builds(&mut text, study, design);
    cells(&mut text, design);
    workloads(&mut text, study, design);
    if !design.plan.hypotheses.is_empty() {
        let rows = design.plan.hypotheses.iter().map(|h| vec![h.name.clone(), h.workload.clone(), h.claim.clone()]);
        let title = format!("hypotheses ({})", design.plan.hypotheses.len());
        text.section(&title, &["hypothesis", "workload", "claim"], rows);
    }
    if !design.plan.targets.is_empty() {
        let what = |target: &Target| {
            let bar = if target.bar.is_high() { "at most" } else { "at least" };
            vec![
                target.name.clone(),
                target.kind.as_str().to_owned(),
                format!("{bar} {}", target.bar.value()),
                target.workloads.len().to_string(),
                target.claim.clone(),
            ]
        };
        let head = ["target", "kind", "bar", "workloads", "claim"];
        let rows = design.plan.targets.iter().map(what);
        text.section(&format!("targets ({})", design.plan.targets.len()), &head, rows);
    }
    for path in &design.plan.paths {
        let goals: Vec<String> =
            path.goals.iter().map(|g| format!("{} at most {} %", g.name, g.high_percent)).collect();
        let title = format!("path {}, gap to {}: {}", path.name, path.peer, goals.join(", "));
        let cell =
            |step: &String| design.plan.step(step).map_or_else(String::new, |cell| differences(&design.plan, cell));
        let rows = path.steps.iter().map(|step| vec![step.clone(), cell(step)]);
        text.section(title.trim_end_matches([':', ' ']), &["step", "differs from the baseline in"], rows);
    }
    processes(&mut text, study, design);
    let count = Processes::of(study, design);
    let time = human(process.of(count.total()));
    let millis = process.time.as_secs_f64() * 1e3;
    let how = match &process.measured_in {
        Some(folder) => format!("{millis:.0} ms per process, as measured in {}", folder.display()),
        None => format!(
            "a guess of {millis:.0} ms per process, because no earlier run of this study was found; waits and long \
             workloads are not known yet"
        ),
    };
    let about = if process.measured_in.is_some() { "about" } else { "at least" };
    let builds = design.builds.iter().filter(|build| build.command.is_none()).count();
    let and = match (builds, process.of_build) {
        (0, _) => String::new(),
        (_, None) => format!(", and {}", counted(builds, "build")),
        (_, Some(each)) => {
            let all = human(each * u32::try_from(builds).unwrap_or(u32::MAX));
            format!(", and {} in about {all}, less what is built already", counted(builds, "build"))
        }
    };
    let others = advice::others(study, design, process);
    if !others.is_empty() {
        text.section("other designs of these factors", &advice::HEAD, others.into_iter());
    }
    text.paragraph(&format!("time: {about} {time} ({how}){and}"));
    let (disk, each) = cost::disk(count, process);
    let (disk, each) = (cost::bytes(disk), cost::bytes(each));
    let how = if process.record_bytes.is_some() { "as measured there" } else { "assumed" };
    text.paragraph(&format!("disk: about {disk} of records ({each} each, {how})"));
    let memory = cost::bytes(cost::memory(design, count));
    text.paragraph(&format!("memory: about {memory} for the report, by cells and records"));
    text.out
}

fn builds(text: &mut Text, study: &Study, design: &Design) {
    let what = |build: &BuildPlan| match &build.command {
        Some(command) => format!("not built: {}", command.join(" ")),
        None => contents(build),
    };
    let rows = design.builds.iter().map(|build| vec![build.id.clone(), what(build)]);
    let layouts = if study.layouts > 1 { format!(", each in {} code layouts", study.layouts) } else { String::new() };
    text.section(&format!("builds ({}){layouts}", design.builds.len()), &["build", "features and settings"], rows);
}

/// Features and settings of a build.
fn contents(build: &BuildPlan) -> String {
    let settings = build.settings.shown().into_iter().map(|(key, value)| format!("{key} = {value}"));
    let all: Vec<String> = build.features.iter().cloned().chain(settings).collect();
    if all.is_empty() { "no features".to_owned() } else { all.join(", ") }
}

fn cells(text: &mut Text, design: &Design) {
    let plan = &design.plan;
    let rows = plan.cells.iter().map(|cell| {
        let arm = cell.arm.map_or("", ablate_format::Arm::as_str);
        vec![cell.id.clone(), arm.to_owned(), cell.build.clone(), differences(plan, cell)]
    });
    text.section(&format!("cells ({})", plan.cells.len()), &["cell", "arm", "build", "differs in"], rows);
    if !plan.absent.is_empty() {
        let rows = plan.absent.iter().map(|absent| vec![absent.peer.clone(), absent.why.clone(), absent.hint.clone()]);
        text.section(&format!("peers left out ({})", plan.absent.len()), &["peer", "why", "what to do"], rows);
    }
    if !plan.impossible.is_empty() {
        let rows = plan.impossible.iter().map(|cell| vec![cell.name.clone(), cell.reason.clone()]);
        text.section(&format!("impossible cells ({})", plan.impossible.len()), &["cell", "why it does not run"], rows);
    }
    if !plan.aliases.is_empty() {
        let rows = plan.aliases.iter().map(|line| vec![line.clone()]);
        text.section("aliases", &["what these designs cannot tell apart"], rows);
    }
}

fn workloads(text: &mut Text, study: &Study, design: &Design) {
    let rows = study.workloads.iter().zip(&design.plan.workloads).map(|(w, planned)| {
        let pinned = if w.pin { "one processor" } else { "all processors" };
        let cells = cells_of(&design.plan, planned).to_string();
        let what = w.benchmark.iter().chain(&w.args).cloned().collect::<Vec<_>>().join(" ");
        vec![w.name.clone(), cells, w.response.as_str().to_owned(), pinned.to_owned(), what]
    });
    let head = ["workload", "cells", "response", "runs on", "arguments"];
    text.section(&format!("workloads ({})", study.workloads.len()), &head, rows);
}

fn processes(text: &mut Text, study: &Study, design: &Design) {
    let count = Processes::of(study, design);
    let cells = counted(design.plan.cells.len(), "cell");
    let workloads = counted(design.plan.workloads.len(), "workload");
    let restricted = design.plan.workloads.iter().any(|workload| !workload.cells.is_empty());
    let once = if restricted {
        let once: usize = design.plan.workloads.iter().map(|workload| cells_of(&design.plan, workload)).sum();
        format!("{} of {workloads}", counted(once, "cell"))
    } else {
        format!("{cells} × {workloads}")
    };
    let repeats = format!("{once} × {}", counted(study.counting_repeats as usize, "repeat"));
    let rows = [
        ("preflight", count.preflight, "each cell once".to_owned()),
        ("counting", count.counting, repeats.clone()),
        ("counting, idle", count.idle, if count.idle == 0 { "no idle_args".to_owned() } else { repeats }),
        ("timing", count.timing, format!("{once} × {}", counted(study.blocks as usize, "block"))),
        ("all", count.total(), String::new()),
    ];
    let rows = rows.into_iter().map(|(pass, n, how)| vec![pass.to_owned(), n.to_string(), how]);
    text.section("processes", &["pass", "processes", "how"], rows);
}

fn differences(plan: &StudyPlan, cell: &CellPlan) -> String {
    match cell.kind {
        CellKind::Baseline => "nothing".to_owned(),
        CellKind::Placebo => "nothing that matters".to_owned(),
        CellKind::Peer => {
            let baseline = plan.cells.iter().find(|cell| cell.kind == CellKind::Baseline);
            let own = cell.env.iter().filter(|(name, value)| baseline.is_none_or(|b| b.env.get(*name) != Some(*value)));
            own.map(|(name, value)| format!("{name}={value}"))
                .chain(cell.args.iter().cloned())
                .collect::<Vec<_>>()
                .join(" ")
        }
        CellKind::Treatment => {
            let changed = plan.factors.iter().filter_map(|factor| {
                let level = cell.levels.get(&factor.name).filter(|level| **level != factor.baseline)?;
                Some(format!("{} {level}", factor.name))
            });
            changed.collect::<Vec<_>>().join(", ")
        }
    }
}

/// The text so far, and its width.
struct Text {
    out: String,
    columns: usize,
    /// Whether long tables are shown as a whole.
    all: bool,
}

impl Text {
    fn paragraph(&mut self, text: &str) {
        // Writing to a String cannot fail.
        let _ = writeln!(self.out, "{text}");
    }

    fn section(&mut self, title: &str, head: &[&str], rows: impl Iterator<Item = Vec<String>>) {
        let mut rows: Vec<Vec<String>> = rows.collect();
        let left = if rows.len() > MANY_ROWS && !self.all { rows.len() - FIRST_ROWS } else { 0 };
        rows.truncate(rows.len() - left);
        let mut builder = Builder::default();
        builder.push_record(head.iter().copied());
        for row in rows {
            builder.push_record(row.iter().map(|text| printable(text)));
        }
        let mut table = builder.build();
        table.with(Style::sharp()).with(Width::wrap(self.columns).priority(Priority::max(true)).keep_words(true));
        let more = if left > 0 { format!("\n… and {}; --all shows them", count(left)) } else { String::new() };
        self.paragraph(&format!("{title}\n{table}{more}\n"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{GOOD, parsed};
    use crate::store;
    use crate::store::tests::{manifest, record};
    use ablate_format::Pass;
    use std::path::Path;
    use std::time::Duration;

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
            let text = describe(&study, &design, &process_time("demo", Path::new("/no/such/folder")), (columns, false));
            let widest = text.lines().filter(|line| !line.starts_with("time")).map(|line| line.chars().count()).max();
            assert!(widest <= Some(columns), "{widest:?} over {columns}:\n{text}");
            assert!(text.contains("time: at least ") && text.contains("a guess of 60 ms"), "{text}");
            assert!(text.contains("no-red@feature") && text.contains("red absent"), "{text}");
        }
    }

    /// A factorial for one workload only, with what `cargo ablate plan` has to say about it.
    const RESTRICTED: &str = r#"
[[constraint]]
when = { red = "off" }
needs = { blue = ["on", "frozen"] }
[[hypothesis]]
name = "h1"
claim = "red costs more than nothing"
workload = "large"
kind = "difference"
plus = "baseline"
minus = "no-red@env"
low_ns = 0.0
"#;

    #[test]
    fn restricted_workloads_impossible_cells_and_claims_are_shown() {
        let text = GOOD
            .replace("\"leave-one-out\"]", "\"leave-one-out\", \"pairs\"]\nlayouts = 3")
            .replace("levels = { red = \"off\", blue = \"off\" }", "levels = { red = \"off\", blue = \"frozen\" }")
            .replace("args = [\"--n\", \"10\"]", "args = [\"--n\", \"10\"]\ndesigns = [\"explicit\"]");
        let study = parsed(&format!("{text}{RESTRICTED}")).expect("the config is good");
        let design = crate::design::resolve(&study).expect("the design is good");
        // Baseline, placebo, two treatments and the peer; with `no-red` and `no-blue` in both arms nine in all.
        let count = Processes::of(&study, &design);
        assert_eq!(count, Processes { preflight: 9, counting: 28, idle: 28, timing: 42 });
        let text = describe(&study, &design, &process_time("demo", Path::new("/no/such/folder")), (100, false));
        for part in [
            "each in 3 code layouts",
            "impossible cells (1)",
            "no-red+no-blue@env",
            "red off needs blue on or frozen, and it is off",
            "14 cells of 2 workloads × 3 blocks",
            "hypotheses (1)",
            "red costs more than nothing",
        ] {
            assert!(text.contains(part), "expected `{part}` in:\n{text}");
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
        let found = process_time("demo", dir.path());
        assert_eq!((found.time, found.measured_in.is_some()), (Duration::from_millis(5), true));
        assert_eq!(process_time("other", dir.path()).measured_in, None);
    }
}
