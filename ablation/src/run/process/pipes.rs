//! The pipes between the runner and one measured process, and the sleep on them.

use sha2::{Digest, Sha256};
use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

/// Most bytes of standard output that are stored.
pub(super) const STDOUT_CAP: usize = 1 << 20;
/// Bytes at the end of standard error that are stored.
pub(super) const STDERR_TAIL: usize = 2 << 10;
/// Bytes at the end of standard error that are kept while a process runs: a server may say much before the line that
/// tells that it is ready.
const STDERR_KEPT: usize = 32 << 10;

/// The child's ends.
pub(super) struct Ends {
    pub(super) stdin: File,
    pub(super) stdout: OwnedFd,
    pub(super) stderr: OwnedFd,
    /// One byte arrives when the child may go on to `exec`.
    pub(super) go: OwnedFd,
    /// Takes the step that failed and the error number; closed by a successful `exec`.
    pub(super) failed: OwnedFd,
}

/// What a child failed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub(super) enum Step {
    /// To run on its processors.
    Processors = 1,
    /// To become the program.
    Exec = 2,
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
    /// Hash of everything, from the first bytes on that were left out; hashing before would delay the writer.
    hasher: Option<Sha256>,
}

/// The reasons why a sleep ended; none when its time was over.
#[derive(Debug, Default)]
pub(super) struct Ready {
    /// The child has ended.
    pub(super) ended: bool,
    /// The process beside it has ended.
    pub(super) other_ended: bool,
    /// A signal asked the runner to stop.
    pub(super) woken: bool,
}

/// The pipes of a process, and the descriptor that is readable when it has ended; −1: it is not looked at.
type Watched<'a> = (&'a mut Pipes, RawFd);

/// Sleeps until a process writes or ends, `time` is over, or `wake` is readable. Reads what they wrote.
pub(super) fn poll(one: Watched<'_>, mut other: Option<Watched<'_>>, wake: RawFd, time: Duration) -> Ready {
    let entry = |fd: RawFd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
    let fds_of = |(pipes, pidfd): (&Pipes, RawFd)| [entry(pidfd), entry(pipes.stdout.fd()), entry(pipes.stderr.fd())];
    let [a, b, c] = fds_of((one.0, one.1));
    let beside = other.as_ref().map(|(pipes, pidfd)| fds_of((&**pipes, *pidfd)));
    let [d, e, f] = beside.unwrap_or_else(|| [entry(-1), entry(-1), entry(-1)]);
    let mut fds = [a, b, c, d, e, f, entry(wake)];
    let time = libc::timespec {
        tv_sec: libc::time_t::try_from(time.as_secs()).unwrap_or(libc::time_t::MAX),
        tv_nsec: libc::c_long::from(time.subsec_nanos()),
    };
    // SAFETY: the array and the time are live; no signal mask is given.
    let ready = unsafe { libc::ppoll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, &time, std::ptr::null()) };
    if ready <= 0 {
        // The time is over or a signal came. The caller checks both.
        return Ready::default();
    }
    let is_set = |at: usize| fds[at].revents != 0;
    for (at, pipes) in [(1, Some(one.0)), (4, other.as_mut().map(|(pipes, _)| &mut **pipes))] {
        let Some(pipes) = pipes else { continue };
        if is_set(at) {
            pipes.stdout.take();
        }
        if is_set(at + 1) {
            pipes.stderr.take();
        }
    }
    Ready { ended: is_set(0), other_ended: is_set(3), woken: is_set(6) }
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

/// Opens all pipes of one process, whose standard input is a file or empty.
pub(super) fn open(stdin: Option<&CStr>) -> io::Result<(Pipes, Ends)> {
    let stdin = input(stdin)?;
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
    let stream = |fd: OwnedFd, cap, keep_end| Stream {
        file: Some(fd.into()),
        cap,
        keep_end,
        bytes: Vec::new(),
        cut: false,
        hasher: None,
    };
    let pipes = Pipes {
        stdout: stream(stdout, STDOUT_CAP, false),
        stderr: stream(stderr, STDERR_KEPT, true),
        go: Some(go.into()),
        failed: failed.into(),
    };
    Ok((pipes, Ends { stdin, stdout: child_stdout, stderr: child_stderr, go: child_go, failed: child_failed }))
}

fn input(file: Option<&CStr>) -> io::Result<File> {
    let Some(file) = file else { return File::open("/dev/null") };
    let path = Path::new(OsStr::from_bytes(file.to_bytes()));
    // Opening a named pipe would wait for a writer.
    if !path.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a file"));
    }
    File::open(path)
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

    /// Reads what is still in the pipes, without waiting.
    pub(super) fn drain(&mut self) {
        self.stdout.take();
        self.stderr.take();
    }

    /// What kept the child from becoming the program.
    pub(super) fn failure(&mut self) -> Option<(Step, io::Error)> {
        let mut number = || {
            let mut bytes = [0_u8; 4];
            self.failed.read_exact(&mut bytes).ok().map(|()| i32::from_ne_bytes(bytes))
        };
        let (step, errno) = (number()?, number()?);
        let step = if step == Step::Processors as i32 { Step::Processors } else { Step::Exec };
        Some((step, io::Error::from_raw_os_error(errno)))
    }
}

impl Stream {
    /// Its descriptor; −1 when it is closed.
    fn fd(&self) -> RawFd {
        self.file.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }

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
                    if keep < n {
                        self.cut = true;
                        self.hasher.get_or_insert_with(|| Sha256::new_with_prefix(&self.bytes)).update(new);
                    }
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

    /// SHA-256 of everything that came, hexadecimal, where the first bytes are stored.
    pub(super) fn sha256(&mut self) -> String {
        let hasher = self.hasher.take().unwrap_or_else(|| Sha256::new_with_prefix(&self.bytes));
        hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// The last [`STDERR_TAIL`] bytes.
    pub(super) fn tail(&self) -> Vec<u8> {
        self.bytes[self.bytes.len().saturating_sub(STDERR_TAIL)..].to_vec()
    }
}
