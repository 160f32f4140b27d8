//! Processes that stand beside the measured one: hooks, clients, and commands that read a configuration.

use super::context::{Attempt, Context, RunError, with_args};
use super::process::Launch;
use super::scratch::Place;
use crate::builds;
use crate::config::Server;
use ablate_format::{CellPlan, Pass};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;

/// Variables of the runner that every such process gets, because it is no part of what is measured.
const PASSED_ON: [&str; 2] = ["HOME", "PATH"];

/// The launch of a command in the scratch folder, on all processors. It gets the variables of a cell; without one those
/// of the subject. The inner error says why there is no such program.
pub(super) fn launch(
    context: &Context<'_>,
    cell: Option<&CellPlan>,
    place: &Place,
    command: &[String],
) -> Result<Result<Launch<'static>, String>, RunError> {
    let study = context.study;
    let named = command.first().map_or("", String::as_str);
    let filled = String::from_utf8_lossy(&place.fill(named)).into_owned();
    let Some(program) = builds::find(study.folder(), &filled) else {
        let why = "there is no such program; a name is looked up on the PATH, and a path is relative to the config";
        return Ok(Err(format!("{filled}: {why}")));
    };
    let nul = |_| RunError::Nul { cell: cell.map_or_else(|| "of a hook".to_owned(), |cell| cell.id.clone()) };
    let argv: Result<Vec<CString>, _> = command.iter().map(|word| CString::new(place.fill(word))).collect();
    let passed = PASSED_ON.iter().filter_map(|name| Some(((*name).into(), std::env::var_os(name)?.as_bytes().into())));
    let mut env: BTreeMap<Vec<u8>, Vec<u8>> = passed.collect();
    env.extend(context.variables(cell.map_or(&study.subject.env, |cell| &cell.env), place));
    let env: Result<Vec<CString>, _> =
        env.into_iter().map(|(name, value)| CString::new([name, value].join(&b'='))).collect();
    let folder = match place.folder() {
        Some(folder) => folder.to_owned(),
        None => context.folder(),
    };
    Ok(Ok(Launch {
        program: CString::new(program.as_os_str().as_bytes()).map_err(nul)?,
        argv: argv.map_err(nul)?,
        envp: env.map_err(nul)?,
        directory: Some(CString::new(folder.as_os_str().as_bytes()).map_err(nul)?),
        cpus: Some(context.cpus.allowed),
        aslr: true,
        timeout: study.timeout,
        counters: None,
        counter_pass: None,
        stdin: None,
        heeds_interrupt: true,
        samples_memory: false,
    }))
}

/// The launch of the client of a server. It has the variables of the subject and none of a level. Beside a server
/// that is held on one processor it is held on another one, where there is one. The inner error says why there is
/// no such program.
pub(super) fn client(
    context: &Context<'_>,
    attempt: &Attempt<'_>,
    place: &Place,
    server: &Server,
) -> Result<Result<Launch<'static>, String>, RunError> {
    let slot = attempt.slot;
    let args: Vec<&String> = context.work(slot, attempt.counters.is_some()).collect();
    let command: Vec<String> = with_args(&server.client, &args).into_iter().cloned().collect();
    let mut launched = match launch(context, None, place, &command)? {
        Ok(launch) => launch,
        Err(why) => return Ok(Err(why)),
    };
    let nul = |_| RunError::Nul { cell: attempt.cell.id.clone() };
    launched.envp = context.environment(&context.study.subject.env, slot.pad, place).map_err(nul)?;
    launched.directory = Some(context.directory(None, place).map_err(nul)?);
    if context.study.workloads[slot.workload].pin {
        launched.cpus = Some(context.cpus.neighbour().unwrap_or(context.cpus.pinned));
    }
    launched.aslr = slot.pass == Pass::Timing;
    launched.samples_memory = slot.pass == Pass::Timing && !server.is_measured;
    let stdin = context.study.subject.surroundings.stdin.as_ref();
    launched.stdin = stdin.map(|file| context.input(file, place)).transpose().map_err(nul)?;
    Ok(Ok(launched))
}
