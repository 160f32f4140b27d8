//! Which factors of a workload cost most: those that are found to cost, and those that more blocks might show.

use super::values::Effect;
use super::words::{Proof, Verdict};
use super::workload::WorkloadAnalysis;
use ablate_format::{Arm, CellKind};

/// A study that would need more than this many times its blocks shows nothing worth naming.
const MAX_TIMES: f64 = 100.0;

/// Ends of the contrasts that take one factor away, the most telling first. What they begin with is the factor's level.
const KINDS: [&str; 3] = ["-off", "main", "-absent"];

/// A factor whose difference is for the worse and does not stand out from the noise: nothing is claimed about it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Candidate {
    /// The factor.
    pub(crate) factor: String,
    /// Difference seen, nanoseconds per operation.
    pub(crate) estimate: f64,
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

    /// Factors that are found to cost, proven or not, most expensive first, each once: by the environment where that arm
    /// says `costs` (one binary, no change of layout), else by the factorial, else by the build.
    pub(crate) fn top_costs(&self) -> Vec<&Effect> {
        self.ranked(Verdict::Costs)
    }

    /// Factors that are found to save, proven or not, the largest saving first, each once.
    pub(crate) fn top_savers(&self) -> Vec<&Effect> {
        let mut savers = self.ranked(Verdict::Saves);
        savers.reverse();
        savers
    }

    /// The arms in which a factor's own contrasts are proven.
    pub(crate) fn proven_arms(&self, factor: &str) -> Vec<&'static str> {
        let rows = self.main_effects().filter(|e| e.attribution && e.factor == factor && e.proof == Proof::Proven);
        let mut arms: Vec<&str> = rows.filter_map(|effect| effect.arm.map(Arm::as_str)).collect();
        arms.sort_unstable();
        arms.dedup();
        arms
    }

    /// The contrasts that speak for a factor here. Beside Shapley values a main effect would be a second answer to their
    /// question, with another sign than leave-one-out where factors depend on each other.
    fn kinds(&self) -> impl Iterator<Item = &'static str> + use<> {
        let has_shapley = self.crossed.as_ref().is_some_and(|crossed| !crossed.factors.is_empty());
        KINDS.into_iter().filter(move |kind| !(has_shapley && *kind == "main"))
    }

    /// Factors with this verdict, the largest effect first.
    fn ranked(&self, verdict: Verdict) -> Vec<&Effect> {
        let mut best: Vec<&Effect> = Vec::new();
        for kind in self.kinds() {
            let rows = self.main_effects().filter(|e| e.attribution && e.contrast.ends_with(kind));
            for effect in rows.filter(|e| e.verdict == verdict) {
                if best.iter().all(|known| known.factor != effect.factor) {
                    best.push(effect);
                }
            }
        }
        let cost = |effect: &Effect| effect.response.cost_of(effect.estimate.unwrap_or(0.0));
        best.sort_by(|a, b| cost(b).total_cmp(&cost(a)));
        best
    }

    /// The largest differences for the worse that nothing can be claimed about, by the environment where that arm exists.
    /// Empty as soon as one factor is found to cost.
    pub(crate) fn candidates(&self) -> Vec<Candidate> {
        if !self.top_costs().is_empty() {
            return Vec::new();
        }
        let mut seen: Vec<&str> = Vec::new();
        let mut found = Vec::new();
        for kind in self.kinds() {
            for effect in self.main_effects().filter(|e| e.attribution && e.contrast.ends_with(kind)) {
                if !seen.contains(&effect.factor.as_str()) && effect.estimate.is_some() {
                    seen.push(&effect.factor);
                    found.extend(self.candidate(effect));
                }
            }
        }
        found.sort_by(|a, b| b.estimate.abs().total_cmp(&a.estimate.abs()));
        found
    }

    fn candidate(&self, effect: &Effect) -> Option<Candidate> {
        // More blocks do not prove a switch.
        let open = effect.proof != Proof::Unproven
            && matches!(effect.verdict, Verdict::BelowFloor | Verdict::NotDetected | Verdict::Inconclusive);
        let estimate = effect.estimate.filter(|estimate| open && effect.response.cost_of(*estimate) > 0.0)?;
        let candidate = |blocks_needed| {
            let interval = effect.lo.zip(effect.hi);
            Some(Candidate { factor: effect.factor.clone(), estimate, interval, blocks: effect.blocks, blocks_needed })
        };
        let Some((lo, hi)) = effect.lo.zip(effect.hi) else {
            // Without an interval its width is not known.
            return candidate(Some(ablate_stats::MIN_BLOCKS).filter(|least| effect.blocks < *least));
        };
        // Widths shrink with the root of the blocks; the floor is a width as well, that of the placebo.
        let width = ((hi - lo) / 2.0).max(self.floor_ns.unwrap_or(0.0));
        let times = (width / estimate).powi(2);
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

    fn candidates(blocks: u32, costs: impl Fn(&str) -> f64) -> Vec<(String, Option<usize>)> {
        let study = Study::new(&["cache", "tick"], &["w"]);
        let analysis = analyse(&study.manifest, &study.records(blocks, |_, cell, _| costs(cell)));
        let found = analysis.workloads[0].candidates();
        found.into_iter().map(|candidate| (candidate.factor, candidate.blocks_needed)).collect()
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
        assert_eq!(found.len(), 1, "tick saves: {found:?}");
        // The floor of about 20 ns is twice the difference, so about four times the blocks.
        assert!(found[0].0 == "cache" && (40..=70).contains(&found[0].1.unwrap()), "{found:?}");
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
        let costs = |cell: &str| if cell.starts_with("no-cache") { 1_900.0 } else { 2_000.0 };
        let analysis = analyse(&study.manifest, &study.records(12, |_, cell, _| costs(cell)));
        let top = analysis.workloads[0].top_costs();
        assert_eq!((top.len(), top[0].factor.as_str(), top[0].contrast.as_str()), (1, "cache", "fast-off"));
    }

    #[test]
    fn a_workload_with_a_cost_has_no_candidates() {
        assert!(candidates(12, |cell| if cell.starts_with("no-cache") { 1_900.0 } else { 2_000.0 }).is_empty());
    }
}
