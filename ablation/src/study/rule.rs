//! The rule for ending an adaptive study: how narrow its intervals must be, and how long it may take.
//!
//! The rule looks at widths and at the clock, never at effects. A study that stopped as soon as an effect showed would
//! find effects that do not exist. A comparison of two revisions may end by its change as well, by looks that share one
//! error ([`super::watch`]).

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// When to stop. At least one of both is given.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rule {
    /// Half-width that every interval must have come down to.
    pub(crate) width: Option<HalfWidth>,
    /// Time from the first timing process.
    pub(crate) budget: Option<Budget>,
}

/// Half of the width of a 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum HalfWidth {
    /// Nanoseconds per operation.
    Nanoseconds(f64),
    /// Share of the baseline's value, 0.01 for `1%`.
    Share(f64),
}

impl HalfWidth {
    /// In nanoseconds per operation, for a baseline of so many.
    pub(crate) fn nanoseconds(self, baseline_ns: f64) -> f64 {
        match self {
            HalfWidth::Nanoseconds(ns) => ns,
            HalfWidth::Share(share) => share * baseline_ns,
        }
    }
}

impl FromStr for HalfWidth {
    type Err = String;

    fn from_str(text: &str) -> Result<HalfWidth, String> {
        let (number, unit) = number_and_unit(text);
        let number = number.filter(|number| *number > 0.0);
        match (number, unit) {
            (Some(number), "ns") => Ok(HalfWidth::Nanoseconds(number)),
            (Some(number), "us" | "µs") => Ok(HalfWidth::Nanoseconds(number * 1e3)),
            (Some(number), "ms") => Ok(HalfWidth::Nanoseconds(number * 1e6)),
            (Some(number), "%") => Ok(HalfWidth::Share(number / 100.0)),
            _ => Err("write a number above 0 with ns, us, ms or %, like 0.5ns or 1%".to_owned()),
        }
    }
}

impl fmt::Display for HalfWidth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HalfWidth::Nanoseconds(ns) => write!(f, "{ns}ns"),
            HalfWidth::Share(share) => write!(f, "{}%", share * 100.0),
        }
    }
}

/// Time that a study may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Budget(pub Duration);

impl FromStr for Budget {
    type Err = String;

    fn from_str(text: &str) -> Result<Budget, String> {
        let (number, unit) = number_and_unit(text);
        let seconds = match unit {
            "s" => Some(1.0),
            "m" => Some(60.0),
            "h" => Some(3600.0),
            _ => None,
        };
        let time = number.zip(seconds).map(|(number, seconds)| number * seconds);
        // A month. Longer times are typing errors.
        match time.filter(|time| (0.1..=2_678_400.0).contains(time)) {
            Some(time) => Ok(Budget(Duration::from_secs_f64(time))),
            None => Err("write a number with s, m or h, like 90s or 2m".to_owned()),
        }
    }
}

impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.0.as_secs_f64())
    }
}

fn number_and_unit(text: &str) -> (Option<f64>, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !(c.is_ascii_digit() || c == '.')).unwrap_or(text.len());
    (text[..end].parse().ok().filter(|number: &f64| number.is_finite()), text[end..].trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_and_budgets_are_read_with_their_units() {
        let width = |text: &str| text.parse::<HalfWidth>().ok();
        assert_eq!(width("0.5ns"), Some(HalfWidth::Nanoseconds(0.5)));
        assert_eq!(width("2 us"), Some(HalfWidth::Nanoseconds(2000.0)));
        assert_eq!(width("1ms"), Some(HalfWidth::Nanoseconds(1e6)));
        assert_eq!(width("1%"), Some(HalfWidth::Share(0.01)));
        for wrong in ["", "5", "ns", "0ns", "-1ns", "1s", "1e3ns", "..ns", "inf%"] {
            assert_eq!(width(wrong), None, "{wrong}");
        }
        let budget = |text: &str| text.parse::<Budget>().ok().map(|budget| budget.0.as_secs());
        assert_eq!((budget("90s"), budget("2m"), budget("1.5h")), (Some(90), Some(120), Some(5400)));
        for wrong in ["", "90", "0s", "2 days", "-1m", "1e9h", "99999h"] {
            assert_eq!(budget(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        for width in ["0.5ns", "2us", "3%"].map(|text| text.parse::<HalfWidth>().expect("good")) {
            assert_eq!(width.to_string().parse(), Ok(width));
        }
        let budget: Budget = "2m".parse().expect("good");
        assert_eq!(budget.to_string().parse(), Ok(budget));
        assert_eq!(HalfWidth::Share(0.01).nanoseconds(50.0), 0.5);
    }
}
