//! How long a study will take, by its own preflight: what `cargo ablate plan` cannot know before the first run.

use crate::support::count::count;
use crate::support::progress::{human, note};
use std::time::Duration;

/// Time from which on it is said.
const WORTH_SAYING: Duration = Duration::from_secs(120);

/// Says how long the processes that remain will take, after `cells` of them took `time`, unless they are soon over.
pub(super) fn tell(remaining: usize, cells: usize, time: Duration) {
    expected(remaining, cells, time).iter().for_each(|line| note(line));
}

/// A sentence about the processes that remain, after `cells` of them took `time`; `None` when they are soon over.
fn expected(remaining: usize, cells: usize, time: Duration) -> Option<String> {
    let each = time.checked_div(u32::try_from(cells).ok()?)?;
    let all = each.saturating_mul(u32::try_from(remaining).unwrap_or(u32::MAX));
    let said = format!(
        "{} processes take about {}, by the {:.0} ms per process of the preflight",
        count(remaining),
        human(all),
        each.as_secs_f64() * 1e3
    );
    (all >= WORTH_SAYING).then_some(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_studies_are_told_how_long() {
        let said = expected(12_000, 10, Duration::from_millis(500)).expect("ten minutes");
        assert_eq!(said, "12,000 processes take about 10 min 0 s, by the 50 ms per process of the preflight");
        assert_eq!(expected(100, 10, Duration::from_millis(500)), None);
        assert_eq!(expected(100, 0, Duration::from_millis(500)), None);
    }
}
