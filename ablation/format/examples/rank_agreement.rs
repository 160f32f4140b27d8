//! Compares the order of allocators under a program with their order under replays of its trace.
//!
//! `rank_agreement DIR` takes the folder of a study whose workloads `NAME-replay…` stand beside a workload `NAME`, and prints
//! for each pair the values, both orders and their rank correlations. `just trace-check` runs such a study first.

use ablate_format::effects::CellRow;
use ablate_format::{EffectsFile, read_effects};
use ablate_stats::rank::{kendall, kendall_p, ranks, spearman};
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(dir) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: rank_agreement DIR, the folder of a finished study");
        return ExitCode::from(2);
    };
    match read_effects(&dir) {
        Ok(effects) => {
            print!("{}", document(&effects));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// What is compared.
#[derive(Clone, Copy, PartialEq)]
enum Quantity {
    Time,
    PeakMemory,
}

impl Quantity {
    fn of(self, row: &CellRow) -> Option<f64> {
        match self {
            Quantity::Time => row.value.as_ref().map(|value| value.value),
            Quantity::PeakMemory => row.rss_peak_bytes,
        }
    }
}

fn document(effects: &EffectsFile) -> String {
    let mut names: Vec<&str> = Vec::new();
    effects.cells.iter().for_each(|row| {
        if !names.contains(&row.workload.as_str()) {
            names.push(&row.workload);
        }
    });
    let mut text = String::new();
    for (quantity, title) in [(Quantity::Time, "time"), (Quantity::PeakMemory, "peak memory")] {
        let mut summary: Vec<(f64, f64)> = Vec::new();
        for program in &names {
            let replays =
                names.iter().filter(|name| name.strip_prefix(program).is_some_and(|rest| rest.starts_with("-replay")));
            for replay in replays {
                if let Some((part, found)) = pair(effects, program, replay, quantity) {
                    text += &format!("{program} and {replay}, {title}\n{part}\n");
                    summary.extend(found);
                }
            }
        }
        let count = summary.len() as f64;
        if count > 0.0 {
            let mean = |of: fn(&(f64, f64)) -> f64| summary.iter().map(of).sum::<f64>() / count;
            let (rho, tau) = (mean(|pair| pair.0), mean(|pair| pair.1));
            text += &format!("{title}: mean of {count} pairs: Spearman {rho:.2}, Kendall {tau:.2}\n\n");
        }
    }
    if text.is_empty() {
        text += "no workload NAME with a workload NAME-replay beside it\n";
    }
    text
}

/// The table of one pair, and its correlations, where there are any.
fn pair(
    effects: &EffectsFile,
    program: &str,
    replay: &str,
    quantity: Quantity,
) -> Option<(String, Option<(f64, f64)>)> {
    // The subject may tell the allocator that served it in one workload and not in the other.
    let is_same = |one: &CellRow, other: &CellRow| {
        one.treatment == other.treatment && (one.treatment.is_some() || one.allocator == other.allocator)
    };
    let mut rows: Vec<(String, f64, f64)> = Vec::new();
    let mut intervals: Vec<[Option<(f64, f64)>; 2]> = Vec::new();
    for row in effects.cells.iter().filter(|row| row.workload == program) {
        // Of the subject only its baseline: the allocator that no peer replaces.
        if row.treatment.as_deref().is_some_and(|treatment| treatment != "baseline") {
            continue;
        }
        let other = effects.cells.iter().find(|other| other.workload == replay && is_same(other, row));
        let interval = |row: &CellRow| row.value.as_ref().and_then(|value| value.interval);
        if let (Some(of), Some(with)) = (quantity.of(row), other.and_then(|row| quantity.of(row))) {
            intervals.push([interval(row), other.and_then(interval)]);
            let name = if row.treatment.is_some() { "nothing preloaded" } else { &row.allocator };
            rows.push((name.to_owned(), of, with));
        }
    }
    if rows.len() < 2 {
        return None;
    }
    rows.sort_by(|a, b| a.1.total_cmp(&b.1));
    let (of, with): (Vec<f64>, Vec<f64>) = rows.iter().map(|row| (row.1, row.2)).unzip();
    let (places, other_places) = (ranks(&of), ranks(&with));
    let mut text = format!("  {:<20} {:>10} {:>10} {:>6} {:>6}\n", "allocator", "program", "replay", "place", "place");
    for (at, (name, a, b)) in rows.iter().enumerate() {
        // Each against the best of its column.
        let (a, b) = (a / least(&of), b / least(&with));
        text += &format!("  {name:<20} {a:>10.3} {b:>10.3} {:>6} {:>6}\n", places[at], other_places[at]);
    }
    let found = spearman(&of, &with).zip(kendall(&of, &with));
    match (found, kendall_p(&of, &with)) {
        (Some((rho, tau)), Some(p)) => {
            let orders = format!("as much agreement by chance in {:.0} % of all orders", 100.0 * p);
            text += &format!("  Spearman {rho:.2}, Kendall {tau:.2}; {orders}\n");
        }
        _ => text += "  no rank correlation: all values of a column are equal\n",
    }
    if quantity == Quantity::Time {
        let (alike, contrary) = told_apart(&intervals);
        text += &match alike + contrary {
            0 => "  no two allocators are told apart in both by their intervals\n".to_owned(),
            both => format!(
                "  of {both} pairs of allocators that both tell apart by their intervals, {alike} are ordered alike\n"
            ),
        };
    }
    Some((text, found))
}

/// Pairs whose intervals do not meet, neither under the program nor in the replay: how many are ordered alike, and contrarily.
fn told_apart(intervals: &[[Option<(f64, f64)>; 2]]) -> (usize, usize) {
    let order = |a: Option<(f64, f64)>, b: Option<(f64, f64)>| match (a, b) {
        (Some(a), Some(b)) if a.1 < b.0 => Some(true),
        (Some(a), Some(b)) if b.1 < a.0 => Some(false),
        _ => None,
    };
    let (mut alike, mut contrary) = (0, 0);
    for (at, one) in intervals.iter().enumerate() {
        for other in &intervals[..at] {
            match (order(one[0], other[0]), order(one[1], other[1])) {
                (Some(a), Some(b)) if a == b => alike += 1,
                (Some(_), Some(_)) => contrary += 1,
                _ => {}
            }
        }
    }
    (alike, contrary)
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}
