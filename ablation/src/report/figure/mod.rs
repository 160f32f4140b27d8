//! Figures as SVG: plain values in, one drawing out.
//!
//! Every colour has a role, and each role one value of its own ([`ink`]). A drawing is right as a file on white ground; a
//! page gives the roles other colours in the dark, by rules for these values.

pub(crate) mod bars;
pub(crate) mod forest;
pub(crate) mod grid;
pub(crate) mod ink;
pub(crate) mod line;
pub(crate) mod plane;
mod rows;
pub(crate) mod strips;
pub(crate) mod timeline;
pub(crate) mod waterfall;

/// A value with its interval, as it is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Mark {
    /// The value.
    pub(crate) value: f64,
    /// The ends of its interval; the value itself where there is none.
    pub(crate) ends: (f64, f64),
    /// The ends of a wider one, where there is another.
    pub(crate) outer: Option<(f64, f64)>,
}

impl Mark {
    pub(crate) fn new(value: f64, interval: Option<(f64, f64)>) -> Mark {
        Mark { value, ends: interval.unwrap_or((value, value)), outer: None }
    }
}

/// What a mark says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// It costs.
    Cost,
    /// It saves.
    Saving,
    /// Nothing is claimed.
    Open,
}

/// A range that holds all values and `always`, with a margin at both ends.
fn range(values: impl IntoIterator<Item = f64>, always: Option<f64>) -> std::ops::Range<f64> {
    let finite = values.into_iter().chain(always).filter(|value| value.is_finite());
    let (lo, hi) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), value| (lo.min(value), hi.max(value)));
    if lo > hi {
        return 0.0..1.0;
    }
    let margin = match hi - lo {
        width if width > 0.0 => width * 0.06,
        _ => hi.abs().max(1.0) * 0.1,
    };
    lo - margin..hi + margin
}

#[cfg(test)]
mod tests;
