//! The benchmarks of a harness: the list of a program, the workloads that a config leaves to it, and what is in one build
//! and not in another.

mod detect;
mod error;
mod list;

use crate::builds::revisions::Pinned;
use crate::builds::{self, Beside, Workspace};
use crate::config::{Program, Study, Workload};
use crate::design::{self, Design};
use crate::harness::{Harness, workload_names};
use crate::support::count::counted;
use crate::support::nearest::suggestion;
use crate::support::progress::note;
use ablate_format::{BuildRecord, CellKind, OutputRule, StudyPlan};
pub(crate) use detect::harness_of;
use detect::uses;
pub(crate) use error::BenchmarksError;
pub(crate) use list::{Benchmarked, list};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How many times the limit of one process a list may take, which can be a quick run of all benchmarks.
const LIST_TIMES: u32 = 10;

/// Folder that the processes of a study start in: that of the package for the benchmarks of one, else that of the config.
pub(crate) fn folder(study: &Study, workspace: &Workspace) -> PathBuf {
    match (&study.subject.harness, &workspace.package) {
        (Some(_), Some(package)) => package.clone(),
        _ => std::path::absolute(study.folder()).unwrap_or_else(|_| study.folder().to_owned()),
    }
}

/// Makes the workloads of a harness whose config has none: builds the baseline, and lists its benchmarks.
///
/// # Errors
/// [`BenchmarksError`].
pub(crate) fn complete(study: &mut Study, target: Option<&Path>, pinned: &Pinned) -> Result<(), BenchmarksError> {
    let Some(harness) = study.subject.harness.filter(|_| study.workloads.is_empty()) else { return Ok(()) };
    let workspace = builds::workspace_with(study, target, pinned)?;
    fits(study, harness, &workspace)?;
    // Any workload makes a design with a baseline.
    study.workloads = vec![workload(harness, "benchmarks", "")];
    let design = design::resolve(study);
    study.workloads.clear();
    let design = design?;
    let logs = workspace.target.join("ablate/logs");
    std::fs::create_dir_all(&logs).map_err(|source| BenchmarksError::Io { source })?;
    let built = builds::build_all(study, &design.builds[..1], &workspace, &logs)?;
    let beside = builds::beside(&workspace, &design.builds[..1], &folder(study, &workspace))?;
    let ids = list_build(study, harness, &design, &built.records[0], (&workspace, beside.as_ref()))?;
    if ids.is_empty() {
        let what = format!(
            "{} lists no benchmark; write a [[workload]] with its `benchmark`, or correct the program",
            harness.as_str()
        );
        return Err(BenchmarksError::Nothing { config: study.path.display().to_string(), what });
    }
    let is_wanted = study.subject.filter.as_deref().map(regex::Regex::new).and_then(Result::ok);
    let wanted = |id: &&String| is_wanted.as_ref().is_none_or(|pattern| pattern.is_match(id));
    let chosen: Vec<String> = ids.iter().filter(wanted).cloned().collect();
    if chosen.is_empty() {
        let (config, filter) = (study.path.display().to_string(), study.subject.filter.clone().unwrap_or_default());
        return Err(BenchmarksError::NoMatch { config, filter, there: some(&ids) });
    }
    note(&format!("{} of {}: {}", counted(chosen.len(), "benchmark"), ids.len(), some(&chosen)));
    let names = workload_names(&chosen);
    study.workloads = names.iter().zip(&chosen).map(|(name, id)| workload(harness, name, id)).collect();
    if let (true, Program::Command(command)) = (harness.ids_are_arguments(), &mut study.subject.program) {
        // Each run adds its own.
        command.retain(|word| !ids.contains(word));
    }
    Ok(())
}

/// Refuses a harness that the target does not use: it would misread the options, or run nothing.
fn fits(study: &Study, harness: Harness, workspace: &Workspace) -> Result<(), BenchmarksError> {
    let Program::Cargo(program) = &study.subject.program else { return Ok(()) };
    let found = workspace.manifest.as_deref().map(builds::cargo::metadata).transpose()?;
    let package = found.iter().flat_map(|found| &found.packages).find(|package| package.name == program.package);
    let other = package.and_then(|package| {
        let mut targets = builds::cargo::targets(package, program.target);
        let target = targets.find(|target| target.name == program.binary)?;
        harness_of(package, target).filter(|other| *other != harness && !uses(package, target, harness))
    });
    let Some(other) = other else { return Ok(()) };
    let (bench, other) = (&program.binary, other.as_str());
    let what = format!("benchmark `{bench}` uses {other} by its text; write harness = \"{other}\"");
    Err(BenchmarksError::Nothing { config: study.path.display().to_string(), what })
}

/// A few ids, and how many more.
fn some(ids: &[String]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = ids.iter().take(SHOWN).map(|id| format!("`{id}`")).collect();
    let more = if ids.len() > SHOWN { format!(" and {} more", ids.len() - SHOWN) } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

/// The workload of a benchmark.
fn workload(harness: Harness, name: &str, id: &str) -> Workload {
    Workload {
        name: name.to_owned(),
        about: id.to_owned(),
        command: None,
        args: Vec::new(),
        benchmark: Some(id.to_owned()),
        pin: true,
        response: harness.response(),
        is_judged_by_default: false,
        designs: None,
        output: OutputRule::default(),
    }
}

/// Lists the benchmarks of one build, with the arguments and variables of a cell that runs it.
fn list_build(
    study: &Study,
    harness: Harness,
    design: &Design,
    build: &BuildRecord,
    (workspace, beside): (&Workspace, Option<&Beside>),
) -> Result<Vec<String>, BenchmarksError> {
    let cell = design.plan.cells.iter().find(|cell| cell.build == build.id);
    let path = build.result.as_ref().map_or("", |built| built.path.as_str());
    let command = design.builds.iter().find(|plan| plan.id == build.id).and_then(|plan| plan.command.clone());
    let mut words = command.unwrap_or_else(|| vec![path.to_owned()]);
    words.extend(cell.into_iter().flat_map(|cell| cell.args.iter().cloned()));
    let mut env: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    for name in &study.subject.allow_env {
        use std::os::unix::ffi::OsStringExt as _;
        env.extend(std::env::var_os(name).map(|value| (name.clone().into_bytes(), value.into_vec())));
    }
    let own = cell.into_iter().flat_map(|cell| &cell.env);
    env.extend(own.map(|(name, value)| (name.clone().into_bytes(), value.clone().into_bytes())));
    let mut folder = folder(study, workspace);
    if let Some(beside) = beside {
        beside.show(&build.id)?;
        folder = beside.place_of(&folder, &build.id).unwrap_or(folder);
    }
    list(
        harness,
        &Benchmarked {
            program: Path::new(path),
            words: &words,
            env,
            folder: &folder,
            by_cargo: workspace.package.is_some(),
            timeout: study.timeout.saturating_mul(LIST_TIMES),
        },
    )
}

/// Compares the benchmarks of all builds. A cell whose build lacks a benchmark does not run with its workload. Returns a
/// sentence for each benchmark that is not in all builds.
///
/// # Errors
/// [`BenchmarksError`], also where the baseline lacks one that the config names.
pub(crate) fn compare(
    study: &Study,
    design: &mut Design,
    built: &[BuildRecord],
    (workspace, beside): (&Workspace, Option<&Beside>),
) -> Result<Vec<String>, BenchmarksError> {
    let Some(harness) = study.subject.harness.filter(|harness| !harness.ids_are_arguments()) else {
        return Ok(Vec::new());
    };
    fits(study, harness, workspace)?;
    let mut by_build: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for build in built.iter().filter(|build| build.result.is_ok()) {
        by_build.insert(build.id.clone(), list_build(study, harness, design, build, (workspace, beside))?);
    }
    let baseline = design.plan.cells.iter().find(|cell| cell.kind == CellKind::Baseline).map(|cell| cell.build.clone());
    let there = baseline.as_ref().and_then(|build| by_build.get(build)).cloned().unwrap_or_default();
    for workload in &study.workloads {
        let Some(id) = workload.benchmark.as_ref().filter(|id| !there.contains(id)) else { continue };
        let near = suggestion(id, there.iter().map(String::as_str));
        let what = format!("workload `{}`: the baseline has no benchmark `{id}`{near}", workload.name);
        return Err(BenchmarksError::Nothing { config: study.path.display().to_string(), what });
    }
    let mut said = missing(&mut design.plan, &by_build);
    let is_wanted = study.subject.filter.as_deref().map(regex::Regex::new).and_then(Result::ok);
    for (build, ids) in &by_build {
        let new = ids.iter().filter(|id| !there.contains(id) && is_wanted.as_ref().is_none_or(|p| p.is_match(id)));
        let new: Vec<String> = new.cloned().collect();
        let left_out =
            |id| format!("benchmark `{id}` is in build `{build}` and not in the baseline, so it is left out");
        said.extend(new.iter().map(left_out));
        if !new.is_empty() {
            design.plan.only_in.insert(build.clone(), new);
        }
    }
    Ok(said)
}

/// Takes cells away from workloads that their builds lack.
fn missing(plan: &mut StudyPlan, by_build: &BTreeMap<String, Vec<String>>) -> Vec<String> {
    let mut said = Vec::new();
    let all: Vec<(String, String)> = plan.cells.iter().map(|cell| (cell.id.clone(), cell.build.clone())).collect();
    for workload in &mut plan.workloads {
        let Some(id) = workload.benchmark.clone() else { continue };
        let lacks = |build: &str| by_build.get(build).is_some_and(|ids| !ids.contains(&id));
        let runs: Vec<&(String, String)> = all.iter().filter(|(cell, _)| workload.runs(cell)).collect();
        let (gone, stays): (Vec<_>, Vec<_>) = runs.into_iter().partition(|(_, build)| lacks(build));
        if gone.is_empty() {
            continue;
        }
        let cells: Vec<&str> = gone.iter().map(|(cell, _)| cell.as_str()).collect();
        said.push(format!("benchmark `{id}` is not in every build: {} did not run with it", cells.join(", ")));
        workload.cells = stays.iter().map(|(cell, _)| cell.clone()).collect();
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analyse::fixture::Study;

    #[test]
    fn a_benchmark_that_a_build_lacks_leaves_its_cells_out() {
        let mut study = Study::new(&["cache"], &["w", "v"]);
        study.cell("no-cache@feature").build = "bare".to_owned();
        let mut plan = study.manifest.plan;
        plan.workloads[0].benchmark = Some("both".to_owned());
        plan.workloads[1].benchmark = Some("old".to_owned());
        let full = plan.cells[0].build.clone();
        let lists = [(full, vec!["both".to_owned(), "old".to_owned()]), ("bare".to_owned(), vec!["both".to_owned()])];
        let said = missing(&mut plan, &lists.into());
        assert_eq!(said, ["benchmark `old` is not in every build: no-cache@feature did not run with it"]);
        assert!(plan.workloads[0].runs("no-cache@feature") && plan.workloads[0].cells.is_empty());
        assert!(!plan.workloads[1].runs("no-cache@feature") && plan.workloads[1].runs("baseline"));
    }
}
