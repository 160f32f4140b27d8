//! What the interval of 95 % of a number says.

use ablate_format::effects::Estimate;
use ablate_stats::bootstrap::Drawn;

/// The value with its interval of 95 %.
pub(super) fn estimate(drawn: &Drawn) -> Estimate {
    Estimate { value: drawn.point, interval: drawn.interval(), blocks: drawn.blocks }
}

/// Whether the interval of 95 % lies on one side of 0.
pub(super) fn excludes_zero(drawn: &Drawn) -> bool {
    drawn.interval().is_some_and(|(lo, hi)| lo > 0.0 || hi < 0.0)
}

/// Whether there is a gap to have shares of: its interval of 95 % lies above 0. An advantage has none.
pub(super) fn is_gap(drawn: &Drawn) -> bool {
    drawn.interval().is_some_and(|(lo, _)| lo > 0.0)
}
