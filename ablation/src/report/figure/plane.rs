//! Two costs of each name in one plane: time to the right, memory upwards.

use super::ink::{self, Drawn};
use super::{Mark, Tone, range};
use plotters::chart::{ChartBuilder, LabelAreaPosition};
use plotters::element::{Circle, PathElement};
use plotters::style::Color;

/// One name.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Place {
    /// What stands beside it.
    pub(crate) name: String,
    /// To the right.
    pub(crate) x: Mark,
    /// Upwards.
    pub(crate) y: Mark,
    /// What it says.
    pub(crate) tone: Tone,
}

/// Height of the drawing.
const TALL: u32 = 380;
/// Pixels for numbers at the left.
const NUMBERS: u32 = 80;

/// Draws the places around 0.
pub(crate) fn draw(places: &[Place], x_axis: &str, y_axis: &str) -> String {
    ink::drawing(TALL, |area| fill(area, places, x_axis, y_axis))
}

fn fill(area: &ink::Area<'_>, places: &[Place], x_axis: &str, y_axis: &str) -> Drawn {
    let across = range(places.iter().flat_map(|place| [place.x.ends.0, place.x.ends.1]), Some(0.0));
    let up = range(places.iter().flat_map(|place| [place.y.ends.0, place.y.ends.1]), Some(0.0));
    let mut chart = ChartBuilder::on(area)
        .margin(ink::MARGIN)
        .x_label_area_size(ink::AXIS)
        .set_label_area_size(LabelAreaPosition::Left, NUMBERS)
        .build_cartesian_2d(across.clone(), up.clone())?;
    chart
        .configure_mesh()
        .x_labels(7)
        .y_labels(6)
        .x_desc(x_axis)
        .y_desc(y_axis)
        .x_label_formatter(&|value| ink::tick(*value))
        .y_label_formatter(&|value| ink::tick(*value))
        .axis_style(ink::GRID)
        .light_line_style(plotters::style::TRANSPARENT)
        .bold_line_style(ink::GRID)
        .label_style(ink::letters(ink::MUTED))
        .draw()?;
    chart.draw_series([
        PathElement::new(vec![(0.0, up.start), (0.0, up.end)], ink::INK),
        PathElement::new(vec![(across.start, 0.0), (across.end, 0.0)], ink::INK),
    ])?;
    for place in places {
        let (x, y, colour) = (place.x, place.y, ink::of(place.tone));
        chart.draw_series([
            PathElement::new(vec![(x.ends.0, y.value), (x.ends.1, y.value)], colour.stroke_width(1)),
            PathElement::new(vec![(x.value, y.ends.0), (x.value, y.ends.1)], colour.stroke_width(1)),
        ])?;
        chart.draw_series([Circle::new((x.value, y.value), 4, colour.filled())])?;
        let at = chart.backend_coord(&(x.value, y.value));
        // Towards the middle, so that no name is cut at the edge.
        let end = if at.0 > ink::WIDTH as i32 * 2 / 3 { ink::At::End } else { ink::At::Start };
        let aside = if matches!(end, ink::At::End) { -8 } else { 8 };
        ink::write(area, ink::fitted(&place.name, 190), (at.0 + aside, at.1 - 10), end, ink::INK)?;
    }
    Ok(())
}
