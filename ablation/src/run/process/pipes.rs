//! The pipes between the runner and one measured process, and the sleep on them.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// Most bytes of standard output that are stored.
pub(super) const STDOUT_CAP: usize = 1 << 20;
/// Bytes at the end of standard error that are stored.
pub(super) const STDERR_TAIL: usize = 2 << 10;

/// The child's ends.
pub(super) struct Ends {
    pub(super) stdin: File,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
    /// One byte arrives when the child may go on to `exec`.
    pub(super) go: OwnedFd,
    /// Takes the error number of a failed `exec`; closed by a successful one.
    pub(super) failed: OwnedFd,
}

/// The runner's ends.
pub(super) struct Pipes {
    pub(super) stdout: Stream,
    pub(super) stderr: Stream,
    go: Option<File>,
    failed: File,
}

/// One output stream of the child.
pub(super) struct Stream {
    file: Option<File>,
    /// Most bytes that are stored.
    cap: usize,
    /// Whether the last bytes are stored instead of the first.
    keep_end: bool,
    pub(super) bytes: Vec<u8>,
    /// Whether bytes were left out.
    pub(super) cut: bool,
}

/// The reasons why a sleep ended; none when its time was over.
pub(super) struct Ready {
    /// The child has ended.
    pub(super) ended: bool,
    /// A signal asked the runner to stop.
    pub(super) woken: bool,
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds = [0; 2];
    // SAFETY: room for two descriptors.
    if unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: both are new and belong to this call alone.
    Ok(unsafe { (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])) })
}

pub(super) fn open() -> io::Result<(Pipes, Ends)> {
    let (stdout, child_stdout) = pipe()?;
    let (stderr, child_stderr) = pipe()?;
    let (child_go, go) = pipe()?;
    let (failed, child_failed) = pipe()?;
    for fd in [&stdout, &stderr, &failed] {
        // SAFETY: the descriptor is open; only the runner's ends must not block.
        if unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    let stream =
        |fd: OwnedFd, cap, keep_end| Stream { file: Some(fd.into()), cap, keep_end, bytes: Vec::new(), cut: false };
    let pipes = Pipes {
        stdout: stream(stdout, STDOUT_CAP, false),
        stderr: stream(stderr, STDERR_TAIL, true),
        go: Some(go.into()),
        failed: failed.into(),
    };
    let stdin = File::open("/dev/null")?;
    Ok((pipes, Ends { stdin, stdout: child_stdout, stderr: child_stderr, go: child_go, failed: child_failed }))
}

impl Pipes {
    /// Lets the child go on to `exec`.
    pub(super) fn release(&mut self) -> io::Result<()> {
        match self.go.take() {
            Some(mut go) => match go.write_all(b"g") {
                // The child has ended already, killed by another process. Its exit status tells.
                Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Ok(()),
                other => other,
            },
            None => Ok(()),
        }
    }

    /// Sleeps until the child writes or ends, `time` is over, or `wake` is readable. Reads what the child wrote.
    pub(super) fn poll(&mut self, pidfd: RawFd, wake: RawFd, time: Duration) -> Ready {
        let entry = |fd: RawFd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let fd_of = |stream: &Stream| stream.file.as_ref().map_or(-1, AsRawFd::as_raw_fd);
        let mut fds = [entry(pidfd), entry(wake), entry(fd_of(&self.stdout)), entry(fd_of(&self.stderr))];
        let time = libc::timespec {
            tv_sec: libc::time_t::try_from(time.as_secs()).unwrap_or(libc::time_t::MAX),
            tv_nsec: libc::c_long::from(time.subsec_nanos()),
        };
        // SAFETY: the array and the time are live; no signal mask is given.
        let ready = unsafe { libc::ppoll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, &time, std::ptr::null()) };
        if ready <= 0 {
            // The time is over or a signal came. The caller checks both.
            return Ready { ended: false, woken: false };
        }
        if fds[2].revents != 0 {
            self.stdout.take();
        }
        if fds[3].revents != 0 {
            self.stderr.take();
        }
        Ready { ended: fds[0].revents != 0, woken: fds[1].revents != 0 }
    }

    /// Reads what is still in the pipes, without waiting.
    pub(super) fn drain(&mut self) {
        self.stdout.take();
        self.stderr.take();
    }

    /// The error number of a failed `exec`.
    pub(super) fn exec_errno(&mut self) -> Option<i32> {
        let mut bytes = [0_u8; 4];
        self.failed.read_exact(&mut bytes).ok().map(|()| i32::from_ne_bytes(bytes))
    }
}

impl Stream {
    /// Reads until the pipe is empty or closed.
    fn take(&mut self) {
        let Some(file) = &mut self.file else { return };
        let mut buffer = [0_u8; 16 << 10];
        loop {
            match file.read(&mut buffer) {
                Ok(0) => break,
                Ok(n) => {
                    let new = &buffer[..n];
                    let keep = if self.keep_end { n } else { n.min(self.cap - self.bytes.len()) };
                    self.cut |= keep < n;
                    self.bytes.extend_from_slice(&new[..keep]);
                    // At twice the cap, so that bytes are seldom moved.
                    if self.keep_end && self.bytes.len() > 2 * self.cap {
                        self.bytes.drain(..self.bytes.len() - self.cap);
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => break,
            }
        }
        // Closed, because a descriptor at its end of file would end every sleep at once.
        self.file = None;
    }

    /// The last [`STDERR_TAIL`] bytes.
    pub(super) fn tail(&self) -> Vec<u8> {
        self.bytes[self.bytes.len().saturating_sub(self.cap)..].to_vec()
    }
}
