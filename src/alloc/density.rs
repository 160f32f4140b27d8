//! Whether new memory will be used densely, judged by what earlier memory of the same sort became.
//!
//! A huge page saves 511 of 512 page faults where 2 MiB are used, and holds 2 MiB where one byte is touched. Nothing in
//! a request tells the two apart, but programs repeat themselves. So each sort of memory has a [`Predictor`]. It looks
//! at 2 MiB that were handed out before, at the moment when the next are needed: by then they are in use.
//!
//! Ordinary pages show exactly which parts are used. A huge page hides it. So every now and then one is looked into
//! ([`written_samples`]); if it reads as zero, the next 2 MiB get ordinary pages, and those decide. A look
//! costs 1 µs, and 10 µs more inside a huge page, as much as a few page faults.

use crate::os::HUGE_PAGE;
use crate::os::density::{SAMPLES, Share, resident_share, written_samples};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::constant;

/// Memory is dense where at least so many sixteenths of it are used.
pub(super) const DENSE: u8 = 15;
/// From so many sixteenths on the rest may be on its way: in objects that threads' caches hold, and that were never
/// handed out. With 20 classes of sizes in use that is 4 to 40 MiB, and the newest memory is used by five sixths. Then
/// older memory decides: the piece that was looked at [`BEFORE`] looks ago, or one that is older still. The first piece of
/// a program says little: each class that it uses once has a block there.
const PLAUSIBLE: u8 = 8;
/// The most huge pages that are given before one is looked into. A program whose use turns sparse gets so many more.
const INTERVAL_MAX: u8 = 7;
/// Looks from a piece to the one that decides where it does not itself.
const BEFORE: usize = 2;
/// Probes after which the oldest memory is exchanged for younger.
const AGE_MAX: u8 = 8;

/// 2 MiB that are to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Probe {
    /// The first address.
    pub(super) base: usize,
    /// Whether the kernel was advised to use a huge page.
    pub(super) is_huge: bool,
    /// By how many 128ths the mapping that begins there is longer than a power of two.
    pub(super) more: u8,
}

/// What a sort of memory starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// Ordinary pages, until some were dense. Older memory is remembered.
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
    /// Huge pages until one is looked into, and the last value that this was set to.
    left: u8,
    interval: u8,
    /// Whether a huge page seemed sparse, and no memory with ordinary pages has decided since.
    doubt: bool,
    /// What is looked at next.
    probe: Option<Probe>,
    /// The last probes, of which the first one decides where the newest does not.
    before: [Option<Probe>; BEFORE + 1],
    /// Older memory, which decides as well, and what takes its place when it is too old.
    old: Option<Probe>,
    next_old: Option<Probe>,
    /// Probes since the exchange.
    age: u8,
}

impl Predictor {
    pub(super) const fn new(start: Start) -> Predictor {
        Predictor {
            start,
            dense: !matches!(start, Start::Ordinary),
            proven: false,
            left: 0,
            interval: 0,
            doubt: false,
            probe: None,
            before: [None; BEFORE + 1],
            old: None,
            next_old: None,
            age: 0,
        }
    }

    /// Whether the 2 MiB from `base` shall have a huge page. `look` tells how many sixteenths of a probe are used; `None`
    /// where nothing was touched yet.
    pub(super) fn judge(&mut self, base: usize, look: impl Fn(Probe) -> Option<u8>) -> bool {
        self.judge_by(DENSE, base, look)
    }

    /// As [`Predictor::judge`], where so many sixteenths of the newest memory are enough, whatever older memory is.
    pub(super) fn judge_by(&mut self, enough: u8, base: usize, look: impl Fn(Probe) -> Option<u8>) -> bool {
        if let Some(probe) = self.probe.take() {
            self.learn(enough, probe.is_huge, look(probe), look);
        }
        if self.dense && self.left > 0 {
            self.left -= 1;
        } else {
            self.note(Probe { base, is_huge: self.dense, more: 0 });
        }
        self.dense
    }

    /// Notes that the 2 MiB from `base` have ordinary pages, whatever is believed of them: the next judgement looks there.
    pub(super) fn skip(&mut self, base: usize) {
        self.note(Probe { base, is_huge: false, more: 0 });
    }

    fn note(&mut self, probe: Probe) {
        self.probe = Some(probe);
        if self.start == Start::Ordinary {
            self.before.rotate_left(1);
            self.before[BEFORE] = Some(probe);
            self.age += 1;
            if self.age >= AGE_MAX {
                (self.old, self.next_old, self.age) = (self.next_old.or(self.old), Some(probe), 0);
            }
            self.old = self.old.or(Some(probe));
        }
    }

    fn learn(&mut self, enough: u8, is_huge: bool, used: Option<u8>, look: impl Fn(Probe) -> Option<u8>) {
        let Some(used) = used else {
            self.dense &= self.proven || self.start == Start::Huge;
            return;
        };
        let older = || [self.before[0], self.old].into_iter().flatten().filter_map(&look).any(|used| used >= DENSE);
        let is_dense = used >= enough || (used >= PLAUSIBLE && older());
        self.interval = match (is_dense, self.dense) {
            (true, true) => (2 * self.interval + 1).min(INTERVAL_MAX),
            // What is written there are zeroes, or few bytes: huge pages tell little, and are looked into rarely.
            (true, false) if self.doubt => INTERVAL_MAX,
            _ => 0,
        };
        self.doubt = is_huge && !is_dense;
        (self.dense, self.proven, self.left) = (is_dense, is_dense, self.interval);
    }

    /// Forgets what was to be looked at in the 2 MiB from `base`, of which a part was given back: it shows no longer how
    /// they were used.
    pub(super) fn forget(&mut self, base: usize) {
        for probe in self.before.iter_mut().chain([&mut self.probe, &mut self.old, &mut self.next_old]) {
            *probe = probe.filter(|probe| probe.base != base);
        }
    }
}

/// A predictor that no lock guards, and that remembers no older memory. A judgement that two threads make at once may be
/// lost for one of them.
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

    /// As [`Predictor::judge`], for a mapping that is by so many 128ths longer than a power of two.
    pub(super) fn judge(&self, base: usize, more: u8, look: impl Fn(Probe) -> Option<u8>) -> bool {
        let mut predictor = Predictor::from_bits(self.start, self.bits.load(Ordering::Relaxed));
        let is_huge = predictor.judge(base, look);
        if let Some(probe) = predictor.probe.as_mut().filter(|probe| probe.base == base) {
            probe.more = more;
        }
        self.bits.store(predictor.to_bits(), Ordering::Relaxed);
        is_huge
    }
}

impl Predictor {
    /// All but `start` and the older memory in one word. The probe's address is a multiple of [`HUGE_PAGE`] and leaves 21
    /// bits.
    const fn to_bits(self) -> u64 {
        let (base, is_huge, more) = match self.probe {
            Some(probe) => (probe.base as u64 | 2, probe.is_huge, probe.more),
            None => (0, false, 0),
        };
        let flags = self.dense as u64 | (is_huge as u64) << 2 | (self.proven as u64) << 3 | (self.doubt as u64) << 4;
        base | flags | (self.left as u64) << 5 | (self.interval as u64) << 9 | (more as u64) << 13
    }

    fn from_bits(start: Start, bits: u64) -> Predictor {
        let base = bits as usize / HUGE_PAGE * HUGE_PAGE;
        let probe = Probe { base, is_huge: bits & 4 != 0, more: (bits >> 13) as u8 & 127 };
        Predictor {
            dense: bits & 1 != 0,
            proven: bits & 8 != 0,
            left: (bits >> 5) as u8 & 15,
            interval: (bits >> 9) as u8 & 15,
            doubt: bits & 1 << 4 != 0,
            probe: (bits & 2 != 0).then_some(probe),
            ..Predictor::new(start)
        }
    }
}

const _: () = assert!(HUGE_PAGE >= 1 << 20 && INTERVAL_MAX < 16, "room for all that `to_bits` packs");

/// How many sixteenths of 2 MiB that were handed out earlier are used; `None` where they were not touched yet, or are not
/// mapped any more.
pub(super) fn look(probe: Probe) -> Option<u8> {
    let sixteenths = |share: usize, whole: usize| (share * 16 / whole) as u8;
    match resident_share(probe.base, HUGE_PAGE) {
        Share::Unmapped | Share::Resident(0, _) => None,
        // What cannot be seen gets no huge page.
        Share::Refused => Some(0),
        Share::Resident(pages, all) => {
            let resident = sixteenths(pages, all);
            // A huge page too may be less than whole: where the kernel had none. Where it cannot be looked into, memory
            // with ordinary pages decides.
            let is_whole = probe.is_huge && resident >= DENSE;
            let written = || written_samples(probe.base).map_or(0, |written| sixteenths(written, SAMPLES));
            Some(if is_whole { written() } else { resident })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec::Vec;

    const ALL: Option<u8> = Some(16);
    const FEW: Option<u8> = Some(3);

    /// Judges so many pieces, of which `used` says how many sixteenths are used, by its number.
    fn judged(start: Start, pieces: usize, used: impl Fn(usize) -> Option<u8>) -> Vec<bool> {
        let mut predictor = Predictor::new(start);
        (1..=pieces).map(|piece| predictor.judge(piece, |probe| used(probe.base))).collect()
    }

    fn count(judged: &[bool]) -> usize {
        judged.iter().filter(|&&is_huge| is_huge).count()
    }

    #[test]
    fn dense_use_gets_huge_pages_at_once_or_from_the_second_on() {
        for (start, ordinary) in [(Start::Ordinary, 1), (Start::OneHuge, 0), (Start::Huge, 0)] {
            let judged = judged(start, 1000, |_| ALL);
            assert_eq!(count(&judged), 1000 - ordinary, "{start:?}");
        }
    }

    #[test]
    fn sparse_use_costs_one_huge_page_at_most() {
        for used in 1..DENSE {
            for (start, huge) in [(Start::Ordinary, 0), (Start::OneHuge, 1), (Start::Huge, 1)] {
                assert_eq!(count(&judged(start, 1000, |_| Some(used))), huge, "{start:?} {used}");
            }
        }
    }

    #[test]
    fn memory_that_is_not_touched_yet_says_nothing() {
        for (start, huge) in [(Start::Ordinary, 0), (Start::OneHuge, 1), (Start::Huge, 1000)] {
            assert_eq!(count(&judged(start, 1000, |_| None)), huge, "{start:?}");
        }
        let proven = judged(Start::OneHuge, 1000, |piece| if piece < 10 { ALL } else { None });
        assert_eq!(count(&proven), 1000);
    }

    /// The newest pieces are used in part when they are looked at, and wholly later.
    #[test]
    fn what_is_on_its_way_to_use_is_not_sparse() {
        for lag in [2, 5, 10] {
            let mut predictor = Predictor::new(Start::Ordinary);
            let judged: Vec<bool> = (0..1000)
                .map(|piece| predictor.judge(piece, |probe| if piece - probe.base >= lag { ALL } else { Some(13) }))
                .collect();
            assert!(count(&judged) >= 900, "{lag}: {}", count(&judged));
        }
    }

    #[test]
    fn a_change_is_seen_at_the_next_look() {
        for start in [Start::Ordinary, Start::OneHuge, Start::Huge] {
            for change in [1, 2, 3, 7, 100, 999] {
                let becomes_sparse = |piece| if piece < change { ALL } else { FEW };
                let judged = judged(start, 2000, becomes_sparse);
                let most = usize::from(INTERVAL_MAX).min(change) + 1;
                assert!(count(&judged[change - 1..]) <= most, "{start:?} {change}");
                let becomes_dense = |piece| if piece < change { FEW } else { ALL };
                let judged = super::tests::judged(start, 2000, becomes_dense);
                assert!(count(&judged[change - 1..]) >= 2000 - change, "{start:?} {change}");
            }
        }
    }

    /// Where the new use is half dense, older memory is believed for a while.
    #[test]
    fn older_memory_is_exchanged() {
        let judged = judged(Start::Ordinary, 2000, |piece| if piece < 1000 { ALL } else { Some(12) });
        let most = 3 * usize::from(AGE_MAX) * (usize::from(INTERVAL_MAX) + 1);
        assert!(count(&judged[1000..]) <= most, "{}", count(&judged[1000..]));
    }

    /// Zeroes that were written look like memory that was not, but not with ordinary pages.
    #[test]
    fn dense_zeroes_keep_most_huge_pages() {
        let mut predictor = Predictor::new(Start::OneHuge);
        let look = |probe: Probe| if probe.is_huge { Some(0) } else { ALL };
        let judged: Vec<bool> = (0..1000).map(|piece| predictor.judge(piece, look)).collect();
        assert!(count(&judged) >= 850, "{}", count(&judged));
    }

    #[test]
    fn a_word_holds_a_predictor() {
        for start in [Start::OneHuge, Start::Huge] {
            let (mut whole, mut packed) = (Predictor::new(start), Predictor::new(start));
            for piece in 0..500 {
                let look = |probe: Probe| match (probe.base / HUGE_PAGE) % 97 {
                    0 => None,
                    n if n % 5 == 0 && !probe.is_huge => FEW,
                    n => Some(16 - (n % 13 == 0) as u8 * 7),
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
        assert!(predictor.judge(2, |probe| if probe.base == 1 { ALL } else { None }));
        let mut predictor = Predictor::new(Start::Ordinary);
        predictor.skip(1);
        predictor.forget(1);
        assert!(!predictor.judge(2, |_| unreachable!("it was forgotten")));
    }
}
