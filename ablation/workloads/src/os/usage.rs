//! What the kernel reports about this process: page faults, resident memory and its peak.

use std::ffi::CStr;

/// Minor and major page faults of the process so far.
pub(crate) fn page_faults() -> u64 {
    // SAFETY: all zero is a valid `rusage`.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is writable, and asking about oneself does not fail.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    (usage.ru_minflt + usage.ru_majflt) as u64
}

/// Peak of resident memory in bytes, from `VmHWM`; `None` when the kernel does not report it. (`ru_maxrss` would include
/// the program that started this one.)
pub(crate) fn rss_peak_bytes() -> Option<u64> {
    parse_kib(&std::fs::read_to_string("/proc/self/status").ok()?, "VmHWM:")
}

/// Resident bytes at this moment, read without requesting memory; `None` when the kernel does not report them. The walk over
/// the page tables (`smaps_rollup`) is exact. The counter (`statm`), used without it, lags by some OS pages per processor.
pub(crate) fn resident_bytes() -> Option<u64> {
    let mut text = [0; 4096];
    read_into(c"/proc/self/smaps_rollup", &mut text)
        .and_then(|rollup| parse_kib(rollup, "Rss:"))
        .or_else(|| parse_pages(read_into(c"/proc/self/statm", &mut text)?))
}

/// Resident bytes at this moment, as [all of them, those of no file]; `None` when the kernel does not report them. What
/// allocators hand out is of no file; code becomes resident as it runs, whatever the allocator does.
pub(crate) fn resident_and_anonymous_bytes() -> Option<[u64; 2]> {
    let mut text = [0; 4096];
    let rollup = read_into(c"/proc/self/smaps_rollup", &mut text)?;
    Some([parse_kib(rollup, "Rss:")?, parse_kib(rollup, "Anonymous:")?])
}

/// The same as [`rss_peak_bytes`], read without requesting memory.
pub(crate) fn resident_peak_bytes() -> Option<u64> {
    let mut text = [0; 4096];
    parse_kib(read_into(c"/proc/self/status", &mut text)?, "VmHWM:")
}

/// The beginning of a file, as far as `text` has room.
fn read_into<'t>(path: &CStr, text: &'t mut [u8]) -> Option<&'t str> {
    // SAFETY: the path ends with zero.
    let file = unsafe { libc::open(path.as_ptr(), libc::O_RDONLY | libc::O_CLOEXEC) };
    if file < 0 {
        return None;
    }
    // SAFETY: the file is open, `text` is writable over its length, and the file is closed once.
    let read = unsafe {
        let read = libc::read(file, text.as_mut_ptr().cast(), text.len());
        libc::close(file);
        read
    };
    std::str::from_utf8(text.get(..usize::try_from(read).ok()?)?).ok()
}

/// The number of KiB in the line that begins with `name`, in bytes.
fn parse_kib(text: &str, name: &str) -> Option<u64> {
    let kib = text.lines().find_map(|line| line.strip_prefix(name))?;
    Some(kib.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// The resident OS pages of `statm`, its second number, in bytes.
fn parse_pages(statm: &str) -> Option<u64> {
    // SAFETY: a query without effects.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    Some(statm.split(' ').nth(1)?.parse::<u64>().ok()? * u64::try_from(page).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn touching_memory_faults_and_is_resident() {
        let before = page_faults();
        let pages = 64;
        std::hint::black_box(vec![1u8; pages * 4096 * 16]);
        assert!(page_faults() > before);
        assert!(rss_peak_bytes().is_none_or(|bytes| bytes > 4096));
    }

    #[test]
    fn numbers_are_read_from_their_lines() {
        assert_eq!(parse_kib("VmPeak:\t 9 kB\nVmHWM:\t    1234 kB\n", "VmHWM:"), Some(1234 * 1024));
        assert_eq!(parse_kib("VmPeak:\t 9 kB\n", "VmHWM:"), None);
        let pages = parse_pages("900 12 3 1 0 5 0\n").expect("a number");
        assert_eq!(pages % 12, 0);
        assert_eq!(parse_pages(""), None);
    }

    #[test]
    fn resident_memory_grows_with_what_is_written() {
        // Other tests of this process may free as much meanwhile, but not each time.
        let grows = || {
            let before = resident_bytes().expect("Linux has /proc");
            let _written = std::hint::black_box(vec![1u8; 32 << 20]);
            resident_bytes().expect("Linux has /proc") > before + (16 << 20)
        };
        assert!((0..100).any(|_| grows()), "a hundred vectors of 32 MiB that are not resident");
    }
}
