//! Whether new memory will be used densely, judged by what earlier memory of the same sort became.
//!
//! A huge page saves 511 of 512 page faults where 2 MiB are used, and holds 2 MiB where one byte is touched. Nothing in
//! a request tells the two apart, but programs repeat themselves. So each sort of memory has a [`Predictor`]. It looks
//! at 2 MiB that were handed out before, at the moment when the next are needed: by then they are in use.
//!
//! Ordinary pages show exactly which parts are used. A huge page hides it. So every now and then one is looked into
//! ([`os::density::written_samples`]); if it reads as zero, the next 2 MiB get ordinary pages, and those decide. A look
//! costs 1 µs, and 10 µs more inside a huge page, as much as a few page faults.

use crate::os::HUGE_PAGE;
use crate::os::density::{SAMPLES, Share, resident_share, written_samples};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::constant;

/// Memory is dense where at least so many sixteenths of it are used.
const DENSE_SIXTEENTHS: usize = 15;
/// Huge pages that are given before one is looked into. A program whose use turned sparse gets one more.
const INTERVAL: u8 = 4;

/// What is known of 2 MiB that were handed out earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Evidence {
    Dense,
    Sparse,
    /// Not touched yet, or not mapped any more.
    None,
}

/// 2 MiB that are to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Probe {
    /// The first address.
    pub(super) base: usize,
    /// Whether the kernel was advised to use a huge page.
    pub(super) is_huge: bool,
}

/// What a sort of memory starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// Ordinary pages, until some were dense.
    Ordinary,
    /// One huge page, which is looked into before there is another.
    OneHuge,
    /// Huge pages, until some were sparse. Memory that is not touched when the next is needed says nothing.
    Huge,
}

/// Judges one sort of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Predictor {
    start: Start,
    /// Whether the next memory is believed to be dense.
    dense: bool,
    /// Whether that was found; else it is what the sort starts with.
    proven: bool,
    /// Huge pages until one is looked into.
    left: u8,
    probe: Option<Probe>,
}

impl Predictor {
    pub(super) const fn new(start: Start) -> Predictor {
        Predictor { start, dense: !matches!(start, Start::Ordinary), proven: false, left: 0, probe: None }
    }

    /// Whether the 2 MiB from `base` shall have a huge page. `look` tells what became of a probe.
    pub(super) fn judge(&mut self, base: usize, look: impl FnOnce(Probe) -> Evidence) -> bool {
        if let Some(probe) = self.probe.take() {
            self.learn(look(probe));
        }
        if self.dense && self.left > 0 {
            self.left -= 1;
        } else {
            self.probe = Some(Probe { base, is_huge: self.dense });
        }
        self.dense
    }

    /// Notes that the 2 MiB from `base` have ordinary pages, whatever is believed of them: the next judgement looks there.
    pub(super) fn skip(&mut self, base: usize) {
        self.probe = Some(Probe { base, is_huge: false });
    }

    fn learn(&mut self, evidence: Evidence) {
        match evidence {
            Evidence::Dense => *self = Predictor { dense: true, proven: true, left: INTERVAL, ..*self },
            Evidence::Sparse => *self = Predictor { dense: false, proven: false, ..*self },
            Evidence::None => self.dense &= self.proven || self.start == Start::Huge,
        }
    }

    /// Forgets a probe in the 2 MiB from `base`, of which a part was given back: it shows no longer how they were used.
    pub(super) fn forget(&mut self, base: usize) {
        self.probe = self.probe.filter(|probe| probe.base != base);
    }
}

/// A predictor that no lock guards. A judgement that two threads make at once may be lost for one of them.
#[derive(Debug)]
pub(super) struct SharedPredictor {
    start: Start,
    /// [`Predictor::to_bits`]. Accesses are relaxed: the word orders nothing else.
    bits: AtomicU64,
}

impl SharedPredictor {
    constant! {
        pub(super) fn new(start: Start) -> SharedPredictor {
            SharedPredictor { start, bits: AtomicU64::new(Predictor::new(start).to_bits()) }
        }
    }

    pub(super) fn judge(&self, base: usize, look: impl FnOnce(Probe) -> Evidence) -> bool {
        let mut predictor = Predictor::from_bits(self.start, self.bits.load(Ordering::Relaxed));
        let is_huge = predictor.judge(base, look);
        self.bits.store(predictor.to_bits(), Ordering::Relaxed);
        is_huge
    }
}

impl Predictor {
    /// All but `start` in one word. The probe's address is a multiple of [`HUGE_PAGE`] and leaves 21 bits.
    const fn to_bits(self) -> u64 {
        let (base, is_huge) = match self.probe {
            Some(probe) => (probe.base as u64 | 2, probe.is_huge),
            None => (0, false),
        };
        base | self.dense as u64 | (is_huge as u64) << 2 | (self.proven as u64) << 3 | (self.left as u64) << 4
    }

    fn from_bits(start: Start, bits: u64) -> Predictor {
        let probe = Probe { base: bits as usize / HUGE_PAGE * HUGE_PAGE, is_huge: bits & 4 != 0 };
        Predictor {
            start,
            dense: bits & 1 != 0,
            proven: bits & 8 != 0,
            left: (bits >> 4) as u8,
            probe: (bits & 2 != 0).then_some(probe),
        }
    }
}

const _: () = assert!(HUGE_PAGE >= 1 << 12, "room for all that `to_bits` packs");

/// Looks at 2 MiB that were handed out earlier.
pub(super) fn look(probe: Probe) -> Evidence {
    let is_dense = |share: usize, whole: usize| share * 16 >= whole * DENSE_SIXTEENTHS;
    match resident_share(probe.base) {
        Share::Unmapped | Share::Resident(0, _) => Evidence::None,
        // What cannot be seen gets no huge page.
        Share::Refused => Evidence::Sparse,
        // A huge page too may be less than whole: where the kernel had none.
        Share::Resident(pages, all) if !is_dense(pages, all) => Evidence::Sparse,
        Share::Resident(..) if !probe.is_huge => Evidence::Dense,
        // Where it cannot be looked into, memory with ordinary pages decides.
        Share::Resident(..) => match written_samples(probe.base) {
            Some(written) if is_dense(written, SAMPLES) => Evidence::Dense,
            _ => Evidence::Sparse,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    /// Judges so many pieces, of which `density` says how each is used, by its number; huge pages are looked into.
    fn judged(start: Start, pieces: usize, density: impl Fn(usize) -> Evidence) -> Vec<bool> {
        let mut predictor = Predictor::new(start);
        (1..=pieces).map(|piece| predictor.judge(piece, |probe| density(probe.base))).collect()
    }

    fn count(judged: &[bool]) -> usize {
        judged.iter().filter(|&&is_huge| is_huge).count()
    }

    #[test]
    fn dense_use_gets_huge_pages_at_once_or_from_the_second_on() {
        for (start, ordinary) in [(Start::Ordinary, 1), (Start::OneHuge, 0), (Start::Huge, 0)] {
            let judged = judged(start, 1000, |_| Evidence::Dense);
            assert_eq!(count(&judged), 1000 - ordinary, "{start:?}");
        }
    }

    #[test]
    fn sparse_use_costs_one_huge_page_at_most() {
        for (start, huge) in [(Start::Ordinary, 0), (Start::OneHuge, 1), (Start::Huge, 1)] {
            assert_eq!(count(&judged(start, 1000, |_| Evidence::Sparse)), huge, "{start:?}");
        }
    }

    #[test]
    fn memory_that_is_not_touched_yet_says_nothing() {
        for (start, huge) in [(Start::Ordinary, 0), (Start::OneHuge, 1), (Start::Huge, 1000)] {
            assert_eq!(count(&judged(start, 1000, |_| Evidence::None)), huge, "{start:?}");
        }
        let proven = judged(Start::OneHuge, 1000, |piece| if piece < 10 { Evidence::Dense } else { Evidence::None });
        assert_eq!(count(&proven), 1000);
    }

    #[test]
    fn a_change_is_seen_at_the_next_look() {
        let most = usize::from(INTERVAL) + 1;
        for change in [1, 7, 100, 999] {
            let becomes_sparse = |piece| if piece < change { Evidence::Dense } else { Evidence::Sparse };
            let judged = judged(Start::OneHuge, 2000, becomes_sparse);
            assert!(count(&judged[change..]) <= most, "{change}");
            let becomes_dense = |piece| if piece < change { Evidence::Sparse } else { Evidence::Dense };
            let judged = super::tests::judged(Start::Ordinary, 2000, becomes_dense);
            assert_eq!(count(&judged), 2000 - change, "{change}");
        }
    }

    /// Zeroes that were written look like memory that was not, but not with ordinary pages.
    #[test]
    fn dense_zeroes_keep_most_huge_pages() {
        let mut predictor = Predictor::new(Start::OneHuge);
        let look = |probe: Probe| if probe.is_huge { Evidence::Sparse } else { Evidence::Dense };
        let judged: Vec<bool> = (0..1000).map(|piece| predictor.judge(piece, look)).collect();
        assert!(count(&judged) >= 800, "{}", count(&judged));
    }

    #[test]
    fn a_word_holds_a_predictor() {
        for start in [Start::Ordinary, Start::OneHuge, Start::Huge] {
            let (mut whole, mut packed) = (Predictor::new(start), Predictor::new(start));
            for piece in 0..500 {
                let look = |probe: Probe| match (probe.base / HUGE_PAGE) % 97 {
                    0 => Evidence::None,
                    n if n % 5 == 0 && !probe.is_huge => Evidence::Sparse,
                    _ => Evidence::Dense,
                };
                whole.judge(piece * HUGE_PAGE, look);
                packed = Predictor::from_bits(start, packed.to_bits());
                packed.judge(piece * HUGE_PAGE, look);
                assert_eq!(packed, whole, "{piece}");
            }
        }
    }

    #[test]
    fn skipped_memory_is_looked_at_and_forgotten_memory_is_not() {
        let mut predictor = Predictor::new(Start::Ordinary);
        predictor.skip(1);
        assert!(predictor.judge(2, |probe| if probe.base == 1 { Evidence::Dense } else { Evidence::None }));
        let mut predictor = Predictor::new(Start::Ordinary);
        predictor.skip(1);
        predictor.forget(1);
        assert!(!predictor.judge(2, |_| unreachable!("it was forgotten")));
    }
}
