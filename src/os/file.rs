//! Files and the end of the process, for what the C interface reports, and for a look at memory ([`super::residency`]).

use core::ffi::CStr;

cfg_if::cfg_if! {
    if #[cfg(target_arch = "x86_64")] {
        use super::linux_x86_64 as arch;
    } else {
        use super::linux_aarch64 as arch;
    }
}

/// `AT_FDCWD`: a path that is not absolute begins at the working folder. None is used here.
const NO_FOLDER: usize = -100_isize as usize;
const O_RDWR_APPEND: usize = 2 | 0o2000;
/// A pipe without a writer must not hold the process up.
const O_NONBLOCK: usize = 0o4000;
const O_CLOEXEC: usize = 0o2_000_000;

/// Appends a text, in one `write`, to a file that exists and begins with `mark`: no other file is ever changed. A failure is
/// ignored.
pub(crate) fn append<const MARK: usize>(path: &CStr, mark: &[u8; MARK], text: &[u8]) {
    with_file(path, O_RDWR_APPEND, |file| {
        let mut start = [0; MARK];
        // SAFETY: the kernel writes at most `MARK` bytes of a live array.
        unsafe { arch::syscall6(arch::SYS_READ, file, start.as_mut_ptr().expose_provenance(), MARK, 0, 0, 0) };
        if start == *mark {
            // SAFETY: the kernel reads `text.len()` bytes of a live slice.
            unsafe { arch::syscall6(arch::SYS_WRITE, file, text.as_ptr().addr(), text.len(), 0, 0, 0) };
        }
        0
    });
}

/// The beginning of a file; empty when it cannot be read.
pub(crate) fn read<'a>(path: &CStr, into: &'a mut [u8]) -> &'a [u8] {
    let len = with_file(path, 0, |file| {
        // SAFETY: the kernel writes at most `into.len()` bytes of a live slice.
        unsafe { arch::syscall6(arch::SYS_READ, file, into.as_mut_ptr().expose_provenance(), into.len(), 0, 0, 0) }
    });
    &into[..len]
}

/// Reads words at an offset of a file. Returns whether there were so many.
pub(crate) fn read_at(path: &CStr, offset: usize, into: &mut [u64]) -> bool {
    let bytes = size_of_val(into);
    let len = with_file(path, 0, |file| {
        // SAFETY: the kernel writes at most the bytes of a live slice.
        unsafe { arch::syscall6(arch::SYS_PREAD64, file, into.as_mut_ptr().addr(), bytes, offset, 0, 0) }
    });
    len == bytes
}

/// What a call with an open file returns; 0 where it or the opening failed.
fn with_file(path: &CStr, flags: usize, call: impl FnOnce(usize) -> usize) -> usize {
    // SAFETY: the kernel reads a string that ends with a zero; the file is this function's own until it is closed.
    unsafe {
        let file =
            arch::syscall6(arch::SYS_OPENAT, NO_FOLDER, path.as_ptr().addr(), flags | O_NONBLOCK | O_CLOEXEC, 0, 0, 0);
        if file.cast_signed() < 0 {
            return 0;
        }
        let result = call(file);
        arch::syscall6(arch::SYS_CLOSE, file, 0, 0, 0, 0, 0);
        if result.cast_signed() < 0 { 0 } else { result }
    }
}

/// A second number for an open file, from 200 on, that a program which is executed does not get; 0 when there is none.
pub(crate) fn duplicate(file: u32) -> u32 {
    const DUPFD_CLOEXEC: usize = 1030;
    // SAFETY: changes no memory.
    let number = unsafe { arch::syscall6(arch::SYS_FCNTL, file as usize, DUPFD_CLOEXEC, 200, 0, 0, 0) };
    if number.cast_signed() < 0 { 0 } else { number as u32 }
}

/// Which file has a number: its device and its inode; `None` when the number is free.
pub(crate) fn identity(file: u32) -> Option<[u64; 2]> {
    // `struct stat`, which begins with these two on both architectures.
    let mut words = [0_u64; 18];
    // SAFETY: the kernel writes at most 144 bytes.
    let result =
        unsafe { arch::syscall6(arch::SYS_FSTAT, file as usize, words.as_mut_ptr().expose_provenance(), 0, 0, 0, 0) };
    (result == 0).then_some([words[0], words[1]])
}

/// Writes a text to an open file. Returns whether all of it was written.
pub(crate) fn write(file: u32, text: &[u8]) -> bool {
    // SAFETY: the kernel reads `text.len()` bytes of a live slice.
    unsafe { arch::syscall6(arch::SYS_WRITE, file as usize, text.as_ptr().addr(), text.len(), 0, 0, 0) == text.len() }
}

/// The number of this process.
pub(crate) fn process() -> u32 {
    // SAFETY: changes no memory.
    unsafe { arch::syscall6(arch::SYS_GETPID, 0, 0, 0, 0, 0, 0) as u32 }
}

/// Ends the process at once, as `_exit` of the C library does.
pub(crate) fn exit(code: i32) -> ! {
    loop {
        // SAFETY: no code runs after it.
        unsafe { arch::syscall6(arch::SYS_EXIT_GROUP, code as usize, 0, 0, 0, 0, 0) };
    }
}
