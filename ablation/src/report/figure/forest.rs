//! A forest plot: a row for each name with its value and interval, on one axis with 0 and the noise floor.

use super::ink::{self, Drawn};
use super::rows::Rows;
use super::{Mark, Tone, range};
use plotters::element::{Circle, PathElement, Rectangle};
use plotters::style::Color;

/// One row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Row {
    /// What stands at the left.
    pub(crate) name: String,
    /// Its value; `None` where nothing is known.
    pub(crate) mark: Option<Mark>,
    /// What it says.
    pub(crate) tone: Tone,
    /// What stands at the right.
    pub(crate) text: String,
}

/// Pixels for the texts at the right.
const TEXTS: u32 = 210;

/// What the axis below the rows is of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Axis<'a> {
    /// Its name, with the unit.
    pub(crate) of: &'a str,
    /// How its numbers look.
    pub(crate) tick: fn(f64) -> String,
}

impl<'a> Axis<'a> {
    /// Plain numbers.
    pub(crate) fn of(of: &'a str) -> Axis<'a> {
        Axis { of, tick: ink::tick }
    }
}

/// Draws the rows from top to bottom. `floor` is the largest value that is noise.
pub(crate) fn draw(rows: &[Row], axis: Axis<'_>, floor: Option<f64>) -> String {
    let all = Rows::new(rows.iter().map(|row| row.name.as_str()), TEXTS);
    all.drawing(|area| fill(area, &all, rows, axis, floor))
}

fn fill(area: &ink::Area<'_>, all: &Rows, rows: &[Row], axis: Axis<'_>, floor: Option<f64>) -> Drawn {
    let floor = floor.filter(|floor| floor.is_finite());
    let ends = rows.iter().filter_map(|row| row.mark).flat_map(|mark| {
        let (lo, hi) = mark.outer.unwrap_or(mark.ends);
        [lo, hi, mark.ends.0, mark.ends.1, mark.value]
    });
    let span = range(ends.chain(floor).chain(floor.map(|floor| -floor)), Some(0.0));
    let mut chart = all.chart(area, span)?;
    if let Some(floor) = floor {
        chart.draw_series([Rectangle::new([(-floor, all.bottom()), (floor, -0.5)], ink::NOISE.filled())])?;
    }
    ink::axis(&mut chart, axis.of, axis.tick)?;
    chart.draw_series([PathElement::new(vec![(0.0, all.bottom()), (0.0, -0.5)], ink::INK)])?;
    for (at, row) in rows.iter().enumerate() {
        let y = at as f64;
        let colour = ink::of(row.tone);
        if let Some(Mark { value, ends: (lo, hi), outer }) = row.mark {
            let outer = outer.map(|(lo, hi)| PathElement::new(vec![(lo, y), (hi, y)], colour.stroke_width(1)));
            chart.draw_series(outer)?;
            chart.draw_series([PathElement::new(vec![(lo, y), (hi, y)], colour.stroke_width(3))])?;
            chart.draw_series([Circle::new((value, y), 4, colour.filled())])?;
        }
        all.label(area, &chart, at, &row.name, Some((&row.text, colour)))?;
    }
    Ok(())
}
