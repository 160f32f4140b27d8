//! The operating system: the only system calls of the allocator.
//!
//! | call | where it comes from | when |
//! |---|---|---|
//! | `mmap` | [`map`], [`map_at`] | the arena grows; metadata, a large mapping |
//! | `mmap`, `munmap` | [`free_addresses`] | the process starts |
//! | `mmap`, then `mprotect` | [`reserve`], [`commit`] | the same two, where no addresses are free |
//! | `munmap` | [`unmap`], [`unmap_part`] | a large mapping goes back; free segments, under a limit |
//! | `mremap` | [`extend`], [`move_pages`] | a large mapping grows |
//! | `madvise` | [`zero_in_children`] | a second thread begins |
//! | `madvise` | [`decommit`] | memory of free blocks, or of free slots, goes back |
//! | `madvise` | [`advise_huge`] | memory is new, and huge pages are advised on |
//! | `madvise` or `mprotect` | [`guard::install`], [`guard::remove`] | with the factor `guard-pages`: a large object begins and ends |
//! | `mincore` | [`guard::each_resident`] | with the factor `zero-free`: memory of a large object is used again |
//! | `mincore` | [`resident_bytes`] | a program asks for statistics |
//! | `mincore`, `process_vm_readv` | [`density`] | memory is new, or large memory is used again, and it or its like is looked at |
//! | `prctl`; `openat`, `pread64`, `close` | [`residency`] | before a `mincore`; in the place of each, where the process has a filter |
//! | `futex` | [`wait`], [`wake`] | a lock is contended |
//! | `futex` | [`wait_ms`], [`wake_all`] | a thread comes past its cache while the process forks |
//! | `sched_getaffinity`, `getpid`, `prlimit64` | [`start`] | the process begins; `prlimit64` again where memory was refused |
//! | `prlimit64` | [`address_limit`] | the arena grows, where no addresses were free |
//! | `getrusage` | [`minor_faults`] | learning closes a window |
//! | `clone`, `rt_sigprocmask` | [`spawn`] | memory begins to wait for the background purge |
//! | `prctl` | [`settle_thread`] | the purge thread begins |
//! | `capget`, `sched_setaffinity`, `chdir`, `capset` | [`settle_thread`] | the same, where no calls are filtered |
//! | `capget` | [`first_threads_privileges`] | at each epoch of the purge, where its thread began with privileges |
//! | `getpid` | [`thread_is_own`] | the program calls `setuid` and its like; and after a fork, when it is needed |
//! | `futex`, `tgkill` | [`sleep_ms`], [`wake_thread`], [`wait_for_thread_end`] | the purge thread waits for its next epoch, or has to end |
//! | `sched_yield` | [`yield_now`] | the last purge thread is still on its stack, or others wait for the purge |
//! | `clock_gettime` | [`now_ns`] | the purge, and learning, look at the time |
//! | `membarrier` | [`restart_sequences`] | the purge empties the caches of idle threads |
//! | `getpid`, `kill`, `rt_sigaction`, `exit_group` | [`abort()`] | the purge thread found a fault |
//! | `getpid`, `exit_group` | [`process`], [`exit`] | the program calls `_exit` |
//! | `openat`, `read`, `write`, `close` | [`append`], [`read`] | with `HAKMEM_REPORT`: the process begins and ends |
//! | `fstat`, `fcntl`, `write` | [`identity`], [`duplicate`], [`write()`] | with `HAKMEM_STATS`: the process begins and ends |
//! | `write` | [`write_stderr`] | a warning, the sentence before an abort, or `malloc_stats` |
//!
//! The calls are made directly, not through libc's wrappers: nothing can interpose them and none of them touches
//! `errno`, so `free` preserves it without saving it. `getauxval` goes through libc, and is no system call. What memory
//! is used for is left to the layers above.

mod abort;
#[cfg(not(loom))]
#[allow(dead_code, reason = "only the C interface uses it")]
mod file;
mod futex;
#[cfg(not(loom))]
mod loader;
mod residency;
mod start;
mod thread;

pub(crate) use abort::{abort, write_stderr};
#[cfg(not(loom))]
#[allow(unused_imports, reason = "only the C interface uses it")]
pub(crate) use file::{append, duplicate, exit, identity, process, read, write};
pub(crate) use futex::{wait, wait_ms, wake, wake_all};
#[cfg(not(loom))]
#[allow(unused_imports, reason = "the C interface does not use it")]
pub(crate) use loader::loader;

use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

cfg_if::cfg_if! {
    if #[cfg(all(test, loom))] {
        mod model;
        pub(crate) use model::{sequence, touch};
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

pub(crate) mod density;
pub(crate) mod guard;

cfg_if::cfg_if! {
    if #[cfg(all(target_arch = "x86_64", not(loom)))] {
        mod stacks_x86_64;
        use stacks_x86_64 as stacks;
    } else {
        mod stacks;
    }
}

#[cfg(not(loom))]
#[allow(unused_imports, reason = "only the C interface uses it")]
pub(crate) use arch::jump_to_next;
pub(crate) use arch::{cycles, thread_slots};
#[allow(unused_imports, reason = "only the C interface uses it")]
pub(crate) use stacks::pop_of_table;
pub(crate) use stacks::{are_restarted, pop, push, use_registrations};
#[allow(unused_imports, reason = "only the C interface uses it")]
pub(crate) use start::set_limit;
pub(crate) use start::{address_limit, is_limited, known_limit};
pub(crate) use thread::{
    alarm, first_threads_privileges, forget_thread, settle_thread, sleep_ms, thread_is_lost, thread_is_own,
    thread_number, wait_for_thread_end, wake_thread, yield_now,
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
const MAP_FIXED_NOREPLACE: usize = 0x10_0000;
/// The error number of an address that is taken.
const EXISTS: usize = 17;
const MADV_DONTNEED: usize = 4;
const MADV_HUGEPAGE: usize = 14;
const MADV_NOHUGEPAGE: usize = 15;
const MADV_DONTDUMP: usize = 16;
const MADV_DODUMP: usize = 17;
const MADV_WIPEONFORK: usize = 18;
const MREMAP_MAYMOVE_FIXED: usize = 1 | 2;

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
    if base.is_null() {
        start::forget_limits();
    } else {
        count_mapped(len);
    }
    base
}

/// Maps `len` bytes of zeroed memory at this address. Returns `false` when the kernel refuses, or something else is mapped
/// there.
pub(crate) fn map_at(base: *mut u8, len: usize) -> bool {
    let is_done = try_at(base.addr(), len, PROT_READ_WRITE) == Ok(());
    if is_done {
        count_mapped(len);
    } else {
        start::forget_limits();
    }
    is_done
}

/// Maps exactly there and nowhere else.
///
/// # Errors
/// The kernel's error number; [`EXISTS`] where something else is mapped.
fn try_at(base: usize, len: usize, protection: usize) -> Result<(), usize> {
    let flags = MAP_PRIVATE_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE;
    // SAFETY: the flag keeps memory in use as it is.
    let result = unsafe { arch::syscall6(arch::SYS_MMAP, base, len, protection, flags, usize::MAX, 0) };
    if failed(result) {
        return Err(result.wrapping_neg());
    }
    if result != base {
        // A kernel before 4.17 takes the address as a wish.
        unmap_uncounted(result, len);
        return Err(EXISTS);
    }
    Ok(())
}

fn unmap_uncounted(base: usize, len: usize) {
    // SAFETY: the callers mapped it, and nothing uses it.
    unsafe { arch::syscall6(arch::SYS_MUNMAP, base, len, 0, 0, 0, 0) };
}

/// Finds `len` bytes of addresses, aligned to a power of two, at which nothing is mapped and the kernel maps nothing by
/// itself, and leaves them so. `None` where it finds none.
///
/// The kernel maps downwards from the libraries, and fills the highest gap first. So the addresses are 2 TiB below, or a
/// quarter of the way down where there are fewer: beyond what a process maps, above the programs and the places that
/// sanitizers keep for themselves.
pub(crate) fn free_addresses(len: usize, align: usize) -> Option<*mut u8> {
    const DISTANCE_MAX: usize = 2 << 40;
    const TRIES: usize = 8;
    if cfg!(loom) {
        return None;
    }
    let newest = map_flags(OS_PAGE, PROT_NONE, MAP_PRIVATE_ANONYMOUS).addr();
    if newest == 0 {
        return None;
    }
    unmap_uncounted(newest, OS_PAGE);
    let distance = DISTANCE_MAX.min(newest / 4);
    // Several copies of the allocator in one process find the same places.
    (0..TRIES).find_map(|nth| {
        let base = newest.checked_sub(distance + (nth + 1) * 2 * len)? & !(align - 1);
        let is_free = match try_at(base, len, PROT_NONE) {
            Ok(()) => {
                unmap_uncounted(base, len);
                true
            }
            Err(EXISTS) => false,
            // A limit or a checker refuses the length. Whether the places are taken at all is seen at both ends.
            Err(_) => [base, base + len - OS_PAGE].into_iter().all(|end| {
                let is_free = try_at(end, OS_PAGE, PROT_NONE) == Ok(());
                if is_free {
                    unmap_uncounted(end, OS_PAGE);
                }
                is_free
            }),
        };
        is_free.then(|| ptr::with_exposed_provenance_mut(base))
    })
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
        start::forget_limits();
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

/// Lets children of a fork find zeroes in a range. Returns `false` when the kernel refuses.
///
/// # Safety
/// - `[base, base + len)` came from [`map`].
pub(crate) unsafe fn zero_in_children(base: *mut u8, len: usize) -> bool {
    // SAFETY: changes what children find, not what the range holds.
    !failed(unsafe { arch::syscall6(arch::SYS_MADVISE, base.addr(), len, MADV_WIPEONFORK, 0, 0, 0) })
}

/// Gives a reservation back of which nothing was committed.
///
/// # Safety
/// - `[base, base + len)` came from [`reserve`], and no other thread knows it.
pub(crate) unsafe fn unreserve(base: *mut u8, len: usize) {
    // SAFETY: the caller gives the range up.
    unsafe { arch::syscall6(arch::SYS_MUNMAP, base.addr(), len, 0, 0, 0, 0) };
}

/// Unmaps a part of what [`map_at`] mapped. Returns `false` when the kernel refuses.
///
/// # Safety
/// - `[base, base + len)` is not used any more.
pub(crate) unsafe fn unmap_part(base: *mut u8, len: usize) -> bool {
    // SAFETY: the caller gives the range up.
    let is_done = !failed(unsafe { arch::syscall6(arch::SYS_MUNMAP, base.addr(), len, 0, 0, 0, 0) });
    if is_done {
        MAPPED.fetch_sub(len, Ordering::Relaxed);
    }
    is_done
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

/// A word that other programs cannot know: made of the 16 random bytes that the kernel gives each program, of which
/// it tells nothing, and of the time.
pub(crate) fn random_word() -> u64 {
    // SAFETY: reads a word of the auxiliary vector.
    let bytes: *const [u64; 2] = ptr::with_exposed_provenance(unsafe { libc::getauxval(libc::AT_RANDOM) } as usize);
    // SAFETY: the kernel's bytes, or null.
    let [a, b] = unsafe { bytes.as_ref() }.copied().unwrap_or([0; 2]);
    let mix = |word: u64| (word ^ (word >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mix(mix(mix(a) ^ b) ^ cycles())
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

/// Lengthens a mapping in its place. Returns `false` when the kernel refuses, because something lies behind it, or it is
/// not one mapping of the kernel's.
///
/// # Safety
/// - `[base, base + len)` came from [`map`].
pub(crate) unsafe fn extend(base: *mut u8, len: usize, longer: usize) -> bool {
    // SAFETY: the call changes nothing but what lies behind, which is free.
    let result = unsafe { arch::syscall6(arch::SYS_MREMAP, base.addr(), len, longer, 0, 0, 0) };
    let is_longer = !failed(result);
    if is_longer {
        count_mapped(longer - len);
    }
    is_longer
}

/// Kernel pages that one call of `mincore` is asked about.
const RESIDENCY_PAGES: usize = 4096;

/// Bytes of a range that are resident: in kernel pages that are backed, also by the shared page of zeroes. The kernel
/// is asked for [`RESIDENCY_PAGES`] at a time, or for 16 where not all of them are mapped; 16 with an unmapped page count 0.
pub(crate) fn resident_bytes(base: *const u8, len: usize) -> usize {
    let page = kernel_page();
    let end = base.addr() + len;
    let mut at = base.addr() / page * page;
    let mut pages = 0;
    while at < end {
        let asked = (end - at).min(RESIDENCY_PAGES * page);
        let mut states = [0_u8; RESIDENCY_PAGES];
        let mut ask = |at, asked: usize| {
            let states = &mut states[..asked.div_ceil(page)];
            residency::ask(at, page, states).ok()?;
            Some(states.iter().filter(|&&state| state & 1 != 0).count())
        };
        pages += ask(at, asked).unwrap_or_else(|| {
            let part = 16 * page;
            (0..asked).step_by(part).filter_map(|skip| ask(at + skip, part.min(asked - skip))).sum()
        });
        at += asked;
    }
    (pages * page).min(len)
}

/// Restarts the sequences (`stacks_x86_64.rs`) that the process's threads are in. What a thread does after this call in
/// another thread sees what this thread wrote before it. Returns `false` when the kernel cannot.
pub(crate) fn restart_sequences() -> bool {
    // `MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ` and `MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ`: the first is free
    // when it was called before.
    [1 << 8, 1 << 7].into_iter().all(|command| {
        // SAFETY: interrupts threads; no memory changes.
        !failed(unsafe { arch::syscall6(arch::SYS_MEMBARRIER, command, 0, 0, 0, 0, 0) })
    })
}

/// Whether so much is mapped already that addresses are to be saved for what the process may have: an eighth of it.
pub(crate) fn is_crowded() -> bool {
    let limit = known_limit();
    limit < usize::MAX && MAPPED.load(Ordering::Relaxed) >= limit / 8
}

/// Page faults of the process so far that needed no I/O.
pub(crate) fn minor_faults() -> u64 {
    let mut usage = [0_u64; 18];
    // SAFETY: writes a `struct rusage`, 18 words on both architectures; 0 is `RUSAGE_SELF`.
    unsafe { arch::syscall6(arch::SYS_GETRUSAGE, 0, (&raw mut usage).addr(), 0, 0, 0, 0) };
    // Two times of two words each, then ru_maxrss, ru_ixrss, ru_idrss, ru_isrss, ru_minflt.
    usage[8]
}

/// Starts the allocator's own thread, which runs `work` once. Returns `false` when the kernel refuses, and under Valgrind.
///
/// # Safety
/// - calls do not overlap, and `work` of an earlier call has returned or is about to.
/// - `work` touches no thread-local storage and does not unwind.
pub(crate) unsafe fn spawn(work: extern "C" fn()) -> bool {
    // SAFETY: passed on.
    !arch::is_under_valgrind() && unsafe { thread::spawn(work, kernel_page()) }
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
mod tests;
