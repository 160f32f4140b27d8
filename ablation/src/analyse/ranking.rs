//! Which factors of a workload cost most: those that are found to cost, and those that more blocks might show.

use super::values::Effect;
use super::words::{Proof, Verdict};
use super::workload::WorkloadAnalysis;
use ablate_format::{Arm, CellKind};

/// A study that would need more than this many times its blocks shows nothing worth naming.
const MAX_TIMES: f64 = 100.0;

/// How far a row is from telling of its factor alone, for [`WorkloadAnalysis::ranked`]: two builds also differ in code
/// layout, and a main effect is an average over other factors.
fn distance(effect: &Effect) -> u8 {
    match effect.arm.is_some_and(Arm::has_own_binary) {
        _ if effect.contrast == "main" => 1,
        false => 0,
        true => 2,
    }
}

/// A row whose difference does not stand out from the noise: nothing is claimed about it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Candidate {
    /// The factor, or the factor with its level.
    pub(crate) title: String,
    /// Difference seen, in the unit of the response, as [`Effect::cost`] has it.
    pub(crate) estimate: f64,
    /// The difference as a part of the baseline's value.
    pub(crate) share: Option<f64>,
    /// Its interval.
    pub(crate) interval: Option<(f64, f64)>,
    /// Blocks that it was seen in.
    pub(crate) blocks: usize,
    /// Blocks that would probably be enough if the difference is real; `None` when more blocks alone may not decide.
    pub(crate) blocks_needed: Option<usize>,
}

/// Why no factor of a workload could be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unjudged {
    /// No contrast has proven runs on both sides, and why.
    NotMeasured(String),
    /// Differences were seen, but in so many blocks there is no interval.
    TooFewBlocks(usize),
}

impl WorkloadAnalysis {
    /// Why nothing can be said about any factor, in contrast to factors that were judged and cost nothing. `None` also
    /// when the design has no factor.
    pub(crate) fn unjudged(&self) -> Option<Unjudged> {
        let rows = || self.main_effects().filter(|effect| effect.attribution);
        let first = rows().next()?;
        if rows().all(|effect| effect.proof == Proof::Invalid) {
            let baseline = self.cells.iter().find(|cell| cell.kind == CellKind::Baseline);
            let failed = baseline.filter(|cell| cell.value(self.response).is_none());
            return Some(Unjudged::NotMeasured(match failed {
                Some(cell) => {
                    let how = cell.proof.as_deref().filter(|proof| *proof != "ok").unwrap_or("no timing run");
                    format!("the baseline has no proven run ({how})")
                }
                None => first.reason.clone(),
            }));
        }
        let blocks = rows().filter(|effect| effect.estimate.is_some()).map(|effect| effect.blocks).max()?;
        rows().all(|effect| effect.lo.is_none()).then_some(Unjudged::TooFewBlocks(blocks))
    }

    /// What is found to cost, proven or not, most expensive first, each factor or level once: by the row in one binary
    /// where that says `costs` (no change of layout), else by the factorial, else by the build.
    pub(crate) fn top_costs(&self) -> Vec<&Effect> {
        self.ranked(Verdict::Costs)
    }

    /// What is found to save, proven or not, the largest saving first, each factor or level once.
    pub(crate) fn top_savers(&self) -> Vec<&Effect> {
        let mut savers = self.ranked(Verdict::Saves);
        savers.reverse();
        savers
    }

    /// The arms in which the rows of a factor or of one of its levels are proven.
    pub(crate) fn proven_arms(&self, title: &str) -> Vec<&'static str> {
        let rows = self.main_effects().filter(|e| e.attribution && e.title() == title && e.proof == Proof::Proven);
        let mut arms: Vec<&str> = rows.filter_map(|effect| effect.arm.map(Arm::as_str)).collect();
        arms.sort_unstable();
        arms.dedup();
        arms
    }

    /// The rows that speak for factors here, the most telling first. Beside Shapley values a main effect would be a
    /// second answer to their question, with another sign than leave-one-out where factors depend on each other.
    pub(crate) fn telling(&self) -> Vec<&Effect> {
        let has_shapley = self.crossed.as_ref().is_some_and(|crossed| !crossed.factors.is_empty());
        let is_told = |effect: &Effect| has_shapley && effect.contrast == "main";
        let rows = self.main_effects().filter(|effect| effect.attribution && !is_told(effect));
        let mut rows: Vec<&Effect> = rows.collect();
        rows.sort_by_key(|effect| distance(effect));
        rows
    }

    /// Factors and levels with this verdict, the most expensive first.
    fn ranked(&self, verdict: Verdict) -> Vec<&Effect> {
        let mut best: Vec<&Effect> = Vec::new();
        for effect in self.telling().into_iter().filter(|effect| effect.said() == verdict) {
            if best.iter().all(|known| known.title() != effect.title()) {
                best.push(effect);
            }
        }
        let cost = |effect: &Effect| effect.cost().map_or(0.0, |cost| cost.value);
        best.sort_by(|a, b| cost(b).total_cmp(&cost(a)));
        best
    }

    /// The largest differences that nothing can be claimed about, by the row in one binary where there is one. Empty as
    /// soon as anything is found to cost or to save.
    pub(crate) fn candidates(&self) -> Vec<Candidate> {
        let rows = self.telling();
        if rows.iter().any(|effect| matches!(effect.verdict, Verdict::Costs | Verdict::Saves)) {
            return Vec::new();
        }
        let mut seen: Vec<String> = Vec::new();
        let mut found = Vec::new();
        for effect in rows.into_iter().filter(|effect| effect.estimate.is_some()) {
            let title = effect.title();
            if !seen.contains(&title) {
                found.extend(self.candidate(effect));
                seen.push(title);
            }
        }
        found.sort_by(|a, b| b.estimate.abs().total_cmp(&a.estimate.abs()));
        found
    }

    fn candidate(&self, effect: &Effect) -> Option<Candidate> {
        // More blocks do not prove a switch.
        let open = effect.proof != Proof::Unproven
            && matches!(effect.verdict, Verdict::BelowFloor | Verdict::NotDetected | Verdict::Inconclusive);
        let cost = effect.cost().filter(|cost| open && cost.value != 0.0)?;
        let candidate = |blocks_needed| {
            Some(Candidate {
                title: effect.title(),
                estimate: cost.value,
                share: effect.cost_share(),
                interval: cost.interval,
                blocks: effect.blocks,
                blocks_needed,
            })
        };
        let Some((lo, hi)) = cost.interval else {
            // Without an interval its width is not known.
            return candidate(Some(ablate_stats::MIN_BLOCKS).filter(|least| effect.blocks < *least));
        };
        // Widths shrink with the root of the blocks; the floor is a width as well, that of the placebo.
        let width = ((hi - lo) / 2.0).max(self.floor_ns.unwrap_or(0.0));
        let times = (width / cost.value).powi(2);
        if times > MAX_TIMES {
            return None;
        }
        // At most a hundred times the blocks, so it fits.
        let needed = (effect.blocks as f64 * times).ceil() as usize;
        candidate((needed > effect.blocks).then_some(needed))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{analyse, fixture::Study};
    use super::Verdict;

    fn candidates(blocks: u32, costs: impl Fn(&str) -> f64) -> Vec<(String, Option<usize>)> {
        let study = Study::new(&["cache", "tick"], &["w"]);
        let analysis = analyse(&study.manifest, &study.records(blocks, |_, cell, _| costs(cell)));
        let found = analysis.workloads[0].candidates();
        found.into_iter().map(|candidate| (candidate.title, candidate.blocks_needed)).collect()
    }

    #[test]
    fn what_the_noise_hides_is_a_candidate_with_the_blocks_it_needs() {
        let hidden = |cell: &str| match cell {
            "placebo" => 2_020.0,
            cell if cell.starts_with("no-cache") => 1_990.0,
            cell if cell.starts_with("no-tick") => 2_010.0,
            _ => 2_000.0,
        };
        let found = candidates(12, hidden);
        assert_eq!(found.len(), 2, "a saving is as open as a cost: {found:?}");
        // The floor of about 20 ns is twice the difference, so about four times the blocks.
        let both = found.iter().all(|(_, needed)| (40..=70).contains(&needed.unwrap()));
        assert!(both && found.iter().any(|(title, _)| title == "cache"), "{found:?}");
        let found = candidates(4, |cell| if cell.starts_with("no-cache") { 1_900.0 } else { 2_000.0 });
        assert_eq!(found[0], ("cache".to_owned(), Some(6)));
    }

    #[test]
    fn more_blocks_are_not_advised_where_the_switch_is_unproven() {
        let hidden = |_: &str, cell: &str, _: u32| match cell {
            "placebo" => 2_020.0,
            cell if cell.starts_with("no-cache") => 1_990.0,
            _ => 2_000.0,
        };
        let mut study = Study::new(&["cache"], &["w"]);
        let candidates = |study: &Study| analyse(&study.manifest, &study.records(12, hidden)).workloads[0].candidates();
        assert_eq!(candidates(&study).len(), 1);
        study.manifest.plan.factors[0].proof.clear();
        assert_eq!(candidates(&study), []);
    }

    #[test]
    fn a_factor_that_has_another_level_than_on_is_ranked_like_all() {
        let mut study = Study::new(&["cache", "tick"], &["w"]);
        for contrast in study.manifest.plan.contrasts.iter_mut().filter(|c| c.factor == "cache") {
            contrast.contrast = contrast.contrast.replace("on-", "fast-");
        }
        study.manifest.plan.factors[0].baseline = "fast".to_owned();
        let costs = |cell: &str| if cell.starts_with("no-cache") { 1_900.0 } else { 2_000.0 };
        let analysis = analyse(&study.manifest, &study.records(12, |_, cell, _| costs(cell)));
        let top = analysis.workloads[0].top_costs();
        assert_eq!((top.len(), top[0].factor.as_str(), top[0].contrast.as_str()), (1, "cache", "fast-off"));
    }

    /// A compiler's levels, `0` in the baseline, and debug information that costs a little.
    fn levels(ns: impl Fn(&str) -> f64) -> Vec<(String, Verdict, f64)> {
        let mut study = Study::new(&["opt", "debug"], &["w"]);
        study.levels("opt", "0", &["1", "2-lto"]);
        let analysis = analyse(&study.manifest, &study.records(12, |_, cell, _| ns(cell)));
        let workload = &analysis.workloads[0];
        let claims = workload.top_savers().into_iter().chain(workload.top_costs());
        claims.map(|e| (e.title(), e.said(), e.added().unwrap().value.round())).collect()
    }

    #[test]
    fn every_level_is_ranked_and_a_saving_is_an_answer() {
        let ns = |cell: &str| match cell.split('@').next() {
            Some("opt-1") => 400.0,
            Some("opt-2-lto") => 100.0,
            Some("no-debug") => 980.0,
            _ => 1_000.0,
        };
        let expected = [
            ("opt: 2-lto".to_owned(), Verdict::Saves, -900.0),
            ("opt: 1".to_owned(), Verdict::Saves, -600.0),
            ("debug".to_owned(), Verdict::Costs, 20.0),
        ];
        assert_eq!(levels(ns), expected);
        let slower = |cell: &str| if cell.starts_with("opt-1") { 1_500.0 } else { 1_000.0 };
        assert_eq!(levels(slower), [("opt: 1".to_owned(), Verdict::Costs, 500.0)]);
        assert!(levels(|_| 1_000.0).is_empty(), "levels that change nothing are not named");
    }

    #[test]
    fn the_interval_that_holds_for_all_rows_covers_every_level() {
        let mut study = Study::new(&["opt"], &["w"]);
        study.levels("opt", "0", &["1", "2"]);
        let analysis = analyse(&study.manifest, &study.records(12, |_, _, block| 100.0 + f64::from(block % 5)));
        let rows: Vec<_> = analysis.workloads[0].main_effects().filter(|e| e.factor == "opt").collect();
        assert_eq!(rows.len(), 2);
        for row in rows {
            let (lo, hi) = row.together.expect("is of the family");
            assert!(lo <= row.lo.unwrap() && hi >= row.hi.unwrap() && hi - lo > row.hi.unwrap() - row.lo.unwrap());
        }
    }

    #[test]
    fn a_workload_with_a_cost_has_no_candidates() {
        assert!(candidates(12, |cell| if cell.starts_with("no-cache") { 1_900.0 } else { 2_000.0 }).is_empty());
    }
}
