//! System calls. None is a point at which a thread can be cancelled, and none changes `errno` for the caller.

use core::ffi::{CStr, c_int, c_long};

/// Runs something that may change `errno`, and sets it back.
pub(crate) fn keeping_errno<T>(work: impl FnOnce() -> T) -> T {
    // SAFETY: the calling thread's own word.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { *errno };
    let result = work();
    // SAFETY: as above.
    unsafe { *errno = before };
    result
}

/// The error number that the last call left.
pub(crate) fn errno() -> c_int {
    // SAFETY: the calling thread's own word.
    unsafe { *libc::__errno_location() }
}

/// An open file, closed at its end.
pub(crate) struct File(c_int);

impl File {
    /// Opens a file by the flags of `open`. `None` where the system refuses.
    pub(crate) fn open(path: &CStr, flags: c_int) -> Option<File> {
        let flags = flags | libc::O_CLOEXEC;
        // SAFETY: a path with its end.
        let file = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags, 0o600) };
        (file >= 0).then(|| File(file as c_int))
    }

    /// Another one of the same file, with a number of at least so much.
    pub(crate) fn again(number: c_int, at_least: c_int) -> Option<File> {
        // SAFETY: plain numbers.
        let file = unsafe { libc::syscall(libc::SYS_fcntl, number, libc::F_DUPFD_CLOEXEC, at_least) };
        (file >= 0).then(|| File(file as c_int))
    }

    /// The same of this one.
    pub(crate) fn again_above(&self, at_least: c_int) -> Option<File> {
        File::again(self.0, at_least)
    }

    /// Which file it is: the device, and its number there. `None` where the system does not tell.
    pub(crate) fn identity(&self) -> Option<(u64, u64)> {
        // SAFETY: plain values, for which zeroes are valid.
        let mut about: libc::stat = unsafe { core::mem::zeroed() };
        // SAFETY: the answer is written to its place.
        let is_known = unsafe { libc::fstat(self.0, &raw mut about) } == 0;
        is_known.then_some((about.st_dev, about.st_ino))
    }

    /// Leaves it open for good; gives its number.
    pub(crate) fn leave_open(self) -> c_int {
        core::mem::ManuallyDrop::new(self).0
    }

    /// Reads into a buffer; gives how many bytes.
    pub(crate) fn read(&self, into: &mut [u8]) -> usize {
        // SAFETY: the buffer is as long as is said.
        let read = unsafe { libc::syscall(libc::SYS_read, self.0, into.as_mut_ptr(), into.len()) };
        usize::try_from(read).unwrap_or(0)
    }

    /// Makes room for bytes of the file, so that writing to its mapping finds a place on the disk. `false` where there is
    /// none.
    pub(crate) fn reserve(&self, from: u64, bytes: u64) -> bool {
        // SAFETY: plain numbers.
        let refused = unsafe { libc::syscall(libc::SYS_fallocate, self.0, 0, from as c_long, bytes as c_long) } != 0;
        if !refused {
            return true;
        }
        if ![libc::EOPNOTSUPP, libc::ENOSYS].contains(&errno()) {
            return false;
        }
        // File systems without `fallocate` get zeroes.
        static ZEROES: [u8; 4096] = [0; 4096];
        (from..from + bytes).step_by(ZEROES.len()).all(|at| {
            let zeroes = ZEROES.as_ptr();
            // SAFETY: the bytes are there.
            let written = unsafe { libc::syscall(libc::SYS_pwrite64, self.0, zeroes, ZEROES.len(), at as c_long) };
            written == ZEROES.len() as c_long
        })
    }

    /// Writes bytes to a place. `false` where the system refuses.
    pub(crate) fn write(&self, mut to: u64, bytes: *const u8, count: usize) -> bool {
        let mut left = count;
        while left > 0 {
            let from = bytes.wrapping_add(count - left);
            // SAFETY: the caller's bytes.
            let written = unsafe { libc::syscall(libc::SYS_pwrite64, self.0, from, left, to as c_long) };
            match usize::try_from(written) {
                Ok(written @ 1..) => {
                    left -= written.min(left);
                    to += written as u64;
                }
                Err(_) if errno() == libc::EINTR => {}
                _ => return false,
            }
        }
        true
    }

    /// Maps bytes of the file, shared, with all of its pages present. Null where the system refuses.
    pub(crate) fn map(&self, from: u64, bytes: u64) -> *mut u64 {
        let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_POPULATE);
        // SAFETY: a new mapping, wherever the system likes.
        let at =
            unsafe { libc::mmap(core::ptr::null_mut(), bytes as usize, access, flags, self.0, from as libc::off_t) };
        if at == libc::MAP_FAILED { core::ptr::null_mut() } else { at.cast() }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // SAFETY: opened by this process, and not used again.
        unsafe { libc::syscall(libc::SYS_close, self.0) };
    }
}

/// How many files this process may have open.
pub(crate) fn open_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the limit is written to its place.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } == 0;
    if known { limit.rlim_cur } else { 0 }
}

/// New memory of this process, zeroed. Null where there is none.
pub(crate) fn map_memory(bytes: usize) -> *mut u8 {
    let (access, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping, wherever the system likes.
    let at = unsafe { libc::mmap(core::ptr::null_mut(), bytes, access, flags, -1, 0) };
    if at == libc::MAP_FAILED { core::ptr::null_mut() } else { at.cast() }
}

/// Gives a mapping back.
///
/// # Safety
/// - the mapping is the recorder's, and is not used again.
pub(crate) unsafe fn unmap(at: *mut u8, bytes: usize) {
    // SAFETY: the caller's promise.
    unsafe { libc::munmap(at.cast(), bytes) };
}

/// The largest file that this process may write, in bytes. Beyond it the system would send a signal that ends the program.
pub(crate) fn file_limit() -> u64 {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the limit is written to its place.
    let known = unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &raw mut limit) } == 0;
    if known { limit.rlim_cur } else { u64::MAX }
}

/// A clock of the system, in nanoseconds.
pub(crate) fn clock_ns(clock: libc::clockid_t) -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the time is written to its place.
    unsafe { libc::clock_gettime(clock, &raw mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// This process's number, as the system says now.
pub(crate) fn process() -> u32 {
    // SAFETY: has no conditions.
    unsafe { libc::getpid() as u32 }
}

/// Its parent's number.
pub(crate) fn parent() -> u32 {
    // SAFETY: has no conditions.
    unsafe { libc::getppid() as u32 }
}

/// Writes to standard error.
pub(crate) fn say(text: &[u8]) {
    // SAFETY: the bytes are there.
    unsafe { libc::syscall(libc::SYS_write, libc::STDERR_FILENO, text.as_ptr(), text.len()) };
}
