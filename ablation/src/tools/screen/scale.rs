//! How effects are computed and shown: differences in percent of the baseline, or ratios.

use super::error::ScreenError;
use crate::analyse::Blockwise;
use ablate_format::Asked;

/// The scale of a workload's effects.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Scale {
    /// Values as they are; one percent of the baseline, positive where more is a cost.
    Differences(f64),
    /// Logarithms of the values; 1 where more is a cost, else −1.
    Ratios(f64),
}

impl Scale {
    /// The scale of a workload, by the runs of its baseline in the first `blocks` blocks.
    ///
    /// # Errors
    /// [`ScreenError::NoBaseline`].
    pub(super) fn of(asked: &Asked, workload: &Blockwise, blocks: u32) -> Result<Scale, ScreenError> {
        let is_positive = workload.cells.values().flat_map(|cell| cell.values()).all(|value| *value > 0.0);
        let values = workload.cells.get("baseline").into_iter().flatten().filter(|(block, _)| **block < blocks);
        let values: Vec<f64> = values.map(|(_, value)| *value).collect();
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        if !mean.is_normal() || (asked.ratios && !is_positive) {
            return Err(ScreenError::NoBaseline { workload: workload.workload.clone() });
        }
        Ok(match asked.ratios {
            true => Scale::Ratios(workload.response.cost_of(1.0)),
            false => Scale::Differences(workload.response.cost_of(mean.abs()) / 100.0),
        })
    }

    /// A measured value on this scale.
    pub(super) fn value(self, measured: f64) -> f64 {
        match self {
            Scale::Differences(_) => measured,
            Scale::Ratios(_) => measured.ln(),
        }
    }

    /// A difference on this scale in percent, positive where it is a cost.
    pub(super) fn percent(self, difference: f64) -> f64 {
        match self {
            Scale::Differences(one) => difference / one,
            Scale::Ratios(sign) => 100.0 * (sign * difference).exp_m1(),
        }
    }

    /// A standard error on this scale in percent.
    pub(super) fn error_percent(self, error: f64) -> f64 {
        match self {
            Scale::Differences(one) => error / one.abs(),
            Scale::Ratios(_) => 100.0 * error,
        }
    }

    /// The size of values, beside which rounding is nothing.
    pub(super) fn size(self) -> f64 {
        match self {
            Scale::Differences(one) => 100.0 * one,
            Scale::Ratios(_) => 1.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_are_costs_on_both_scales() {
        assert!((Scale::Differences(2.0).percent(5.0) - 2.5).abs() < 1e-12);
        assert!((Scale::Differences(-2.0).percent(5.0) + 2.5).abs() < 1e-12, "more of a rate saves");
        assert!((Scale::Ratios(1.0).percent(1.5_f64.ln()) - 50.0).abs() < 1e-9);
        assert!((Scale::Ratios(-1.0).percent(2.0_f64.ln()) + 50.0).abs() < 1e-9);
        assert!((Scale::Ratios(1.0).value(std::f64::consts::E) - 1.0).abs() < 1e-12);
    }
}
