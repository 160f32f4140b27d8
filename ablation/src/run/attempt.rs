//! One run with everything around its process: folder, hooks, server.

use super::context::{Attempt, Context, RunError};
use super::hooks::{self, Hooked};
use super::preloaded::Preloaded;
use super::process::{self, Launch};
use super::ran::{Ran, Trouble};
use super::scratch::Place;
use super::server;
use ablate_format::Status;

/// Makes one run. `change` prepares the launch of the measured process.
///
/// # Errors
/// [`RunError`] when a process could not be started, or the error of `change`.
pub(crate) fn run<'p, E: From<RunError>>(
    context: &Context<'_>,
    attempt: &Attempt<'p>,
    change: impl FnOnce(&mut Launch<'p>) -> Result<(), E>,
) -> Result<Ran, E> {
    let surroundings = &context.study.subject.surroundings;
    if let Some(beside) = context.beside {
        beside.show(&attempt.cell.build).map_err(RunError::from)?;
    }
    let mut block = context.block.borrow_mut();
    match hooks::enter(context, &mut block, attempt.slot)? {
        Hooked::Done => {}
        ended => return Ok(not_begun(ended)),
    }
    let place = Place::new(surroundings, context.folder(), block.folder()).map_err(RunError::scratch)?;
    let harness = context.study.subject.harness;
    let mut launch = context.launch_of(attempt, &place)?;
    change(&mut launch)?;
    let hook = |name, commands, heeds| hooks::run(context, attempt.cell, &place, (name, commands), heeds);
    let ran = match hook("before_run", &surroundings.before_run, true)? {
        Hooked::Done => {
            let preloaded = Preloaded::watch(&attempt.cell.env);
            let ran = match &surroundings.server {
                None => process::run(&launch).map(Ran::from).map_err(RunError::from),
                Some(server) => server::run(context, attempt, &place, server, &launch),
            };
            ran.map(|ran| Ran { preload_opened: preloaded.map(Preloaded::opened), ..ran })
        }
        ended => Ok(not_begun(ended)),
    };
    let benchmark = context.study.workloads[attempt.slot.workload].benchmark.as_deref();
    let ran = ran.map(|mut ran| {
        if let (Some(harness), Some(benchmark), Some(scratch)) = (harness, benchmark, place.folder()) {
            ran.finished.harness = Some(super::harness::measured(harness, benchmark, &ran.finished, scratch));
        }
        ran
    });
    // What was begun is cleaned up, however the run ended.
    let after = hook("after_run", &surroundings.after_run, false)?;
    let mut ran = ran?;
    if let Hooked::Failed(why) = after
        && ran.is_good(&surroundings.accept_exit)
    {
        ran.trouble = Some(Trouble::new(Status::Invalid, why));
    }
    Ok(ran)
}

/// A run that a hook kept from beginning.
fn not_begun(hooked: Hooked) -> Ran {
    match hooked {
        Hooked::Interrupted => Ran::interrupted(),
        Hooked::Failed(why) => Ran::without(Trouble::new(Status::Invalid, why)),
        Hooked::Done => Ran::without(Trouble::new(Status::Invalid, String::new())),
    }
}
