//! From what the instruments counted to kinds of events that do not overlap.

use crate::unit_costs::{PAGE_FAULT_4K, PAGE_FAULT_HUGE, UNMAP_HUGE, UNMAP_PAGE};
use std::collections::BTreeMap;

/// Events per operation by kind: [`PAGE_FAULT_4K`], [`PAGE_FAULT_HUGE`], [`UNMAP_PAGE`], [`UNMAP_HUGE`], `sys-…`.
pub(crate) type Counts = BTreeMap<String, f64>;

/// All system calls that no instrument counts apart.
pub(crate) const SYS_OTHER: &str = "sys-other";

/// Instrument of all page faults, large and small.
const PAGE_FAULTS: &str = "page-faults";

/// Instrument of all system calls.
const SYSCALLS: &str = "syscalls";

const PAGE_BYTES: f64 = 4096.0;
const HUGE_BYTES: f64 = 2_097_152.0;

/// Divides what was counted into kinds that do not overlap, per operation.
///
/// `raw` is by instrument. Page faults less the huge ones are the faults of 4 KiB; all system calls less those that
/// have an instrument of their own are [`SYS_OTHER`]. What no instrument counted is missing, never 0.
///
/// `resident_growth` is the memory that the process had resident at its peak beyond an idle one, in bytes per
/// operation. What was touched and was not resident even at the peak has been given back: that is a lower bound of the
/// returned pages, which no instrument counts. When pages of both sizes were touched, it is divided as the touched bytes
/// are.
pub(crate) fn disjoint_kinds(raw: &Counts, resident_growth: Option<f64>) -> Counts {
    let mut counts: Counts =
        raw.iter().filter(|(kind, _)| kind.starts_with("sys-")).map(|(k, v)| (k.clone(), *v)).collect();
    if let Some(all) = raw.get(SYSCALLS) {
        let apart: f64 = counts.values().sum();
        counts.insert(SYS_OTHER.to_owned(), (all - apart).max(0.0));
    }
    let huge = raw.get(PAGE_FAULT_HUGE).copied();
    if let Some(huge) = huge {
        counts.insert(PAGE_FAULT_HUGE.to_owned(), huge);
    }
    let Some(all) = raw.get(PAGE_FAULTS) else {
        return counts;
    };
    let small = (all - huge.unwrap_or(0.0)).max(0.0);
    counts.insert(PAGE_FAULT_4K.to_owned(), small);
    let touched = small * PAGE_BYTES + huge.unwrap_or(0.0) * HUGE_BYTES;
    if let Some(growth) = resident_growth {
        let returned = if touched > 0.0 { (1.0 - growth.max(0.0) / touched).clamp(0.0, 1.0) } else { 0.0 };
        counts.insert(UNMAP_PAGE.to_owned(), returned * small);
        if let Some(huge) = huge {
            counts.insert(UNMAP_HUGE.to_owned(), returned * huge);
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gap::fixture::counts;

    #[test]
    fn kinds_do_not_overlap() {
        let raw = counts(&[
            ("page-faults", 513.0),
            ("page-fault-huge", 1.0),
            ("syscalls", 3.5),
            ("sys-mmap", 2.0),
            ("sys-munmap", 1.0),
            ("instructions", 1e6),
        ]);
        let expected = [
            ("page-fault-4k", 512.0),
            ("page-fault-huge", 1.0),
            ("sys-mmap", 2.0),
            ("sys-munmap", 1.0),
            ("sys-other", 0.5),
        ];
        assert_eq!(disjoint_kinds(&raw, None), counts(&expected));
    }

    #[test]
    fn what_was_not_counted_is_missing() {
        assert_eq!(disjoint_kinds(&counts(&[("sys-mmap", 2.0)]), Some(0.0)), counts(&[("sys-mmap", 2.0)]));
        assert_eq!(disjoint_kinds(&counts(&[("page-faults", 3.0)]), None), counts(&[("page-fault-4k", 3.0)]));
    }

    #[test]
    fn what_is_not_resident_at_the_peak_was_given_back() {
        let returned = |growth| disjoint_kinds(&counts(&[("page-faults", 512.0)]), Some(growth))[UNMAP_PAGE];
        // 10 operations that touch 2 MiB each and give it back: at most one of them is resident.
        assert_eq!(returned(HUGE_BYTES / 10.0), 0.9 * 512.0);
        // Everything stays, and the peak may contain a little more.
        assert_eq!((returned(HUGE_BYTES), returned(1.1 * HUGE_BYTES)), (0.0, 0.0));
        let mixed = disjoint_kinds(&counts(&[("page-faults", 513.0), ("page-fault-huge", 1.0)]), Some(0.0));
        assert_eq!((mixed[UNMAP_PAGE], mixed[UNMAP_HUGE]), (512.0, 1.0));
    }
}
