//! The allocator's own thread: a bare `clone` that the C library does not know.
//!
//! Starting it allocates nothing, runs no foreign code and waits for nothing, so that `free` can do it. It has a stack
//! with a page without access below it, no signal is delivered to it, and it shares memory, open files and signal
//! handlers with the process, but neither the current folder nor the root. What it inherits from the caller, and does
//! not need, it gives up in [`settle_thread`].

use super::residency::has_call_filter;
use super::start::{PROCESSORS, forget_process, process, process_now};
use core::cell::UnsafeCell;
use core::ptr;
use core::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

cfg_if::cfg_if! {
    if #[cfg(all(test, loom))] {
        use super::model as arch;
    } else if #[cfg(target_arch = "x86_64")] {
        use super::linux_x86_64 as arch;
    } else {
        use super::linux_aarch64 as arch;
    }
}

const STACK_BYTES: usize = 64 << 10;
const MADV_WIPEONFORK: usize = 18;
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;
const FUTEX_WAIT: usize = 0;
const FUTEX_WAIT_PRIVATE: usize = 128;
const FUTEX_WAKE_PRIVATE: usize = 129;

/// What is known of the thread, behind its stack. Reads as zeroes in the child of any fork: the kernel wipes it.
#[derive(Debug)]
struct Control {
    /// The thread's number while it is on the stack; the kernel clears it when the thread has left.
    id: AtomicU32,
    /// Its number, also when it has ended.
    last_id: AtomicU32,
    /// The process that started the thread last, or made this record; [`NO_PROCESS`] after a fork.
    process: AtomicU32,
}

/// No process's number, and not 0.
const NO_PROCESS: u32 = u32::MAX;

/// Where the control record lies, or null before the first start.
static CONTROL: AtomicPtr<Control> = AtomicPtr::new(ptr::null_mut());
/// Changes when the thread is to wake up.
static ALARM: AtomicU32 = AtomicU32::new(0);

fn control() -> Option<&'static Control> {
    // SAFETY: null, or the record, which lives for ever. Acquire: pairs with the release in `make_control`.
    unsafe { CONTROL.load(Ordering::Acquire).as_ref() }
}

/// Memory for the stack, a guard below it and the record behind it, with pages of the kernel's of up to 64 KiB: part of the
/// program, so that a process that has all the addresses it may have can still start the thread, which gives some back.
struct Memory(UnsafeCell<[u8; MEMORY_BYTES]>);

const MEMORY_BYTES: usize = 4 << 16;

// SAFETY: only this file and the thread use it.
unsafe impl Sync for Memory {}

static MEMORY: Memory = Memory(UnsafeCell::new([0; MEMORY_BYTES]));

/// Makes the stack, behind a page of the kernel's without access, and behind it the record.
fn make_control(page: usize) -> Option<&'static Control> {
    let memory: *mut u8 = MEMORY.0.get().cast();
    let guard = memory.wrapping_add(memory.addr().next_multiple_of(page) - memory.addr());
    let (stack, bytes) = (guard.wrapping_add(page), STACK_BYTES + size_of::<Control>());
    // The models' addresses have no memory.
    if cfg!(loom) || stack.addr() + bytes.next_multiple_of(page) > memory.addr() + MEMORY_BYTES {
        return None;
    }
    // SAFETY: the page holds nothing.
    let result = unsafe { arch::syscall6(arch::SYS_MPROTECT, guard.addr(), page, 0, 0, 0, 0) };
    if result != 0 {
        return None;
    }
    // SAFETY: changes what the child of a fork finds there. A kernel before 4.14 refuses; then only the handler of
    // `fork` tells the child that it has no thread.
    unsafe { arch::syscall6(arch::SYS_MADVISE, stack.addr(), bytes, MADV_WIPEONFORK, 0, 0, 0) };
    let control = stack.wrapping_add(STACK_BYTES).cast::<Control>();
    // SAFETY: no other code has the memory, and zeroes are a record.
    unsafe { (*control).process.store(process(), Ordering::Relaxed) };
    // Release: pairs with the acquire in `control`.
    CONTROL.store(control, Ordering::Release);
    self::control()
}

/// Starts the thread, which runs `work` once. Returns `false` when the kernel refuses. Its thread-local storage is the
/// caller's, which it must not touch. `page` is the length of the kernel's pages.
///
/// # Safety
/// - calls do not overlap, and `work` of an earlier call has returned or is about to.
/// - `work` touches no thread-local storage and does not unwind.
pub(super) unsafe fn spawn(work: extern "C" fn(), page: usize) -> bool {
    /// VM, FILES, SIGHAND, THREAD, SYSVSEM, PARENT_SETTID, CHILD_CLEARTID. Without FS, which `setns` and `unshare`
    /// refuse to part threads from.
    const CLONE_FLAGS: usize = 0x100 | 0x400 | 0x800 | 0x1_0000 | 0x4_0000 | 0x10_0000 | 0x20_0000;
    const SIG_SETMASK: usize = 2;
    let Some(control) = control().or_else(|| make_control(page)) else { return false };
    // Acquire: an earlier thread is off the stack.
    while control.id.load(Ordering::Acquire) != 0 {
        yield_now();
    }
    control.process.store(process(), Ordering::Relaxed);
    let (all, mut before) = (u64::MAX, 0_u64);
    let set_mask = |new: *const u64, old: *mut u64| {
        // SAFETY: reads and writes words of signals; the mask is put back below.
        unsafe { arch::syscall6(arch::SYS_RT_SIGPROCMASK, SIG_SETMASK, new.addr(), old.addr(), 8, 0, 0) };
    };
    set_mask(&raw const all, &raw mut before);
    let top = ptr::from_ref(control).cast_mut().cast::<u8>();
    // SAFETY: the stack ends where the record begins, no thread is on it, and the caller promises the rest.
    let result = unsafe { arch::clone_thread(CLONE_FLAGS, top, control.id.as_ptr(), work) };
    set_mask(&raw const before, ptr::null_mut());
    // Results below 0 are error numbers.
    let is_started = result.cast_signed() > 0;
    if is_started {
        control.last_id.store(result as u32, Ordering::Relaxed);
    }
    is_started
}

/// Gives up, in the thread, what it inherited and does not need: the caller's processors, its capabilities, and the
/// hold on the current folder. Returns the effective and permitted capabilities that it had, if it had any.
///
/// A process with a system call filter is left as it is, and `None` returned: the filter may end it for a call that it
/// does not know.
pub(crate) fn settle_thread() -> Option<[u32; 4]> {
    if has_call_filter() {
        return None;
    }
    let (header, none) = ([CAPABILITY_VERSION_3, 0], [0_u32; 6]);
    // SAFETY: the calls read constants and the static, and change the calling thread alone. Refusals are ignored.
    unsafe {
        let had = privileges(0);
        // Zeroes, which stand for an unknown mask, are refused.
        let processors = (&raw const PROCESSORS).addr();
        arch::syscall6(arch::SYS_SCHED_SETAFFINITY, 0, size_of_val(&PROCESSORS), processors, 0, 0, 0);
        arch::syscall6(arch::SYS_CHDIR, c"/".as_ptr().addr(), 0, 0, 0, 0, 0);
        if had == [0; 4] {
            return None;
        }
        arch::syscall6(arch::SYS_CAPSET, (&raw const header).addr(), (&raw const none).addr(), 0, 0, 0, 0);
        Some(had)
    }
}

/// The capabilities of the process's first thread, as [`settle_thread`] returns them. That they change tells that the process became another user, or gave privileges
/// up: the C library does so in the threads that it knows, not in the allocator's own.
pub(crate) fn first_threads_privileges() -> [u32; 4] {
    privileges(process())
}

fn privileges(thread: u32) -> [u32; 4] {
    let header = [CAPABILITY_VERSION_3, thread];
    let mut sets = [0_u32; 6];
    // SAFETY: reads the header, and writes two times three sets of 32 capabilities: effective, permitted, inheritable.
    unsafe { arch::syscall6(arch::SYS_CAPGET, (&raw const header).addr(), (&raw mut sets).addr(), 0, 0, 0, 0) };
    [sets[0], sets[1], sets[3], sets[4]]
}

/// Whether a thread was started before this process was forked off, so that it does not exist here. Where `fork` of the
/// C library was called, [`forget_thread`] has made that known; a bare `clone` calls no handler.
pub(crate) fn thread_is_lost() -> bool {
    control().is_some_and(|control| control.process.load(Ordering::Relaxed) == 0)
}

/// Whether this process started the thread last: not the child of a fork, nor of a `vfork`, which shares the memory.
pub(crate) fn thread_is_own() -> bool {
    control().is_some_and(|control| {
        let now = process_now();
        if control.process.load(Ordering::Relaxed) == now {
            return true;
        }
        // The child of a fork that no handler was called for may have its parent's number noted. The thread tells.
        let last = control.last_id.load(Ordering::Relaxed);
        let is_own = last != 0 && is_thread_of(now, last);
        if is_own {
            control.process.store(now, Ordering::Relaxed);
        }
        is_own
    })
}

/// Whether a process has a thread of this number.
fn is_thread_of(process: u32, thread: u32) -> bool {
    const ESRCH: isize = 3;
    // SAFETY: signal 0 is none, and only asks for the thread.
    let result = unsafe { arch::syscall6(arch::SYS_TGKILL, process as usize, thread as usize, 0, 0, 0, 0) };
    result.cast_signed() != -ESRCH
}

/// A number that no other thread has at this moment: the address of the calling thread's words. The allocator's own
/// thread, which must not touch thread-local storage, has 1.
pub(crate) fn thread_number() -> usize {
    let here = 0_u8;
    if is_on_stack((&raw const here).addr()) { 1 } else { arch::thread_slots().addr() }
}

/// Whether an address lies on the thread's stack.
pub(super) fn is_on_stack(address: usize) -> bool {
    control().is_some_and(|control| (1..=STACK_BYTES).contains(&(ptr::from_ref(control).addr().wrapping_sub(address))))
}

/// Forgets the thread of [`spawn`], in the child of a fork, where it does not exist.
pub(crate) fn forget_thread() {
    // Asked when it is needed: a filter may forbid it in children.
    forget_process();
    if let Some(control) = control() {
        control.id.store(0, Ordering::Release);
        control.last_id.store(0, Ordering::Relaxed);
        control.process.store(NO_PROCESS, Ordering::Relaxed);
    }
}

/// Waits until the thread is none of the process any more, but no longer than about a millisecond. Returns whether it
/// is so.
pub(crate) fn wait_for_thread_end() -> bool {
    let Some(control) = control() else { return true };
    // Acquire: what the thread did is done, for the caller too.
    let id = control.id.load(Ordering::Acquire);
    if id != 0 {
        // The thread that starts it may not have come to that.
        control.last_id.store(id, Ordering::Relaxed);
        // The kernel wakes sleepers of the shared kind, and only one of them.
        futex_wait(&control.id, FUTEX_WAIT, id, 1);
        return false;
    }
    // The kernel clears the number before the process has a thread less.
    let last = control.last_id.load(Ordering::Relaxed);
    if last == 0 {
        return true;
    }
    if is_thread_of(process(), last) {
        yield_now();
        return false;
    }
    control.last_id.store(0, Ordering::Relaxed);
    true
}

/// What [`sleep_ms`] is given: read it before the last look at whether there is a reason to stay awake.
pub(crate) fn alarm() -> u32 {
    // Acquire: pairs with the release in `wake_thread`.
    ALARM.load(Ordering::Acquire)
}

/// Sleeps for `ms` milliseconds, at most 999, or until [`wake_thread`] is called; not at all, if it was called since
/// `alarm` was read.
pub(crate) fn sleep_ms(ms: u32, alarm: u32) {
    futex_wait(&ALARM, FUTEX_WAIT_PRIVATE, alarm, ms);
}

/// Ends the thread's sleep.
pub(crate) fn wake_thread() {
    // Release: pairs with the acquire in `alarm`: the thread sees why it was woken.
    ALARM.fetch_add(1, Ordering::Release);
    // SAFETY: the kernel only compares the address.
    unsafe { arch::syscall6(arch::SYS_FUTEX, ALARM.as_ptr().addr(), FUTEX_WAKE_PRIVATE, 1, 0, 0, 0) };
}

/// Gives the processor to other threads.
pub(crate) fn yield_now() {
    // SAFETY: changes no memory.
    unsafe { arch::syscall6(arch::SYS_SCHED_YIELD, 0, 0, 0, 0, 0, 0) };
}

fn futex_wait(word: &AtomicU32, operation: usize, expected: u32, ms: u32) {
    let time = [0_u64, u64::from(ms) * 1_000_000];
    // SAFETY: word and time outlive the call.
    unsafe {
        let (word, time) = (word.as_ptr().addr(), (&raw const time).addr());
        arch::syscall6(arch::SYS_FUTEX, word, operation, expected as usize, time, 0, 0);
    }
}
