//! A bar from 0 for each name, such as a histogram on its side.

use super::ink::{self, Drawn};
use super::range;
use super::rows::Rows;
use plotters::element::Rectangle;
use plotters::style::Color;

/// One bar.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Bar {
    /// What stands at its left.
    pub(crate) name: String,
    /// Its length; not below 0.
    pub(crate) value: f64,
    /// What stands at its right.
    pub(crate) text: String,
}

/// Half of the height of a bar, of 1 for a row.
const HALF: f64 = 0.32;

/// Draws the bars from top to bottom.
pub(crate) fn draw(bars: &[Bar], axis: &str) -> String {
    let texts = ink::room_for(bars.iter().map(|bar| bar.text.as_str()));
    let rows = Rows::new(bars.iter().map(|bar| bar.name.as_str()), texts);
    rows.drawing(|area| fill(area, &rows, bars, axis))
}

fn fill(area: &ink::Area<'_>, rows: &Rows, bars: &[Bar], axis: &str) -> Drawn {
    let span = 0.0..range(bars.iter().map(|bar| bar.value), Some(0.0)).end;
    let mut chart = rows.chart(area, span)?;
    ink::axis(&mut chart, axis, ink::tick)?;
    for (row, bar) in bars.iter().enumerate() {
        let y = row as f64;
        chart.draw_series([Rectangle::new([(0.0, y - HALF), (bar.value, y + HALF)], ink::LINES[0].filled())])?;
        rows.label(area, &chart, row, &bar.name, Some((&bar.text, ink::MUTED)))?;
    }
    Ok(())
}
