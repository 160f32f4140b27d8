//! `cargo ablate synthetic`: a measured program of known cost, because it plants the cost and measures it itself.
//!
//! The truth is measured in the same process and in the same moments as what the study measures, in two ways that share
//! no step. *By switching*: beside every timed batch stands one in which a single factor has its other level; what the
//! pair differs by is what the factor costs, and the clock of the processor cancels. *By stamps*: in other batches the
//! processor's clock is read around every part of the operation, once at the levels of the process and once with every
//! factor at its other level. Only the levels differ between cells.

use super::factors::{FACTORS, FAULTY, INERT, KERNEL, LEFT, Levels, PREFIX, RIGHT, ZERO, segments, variable};
use super::operation::{Rings, SEGMENTS, Segment, Stamps, State, operations, stamped, ticks};
use super::pages::{Pages, page_faults};
use crate::support::exit::{ExitStatus, ShellCode};
use ablate_probe::{Line, TimedBatches, percentile};
use ablate_stats::order::median;
use std::ffi::{OsStr, OsString};
use std::hint::black_box;
use std::time::Instant;

/// Operations of a timed batch: 50 to 100 µs.
pub(super) const BATCH: u64 = 300;
/// Timed batches of a process, unless another number is asked for: four turns of every factor.
pub(crate) const BATCHES: u32 = 52;
/// Fresh OS pages that the factor `faulty` touches in a batch. One takes 1 to 3 µs, and differently long every time.
pub(super) const TOUCHES: usize = 1;
/// System calls of the factor `kernel` in a batch.
const ASKS: usize = 12;
/// Operations without a factor that end the part of a batch which enters the kernel: what a system call or a page fault
/// leaves behind, cold caches and predictors, is paid there.
const SETTLED: u64 = 20;
/// Operations ahead of every timing, in which the processor learns the jumps of these levels.
const LEARNED: u64 = 12;
/// Operations of a batch with stamps.
const STAMPED: u64 = 120;
/// Batches with stamps come after every so many others.
const STAMPS_EVERY: usize = 6;
/// A contention probe this much above the best of the process was disturbed.
const TOLERANCE: f64 = 1.08;
/// Fewest undisturbed pairs for a truth.
const LEAST_PAIRS: usize = 2;
/// What follows the name of a factor in the result line where its truth is that by stamps.
pub(super) const BY_STAMPS: &str = "by-stamps";
/// Names in the result line, both by stamps: the joint cost of `left` and `right`, and the cost of fresh pages.
pub(super) const TOGETHER: &str = "together by-stamps";
pub(super) const TOUCH: &str = "touch by-stamps";

/// Options of the subject.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SyntheticRequest {
    /// Timed batches of [`BATCH`] operations.
    pub(crate) batches: u32,
    /// Leave out the contention probes and the truth, so that only the operations are counted.
    pub(crate) counted: bool,
}

/// There is no memory for the pages that are to be touched.
#[derive(Debug, thiserror::Error)]
#[error("cannot map memory: {0}; free some")]
pub(crate) struct SyntheticError(#[from] std::io::Error);

impl ExitStatus for SyntheticError {
    fn exit(&self) -> ShellCode {
        ShellCode::BadRuns
    }
}

/// Does the operations and returns the result line (docs/format.md), with the truth in `truth_ns`.
///
/// # Errors
/// [`SyntheticError`].
pub(crate) fn synthetic(asked: &SyntheticRequest) -> Result<String, SyntheticError> {
    let (on, rejected) = levels(std::env::vars_os());
    let wanted = asked.batches as usize;
    let is_told = !asked.counted && wanted > 0;
    let mut batches = match is_told {
        true => TimedBatches::new(wanted, BATCH),
        false => TimedBatches::without_contention_probes(wanted, BATCH),
    };
    let rings = Rings::new();
    // Every timed batch, the one beside it, and two with stamps now and then may touch fresh pages, and the first of all.
    let mut pages = Pages::map(1 + TOUCHES * (1 + wanted * if is_told { 4 } else { 1 }))?;
    let mut truth = Truth::new(on, wanted);
    let (mut own, mut other) = (rings.state(), rings.state());
    batch(&on, &mut pages, &mut own, 1);
    let before = page_faults();
    let mut besides = 0;
    for at in 0..wanted {
        if is_told {
            let start = page_faults();
            truth.take(at, &rings, &mut pages, &mut other);
            besides += page_faults() - start;
        }
        prepare(&on, &rings, &mut own);
        batches.time(|| batch(&on, &mut pages, &mut own, BATCH));
    }
    let faults = page_faults() - before - besides;
    black_box((&own, &other));
    // What an operation does at its levels is all in its segments; the same operations were done at any level.
    let done = batches.operations();
    let told = truth.of(&batches.batches_ns(), batches.contention_probes_ns());
    let mut line = Line::new(batches, done);
    line.page_faults(faults);
    for (at, factor) in FACTORS.iter().enumerate() {
        line.level(factor.name, if on[at] { "on" } else { "off" });
        line.counter(factor.name, "work", if on[at] || at == INERT { done } else { 0 });
    }
    rejected.iter().for_each(|why| {
        line.env_rejected(why);
    });
    if is_told {
        told.iter().for_each(|(name, ns)| {
            line.number("truth_ns", name, *ns);
        });
    }
    Ok(line.to_string())
}

/// Brings caches and predictors into the state in which every batch begins.
fn prepare(on: &Levels, rings: &Rings, state: &mut State) {
    rings.warm();
    operations(LEARNED, &segments(on), state);
}

/// A batch: what enters the kernel, and then operations.
fn batch(on: &Levels, pages: &mut Pages, state: &mut State, count: u64) {
    touches(on, pages, state);
    asks(on, state);
    operations(count, &segments(on), state);
}

/// Touches pages: fresh ones, or one that exists as often.
fn touches(on: &Levels, pages: &mut Pages, state: &mut State) {
    (0..TOUCHES).for_each(|_| pages.touch(on[FAULTY]));
    operations(SETTLED, &[false; SEGMENTS], state);
}

/// Asks the kernel for a number that it does not keep for the program.
fn asks(on: &Levels, state: &mut State) {
    for _ in 0..if on[KERNEL] { ASKS } else { 0 } {
        // SAFETY: a system call without arguments that does not fail.
        black_box(unsafe { libc::syscall(libc::SYS_getppid) });
    }
    operations(SETTLED, &[false; SEGMENTS], state);
}

/// The factors whose truth is taken by switching them; nothing is switched in the turn of `zero`.
fn switched() -> impl Iterator<Item = usize> {
    (0..FACTORS.len()).filter(|at| *at != INERT)
}

/// The truth of a process, while it is measured.
struct Truth {
    on: Levels,
    /// Factor that was switched in each batch beside a timed one, and the nanoseconds of that batch.
    other: Vec<(usize, f64)>,
    /// Batches with stamps: the number of the timed batch after them, and nanoseconds per operation of every part, at the
    /// levels of the process and at the other ones.
    stamps: Vec<(usize, [Parts; 2])>,
}

/// Nanoseconds of the parts of a batch with stamps, per operation of a timed batch.
#[derive(Clone, Copy)]
struct Parts {
    segments: [f64; SEGMENTS],
    touches: f64,
    asks: f64,
}

impl Truth {
    fn new(on: Levels, wanted: usize) -> Truth {
        Truth { on, other: Vec::with_capacity(wanted), stamps: Vec::with_capacity(wanted / STAMPS_EVERY + 1) }
    }

    /// Measures beside timed batch `at`.
    fn take(&mut self, at: usize, rings: &Rings, pages: &mut Pages, state: &mut State) {
        if at % STAMPS_EVERY == STAMPS_EVERY - 1 {
            let parts = [self.on, self.on.map(|on| !on)].map(|on| parts(&on, rings, pages, state));
            self.stamps.push((at, parts));
        }
        let count = switched().count();
        let factor = switched().nth(at % count).expect("a remainder is below the number of factors");
        let mut on = self.on;
        on[factor] ^= true;
        prepare(&on, rings, state);
        let start = Instant::now();
        batch(&on, pages, state, BATCH);
        self.other.push((factor, start.elapsed().as_nanos() as f64));
    }

    /// Names and nanoseconds per operation, from the times of the timed batches, nanoseconds per operation, and the
    /// contention probes around them. What no undisturbed batch told is missing.
    fn of(&self, own: &[f64], probes: &[f64]) -> Vec<(String, f64)> {
        let best = probes.iter().copied().fold(f64::INFINITY, f64::min);
        let is_quiet =
            |at: usize| probes.get(at).zip(probes.get(at + 1)).is_some_and(|(a, b)| a.max(*b) <= TOLERANCE * best);
        let mut quiet: Vec<f64> = (0..own.len()).filter(|at| is_quiet(*at)).map(|at| own[at]).collect();
        quiet.sort_by(f64::total_cmp);
        // The value that a study has of this process, which brings the ratios of pairs to its scale.
        let scale = percentile(&quiet, 0.1);
        let ratio = |factor: usize| {
            let pairs = self.other.iter().enumerate().filter(|(at, (of, _))| *of == factor && is_quiet(*at));
            let ratios: Vec<f64> = pairs.map(|(at, (_, ns))| ns / BATCH as f64 / own[at] - 1.0).collect();
            median(&ratios).filter(|_| ratios.len() >= LEAST_PAIRS)
        };
        let mut told = Vec::new();
        // A batch beside a timed one differs from it by its place; so does the one in which nothing is switched.
        let place = ratio(ZERO);
        for factor in switched() {
            if let Some((ratio, place)) = ratio(factor).zip(place) {
                let sign = if self.on[factor] { -1.0 } else { 1.0 };
                told.push((FACTORS[factor].name.to_owned(), sign * (ratio - place) * scale));
            }
        }
        let stamps: Vec<&[Parts; 2]> =
            self.stamps.iter().filter(|(at, _)| is_quiet(*at)).map(|(_, parts)| parts).collect();
        // What a part takes at the levels of the process minus at the other ones.
        let part = |of: &dyn Fn(&Parts) -> f64| {
            let differences: Vec<f64> = stamps.iter().map(|[own, other]| of(own) - of(other)).collect();
            median(&differences).filter(|_| differences.len() >= LEAST_PAIRS)
        };
        let signed = |ns: Option<f64>, on: bool| ns.map(|ns| if on { ns } else { -ns });
        let mut tell = |name: String, ns: Option<f64>| told.extend(ns.map(|ns| (name, ns)));
        for (at, factor) in FACTORS.iter().enumerate() {
            let Some(segment) = factor.segment else { continue };
            let ns = signed(part(&|parts| parts.segments[segment as usize]), self.on[at]);
            tell(format!("{} {BY_STAMPS}", factor.name), ns);
        }
        tell(format!("{} {BY_STAMPS}", FACTORS[KERNEL].name), signed(part(&|parts| parts.asks), self.on[KERNEL]));
        tell(TOUCH.to_owned(), signed(part(&|parts| parts.touches), self.on[FAULTY]));
        if self.on[LEFT] == self.on[RIGHT] {
            let together = part(&|parts| parts.segments[Segment::Together as usize]);
            tell(TOGETHER.to_owned(), signed(together, self.on[LEFT]));
        }
        told
    }
}

/// One batch with stamps.
fn parts(on: &Levels, rings: &Rings, pages: &mut Pages, state: &mut State) -> Parts {
    prepare(on, rings, state);
    // The clock's own rate follows from the same batch.
    let (start, from) = (Instant::now(), ticks());
    touches(on, pages, state);
    let touched = ticks();
    asks(on, state);
    let asked = ticks();
    let of_segments: Stamps = stamped(STAMPED, &segments(on), state);
    let (end, to) = (start.elapsed(), ticks());
    let ns = end.as_nanos() as f64 / to.wrapping_sub(from).max(1) as f64;
    Parts {
        segments: of_segments.map(|ticks| ticks as f64 * ns / STAMPED as f64),
        touches: touched.wrapping_sub(from) as f64 * ns / BATCH as f64,
        asks: asked.wrapping_sub(touched) as f64 * ns / BATCH as f64,
    }
}

/// Levels from the environment, and the variables that are not known.
fn levels(vars: impl Iterator<Item = (OsString, OsString)>) -> (Levels, Vec<String>) {
    let (mut on, mut rejected) = ([true; FACTORS.len()], Vec::new());
    for (name, value) in vars {
        let Some(name) = name.to_str().filter(|name| name.starts_with("SYNTHETIC_")) else { continue };
        match FACTORS.iter().position(|factor| variable(factor) == name) {
            Some(at) if value == OsStr::new("1") => on[at] = false,
            Some(_) => rejected.push(format!("{name} must be 1 or unset")),
            None => rejected.push(format!("{name} is unknown: {PREFIX} and the name of a factor in capitals")),
        }
    }
    (on, rejected)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ablate_format::Measured;

    fn measured(batches: u32, counted: bool) -> Measured {
        let line = synthetic(&SyntheticRequest { batches, counted }).expect("runs");
        serde_json::from_str(&line).expect("a line of the format")
    }

    #[test]
    fn the_line_has_levels_work_batches_contention_probes_and_truth() {
        let line = measured(60, false);
        assert_eq!((line.operations, line.samples), (60 * BATCH, Some(60)));
        assert_eq!((line.batches_ns.len(), line.contention_probes_ns.len()), (60, 61));
        assert!(line.env_rejected.is_empty() && line.levels.values().all(|level| level == "on"), "{line:?}");
        assert!(line.counters.values().all(|counters| counters["work"] > 0), "{line:?}");
        // On a disturbed machine truths may be missing; what is told has a name of a factor.
        let is_known = |name: &String| FACTORS.iter().any(|f| name.split(' ').next() == Some(f.name));
        let is_part = |name: &String| [TOGETHER, TOUCH].contains(&name.as_str());
        assert!(line.truth_ns.keys().all(|name| is_known(name) || is_part(name)), "{:?}", line.truth_ns);
        assert!(line.truth_ns.get("zero").is_none_or(|zero| *zero == 0.0), "{:?}", line.truth_ns);
        assert!(line.page_faults >= Some(60 * TOUCHES as u64), "{line:?}");
    }

    #[test]
    fn counted_runs_have_the_same_checksum_and_no_contention_probes() {
        let (timed, counted) = (measured(3, false), measured(3, true));
        assert_eq!((&timed.checksum, timed.operations), (&counted.checksum, counted.operations));
        assert!(counted.contention_probes_ns.is_empty() && counted.truth_ns.is_empty());
        assert_eq!(measured(0, true).operations, 0);
    }

    #[test]
    fn the_environment_switches_off_and_is_held_to_the_names() {
        let read = |vars: &[(&str, &str)]| levels(vars.iter().map(|(name, value)| (name.into(), value.into())));
        let (on, rejected) = read(&[("SYNTHETIC_DISABLE_TWO", "1"), ("PATH", "x")]);
        let off: Vec<&str> = FACTORS.iter().zip(on).filter(|(_, on)| !on).map(|(factor, _)| factor.name).collect();
        assert_eq!((off, rejected.len()), (vec!["two"], 0));
        let (_, rejected) = read(&[("SYNTHETIC_DISABLE_TOW", "1"), ("SYNTHETIC_DISABLE_TEN", "yes")]);
        assert_eq!(rejected.len(), 2, "{rejected:?}");
        assert!(rejected[0].contains("TOW is unknown") && rejected[1].contains("must be 1"), "{rejected:?}");
    }

    /// A process whose factor `ten` is off and costs 10 ns of 100 when it is on, and whose clock slows down by a third
    /// in the second half. Batches beside timed ones take 2 % more for their place.
    #[test]
    fn a_truth_is_what_a_pair_differs_by_whatever_the_clock_does() {
        let mut on = [true; FACTORS.len()];
        on[2] = false;
        let mut truth = Truth::new(on, 52);
        let count = switched().count();
        let own: Vec<f64> = (0..52).map(|at| if at < 26 { 100.0 } else { 133.0 }).collect();
        for (at, own) in own.iter().enumerate() {
            let factor = switched().nth(at % count).expect("a factor");
            let more = if FACTORS[factor].name == "ten" { 1.1 } else { 1.0 };
            truth.other.push((factor, (more + 0.02) * own * BATCH as f64));
        }
        let told = |quiet: &dyn Fn(usize) -> bool| {
            let probes: Vec<f64> = (0..53).map(|at| if quiet(at) { 1.0 } else { 1.5 }).collect();
            truth.of(&own, &probes)
        };
        let get = |told: &[(String, f64)], name: &str| told.iter().find(|(n, _)| n == name).map(|(_, ns)| *ns);
        let all = told(&|_| true);
        assert!((get(&all, "ten").expect("told") - 10.0).abs() < 1e-6, "{all:?}");
        assert!(get(&all, "fifty").expect("told").abs() < 1e-6 && get(&all, "zero") == Some(0.0), "{all:?}");
        // With the first half undisturbed there are two pairs of each, with a third of it there is one.
        assert!(get(&told(&|at| at < 27), "ten").is_some());
        assert_eq!(told(&|at| at < 14), []);
    }
}
