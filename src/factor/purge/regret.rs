//! How long free memory waits: longer, while what was given back is soon needed again.

use crate::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use crate::sync::constant;

/// Epochs for which free memory waits, where no plan of the factor `elo` says otherwise.
pub(crate) const WAIT_EPOCHS: u32 = 3;
/// Epochs for which it waits at most: 1.2 to 1.4 s, so that bursts of one second find it. Batches of free objects come
/// to their pages after one to two epochs, which makes less than two seconds in all.
pub(crate) const WAIT_EPOCHS_MAX: u32 = 7;
/// What tells whether a longer wait pays: memory that is used again not long after it went, or would have gone.
/// Accesses are relaxed: the numbers order nothing, and a lost one changes a guess.
#[derive(Debug)]
pub(crate) struct Regret {
    /// Bytes used again since the last epoch.
    new_bytes: AtomicUsize,
    /// Bytes used again, and bytes given back, of the last seconds: an eighth goes with every epoch.
    used_again: AtomicUsize,
    given_back: AtomicUsize,
    /// All bytes given back, as of the last epoch.
    counted: AtomicUsize,
    /// Whether memory waits longer, and since when.
    is_long: AtomicU32,
    since_ms: AtomicU32,
}

impl Regret {
    /// Age in epochs beyond which the use of free memory again says nothing.
    const EPOCHS_MAX: u32 = 10;
    /// Milliseconds after the last purge of any memory, from which on the use of clean memory says nothing.
    pub(crate) const GONE_MS_MAX: u32 = 1_200;
    /// Bytes used again that are worth a longer wait.
    const BYTES_MIN: usize = 4 << 20;
    /// Milliseconds for which memory waits longer after the last regret.
    const LASTS_MS: u32 = 10_000;

    constant! {
        /// Nothing was used again.
        pub(crate) fn new() -> Regret {
            Regret {
                new_bytes: AtomicUsize::new(0),
                used_again: AtomicUsize::new(0),
                given_back: AtomicUsize::new(0),
                counted: AtomicUsize::new(0),
                is_long: AtomicU32::new(0),
                since_ms: AtomicU32::new(0),
            }
        }
    }

    /// Notes that memory is used again which was free for `age` epochs. `is_late` says that it was out of use for longer.
    pub(crate) fn note_use(&self, age: u32, bytes: usize, is_late: impl FnOnce() -> bool) {
        // Once memory waits longer, an epoch less is enough: else bursts at about the shorter wait would change it to and
        // fro.
        let age_min = WAIT_EPOCHS - self.is_long.load(Ordering::Relaxed);
        if (age_min..=Regret::EPOCHS_MAX).contains(&age) && !is_late() {
            self.new_bytes.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    /// The epochs for which free memory waits, asked once in an epoch. `given_back` are the bytes given back so far, as a
    /// count that may wrap.
    pub(crate) fn wait_epochs(&self, given_back: u64, now_ms: u32) -> u32 {
        let counted = self.counted.swap(given_back as usize, Ordering::Relaxed);
        let sum = |of: &AtomicUsize, new: usize| {
            let old = of.load(Ordering::Relaxed);
            let sum = old - old / 8 + new;
            of.store(sum, Ordering::Relaxed);
            sum
        };
        let new_bytes = self.new_bytes.swap(0, Ordering::Relaxed);
        let used_again = sum(&self.used_again, new_bytes);
        let given_back = sum(&self.given_back, (given_back as usize).wrapping_sub(counted));
        if new_bytes > 0 && used_again >= Regret::BYTES_MIN && used_again >= given_back / 4 {
            self.is_long.store(1, Ordering::Relaxed);
            self.since_ms.store(now_ms, Ordering::Relaxed);
        } else if now_ms.wrapping_sub(self.since_ms.load(Ordering::Relaxed)) > Regret::LASTS_MS {
            self.is_long.store(0, Ordering::Relaxed);
        }
        if self.is_long.load(Ordering::Relaxed) != 0 { WAIT_EPOCHS_MAX } else { WAIT_EPOCHS }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Work in bursts makes memory wait longer, one free of much does not, and without bursts it wears off.
    #[test]
    fn memory_waits_longer_while_it_is_used_again() {
        const MIB: usize = 1 << 20;
        let regret = Regret::new();
        let is_late = || false;
        let mut given_back = 0;
        assert_eq!(regret.wait_epochs(given_back, 0), WAIT_EPOCHS);
        given_back += 256 * MIB as u64;
        assert_eq!(regret.wait_epochs(given_back, 200), WAIT_EPOCHS, "nothing is used again");
        regret.note_use(4, 16 * MIB, is_late);
        assert_eq!(regret.wait_epochs(given_back, 400), WAIT_EPOCHS, "a small part is");
        regret.note_use(1, 256 * MIB, is_late);
        regret.note_use(50, 256 * MIB, is_late);
        regret.note_use(4, 256 * MIB, || true);
        assert_eq!(regret.wait_epochs(given_back, 600), WAIT_EPOCHS, "it would have been there, or is long forgotten");
        regret.note_use(4, 200 * MIB, is_late);
        assert_eq!(regret.wait_epochs(given_back, 800), WAIT_EPOCHS_MAX);
        assert_eq!(regret.wait_epochs(given_back, 10_700), WAIT_EPOCHS_MAX);
        assert_eq!(regret.wait_epochs(given_back, 10_900), WAIT_EPOCHS, "no more bursts");
    }
}
