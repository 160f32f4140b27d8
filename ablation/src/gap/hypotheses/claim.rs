//! A claim as numbers with draws and ranges for them.

use super::measured::Measured;
use crate::gap::intervals::excludes_zero;
use ablate_format::effects::Estimate;
use ablate_format::{Hypothesis, HypothesisKind};
use ablate_stats::bootstrap::Drawn;

/// Where an interval lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Wholly within the claimed range.
    Inside,
    /// Wholly outside of it.
    Outside,
}

/// What is claimed, with what was measured.
pub(super) enum Claim {
    /// One number lies in a range.
    Range { value: Drawn, low: f64, high: f64 },
    /// All numbers, differences of neighbours in an order, are above 0.
    Ordering { steps: Vec<Step> },
}

/// The later cell of an order minus the earlier one.
pub(super) struct Step {
    name: String,
    difference: Drawn,
}

/// What must be measured, as a formula.
pub(super) fn range(kind: &HypothesisKind) -> String {
    let between =
        |value: String, low: f64, high: f64, end: &dyn Fn(f64) -> String| match (low.is_finite(), high.is_finite()) {
            (true, true) => format!("{} ≤ {value} ≤ {}", end(low), end(high)),
            (true, false) => format!("{value} ≥ {}", end(low)),
            (false, true) => format!("{value} ≤ {}", end(high)),
            (false, false) => format!("{value}, whatever it is"),
        };
    match kind {
        HypothesisKind::Share { peer, of, low, high } => {
            let percent = |share: f64| format!("{}%", (share * 1000.0).round() / 10.0);
            between(format!("({}) / gap to {peer}", of.join(" + ")), *low, *high, &percent)
        }
        HypothesisKind::Difference { plus, minus, low_ns, high_ns } => {
            between(format!("{plus} − {minus}"), *low_ns, *high_ns, &|ns| format!("{} ns", signed(ns)))
        }
        HypothesisKind::Relative { plus, minus, low_percent, high_percent } => {
            between(format!("{plus} / {minus} − 1"), *low_percent, *high_percent, &|percent| {
                format!("{}%", signed(percent))
            })
        }
        HypothesisKind::Ordering { cells } => cells.join(" < "),
    }
}

/// A number as it is written, with a real minus sign.
fn signed(number: f64) -> String {
    number.to_string().replace('-', "−")
}

impl Claim {
    /// The numbers of a claim.
    ///
    /// # Errors
    /// Why it has no answer in this study.
    pub(super) fn of(hypothesis: &Hypothesis, measured: &impl Measured) -> Result<Claim, String> {
        let workload = &hypothesis.workload;
        let differ = || "the parts do not have common draws".to_owned();
        match &hypothesis.kind {
            HypothesisKind::Share { peer, of, low, high } => {
                let gap = measured.gap(workload, peer)?;
                let parts = of.iter().map(|part| measured.part(workload, peer, part)).collect::<Result<Vec<_>, _>>()?;
                let sum = Drawn::linear(parts.iter().map(|part| (1.0, part))).ok_or_else(differ)?;
                if gap.interval().is_some() && !excludes_zero(&gap) {
                    return Err(format!("the gap to {peer} is not told apart from 0"));
                }
                if gap.point < 0.0 {
                    return Err(format!("the baseline is faster than {peer}, there is no gap to share"));
                }
                let value = sum.combine(&gap, |part, gap| part / gap);
                Ok(Claim::Range { value, low: *low, high: *high })
            }
            HypothesisKind::Difference { plus, minus, low_ns, high_ns } => {
                let (plus, minus) = (measured.cell(workload, plus)?, measured.cell(workload, minus)?);
                let value = Drawn::linear([(1.0, &plus), (-1.0, &minus)]).ok_or_else(differ)?;
                Ok(Claim::Range { value, low: *low_ns, high: *high_ns })
            }
            HypothesisKind::Relative { plus, minus, low_percent, high_percent } => {
                let value = measured.ratio(workload, plus, minus)?.map(|ratio| 100.0 * (ratio - 1.0));
                Ok(Claim::Range { value, low: *low_percent, high: *high_percent })
            }
            HypothesisKind::Ordering { cells } => {
                let values = cells.iter().map(|cell| measured.cell(workload, cell)).collect::<Result<Vec<_>, _>>()?;
                let steps = values.windows(2).zip(cells.windows(2)).map(|(values, names)| {
                    let difference = Drawn::linear([(1.0, &values[1]), (-1.0, &values[0])]).ok_or_else(differ)?;
                    Ok(Step { name: format!("{} − {}", names[1], names[0]), difference })
                });
                Ok(Claim::Ordering { steps: steps.collect::<Result<_, String>>()? })
            }
        }
    }

    /// Where the interval lies; `None` when it lies across an end of the range.
    pub(super) fn outcome(&self, confidence: f64) -> Option<Outcome> {
        match self {
            Claim::Range { value, low, high } => {
                let (lo, hi) = value.interval_at(confidence)?;
                if *low <= lo && hi <= *high {
                    Some(Outcome::Inside)
                } else if hi < *low || *high < lo {
                    Some(Outcome::Outside)
                } else {
                    None
                }
            }
            Claim::Ordering { steps } => {
                // Every step must hold, so each has the whole error to itself, on one side (Berger, "Multiparameter
                // Hypothesis Testing and Acceptance Sampling", Technometrics 24, 1982). One step that does not hold is
                // enough to refute, so they share it.
                let lower = |step: &Step| Some(step.difference.interval_at(one_sided(confidence))?.0);
                if steps.iter().all(|step| lower(step).is_some_and(|lo| lo > 0.0)) {
                    return Some(Outcome::Inside);
                }
                let shared = 1.0 - (1.0 - confidence) / steps.len() as f64;
                let upper = |step: &Step| Some(step.difference.interval_at(one_sided(shared))?.1);
                steps.iter().any(|step| upper(step).is_some_and(|hi| hi < 0.0)).then_some(Outcome::Outside)
            }
        }
    }

    /// The number, or for an order its weakest step.
    pub(super) fn value(&self, confidence: f64) -> Option<Estimate> {
        let value = match self {
            Claim::Range { value, .. } => value,
            Claim::Ordering { .. } => &self.weakest()?.difference,
        };
        let interval = value.interval_at(confidence);
        value.point.is_finite().then_some(Estimate { value: value.point, interval, blocks: value.blocks })
    }

    fn weakest(&self) -> Option<&Step> {
        let Claim::Ordering { steps } = self else { return None };
        let in_errors = |step: &Step| step.difference.point / step.difference.standard_error().unwrap_or(1.0);
        steps.iter().min_by(|a, b| in_errors(a).total_cmp(&in_errors(b)))
    }

    /// Why it is decided as it is.
    pub(super) fn reason(&self, outcome: Outcome) -> String {
        match (self, outcome) {
            (Claim::Range { .. }, Outcome::Inside) => "the whole interval lies in the claimed range".to_owned(),
            (Claim::Range { value, low, .. }, Outcome::Outside) => {
                let side = if value.point < *low { "below" } else { "above" };
                format!("the whole interval lies {side} the claimed range")
            }
            (Claim::Ordering { .. }, outcome) => {
                let weakest = self.weakest().map_or("", |step| &step.name);
                match outcome {
                    Outcome::Inside => format!("every step is above 0, the least certain is {weakest}"),
                    Outcome::Outside => format!("{weakest} is below 0"),
                }
            }
        }
    }

    /// Blocks behind the number.
    pub(super) fn blocks(&self) -> usize {
        match self {
            Claim::Range { value, .. } => value.blocks,
            Claim::Ordering { steps } => steps.iter().map(|step| step.difference.blocks).min().unwrap_or(0),
        }
    }

    /// Blocks that would probably decide it: n · (width now / width needed)², since intervals shrink with √n.
    ///
    /// The width needed is the distance from the value to the ends of the range that the interval reaches over.
    pub(super) fn blocks_needed(&self, confidence: f64) -> Option<f64> {
        let ratio = match self {
            Claim::Range { value, low, high } => {
                let (lo, hi) = value.interval_at(confidence)?;
                let (below, above) = (value.point - lo, hi - value.point);
                if value.point < *low {
                    above / (low - value.point)
                } else if value.point > *high {
                    below / (value.point - high)
                } else {
                    (below / (value.point - low)).max(above / (high - value.point))
                }
            }
            Claim::Ordering { steps } => {
                let step = |step: &Step| {
                    let (lo, hi) = step.difference.interval_at(one_sided(confidence))?;
                    let point = step.difference.point;
                    Some(if point > 0.0 { (point - lo) / point } else { (hi - point) / -point })
                };
                // To support it takes all steps, to refute it the clearest of the wrong ones.
                let ratios = || steps.iter().map(|s| Some((s.difference.point > 0.0, step(s)?)));
                let all = ratios().collect::<Option<Vec<_>>>()?;
                if all.iter().all(|(holds, _)| *holds) {
                    all.iter().map(|(_, ratio)| *ratio).fold(0.0, f64::max)
                } else {
                    let wrong = all.iter().filter(|(holds, _)| !holds);
                    wrong.map(|(_, ratio)| *ratio).fold(f64::INFINITY, f64::min)
                }
            }
        };
        // One block more than now at the least: what is open now is not decided by what there is.
        let blocks = self.blocks() as f64;
        Some((blocks * ratio * ratio).max(blocks + 1.0)).filter(|needed| needed.is_finite())
    }
}

/// Confidence of the two-sided interval of which one end alone has the given confidence.
fn one_sided(confidence: f64) -> f64 {
    2.0 * confidence - 1.0
}
