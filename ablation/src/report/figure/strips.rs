//! What every block measured: a strip of points for each cell, and the same over the blocks in their order.

use super::ink::{self, Drawn};
use super::rows::Rows;
use super::{Mark, range};
use plotters::chart::{ChartBuilder, LabelAreaPosition};
use plotters::element::{Circle, PathElement};
use plotters::style::{Color, RGBColor};

/// The values of one cell, by block.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Strip {
    /// The cell.
    pub(crate) name: String,
    /// Block and value.
    pub(crate) values: Vec<(u32, f64)>,
    /// What is said of it: the median over blocks.
    pub(crate) mark: Option<Mark>,
}

/// Height of the drawing over blocks.
const TALL: u32 = 240;
/// Pixels for numbers at the left.
const NUMBERS: u32 = 70;

/// Draws a row of points for each cell.
pub(crate) fn spread(strips: &[Strip], axis: &str) -> String {
    let all = Rows::new(strips.iter().map(|strip| strip.name.as_str()), 0);
    all.drawing(|area| fill_spread(area, &all, strips, axis))
}

fn fill_spread(area: &ink::Area<'_>, all: &Rows, strips: &[Strip], axis: &str) -> Drawn {
    let span = range(strips.iter().flat_map(|strip| &strip.values).map(|(_, value)| *value), None);
    let mut chart = all.chart(area, span)?;
    ink::axis(&mut chart, axis, ink::tick)?;
    for (at, strip) in strips.iter().enumerate() {
        let y = at as f64;
        let points =
            strip.values.iter().map(|(_, value)| Circle::new((*value, y), 3, ink::LINES[0].mix(0.35).filled()));
        chart.draw_series(points)?;
        if let Some(Mark { value, ends: (lo, hi), .. }) = strip.mark {
            chart.draw_series([PathElement::new(vec![(lo, y), (hi, y)], ink::INK.stroke_width(2))])?;
            chart
                .draw_series([PathElement::new(vec![(value, y - 0.3), (value, y + 0.3)], ink::INK.stroke_width(2))])?;
        }
        all.label(area, &chart, at, &strip.name, None)?;
    }
    Ok(())
}

/// How many cells can be told apart over blocks.
pub(crate) const LINES_MAX: usize = ink::LINES.len();

/// Draws a line for each of at most [`LINES_MAX`] cells over the blocks, in the order in which they ran.
pub(crate) fn over_blocks(strips: &[Strip], axis: &str) -> String {
    ink::drawing(TALL + ink::ROW, |area| fill_over_blocks(area, &strips[..strips.len().min(LINES_MAX)], axis))
}

fn fill_over_blocks(area: &ink::Area<'_>, strips: &[Strip], axis: &str) -> Drawn {
    let (above, below) = area.split_vertically(ink::ROW);
    let all = || strips.iter().flat_map(|strip| &strip.values);
    let last = all().map(|(block, _)| *block).max().unwrap_or(0);
    let mut chart = ChartBuilder::on(&below)
        .margin(ink::MARGIN)
        .x_label_area_size(ink::AXIS)
        .set_label_area_size(LabelAreaPosition::Left, NUMBERS)
        .build_cartesian_2d(-0.5..f64::from(last) + 0.5, range(all().map(|(_, value)| *value), None))?;
    ink::axes(&mut chart, &ink::Axes { x: "block", y: axis, x_tick: ink::whole, has_x_lines: false })?;
    let mut x = (NUMBERS + ink::MARGIN) as i32;
    for (strip, colour) in strips.iter().zip(ink::LINES) {
        line(&mut chart, strip, colour)?;
        let name = ink::fitted(&strip.name, 150);
        above.draw(&Circle::new((x + 5, ink::ROW as i32 / 2), 4, colour.filled()))?;
        ink::write(&above, name, (x + 15, ink::ROW as i32 / 2), ink::At::Start, ink::INK)?;
        x += 165;
    }
    Ok(())
}

fn line(chart: &mut ink::Chart<'_, '_>, strip: &Strip, colour: RGBColor) -> Drawn {
    let places: Vec<(f64, f64)> = strip.values.iter().map(|(block, value)| (f64::from(*block), *value)).collect();
    chart.draw_series(places.iter().map(|place| Circle::new(*place, 3, colour.filled())))?;
    chart.draw_series([PathElement::new(places, colour.stroke_width(1))])?;
    Ok(())
}
