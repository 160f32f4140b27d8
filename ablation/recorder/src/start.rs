//! Whether a process records: its first call decides, by the environment. A process is what one `exec` started, or what a
//! fork made of one that records.

use crate::chunks::{self, PATH, PATH_MAX};
use crate::layout::{
    ALLOCATOR_MAX, CLOCK_COUNTER, CLOCK_MONOTONIC, CLOCK_TSC, COMMAND_MAX, Head, LEFT_OUT, MAGIC, VARIABLE,
};
use crate::switch::{self, OFF};
use crate::{arch, maps, next, owners, sys, touch};
use core::cell::UnsafeCell;
use core::ffi::{CStr, c_char};
use core::fmt::Write as _;
use core::sync::atomic::{AtomicU32, Ordering};

unsafe extern "C" {
    static environ: *const *const c_char;
}

/// What a file is known by as the recorder of this version.
#[used]
static KNOWN_BY: u64 = MAGIC;

/// What the environment asks for.
#[derive(Debug, Clone, Copy)]
struct Asked {
    /// The process that asks: its child is the one that it wants.
    by: u32,
    /// Whether all processes record.
    children: bool,
    /// The largest file in bytes; 0 for any.
    limit: u64,
    /// One allocation in so many is watched; 0 for none.
    one_in: u32,
}

/// What the environment asked for at the start, and the folder: a program may change its environment later.
struct Kept(UnsafeCell<(Option<Asked>, [u8; PATH_MAX], usize)>);

// SAFETY: it is written by the one thread that is in `start`.
unsafe impl Sync for Kept {}

static KEPT: Kept = Kept(UnsafeCell::new((None, [0; PATH_MAX], 0)));

/// The process whose thread is, or was, in [`start`].
static STARTED_BY: AtomicU32 = AtomicU32::new(0);
/// Whether the environment was read: what starts after that is the child of a fork.
static WAS_READ: AtomicU32 = AtomicU32::new(0);

/// Starts recording, or switches it off. Calls of the loader come before there is an environment, and change nothing.
#[cold]
#[inline(never)]
pub(crate) fn start() {
    // SAFETY: the C library's variable.
    let environment = unsafe { environ };
    let process = sys::process();
    let before = STARTED_BY.load(Ordering::Relaxed);
    if environment.is_null() || before == process {
        return;
    }
    if STARTED_BY.compare_exchange(before, process, Ordering::Acquire, Ordering::Relaxed).is_err() {
        return;
    }
    let is_fork = WAS_READ.swap(1, Ordering::Relaxed) == 1;
    if !is_fork {
        // SAFETY: only this thread is here.
        unsafe { read_environment(environment) };
    }
    maps::ask_loader(!is_fork);
    // SAFETY: read above, or by the parent.
    let asked = unsafe { (*KEPT.0.get()).0 };
    let wanted = asked.filter(|asked| asked.children || (!is_fork && sys::parent() == asked.by));
    if asked.is_some() && wanted.is_none() {
        tell_of_this();
    }
    let started = wanted.is_some_and(|asked| switch::prepare() && open(asked));
    switch::set(if started { u64::from(process) << 8 } else { OFF });
}

/// # Safety
/// - only one thread is here, and the environment is a list of strings that ends with null.
unsafe fn read_environment(environment: *const *const c_char) {
    // SAFETY: the caller's promise.
    let (asked, folder, length) = unsafe { &mut *KEPT.0.get() };
    let mut at = environment;
    loop {
        // SAFETY: the list has not ended yet.
        let entry = unsafe { *at };
        if entry.is_null() {
            return;
        }
        // SAFETY: a string of the list.
        let entry = unsafe { CStr::from_ptr(entry) }.to_bytes();
        let value = entry.strip_prefix(VARIABLE.as_bytes()).and_then(|rest| rest.strip_prefix(b"="));
        if let Some(value) = value {
            *asked = read(value, folder, length);
            return;
        }
        at = at.wrapping_add(1);
    }
}

/// Reads the variable's value: four numbers and the folder.
fn read(value: &[u8], folder: &mut [u8], length: &mut usize) -> Option<Asked> {
    let mut words = value.splitn(5, |byte| *byte == b' ');
    let mut number = || {
        let word = words.next()?;
        word.iter().try_fold(0_u64, |sum, byte| {
            let digit = byte.wrapping_sub(b'0');
            if digit < 10 { sum.checked_mul(10)?.checked_add(digit.into()) } else { None }
        })
    };
    let (by, children, limit, one_in) = (number()?, number()?, number()?, number()?);
    let path = words.next()?;
    // A number, and the ends of the name, follow the folder.
    let place = folder.get_mut(..path.len()).filter(|_| path.len() + 64 < PATH_MAX && path.first() == Some(&b'/'))?;
    place.copy_from_slice(path);
    *length = path.len();
    Some(Asked { by: by as u32, children: children != 0, limit, one_in: u32::try_from(one_in).ok()? })
}

/// A text that is written into bytes, and a 0 behind it.
struct Text<'a> {
    bytes: &'a mut [u8],
    length: usize,
}

impl core::fmt::Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let end = self.length + text.len();
        self.bytes.get_mut(self.length..end).ok_or(core::fmt::Error)?.copy_from_slice(text.as_bytes());
        *self.bytes.get_mut(end).ok_or(core::fmt::Error)? = 0;
        self.length = end;
        Ok(())
    }
}

/// Leaves word that a process is not recorded.
fn tell_of_this() {
    let mut path = [0; PATH_MAX];
    // SAFETY: only the one thread in `start` is here.
    let (_, folder, length) = unsafe { &*KEPT.0.get() };
    path[..*length].copy_from_slice(&folder[..*length]);
    let mut text = Text { bytes: &mut path, length: *length };
    if write!(text, "/{LEFT_OUT}").is_ok()
        && let Ok(path) = CStr::from_bytes_until_nul(&path)
    {
        drop(sys::File::open(path, libc::O_RDWR | libc::O_CREAT));
    }
}

/// Creates the file of this process, the first name that is free, and fills its head.
fn open(asked: Asked) -> bool {
    for number in 0..100_000_u32 {
        // SAFETY: only the one thread in `start` is here.
        let path = unsafe { &mut *PATH.bytes() };
        // SAFETY: as above.
        let (_, folder, length) = unsafe { &*KEPT.0.get() };
        path[..*length].copy_from_slice(&folder[..*length]);
        let mut text = Text { bytes: path, length: *length };
        if write!(text, "/raw.{}.{number}", sys::process()).is_err() {
            return false;
        }
        if chunks::create(asked.limit) {
            fill(asked);
            return true;
        }
        if sys::errno() != libc::EEXIST {
            return false;
        }
    }
    false
}

fn fill(asked: Asked) {
    let head = chunks::head();
    let by_counter = arch::counter_is_time() && clock_is_trusted();
    let (start_ticks, start_ns) = switch::start_clock(by_counter);
    touch::start(asked.one_in);
    owners::start();
    let clock = match by_counter {
        true if cfg!(target_arch = "x86_64") => CLOCK_TSC,
        true => CLOCK_COUNTER,
        false => CLOCK_MONOTONIC,
    };
    // SAFETY: the new head, which no other thread knows.
    let head: &mut Head = unsafe { &mut *head };
    head.process = sys::process();
    head.parent = sys::parent();
    head.clock = clock;
    head.one_in = asked.one_in;
    head.start_ticks = start_ticks;
    head.start_ns = start_ns;
    head.start_unix = sys::clock_ns(libc::CLOCK_REALTIME) / 1_000_000_000;
    if let Some(file) = sys::File::open(c"/proc/self/cmdline", libc::O_RDONLY) {
        head.command_bytes = file.read(&mut head.command[..COMMAND_MAX]) as u64;
    }
    copy_allocator(&mut head.allocator);
    // Release: a reader that sees the magic sees the rest.
    head.magic.store(MAGIC, Ordering::Release);
}

/// The path of the file that the next allocator's code lies in.
fn copy_allocator(to: &mut [u8; ALLOCATOR_MAX]) {
    // SAFETY: plain values, for which zeroes are valid.
    let mut about: libc::Dl_info = unsafe { core::mem::zeroed() };
    // SAFETY: the answer is written to its place.
    let found = unsafe { libc::dladdr(next::an_address(), &raw mut about) } != 0;
    if !found || about.dli_fname.is_null() {
        return;
    }
    // SAFETY: the loader's own text.
    let path = unsafe { CStr::from_ptr(about.dli_fname) }.to_bytes();
    let length = path.len().min(ALLOCATOR_MAX - 1);
    to[..length].copy_from_slice(&path[..length]);
}

/// Whether the kernel itself trusts the processor's counter. It falls back to slow clocks where the counter is wrong.
fn clock_is_trusted() -> bool {
    if !cfg!(target_arch = "x86_64") {
        return true;
    }
    let path = c"/sys/devices/system/clocksource/clocksource0/current_clocksource";
    let Some(file) = sys::File::open(path, libc::O_RDONLY) else { return true };
    let mut name = [0; 32];
    let read = file.read(&mut name);
    ![&b"hpet"[..], b"acpi_pm", b"jiffies"].iter().any(|slow| name[..read].starts_with(slow))
}
