//! The clock: `CLOCK_MONOTONIC`, read without a system call, and the cost of reading it.

/// Pairs of readings that the cost is the median of.
const READINGS: usize = 1001;

/// Nanoseconds since a fixed moment in the past.
#[inline(always)]
pub(crate) fn now_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is writable; this clock exists on every Linux, so the call does not fail.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Nanoseconds that the calling thread has been on a processor.
pub(crate) fn thread_cpu_ns() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is writable; this clock exists on every Linux, so the call does not fail.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &raw mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Reads the clock a few times, so that the first measured reading faults no OS page in.
pub(crate) fn warm_up() {
    for _ in 0..16 {
        std::hint::black_box(now_ns());
    }
}

/// Sleeps until [`now_ns`] is at least `ns`.
pub(crate) fn sleep_until_ns(ns: u64) {
    let until = libc::timespec { tv_sec: (ns / 1_000_000_000) as _, tv_nsec: (ns % 1_000_000_000) as _ };
    // SAFETY: `until` is readable; with an absolute time nothing is written back.
    while unsafe {
        libc::clock_nanosleep(libc::CLOCK_MONOTONIC, libc::TIMER_ABSTIME, &raw const until, std::ptr::null_mut())
    } == libc::EINTR
    {}
}

/// Median nanoseconds between two readings with nothing between them. Every timed value contains this cost once.
pub(crate) fn reading_cost_ns() -> u64 {
    let mut between: Vec<u64> = (0..READINGS)
        .map(|_| {
            let before = now_ns();
            now_ns() - before
        })
        .collect();
    between.sort_unstable();
    between[READINGS / 2]
}

#[cfg(test)]
mod tests {
    #[test]
    fn never_goes_back_and_a_reading_costs_no_more_than_the_time_for_all_of_them() {
        let before = super::now_ns();
        let cost = super::reading_cost_ns();
        let taken = super::now_ns() - before;
        // Half of the readings cost as much as the median, or more.
        assert!(taken > 0 && cost * (super::READINGS as u64 / 2) <= taken, "{cost} {taken}");
    }

    #[test]
    fn sleeps_until_then() {
        let until = super::now_ns() + 2_000_000;
        super::sleep_until_ns(until);
        assert!(super::now_ns() >= until);
    }
}
