//! Processes that a measured process leaves behind. Its process group is ended with it. This module ends processes that
//! left the group: the runner finds them, because it is the reaper of all its descendants.

use crate::support::interrupt;
use std::sync::atomic::{AtomicBool, Ordering};

/// Most rounds of looking for orphans. After each round, children of the processes that it ended may become orphans.
const MAX_ROUNDS: usize = 100;

/// Relaxed: set once by the main thread before the first process.
static REAPER: AtomicBool = AtomicBool::new(false);

/// Makes orphaned descendants children of this process.
///
/// From then on [`sweep`] ends every child that has left this process's group. So only a process that does nothing but
/// measure may call this.
///
/// # Errors
/// The system's error.
pub(crate) fn become_reaper() -> std::io::Result<()> {
    // SAFETY: the call takes numbers only.
    if unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    REAPER.store(true, Ordering::Relaxed);
    Ok(())
}

/// Ends and reaps the processes that the last one left behind. One system call when there are none. While another
/// process runs, such as a server, nothing is swept, because what it starts must live: the end of that one sweeps.
pub(super) fn sweep() {
    if !REAPER.load(Ordering::Relaxed) || interrupt::has_groups() {
        return;
    }
    for _ in 0..MAX_ROUNDS {
        if !has_children() {
            return;
        }
        let orphans = orphans();
        if orphans.is_empty() {
            return;
        }
        for pid in orphans {
            // SAFETY: the process is an unreaped child of this one, so its number is not reused.
            unsafe { libc::kill(pid, libc::SIGKILL) };
            // SAFETY: no status is asked for.
            unsafe { libc::waitpid(pid, std::ptr::null_mut(), libc::__WALL) };
        }
    }
}

fn has_children() -> bool {
    // SAFETY: all zeros is a valid siginfo.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT | libc::__WALL;
    // SAFETY: the structure is live; WNOWAIT leaves every child as it is.
    unsafe { libc::waitid(libc::P_ALL, 0, &mut info, flags) == 0 }
}

/// Children of this process outside its own group. Children within the group belong to other parts of the runner.
fn orphans() -> Vec<libc::pid_t> {
    // SAFETY: neither call takes anything or can fail.
    let (own, group) = unsafe { (libc::getpid(), libc::getpgrp()) };
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let is_orphan = |pid: &libc::pid_t| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        parent_and_group(&stat).is_some_and(|(parent, its_group)| parent == own && its_group != group)
    };
    pids.filter(is_orphan).collect()
}

/// Parent and group from `/proc/PID/stat`; the name in parentheses may contain anything.
fn parent_and_group(stat: &str) -> Option<(libc::pid_t, libc::pid_t)> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(1);
    Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stat_lines_with_odd_names_are_read() {
        assert_eq!(parent_and_group("12 (a) S 3 4 5"), Some((3, 4)));
        assert_eq!(parent_and_group("12 (a) b) 1 (c) S 3 4 5"), Some((3, 4)));
        assert_eq!(parent_and_group(""), None);
    }
}
