//! What drawings with a row for each name share: their height, their chart, and the texts at both ends of a row.

use super::ink::{self, Drawn};
use plotters::chart::{ChartBuilder, LabelAreaPosition};
use plotters::drawing::DrawingAreaErrorKind;
use plotters::style::RGBColor;
use std::ops::Range;

/// Rows from top to bottom, the first one around 0.
pub(super) struct Rows {
    /// How many there are.
    count: usize,
    /// Pixels for the names at the left, and for the texts at the right.
    names: u32,
    texts: u32,
}

impl Rows {
    /// One row for each name. `texts` is the room at the right.
    pub(super) fn new<'n>(names: impl Iterator<Item = &'n str> + Clone, texts: u32) -> Rows {
        Rows { count: names.clone().count(), names: ink::room_for(names), texts }
    }

    /// The drawing of all rows with their axis.
    pub(super) fn drawing(&self, fill: impl FnOnce(&ink::Area<'_>) -> Drawn) -> String {
        ink::drawing(self.count as u32 * ink::ROW + ink::AXIS + 2 * ink::MARGIN, fill)
    }

    /// The lowest end of the last row.
    pub(super) fn bottom(&self) -> f64 {
        self.count as f64 - 0.5
    }

    /// The chart, whose values go from left to right.
    pub(super) fn chart<'a, 'b>(
        &self,
        area: &'a ink::Area<'b>,
        span: Range<f64>,
    ) -> Result<ink::Chart<'a, 'b>, DrawingAreaErrorKind<std::io::Error>> {
        ChartBuilder::on(area)
            .margin(ink::MARGIN)
            .x_label_area_size(ink::AXIS)
            .set_label_area_size(LabelAreaPosition::Left, self.names)
            .set_label_area_size(LabelAreaPosition::Right, self.texts)
            .build_cartesian_2d(span, self.bottom()..-0.5)
    }

    /// Writes the name of a row, and its text where it has one.
    pub(super) fn label(
        &self,
        area: &ink::Area<'_>,
        chart: &ink::Chart<'_, '_>,
        row: usize,
        name: &str,
        text: Option<(&str, RGBColor)>,
    ) -> Drawn {
        let (span, y) = (chart.x_range(), row as f64);
        let (left, right) = (chart.backend_coord(&(span.start, y)), chart.backend_coord(&(span.end, y)));
        ink::write(area, ink::fitted(name, self.names), (left.0 - 8, left.1), ink::At::End, ink::INK)?;
        text.map_or(Ok(()), |(text, colour)| {
            ink::write(area, text.to_owned(), (right.0 + 8, right.1), ink::At::Start, colour)
        })
    }
}
