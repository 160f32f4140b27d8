//! A heat map: a value for each pair of names, stronger colours for larger ones.

use super::Tone;
use super::ink::{self, Drawn};
use plotters::element::Rectangle;
use plotters::style::Color;

/// Pixels of a square.
const SQUARE: u32 = 56;
/// Pixels for the names above.
const ABOVE: u32 = 28;

/// A square of the map.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Square {
    /// The names that it stands for, by their numbers.
    pub(crate) pair: (usize, usize),
    /// Its value.
    pub(crate) value: f64,
    /// What stands in it.
    pub(crate) text: String,
    /// Whether it is told apart from 0.
    pub(crate) is_found: bool,
}

/// How many names fit side by side.
pub(crate) fn most(names: &[String]) -> usize {
    let numbered = numbered(names);
    ((ink::WIDTH - ink::room_for(numbered.iter().map(String::as_str)) - 2 * ink::MARGIN) / SQUARE) as usize
}

/// Draws the squares below the diagonal. Columns are numbered, and rows have the numbers before their names.
pub(crate) fn draw(names: &[String], squares: &[Square]) -> String {
    let height = names.len() as u32 * SQUARE.min(36) + ABOVE + 2 * ink::MARGIN;
    ink::drawing(height, |area| fill(area, names, squares))
}

fn numbered(names: &[String]) -> Vec<String> {
    names.iter().enumerate().map(|(at, name)| format!("{} {name}", at + 1)).collect()
}

fn fill(area: &ink::Area<'_>, names: &[String], squares: &[Square]) -> Drawn {
    let numbered = numbered(names);
    let room = ink::room_for(numbered.iter().map(String::as_str));
    let (left, top, tall) = ((room + ink::MARGIN) as i32, (ABOVE + ink::MARGIN) as i32, SQUARE.min(36) as i32);
    let strongest = squares.iter().map(|square| square.value.abs()).fold(f64::MIN_POSITIVE, f64::max);
    for (at, name) in numbered.iter().enumerate() {
        let middle = top + at as i32 * tall + tall / 2;
        ink::write(area, ink::fitted(name, room), (left - 8, middle), ink::At::End, ink::INK)?;
        let above = (left + at as i32 * SQUARE as i32 + SQUARE as i32 / 2, top - 12);
        ink::write(area, (at + 1).to_string(), above, ink::At::Middle, ink::MUTED)?;
    }
    for square in squares {
        let (row, column) = (square.pair.0.max(square.pair.1) as i32, square.pair.0.min(square.pair.1) as i32);
        let (x, y) = (left + column * SQUARE as i32, top + row * tall);
        let tone = match square.is_found {
            false => Tone::Open,
            true if square.value > 0.0 => Tone::Cost,
            true => Tone::Saving,
        };
        let strength = if square.is_found { 0.15 + 0.45 * square.value.abs() / strongest } else { 0.08 };
        let corners = [(x + 1, y + 1), (x + SQUARE as i32 - 1, y + tall - 1)];
        area.draw(&Rectangle::new(corners, ink::of(tone).mix(strength).filled()))?;
        let middle = (x + SQUARE as i32 / 2, y + tall / 2);
        ink::write(area, square.text.clone(), middle, ink::At::Middle, ink::INK)?;
    }
    Ok(())
}
