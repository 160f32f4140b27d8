//! The child between `fork` and `exec`: only async-signal-safe calls, on data that was made before the `fork`.

use super::launch::Launch;
use super::pipes::{Ends, Step};
use std::io;
use std::os::fd::{AsRawFd, RawFd};

/// Switches address randomisation off (linux/personality.h).
const ADDR_NO_RANDOMIZE: libc::c_ulong = 0x004_0000;

/// The data of the child, as pointers and numbers.
pub(super) struct Prepared<'a> {
    launch: &'a Launch<'a>,
    argv: Vec<*const libc::c_char>,
    envp: Vec<*const libc::c_char>,
    streams: [RawFd; 3],
    go: RawFd,
    failed: RawFd,
    runner: libc::pid_t,
    no_signals: libc::sigset_t,
}

impl<'a> Prepared<'a> {
    pub(super) fn new(launch: &'a Launch<'a>, ends: &Ends) -> io::Result<Prepared<'a>> {
        let pointers = |texts: &[std::ffi::CString]| -> Vec<*const libc::c_char> {
            texts.iter().map(|text| text.as_ptr()).chain([std::ptr::null()]).collect()
        };
        // SAFETY: all zeros is a valid set for sigemptyset to overwrite.
        let mut no_signals: libc::sigset_t = unsafe { std::mem::zeroed() };
        // SAFETY: the set is live.
        unsafe { libc::sigemptyset(&mut no_signals) };
        Ok(Prepared {
            launch,
            argv: pointers(&launch.argv),
            envp: pointers(&launch.envp),
            streams: [ends.stdin.as_raw_fd(), ends.stdout.as_raw_fd(), ends.stderr.as_raw_fd()],
            go: ends.go.as_raw_fd(),
            failed: ends.failed.as_raw_fd(),
            // SAFETY: takes nothing and cannot fail.
            runner: unsafe { libc::getpid() },
            no_signals,
        })
    }

    /// Replaces the child by the measured program, or reports the error and ends. To be called in the child only.
    pub(super) fn exec(&self) -> ! {
        // SAFETY: see `steps`.
        let step = unsafe { self.steps() };
        // SAFETY: points at this thread's error number.
        let failed = [step as i32, unsafe { *libc::__errno_location() }];
        // SAFETY: the bytes of two live numbers; `_exit` runs nothing of the runner's.
        unsafe {
            libc::write(self.failed, (&raw const failed).cast(), size_of_val(&failed));
            libc::_exit(127)
        }
    }

    /// Returns only when a step failed, with the error number set.
    ///
    /// # Safety
    /// - Only in a child that was just forked.
    unsafe fn steps(&self) -> Step {
        // SAFETY: every call is a plain system call on numbers and on memory that was prepared before the fork;
        // none allocates or takes a lock.
        unsafe {
            libc::setpgid(0, 0);
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
            if libc::getppid() != self.runner {
                // The runner died before the line above took effect.
                libc::_exit(127);
            }
            // Dispositions that are ignored survive exec; the runtime ignores SIGPIPE, a shell may ignore others.
            for signal in 1..32 {
                libc::signal(signal, libc::SIG_DFL);
            }
            libc::sigprocmask(libc::SIG_SETMASK, &self.no_signals, std::ptr::null_mut());
            // A core file would cost time and disk.
            let no_core = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            libc::setrlimit(libc::RLIMIT_CORE, &no_core);
            if let Some(cpus) = &self.launch.cpus {
                const SIZE: usize = size_of::<libc::cpu_set_t>();
                if libc::sched_setaffinity(0, SIZE, cpus) != 0 {
                    return Step::Processors;
                }
                // The kernel leaves out processors that were taken away, as long as one is left.
                let mut given: libc::cpu_set_t = std::mem::zeroed();
                if libc::sched_getaffinity(0, SIZE, &mut given) != 0 {
                    return Step::Processors;
                }
                if !libc::CPU_EQUAL(cpus, &given) {
                    *libc::__errno_location() = libc::EINVAL;
                    return Step::Processors;
                }
            }
            if !self.launch.aslr {
                // A refusal is in the facts of the machine, as `aslr-off-for-counting`.
                libc::personality(ADDR_NO_RANDOMIZE);
            }
            if let Some(directory) = &self.launch.directory
                && libc::chdir(directory.as_ptr()) != 0
            {
                return Step::Exec;
            }
            for (target, fd) in self.streams.iter().enumerate() {
                if libc::dup2(*fd, target as RawFd) < 0 {
                    return Step::Exec;
                }
            }
            let mut byte = 0_u8;
            loop {
                match libc::read(self.go, (&raw mut byte).cast(), 1) {
                    1 => break,
                    -1 if *libc::__errno_location() == libc::EINTR => {}
                    // The runner ended before it released this child.
                    _ => libc::_exit(127),
                }
            }
            libc::execve(self.launch.program.as_ptr(), self.argv.as_ptr(), self.envp.as_ptr());
            Step::Exec
        }
    }
}
