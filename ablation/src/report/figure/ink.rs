//! What drawings are made with: sizes, the colours by role, text, and the axis that most of them share.

use super::Tone;
use crate::report::number::{count, number};
use crate::support::text::printable;
use plotters::backend::SVGBackend;
use plotters::chart::ChartContext;
use plotters::coord::Shift;
use plotters::coord::cartesian::Cartesian2d;
use plotters::coord::types::RangedCoordf64;
use plotters::drawing::{DrawingArea, DrawingAreaErrorKind, IntoDrawingArea};
use plotters::element::Text;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{IntoFont, RGBColor, TextStyle};
use unicode_width::UnicodeWidthStr;

/// Width of every drawing, in pixels.
pub(crate) const WIDTH: u32 = 760;
/// Height of a row of a drawing with a row for each name.
pub(crate) const ROW: u32 = 24;
/// Room at the edges, and below for the axis.
pub(crate) const MARGIN: u32 = 10;
pub(crate) const AXIS: u32 = 42;
/// Pixels of a letter: an estimate, since no font is at hand.
const LETTER: u32 = 7;
/// Most pixels for the names at the left.
const NAMES_MAX: u32 = 260;
/// Size of letters, in what the plotting library counts in.
const TEXT: u32 = 15;

/// Text and axes.
pub(crate) const INK: RGBColor = RGBColor(31, 35, 40);
/// Numbers at axes.
pub(crate) const MUTED: RGBColor = RGBColor(89, 99, 110);
/// Lines of a grid.
pub(crate) const GRID: RGBColor = RGBColor(209, 217, 224);
/// What lies within the noise.
pub(crate) const NOISE: RGBColor = RGBColor(232, 236, 240);
/// What costs, what saves, and what is open.
pub(crate) const COST: RGBColor = RGBColor(180, 35, 24);
pub(crate) const SAVING: RGBColor = RGBColor(20, 108, 67);
pub(crate) const OPEN: RGBColor = RGBColor(106, 115, 125);
/// Lines that are told apart.
pub(crate) const LINES: [RGBColor; 4] =
    [RGBColor(9, 105, 218), RGBColor(154, 103, 0), RGBColor(130, 80, 223), RGBColor(17, 99, 41)];

/// The roles with their names in a page's rules.
pub(crate) const ROLES: [(&str, RGBColor); 11] = [
    ("ink", INK),
    ("muted", MUTED),
    ("grid", GRID),
    ("noise", NOISE),
    ("cost", COST),
    ("saving", SAVING),
    ("open", OPEN),
    ("line-1", LINES[0]),
    ("line-2", LINES[1]),
    ("line-3", LINES[2]),
    ("line-4", LINES[3]),
];

/// The colour of a tone.
pub(crate) fn of(tone: Tone) -> RGBColor {
    match tone {
        Tone::Cost => COST,
        Tone::Saving => SAVING,
        Tone::Open => OPEN,
    }
}

/// A colour as a drawing has it: `#1F2328`.
pub(crate) fn hex(RGBColor(red, green, blue): RGBColor) -> String {
    format!("#{red:02X}{green:02X}{blue:02X}")
}

pub(crate) type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
pub(crate) type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Why a drawing failed. Text is written to memory, so that none does.
pub(crate) type Drawn = Result<(), DrawingAreaErrorKind<std::io::Error>>;

/// A drawing of this height. `draw` fills it.
pub(crate) fn drawing(height: u32, draw: impl FnOnce(&Area<'_>) -> Drawn) -> String {
    let mut svg = String::new();
    let area = SVGBackend::with_string(&mut svg, (WIDTH, height)).into_drawing_area();
    // A range without numbers is the only thing that could be refused, and `range` gives none.
    let drawn = draw(&area).and_then(|()| area.present());
    drop(area);
    debug_assert!(drawn.is_ok(), "{drawn:?}");
    svg
}

/// Room for names at the left of a drawing.
pub(crate) fn room_for<'n>(names: impl IntoIterator<Item = &'n str>) -> u32 {
    let longest = names.into_iter().map(UnicodeWidthStr::width).max().unwrap_or(0) as u32;
    (longest * LETTER + 16).min(NAMES_MAX)
}

/// A name that fits into `room` pixels, cut in its midst.
pub(crate) fn fitted(name: &str, room: u32) -> String {
    let most = (room.saturating_sub(16) / LETTER) as usize;
    let letters: Vec<char> = name.chars().collect();
    if letters.len() <= most || most < 3 {
        return name.to_owned();
    }
    let (first, last) = ((most - 1).div_ceil(2), (most - 1) / 2);
    letters[..first].iter().chain(['…'].iter()).chain(&letters[letters.len() - last..]).collect()
}

/// Letters of a colour.
pub(crate) fn letters(colour: RGBColor) -> TextStyle<'static> {
    ("sans-serif", TEXT).into_font().color(&colour)
}

/// Which end of a text a place is at.
#[derive(Debug, Clone, Copy)]
pub(crate) enum At {
    Start,
    Middle,
    End,
}

/// Writes a text at a place, which is half of its height.
pub(crate) fn write(area: &Area<'_>, text: String, place: (i32, i32), at: At, colour: RGBColor) -> Drawn {
    let end = match at {
        At::Start => HPos::Left,
        At::Middle => HPos::Center,
        At::End => HPos::Right,
    };
    area.draw(&Text::new(printable(&text), place, letters(colour).pos(Pos::new(end, VPos::Center))))
}

/// Draws a horizontal axis with lines up from its numbers, and what it is of.
pub(crate) fn axis(chart: &mut Chart<'_, '_>, of: &str, tick: fn(f64) -> String) -> Drawn {
    chart
        .configure_mesh()
        .disable_y_mesh()
        .disable_y_axis()
        .x_labels(7)
        .x_desc(of)
        .x_label_formatter(&|value| tick(*value))
        .axis_style(GRID)
        .light_line_style(plotters::style::TRANSPARENT)
        .bold_line_style(GRID)
        .label_style(letters(MUTED))
        .draw()
}

/// The axes of a drawing in which both directions have numbers.
pub(crate) struct Axes<'a> {
    /// What the horizontal one is of.
    pub(crate) x: &'a str,
    /// What the vertical one is of.
    pub(crate) y: &'a str,
    /// How the numbers of the horizontal one look.
    pub(crate) x_tick: fn(f64) -> String,
    /// Whether lines go up from them.
    pub(crate) has_x_lines: bool,
}

/// Draws both axes.
pub(crate) fn axes(chart: &mut Chart<'_, '_>, axes: &Axes<'_>) -> Drawn {
    let x_tick = |value: &f64| (axes.x_tick)(*value);
    let mut mesh = chart.configure_mesh();
    if !axes.has_x_lines {
        mesh.disable_x_mesh();
    }
    mesh.x_labels(8)
        .y_labels(6)
        .x_desc(axes.x)
        .y_desc(axes.y)
        .x_label_formatter(&x_tick)
        .y_label_formatter(&|value| tick(*value))
        .axis_style(GRID)
        .light_line_style(plotters::style::TRANSPARENT)
        .bold_line_style(GRID)
        .label_style(letters(MUTED))
        .draw()
}

/// A whole number at an axis; nothing between two of them.
pub(crate) fn whole(value: f64) -> String {
    if value.fract() == 0.0 { tick(value) } else { String::new() }
}

/// A number at an axis, without zeros at its end. What is left of 0 after the library's own sums is 0.
pub(crate) fn tick(value: f64) -> String {
    match number(value).as_str() {
        "0.00" | "<0.01" | ">−0.01" => "0".to_owned(),
        text if text.contains('.') => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        text => text.to_owned(),
    }
}

/// A number at an axis of doublings: how many times the whole is.
pub(crate) fn times(doublings: f64) -> String {
    match doublings {
        _ if doublings.fract() != 0.0 || doublings.abs() > 30.0 => format!("{}×", tick(doublings.exp2())),
        _ if doublings < 0.0 => format!("1/{}×", count(doublings.abs().exp2() as usize)),
        _ => format!("{}×", count(doublings.exp2() as usize)),
    }
}
