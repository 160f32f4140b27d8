//! What the kernel says of this process, asked without an allocation where one would change the answer.

use super::{MIB, PAGE};
use std::os::fd::RawFd;
use std::time::Duration;

/// Whether the kernel has a mapping at the address. Nothing may map between the event of interest and the question.
pub(crate) fn is_mapped(address: *mut u8) -> bool {
    let page = address.map_addr(|address| address & !(PAGE - 1));
    let mut state = 0_u8;
    // SAFETY: writes one byte for the one page that is asked for.
    unsafe { libc::mincore(page.cast(), PAGE, &raw mut state) == 0 }
}

/// How many OS pages of `[base, base + bytes)` have memory; 0 where nothing is mapped.
pub(crate) fn resident_pages(base: *mut u8, bytes: usize) -> usize {
    let base = base.map_addr(|address| address & !(PAGE - 1));
    let mut states = [0_u8; 512];
    let mut resident = 0;
    for at in (0..bytes).step_by(states.len() * PAGE) {
        let len = (bytes - at).min(states.len() * PAGE);
        // SAFETY: writes one byte for each of at most 512 pages.
        if unsafe { libc::mincore(base.wrapping_add(at).cast(), len, states.as_mut_ptr()) } == 0 {
            resident += states[..len.div_ceil(PAGE)].iter().filter(|state| **state & 1 != 0).count();
        }
    }
    resident
}

/// The process's mapped pages.
pub(crate) fn virtual_pages() -> usize {
    statm(0)
}

/// Mapped memory.
pub(crate) fn virtual_bytes() -> usize {
    statm(0) * PAGE
}

/// Resident memory.
pub(crate) fn resident_bytes() -> usize {
    statm(1) * PAGE
}

/// Threads of the process, the allocator's own among them.
pub(crate) fn threads() -> usize {
    let mut text = [0_u8; 4096];
    let text = read_file(c"/proc/self/status", &mut text);
    let line = text.windows(8).position(|window| window == b"Threads:").expect("procfs says it");
    number(text[line + 8..].trim_ascii_start())
}

/// Waits until the process's first thread sleeps. The test harness starts a test in a second thread, and allocates in the
/// first one until it waits for the result: not while counts that have to be exact are read.
pub(crate) fn wait_for_harness() {
    // SAFETY: two system calls that cannot fail.
    if unsafe { libc::gettid() == libc::getpid() } {
        return;
    }
    let mut text = [0_u8; 1024];
    loop {
        let text = read_file(c"/proc/self/stat", &mut text);
        let name_end = text.iter().rposition(|&byte| byte == b')').expect("procfs says it");
        if text[name_end..].starts_with(b") S") {
            return;
        }
        std::thread::yield_now();
    }
}

fn statm(word: usize) -> usize {
    let mut text = [0_u8; 256];
    let text = read_file(c"/proc/self/statm", &mut text);
    number(text.split(|&byte| byte == b' ').nth(word).expect("procfs says it"))
}

fn number(digits: &[u8]) -> usize {
    digits.iter().take_while(|byte| byte.is_ascii_digit()).fold(0, |sum, digit| sum * 10 + usize::from(digit - b'0'))
}

fn read_file<'a>(path: &std::ffi::CStr, buffer: &'a mut [u8]) -> &'a [u8] {
    // SAFETY: a path that ends with a zero.
    let file: RawFd = unsafe { libc::open(path.as_ptr(), libc::O_RDONLY) };
    // SAFETY: reads at most the buffer's length into it.
    let len = unsafe { libc::read(file, buffer.as_mut_ptr().cast(), buffer.len()) };
    // SAFETY: opened above.
    unsafe { libc::close(file) };
    &buffer[..usize::try_from(len).expect("procfs is there")]
}

/// Processor time of the calling thread.
pub(crate) fn processor_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: writes the structure.
    assert_eq!(unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut time) }, 0);
    Duration::from_secs(time.tv_sec as u64) + Duration::from_nanos(time.tv_nsec as u64)
}

/// Page faults of the calling thread so far that needed no disk.
pub(crate) fn minor_faults() -> i64 {
    // SAFETY: zeroes are a `struct rusage`.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: writes the struct.
    assert_eq!(unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) }, 0);
    usage.ru_minflt
}

/// Does the work in a copy of this process that dies by its first system call, and expects it to live.
pub(crate) fn without_system_calls(work: impl FnOnce()) {
    // SAFETY: the child calls nothing but the work, which is the allocator's.
    match unsafe { libc::fork() } {
        -1 => panic!("no child: {}", std::io::Error::last_os_error()),
        0 => {
            // SAFETY: nothing is allowed from here on but `read`, `write` and the `exit` below.
            unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_STRICT) };
            work();
            // SAFETY: ends the one thread that the child has.
            unsafe { libc::syscall(libc::SYS_exit, 0) };
            unreachable!("the child has ended");
        }
        child => {
            let mut status = 0;
            // SAFETY: waits for the child, and writes its status.
            assert_eq!(unsafe { libc::waitpid(child, &raw mut status, 0) }, child);
            assert_eq!(status, 0, "9 is a child that made a system call");
        }
    }
}

/// What `/proc/self/smaps` says of the mapping that holds an address: the value of a line by its name.
pub(crate) fn smaps(address: *mut u8, name: &str) -> String {
    let smaps = std::fs::read_to_string("/proc/self/smaps").expect("procfs is there");
    let mut is_it = false;
    for line in smaps.lines() {
        let range = line.split(' ').next().and_then(|range| range.split_once('-'));
        let bounds = range.map(|(from, to)| (usize::from_str_radix(from, 16), usize::from_str_radix(to, 16)));
        if let Some((Ok(from), Ok(to))) = bounds {
            is_it = (from..to).contains(&address.addr());
        } else if let Some(value) = line.strip_prefix(name).and_then(|rest| rest.strip_prefix(':')).filter(|_| is_it) {
            return value.trim().to_owned();
        }
    }
    panic!("no mapping at {address:?}");
}

/// Bytes of the mapping that holds an address which huge pages back.
pub(crate) fn huge_bytes(address: *mut u8) -> usize {
    number(smaps(address, "AnonHugePages").as_bytes()) * 1024
}

/// Whether this kernel gives huge pages to those who ask: its policy lets it, and it has some.
pub(crate) fn has_huge_pages() -> bool {
    let policy = std::fs::read_to_string("/sys/kernel/mm/transparent_hugepage/enabled").unwrap_or_default();
    let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: a new mapping disturbs nothing; it has an aligned huge page in any case, which is touched.
    let base: *mut u8 = unsafe { libc::mmap(std::ptr::null_mut(), 4 * MIB, protection, flags, -1, 0) }.cast();
    let huge = base.map_addr(|address| address.next_multiple_of(2 * MIB));
    // SAFETY: as above.
    let given = unsafe {
        libc::madvise(base.cast(), 4 * MIB, libc::MADV_HUGEPAGE);
        huge.write_volatile(1);
        huge_bytes(huge)
    };
    // SAFETY: mapped above.
    unsafe { libc::munmap(base.cast(), 4 * MIB) };
    if given == 0 {
        println!("this kernel gives no huge pages; its policy is {policy}");
    }
    given > 0
}

/// Whether the kernel was told that huge pages are welcome (`hg`), and that they are not (`nh`).
pub(crate) fn advice_at(address: *mut u8) -> (bool, bool) {
    (has_flag(address, "hg"), has_flag(address, "nh"))
}

/// Whether the mapping of an address has a flag of the kernel's (`VmFlags` in proc(5)).
pub(crate) fn has_flag(address: *mut u8, flag: &str) -> bool {
    smaps(address, "VmFlags").split(' ').any(|known| known == flag)
}

/// Limits the addresses of this process to those it has and so many more.
pub(crate) fn limit_addresses_to(bytes: usize) {
    let limit = libc::rlimit { rlim_cur: bytes as u64, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: sets a limit of this process, a child that ends with its test.
    assert_eq!(unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) }, 0);
}

/// The version of glibc, as `[35, 0]` for 2.35; zeroes for another C library.
pub(crate) fn c_library_version() -> [u32; 2] {
    unsafe extern "C" {
        fn gnu_get_libc_version() -> *const core::ffi::c_char;
    }
    // SAFETY: glibc returns a constant string.
    let text = unsafe { core::ffi::CStr::from_ptr(gnu_get_libc_version()) }.to_string_lossy().into_owned();
    let mut parts = text.split('.').skip(1).map(|part| part.parse().unwrap_or(0));
    core::array::from_fn(|_| parts.next().unwrap_or(0))
}
