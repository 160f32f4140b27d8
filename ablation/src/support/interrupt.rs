//! Ctrl-C. At the first signal the runner ends the current process and stops. The second signal ends both at once,
//! without a report.

use super::exit::INTERRUPTED;
use std::io;
use std::os::fd::RawFd;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

/// Process groups that run at once: a server and its client, with a place to spare.
const MAX_GROUPS: usize = 3;

// Relaxed is enough for all three, because no other data depend on them.
/// Number of signals so far.
static ASKED: AtomicU32 = AtomicU32::new(0);
/// Descriptor that is readable after the first signal, so that a sleeping `poll` wakes. −1: no handler.
static WAKE: AtomicI32 = AtomicI32::new(-1);
/// Process groups that run at the moment; 0: none.
static GROUPS: [AtomicI32; MAX_GROUPS] = [const { AtomicI32::new(0) }; MAX_GROUPS];

/// Installs the handler for SIGINT, SIGTERM and SIGHUP.
///
/// # Errors
/// The system's error.
pub(crate) fn install() -> io::Result<()> {
    // SAFETY: the call takes two numbers.
    let wake = unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) };
    if wake < 0 {
        return Err(io::Error::last_os_error());
    }
    WAKE.store(wake, Ordering::Relaxed);
    // A file that may not grow is then an error like a full disk. Measured processes get the default back.
    // SAFETY: sets no handler.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
    for signal in [libc::SIGINT, libc::SIGTERM, libc::SIGHUP] {
        // SAFETY: all zeros is a valid sigaction.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = on_signal as extern "C" fn(libc::c_int) as usize;
        action.sa_flags = libc::SA_RESTART;
        // SAFETY: the action is initialised and its handler calls async-signal-safe functions only.
        if unsafe { libc::sigaction(signal, &action, std::ptr::null_mut()) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

extern "C" fn on_signal(_: libc::c_int) {
    let before = ASKED.fetch_add(1, Ordering::Relaxed);
    for group in groups().filter(|_| before > 0) {
        // SAFETY: a system call with numbers; the group was made by this process.
        unsafe { libc::kill(-group, libc::SIGKILL) };
    }
    // After the second signal the runner wakes and ends the processes that left the group, because a signal handler
    // cannot find them. When no process runs, or at the third signal, ablate exits at once.
    if before > 1 || (before > 0 && groups().next().is_none()) {
        // SAFETY: async-signal-safe; the records on disk are whole lines.
        unsafe { libc::_exit(INTERRUPTED.into()) };
    }
    let one = 1_u64;
    // SAFETY: eight bytes of a live number. After a failed write the runner still sees ASKED between two processes.
    unsafe { libc::write(WAKE.load(Ordering::Relaxed), (&raw const one).cast(), 8) };
}

/// Whether a signal arrived.
pub(crate) fn asked() -> bool {
    ASKED.load(Ordering::Relaxed) > 0
}

/// Whether a second signal arrived. There is no report then.
pub(crate) fn asked_twice() -> bool {
    ASKED.load(Ordering::Relaxed) > 1
}

/// Descriptor that becomes readable with the first signal; −1, which `poll` ignores, without a handler.
pub(crate) fn wake_fd() -> RawFd {
    WAKE.load(Ordering::Relaxed)
}

/// The process groups that run. Async-signal-safe.
fn groups() -> impl Iterator<Item = libc::pid_t> {
    GROUPS.iter().map(|place| place.load(Ordering::Relaxed)).filter(|group| *group > 0)
}

/// Whether a process group runs that this process started.
pub(crate) fn has_groups() -> bool {
    groups().next().is_some()
}

/// Adds a process group to those that the handler ends.
pub(crate) fn add_group(group: libc::pid_t) {
    let free = |place: &&AtomicI32| place.compare_exchange(0, group, Ordering::Relaxed, Ordering::Relaxed).is_ok();
    let found = GROUPS.iter().find(free);
    debug_assert!(found.is_some() || cfg!(test), "the runner starts at most {MAX_GROUPS} processes at once");
}

/// Removes a process group that has ended.
pub(crate) fn remove_group(group: libc::pid_t) {
    for place in &GROUPS {
        // An error means that another group stands there.
        let _ = place.compare_exchange(group, 0, Ordering::Relaxed, Ordering::Relaxed);
    }
}
