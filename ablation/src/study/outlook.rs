//! The time to come of a comparison: what its margin needs at the noise so far, and the chances of an answer.
//!
//! Nothing here decides: it cannot raise an alarm.

use crate::support::count::counted;
use crate::support::progress::human;
use ablate_stats::distribution::{normal_cdf, t_quantile};
use std::time::Duration;

/// A comparison says after this time what its margin needs; after half of its own time when that is less.
const TOLD_AFTER: Duration = Duration::from_secs(60);

/// Blocks from which on the variance between code layouts is told apart from the rest: four of each by default.
const LAYOUTS_KNOWN: u32 = 64;

/// A change as a share of the base.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Change {
    /// The middle of its interval, positive for the worse.
    pub(crate) point: f64,
    /// Half the width of its interval; infinite where there is none yet.
    pub(crate) half: f64,
    /// Share of its variance that more blocks leave: that between the code layouts of the builds. 0 to 1.
    pub(crate) of_layouts: f64,
}

impl Change {
    /// Half the width of the interval after so many times the blocks.
    fn half_after(self, times: f64) -> f64 {
        self.half * (self.of_layouts + (1.0 - self.of_layouts) / times).sqrt()
    }

    /// How many times the blocks give this half-width; infinite where blocks alone never do.
    fn times_for(self, half: f64) -> f64 {
        let rest = (half / self.half).powi(2) - self.of_layouts;
        if rest > 0.0 { (1.0 - self.of_layouts) / rest } else { f64::INFINITY }
    }
}

/// Where a comparison stands, and the time that it has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Left {
    /// Blocks so far.
    pub(super) blocks: u32,
    /// Time of a block.
    pub(super) block_time: Duration,
    /// Time so far.
    pub(super) spent: Duration,
    /// Time for all of it.
    pub(super) budget: Option<Duration>,
    /// Most blocks.
    pub(super) limit: u32,
}

impl Left {
    /// Blocks that there will be when it runs to its end.
    fn at_end(&self) -> f64 {
        let by_time = self.budget.map_or(f64::INFINITY, |budget| {
            let left = budget.saturating_sub(self.spent).as_secs_f64();
            f64::from(self.blocks) + (left / self.block_time.as_secs_f64().max(1e-9)).floor()
        });
        by_time.min(f64::from(self.limit)).max(f64::from(self.blocks))
    }

    /// Whether it is time to say what the margin needs, and whether an answer is to be expected. Before that too little is
    /// known of the noise.
    pub(super) fn is_due(&self) -> bool {
        self.spent >= self.budget.map_or(TOLD_AFTER, |budget| TOLD_AFTER.min(budget / 2))
    }

    /// How the end is told: `5 min 0 s`, or `300 blocks` where these come first.
    fn shown_end(&self) -> String {
        let by_limit = self.spent.as_secs_f64()
            + f64::from(self.limit.saturating_sub(self.blocks)) * self.block_time.as_secs_f64();
        match self.budget.filter(|budget| budget.as_secs_f64() < by_limit) {
            Some(budget) => human(budget),
            None => counted(self.limit as usize, "block"),
        }
    }
}

/// How long a margin takes at the noise so far, and the margin that the time allows: for a progress line and as a
/// sentence. A margin needs an interval of half its width on each side, which tells it from none and from twice as much.
pub(super) fn told(workload: &str, change: Change, margin: f64, left: &Left) -> (String, String) {
    let (half, blocks) = (shown_percent(change.half), f64::from(left.blocks));
    let shown = shown_percent(margin);
    let seen = format!("{} is known to ± {half} after {}", workload, counted(left.blocks as usize, "block"));
    let reachable = shown_percent(2.0 * change.half_after(left.at_end() / blocks));
    let end = left.shown_end();
    // Fewer blocks do not tell what is between layouts.
    let change = if left.blocks < LAYOUTS_KNOWN { Change { of_layouts: 0.0, ..change } } else { change };
    let needed = blocks * change.times_for(margin / 2.0);
    if needed.is_infinite() {
        let short = format!("± {half}; ± {shown} needs more --layouts");
        let why = "because the code layouts of a build differ by more than that";
        let outlook = format!(
            "{seen}; a margin of {shown} needs more --layouts, {why}; with these {end} can decide a margin of \
             {reachable}"
        );
        return (short, outlook);
    }
    let time = Duration::try_from_secs_f64(needed * left.block_time.as_secs_f64()).unwrap_or(Duration::MAX);
    let time = human(time.max(Duration::from_secs(1)));
    let short = format!("± {half}; a margin of {shown} needs {time}");
    if needed <= left.at_end() {
        return (short, format!("{seen}; a margin of {shown} needs about {time} at this noise"));
    }
    let outlook = format!(
        "{seen}; at this noise a margin of {shown} needs about {time} ({} blocks), and {end} can decide a margin of \
         {reachable}",
        needed.ceil(),
    );
    (short, outlook)
}

/// The estimate at the end of the time, as the blocks so far let expect it (predictive power: Spiegelhalter, Freedman and
/// Blackburn, "Monitoring clinical trials", Controlled Clinical Trials 7, 1986).
struct End {
    point: f64,
    /// Standard deviation of the estimate at the end around the estimate now.
    spread: f64,
    /// Half the width of the interval at the end.
    half: f64,
}

impl End {
    fn of(change: Option<Change>, error: f64, left: &Left) -> Option<End> {
        let change = change.filter(|change| change.half.is_finite())?;
        let degrees = left.blocks.saturating_sub(1).max(1) as usize;
        let share = f64::from(left.blocks) / left.at_end();
        let error = change.half / t_quantile(1.0 - error / 2.0, degrees);
        // As if no variance were between layouts: how much is, few blocks tell badly, and a comparison must not be given up
        // too early.
        Some(End { point: change.point, spread: error * (1.0 - share).sqrt(), half: change.half * share.sqrt() })
    }

    /// Probability that the estimate will be below a value.
    fn below(&self, value: f64) -> f64 {
        match self.spread > 0.0 {
            true => normal_cdf((value - self.point) / self.spread),
            false => f64::from(u8::from(self.point < value)),
        }
    }
}

/// Probabilities that the interval at the end lies beyond the margin for the worse, within it, and beyond it for the
/// better. `None` without an interval now.
pub(super) fn chances(change: Option<Change>, margin: f64, error: f64, left: &Left) -> Option<(f64, f64, f64)> {
    let end = End::of(change, error, left)?;
    let worse = 1.0 - end.below(margin + end.half);
    let better = end.below(-margin - end.half);
    let within = (end.below(margin - end.half) - end.below(end.half - margin)).max(0.0);
    Some((worse, within, better))
}

/// Probability of an interval whose upper end is within the margin and whose lower end is below it: it is not worse, and
/// that is all that a gate asks.
pub(super) fn not_worse(change: Option<Change>, margin: f64, error: f64, left: &Left) -> f64 {
    let Some((_, within, better)) = chances(change, margin, error, left) else { return 0.0 };
    let Some(end) = End::of(change, error, left) else { return 0.0 };
    (end.below(margin - end.half) - within - better).max(0.0)
}

/// `1.6 %`, with two digits.
fn shown_percent(share: f64) -> String {
    let percent = share * 100.0;
    let digits = if percent >= 9.95 {
        0
    } else if percent >= 0.0995 {
        1
    } else {
        3
    };
    let text = format!("{percent:.digits$}");
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text} %")
}
