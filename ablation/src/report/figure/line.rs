//! A quantity over time: a line with the ground below it.

use super::ink::{self, Drawn};
use super::range;
use plotters::chart::{ChartBuilder, LabelAreaPosition};
use plotters::element::{PathElement, Polygon};
use plotters::style::Color;

/// Height of the drawing.
const TALL: u32 = 260;
/// Pixels for numbers at the left.
const NUMBERS: u32 = 80;

/// Draws a line through points from the left to the right, over 0.
pub(crate) fn draw(points: &[(f64, f64)], x_axis: &str, y_axis: &str) -> String {
    ink::drawing(TALL, |area| fill(area, points, x_axis, y_axis))
}

fn fill(area: &ink::Area<'_>, points: &[(f64, f64)], x_axis: &str, y_axis: &str) -> Drawn {
    let first = points.first().map_or(0.0, |point| point.0);
    let last = points.last().map_or(1.0, |point| point.0);
    let across = first..if last > first { last } else { first + 1.0 };
    let up = 0.0..range(points.iter().map(|point| point.1), Some(0.0)).end;
    let mut chart = ChartBuilder::on(area)
        .margin(ink::MARGIN)
        .x_label_area_size(ink::AXIS)
        .set_label_area_size(LabelAreaPosition::Left, NUMBERS)
        .build_cartesian_2d(across, up)?;
    ink::axes(&mut chart, &ink::Axes { x: x_axis, y: y_axis, x_tick: ink::tick, has_x_lines: false })?;
    let ground = [(first, 0.0)].into_iter().chain(points.iter().copied()).chain([(last, 0.0)]);
    chart.draw_series([Polygon::new(ground.collect::<Vec<_>>(), ink::LINES[0].mix(0.15).filled())])?;
    chart.draw_series([PathElement::new(points.to_vec(), ink::LINES[0].stroke_width(2))])?;
    Ok(())
}
