//! Runs what the plan says: a preflight, then counting, then timing in randomised complete blocks, one fresh process at
//! a time, one record each.
//!
//! Counting comes first: it is short, its counts do not depend on what the machine did before, and it proves every
//! cell in every workload before hours of timing begin. What records mean together is left to [`crate::analyse`].

mod cpus;
pub mod interrupt;
mod orphans;
mod outcome;
mod preflight;
pub mod process;
pub mod schedule;
mod tools;
mod unit_costs;

pub use cpus::Cpus;
pub use orphans::become_reaper;
pub use preflight::{PreflightError, preflight};
use unit_costs::UnitCosts;

use crate::config::{Program, Study};
use crate::design::BuildPlan;
use crate::measure::Probed;
use crate::progress::{Progress, note};
use crate::prove;
use crate::store::{Key, RecordWriter, StoreError, key};
use ablate_format::{BuildRecord, CellPlan, Measured, Pass, Record, Status, StudyPlan};
use process::{Exit, Finished, Launch, ProcessError};
use schedule::Slot;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::CString;
use std::fs::File;
use std::os::unix::ffi::OsStrExt;

/// The variable whose length varies from run to run, so that no cell keeps one alignment of the stack.
pub const PAD_VARIABLE: &str = "ABLATE_PAD";

/// What all runs of a study share.
pub struct Context<'a> {
    /// Workloads with their pinning, time limit, arguments of idle runs.
    pub study: &'a Study,
    /// Cells.
    pub plan: &'a StudyPlan,
    /// The builds of the design: what is a command, and its arguments.
    pub programs: &'a [BuildPlan],
    /// Binaries.
    pub builds: &'a [BuildRecord],
    /// Seed of orders and padding.
    pub seed: u64,
    /// Processors.
    pub cpus: Cpus,
    /// Instruments.
    pub probed: &'a Probed,
}

/// What runs leave behind, and what they need not do again.
pub struct Session<'a> {
    records: &'a mut RecordWriter<File>,
    done: &'a BTreeSet<Key>,
    progress: &'a mut Progress,
    unit_costs: UnitCosts,
}

impl Session<'_> {
    /// A session that appends to `records`, leaves out what is `done` and shows its progress.
    pub fn new<'a>(
        records: &'a mut RecordWriter<File>,
        done: &'a BTreeSet<Key>,
        progress: &'a mut Progress,
    ) -> Session<'a> {
        Session { records, done, progress, unit_costs: UnitCosts::default() }
    }
}

/// How far a study came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// Everything was run.
    Complete,
    /// Somebody pressed Ctrl-C.
    Interrupted,
}

/// Why a study stopped.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A process could not be started.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// A record could not be kept.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Text that no process can receive.
    #[error("cell {cell}: an argument, path or environment value contains NUL; remove it")]
    Nul {
        /// The cell.
        cell: String,
    },
}

/// Makes every counting run that is not done.
///
/// # Errors
/// [`RunError`]; the records so far are kept.
pub fn counting(context: &Context<'_>, session: &mut Session<'_>) -> Result<End, RunError> {
    // Until timing begins: as long as a tracepoint is registered, every system call takes the slow way.
    let _kept = context.probed.keep();
    all(context, schedule::counting(context.study, context.plan), session)
}

/// Makes every timing run of a block that is not done, and prices the machine.
///
/// # Errors
/// [`RunError`]; the records so far are kept.
pub fn block(context: &Context<'_>, block: u32, session: &mut Session<'_>) -> Result<End, RunError> {
    if session.unit_costs.step(context, block, session.records, session.done)? == End::Interrupted {
        session.records.sync()?;
        return Ok(End::Interrupted);
    }
    all(context, schedule::block(context.seed, block, context.plan), session)
}

fn all(context: &Context<'_>, slots: Vec<Slot>, session: &mut Session<'_>) -> Result<End, RunError> {
    for slot in slots {
        if step(context, slot, session)? == End::Interrupted {
            session.records.sync()?;
            return Ok(End::Interrupted);
        }
    }
    session.records.sync()?;
    Ok(End::Complete)
}

/// Number of processes that counting and this many blocks will start, apart from those that price the machine.
pub fn remaining(context: &Context<'_>, blocks: u32, done: &BTreeSet<Key>) -> usize {
    let counting = schedule::counting(context.study, context.plan).into_iter();
    let timing = (0..blocks).flat_map(|block| schedule::block(context.seed, block, context.plan));
    counting.chain(timing).filter(|slot| context.is_missing(slot, done)).count()
}

/// Whether every timing run of a block is done.
pub fn is_done(context: &Context<'_>, block: u32, done: &BTreeSet<Key>) -> bool {
    !schedule::block(context.seed, block, context.plan).iter().any(|slot| context.is_missing(slot, done))
}

fn step(context: &Context<'_>, slot: Slot, session: &mut Session<'_>) -> Result<End, RunError> {
    if interrupt::asked() {
        return Ok(End::Interrupted);
    }
    let mut record = context.blank(slot);
    if session.done.contains(&key(&record)) {
        return Ok(End::Complete);
    }
    let cell = &context.plan.cells[slot.cell];
    let (binary, layout) = match context.layout(cell, slot) {
        Ok(found) => found,
        Err(why) => {
            // One record a workload says it; repeating it for every block would say nothing more.
            if slot.pass == Pass::Timing && slot.block == 0 {
                record.status = Status::BuildFailed;
                record.reason = why;
                session.records.append(&record)?;
            }
            return Ok(End::Complete);
        }
    };
    record.layout = layout;
    let finished = match slot.pass {
        Pass::Timing => {
            let pin = context.study.workloads[slot.workload].pin;
            let before = context.cpus.canary_ns(pin);
            let finished = context.launch(cell, binary, slot, None)?;
            record.contention_probe_ns = before.zip(context.cpus.canary_ns(pin));
            finished
        }
        Pass::Counting | Pass::CountingIdle | Pass::UnitCosts => context.count(cell, binary, slot)?,
    };
    if finished.exit == Exit::Interrupted {
        return Ok(End::Interrupted);
    }
    outcome::fill(&mut record, finished, context.plan.workloads[slot.workload].response, context.study.timeout);
    prove::prove(context.plan, &mut record);
    session.records.append(&record)?;
    session.progress.step(&record);
    Ok(End::Complete)
}

impl Context<'_> {
    /// The record of a run that has not been.
    fn blank(&self, slot: Slot) -> Record {
        let workload = &self.plan.workloads[slot.workload].name;
        Record { order: slot.order, ..Record::new(slot.pass, slot.block, workload, &self.plan.cells[slot.cell].id) }
    }

    fn is_missing(&self, slot: &Slot, done: &BTreeSet<Key>) -> bool {
        !done.contains(&key(&self.blank(*slot))) && self.binary(&self.plan.cells[slot.cell]).is_ok()
    }

    /// Path of a cell's binary, or why there is none.
    pub(crate) fn binary(&self, cell: &CellPlan) -> Result<&str, String> {
        match self.build(cell)?.result.as_ref() {
            Ok(built) => Ok(&built.path),
            Err(failure) => Err(format!("{}; log: {}", failure.message, failure.log)),
        }
    }

    fn build(&self, cell: &CellPlan) -> Result<&BuildRecord, String> {
        let found = self.builds.iter().find(|build| build.id == cell.build);
        found.ok_or_else(|| format!("build `{}` is not in the manifest", cell.build))
    }

    /// Path and number of the code layout that a slot runs: every block the next one, of all builds the same. Counts
    /// are of layout 0.
    fn layout(&self, cell: &CellPlan, slot: Slot) -> Result<(&str, u32), String> {
        let first = self.binary(cell)?;
        let layouts = &self.build(cell)?.layouts;
        // At most 16 layouts.
        let layout = if slot.pass == Pass::Timing { slot.block % (layouts.len() as u32 + 1) } else { 0 };
        Ok(match layout.checked_sub(1) {
            None => (first, 0),
            Some(shuffled) => (&layouts[shuffled as usize].path, layout),
        })
    }

    fn launch(
        &self,
        cell: &CellPlan,
        binary: &str,
        slot: Slot,
        counters: Option<&Probed>,
    ) -> Result<Finished, RunError> {
        Ok(process::run(&self.prepare(cell, binary, slot, counters)?)?)
    }

    /// Runs a cell as often as it takes to count everything: once for each set of counters that the processor has at a
    /// time, and once within each tool. What the first run did is what is told; a tool that fails gives no counts.
    fn count(&self, cell: &CellPlan, binary: &str, slot: Slot) -> Result<Finished, RunError> {
        let mut launch = self.prepare(cell, binary, slot, Some(self.probed))?;
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
            let mut launch = self.prepare(cell, binary, slot, Some(self.probed))?;
            launch.counters = None;
            match tools::count(wrapper, launch)? {
                tools::Counted::Counts(counts) => finished.reading.counts.extend(counts),
                tools::Counted::Interrupted => finished.exit = Exit::Interrupted,
                tools::Counted::Failed(why) => note(&format!("cell {}: {}: {why}", cell.id, wrapper.tool.program())),
            }
        }
        Ok(finished)
    }

    /// Everything that the process of a slot is started with.
    pub(crate) fn prepare<'p>(
        &self,
        cell: &CellPlan,
        binary: &str,
        slot: Slot,
        counters: Option<&'p Probed>,
    ) -> Result<Launch<'p>, RunError> {
        let workload = &self.study.workloads[slot.workload];
        let subject = &self.study.subject;
        // The preflight attaches nothing and takes the program as it is timed, verification and all.
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

    /// What a cell's process is called, and the arguments that its command brings.
    fn called(&self, cell: &CellPlan) -> &[String] {
        let command =
            self.programs.iter().find(|build| build.id == cell.build).and_then(|build| build.command.as_deref());
        match (command, &self.study.subject.program) {
            (Some(command), _) => command,
            (None, Program::Command(command)) => command,
            (None, Program::Cargo(program)) => std::slice::from_ref(&program.binary),
        }
    }

    /// The allow-list from the runner's environment, the cell's own, and the padding.
    fn environment(&self, cell: &CellPlan, pad: Option<usize>) -> Result<Vec<CString>, std::ffi::NulError> {
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

/// What a measured program said, when a run went well.
fn receipt(record: &Record) -> Option<&Measured> {
    record.measured.as_ref()
}
