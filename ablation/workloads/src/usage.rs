//! What the kernel knows of this process: page faults and peak memory.

/// Minor and major page faults of the process so far.
pub(crate) fn page_faults() -> u64 {
    // SAFETY: all zero is a valid `rusage`.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is writable, and asking about oneself does not fail.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    (usage.ru_minflt + usage.ru_majflt) as u64
}

/// Most bytes that were ever resident, from `VmHWM`; `None` when the kernel does not say. (`ru_maxrss` would include
/// the program that started this one.)
pub(crate) fn rss_peak_bytes() -> Option<u64> {
    parse_peak(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn parse_peak(status: &str) -> Option<u64> {
    let kib = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(kib.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
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
    fn the_peak_is_read_from_its_line() {
        assert_eq!(parse_peak("VmPeak:\t 9 kB\nVmHWM:\t    1234 kB\n"), Some(1234 * 1024));
        assert_eq!(parse_peak("VmPeak:\t 9 kB\n"), None);
    }
}
