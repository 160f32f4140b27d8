//! Runs the study plan: a preflight, then counting, then timing in randomised complete blocks. One process runs at a
//! time, and each run has one record.
//!
//! Counting comes first. It is short, its counts do not depend on earlier runs, and it checks every cell in every
//! workload before hours of timing begin. The analysis of records is left to [`crate::analyse`].

pub(crate) mod attempt;
mod auxiliary;
mod context;
mod cpus;
pub(crate) mod harness;
mod hooks;
mod opened;
mod orphans;
mod outcome;
mod passes;
mod preflight;
mod preloaded;
pub(crate) mod process;
mod ran;
mod ready;
pub(crate) mod schedule;
mod scratch;
mod server;
mod tools;
mod unit_costs;
mod watch;
mod words;

pub(crate) use context::{Attempt, Context, End, RunError};
pub(crate) use cpus::Cpus;
pub(crate) use opened::{Opened, opened};
pub(crate) use orphans::become_reaper;
pub(crate) use preflight::{PreflightError, preflight};
use unit_costs::UnitCosts;

use crate::prove;
use crate::store::{Key, RecordWriter, key};
use crate::support::interrupt;
use crate::support::progress::{Progress, note};
use ablate_format::{Pass, Status};
use process::Exit;
use ran::Trouble;
use schedule::Slot;
use std::collections::BTreeSet;
use std::fs::File;

/// Why a run does not count whose machine slept: its caches and clock rates are those of a machine that woke up.
const SUSPENDED: &str = "the machine was suspended during this run";

/// Most runs that are repeated for this reason, one after the other.
const MOST_SUSPENDED: u32 = 3;

/// Where the records of runs go, and the runs that are done already.
pub(crate) struct Session<'a> {
    records: &'a mut RecordWriter<File>,
    done: &'a BTreeSet<Key>,
    progress: &'a mut Progress,
    unit_costs: UnitCosts,
    is_warm: bool,
}

impl Session<'_> {
    /// A session that appends to `records`, skips the runs in `done` and shows its progress.
    pub(crate) fn new<'a>(
        records: &'a mut RecordWriter<File>,
        done: &'a BTreeSet<Key>,
        progress: &'a mut Progress,
    ) -> Session<'a> {
        Session { records, done, progress, unit_costs: UnitCosts::default(), is_warm: false }
    }

    /// Shows this with the progress from now on.
    pub(crate) fn remark(&mut self, remark: String) {
        self.progress.remark(remark);
    }
}

/// Makes every counting run that is not done.
///
/// # Errors
/// [`RunError`]; the records so far stay.
pub(crate) fn counting(context: &Context<'_>, session: &mut Session<'_>) -> Result<End, RunError> {
    // Released before timing begins. While a tracepoint is registered, every system call of the machine takes the slow
    // path.
    let _held = context.probed.hold_tracepoints();
    all(context, schedule::counting(context.study, context.plan, context.first_block()), session)
}

/// Makes every timing run of a block that is not done, and measures the unit costs of this machine.
///
/// # Errors
/// [`RunError`]; the records so far stay.
pub(crate) fn block(context: &Context<'_>, block: u32, session: &mut Session<'_>) -> Result<End, RunError> {
    if session.unit_costs.step(context, block, session.records, session.done)? == End::Interrupted {
        session.records.sync()?;
        return Ok(End::Interrupted);
    }
    let slots = schedule::block(context.seed, block, context.plan);
    if warm_up(context, &slots, session)? == End::Interrupted {
        return Ok(End::Interrupted);
    }
    all(context, slots, session)
}

/// Runs what the study asks for before its first timing run here: caches of the system and of the program's own files
/// are then as later blocks find them. A resumed study warms up again, because the machine may have been used
/// otherwise. How such a run ends does not matter, because the runs that count tell the same.
fn warm_up(context: &Context<'_>, slots: &[Slot], session: &mut Session<'_>) -> Result<End, RunError> {
    let repeats = context.study.subject.surroundings.warm_up;
    if session.is_warm || repeats == 0 || slots.iter().all(|slot| !context.is_missing(slot, session.done)) {
        return Ok(End::Complete);
    }
    for _ in 0..repeats {
        for slot in slots {
            let cell = &context.plan.cells[slot.cell];
            let Ok((binary, _)) = context.layout(cell, *slot) else { continue };
            if interrupt::asked() || passes::time(context, cell, binary, *slot)?.finished.exit == Exit::Interrupted {
                return Ok(End::Interrupted);
            }
        }
    }
    session.is_warm = true;
    Ok(End::Complete)
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

/// Number of processes that counting and this many blocks start, without those that measure unit costs.
pub(crate) fn remaining(context: &Context<'_>, blocks: u32, done: &BTreeSet<Key>) -> usize {
    let counting = schedule::counting(context.study, context.plan, context.first_block()).into_iter();
    let timing = context.blocks(blocks).flat_map(|block| schedule::block(context.seed, block, context.plan));
    counting.chain(timing).filter(|slot| context.is_missing(slot, done)).count()
}

/// Whether every timing run of a block is done.
pub(crate) fn is_done(context: &Context<'_>, block: u32, done: &BTreeSet<Key>) -> bool {
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
            // One record per workload is enough to report a failed build.
            if slot.pass == Pass::Timing && slot.block == context.first_block() {
                record.status = Status::BuildFailed;
                record.reason = why;
                session.records.append(&record)?;
            }
            return Ok(End::Complete);
        }
    };
    record.layout = layout;
    let ran = match slot.pass {
        Pass::Timing => {
            let pin = context.study.workloads[slot.workload].pin;
            loop {
                let before = context.cpus.contention_probe_ns(pin);
                let mut ran = passes::time(context, cell, binary, slot)?;
                record.contention_probe_ns = before.zip(context.cpus.contention_probe_ns(pin));
                if !ran.is_of_a_suspend() {
                    break ran;
                }
                record.suspended_runs += 1;
                if record.suspended_runs > MOST_SUSPENDED {
                    ran.trouble = Some(Trouble::new(Status::Invalid, SUSPENDED.to_owned()));
                    break ran;
                }
                note(&format!("{SUSPENDED}, so it is repeated: {}, cell {}", record.workload, record.cell));
            }
        }
        Pass::Counting | Pass::CountingIdle | Pass::UnitCosts => passes::count(context, cell, binary, slot)?,
    };
    if ran.finished.exit == Exit::Interrupted {
        return Ok(End::Interrupted);
    }
    outcome::fill(&mut record, ran, &context.plan.workloads[slot.workload], context.study);
    prove::prove(context.plan, &mut record);
    session.records.append(&record)?;
    session.progress.step(&record);
    Ok(End::Complete)
}
