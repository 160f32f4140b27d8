//! Whether the machine slept: CLOCK_BOOTTIME goes on during a suspend, and CLOCK_MONOTONIC stands still (clock_gettime(2)).
//!
//! No wall clock is asked, so steps of the time of day are no suspend and hide none.

use std::time::Duration;

/// A shorter difference of both clocks is none. They differ by suspends alone, and the reading itself is exact, so this is
/// for kernels that round.
const LEAST: Duration = Duration::from_millis(1);

/// A reading of both clocks in nanoseconds: the one that goes on, between two readings of the one that stands still.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    before: i64,
    boot: i64,
    after: i64,
}

impl Moment {
    /// Now; `None` where the kernel does not have a clock.
    pub(crate) fn now() -> Option<Moment> {
        let before = read(libc::CLOCK_MONOTONIC)?;
        let boot = read(libc::CLOCK_BOOTTIME)?;
        Some(Moment { before, boot, after: read(libc::CLOCK_MONOTONIC)? })
    }

    /// How long the machine slept at least between this moment and a later one; `None` when it did not.
    ///
    /// Between two readings of a moment the runner may have waited for a processor. The difference of both clocks is taken
    /// as small as that allows, so that waiting is never taken for sleep.
    pub(crate) fn slept_until(&self, later: &Moment) -> Option<Duration> {
        let most = self.boot.checked_sub(self.before)?;
        let least = later.boot.checked_sub(later.after)?;
        let slept = Duration::from_nanos(u64::try_from(least.checked_sub(most)?).ok()?);
        (slept >= LEAST).then_some(slept)
    }
}

fn read(clock: libc::clockid_t) -> Option<i64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the structure is live.
    if unsafe { libc::clock_gettime(clock, &mut time) } != 0 {
        return None;
    }
    time.tv_sec.checked_mul(1_000_000_000)?.checked_add(time.tv_nsec)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(before: i64, boot: i64, after: i64) -> Moment {
        Moment { before, boot, after }
    }

    #[test]
    fn only_a_clock_that_stood_still_is_a_suspend() {
        const MS: i64 = 1_000_000;
        let slept = |start: Moment, end: Moment| start.slept_until(&end).map(|slept| slept.as_millis());
        let start = moment(5 * MS, 105 * MS, 5 * MS);
        // A run of 20 ms; one of 20 ms and a sleep of 3 s; one with less than a kernel may round.
        assert_eq!(slept(start, moment(25 * MS, 125 * MS, 25 * MS)), None);
        assert_eq!(slept(start, moment(25 * MS, 3125 * MS, 25 * MS)), Some(3000));
        assert_eq!(slept(start, moment(25 * MS, 125 * MS + MS / 2, 25 * MS)), None);
        // The runner waited for 50 ms between two readings, on either side and at either end.
        let late = moment(5 * MS, 155 * MS, 55 * MS);
        assert_eq!(slept(late, moment(75 * MS, 175 * MS, 75 * MS)), None);
        assert_eq!(slept(start, moment(25 * MS, 175 * MS, 75 * MS)), None);
        assert_eq!(slept(start, moment(25 * MS, 125 * MS, 75 * MS)), None);
        // It waited for 50 ms and slept for 3 s.
        assert_eq!(slept(late, moment(75 * MS, 3175 * MS, 75 * MS)), Some(2950));
        // Numbers that no clock has.
        assert_eq!(slept(moment(i64::MAX, i64::MIN, 0), start), None);
    }

    #[test]
    fn this_machine_is_awake() {
        let start = Moment::now().expect("Linux has both clocks");
        std::thread::sleep(Duration::from_millis(5));
        // A machine that is suspended at this very moment would fail.
        assert_eq!(start.slept_until(&Moment::now().expect("has both")), None);
    }
}
