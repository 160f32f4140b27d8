//! Values that all runs of a study share, and the launch of the process of a slot.

use super::cpus::Cpus;
use super::process::{self, Exit, Finished, Launch, ProcessError};
use super::schedule::Slot;
use super::{outcome, tools};
use crate::config::{Program, Study};
use crate::design::BuildPlan;
use crate::measure::Probed;
use crate::store::{Key, StoreError, key};
use crate::support::exit::{ExitStatus, ShellCode};
use crate::support::progress::note;
use crate::support::settings::PAD_VARIABLE;
use ablate_format::{BuildRecord, CellPlan, Pass, Record, StudyPlan};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;

/// Values that all runs of a study share.
pub(crate) struct Context<'a> {
    /// The study: pinning of workloads, the time limit, arguments of idle runs.
    pub(crate) study: &'a Study,
    /// The plan: workloads and cells.
    pub(crate) plan: &'a StudyPlan,
    /// The builds of the design, which have the commands of installed programs.
    pub(crate) programs: &'a [BuildPlan],
    /// The binaries.
    pub(crate) builds: &'a [BuildRecord],
    /// Seed of orders and padding.
    pub(crate) seed: u64,
    /// Processors of the runner and of the measured processes.
    pub(crate) cpus: Cpus,
    /// The available instruments.
    pub(crate) probed: &'a Probed,
}

/// How a step of a study ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// Every run was made.
    Complete,
    /// Ctrl-C was pressed.
    Interrupted,
}

/// A study that cannot continue.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// A process could not be started.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A record cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A text with NUL, which no process can receive.
    #[error("cell {cell}: an argument, path or environment value contains NUL; remove it")]
    Nul {
        /// The cell.
        cell: String,
    },
}

impl ExitStatus for RunError {
    fn exit(&self) -> ShellCode {
        match self {
            RunError::Process(error) => error.exit(),
            // The folder was usable when the study began, so another call would not help.
            RunError::Store(_) | RunError::Nul { .. } => ShellCode::BadRuns,
        }
    }
}

impl Context<'_> {
    /// An empty record for a run that has not been made yet.
    pub(super) fn blank(&self, slot: Slot) -> Record {
        let workload = &self.plan.workloads[slot.workload].name;
        Record { order: slot.order, ..Record::new(slot.pass, slot.block, workload, &self.plan.cells[slot.cell].id) }
    }

    /// Whether the run of a slot is not done and can be made.
    pub(super) fn is_missing(&self, slot: &Slot, done: &BTreeSet<Key>) -> bool {
        !done.contains(&key(&self.blank(*slot))) && self.binary(&self.plan.cells[slot.cell]).is_ok()
    }

    /// Path of the binary of a cell, or the reason for having none.
    pub(crate) fn binary(&self, cell: &CellPlan) -> Result<&str, String> {
        match self.build(cell)?.result.as_ref() {
            Ok(built) => Ok(&built.path),
            Err(failure) => Err(format!("{}; log: {}", failure.message, failure.log)),
        }
    }

    pub(super) fn build(&self, cell: &CellPlan) -> Result<&BuildRecord, String> {
        let found = self.builds.iter().find(|build| build.id == cell.build);
        found.ok_or_else(|| format!("build `{}` is not in the manifest", cell.build))
    }

    /// Path and number of the code layout that a slot runs. Each block uses the next layout, the same one for all
    /// builds. Counts are of layout 0.
    pub(super) fn layout(&self, cell: &CellPlan, slot: Slot) -> Result<(&str, u32), String> {
        let first = self.binary(cell)?;
        let layouts = &self.build(cell)?.layouts;
        // The number of layouts is at most 64, so it fits.
        let layout = if slot.pass == Pass::Timing { slot.block % (layouts.len() as u32 + 1) } else { 0 };
        Ok(match layout.checked_sub(1) {
            None => (first, 0),
            Some(shuffled) => (&layouts[shuffled as usize].path, layout),
        })
    }

    /// Runs the process of a slot once.
    pub(super) fn launch(
        &self,
        cell: &CellPlan,
        binary: &str,
        slot: Slot,
        counters: Option<&Probed>,
    ) -> Result<Finished, RunError> {
        Ok(process::run(&self.launch_of(cell, binary, slot, counters)?)?)
    }

    /// Runs a cell as often as counting everything takes: once for each pass of the processor's counters, and once
    /// under each tool. The result describes the first run, with the counts of all. A tool that fails gives no counts.
    pub(super) fn count(&self, cell: &CellPlan, binary: &str, slot: Slot) -> Result<Finished, RunError> {
        let mut launch = self.launch_of(cell, binary, slot, Some(self.probed))?;
        launch.counter_pass = Some(0);
        let mut finished = process::run(&launch)?;
        for pass in 1..self.probed.passes() {
            if finished.exit != Exit::Code(0) {
                return Ok(finished);
            }
            launch.counter_pass = Some(pass);
            finished = outcome::merged(finished, process::run(&launch)?);
        }
        for wrapper in &self.probed.wrappers {
            if finished.exit != Exit::Code(0) {
                return Ok(finished);
            }
            let mut launch = self.launch_of(cell, binary, slot, Some(self.probed))?;
            launch.counters = None;
            match tools::count(wrapper, launch)? {
                tools::Counted::Counts(counts) => finished.reading.counts.extend(counts),
                tools::Counted::Interrupted => finished.exit = Exit::Interrupted,
                tools::Counted::Failed(why) => note(&format!("cell {}: {}: {why}", cell.id, wrapper.tool.program())),
            }
        }
        Ok(finished)
    }

    /// The launch of the process of a slot.
    pub(crate) fn launch_of<'p>(
        &self,
        cell: &CellPlan,
        binary: &str,
        slot: Slot,
        counters: Option<&'p Probed>,
    ) -> Result<Launch<'p>, RunError> {
        let workload = &self.study.workloads[slot.workload];
        let subject = &self.study.subject;
        // The preflight attaches no counter and runs the program as it is timed, verification included.
        let counting = if counters.is_some() { subject.counting_args.as_slice() } else { &[] };
        let idle = match slot.pass {
            Pass::CountingIdle => subject.idle_args.as_deref().unwrap_or_default(),
            Pass::Timing | Pass::Counting | Pass::UnitCosts => &[],
        };
        let nul = |_| RunError::Nul { cell: cell.id.clone() };
        let own = cell.args.iter().chain(&workload.args);
        let args = self.called(cell).iter().chain(own).chain(counting).chain(idle);
        let argv: Result<Vec<CString>, _> = args.map(|arg| CString::new(arg.as_str())).collect();
        let folder = std::path::absolute(self.study.folder()).unwrap_or_else(|_| self.study.folder().to_owned());
        Ok(Launch {
            program: CString::new(binary).map_err(nul)?,
            argv: argv.map_err(nul)?,
            envp: self.environment(cell, slot.pad).map_err(nul)?,
            directory: Some(CString::new(folder.as_os_str().as_bytes()).map_err(nul)?),
            cpus: Some(if workload.pin { self.cpus.pinned } else { self.cpus.allowed }),
            aslr: slot.pass == Pass::Timing,
            timeout: self.study.timeout,
            counters,
            counter_pass: None,
        })
    }

    /// First words of the process of a cell: its name, and the arguments of its command.
    pub(super) fn called(&self, cell: &CellPlan) -> &[String] {
        let command =
            self.programs.iter().find(|build| build.id == cell.build).and_then(|build| build.command.as_deref());
        match (command, &self.study.subject.program) {
            (Some(command), _) => command,
            (None, Program::Command(command)) => command,
            (None, Program::Cargo(program)) => std::slice::from_ref(&program.binary),
        }
    }

    /// The allow-list from the runner's environment, the cell's own, and the padding.
    pub(super) fn environment(&self, cell: &CellPlan, pad: Option<usize>) -> Result<Vec<CString>, std::ffi::NulError> {
        let mut env: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for name in &self.study.subject.allow_env {
            if let Some(value) = std::env::var_os(name) {
                env.insert(name.clone().into_bytes(), value.as_bytes().to_vec());
            }
        }
        for (name, value) in &cell.env {
            env.insert(name.clone().into_bytes(), value.clone().into_bytes());
        }
        if let Some(pad) = pad {
            env.insert(PAD_VARIABLE.into(), vec![b'x'; pad]);
        }
        let join = |(name, value): (Vec<u8>, Vec<u8>)| CString::new([name, value].join(&b'='));
        env.into_iter().map(join).collect()
    }
}
