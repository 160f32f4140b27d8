//! Resident bytes of the runner itself, from `/proc/self/statm`. A process inherits them before its `exec`.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

/// Resident bytes of this process; `None` where the kernel does not have the number.
pub(super) fn bytes() -> Option<u64> {
    // Kept open, because it is read for every process.
    static STATM: OnceLock<Option<File>> = OnceLock::new();
    let file = STATM.get_or_init(|| File::open("/proc/self/statm").ok()).as_ref()?;
    let mut buffer = [0_u8; 128];
    let length = file.read_at(&mut buffer, 0).ok()?;
    let pages = resident(std::str::from_utf8(&buffer[..length]).ok()?)?;
    // SAFETY: takes a number and changes nothing.
    let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    Some(pages * u64::try_from(page).ok()?)
}

/// The second number (proc_pid_statm(5)): size resident shared text lib data dt, in pages.
fn resident(statm: &str) -> Option<u64> {
    statm.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_number_is_the_resident_one() {
        assert_eq!(resident("900 12 3 1 0 5 0\n"), Some(12));
        assert_eq!(resident("900"), None);
        assert_eq!(resident(""), None);
    }

    #[test]
    fn memory_that_is_written_is_resident() {
        let written = std::hint::black_box(vec![1_u8; 32 << 20]);
        assert!(bytes().expect("Linux has /proc") > 32 << 20);
        drop(written);
    }
}
