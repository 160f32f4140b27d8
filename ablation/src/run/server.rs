//! The life of a server around one run: start, until it is ready, what its configuration is, the client's work, end.

use super::auxiliary;
use super::context::{Attempt, Context, RunError};
use super::hooks;
use super::process::{Exit, Finished, Launch, Look, Process, run_beside};
use super::ran::{Ran, Trouble};
use super::ready::Probe;
use super::scratch::Place;
use super::words;
use crate::config::Server;
use ablate_format::Status;
use std::time::{Duration, Instant};

/// How long the runner sleeps between two looks at a server that is not ready.
const LOOK: Duration = Duration::from_millis(2);

/// Most characters of a configuration that is read back.
const MAX_READ_BACK: usize = 4096;

/// Why a server cannot serve.
enum Unready {
    Ended,
    Late,
    Interrupted,
}

/// What came of a server that was started.
enum Served {
    Ran(Box<Ran>),
    /// The server ended by itself, then.
    Died(&'static str),
}

impl Served {
    fn failed(status: Status, reason: String) -> Served {
        Served::Ran(Box::new(Ran::without(Trouble::new(status, reason))))
    }
}

/// Runs the client beside a fresh server, and ends the server.
pub(super) fn run(
    context: &Context<'_>,
    attempt: &Attempt<'_>,
    place: &Place,
    server: &Server,
    launch: &Launch<'_>,
) -> Result<Ran, RunError> {
    let probe = Probe::new(&server.ready, place, launch);
    if let Some(why) = probe.is_taken() {
        return Ok(Ran::without(Trouble::new(Status::Crashed, why)));
    }
    let mut process = Process::start(launch)?;
    let served = match wait_until_ready(&mut process, &probe, server.ready_within) {
        None => serve(context, attempt, place, server, &mut process),
        Some(Unready::Interrupted) => Ok(Served::Ran(Box::new(Ran::interrupted()))),
        Some(Unready::Ended) => Ok(Served::Died("before it was ready")),
        Some(Unready::Late) => {
            let seconds = server.ready_within.as_secs();
            let why = format!("the server was not ready within {seconds} s: {probe}");
            Ok(Served::failed(Status::Crashed, why))
        }
    };
    // Whatever happened, the server is ended first.
    let ended = process.stop(server.stop, server.stop_within)?;
    let mut ran = match served? {
        Served::Ran(ran) => *ran,
        Served::Died(when) => {
            let why = format!("the server ended {when}: {}", words::ended(ended.exit));
            Ran::without(Trouble::new(Status::Crashed, why))
        }
    };
    if let Some(trouble) = ran.trouble.as_mut().filter(|trouble| trouble.status == Status::Crashed) {
        trouble.stderr = String::from_utf8_lossy(&ended.stderr_tail).into_owned();
        if let Some(line) = words::last_line(&trouble.stderr) {
            trouble.reason = format!("{}: {line}", trouble.reason);
        }
    }
    take_over(&mut ran.finished, ended, server.is_measured);
    Ok(ran)
}

fn wait_until_ready(process: &mut Process<'_>, probe: &Probe, within: Duration) -> Option<Unready> {
    let deadline = Instant::now() + within;
    loop {
        match process.look(LOOK) {
            Look::Ended => return Some(Unready::Ended),
            Look::Interrupted => return Some(Unready::Interrupted),
            Look::Runs if probe.is_ready(process.said()) => return None,
            Look::Runs if Instant::now() >= deadline => return Some(Unready::Late),
            Look::Runs => {}
        }
    }
}

/// The client's work on a server that is ready.
fn serve(
    context: &Context<'_>,
    attempt: &Attempt<'_>,
    place: &Place,
    server: &Server,
    process: &mut Process<'_>,
) -> Result<Served, RunError> {
    const DIED: Served = Served::Died("while the client ran");
    let mut read_back = None;
    if let Some(command) = &server.read_back {
        let invalid = |why: String| {
            let reason = format!("read_back `{}` failed: {why}", hooks::shown(command));
            Ok(Served::failed(Status::Invalid, reason))
        };
        let launch = match auxiliary::launch(context, Some(attempt.cell), place, command)? {
            Ok(launch) => launch,
            Err(why) => return invalid(why),
        };
        let (finished, has_ended) = run_beside(&launch, process)?;
        match hooks::failure(&finished) {
            _ if finished.exit == Exit::Interrupted => return Ok(Served::Ran(Box::new(Ran::interrupted()))),
            _ if has_ended => return Ok(DIED),
            Some(why) => return invalid(why),
            None => read_back = Some(place.unfill(&finished.stdout).chars().take(MAX_READ_BACK).collect()),
        }
    }
    let launch = match auxiliary::client(context, attempt, place, server)? {
        Ok(launch) => launch,
        Err(why) => return Ok(Served::failed(Status::Crashed, format!("the client {why}"))),
    };
    let (finished, has_ended) = run_beside(&launch, process)?;
    if has_ended && finished.exit != Exit::Interrupted {
        return Ok(DIED);
    }
    Ok(Served::Ran(Box::new(Ran { read_back, ..Ran::from(finished) })))
}

/// Counts are the server's, and so are processor time and memory where it is what is measured.
fn take_over(client: &mut Finished, server: Finished, is_measured: bool) {
    client.reading = server.reading;
    client.page_faults = server.page_faults;
    if is_measured {
        client.cpu_ns = server.cpu_ns;
        client.context_switches = server.context_switches;
        client.rss_peak_bytes = server.rss_peak_bytes;
        client.runner_rss_bytes = server.runner_rss_bytes;
        // The samples that the wait for the client took are of the server too: `Process::wait`.
    }
}
