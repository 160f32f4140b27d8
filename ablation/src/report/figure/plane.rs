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
    /// What is said of each.
    pub(crate) tones: [Tone; 2],
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
    let axes = ink::Axes { x: x_axis, y: y_axis, x_tick: ink::tick, has_x_lines: true };
    ink::axes(&mut chart, &axes)?;
    chart.draw_series([
        PathElement::new(vec![(0.0, up.start), (0.0, up.end)], ink::INK),
        PathElement::new(vec![(across.start, 0.0), (across.end, 0.0)], ink::INK),
    ])?;
    let mut taken: Vec<Room> = Vec::new();
    for place in places {
        let (x, y) = (place.x, place.y);
        let [across, up] = place.tones.map(ink::of);
        chart.draw_series([
            PathElement::new(vec![(x.ends.0, y.value), (x.ends.1, y.value)], across.stroke_width(1)),
            PathElement::new(vec![(x.value, y.ends.0), (x.value, y.ends.1)], up.stroke_width(1)),
        ])?;
        chart.draw_series([Circle::new((x.value, y.value), 4, ink::INK.filled())])?;
        let (x, y) = chart.backend_coord(&(x.value, y.value));
        taken.push(Room { left: x - 4, right: x + 4, top: y - 4, bottom: y + 4 });
    }
    for place in places {
        let at = chart.backend_coord(&(place.x.value, place.y.value));
        let name = ink::fitted(&place.name, 190);
        let width = ink::room_for([name.as_str()]) as i32 - 16;
        let rooms = AROUND.iter().map(|(aside, above)| Room::of_text(at, *aside, *above, width));
        let Some(room) =
            rooms.into_iter().find(|room| room.is_inside() && !taken.iter().any(|other| room.meets(other)))
        else {
            continue;
        };
        ink::write(area, name, (room.left, (room.top + room.bottom) / 2), ink::At::Start, ink::INK)?;
        taken.push(room);
    }
    Ok(())
}

/// Where a name may stand: to the right or to the left of its point, and how far above it; the nearest first.
const AROUND: [(bool, i32); 10] = [
    (true, 10),
    (false, 10),
    (true, -10),
    (false, -10),
    (true, 24),
    (false, 24),
    (true, -24),
    (false, -24),
    (true, 38),
    (false, -38),
];

/// The room of a text, in pixels.
#[derive(Debug, Clone, Copy)]
struct Room {
    left: i32,
    right: i32,
    top: i32,
    bottom: i32,
}

impl Room {
    fn of_text((x, y): (i32, i32), is_right: bool, above: i32, width: i32) -> Room {
        let left = if is_right { x + 8 } else { x - 8 - width };
        Room { left, right: left + width, top: y - above - 7, bottom: y - above + 7 }
    }

    fn is_inside(&self) -> bool {
        self.left >= NUMBERS as i32
            && self.right <= ink::WIDTH as i32
            && self.top >= 0
            && self.bottom <= (TALL - ink::AXIS) as i32
    }

    fn meets(&self, other: &Room) -> bool {
        self.left < other.right && other.left < self.right && self.top < other.bottom && other.top < self.bottom
    }
}
