//! What a comparison of two revisions asks between its blocks: whether its answer is certain before its time is over. What more
//! time would bring is in [`super::outlook`].
//!
//! A comparison that looked at its change after every block, each time with an interval of 95 %, would sooner or later
//! find one that does not exist. So changes are looked at after [`LOOKS_AT`] blocks only, which are fixed before the
//! first block, and all of these looks together have the error of one interval (Bonferroni). The last look, with the
//! usual interval, has as much again: a change for the worse by the margin or less is called worse in 2.5 % of all
//! comparisons by a look on the way and in 2.5 % by the last one, at most.
//!
//! What is said about the time to come, and an end because of it, decides nothing: it cannot raise an alarm.

use super::outlook::{self, Change, Left, chances, not_worse};
use crate::analyse::{Table, WorkloadAnalysis};
use ablate_format::Manifest;

/// Error of the last look, two-sided: one minus the confidence of its intervals.
pub(crate) const ERROR: f64 = 0.05;

/// A comparison ends, whatever it says, once every interval has this share of the margin on each side. A change of twice
/// the margin, or of none, is decided long before.
const NARROW: f64 = 0.25;

/// A comparison that will stay undecided with this probability is taken to do so.
const CERTAIN: f64 = 0.95;

/// Blocks after which a change is looked at. Each is a quarter more than the one before, so that little time is lost, and
/// few looks share the error.
const LOOKS_AT: [u32; 34] = [
    6, 8, 10, 13, 16, 20, 25, 31, 39, 49, 61, 76, 95, 119, 149, 186, 233, 291, 364, 455, 569, 711, 889, 1_111, 1_389,
    1_736, 2_170, 2_713, 3_391, 4_239, 5_299, 6_624, 8_280, 10_000,
];

/// When a comparison ends before its time, apart from intervals that are narrow enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// When the answer is certain.
    Decided,
    /// Also when it is as good as certain that the time left brings no answer.
    Undecided,
    /// Never.
    Never,
}

/// What a comparison looks at between its blocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watch {
    /// The change that matters, a share of the base.
    pub(crate) margin: f64,
    /// Whether only the exit code of the gate is asked for.
    pub(crate) is_gate: bool,
    /// When it ends.
    pub(crate) stop: Stop,
    /// Judges every workload with a margin and a two-sided error, which all workloads share.
    pub(crate) judge: JudgeAll,
}

/// Every workload of a study with a margin and a two-sided error.
pub(crate) type JudgeAll = fn(&Manifest, &[WorkloadAnalysis], &[Table], f64, f64) -> Vec<Standing>;

/// A workload at a look.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Standing {
    /// Its name.
    pub(crate) workload: String,
    /// What is certain of it.
    pub(crate) state: State,
    /// `None` where more blocks would bring none.
    pub(crate) change: Option<Change>,
}

/// What is certain of a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It is worse by more than the margin.
    Worse,
    /// It is better by more than the margin, or a change is within it.
    Decided,
    /// It is not worse by more than the margin, and may be better.
    NotWorse,
    /// Nothing.
    Open,
    /// It has no runs that count, and more of them would be no better.
    Never,
}

/// What a look said.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Look {
    /// Why the comparison can end now.
    pub(super) over: Option<&'static str>,
    /// For the progress line; empty when no workload has an interval.
    pub(super) short: String,
    /// A sentence about the time to come; empty likewise.
    pub(super) outlook: String,
    /// Whether no answer is to be expected.
    pub(super) is_hopeless: bool,
}

impl Watch {
    /// Looks at the workloads as they are now. `judged` has an error and gives what [`Watch::judge`] says with it.
    pub(super) fn look(&self, judged: impl Fn(f64) -> Vec<Standing>, left: &Left) -> Look {
        let now = judged(ERROR);
        let is_narrow = now.iter().all(|s| s.change.is_none_or(|change| change.half <= NARROW * self.margin));
        let is_any_known = now.iter().any(|s| s.change.is_some());
        let why = if is_any_known { "the intervals are narrow enough" } else { "no workload has runs to compare" };
        let mut over = is_narrow.then_some(why);
        if over.is_none() && self.stop != Stop::Never && is_look(left.blocks) {
            // What is said in the end has the usual intervals. These lie in the wider ones, except where few draws are
            // beyond both ends.
            let is_certain = self.is_over(&judged(ERROR / looks(left.limit))) && self.is_over(&now);
            over = is_certain.then_some("the answer is certain");
        }
        let is_hopeless = over.is_none() && left.is_due() && self.is_hopeless(&now, left);
        if is_hopeless && self.stop == Stop::Undecided {
            over = Some("more time within the limits would most likely decide nothing");
        }
        let (short, outlook) = self.outlook(&now, left).unwrap_or_default();
        Look { over, short, outlook, is_hopeless }
    }

    fn is_over(&self, standings: &[Standing]) -> bool {
        let is_worse = standings.iter().any(|s| s.state == State::Worse);
        (self.is_gate && is_worse) || standings.iter().all(|s| self.is_settled(s.state))
    }

    fn is_settled(&self, state: State) -> bool {
        match state {
            State::Worse | State::Decided | State::Never => true,
            State::NotWorse => self.is_gate,
            State::Open => false,
        }
    }

    /// Whether no answer is to be expected: of a gate, that a workload stays undecided and none is found worse; else, that
    /// all that are undecided stay so.
    fn is_hopeless(&self, standings: &[Standing], left: &Left) -> bool {
        let error = ERROR / standings.len().max(1) as f64;
        let open = || standings.iter().filter(|s| !self.is_settled(s.state));
        let chances = |s: &Standing| chances(s.change, self.margin, error, left);
        let is_lost = |s: &Standing| {
            chances(s).is_some_and(|(worse, within, better)| {
                worse + within + better + if self.is_gate { not_worse(s.change, self.margin, error, left) } else { 0.0 }
                    < 1.0 - CERTAIN
            })
        };
        if open().next().is_none() {
            return false;
        }
        if !self.is_gate {
            return open().all(is_lost);
        }
        let may_be_worse =
            |s: &Standing| s.state == State::Worse || chances(s).is_none_or(|(worse, ..)| worse >= 1.0 - CERTAIN);
        open().any(is_lost) && !standings.iter().any(|s| s.state != State::Never && may_be_worse(s))
    }

    /// How long the margin takes at the noise so far, for a progress line and as a sentence: of the workload that is known
    /// least.
    fn outlook(&self, standings: &[Standing], left: &Left) -> Option<(String, String)> {
        let known = standings.iter().filter_map(|s| Some((s.change.filter(|change| change.half.is_finite())?, s)));
        let (change, widest) = known.max_by(|one, other| one.0.half.total_cmp(&other.0.half))?;
        Some(outlook::told(&widest.workload, change, self.margin, left))
    }
}

/// Whether changes are looked at after so many blocks.
pub(super) fn is_look(blocks: u32) -> bool {
    LOOKS_AT.contains(&blocks)
}

/// Looks among so many blocks.
fn looks(limit: u32) -> f64 {
    LOOKS_AT.iter().filter(|at| **at <= limit).count().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use ablate_stats::distribution::t_quantile;
    use ablate_stats::random::{normal, seeded};
    use std::collections::BTreeMap;
    use std::sync::Mutex;
    use std::time::Duration;

    fn standing(state: State, point: f64, half: f64) -> Standing {
        Standing { workload: "w".to_owned(), state, change: Some(Change { point, half, of_layouts: 0.0 }) }
    }

    fn watch(is_gate: bool, stop: Stop) -> Watch {
        Watch { margin: 0.01, is_gate, stop, judge: |_, _, _, _, _| Vec::new() }
    }

    fn left(blocks: u32) -> Left {
        let block_time = Duration::from_secs(1);
        let spent = block_time * blocks;
        Left { blocks, block_time, spent, budget: Some(Duration::from_secs(300)), limit: 1_000 }
    }

    /// Quantiles of Student's t, each computed once: the simulations ask for the same ones again and again.
    fn quantile(p: f64, degrees: usize) -> f64 {
        static KNOWN: Mutex<BTreeMap<(u64, usize), f64>> = Mutex::new(BTreeMap::new());
        let mut known = KNOWN.lock().expect("no test panics with it");
        *known.entry((p.to_bits(), degrees)).or_insert_with(|| t_quantile(p, degrees))
    }

    /// What intervals of Student's t say.
    fn judged(values: &[f64], margin: f64, error: f64) -> Standing {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
        let half = (variance / n).sqrt() * quantile(1.0 - error / 2.0, values.len() - 1);
        let state = match (mean - half, mean + half) {
            (lo, _) if lo > margin => State::Worse,
            (_, hi) if hi < -margin => State::Decided,
            (lo, hi) if lo >= -margin && hi <= margin => State::Decided,
            (_, hi) if hi <= margin => State::NotWorse,
            _ => State::Open,
        };
        standing(state, mean, half)
    }

    /// One comparison with this change; whether it ends as worse, and after how many blocks.
    fn compared(seed: u64, change: f64, watch: &Watch, may_look: impl Fn(u32) -> bool) -> (bool, u32) {
        let (mut random, limit, mut values) = (seeded(seed), 120, Vec::new());
        for blocks in 1..=limit {
            values.push(change + 0.03 * normal(&mut random));
            let left = Left { budget: Some(Duration::from_secs(120)), limit, ..left(blocks) };
            let look = |error: f64| vec![judged(&values, watch.margin, error)];
            if blocks >= 6 && may_look(blocks) && watch.look(look, &left).over.is_some() {
                break;
            }
        }
        (judged(&values, watch.margin, ERROR).state == State::Worse, values.len() as u32)
    }

    fn alarms(change: f64, watch: &Watch, may_look: impl Fn(u32) -> bool) -> f64 {
        let rounds = 800;
        (0..rounds).filter(|seed| compared(*seed, change, watch, &may_look).0).count() as f64 / rounds as f64
    }

    #[test]
    fn alarms_on_data_without_a_change_that_matters_stay_under_five_percent() {
        for (stop, is_gate) in [(Stop::Decided, true), (Stop::Decided, false), (Stop::Undecided, true)] {
            let watch = watch(is_gate, stop);
            // The worst case is a change of just the margin, which is not worse by more than that.
            let at_margin = alarms(0.01, &watch, |_| true);
            let none = alarms(0.0, &watch, |_| true);
            assert!(at_margin <= 0.05 && none <= 0.01, "{stop:?} {is_gate}: {at_margin} {none}");
            // A look that has no time is left out.
            let fewer = alarms(0.01, &watch, |blocks| blocks % 3 == 0);
            assert!(fewer <= 0.05, "{stop:?}: {fewer}");
        }
    }

    #[test]
    fn looking_after_every_block_with_the_usual_interval_would_not_stay_under_it() {
        let rounds = 500;
        let is_alarm = |seed: &u64| {
            let mut random = seeded(*seed);
            let values: Vec<f64> = (0..120).map(|_| 0.01 + 0.03 * normal(&mut random)).collect();
            (6..=120).any(|blocks| judged(&values[..blocks], 0.01, ERROR).state == State::Worse)
        };
        let alarms = (0..rounds).filter(is_alarm).count() as f64 / rounds as f64;
        assert!(alarms > 0.1, "{alarms}");
    }

    #[test]
    fn a_gate_ends_at_once_when_something_is_surely_worse() {
        let ends = |change: f64, is_gate: bool| compared(3, change, &watch(is_gate, Stop::Decided), |_| true);
        let (is_worse, blocks) = ends(0.1, true);
        assert!(is_worse && blocks <= 13, "{blocks}");
        // A change for the better ends it as well.
        assert!(!ends(-0.1, true).0 && ends(-0.1, true).1 <= 16, "{:?}", ends(-0.1, true));
        assert_eq!(compared(3, 0.1, &watch(true, Stop::Never), |_| true), (true, 120));
        let two = |worse: State, other: State, is_gate: bool| {
            let look = |_: f64| vec![standing(worse, 0.1, 0.02), standing(other, 0.0, 0.02)];
            watch(is_gate, Stop::Decided).look(look, &left(20)).over
        };
        assert!(two(State::Worse, State::Open, true).is_some());
        assert_eq!(two(State::Worse, State::Open, false), None, "the table is asked for, not only the exit code");
        assert!(two(State::Worse, State::Decided, false).is_some());
        assert_eq!(two(State::Decided, State::NotWorse, false), None);
        assert!(two(State::Decided, State::NotWorse, true).is_some());
        // Between the fixed looks nothing ends.
        let look = |_: f64| vec![standing(State::Worse, 0.1, 0.02)];
        assert_eq!(watch(true, Stop::Decided).look(look, &left(21)).over, None);
    }

    #[test]
    fn what_the_margin_needs_and_what_the_time_allows_is_said() {
        let look = |half: f64, blocks: u32| {
            watch(true, Stop::Decided).look(|_| vec![standing(State::Open, 0.004, half)], &left(blocks))
        };
        // Four times the width that 1 % needs: sixteen times the blocks, and in fifteen times as many 1.033 %.
        let said = look(0.02, 20);
        assert_eq!(said.short, "± 2 %; a margin of 1 % needs 5 min 20 s");
        let expected = "w is known to ± 2 % after 20 blocks; at this noise a margin of 1 % needs about 5 min 20 s \
                        (320 blocks), and 5 min 0 s can decide a margin of 1 %";
        assert_eq!(said.outlook, expected);
        assert_eq!(
            look(0.01, 20).outlook,
            "w is known to ± 1 % after 20 blocks; a margin of 1 % needs about 1 min 20 s at this noise"
        );
        let none = watch(true, Stop::Decided).look(|_| vec![standing(State::Open, 0.0, f64::INFINITY)], &left(6));
        assert_eq!((none.short.as_str(), none.over), ("", None));
        let never = Standing { change: None, ..standing(State::Never, 0.0, 0.0) };
        let never = watch(true, Stop::Decided).look(|_| vec![never.clone()], &left(6));
        assert_eq!(never.over, Some("no workload has runs to compare"));
        // Nine tenths of the variance are between code layouts.
        let mut of_layouts = standing(State::Open, 0.0, 0.02);
        of_layouts.change = Some(Change { point: 0.0, half: 0.02, of_layouts: 0.9 });
        let said = watch(true, Stop::Decided).look(|_| vec![of_layouts.clone()], &left(80));
        assert!(
            said.outlook.contains("needs more --layouts") && said.outlook.ends_with("of 3.9 %"),
            "{}",
            said.outlook
        );
    }

    #[test]
    fn no_answer_to_expect_is_said_and_ends_it_only_when_asked() {
        let look = |stop: Stop, point: f64, half: f64, blocks: u32| {
            let said = watch(true, stop).look(|_| vec![standing(State::Open, point, half)], &left(blocks));
            (said.is_hopeless, said.over.is_some())
        };
        // Far too wide, near the end.
        assert_eq!(look(Stop::Decided, 0.0, 0.2, 250), (true, false));
        assert_eq!(look(Stop::Undecided, 0.0, 0.2, 250), (true, true));
        // Far too wide at the beginning: it may still turn out as anything.
        assert_eq!(look(Stop::Undecided, 0.1, 0.2, 7), (false, false));
        // Too early to know the noise, however wide.
        assert_eq!(look(Stop::Undecided, 0.0, 5.0, 50), (false, false));
        // Narrow, and about to be decided.
        assert_eq!(look(Stop::Undecided, 0.0, 0.0105, 100), (false, false));
        // Just the margin.
        assert_eq!(look(Stop::Undecided, 0.01, 0.006, 250), (true, true));
    }
}
