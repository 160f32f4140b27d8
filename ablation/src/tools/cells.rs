//! Builds and starts a few cells of a study, for subcommands that look at cells without running the study. Builds and
//! processes are the same as in a study, through [`builds`] and [`run`].

use crate::benchmarks::{self, BenchmarksError};
use crate::builds::{self, Beside, BuildError, Workspace};
use crate::config::{self, ConfigError, Study};
use crate::design::{self, Design};
use crate::measure::Probed;
use crate::run::attempt;
use crate::run::process::{Exit, Finished, Launch, ProcessError};
use crate::run::schedule::Slot;
use crate::run::{self, Attempt, Context, Cpus, RunError};
use crate::support::exit::{ExitStatus, ShellCode};
use crate::support::files;
use crate::support::interrupt;
use crate::support::nearest::suggestion;
use crate::support::settings::Settings;
use ablate_format::{BuildRecord, CellPlan, Measured, Pass};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Cells that cannot be built or started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CellsError {
    /// The config.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The binaries.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The benchmarks of a harness.
    #[error(transparent)]
    Benchmarks(#[from] BenchmarksError),
    /// A run.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A process.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A name on the command line that the config does not have.
    #[error("{config}: there is no {what} `{name}`{hint}")]
    Unknown {
        /// The config.
        config: String,
        /// Workload, cell or peer.
        what: &'static str,
        /// The name.
        name: String,
        /// What to write instead.
        hint: String,
    },
    /// Nothing says which cell is meant.
    #[error("{what}")]
    Unchosen {
        /// What was looked for, and what to write.
        what: String,
    },
    /// A cell whose program does not do its work.
    #[error("cell {cell} with workload {workload}: {why}; run the program by hand and correct it or its arguments")]
    Failed {
        /// The cell.
        cell: String,
        /// The workload.
        workload: String,
        /// What happened.
        why: String,
    },
    /// Something that is needed cannot be had here.
    #[error("{what}")]
    Impossible {
        /// What, why not, and the way out.
        what: String,
    },
    /// The system refused.
    #[error("{path}: {doing} failed: {source}; free space, or choose another folder")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What the system said.
        source: std::io::Error,
    },
    /// Ctrl-C was pressed.
    #[error("interrupted; no result was stored")]
    Interrupted,
}

impl CellsError {
    pub(crate) fn io(path: &Path, doing: &'static str) -> impl FnOnce(std::io::Error) -> CellsError {
        let path = path.to_owned();
        move |source| CellsError::Io { path, doing, source }
    }
}

impl ExitStatus for CellsError {
    fn exit(&self) -> ShellCode {
        match self {
            CellsError::Config(error) => error.exit(),
            CellsError::Build(error) => error.exit(),
            CellsError::Benchmarks(error) => error.exit(),
            CellsError::Run(error) => error.exit(),
            CellsError::Process(error) => error.exit(),
            CellsError::Unknown { .. } | CellsError::Unchosen { .. } => ShellCode::WrongCall,
            CellsError::Failed { .. } | CellsError::Impossible { .. } | CellsError::Io { .. } => ShellCode::BadRuns,
            CellsError::Interrupted => ShellCode::Interrupted,
        }
    }
}

/// A study of which a few cells are built.
pub(crate) struct Cells {
    pub(crate) study: Study,
    pub(crate) design: Design,
    pub(crate) workspace: Workspace,
    builds: Vec<BuildRecord>,
    beside: Option<Beside>,
    cpus: Cpus,
}

/// A study and where it belongs, before anything is built.
pub(crate) fn open(path: &Path, settings: &Settings) -> Result<(Study, Design, Workspace), CellsError> {
    let mut study = config::load(path)?;
    benchmarks::complete(&mut study, settings.target_dir.as_deref(), &Default::default())?;
    builds::find_peers(&mut study)?;
    let design = design::resolve(&study)?;
    let workspace = builds::workspace(&study, settings.target_dir.as_deref())?;
    Ok((study, design, workspace))
}

impl Cells {
    /// Builds what the cells that `wanted` accepts need, and makes this process a runner.
    pub(crate) fn build(
        (study, mut design, workspace): (Study, Design, Workspace),
        wanted: impl Fn(&CellPlan) -> bool,
    ) -> Result<Cells, CellsError> {
        let prepared = |step: &'static str, result: std::io::Result<()>| {
            result.map_err(|e| CellsError::Impossible {
                what: format!("cannot prepare the runner: {step}: {e}; free descriptors, or allow prctl"),
            })
        };
        if study.subject.server().is_some() {
            let what = format!(
                "{}: this looks at one program from its start to its end, and a server is ended by a signal; attach a \
                 profiler to a server that you start by hand",
                study.path.display()
            );
            return Err(CellsError::Impossible { what });
        }
        prepared("signal handlers", interrupt::install())?;
        design.plan.cells.retain(wanted);
        let needed = |id: &String| design.plan.cells.iter().any(|cell| cell.build == *id);
        design.builds.retain(|build| needed(&build.id));
        let logs = workspace.target.join("ablate/logs");
        std::fs::create_dir_all(&logs).map_err(CellsError::io(&logs, "creating the folder"))?;
        let builds = builds::build_all(&study, &design.builds, &workspace, &logs)?.records;
        let beside = builds::beside(&workspace, &design.builds, &benchmarks::folder(&study, &workspace))?;
        prepared("becoming the reaper of orphans", run::become_reaper())?;
        let cpus = Cpus::take().map_err(|e| CellsError::Impossible {
            what: format!("cannot choose processors: {e}; allow sched_setaffinity"),
        })?;
        Ok(Cells { study, design, workspace, builds, beside, cpus })
    }

    /// Runs a cell with a workload (both by index), prepared as the pass asks and then changed by `change`.
    ///
    /// # Errors
    /// [`CellsError::Failed`] when it does not end with an exit code that the config accepts.
    pub(crate) fn run(
        &self,
        cell: usize,
        workload: usize,
        pass: Pass,
        counters: Option<&Probed>,
        change: impl FnOnce(&mut Launch<'_>) -> Result<(), CellsError>,
    ) -> Result<Finished, CellsError> {
        if interrupt::asked() {
            return Err(CellsError::Interrupted);
        }
        let nothing = Probed::default();
        let context = Context {
            study: &self.study,
            plan: &self.design.plan,
            programs: &self.design.builds,
            builds: &self.builds,
            seed: self.study.seed,
            shard: None,
            package: self.workspace.package.as_deref(),
            beside: self.beside.as_ref(),
            cpus: self.cpus,
            probed: &nothing,
            block: Default::default(),
        };
        let plan = &self.design.plan.cells[cell];
        let failed = |why: String| CellsError::Failed {
            cell: plan.id.clone(),
            workload: self.study.workloads[workload].name.clone(),
            why,
        };
        let binary = context.binary(plan).map_err(failed)?;
        let slot = Slot { pass, block: 0, order: 0, workload, cell, pad: None };
        // `Some` even without instruments: `None` means a preflight, which leaves the counting arguments out.
        let attempt = Attempt { cell: plan, binary, slot, counters: counters.or(Some(&nothing)), counter_pass: None };
        let ran = attempt::run(&context, &attempt, change)?;
        if let Some(trouble) = ran.trouble {
            return Err(failed(trouble.reason));
        }
        let finished = ran.finished;
        let accepted = &self.study.subject.surroundings.accept_exit;
        let last = String::from_utf8_lossy(&finished.stderr_tail).lines().last().unwrap_or_default().to_owned();
        match finished.exit {
            Exit::Code(code) if accepted.contains(&code) => Ok(finished),
            Exit::Interrupted => Err(CellsError::Interrupted),
            Exit::Code(code) => Err(failed(format!("exit code {code}: {last}"))),
            Exit::Signal(signal) => Err(failed(format!("ended by signal {signal}: {last}"))),
            Exit::Timeout => Err(failed(format!("still running after {} s", self.study.timeout.as_secs()))),
        }
    }

    /// A new folder for what a tool writes, removed with the result.
    pub(crate) fn scratch(&self) -> Result<TempDir, CellsError> {
        let parent = self.workspace.target.join("ablate");
        files::scratch(Some(&parent)).map_err(CellsError::io(&parent, "creating a folder"))
    }

    /// Index of the workload with this name; of the first without one.
    pub(crate) fn workload(study: &Study, name: Option<&str>) -> Result<usize, CellsError> {
        let Some(name) = name else { return Ok(0) };
        let names = study.workloads.iter().map(|workload| workload.name.as_str());
        names.clone().position(|own| own == name).ok_or_else(|| unknown(study, "workload", name, names))
    }
}

/// The error for a name that the config does not have.
pub(crate) fn unknown<'a>(
    study: &Study,
    what: &'static str,
    name: &str,
    there: impl Iterator<Item = &'a str> + Clone,
) -> CellsError {
    let hint = suggestion(name, there);
    CellsError::Unknown { config: study.path.display().to_string(), what, name: name.to_owned(), hint }
}

/// Operations that a process reports in its last line; `None` when it reports none.
pub(crate) fn operations(stdout: &[u8]) -> Option<u64> {
    let text = String::from_utf8_lossy(stdout);
    let line = text.lines().rev().find(|line| !line.trim().is_empty())?;
    let measured: Measured = serde_json::from_str(line).ok()?;
    Some(measured.operations).filter(|operations| *operations > 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tests::{GOOD, parsed};

    #[test]
    fn names_are_found_or_the_nearest_is_named() {
        let study = parsed(GOOD).expect("good");
        let name = study.workloads[0].name.clone();
        assert_eq!(Cells::workload(&study, Some(&name)).expect("is there"), 0);
        let error = Cells::workload(&study, Some(&format!("{name}x"))).expect_err("is not there");
        assert!(
            error.exit() == ShellCode::WrongCall && error.to_string().contains(&format!("did you mean `{name}`")),
            "{error}"
        );
    }

    #[test]
    fn operations_are_those_of_the_last_line() {
        let line = r#"{"format":2,"operations":5,"checksum":"c","latency_over":"operations","samples":5,
            "latency_ns_p10":1,"latency_ns_p50":2,"latency_ns_p99":3,"latency_ns_mean":2}"#;
        let line = line.replace('\n', "");
        assert_eq!(operations(format!("hello\n{line}\n\n").as_bytes()), Some(5));
        assert_eq!(operations(line.replace(":5,\"ch", ":0,\"ch").as_bytes()), None);
        assert_eq!(operations(b"42\n"), None);
    }
}
