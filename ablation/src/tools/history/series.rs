//! Results over time as series, and where these change: pure.

use super::kept::Kept;
use crate::analyse::Response;
use crate::tools::results::{Key, Subject};
use ablate_format::MainResponse;
use ablate_format::effects::Estimate;
use ablate_stats::MIN_BLOCKS;
use ablate_stats::change_points::{self, ERROR, MAX_POINTS, MIN_POINTS, Searched};
use ablate_stats::distribution::t_quantile;
use ablate_stats::many::benjamini_hochberg;
use std::collections::BTreeMap;

/// Fewest and most draws for the p value of a division.
const DRAWS: (usize, usize) = (999, 9_999);
/// Draws for each series, so that a p value can pass the correction over all of them.
const DRAWS_EACH: usize = 40;

/// Results over time.
#[derive(Debug)]
pub(crate) struct History {
    /// Every series.
    pub(crate) series: Vec<Series>,
    /// Results that they are from.
    pub(crate) results: usize,
    /// Lines of the file that are no results.
    pub(crate) damaged: usize,
}

/// One value over time, on one machine.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Series {
    /// The study.
    pub(crate) study: String,
    /// The machine.
    pub(crate) machine: String,
    /// What it is of.
    pub(crate) key: Key,
    /// The response of its workload.
    pub(crate) response: MainResponse,
    /// Whether a process as a whole is one operation.
    pub(crate) is_per_run: bool,
    /// Whether nothing tells the levels of the factor apart in some result, so that nothing is claimed.
    pub(crate) is_unproven: bool,
    /// From the oldest to the newest.
    pub(crate) points: Vec<Point>,
    /// What the search says.
    pub(crate) found: Found,
}

/// One result of a series.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Point {
    /// Commit of the measured sources.
    pub(crate) commit: Option<String>,
    /// Whether the sources had changes beside it.
    pub(crate) changed: bool,
    /// Start, seconds since 1970.
    pub(crate) time: u64,
    /// The compiler.
    pub(crate) toolchain: Option<String>,
    /// The value.
    pub(crate) value: Estimate,
}

/// What the search for changes says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Found {
    /// There are fewer points than a search needs, or values that are no measured ones.
    NotSearched,
    /// It was searched.
    Searched {
        /// p value of the claim that nothing changed.
        p: f64,
        /// The same after the correction over all series.
        q: f64,
        /// Autocorrelation that the test assumed.
        memory: f64,
        /// Points before the ones that were searched, where there are more than the search takes.
        skipped: usize,
        /// The changes; empty when the corrected p value is above [`ERROR`].
        changes: Vec<Change>,
    },
}

/// A change of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Change {
    /// Index in [`Series::points`] of the first point after it.
    pub(crate) at: usize,
    /// The level before.
    pub(crate) before: f64,
    /// The level after.
    pub(crate) after: f64,
    /// `after − before` with its interval.
    pub(crate) difference: Estimate,
    /// Whether it is for the worse.
    pub(crate) is_worse: bool,
    /// p value of this division.
    pub(crate) p: f64,
}

impl Series {
    fn is_searchable(&self) -> bool {
        !self.is_unproven && self.points.len() >= MIN_POINTS
    }

    /// The changes that hold.
    pub(crate) fn changes(&self) -> &[Change] {
        match &self.found {
            Found::Searched { changes, .. } => changes,
            Found::NotSearched => &[],
        }
    }
}

/// Every series of some results, by study and machine, searched for changes.
///
/// With m series searched, those with a p value at most [`ERROR`] after Benjamini and Hochberg's correction have changes: on
/// average at most 5 % of the series that are said to change do not.
pub(super) fn series(results: &[Kept]) -> Vec<Series> {
    let mut all = collected(results);
    let searched = all.iter().filter(|series| series.is_searchable()).count();
    let draws = (DRAWS_EACH * searched).clamp(DRAWS.0, DRAWS.1);
    let found: Vec<Option<Searched>> = search_all(&all, draws);
    let p: Vec<f64> = found.iter().map(|found| found.as_ref().map_or(f64::NAN, |found| found.p)).collect();
    let q = benjamini_hochberg(&p);
    for ((series, found), q) in all.iter_mut().zip(found).zip(q) {
        let Some(found) = found else { continue };
        let skipped = series.points.len().saturating_sub(MAX_POINTS);
        let changes = if q <= ERROR { changes(series, &found, skipped) } else { Vec::new() };
        series.found = Found::Searched { p: found.p, q, memory: found.memory, skipped, changes };
    }
    all
}

/// Series in the order of studies, machines, workloads and names, each from its oldest result to its newest.
fn collected(results: &[Kept]) -> Vec<Series> {
    let mut results: Vec<&Kept> = results.iter().collect();
    results.sort_by(|a, b| (a.time, &a.commit).cmp(&(b.time, &b.commit)));
    let mut by_key: BTreeMap<(String, String, Key, MainResponse), Series> = BTreeMap::new();
    for result in results {
        for row in &result.rows {
            let key = (result.study.clone(), result.machine.clone(), row.key(), row.response);
            // Lines of earlier versions may have values of few blocks.
            if row.n < MIN_BLOCKS {
                continue;
            }
            let series = by_key.entry(key).or_insert_with(|| Series {
                study: result.study.clone(),
                machine: result.machine.clone(),
                key: row.key(),
                response: row.response,
                is_per_run: row.per_run,
                is_unproven: false,
                points: Vec::new(),
                found: Found::NotSearched,
            });
            series.is_unproven |= row.unproven;
            // A result has one value; what else its line says of it is no other result.
            if series.points.last().is_some_and(|last| (last.time, &last.commit) == (result.time, &result.commit)) {
                continue;
            }
            series.points.push(Point {
                commit: result.commit.clone(),
                changed: result.changed,
                time: result.time,
                toolchain: result.toolchain.clone(),
                value: Estimate { value: row.value, interval: row.low.zip(row.high), blocks: row.n },
            });
        }
    }
    by_key.into_values().collect()
}

/// The newest points of every series, as many series at a time as there are processors.
fn search_all(all: &[Series], draws: usize) -> Vec<Option<Searched>> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let search = |series: &Series| {
        if !series.is_searchable() {
            return None;
        }
        let newest = &series.points[series.points.len().saturating_sub(MAX_POINTS)..];
        let points: Vec<change_points::Point> = newest.iter().map(point).collect();
        change_points::search(&points, draws, seed(series))
    };
    let search = &search;
    std::thread::scope(|scope| {
        let parts = all.chunks(all.len().div_ceil(processors).max(1));
        let threads: Vec<_> =
            parts.map(|part| scope.spawn(move || part.iter().map(search).collect::<Vec<_>>())).collect();
        let done = threads.into_iter().map(|thread| thread.join().unwrap_or_else(|e| std::panic::resume_unwind(e)));
        done.flatten().collect()
    })
}

/// A point with the standard error that its interval tells.
fn point(point: &Point) -> change_points::Point {
    let Estimate { value, interval, blocks } = point.value;
    let error = interval.filter(|_| blocks > 1).map(|(lo, hi)| (hi - lo) / 2.0 / t_quantile(0.975, blocks - 1));
    change_points::Point { value, error: error.filter(|error| error.is_finite()) }
}

/// The same series is searched by the same draws.
fn seed(series: &Series) -> u64 {
    let name = format!("{} {} {}", series.study, series.key.workload, series.key.subject.name());
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn changes(series: &Series, found: &Searched, skipped: usize) -> Vec<Change> {
    let is_cell = matches!(series.key.subject, Subject::Cell(_));
    let response = Response::main(series.response);
    // What a factor costs is a cost already; of a rate that a cell has, more is better.
    let cost = |difference: f64| if is_cell { response.cost_of(difference) } else { difference };
    let change = |change: &change_points::Change| {
        let value = change.after - change.before;
        Change {
            at: skipped + change.at,
            before: change.before,
            after: change.after,
            difference: Estimate { value, interval: change.interval, blocks: series.points.len() },
            is_worse: cost(value) > 0.0,
            p: change.p,
        }
    };
    found.changes.iter().map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::super::kept::KeptRow;
    use super::*;
    use ablate_stats::random::{normal, seeded};

    /// A result with the values of workloads `w0`, `w1`, ….
    fn result(time: u64, machine: &str, values: &[f64]) -> Kept {
        let row = |(at, value): (usize, &f64)| KeptRow {
            workload: format!("w{at}"),
            kind: "cell".to_owned(),
            name: "baseline".to_owned(),
            contrast: String::new(),
            arm: String::new(),
            response: MainResponse::P10,
            per_run: false,
            value: *value,
            low: Some(value - 1.0),
            high: Some(value + 1.0),
            n: 12,
            unproven: false,
        };
        Kept {
            format: 1,
            study: "s".to_owned(),
            commit: Some(format!("{time:040x}")),
            changed: false,
            time,
            machine: machine.to_owned(),
            toolchain: None,
            rows: values.iter().enumerate().map(row).collect(),
        }
    }

    #[test]
    fn a_step_is_found_in_its_series_alone_and_machines_are_apart() {
        let mut random = seeded(5);
        let mut results: Vec<Kept> = (0..24)
            .map(|time| {
                let step = if time < 15 { 100.0 } else { 110.0 };
                result(time, "m", &[step + normal(&mut random), 100.0 + normal(&mut random)])
            })
            .collect();
        // In any order: time decides. Another machine has its own series, which is too short.
        results.reverse();
        results.push(result(3, "other", &[500.0, 1.0]));
        let all = series(&results);
        assert_eq!(all.len(), 4);
        let [stepped, even, other, _] = &all[..] else { panic!("{all:?}") };
        let [change] = stepped.changes() else { panic!("{stepped:?}") };
        assert!(change.at == 15 && change.is_worse && (change.difference.value - 10.0).abs() < 2.0, "{change:?}");
        assert!(even.changes().is_empty() && matches!(even.found, Found::Searched { .. }), "{even:?}");
        assert_eq!((other.points.len(), &other.found), (1, &Found::NotSearched));
    }

    #[test]
    fn what_is_unproven_is_not_searched_and_few_blocks_are_no_point() {
        let mut results: Vec<Kept> =
            (0..24).map(|time| result(time, "m", &[if time < 12 { 50.0 } else { 60.0 }, 1.0])).collect();
        for result in &mut results {
            result.rows[0].unproven = true;
            result.rows[1].n = 3;
        }
        let all = series(&results);
        let [unproven] = &all[..] else { panic!("{all:?}") };
        assert_eq!((unproven.points.len(), &unproven.found), (24, &Found::NotSearched));
    }

    #[test]
    fn more_of_a_rate_is_better() {
        let mut random = seeded(6);
        let results: Vec<Kept> = (0..24)
            .map(|time| {
                let mut one = result(time, "m", &[(if time < 12 { 50.0 } else { 60.0 }) + 0.1 * normal(&mut random)]);
                one.rows[0].response = MainResponse::named("value:requests_per_s").expect("a response");
                one
            })
            .collect();
        let all = series(&results);
        let [change] = all[0].changes() else { panic!("{all:?}") };
        assert!(!change.is_worse && change.at == 12, "{change:?}");
    }
}
