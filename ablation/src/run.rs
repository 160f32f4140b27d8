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

pub use cpus::Cpus;
pub use orphans::become_reaper;
pub use preflight::{PreflightError, preflight};

use crate::config::{Program, Study};
use crate::measure::Probed;
use crate::progress::Progress;
use crate::prove;
use crate::record::{BuildRecord, CellPlan, FORMAT, Measured, Pass, Plan, Record, Status};
use crate::store::{Key, RecordWriter, StoreError, key};
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
    pub plan: &'a Plan,
    /// Binaries.
    pub builds: &'a [BuildRecord],
    /// Seed of orders and padding.
    pub seed: u64,
    /// Timing blocks.
    pub blocks: u32,
    /// Processors.
    pub cpus: Cpus,
    /// Instruments.
    pub probed: &'a Probed,
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

/// Runs everything that `done` does not contain and appends a record for each.
///
/// # Errors
/// [`RunError`]; the records so far are kept.
pub fn run(
    context: &Context<'_>,
    records: &mut RecordWriter<File>,
    done: &BTreeSet<Key>,
    progress: &mut Progress,
) -> Result<End, RunError> {
    let kept = context.probed.keep();
    for slot in schedule::counting(context.study, context.plan) {
        if step(context, slot, records, done, progress)? == End::Interrupted {
            records.sync()?;
            return Ok(End::Interrupted);
        }
    }
    records.sync()?;
    // Before timing begins nothing may be registered any more.
    drop(kept);
    for block in 0..context.blocks {
        let slots = schedule::block(context.seed, block, context.plan.workloads.len(), context.plan.cells.len());
        for slot in slots {
            if step(context, slot, records, done, progress)? == End::Interrupted {
                records.sync()?;
                return Ok(End::Interrupted);
            }
        }
        records.sync()?;
    }
    Ok(End::Complete)
}

/// Number of processes that [`run`] will start.
pub fn remaining(context: &Context<'_>, done: &BTreeSet<Key>) -> usize {
    let counting = schedule::counting(context.study, context.plan).into_iter();
    let (workloads, cells) = (context.plan.workloads.len(), context.plan.cells.len());
    let timing = (0..context.blocks).flat_map(|block| schedule::block(context.seed, block, workloads, cells));
    let missing = |slot: &Slot| {
        let empty = context.blank(*slot);
        !done.contains(&key(&empty)) && context.binary(&context.plan.cells[slot.cell]).is_ok()
    };
    counting.chain(timing).filter(missing).count()
}

fn step(
    context: &Context<'_>,
    slot: Slot,
    records: &mut RecordWriter<File>,
    done: &BTreeSet<Key>,
    progress: &mut Progress,
) -> Result<End, RunError> {
    if interrupt::asked() {
        return Ok(End::Interrupted);
    }
    let mut record = context.blank(slot);
    if done.contains(&key(&record)) {
        return Ok(End::Complete);
    }
    let cell = &context.plan.cells[slot.cell];
    let binary = match context.binary(cell) {
        Ok(binary) => binary,
        Err(why) => {
            // One record a workload says it; repeating it for every block would say nothing more.
            if slot.pass == Pass::Timing && slot.block == 0 {
                record.status = Status::BuildFailed;
                record.reason = why;
                records.append(&record)?;
            }
            return Ok(End::Complete);
        }
    };
    let counters = (slot.pass != Pass::Timing).then_some(context.probed);
    let finished = context.launch(cell, binary, slot, counters)?;
    if finished.exit == Exit::Interrupted {
        return Ok(End::Interrupted);
    }
    outcome::fill(&mut record, finished, context.study.timeout);
    prove::prove(context.plan, &mut record);
    records.append(&record)?;
    progress.step(&record);
    Ok(End::Complete)
}

impl Context<'_> {
    /// The record of a run that has not been.
    fn blank(&self, slot: Slot) -> Record {
        Record {
            format: FORMAT,
            pass: slot.pass,
            block: slot.block,
            order: slot.order,
            workload: self.plan.workloads[slot.workload].name.clone(),
            cell: self.plan.cells[slot.cell].id.clone(),
            status: Status::Ok,
            reason: String::new(),
            wall_ns: 0,
            process_page_faults: 0,
            process_rss_peak_bytes: 0,
            layout: 0,
            cpu_ns: 0,
            context_switches: None,
            steal_ticks: None,
            canary_ns: None,
            counts: BTreeMap::new(),
            unit_costs_ns: BTreeMap::new(),
            measured: None,
            stderr: String::new(),
        }
    }

    /// Path of a cell's binary, or why there is none.
    pub(crate) fn binary(&self, cell: &CellPlan) -> Result<&str, String> {
        match self.builds.iter().find(|build| build.id == cell.build).map(|build| &build.result) {
            Some(Ok(built)) => Ok(&built.path),
            Some(Err(failure)) => Err(format!("{}; log: {}", failure.message, failure.log)),
            None => Err(format!("build `{}` is not in the manifest", cell.build)),
        }
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
        let args = [binary_name(&subject.program)].into_iter().chain(own).chain(counting).chain(idle);
        let argv: Result<Vec<CString>, _> = args.map(|arg| CString::new(arg.as_str())).collect();
        Ok(Launch {
            program: CString::new(binary).map_err(nul)?,
            argv: argv.map_err(nul)?,
            envp: self.environment(cell, slot.pad).map_err(nul)?,
            cpus: Some(if workload.pin { self.cpus.pinned } else { self.cpus.allowed }),
            aslr: slot.pass == Pass::Timing,
            timeout: self.study.timeout,
            counters,
        })
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

/// What a process is called.
fn binary_name(program: &Program) -> &String {
    match program {
        Program::Cargo(program) => &program.binary,
        Program::Command(command) => &command[0],
    }
}
