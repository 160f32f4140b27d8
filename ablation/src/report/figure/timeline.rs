//! A series over results: a point with its interval for each, the level between changes, and where it changes.

use super::ink::{self, Drawn};
use super::{Mark, Tone, range};
use plotters::chart::{ChartBuilder, LabelAreaPosition};
use plotters::element::{Circle, PathElement};
use plotters::style::Color;

/// A change between two points.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Change {
    /// Index of the first point after it.
    pub(crate) at: usize,
    /// What stands beside it.
    pub(crate) name: String,
    /// What it says.
    pub(crate) tone: Tone,
}

/// A stretch of points of one level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Level {
    /// Index of its first point, and one more than that of its last.
    pub(crate) points: (usize, usize),
    /// The level.
    pub(crate) value: f64,
}

/// Height of the drawing.
const TALL: u32 = 240;
/// Pixels for numbers at the left.
const NUMBERS: u32 = 80;
/// Room for a name beside a change.
const NAME: u32 = 130;

/// Draws the points from the oldest to the newest.
pub(crate) fn draw(points: &[Mark], levels: &[Level], changes: &[Change], axis: &str) -> String {
    ink::drawing(TALL + ink::ROW, |area| fill(area, points, levels, changes, axis))
}

fn fill(area: &ink::Area<'_>, points: &[Mark], levels: &[Level], changes: &[Change], axis: &str) -> Drawn {
    let (above, below) = area.split_vertically(ink::ROW);
    let up = range(points.iter().flat_map(|point| [point.value, point.ends.0, point.ends.1]), None);
    let last = points.len().max(1) as f64;
    let mut chart = ChartBuilder::on(&below)
        .margin(ink::MARGIN)
        .x_label_area_size(ink::AXIS)
        .set_label_area_size(LabelAreaPosition::Left, NUMBERS)
        .build_cartesian_2d(0.5..last + 0.5, up.clone())?;
    let x = "result, from the oldest to the newest";
    ink::axes(&mut chart, &ink::Axes { x, y: axis, x_tick: ink::whole, has_x_lines: false })?;
    for level in levels {
        let (start, end) = (level.points.0 as f64 + 0.5, level.points.1 as f64 + 0.5);
        let line = PathElement::new(vec![(start, level.value), (end, level.value)], ink::MUTED.stroke_width(2));
        chart.draw_series([line])?;
    }
    for change in changes {
        let (at, colour) = (change.at as f64 + 0.5, ink::of(change.tone));
        chart.draw_series([PathElement::new(vec![(at, up.start), (at, up.end)], colour.stroke_width(1))])?;
        let place = chart.backend_coord(&(at, up.end));
        // Towards the middle, so that no name is cut at the edge.
        let end = if place.0 > ink::WIDTH as i32 / 2 { ink::At::End } else { ink::At::Start };
        let aside = if matches!(end, ink::At::End) { -4 } else { 4 };
        ink::write(&above, ink::fitted(&change.name, NAME), (place.0 + aside, ink::ROW as i32 / 2), end, colour)?;
    }
    for (at, point) in points.iter().enumerate() {
        let x = (at + 1) as f64;
        let ends = PathElement::new(vec![(x, point.ends.0), (x, point.ends.1)], ink::LINES[0].mix(0.5).stroke_width(1));
        chart.draw_series([ends])?;
        chart.draw_series([Circle::new((x, point.value), 3, ink::LINES[0].filled())])?;
    }
    Ok(())
}
