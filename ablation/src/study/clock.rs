//! The time of an adaptive study: what its blocks and its looks at the results took.

use ablate_stats::MIN_BLOCKS;
use std::time::{Duration, Instant};

/// Share of the time measured that looks may take, of the time since the last look and of all of it.
const LOOKING: f64 = 0.02;

/// Assumed time of the first look for each run so far, before any look was measured: twice the processor time of a whole
/// report of 768 runs in 128 cells.
const FIRST_PER_RUN: Duration = Duration::from_micros(200);

/// One look: the blocks and the time in them before it, and the time that it took.
#[derive(Clone, Copy)]
struct Looked {
    blocks: u32,
    in_blocks: Duration,
    took: Duration,
}

/// The time that blocks and looks took.
pub(super) struct Clock {
    pub(super) started: Instant,
    blocks: u32,
    in_blocks: Duration,
    /// Blocks of this call.
    own: u32,
    /// Runs of a block.
    runs: usize,
    /// All looks together.
    in_looks: Duration,
    /// The last two looks, the later one first.
    looks: [Option<Looked>; 2],
}

impl Clock {
    /// For blocks of so many runs.
    pub(super) fn start(runs: usize) -> Clock {
        let (in_blocks, in_looks) = (Duration::ZERO, Duration::ZERO);
        Clock { started: Instant::now(), blocks: 0, in_blocks, own: 0, runs, in_looks, looks: [None; 2] }
    }

    pub(super) fn block(&mut self, took: Duration) {
        self.own += 1;
        self.earlier(took);
    }

    /// A block of an earlier call, which allows looks as any other and takes nothing of this call's time.
    pub(super) fn earlier(&mut self, took: Duration) {
        self.blocks += 1;
        self.in_blocks += took;
    }

    pub(super) fn looked(&mut self, took: Duration) {
        let look = Looked { blocks: self.blocks, in_blocks: self.in_blocks, took };
        self.looks = [Some(look), self.looks[0]];
        self.in_looks += took;
    }

    /// What looks took of the time measured; `None` without a look.
    pub(super) fn share_of_looks(&self) -> Option<f64> {
        self.looks[0].map(|_| self.in_looks.as_secs_f64() / self.in_blocks.as_secs_f64())
    }

    /// Mean time of a block; 0 before the first.
    pub(super) fn block_time(&self) -> Duration {
        self.in_blocks.checked_div(self.blocks).unwrap_or_default()
    }

    /// Whether one more block would not fit. The first block of a call always fits, because without it there is no result.
    pub(super) fn would_exceed(&self, budget: Duration) -> bool {
        self.own > 0 && self.started.elapsed() + self.block_time() > budget
    }

    /// Whether a look now takes a small share of the time measured since the last one, and all looks of all of it. A look
    /// that took longer than expected is made up for. A study that is continued looks once before its first block in any
    /// case, so that one that had ended ends again.
    pub(super) fn may_look(&self) -> bool {
        if self.own == 0 && self.blocks > 0 && self.looks[0].is_none() {
            return true;
        }
        let expected = self.expected_s();
        let since = self.in_blocks - self.looks[0].map_or(Duration::ZERO, |last| last.in_blocks);
        let in_all = self.in_looks.as_secs_f64() + expected;
        expected <= LOOKING * since.as_secs_f64() && in_all <= LOOKING * self.in_blocks.as_secs_f64()
    }

    /// Seconds that a look now would take, as the last two let expect, or for the first one [`FIRST_PER_RUN`].
    fn expected_s(&self) -> f64 {
        // No more growth than half of what a block allows, so that the time for a look comes.
        let most = LOOKING / 2.0 * self.block_time().as_secs_f64();
        let [Some(last), before] = self.looks else {
            let block = FIRST_PER_RUN.as_secs_f64() * self.runs as f64;
            let more = f64::from(self.blocks.saturating_sub(MIN_BLOCKS as u32));
            return block * MIN_BLOCKS as f64 + block.min(most) * more;
        };
        let took = |look: Looked| look.took.as_secs_f64();
        let growth = before.filter(|before| before.blocks < last.blocks);
        let growth = growth.map_or(0.0, |before| (took(last) - took(before)) / f64::from(last.blocks - before.blocks));
        let growth = growth.clamp(0.0, most);
        took(last) + growth * f64::from(self.blocks - last.blocks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_holds_whole_blocks_and_at_least_one() {
        let mut clock = Clock::start(1);
        clock.earlier(Duration::from_secs(10));
        assert!(!clock.would_exceed(Duration::ZERO));
        clock.block(Duration::from_secs(10));
        assert_eq!(clock.block_time(), Duration::from_secs(10));
        assert!(clock.would_exceed(Duration::from_secs(9)));
        assert!(!clock.would_exceed(Duration::from_secs(3600)));
    }

    #[test]
    fn looking_takes_its_share_and_no_more() {
        let mut clock = Clock::start(100);
        let run = |clock: &mut Clock, blocks| (0..blocks).for_each(|_| clock.block(Duration::from_secs(10)));
        run(&mut clock, 6);
        assert!(clock.may_look(), "0.12 s are expected of the first one");
        clock.looked(Duration::from_secs(1));
        run(&mut clock, 4);
        assert!(!clock.may_look());
        run(&mut clock, 1);
        assert!(clock.may_look(), "50 s for 1 s");
        clock.looked(Duration::from_millis(1_500));
        run(&mut clock, 8);
        assert!(!clock.may_look(), "80 s are enough for 1.5 s, but it takes longer with every block");
        run(&mut clock, 11);
        assert!(clock.may_look());
    }

    #[test]
    fn a_study_that_is_continued_may_look_before_its_next_block() {
        let mut clock = Clock::start(100);
        clock.earlier(Duration::from_millis(10));
        assert!(clock.may_look());
        clock.looked(Duration::from_millis(10));
        assert!(!clock.may_look(), "once");
        let mut clock = Clock::start(100);
        clock.earlier(Duration::from_millis(10));
        clock.block(Duration::from_millis(10));
        assert!(!clock.may_look(), "as any other from its own first block on");
    }

    /// The share of all looks, largest after any block and at the end, when a look takes so long after so many blocks.
    fn shares(block_ms: u64, runs: usize, takes_ms: impl Fn(u32) -> f64) -> (f64, f64, u32) {
        let mut clock = Clock::start(runs);
        let (mut largest, mut looks) = (0.0_f64, 0);
        for blocks in 1..=2_000 {
            clock.block(Duration::from_millis(block_ms));
            if blocks >= MIN_BLOCKS as u32 && clock.may_look() {
                clock.looked(Duration::from_secs_f64(takes_ms(blocks) / 1e3));
                looks += 1;
                largest = largest.max(clock.share_of_looks().expect("there was a look"));
            }
        }
        (largest, clock.share_of_looks().expect("there was a look"), looks)
    }

    #[test]
    fn all_looks_together_take_two_percent_from_the_first_one_on() {
        // 50 µs a run and 1 ms for the workload, in blocks of a hundred runs of 5, 20 and 200 ms.
        for block_ms in [500, 2_000, 20_000] {
            let (largest, _, looks) = shares(block_ms, 100, |blocks| 1.0 + 5.0 * f64::from(blocks));
            assert!(largest <= LOOKING && looks >= 5, "{block_ms} ms: {largest} in {looks} looks");
        }
        // A tenth of what a first look is taken to need is too little: the next ones make up for it.
        let (largest, end, looks) = shares(2_000, 100, |blocks| 200.0 * f64::from(blocks.min(6)));
        assert!(largest > LOOKING && end <= LOOKING && looks > 1, "{largest}, {end} in {looks} looks");
        assert!(!Clock::start(100).may_look());
    }
}
