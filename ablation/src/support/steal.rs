//! Time that the host of a virtual machine gave to other guests, from `/proc/stat`.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::OnceLock;

/// Clock ticks of all processors since boot in which something was ready to run and the host ran others; `None` where
/// the kernel does not have the number.
pub(crate) fn ticks() -> Option<u64> {
    // Kept open, because it is read twice per process.
    static STAT: OnceLock<Option<File>> = OnceLock::new();
    let file = STAT.get_or_init(|| File::open("/proc/stat").ok()).as_ref()?;
    let mut buffer = [0_u8; 256];
    let length = file.read_at(&mut buffer, 0).ok()?;
    steal(std::str::from_utf8(&buffer[..length]).ok()?)
}

/// The eighth number of the first line (proc_stat(5)): user nice system idle iowait irq softirq steal.
fn steal(stat: &str) -> Option<u64> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    line.split_whitespace().nth(7)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eighth_number_is_the_steal() {
        assert_eq!(steal("cpu  50 0 0 40 0 0 0 10 5 0\ncpu0 1"), Some(10));
        assert_eq!(steal("cpu  50 0 0 40\n"), None);
        assert_eq!(steal(""), None);
    }

    #[test]
    fn the_kernel_has_the_number_and_it_does_not_fall() {
        let (first, second) = (ticks().expect("Linux has /proc/stat"), ticks().expect("Linux has /proc/stat"));
        assert!(second >= first);
    }
}
