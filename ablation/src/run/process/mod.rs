//! One measured process, from `fork` to the last of its descendants.
//!
//! The runner forks itself instead of using `std::process`, because counters must be attached between `fork` and
//! `exec`. While the process runs, the runner sleeps in `poll`. What a run means is left to [`super::outcome`].

mod child;
mod launch;
mod memory;
mod pipes;
mod resident;

use super::orphans;
use crate::measure::{Attached, Reading};
use crate::support::exit::{ExitStatus, ShellCode};
use crate::support::suspend::Moment;
use crate::support::{interrupt, steal};
use ablate_format::Measured;
pub(crate) use launch::Launch;
pub(crate) use memory::Resident;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::{Duration, Instant};

/// Time from SIGTERM to SIGKILL.
const GRACE: Duration = Duration::from_secs(2);

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// The process exited with this code.
    Code(i32),
    /// A signal ended it that the runner did not send.
    Signal(i32),
    /// The runner ended it at the time limit.
    Timeout,
    /// The runner ended it because Ctrl-C was pressed.
    Interrupted,
}

/// A process that has ended, with every process that it started.
#[derive(Debug)]
pub(crate) struct Finished {
    /// How it ended.
    pub(crate) exit: Exit,
    /// Nanoseconds from just before its `exec` to its end.
    pub(crate) wall_ns: u64,
    /// User and system time in nanoseconds, from `wait4`.
    pub(crate) cpu_ns: u64,
    /// Voluntary and involuntary context switches, from `wait4`.
    pub(crate) context_switches: (u64, u64),
    /// How long the machine slept at least between its start and its end; `None` when it did not.
    pub(crate) slept: Option<Duration>,
    /// Clock ticks that the host took from this machine meanwhile; `None` where `/proc/stat` does not have them.
    pub(crate) steal_ticks: Option<u64>,
    /// Minor and major page faults, from `wait4`.
    pub(crate) page_faults: u64,
    /// Peak resident bytes, from `wait4`. The kernel never reports less than the runner's own anonymous memory at the
    /// `fork`, some MiB.
    pub(crate) rss_peak_bytes: u64,
    /// Resident bytes of the runner at the `fork`; `None` where `/proc` does not have them.
    pub(crate) runner_rss_bytes: Option<u64>,
    /// Resident memory while it ran; `None` where it was not sampled or ended too soon.
    pub(crate) resident: Option<Resident>,
    /// Standard output, up to [`pipes::STDOUT_CAP`].
    pub(crate) stdout: Vec<u8>,
    /// SHA-256 of all of it, hexadecimal.
    pub(crate) stdout_sha256: String,
    /// Whether more output was discarded.
    pub(crate) stdout_cut: bool,
    /// End of standard error.
    pub(crate) stderr_tail: Vec<u8>,
    /// The counts of the instruments.
    pub(crate) reading: Reading,
    /// What was read from the output of a harness; `None` for a program that reports by its own line.
    pub(crate) harness: Option<Result<Measured, String>>,
}

impl Finished {
    /// The end of a run without a process: nothing was seen of it.
    pub(crate) fn without_process(exit: Exit) -> Finished {
        Finished {
            exit,
            wall_ns: 0,
            cpu_ns: 0,
            context_switches: (0, 0),
            slept: None,
            steal_ticks: None,
            page_faults: 0,
            rss_peak_bytes: 0,
            runner_rss_bytes: None,
            resident: None,
            stdout: Vec::new(),
            stdout_sha256: String::new(),
            stdout_cut: false,
            stderr_tail: Vec::new(),
            reading: Reading::default(),
            harness: None,
        }
    }
}

/// A process that could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProcessError {
    /// The program cannot be executed.
    #[error("{program}: cannot be executed{folder}: {source}; build it again or remove noexec from the mount")]
    Exec {
        /// Path of the program.
        program: String,
        /// ` in FOLDER`, when one was given.
        folder: String,
        /// The system's error.
        source: io::Error,
    },
    /// It cannot run on the processors that the study began with.
    #[error(
        "{program}: cannot run on {cpus}, which the study began with: {source}; a processor was taken away (taskset, a \
         cpuset, the limit of a container): give it back and add --resume, or start a new study"
    )]
    Processors {
        /// Path of the program.
        program: String,
        /// `processor 1`, or several.
        cpus: String,
        /// The system's error.
        source: io::Error,
    },
    /// The file for its standard input cannot be opened.
    #[error("{path}: cannot be opened as standard input: {source}; correct `stdin`, or make the file in `before_run`")]
    Stdin {
        /// Path of the file.
        path: String,
        /// The system's error.
        source: io::Error,
    },
    /// The system refused a step before the `exec`.
    #[error("cannot start a process: {step}: {source}; free memory, processes or descriptors")]
    Start {
        /// The step.
        step: &'static str,
        /// The system's error.
        source: io::Error,
    },
}

impl ExitStatus for ProcessError {
    fn exit(&self) -> ShellCode {
        match self {
            ProcessError::Exec { .. }
            | ProcessError::Processors { .. }
            | ProcessError::Stdin { .. }
            | ProcessError::Start { .. } => ShellCode::BadRuns,
        }
    }
}

fn start_error(step: &'static str) -> impl FnOnce(io::Error) -> ProcessError {
    move |source| ProcessError::Start { step, source }
}

/// Starts one process, waits for its end, and ends what it left behind.
///
/// # Errors
/// [`ProcessError`] when the program was not executed. However a process ends is a [`Finished`].
pub(crate) fn run(launch: &Launch<'_>) -> Result<Finished, ProcessError> {
    let mut process = Process::start(launch)?;
    let ended = process.wait(None);
    process.finish(ended)
}

/// The same while another process runs. When the other one ends first, this one is ended too; returns whether it did.
///
/// # Errors
/// As [`run`].
pub(crate) fn run_beside(launch: &Launch<'_>, other: &mut Process<'_>) -> Result<(Finished, bool), ProcessError> {
    let mut process = Process::start(launch)?;
    let ended = process.wait(Some(other));
    let finished = process.finish(ended)?;
    Ok((finished, other.has_ended))
}

/// A process that was started and has not been reaped.
pub(crate) struct Process<'a> {
    launch: &'a Launch<'a>,
    // Before the child, so that a runner that gives up early lets go of its pipes first.
    pipes: pipes::Pipes,
    pidfd: OwnedFd,
    child: Running,
    attached: Option<Attached>,
    steal_before: Option<u64>,
    moment: Option<Moment>,
    started: Instant,
    runner_rss_bytes: Option<u64>,
    resident: Option<Resident>,
    has_ended: bool,
}

/// What a short look at a process showed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// The process runs.
    Runs,
    /// The process has ended.
    Ended,
    /// Ctrl-C was pressed.
    Interrupted,
}

impl<'a> Process<'a> {
    /// Starts a process.
    ///
    /// # Errors
    /// [`ProcessError::Start`]. A program that cannot be executed is found by [`Process::finish`].
    pub(crate) fn start(launch: &'a Launch<'a>) -> Result<Process<'a>, ProcessError> {
        let (pipes, ends) = pipes::open(launch.stdin.as_deref()).map_err(|error| match &launch.stdin {
            Some(path) => ProcessError::Stdin { path: path.to_string_lossy().into_owned(), source: error },
            None => start_error("opening pipes")(error),
        })?;
        let prepared = child::Prepared::new(launch, &ends).map_err(start_error("preparing"))?;
        let runner_rss_bytes = resident::bytes();
        // SAFETY: the child calls only async-signal-safe functions until it execs or exits, on data made before.
        let pid = unsafe { libc::fork() };
        match pid {
            -1 => return Err(start_error("fork")(io::Error::last_os_error())),
            0 => prepared.exec(),
            _ => {}
        }
        // Parent and child both set the group, so that it exists whichever runs first. An error means that the child did
        // it. SAFETY: changes the group of a child that was not reaped.
        unsafe { libc::setpgid(pid, pid) };
        interrupt::add_group(pid);
        drop(ends);
        let child = Running { pid, reaped: false };
        let pidfd = pidfd(pid).map_err(start_error("pidfd_open"))?;
        let attached = launch.counters.map(|probed| match launch.counter_pass {
            Some(pass) => probed.attach_pass(pid, pass),
            None => probed.attach(pid),
        });
        let (steal_before, moment, started) = (steal::ticks(), Moment::now(), Instant::now());
        let mut process = Process {
            launch,
            pipes,
            pidfd,
            child,
            attached,
            steal_before,
            moment,
            started,
            runner_rss_bytes,
            resident: None,
            has_ended: false,
        };
        process.pipes.release().map_err(start_error("releasing the child"))?;
        Ok(process)
    }

    /// Reads what it wrote, and waits for at most `time` for its end or Ctrl-C.
    pub(crate) fn look(&mut self, time: Duration) -> Look {
        let ready = pipes::poll((&mut self.pipes, self.pidfd.as_raw_fd()), None, interrupt::wake_fd(), time);
        self.has_ended |= ready.ended;
        match (ready.ended, ready.woken) {
            (true, _) => Look::Ended,
            (_, true) => Look::Interrupted,
            _ => Look::Runs,
        }
    }

    /// Standard output and the end of standard error so far.
    pub(crate) fn said(&self) -> [&[u8]; 2] {
        [&self.pipes.stdout.bytes, &self.pipes.stderr.bytes]
    }

    /// Sends a signal to the process, waits for its end for at most `grace`, and then ends it. Ctrl-C does not shorten
    /// the wait; a second one ends the process at once.
    ///
    /// # Errors
    /// As [`Process::finish`].
    pub(crate) fn stop(mut self, signal: libc::c_int, grace: Duration) -> Result<Finished, ProcessError> {
        // SAFETY: numbers only; the process is not reaped, so its number is its own.
        unsafe { libc::kill(self.child.pid, signal) };
        let deadline = Instant::now() + grace;
        while !self.has_ended && !interrupt::asked_twice() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            // No descriptor for Ctrl-C, because after a first one it would end every sleep at once.
            let ready = pipes::poll((&mut self.pipes, self.pidfd.as_raw_fd()), None, -1, left);
            self.has_ended |= ready.ended;
        }
        // What still runs is ended by `finish`, with its group.
        self.finish(None)
    }

    /// Sleeps until the child has ended. Ends it at the time limit, when Ctrl-C is pressed or when the process beside it
    /// has ended, and returns which of the first two.
    fn wait(&mut self, mut other: Option<&mut Process<'_>>) -> Option<Exit> {
        let pid = self.child.pid;
        let mut deadline = self.started + self.launch.timeout;
        let mut ended: Option<Exit> = None;
        let (mut asked, mut killed) = (false, false);
        // Of a server that is measured, the memory counts while its client works.
        let beside = other.as_deref().filter(|other| other.launch.samples_memory).map(|other| other.child.pid);
        let sampled = beside.or(self.launch.samples_memory.then_some(pid));
        let mut sampler = sampled.map(|pid| memory::Sampler::new(pid, self.started));
        loop {
            // After a signal the descriptor stays readable, and would end every sleep at once.
            let wake = if asked || !self.launch.heeds_interrupt { -1 } else { interrupt::wake_fd() };
            let until = sampler.as_ref().map_or(deadline, |sampler| sampler.due().min(deadline));
            let time = until.saturating_duration_since(Instant::now());
            let beside = other.as_deref_mut().map(|other| {
                // The same is true of the descriptor of a process that has ended.
                let pidfd = if other.has_ended { -1 } else { other.pidfd.as_raw_fd() };
                (&mut other.pipes, pidfd)
            });
            let ready = pipes::poll((&mut self.pipes, self.pidfd.as_raw_fd()), beside, wake, time);
            if let Some(other) = other.as_deref_mut().filter(|_| ready.other_ended) {
                other.has_ended = true;
            }
            if ready.ended {
                self.has_ended = true;
                self.resident = sampler.and_then(|sampler| sampler.result());
                return ended;
            }
            if let Some(sampler) = &mut sampler {
                sampler.sample();
            }
            let over = Instant::now() >= deadline;
            if !asked && (ready.woken || ready.other_ended || over) {
                asked = true;
                ended = match (ready.woken, over) {
                    (true, _) => Some(Exit::Interrupted),
                    (_, true) => Some(Exit::Timeout),
                    _ => None,
                };
                // SAFETY: numbers only; the group's first process is not reaped.
                unsafe { libc::kill(-pid, libc::SIGTERM) };
                deadline = Instant::now() + GRACE;
            } else if asked && over && !killed {
                // SAFETY: as above.
                unsafe { libc::kill(-pid, libc::SIGKILL) };
                killed = true;
                // A process cannot refuse SIGKILL, but the kernel may take long to end it.
                deadline = Instant::now() + Duration::from_secs(3600);
            }
        }
    }

    /// Ends what is left of the process and its group, and says how it ended.
    fn finish(mut self, ended_by_us: Option<Exit>) -> Result<Finished, ProcessError> {
        let wall_ns = u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        let slept = self.moment.zip(Moment::now()).and_then(|(start, end)| start.slept_until(&end));
        let (status, usage) = self.child.reap();
        let steal_after = steal::ticks();
        orphans::sweep();
        self.pipes.drain();
        if let Some((step, source)) = self.pipes.failure() {
            let program = self.launch.program.to_string_lossy().into_owned();
            if step == pipes::Step::Processors {
                return Err(ProcessError::Processors { program, cpus: self.launch.processors(), source });
            }
            let folder = self.launch.directory.as_ref().map(|folder| format!(" in {}", folder.to_string_lossy()));
            return Err(ProcessError::Exec { program, folder: folder.unwrap_or_default(), source });
        }
        let exit = match ended_by_us {
            Some(exit) => exit,
            None if libc::WIFSIGNALED(status) => Exit::Signal(libc::WTERMSIG(status)),
            None => Exit::Code(libc::WEXITSTATUS(status)),
        };
        let faults = usage.ru_minflt.saturating_add(usage.ru_majflt);
        Ok(Finished {
            exit,
            wall_ns,
            cpu_ns: nanoseconds(usage.ru_utime).saturating_add(nanoseconds(usage.ru_stime)),
            context_switches: (natural(usage.ru_nvcsw), natural(usage.ru_nivcsw)),
            slept,
            steal_ticks: self.steal_before.zip(steal_after).map(|(before, after)| after.saturating_sub(before)),
            page_faults: natural(faults),
            rss_peak_bytes: natural(usage.ru_maxrss).saturating_mul(1024),
            runner_rss_bytes: self.runner_rss_bytes,
            resident: self.resident,
            stdout_sha256: self.pipes.stdout.sha256(),
            stdout_cut: self.pipes.stdout.cut,
            stdout: std::mem::take(&mut self.pipes.stdout.bytes),
            stderr_tail: self.pipes.stderr.tail(),
            reading: self.attached.take().map(Attached::reading).unwrap_or_default(),
            harness: None,
        })
    }
}

/// A number of the kernel that is never negative.
fn natural(number: libc::c_long) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

fn nanoseconds(time: libc::timeval) -> u64 {
    natural(time.tv_sec).saturating_mul(1_000_000_000).saturating_add(natural(time.tv_usec).saturating_mul(1000))
}

/// A child that is ended and reaped on every way out.
struct Running {
    pid: libc::pid_t,
    reaped: bool,
}

impl Running {
    /// Ends the whole group and takes the child's status.
    fn reap(&mut self) -> (libc::c_int, libc::rusage) {
        // The child has ended but is not reaped, so the number of its group cannot have been reused.
        // SAFETY: numbers only.
        unsafe { libc::kill(-self.pid, libc::SIGKILL) };
        let mut status = 0;
        // SAFETY: all zeros is a valid rusage.
        let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
        // SAFETY: both results are live; the pid is an unreaped child.
        while unsafe { libc::wait4(self.pid, &mut status, 0, &mut usage) } < 0 {
            if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
                break;
            }
        }
        self.reaped = true;
        interrupt::remove_group(self.pid);
        (status, usage)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.reaped {
            self.reap();
        }
    }
}

fn pidfd(pid: libc::pid_t) -> io::Result<OwnedFd> {
    // SAFETY: numbers only; the descriptor is close-on-exec by itself.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    match i32::try_from(fd) {
        // SAFETY: the descriptor is new and belongs to this call alone.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests;
