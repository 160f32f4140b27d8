//! Starts a program, waits for its end, and passes signals on meanwhile.

use crate::error::Error;
use std::ffi::OsString;
use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};
use std::{fs, io, mem, ptr};

/// A program that ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// Its number.
    pub(crate) process: u32,
    /// How it ended.
    pub(crate) status: ExitStatus,
    /// From its start to its end.
    pub(crate) wall: Duration,
    /// What it and the children that it waited for used.
    pub(crate) usage: Usage,
}

/// What processes used.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Usage {
    /// Processor time in user mode.
    pub(crate) user: Duration,
    /// Processor time in the kernel.
    pub(crate) system: Duration,
    /// Page faults.
    pub(crate) faults: u64,
    /// The most that was resident of one process, in KiB; at least what this program had when it started it.
    pub(crate) peak_kib: u64,
}

/// The signals that end or steer a program. Those of a terminal reach the program by themselves.
const PASSED: [libc::c_int; 9] = [
    libc::SIGHUP,
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGALRM,
    libc::SIGTERM,
    libc::SIGCONT,
    libc::SIGWINCH,
];

/// Replaces this process by the program. Returns only where that fails.
pub(crate) fn replace(program: &Path, arguments: &[OsString], name: &OsString) -> Error {
    let error = Command::new(program).arg0(name).args(arguments).exec();
    Error::Start(name.to_string_lossy().into_owned(), error)
}

/// Runs the program to its end.
///
/// # Errors
/// It cannot be started.
pub(crate) fn run(program: &Path, arguments: &[OsString], name: &OsString) -> Result<Ended, Error> {
    // SAFETY: what this process does with a signal. Where it were ignored, the kernel would keep no child's end.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    let before = block();
    let start = Instant::now();
    let mut command = Command::new(program);
    command.arg0(name).args(arguments);
    let unblock = move || {
        // SAFETY: sets the mask of the calling thread to one that it had.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, ptr::null_mut()) };
        Ok(())
    };
    // SAFETY: one system call, in the child of a fork.
    unsafe { command.pre_exec(unblock) };
    let child = command.spawn().map_err(|error| Error::Start(name.to_string_lossy().into_owned(), error))?;
    let (status, usage) = wait(child.id());
    Ok(Ended { process: child.id(), status, wall: start.elapsed(), usage })
}

/// Blocks the signals that are waited for, and returns the mask from before.
fn block() -> libc::sigset_t {
    let waited = waited_for();
    // SAFETY: zeroes are an empty mask, and the call writes the old one.
    unsafe {
        let mut before = mem::zeroed();
        libc::pthread_sigmask(libc::SIG_BLOCK, &raw const waited, &raw mut before);
        before
    }
}

fn waited_for() -> libc::sigset_t {
    // SAFETY: the calls write the mask alone.
    unsafe {
        let mut mask = mem::zeroed();
        libc::sigemptyset(&raw mut mask);
        for signal in PASSED.into_iter().chain([libc::SIGCHLD]) {
            libc::sigaddset(&raw mut mask, signal);
        }
        mask
    }
}

/// Waits for the end of a child, and sends it what other processes send to this one.
fn wait(child: u32) -> (ExitStatus, Usage) {
    let waited = waited_for();
    let child = child.cast_signed();
    loop {
        // A child that ended before the first wait has left its signal pending.
        // SAFETY: zeroes are numbers, and the calls write them.
        unsafe {
            let (mut status, mut usage) = (0, mem::zeroed());
            if libc::wait4(child, &raw mut status, libc::WNOHANG, &raw mut usage) == child {
                return (ExitStatus::from_raw(status), used(&usage));
            }
            let mut sent: libc::siginfo_t = mem::zeroed();
            let signal = libc::sigwaitinfo(&raw const waited, &raw mut sent);
            // What the kernel sends comes from a terminal, which sends it to the program as well.
            if PASSED.contains(&signal) && sent.si_code <= 0 {
                libc::kill(child, signal);
            }
        }
    }
}

fn used(usage: &libc::rusage) -> Usage {
    let time = |time: libc::timeval| {
        Duration::from_secs(time.tv_sec.unsigned_abs()) + Duration::from_micros(time.tv_usec.unsigned_abs())
    };
    Usage {
        user: time(usage.ru_utime),
        system: time(usage.ru_stime),
        faults: usage.ru_minflt.unsigned_abs() + usage.ru_majflt.unsigned_abs(),
        peak_kib: usage.ru_maxrss.unsigned_abs(),
    }
}

/// Ends this process as the program ended: with its exit code, or by its signal and without a core file.
pub(crate) fn end_as(status: ExitStatus) -> ! {
    if let Some(signal) = status.signal() {
        // SAFETY: the calls set what this process does with one signal, and its limit.
        unsafe {
            let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            libc::setrlimit(libc::RLIMIT_CORE, &raw const none);
            libc::signal(signal, libc::SIG_DFL);
            let mut mask = mem::zeroed();
            libc::sigemptyset(&raw mut mask);
            libc::sigaddset(&raw mut mask, signal);
            libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const mask, ptr::null_mut());
            libc::raise(signal);
        }
        // The first process of a container does not end by a signal.
        std::process::exit(128 + signal);
    }
    std::process::exit(status.code().unwrap_or(1));
}

/// The first line of a report, by which the library knows that a file is one.
const MARK: &str = "hakmem report 1\n";

/// A folder with a file for the report, that any user may write to and only this program's user can list: the program may
/// change its user. It is in the temporary folder, or else in `/tmp`.
///
/// # Errors
/// Neither can be written to.
pub(crate) fn report_file() -> io::Result<(tempfile::TempDir, PathBuf)> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("hakmem-").rand_bytes(16);
    let folder = builder.tempdir().or_else(|_| builder.tempdir_in("/tmp"))?;
    let path = folder.path().join("report");
    fs::write(&path, MARK)?;
    set_permissions(&path, Permissions::from_mode(0o666))?;
    set_permissions(folder.path(), Permissions::from_mode(0o711))?;
    Ok((folder, path))
}
