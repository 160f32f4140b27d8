//! Every drawing is drawn, whatever the values, and has what it is given.

use super::bars::{self, Bar};
use super::forest::{self, Axis, Row};
use super::grid::{self, Square};
use super::line;
use super::plane::{self, Place};
use super::strips::{self, Strip};
use super::timeline;
use super::waterfall::{self, Step};
use super::{Mark, Tone, ink, range};

fn row(name: &str, value: f64, ends: (f64, f64)) -> Row {
    Row { name: name.to_owned(), mark: Some(Mark::new(value, Some(ends))), tone: Tone::Cost, text: format!("{value}") }
}

/// A drawing is one SVG, of the width of all, without a number that is none.
fn assert_whole(svg: &str) {
    assert!(svg.starts_with("<svg width=\"760\"") && svg.trim_end().ends_with("</svg>"), "{svg}");
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    assert_eq!(svg.matches("<svg").count(), 1);
}

#[test]
fn a_forest_plot_has_a_row_for_each_name_and_the_noise_floor() {
    let rows = [row("elo", 10.6, (9.29, 11.5)), row("header", -5.67, (-6.36, -4.67))];
    let svg = forest::draw(&rows, Axis::of("ns/op p10"), Some(1.5));
    assert_whole(&svg);
    for text in ["elo", "header", "10.6", "-5.67", "ns/op p10"] {
        assert!(svg.contains(&format!("\n{text}\n")), "{text}: {svg}");
    }
    assert_eq!(svg.matches("<circle").count(), 2);
    assert!(svg.contains(&ink::hex(ink::NOISE)), "the floor");
    assert!(!forest::draw(&rows, Axis::of(""), None).contains(&ink::hex(ink::NOISE)));
    // A row of which nothing is known has its name alone.
    let unknown = Row { mark: None, ..rows[0].clone() };
    assert_eq!(forest::draw(&[unknown], Axis::of(""), None).matches("<circle").count(), 0);
}

#[test]
fn bars_and_lines_are_drawn_whatever_the_values() {
    let bar = |name: &str, value: f64| Bar { name: name.to_owned(), value, text: format!("{value} of all") };
    let svg = bars::draw(&[bar("64 B", 5.0), bar("4 KiB", 0.0)], "objects");
    assert_whole(&svg);
    for text in ["64 B", "4 KiB", "5 of all", "objects"] {
        assert!(svg.contains(&format!("\n{text}\n")), "{text}: {svg}");
    }
    assert_whole(&bars::draw(&[], ""));
    let svg = line::draw(&[(0.0, 1.0), (0.5, 3.0), (1.0, 2.0)], "seconds", "MiB");
    assert_whole(&svg);
    assert!(svg.contains("\nseconds\n") && svg.contains("<polygon"), "{svg}");
    for few in [&[][..], &[(0.0, 0.0)], &[(1.0, 5.0), (1.0, 5.0)]] {
        assert_whole(&line::draw(few, "", ""));
    }
}

#[test]
fn the_steps_of_a_waterfall_end_where_their_sum_does() {
    let step =
        |name: &str, value: f64| Step { name: name.to_owned(), value, tone: Tone::Cost, text: format!("{value}") };
    let svg = waterfall::draw("mimalloc", &[step("a", 30.0), step("b", -10.0)], "the gap", "+20", "Δ ns/op");
    assert_whole(&svg);
    let bars: Vec<(i32, i32)> = svg
        .lines()
        .filter(|line| line.starts_with("<rect"))
        .map(|line| {
            let value = |key: &str| {
                let rest = line.split_once(&format!(" {key}=\"")).expect("a rectangle has it").1;
                rest.split('"').next().and_then(|text| text.parse::<i32>().ok()).expect("a number")
            };
            (value("x"), value("x") + value("width"))
        })
        .collect();
    let [first, second, sum] = bars[..] else { panic!("{bars:?}") };
    assert_eq!(first.1, second.1, "the second step begins where the first one ended");
    assert_eq!((sum.0, sum.1), (first.0, second.0), "the sum is where the steps end");
}

#[test]
fn a_heat_map_says_which_squares_were_found() {
    let square = |pair, value, is_found| Square { pair, value, text: format!("{value}"), is_found };
    let names = ["one", "two", "three"].map(str::to_owned);
    let svg = grid::draw(&names, &[square((0, 1), 3.0, true), square((1, 2), -1.0, true), square((0, 2), 0.1, false)]);
    assert_whole(&svg);
    assert_eq!(svg.matches("<rect").count(), 3);
    for colour in [ink::COST, ink::SAVING, ink::OPEN] {
        assert!(svg.contains(&format!("fill=\"{}\"", ink::hex(colour))), "{svg}");
    }
    assert!(grid::most(&names) >= 8);
}

#[test]
fn points_of_blocks_and_of_costs_are_all_there() {
    let strip = |name: &str, values: &[f64]| Strip {
        name: name.to_owned(),
        values: (0_u32..).zip(values.iter().copied()).collect(),
        mark: Some(Mark::new(2.0, Some((1.0, 3.0)))),
    };
    let strips = [strip("baseline", &[1.0, 2.0, 3.0]), strip("placebo", &[2.0, 2.5, 2.0])];
    let spread = strips::spread(&strips, "ns/op");
    assert_whole(&spread);
    assert_eq!(spread.matches("<circle").count(), 6);
    let over = strips::over_blocks(&strips, "ns/op");
    assert_whole(&over);
    assert_eq!(over.matches("<circle").count(), 6 + 2, "and one for each name");
    let place =
        |x, y| Place { name: "n".to_owned(), x: Mark::new(x, None), y: Mark::new(y, None), tones: [Tone::Open; 2] };
    let plane = plane::draw(&[place(1.0, 2.0), place(-3.0, 0.0)], "ns/op", "MiB");
    assert_whole(&plane);
    assert_eq!(plane.matches("<circle").count(), 2);
    // Names that would lie upon each other stand apart, or are left out.
    let crowd: Vec<Place> = (0..30).map(|_| place(1.0, 2.0)).chain([place(-3.0, 0.0)]).collect();
    let named = plane::draw(&crowd, "ns/op", "MiB").matches("\nn\n").count();
    assert!((2..31).contains(&named), "{named}");
}

#[test]
fn a_timeline_has_its_points_levels_and_changes() {
    let points: Vec<Mark> = (0..8).map(|at| Mark::new(if at < 4 { 1.0 } else { 2.0 }, Some((0.5, 2.5)))).collect();
    let level = |points, value| timeline::Level { points, value };
    let change = timeline::Change { at: 4, name: "abc1234".to_owned(), tone: Tone::Cost };
    let svg = timeline::draw(&points, &[level((0, 4), 1.0), level((4, 8), 2.0)], &[change], "ns/op");
    assert_whole(&svg);
    assert_eq!(svg.matches("<circle").count(), 8);
    assert!(svg.contains("abc1234") && svg.contains(&ink::hex(ink::COST)), "{svg}");
    assert_whole(&timeline::draw(&[], &[], &[], ""));
}

#[test]
fn values_that_are_alike_missing_or_huge_have_a_range() {
    for values in [vec![], vec![f64::NAN], vec![0.0], vec![5.0, 5.0], vec![1e300, -1e300], vec![1e-12, 2e-12]] {
        let span = range(values.iter().copied(), None);
        assert!(span.start < span.end && span.start.is_finite(), "{values:?}: {span:?}");
    }
    assert_whole(&forest::draw(&[], Axis::of(""), None));
    assert_whole(&forest::draw(&[row("a", 0.0, (0.0, 0.0))], Axis::of(""), Some(f64::NAN)));
    assert_whole(&strips::spread(&[], ""));
}

#[test]
fn long_names_are_cut_in_their_midst() {
    let name = "a-workload-with-a-name-that-is-much-longer-than-any-room-for-it";
    let cut = ink::fitted(name, 100);
    assert!(cut.starts_with("a-wor") && cut.ends_with("or-it") && cut.contains('…'), "{cut}");
    assert_eq!(ink::fitted("short", 100), "short");
}

#[test]
fn numbers_at_an_axis_have_no_zeros_at_their_end() {
    let shown = [0.0, 1e-17, -1e-17, 2.0, 10.0, 0.15, -0.1, 1_200.0].map(ink::tick);
    assert_eq!(shown, ["0", "0", "0", "2", "10", "0.15", "−0.1", "1,200"]);
    assert_eq!([-5.0, -0.5, 0.0, 10.0].map(ink::times), ["1/32×", "0.707×", "1×", "1,024×"]);
}
