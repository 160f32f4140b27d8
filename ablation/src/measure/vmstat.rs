//! Counters of the whole machine, from `/proc/vmstat`. Their increase while a process runs is the process's own only
//! when no other process had the same events.

const PATH: &str = "/proc/vmstat";

/// Value of a line; `None` when the kernel does not have it.
pub(super) fn value(name: &str) -> Option<u64> {
    value_in(&std::fs::read_to_string(PATH).ok()?, name)
}

fn value_in(text: &str, name: &str) -> Option<u64> {
    let mut values = text.lines().filter_map(|line| line.split_once(' '));
    values.find(|(own, _)| *own == name)?.1.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_found_by_its_whole_name() {
        let text = "thp_fault_alloc_x 3\nthp_fault_alloc 1517\nthp_fault_fallback 0\n";
        assert_eq!(value_in(text, "thp_fault_alloc"), Some(1517));
        assert_eq!(value_in(text, "thp_fault"), None);
        assert_eq!(value_in("thp_fault_alloc many", "thp_fault_alloc"), None);
    }
}
