//! What a C program's process says of its allocator when it begins and ends, where it is asked to.
//!
//! `HAKMEM_STATS=1` prints the statistics at the end, on standard error. `HAKMEM_REPORT` names a file that exists and
//! begins with a line that says what it is for, to which a process appends one line when the library is loaded and one when it
//! ends. `hakmem run` reads them: they are the
//! process's own word for which allocator serves it.
//!
//! ```text
//! hakmem report 1
//! began pid=17 version=0.1.0 malloc=hakmem
//! ended pid=17 version=0.1.0 allocations=9 frees=7 … levels=bigcache:direct,elo:off,…
//! ```
//!
//! `malloc` is `hakmem`, or the path of the object whose function comes first. A process that was forked has no line of the
//! first kind, and one that a signal ends none of the second. Where neither variable is set, the library does nothing at
//! the end, and `_exit` is the C library's but for a load and a branch.

use crate::config::environment::{each_variable, flag, is_secure};
use crate::config::variables::{REPORT, STATS};
use crate::preload::malloc;
use crate::preload_glibc::find_in_process;
use crate::{os, stats};
use core::ffi::{CStr, c_int, c_void};
use core::fmt::{self, Write};
use core::mem;
use core::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, Ordering};

/// Whether the statistics are to be printed. All accesses here are relaxed: the constructor runs before other threads.
static PRINTS: AtomicBool = AtomicBool::new(false);
/// Standard error as it was at the beginning: a second number of it, for programs that close it before they end, and its
/// identity, for those that open another file under one of the two numbers.
static STDERR: AtomicU32 = AtomicU32::new(2);
static STDERR_IS: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];
/// The file of `HAKMEM_REPORT`, up to a zero: a program may overwrite its environment. Empty when there is none.
static FILE: [AtomicU8; PATH_MAX] = [const { AtomicU8::new(0) }; PATH_MAX];
/// The process that speaks: the child of a `vfork` shares this word, and must not speak for its parent. 0 when nothing
/// was asked for.
static PROCESS: AtomicU32 = AtomicU32::new(0);
/// Whether the end was told: a destructor may call `_exit`.
static IS_TOLD: AtomicBool = AtomicBool::new(false);

/// The first line of the file; the number is the version of the format.
const MARK: &[u8; 16] = b"hakmem report 1\n";
/// Longest path of `HAKMEM_REPORT`, with its zero.
const PATH_MAX: usize = 256;
/// Longest line. A path or the levels may be cut.
const LINE_MAX: usize = 2048;
/// Longest table of statistics, with a row for every size class.
const TABLE_MAX: usize = 12 << 10;

#[used]
#[unsafe(link_section = ".init_array")]
static BEGIN: extern "C" fn() = begin;
#[used]
#[unsafe(link_section = ".fini_array")]
static END: extern "C" fn() = end;

/// Looks for what is asked for.
extern "C" fn begin() {
    let (mut prints, mut path) = (false, "");
    each_variable(&mut |name, value| match name {
        STATS => prints = flag(value) == Some(true),
        REPORT if value.len() < PATH_MAX => path = value,
        _ => {}
    });
    if (prints || !path.is_empty()) && !is_secure() {
        begin_asked(prints, path);
    }
}

/// Notes what is asked for, and says that the library is here. Apart from [`begin`], as are [`end`] and its like: their
/// frames are pages of the stack that no other process should touch.
#[cold]
#[inline(never)]
fn begin_asked(prints: bool, path: &str) {
    PRINTS.store(prints, Ordering::Relaxed);
    for (place, byte) in FILE.iter().zip(path.bytes()) {
        place.store(byte, Ordering::Relaxed);
    }
    PROCESS.store(os::process(), Ordering::Relaxed);
    if prints && let Some(identity) = os::identity(2) {
        STDERR_IS.iter().zip(identity).for_each(|(word, value)| word.store(value, Ordering::Relaxed));
        STDERR.store(os::duplicate(2), Ordering::Relaxed);
    }
    // SAFETY: a function that stays in the process, and changes one word. Without memory for the handler, the children of
    // forks tell nothing.
    unsafe { libc::pthread_atfork(None, None, Some(forked)) };
    tell(|line| {
        let process = PROCESS.load(Ordering::Relaxed);
        write!(line, "began pid={process} version={} malloc=", env!("CARGO_PKG_VERSION"))?;
        with_object_of_malloc(|object| line.write_str(object))
    });
}

/// The child of a fork speaks for itself.
unsafe extern "C" fn forked() {
    PROCESS.store(os::process(), Ordering::Relaxed);
}

/// Prints and tells what was asked for, once.
extern "C" fn end() {
    let process = PROCESS.load(Ordering::Relaxed);
    if process != 0 {
        end_asked(process);
    }
}

#[cold]
#[inline(never)]
fn end_asked(process: u32) {
    if process != os::process() || IS_TOLD.swap(true, Ordering::Relaxed) {
        return;
    }
    if PRINTS.load(Ordering::Relaxed) {
        print(process);
    }
    tell(write_end);
}

/// Prints the statistics to what was standard error, if the process has it still.
fn print(process: u32) {
    let wanted = [0, 1].map(|at| STDERR_IS[at].load(Ordering::Relaxed));
    let is_it = |file: &u32| os::identity(*file) == Some(wanted);
    let Some(file) = [2, STDERR.load(Ordering::Relaxed)].into_iter().find(is_it) else { return };
    // In one piece, since other processes may end at the same time.
    let mut text = Text::<TABLE_MAX>::new();
    _ = write!(text, "hakmem: process {process} at its end\n{}", stats::stats());
    os::write(file, text.bytes());
}

/// Ends the process without its exit handlers, as the C library's function does, but tells the end before.
#[unsafe(no_mangle)]
extern "C" fn _exit(code: c_int) -> ! {
    end();
    os::exit(code)
}

/// As [`_exit`].
#[unsafe(no_mangle)]
extern "C" fn _Exit(code: c_int) -> ! {
    _exit(code)
}

/// Appends a line to the file, if there is one.
fn tell(write: impl FnOnce(&mut Line) -> fmt::Result) {
    let path: [u8; PATH_MAX] = core::array::from_fn(|at| FILE[at].load(Ordering::Relaxed));
    if path[0] == 0 {
        return;
    }
    if let Ok(path) = CStr::from_bytes_until_nul(&path) {
        let mut line = Line::new();
        _ = write(&mut line);
        line.end();
        os::append(path, MARK, line.bytes());
    }
}

/// The line of the end: numbers in objects, bytes and KiB, and the level of each factor.
fn write_end(line: &mut Line) -> fmt::Result {
    let stats = stats::stats();
    let process = PROCESS.load(Ordering::Relaxed);
    write!(line, "ended pid={process} version={}", env!("CARGO_PKG_VERSION"))?;
    for (name, value) in [
        ("allocations", stats.allocations),
        ("frees", stats.frees),
        ("live_objects", stats.live.objects),
        ("live_bytes", stats.live.bytes),
        ("mapped_bytes", stats.mapped_bytes),
        ("mapped_bytes_max", stats.mapped_bytes_max),
        ("resident_bytes", stats.resident_bytes),
    ] {
        write!(line, " {name}={value}")?;
    }
    let mut text = [0; LINE_MAX];
    if let Some(peak) = peak_kib(os::read(c"/proc/self/status", &mut text)) {
        write!(line, " peak_kib={peak}")?;
    }
    line.write_str(" levels=")?;
    for (index, factor) in stats.factors().iter().enumerate() {
        let separator = if index == 0 { "" } else { "," };
        write!(line, "{separator}{}:{}", factor.name(), factor.level.as_str())?;
    }
    Ok(())
}

/// The most that was resident of the process, in KiB, by the text of `/proc/self/status`.
fn peak_kib(status: &[u8]) -> Option<u64> {
    let line = status.split(|byte| *byte == b'\n').find(|line| line.starts_with(b"VmHWM:"))?;
    let digits = line.iter().filter(|byte| byte.is_ascii_digit());
    Some(digits.fold(0_u64, |sum, digit| sum.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'))))
}

/// Passes on `hakmem` where the process's `malloc` is this library's, else the path of the object that has it.
fn with_object_of_malloc(each: impl FnOnce(&str) -> fmt::Result) -> fmt::Result {
    type Dladdr = unsafe extern "C" fn(*const c_void, *mut libc::Dl_info) -> c_int;
    static MALLOC: AtomicPtr<c_void> = AtomicPtr::new(core::ptr::null_mut());
    let (dladdr, _) = os::loader();
    // A static program has no loader, and one `malloc`.
    if dladdr == 0 {
        return each("hakmem");
    }
    let function = find_in_process(&MALLOC, c"malloc");
    if function.is_null() || function.addr() == (malloc as *const ()).addr() {
        return each("hakmem");
    }
    // SAFETY: the address of the function of this name, with this signature.
    let dladdr = unsafe { mem::transmute::<usize, Dladdr>(dladdr) };
    // SAFETY: zeroes are pointers and null.
    let mut object: libc::Dl_info = unsafe { mem::zeroed() };
    // SAFETY: writes the struct, and reads nothing at the address.
    if unsafe { dladdr(function, &raw mut object) } == 0 || object.dli_fname.is_null() {
        return each("unknown");
    }
    // SAFETY: the loader's own name of the object.
    let name = unsafe { CStr::from_ptr(object.dli_fname) };
    each(name.to_str().unwrap_or("unknown"))
}

/// A line of the file.
type Line = Text<LINE_MAX>;

/// Text on the stack. What does not fit is cut.
struct Text<const MAX: usize> {
    text: [u8; MAX],
    len: usize,
}

impl<const MAX: usize> Text<MAX> {
    fn new() -> Text<MAX> {
        Text { text: [0; MAX], len: 0 }
    }

    fn bytes(&self) -> &[u8] {
        &self.text[..self.len]
    }

    /// Makes a line of the text: control characters become `?`, and it ends.
    fn end(&mut self) {
        self.text[..self.len].iter_mut().filter(|byte| byte.is_ascii_control()).for_each(|byte| *byte = b'?');
        self.text[self.len] = b'\n';
        self.len += 1;
    }
}

impl<const MAX: usize> Write for Text<MAX> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // One byte stays for the end of a line.
        let taken = text.len().min(MAX - 1 - self.len);
        self.text[self.len..self.len + taken].copy_from_slice(&text.as_bytes()[..taken]);
        self.len += taken;
        Ok(())
    }
}
