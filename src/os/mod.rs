//! The operating system: the only system calls of the allocator.
//!
//! | call | where it comes from | when |
//! |---|---|---|
//! | `mmap` | [`map`], [`reserve`] | the arena's addresses, metadata, a large mapping |
//! | `mprotect` | [`commit`] | the arena grows |
//! | `munmap` | [`unmap`] | a large mapping goes back |
//! | `mremap` | [`move_pages`] | a large mapping grows |
//! | `madvise` | [`decommit`] | memory of free blocks, or of free slots, goes back |
//! | `madvise` | [`advise_huge`] | memory is new, and huge pages are advised on |
//! | `mincore` | [`resident_bytes`] | a program asks for statistics |
//! | `futex` | [`wait`], [`wake`] | a lock is contended |
//! | `prlimit64` | [`address_limit`] | the range is reserved, or the arena grows |
//! | `getrusage` | [`minor_faults`] | learning closes a window |
//! | `clone`, `rt_sigprocmask`, `getpid` | [`spawn`] | memory begins to wait for the background purge |
//! | `prctl`, `sched_setaffinity`, `chdir`, `capset` | [`settle_thread`] | the purge thread begins |
//! | `capget` | [`own_privileges`], [`first_threads_privileges`] | at each epoch of the purge |
//! | `futex`, `tgkill` | [`sleep_ms`], [`wake_thread`], [`wait_for_thread_end`] | the purge thread waits for its next epoch, or has to end |
//! | `sched_yield` | [`yield_now`] | the last purge thread is still on its stack, or others wait for the purge |
//! | `sched_getaffinity` | a constructor | the process begins |
//! | `clock_gettime` | [`now_ns`] | the purge, and learning, look at the time |
//! | `write` | [`write_stderr`] | a warning, the sentence before an abort, or `malloc_stats` |
//!
//! The calls are made directly, not through libc's wrappers: nothing can interpose them and none of them touches
//! `errno`, so `free` preserves it without saving it. `getauxval` goes through libc, and is no system call. What memory
//! is used for is left to the layers above.

mod thread;

use core::ptr;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

cfg_if::cfg_if! {
    if #[cfg(all(test, loom))] {
        mod model;
        pub(crate) use model::touch;
        use model as arch;
    } else if #[cfg(all(target_os = "linux", target_arch = "x86_64"))] {
        mod linux_x86_64;
        use linux_x86_64 as arch;
    } else if #[cfg(all(target_os = "linux", target_arch = "aarch64"))] {
        mod linux_aarch64;
        use linux_aarch64 as arch;
    } else {
        compile_error!("hakmem runs on Linux x86-64 and aarch64");
    }
}

pub(crate) use arch::{cycles, thread_slots, thread_word};
pub(crate) use thread::{
    alarm, first_threads_privileges, forget_thread, own_privileges, settle_thread, sleep_ms, thread_is_lost,
    thread_is_own, wait_for_thread_end, wake_thread, yield_now,
};

/// Bytes of an OS page as the allocator counts them. The kernel's own pages may be larger (aarch64): the kernel then
/// rounds up the lengths that it is given, in [`map`] and in [`unmap`] alike.
pub(crate) const OS_PAGE: usize = 4096;

/// Bytes of a huge page, where the kernel's own pages are [`OS_PAGE`] long.
pub(crate) const HUGE_PAGE: usize = 2 << 20;

const PROT_NONE: usize = 0;
const PROT_READ_WRITE: usize = 1 | 2;
const MAP_PRIVATE_ANONYMOUS: usize = 0x02 | 0x20;
const MAP_NORESERVE: usize = 0x4000;
const MADV_DONTNEED: usize = 4;
const MADV_HUGEPAGE: usize = 14;
const MADV_NOHUGEPAGE: usize = 15;
const MADV_DONTDUMP: usize = 16;
const MADV_DODUMP: usize = 17;
const MREMAP_MAYMOVE_FIXED: usize = 1 | 2;
const FUTEX_WAIT_PRIVATE: usize = 128;
const FUTEX_WAKE_PRIVATE: usize = 129;

/// Results from -4095 to -1 are error numbers.
fn failed(result: usize) -> bool {
    result > usize::MAX - 4096
}

/// Bytes that are mapped now. Accesses to all three counts are relaxed: they order nothing else.
static MAPPED: AtomicUsize = AtomicUsize::new(0);
/// The highest value of [`MAPPED`] so far.
static MAPPED_MAX: AtomicUsize = AtomicUsize::new(0);
/// Bytes of [`MAPPED`] that are unused and that the kernel refused to unmap.
static LOST: AtomicUsize = AtomicUsize::new(0);

/// Bytes that the calls of this file mapped and unmapped. Counting adds some nanoseconds to a call of a microsecond.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mapped {
    /// Bytes that are mapped now, touched or not. Addresses that are only reserved ([`reserve`]) do not count.
    pub(crate) bytes: usize,
    /// The highest value of `bytes` so far.
    pub(crate) bytes_max: usize,
    /// Bytes of `bytes` that are unused and that the kernel refused to unmap.
    pub(crate) lost_bytes: usize,
}

/// The counts at this moment.
pub(crate) fn mapped() -> Mapped {
    Mapped {
        bytes: MAPPED.load(Ordering::Relaxed),
        bytes_max: MAPPED_MAX.load(Ordering::Relaxed),
        lost_bytes: LOST.load(Ordering::Relaxed),
    }
}

/// Counts bytes that stay mapped although they are unused.
pub(crate) fn lose(bytes: usize) {
    LOST.fetch_add(bytes, Ordering::Relaxed);
}

fn count_mapped(bytes: usize) {
    let now = MAPPED.fetch_add(bytes, Ordering::Relaxed).wrapping_add(bytes);
    MAPPED_MAX.fetch_max(now, Ordering::Relaxed);
}

/// Maps `len` bytes of zeroed memory, or returns null.
pub(crate) fn map(len: usize) -> *mut u8 {
    let base = map_flags(len, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS);
    if !base.is_null() {
        count_mapped(len);
    }
    base
}

/// Reserves `len` bytes of addresses without access, or returns null. [`commit`] makes them memory. Until then
/// `RLIMIT_DATA` does not count them and `mlockall` makes none of them resident; `RLIMIT_AS` counts them. A core dump
/// leaves them out: debuggers write them as zeroes.
pub(crate) fn reserve(len: usize) -> *mut u8 {
    let base = map_flags(len, PROT_NONE, MAP_PRIVATE_ANONYMOUS | MAP_NORESERVE);
    if !base.is_null() {
        // SAFETY: the range is ours, and its contents stay. A kernel that refuses dumps more.
        unsafe { arch::syscall6(arch::SYS_MADVISE, base.addr(), len, MADV_DONTDUMP, 0, 0, 0) };
    }
    base
}

/// Makes a part of a reservation readable and writable; it reads as zero. Returns `false` when the kernel refuses.
///
/// # Safety
/// - `[base, base + len)` is part of what came from [`reserve`].
pub(crate) unsafe fn commit(base: *mut u8, len: usize) -> bool {
    // SAFETY: gives access to a range that is ours.
    let result = unsafe { arch::syscall6(arch::SYS_MPROTECT, base.addr(), len, PROT_READ_WRITE, 0, 0, 0) };
    if failed(result) {
        return false;
    }
    // SAFETY: changes what a core dump has, not what the range holds.
    unsafe { arch::syscall6(arch::SYS_MADVISE, base.addr(), len, MADV_DODUMP, 0, 0, 0) };
    count_mapped(len);
    true
}

fn map_flags(len: usize, protection: usize, flags: usize) -> *mut u8 {
    // SAFETY: a private anonymous mapping at an address of the kernel's choice disturbs no memory in use.
    let result = unsafe { arch::syscall6(arch::SYS_MMAP, 0, len, protection, flags, usize::MAX, 0) };
    if failed(result) { ptr::null_mut() } else { ptr::with_exposed_provenance_mut(result) }
}

/// Gives a mapping back. A refusal (the process is at its limit of mappings, and a hole would add one) leaves the
/// memory mapped; its OS pages are then dropped, so that only address space is lost.
///
/// # Safety
/// - `[base, base + len)` came from [`map`], and is not used any more.
pub(crate) unsafe fn unmap(base: *mut u8, len: usize) {
    // SAFETY: the caller gives the range up.
    let result = unsafe { arch::syscall6(arch::SYS_MUNMAP, base.addr(), len, 0, 0, 0, 0) };
    if failed(result) {
        lose(len);
        // SAFETY: as above.
        unsafe { decommit(base, len) };
    } else {
        MAPPED.fetch_sub(len, Ordering::Relaxed);
    }
}

/// Drops the memory behind a range and keeps the addresses; the next touch finds zeroes. Returns `false` when the
/// kernel refuses.
///
/// # Safety
/// - `[base, base + len)` is mapped by us, and its contents are not needed.
pub(crate) unsafe fn decommit(base: *mut u8, len: usize) -> bool {
    // SAFETY: the caller gives the contents up.
    let result = unsafe { arch::syscall6(arch::SYS_MADVISE, base.addr(), len, MADV_DONTNEED, 0, 0, 0) };
    !failed(result)
}

/// Advises the kernel to back a range with huge pages (`welcome`), or not to. Returns `false` when it refuses the
/// advice.
///
/// # Safety
/// - `[base, base + len)` is mapped by us.
pub(crate) unsafe fn advise_huge(base: *mut u8, len: usize, welcome: bool) -> bool {
    let advice = if welcome { MADV_HUGEPAGE } else { MADV_NOHUGEPAGE };
    // SAFETY: changes what backs the range, not what it holds.
    let result = unsafe { arch::syscall6(arch::SYS_MADVISE, base.addr(), len, advice, 0, 0, 0) };
    !failed(result)
}

/// Bytes in a page of the kernel.
pub(crate) fn kernel_page() -> usize {
    // SAFETY: reads a word of the auxiliary vector.
    unsafe { libc::getauxval(libc::AT_PAGESZ) as usize }
}

/// Moves the OS pages of one mapping over another, longer one, without copying. Returns `false` when the kernel
/// refuses: the source is then unchanged, but the target may be unmapped.
///
/// # Safety
/// - both ranges came from [`map`]; the target is unused, and no thread uses the source during the call.
pub(crate) unsafe fn move_pages(from: *mut u8, from_len: usize, to: *mut u8, to_len: usize) -> bool {
    // SAFETY: the caller owns both ranges.
    let result =
        unsafe { arch::syscall6(arch::SYS_MREMAP, from.addr(), from_len, to_len, MREMAP_MAYMOVE_FIXED, to.addr(), 0) };
    if failed(result) {
        return false;
    }
    // The source took the target's place, which was counted.
    MAPPED.fetch_sub(from_len, Ordering::Relaxed);
    true
}

/// Kernel pages that one call of `mincore` is asked about.
const RESIDENCY_PAGES: usize = 4096;

/// Bytes of a range that are resident: in kernel pages that are backed, also by the shared page of zeroes. The kernel
/// is asked for [`RESIDENCY_PAGES`] at a time; a piece with an unmapped page counts 0.
pub(crate) fn resident_bytes(base: *const u8, len: usize) -> usize {
    let page = kernel_page();
    let end = base.addr() + len;
    let mut at = base.addr() / page * page;
    let mut pages = 0;
    while at < end {
        let asked = (end - at).min(RESIDENCY_PAGES * page);
        let mut states = [0_u8; RESIDENCY_PAGES];
        // SAFETY: writes a byte for each page asked about, at most `RESIDENCY_PAGES`.
        let result = unsafe { arch::syscall6(arch::SYS_MINCORE, at, asked, (&raw mut states).addr(), 0, 0, 0) };
        if !failed(result) {
            pages += states[..asked.div_ceil(page)].iter().filter(|&&state| state & 1 != 0).count();
        }
        at += asked;
    }
    (pages * page).min(len)
}

/// Sleeps while `*word == expected`, or returns at once; wakes spuriously.
pub(crate) fn wait(word: &AtomicU32, expected: u32) {
    // SAFETY: the word outlives the call; a null timeout means no limit.
    unsafe {
        arch::syscall6(arch::SYS_FUTEX, word.as_ptr().addr(), FUTEX_WAIT_PRIVATE, expected as usize, 0, 0, 0);
    }
}

/// Wakes one sleeper of [`wait`].
pub(crate) fn wake(word: &AtomicU32) {
    // SAFETY: the kernel only compares the address.
    unsafe {
        arch::syscall6(arch::SYS_FUTEX, word.as_ptr().addr(), FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
    }
}

/// Bytes of addresses that the process may have (`RLIMIT_AS`); `usize::MAX` without a limit.
pub(crate) fn address_limit() -> usize {
    const RLIMIT_AS: usize = 9;
    let mut limit = [u64::MAX; 2];
    // SAFETY: writes the two words of the limit of the calling process.
    unsafe { arch::syscall6(arch::SYS_PRLIMIT, 0, RLIMIT_AS, 0, (&raw mut limit).addr(), 0, 0) };
    limit[0] as usize
}

/// Page faults of the process so far that needed no I/O.
pub(crate) fn minor_faults() -> u64 {
    let mut usage = [0_u64; 18];
    // SAFETY: writes a `struct rusage`, 18 words on both architectures; 0 is `RUSAGE_SELF`.
    unsafe { arch::syscall6(arch::SYS_GETRUSAGE, 0, (&raw mut usage).addr(), 0, 0, 0, 0) };
    // Two times of two words each, then ru_maxrss, ru_ixrss, ru_idrss, ru_isrss, ru_minflt.
    usage[8]
}

/// Starts the allocator's own thread, which runs `work` once. Returns `false` when the kernel refuses.
///
/// # Safety
/// - calls do not overlap, and `work` of an earlier call has returned or is about to.
/// - `work` touches no thread-local storage and does not unwind.
pub(crate) unsafe fn spawn(work: extern "C" fn()) -> bool {
    // Not counted as mapped: no request leads to it.
    let map_guarded = |bytes: usize| {
        let guard = kernel_page();
        let base = map_flags(guard + bytes, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS);
        // SAFETY: the first page of a new mapping.
        let result = unsafe { arch::syscall6(arch::SYS_MPROTECT, base.addr(), guard, PROT_NONE, 0, 0, 0) };
        if base.is_null() || failed(result) { ptr::null_mut() } else { base.wrapping_add(guard) }
    };
    // SAFETY: passed on; the mapping stays.
    unsafe { thread::spawn(work, map_guarded) }
}

/// Writes to standard error, once. A failure is ignored.
pub(crate) fn write_stderr(text: &[u8]) {
    // SAFETY: the kernel reads `text.len()` bytes of a live slice.
    unsafe {
        arch::syscall6(arch::SYS_WRITE, 2, text.as_ptr().addr(), text.len(), 0, 0, 0);
    }
}

/// Monotonic time in nanoseconds. Not by the C library's function, which programs and their tools put their own in the
/// place of (libfaketime): it may allocate. Takes about 0.1 µs, and is asked on slow paths only.
pub(crate) fn now_ns() -> u64 {
    const CLOCK_MONOTONIC: usize = 1;
    let mut time = [0_u64; 2];
    // SAFETY: writes a `struct timespec`.
    unsafe { arch::syscall6(arch::SYS_CLOCK_GETTIME, CLOCK_MONOTONIC, (&raw mut time).addr(), 0, 0, 0, 0) };
    time[0] * 1_000_000_000 + time[1]
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn maps_zeroed_memory_and_gives_it_back() {
        let base = map(3 * OS_PAGE);
        assert!(!base.is_null());
        // SAFETY: the mapping is ours and three pages long.
        unsafe {
            assert_eq!(*base.add(2 * OS_PAGE), 0);
            *base = 7;
            assert!(decommit(base, OS_PAGE));
            assert_eq!(*base, 0, "decommitted memory reads as zero");
            unmap(base, 3 * OS_PAGE);
        }
    }

    #[test]
    fn reserved_addresses_become_zeroed_memory() {
        let base = reserve(1 << 30);
        assert!(!base.is_null());
        // SAFETY: the range is ours.
        unsafe {
            assert!(commit(base, 2 * OS_PAGE));
            assert_eq!(*base.add(OS_PAGE), 0);
            unmap(base, 1 << 30);
        }
    }

    #[test]
    fn faults_are_counted() {
        let before = minor_faults();
        let base = map(64 * OS_PAGE);
        for page in 0..64 {
            // SAFETY: the mapping is ours and that long. Volatile: it is not read.
            unsafe { base.add(page * OS_PAGE).write_volatile(1) };
        }
        assert!(minor_faults() >= before + 4, "even with the largest folios");
        // SAFETY: the mapping is ours.
        unsafe { unmap(base, 64 * OS_PAGE) };
    }

    /// Held by the test that starts the thread.
    static ONE_THREAD: std::sync::Mutex<()> = std::sync::Mutex::new(());

    /// The thread runs, is waited for, can be started again, and is woken before its time.
    #[test]
    fn the_thread_runs_and_can_be_started_again() {
        static RUNS: AtomicU32 = AtomicU32::new(0);
        extern "C" fn work() {
            settle_thread();
            let alarm = alarm();
            RUNS.fetch_add(1, Ordering::Release);
            sleep_ms(999, alarm);
        }
        let _one = ONE_THREAD.lock();
        let begin = std::time::Instant::now();
        for run in 1..=50 {
            // SAFETY: one after the other, and the work touches statics.
            assert!(unsafe { spawn(work) });
            assert!(thread_is_own() && !thread_is_lost());
            while RUNS.load(Ordering::Acquire) < run {
                std::thread::yield_now();
            }
            wake_thread();
            while !wait_for_thread_end() {}
        }
        assert!(begin.elapsed().as_secs() < 20, "no sleep took its full time");
    }

    #[test]
    fn a_page_without_access_lies_below_the_threads_stack() {
        static FRAME: AtomicUsize = AtomicUsize::new(0);
        extern "C" fn work() {
            let local = 0_u8;
            FRAME.store((&raw const local).addr(), Ordering::Release);
        }
        let _one = ONE_THREAD.lock();
        // SAFETY: no other test starts the thread while the lock is held, and the work touches a static.
        assert!(unsafe { spawn(work) });
        while !wait_for_thread_end() {}
        let mut ends = [0; 2];
        // SAFETY: makes a pipe of this test's own.
        assert_eq!(unsafe { libc::pipe(ends.as_mut_ptr()) }, 0);
        // SAFETY: the kernel reads the byte, or refuses where the process may not.
        let is_readable = |at: usize| unsafe { libc::write(ends[1], ptr::without_provenance::<u8>(at).cast(), 1) } == 1;
        let top = FRAME.load(Ordering::Acquire).next_multiple_of(OS_PAGE);
        let lowest = (1..64).map(|page| top - page * OS_PAGE).take_while(|&at| is_readable(at)).last();
        let lowest = lowest.expect("the page that the frame lies in");
        assert!(top - lowest >= 15 * OS_PAGE, "the stack is there as a whole");
        assert!(!is_readable(lowest - 1) && !is_readable(lowest - OS_PAGE));
    }

    #[test]
    fn residency_is_what_was_touched() {
        let base = map(64 * OS_PAGE);
        let resident = || resident_bytes(base, 64 * OS_PAGE);
        assert_eq!(resident(), 0);
        // SAFETY: the mapping is ours and that long. Huge pages would make more of it resident.
        unsafe {
            assert!(advise_huge(base, 64 * OS_PAGE, false));
            base.add(3 * OS_PAGE).write_volatile(1);
            base.add(60 * OS_PAGE).write_volatile(1);
            assert_eq!(resident(), 2 * OS_PAGE);
            assert!(decommit(base, 32 * OS_PAGE));
            assert_eq!(resident(), OS_PAGE);
            unmap(base, 64 * OS_PAGE);
        }
        // No mapping lies so low: a range whose mapping is gone may be another thread's by now.
        assert_eq!(resident_bytes(ptr::without_provenance(1 << 30), 64 * OS_PAGE), 0, "not mapped");
    }

    #[test]
    fn refusals_are_null() {
        assert!(map(usize::MAX / 2).is_null());
    }

    #[test]
    fn moved_pages_keep_their_contents() {
        let from = map(OS_PAGE);
        let to = map(4 * OS_PAGE);
        // SAFETY: both mappings are ours; `from` is given up by the move.
        unsafe {
            *from.add(5) = 42;
            assert!(move_pages(from, OS_PAGE, to, 4 * OS_PAGE));
            assert_eq!(*to.add(5), 42);
            assert_eq!(*to.add(3 * OS_PAGE), 0);
            unmap(to, 4 * OS_PAGE);
        }
    }
}
