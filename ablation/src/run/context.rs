//! Values that all runs of a study share, and the launch of the process of a slot.

use super::cpus::Cpus;
use super::harness::{self, Asked};
use super::process::{Launch, ProcessError};
use super::schedule::Slot;
use super::scratch::{Block, Place};
use crate::builds::{Beside, BuildError, find};
use crate::config::{Program, Study};
use crate::design::BuildPlan;
use crate::harness::Request;
use crate::measure::Probed;
use crate::store::{Key, StoreError, key};
use crate::support::exit::{ExitStatus, ShellCode};
use crate::support::settings::PAD_VARIABLE;
use ablate_format::{BuildRecord, CellPlan, Pass, Record, Shard, StudyPlan, bytes_of_text};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

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
    /// The part of the study that is run; `None`: all of it.
    pub(crate) shard: Option<&'a Shard>,
    /// Folder of the package that cargo builds; `None` for other programs.
    pub(crate) package: Option<&'a Path>,
    /// The files of every revision; `None` for a study without revisions.
    pub(crate) beside: Option<&'a Beside>,
    /// Processors of the runner and of the measured processes.
    pub(crate) cpus: Cpus,
    /// The available instruments.
    pub(crate) probed: &'a Probed,
    /// The block that runs at the moment.
    pub(crate) block: RefCell<Block>,
}

/// What is run, and with which instruments.
#[derive(Clone, Copy)]
pub(crate) struct Attempt<'p> {
    /// The cell.
    pub(crate) cell: &'p CellPlan,
    /// Path of its binary, as files have it.
    pub(crate) binary: &'p str,
    /// The run.
    pub(crate) slot: Slot,
    /// Instruments that are attached; `Some` also leaves out what would be counted and is not the program's work.
    pub(crate) counters: Option<&'p Probed>,
    /// The pass whose instruments are attached; `None`: all.
    pub(crate) counter_pass: Option<usize>,
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
    /// The files of a revision could not be put in their place.
    #[error(transparent)]
    Files(#[from] BuildError),
    /// A record cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A folder for a run cannot be made, or there is no free port.
    #[error("cannot make the folder of a run, or find a free port: {source}; free some space, or set `scratch_in`")]
    Scratch {
        /// The system's error.
        source: std::io::Error,
    },
    /// A text with NUL, which no process can receive.
    #[error("cell {cell}: an argument, path or environment value contains NUL; remove it")]
    Nul {
        /// The cell.
        cell: String,
    },
}

impl RunError {
    pub(super) fn scratch(source: std::io::Error) -> RunError {
        RunError::Scratch { source }
    }
}

impl ExitStatus for RunError {
    fn exit(&self) -> ShellCode {
        match self {
            RunError::Process(error) => error.exit(),
            RunError::Files(error) => error.exit(),
            // The folder was usable when the study began, so another call would not help.
            RunError::Store(_) | RunError::Scratch { .. } | RunError::Nul { .. } => ShellCode::BadRuns,
        }
    }
}

impl Context<'_> {
    /// An empty record for a run that has not been made yet.
    pub(super) fn blank(&self, slot: Slot) -> Record {
        let workload = &self.plan.workloads[slot.workload].name;
        Record { order: slot.order, ..Record::new(slot.pass, slot.block, workload, &self.plan.cells[slot.cell].id) }
    }

    /// Those of the first `blocks` timing blocks that are run here.
    pub(crate) fn blocks(&self, blocks: u32) -> impl Iterator<Item = u32> + '_ {
        (0..blocks).filter(|block| self.shard.is_none_or(|shard| shard.has(*block)))
    }

    /// Number of the first timing block that is run here.
    pub(super) fn first_block(&self) -> u32 {
        self.shard.map_or(0, Shard::first_block)
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
    /// builds. Counts are of layout 0. In a study of several shards every turn begins one layout later, so that each shard
    /// comes to all layouts and machines are not compared by different ones.
    pub(super) fn layout(&self, cell: &CellPlan, slot: Slot) -> Result<(&str, u32), String> {
        let first = self.binary(cell)?;
        let layouts = &self.build(cell)?.layouts;
        // The number of layouts is at most 64, so it fits.
        let count = layouts.len() as u32 + 1;
        let later = if self.shard.is_some() { slot.block / count } else { 0 };
        let layout = if slot.pass == Pass::Timing { (slot.block + later) % count } else { 0 };
        Ok(match layout.checked_sub(1) {
            None => (first, 0),
            Some(shuffled) => (&layouts[shuffled as usize].path, layout),
        })
    }

    /// The launch of the measured process of an attempt: the program, or the server.
    pub(super) fn launch_of<'p>(&self, attempt: &Attempt<'p>, place: &Place) -> Result<Launch<'p>, RunError> {
        let Attempt { cell, slot, .. } = *attempt;
        let workload = &self.study.workloads[slot.workload];
        let surroundings = &self.study.subject.surroundings;
        let nul = |_| RunError::Nul { cell: cell.id.clone() };
        let has_client = surroundings.server.is_some();
        let mut args: Vec<&String> = cell.args.iter().collect();
        if !has_client {
            args.extend(self.work(slot, attempt.counters.is_some()));
        }
        let own = self.own_command(cell, slot.workload);
        let words = with_args(own.unwrap_or_else(|| self.called(cell)), &args);
        let mut argv: Vec<Vec<u8>> = words.iter().map(|arg| place.fill(arg)).collect();
        let mut env = self.variables(&cell.env, place);
        if let (Some(harness), Some(benchmark), Some(scratch)) =
            (self.study.subject.harness, &workload.benchmark, place.folder())
        {
            if self.package.is_some() {
                // As cargo starts it. Harnesses that start themselves again do so by this word.
                argv[0] = bytes_of_text(attempt.binary);
            }
            let given: Vec<String> = words.iter().map(|word| (*word).clone()).collect();
            let call = harness.one(&Request { benchmark, given: &given, scratch });
            let package = self.package.map(|package| self.beside(cell, package));
            let asked = Asked { harness, call: &call, scratch, package: package.as_deref() };
            asked.add(&mut argv, &mut env).map_err(RunError::scratch)?;
        }
        let argv = argv.into_iter().map(CString::new);
        let stdin = surroundings.stdin.as_ref().filter(|_| !has_client);
        Ok(Launch {
            program: CString::new(own.map_or_else(|| bytes_of_text(attempt.binary), |own| self.found(own)))
                .map_err(nul)?,
            argv: argv.collect::<Result<_, _>>().map_err(nul)?,
            envp: padded(env, slot.pad).map_err(nul)?,
            directory: Some(self.directory(Some(cell), place).map_err(nul)?),
            cpus: Some(if workload.pin { self.cpus.pinned } else { self.cpus.allowed }),
            aslr: slot.pass == Pass::Timing,
            timeout: self.study.timeout,
            counters: attempt.counters,
            counter_pass: attempt.counter_pass,
            stdin: stdin.map(|file| self.input(file, place)).transpose().map_err(nul)?,
            heeds_interrupt: true,
            samples_memory: slot.pass == Pass::Timing
                && surroundings.server.as_ref().is_none_or(|server| server.is_measured),
        })
    }

    /// The arguments that say what is to be done. The preflight attaches no counter and runs the program as it is
    /// timed, verification included.
    pub(super) fn work(&self, slot: Slot, is_counted: bool) -> impl Iterator<Item = &String> {
        let subject = &self.study.subject;
        let counting = if is_counted { subject.counting_args.as_slice() } else { &[] };
        let idle = match slot.pass {
            Pass::CountingIdle => subject.idle_args.as_deref().unwrap_or_default(),
            Pass::Timing | Pass::Counting | Pass::UnitCosts => &[],
        };
        self.study.workloads[slot.workload].args.iter().chain(counting).chain(idle)
    }

    /// The absolute path of the config's folder.
    pub(super) fn folder(&self) -> PathBuf {
        std::path::absolute(self.study.folder()).unwrap_or_else(|_| self.study.folder().to_owned())
    }

    /// Where a folder of the sources is while a cell runs: beside the other files of its revision.
    fn beside(&self, cell: &CellPlan, folder: &Path) -> PathBuf {
        let own = self.beside.and_then(|beside| beside.place_of(folder, &cell.build));
        own.unwrap_or_else(|| folder.to_owned())
    }

    /// The folder in which the measured process of a cell starts; without a cell, a process that is the same for all.
    pub(super) fn directory(&self, cell: Option<&CellPlan>, place: &Place) -> Result<CString, std::ffi::NulError> {
        let scratch = place.folder().filter(|_| self.study.subject.surroundings.in_scratch);
        // Benchmarks of a package start where `cargo bench` starts them.
        let package = self.package.filter(|_| self.study.subject.harness.is_some());
        let folder = match (scratch, cell) {
            (Some(scratch), _) => scratch.to_owned(),
            (None, Some(cell)) => self.beside(cell, &package.map_or_else(|| self.folder(), Path::to_owned)),
            (None, None) => package.map_or_else(|| self.folder(), Path::to_owned),
        };
        CString::new(folder.as_os_str().as_bytes())
    }

    /// The file of standard input.
    pub(super) fn input(&self, file: &str, place: &Place) -> Result<CString, std::ffi::NulError> {
        let file = std::ffi::OsString::from_vec(place.fill(file));
        CString::new(self.folder().join(file).into_os_string().into_vec())
    }

    /// The command of a workload, for cells of the subject's own program.
    fn own_command(&self, cell: &CellPlan, workload: usize) -> Option<&[String]> {
        let own = self.study.workloads[workload].command.as_deref()?;
        let build = self.programs.iter().find(|build| build.id == cell.build)?;
        let is_of_subject =
            matches!(&self.study.subject.program, Program::Command(all) if build.command.as_ref() == Some(all));
        is_of_subject.then_some(own)
    }

    /// Path of the program of a command. One that has gone since the study began is started by its name, which fails.
    fn found(&self, command: &[String]) -> Vec<u8> {
        let program = command.first().map_or("", String::as_str);
        let path = find(self.study.folder(), program).unwrap_or_else(|| PathBuf::from(program));
        path.into_os_string().into_vec()
    }

    /// First words of the process of a cell: its name, and the arguments of its command.
    pub(super) fn called(&self, cell: &CellPlan) -> &[String] {
        let command =
            self.programs.iter().find(|build| build.id == cell.build).and_then(|build| build.command.as_deref());
        match (command, &self.study.subject.program) {
            (Some(command), _) => command,
            (None, Program::Command(command)) => command,
            (None, Program::Cargo(program)) => std::slice::from_ref(&program.binary),
            (None, Program::Made(program)) => std::slice::from_ref(&program.artefact),
        }
    }

    /// The allow-list from the runner's environment, a cell's own variables, those of the place, and the padding.
    pub(super) fn environment(
        &self,
        own: &BTreeMap<String, String>,
        pad: Option<usize>,
        place: &Place,
    ) -> Result<Vec<CString>, std::ffi::NulError> {
        padded(self.variables(own, place), pad)
    }

    /// The same without the padding.
    pub(super) fn variables(&self, own: &BTreeMap<String, String>, place: &Place) -> BTreeMap<Vec<u8>, Vec<u8>> {
        let mut env: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for name in &self.study.subject.allow_env {
            if let Some(value) = std::env::var_os(name) {
                env.insert(name.clone().into_bytes(), value.as_bytes().to_vec());
            }
        }
        env.extend(own.iter().map(|(name, value)| (name.clone().into_bytes(), place.fill(value))));
        env.extend(place.variables());
        env
    }
}

/// Variables with the padding, as a process receives them.
fn padded(mut env: harness::Variables, pad: Option<usize>) -> Result<Vec<CString>, std::ffi::NulError> {
    if let Some(pad) = pad {
        env.insert(PAD_VARIABLE.into(), vec![b'x'; pad]);
    }
    harness::envp(env)
}

/// Stands in a command for the arguments that would otherwise follow it.
const ARGS: &str = "{args}";

/// A command with arguments: in the place of `{args}`, or at its end.
pub(super) fn with_args<'c>(command: &'c [String], args: &[&'c String]) -> Vec<&'c String> {
    let Some(at) = command.iter().position(|word| word == ARGS) else {
        return command.iter().chain(args.iter().copied()).collect();
    };
    command[..at].iter().chain(args.iter().copied()).chain(&command[at + 1..]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_stand_where_the_command_says() {
        let check = |command: &[&str], expected: &[&str]| {
            let command: Vec<String> = command.iter().map(|word| (*word).to_owned()).collect();
            let args = ["-a".to_owned(), "b".to_owned()];
            assert_eq!(with_args(&command, &args.iter().collect::<Vec<_>>()), expected);
        };
        check(&["prog", "x"], &["prog", "x", "-a", "b"]);
        check(&["prog", "{args}", "x"], &["prog", "-a", "b", "x"]);
        check(&["prog", "{args}"], &["prog", "-a", "b"]);
        check(&["prog", "--x={args}"], &["prog", "--x={args}", "-a", "b"]);
    }
}
