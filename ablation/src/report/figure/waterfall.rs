//! A waterfall: from a peer to the subject in steps, each of which begins where the one before ended.

use super::ink::{self, Drawn};
use super::rows::Rows;
use super::{Tone, range};
use plotters::element::{PathElement, Rectangle};
use plotters::style::Color;

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    /// What stands at the left.
    pub(crate) name: String,
    /// How far it goes.
    pub(crate) value: f64,
    /// What it says.
    pub(crate) tone: Tone,
    /// What stands at the right.
    pub(crate) text: String,
}

/// Pixels for the texts at the right.
const TEXTS: u32 = 210;

/// Draws steps from 0, where the peer named `from` stands, and the sum of all, which is named `to`.
pub(crate) fn draw(from: &str, steps: &[Step], to: &str, total: &str, axis: &str) -> String {
    let all = Rows::new([from].into_iter().chain(steps.iter().map(|step| step.name.as_str())).chain([to]), TEXTS);
    all.drawing(|area| fill(area, &all, (from, steps, to), total, axis))
}

fn fill(area: &ink::Area<'_>, all: &Rows, (from, steps, to): (&str, &[Step], &str), total: &str, axis: &str) -> Drawn {
    let mut at = 0.0;
    let places: Vec<(f64, f64)> = steps
        .iter()
        .map(|step| {
            (at, {
                at += step.value;
                at
            })
        })
        .collect();
    let span = range(places.iter().flat_map(|(start, end)| [*start, *end]), Some(0.0));
    let last = all.bottom();
    let mut chart = all.chart(area, span)?;
    ink::axis(&mut chart, axis, ink::tick)?;
    chart.draw_series([PathElement::new(vec![(0.0, last), (0.0, -0.5)], ink::INK)])?;
    let rows = places.iter().zip(steps).enumerate();
    for (row, ((start, end), step)) in rows {
        let y = row as f64 + 1.0;
        let bar = Rectangle::new([(*start, y - 0.32), (*end, y + 0.32)], ink::of(step.tone).filled());
        chart.draw_series([bar])?;
        // From the end of this step to the next one.
        chart.draw_series([PathElement::new(vec![(*end, y + 0.32), (*end, y + 0.68)], ink::MUTED)])?;
    }
    let sum = Rectangle::new([(0.0, last - 0.82), (at, last - 0.18)], ink::LINES[0].filled());
    chart.draw_series([sum])?;
    let texts = std::iter::once((from, "")).chain(steps.iter().map(|step| (step.name.as_str(), step.text.as_str())));
    for (row, (name, text)) in texts.chain([(to, total)]).enumerate() {
        all.label(area, &chart, row, name, Some((text, ink::INK)))?;
    }
    Ok(())
}
