//! Verdicts on the claims that a study declared before its first run.
//!
//! A claim is a range for a number: a share of the gap, or a difference of two cells in nanoseconds or in percent. It is
//! supported when the whole interval of the number lies in the range, refuted when no part of it does, and else open. The
//! confidence of the intervals is Holm's: with m claims the first to be decided needs 1 − 0.05 / m, the next one
//! 1 − 0.05 / (m − 1), and so on, so that with 95 % no verdict of the whole study is wrong (Holm, "A Simple Sequentially
//! Rejective Multiple Test Procedure", Scandinavian Journal of Statistics 6, 1979).

mod claim;
mod measured;

use crate::support::count::counted_verb;
use ablate_format::effects::Estimate;
use ablate_format::{Hypothesis, HypothesisKind};
use ablate_stats::{MAX_BLOCKS, MIN_BLOCKS};
use claim::{Claim, Outcome};
pub(crate) use measured::Measured;

/// Chance of any wrong verdict among all claims of a study.
const ERROR: f64 = 0.05;

/// What the study says about a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The whole interval lies within the claimed range.
    Supported,
    /// No part of the interval lies within the claimed range.
    Refuted,
    /// The interval is too wide for either.
    Inconclusive,
    /// The claim has no answer in this study, however many blocks it has.
    Undecidable,
}

impl Verdict {
    /// The verdict's name in files and tables.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Verdict::Supported => "supported",
            Verdict::Refuted => "refuted",
            Verdict::Inconclusive => "inconclusive",
            Verdict::Undecidable => "undecidable",
        }
    }
}

/// What the number of a claim is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClaimUnit {
    /// Shares of the gap: 1 is the whole gap.
    Share,
    /// Percent of a cell's response.
    Percent,
    /// Nanoseconds per operation.
    Ns,
}

impl ClaimUnit {
    fn of(kind: &HypothesisKind) -> ClaimUnit {
        match kind {
            HypothesisKind::Share { .. } => ClaimUnit::Share,
            HypothesisKind::Relative { .. } => ClaimUnit::Percent,
            HypothesisKind::Difference { .. } | HypothesisKind::Ordering { .. } => ClaimUnit::Ns,
        }
    }

    /// The unit's name in `effects.json`.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            ClaimUnit::Share => "share",
            ClaimUnit::Percent => "percent",
            ClaimUnit::Ns => "ns",
        }
    }
}

/// One claim, decided or not.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Decision {
    /// Name of the hypothesis.
    pub(crate) name: String,
    /// The claim in words.
    pub(crate) claim: String,
    /// Workload that it is about.
    pub(crate) workload: String,
    /// What must be measured for it to be supported, as a formula for people.
    pub(crate) range: String,
    /// What the value is in.
    pub(crate) unit: ClaimUnit,
    /// What was measured, with the interval at `confidence`; `None` when nothing was.
    pub(crate) value: Option<Estimate>,
    /// Confidence of the interval: that of the verdict, or for an open claim the one that it would have needed.
    pub(crate) confidence: f64,
    /// What the study says.
    pub(crate) verdict: Verdict,
    /// Why, for people.
    pub(crate) reason: String,
    /// Blocks that would probably decide it; `None` when it is decided or no number of blocks would.
    pub(crate) blocks_needed: Option<usize>,
}

/// Decides all claims of a study together.
///
/// Every declared claim counts for the correction, also those without an answer: which ones have one is only known
/// from the data.
pub(crate) fn decide(hypotheses: &[Hypothesis], measured: &impl Measured) -> Vec<Decision> {
    let claims: Vec<Result<Claim, String>> = hypotheses.iter().map(|h| Claim::of(h, measured)).collect();
    let mut open = claims.len();
    let mut outcomes: Vec<Option<(Outcome, f64)>> = vec![None; claims.len()];
    // Rejecting whatever can be at the present confidence until nothing can gives what Holm's order of p values gives,
    // because the confidence that is asked for only falls.
    while let Some((at, outcome)) = claims.iter().enumerate().find_map(|(at, claim)| {
        let claim = claim.as_ref().ok().filter(|_| outcomes[at].is_none())?;
        Some((at, claim.outcome(confidence(open))?))
    }) {
        outcomes[at] = Some((outcome, confidence(open)));
        open -= 1;
    }
    let last = confidence(open.max(1));
    let decisions = hypotheses.iter().zip(claims).zip(outcomes);
    decisions.map(|((hypothesis, claim), outcome)| decision(hypothesis, claim, outcome, last)).collect()
}

fn confidence(open: usize) -> f64 {
    1.0 - ERROR / open as f64
}

fn decision(
    hypothesis: &Hypothesis,
    claim: Result<Claim, String>,
    outcome: Option<(Outcome, f64)>,
    last: f64,
) -> Decision {
    let confidence = outcome.map_or(last, |(_, confidence)| confidence);
    let mut decision = Decision {
        name: hypothesis.name.clone(),
        claim: hypothesis.claim.clone(),
        workload: hypothesis.workload.clone(),
        range: claim::range(&hypothesis.kind),
        unit: ClaimUnit::of(&hypothesis.kind),
        value: None,
        confidence,
        verdict: Verdict::Undecidable,
        reason: String::new(),
        blocks_needed: None,
    };
    let claim = match claim {
        Ok(claim) => claim,
        Err(reason) => return Decision { reason, ..decision },
    };
    decision.value = claim.value(confidence);
    match outcome {
        Some((Outcome::Inside, _)) => {
            (decision.verdict, decision.reason) = (Verdict::Supported, claim.reason(Outcome::Inside));
        }
        Some((Outcome::Outside, _)) => {
            (decision.verdict, decision.reason) = (Verdict::Refuted, claim.reason(Outcome::Outside));
        }
        None => {
            decision.verdict = Verdict::Inconclusive;
            let blocks = claim.blocks();
            let needed = claim.blocks_needed(confidence);
            decision.blocks_needed =
                needed.filter(|needed| *needed <= MAX_BLOCKS as f64).map(|needed| needed.ceil() as usize);
            if blocks < MIN_BLOCKS {
                decision.blocks_needed = Some(MIN_BLOCKS);
            }
            decision.reason = match decision.blocks_needed {
                Some(_) if blocks < MIN_BLOCKS => {
                    let give = counted_verb(blocks, "block", ["gives", "give"]);
                    format!("{give} no interval, {MIN_BLOCKS} are the fewest")
                }
                Some(needed) => {
                    format!("the interval reaches over an end of the range; about {needed} blocks would do")
                }
                None => "the value lies at an end of the range, where no number of blocks decides".to_owned(),
            };
        }
    }
    decision
}

#[cfg(test)]
mod tests;
