//! How long single calls of the allocator took: counts by time, as fine as 1 in 32.

use crate::os::own_memory::Zeroable;

/// Counts of one doubling.
const EACH: u64 = 32;
/// Doublings above the first, in which every nanosecond has its own count: up to some minutes.
const DOUBLINGS: u64 = 32;
/// All counts.
const COUNTS: usize = (EACH * (DOUBLINGS + 1)) as usize;

/// Counts of calls by their nanoseconds.
#[derive(Clone, Copy)]
pub(super) struct CallTimes {
    counts: [u32; COUNTS],
    max_ns: u64,
}

// SAFETY: counts of 0.
unsafe impl Zeroable for CallTimes {}

impl CallTimes {
    /// Counts one call.
    #[inline(always)]
    pub(super) fn add(&mut self, ns: u64) {
        self.counts[place(ns)] += 1;
        self.max_ns = self.max_ns.max(ns);
    }

    /// The nanoseconds that such a share of all calls does not take longer than; and the most. `None` without calls.
    pub(super) fn percentiles<const N: usize>(all: &[CallTimes], shares: [f64; N]) -> Option<([f64; N], f64)> {
        let mut counts = vec![0_u64; COUNTS];
        for times in all {
            counts.iter_mut().zip(&times.counts).for_each(|(sum, count)| *sum += u64::from(*count));
        }
        let calls: u64 = counts.iter().sum();
        let percentile = |share: f64| {
            let wanted = ((share * calls as f64).ceil() as u64).max(1);
            let mut below = 0;
            let at = counts.iter().position(|count| {
                below += count;
                below >= wanted
            });
            middle(at.unwrap_or(COUNTS - 1))
        };
        (calls > 0).then(|| (shares.map(percentile), all.iter().map(|times| times.max_ns).max().unwrap_or(0) as f64))
    }
}

/// Which count a time is in.
#[inline(always)]
fn place(ns: u64) -> usize {
    if ns < EACH {
        return ns as usize;
    }
    let doubling = u64::from(ns.ilog2()) - u64::from(EACH.ilog2());
    ((doubling + 1) * EACH + (ns >> doubling) - EACH).min(COUNTS as u64 - 1) as usize
}

/// The middle of the times that a count has.
fn middle(place: usize) -> f64 {
    let (doubling, part) = (place as u64 / EACH, place as u64 % EACH);
    match doubling {
        0 => part as f64,
        _ => ((EACH + part) as f64 + 0.5) * (1_u64 << (doubling - 1)) as f64 - 0.5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_known_to_a_thirty_second() {
        for ns in (0..100_000).chain([1 << 30, (1 << 36) - 1]) {
            let known = middle(place(ns));
            assert!((known - ns as f64).abs() <= ns as f64 / 32.0, "{ns}: {known}");
        }
        assert_eq!(place(u64::MAX), COUNTS - 1);
    }

    #[test]
    fn percentiles_are_over_all_threads() {
        let mut two = [CallTimes { counts: [0; COUNTS], max_ns: 0 }; 2];
        (0..990).for_each(|_| two[0].add(20));
        (0..10).for_each(|_| two[1].add(5000));
        let (percentiles, max) = CallTimes::percentiles(&two, [0.5, 0.99, 0.999]).expect("calls");
        assert_eq!((percentiles[0], percentiles[1], max), (20.0, 20.0, 5000.0));
        assert!((percentiles[2] - 5000.0).abs() < 160.0);
        assert!(CallTimes::percentiles(&[], [0.5]).is_none());
    }
}
