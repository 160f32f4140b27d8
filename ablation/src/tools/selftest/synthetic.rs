//! `cargo ablate synthetic`: a measured program of known cost, because it injects the cost and measures it itself.
//!
//! The cost of a link is measured in the same process, around the measured part, so that the truth follows the clock of
//! the machine. Only the levels differ between cells.

use super::chain::operations;
use super::factors::{FACTORS, FAULTY, INERT, Levels, Links, PREFIX, variable};
use crate::support::exit::{ExitStatus, ShellCode};
use ablate_probe::{Line, TimedBatches, contention_probe_ns, percentile};
use std::ffi::{OsStr, OsString};
use std::hint::black_box;
use std::time::Instant;

/// Operations of a timed batch: 15 to 50 µs.
pub(super) const BATCH: u64 = 400;
/// A contention probe this much above the best of the process was disturbed.
const TOLERANCE: f64 = 1.08;
/// Measurement of a link: operations with few and with many links, some 3 and 15 µs.
const WEIGHED: u64 = 80;
const FEW: u32 = 100;
const MANY: u32 = 600;
/// Measurements of a link before the measured part, and as many after it.
const WEIGHINGS: usize = 12;
/// Names in the result line: the joint cost of both sides, and the cost of touching an OS page, per operation.
pub(super) const TOGETHER: &str = "together";
pub(super) const TOUCH: &str = "touch";

/// Options of the subject.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SyntheticRequest {
    /// Nanoseconds per link, from which the numbers of links follow. All cells of a study must get the same value.
    /// Default: as measured.
    pub(crate) link_ns: Option<f64>,
    /// Timed batches of [`BATCH`] operations.
    pub(crate) batches: u32,
    /// Leave out the contention probes and the measurement of a link, so that only the operations are counted.
    pub(crate) counted: bool,
}

/// A subject that cannot run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SyntheticError {
    /// A link cannot take that long.
    #[error(
        "a chain cannot be made of links of {0} ns; give --link-ns as `cargo ablate synthetic` measures it, about 0.3"
    )]
    Link(f64),
    /// No memory.
    #[error("cannot map memory: {0}; free some")]
    Memory(std::io::Error),
}

impl ExitStatus for SyntheticError {
    fn exit(&self) -> ShellCode {
        match self {
            SyntheticError::Link(_) | SyntheticError::Memory(_) => ShellCode::BadRuns,
        }
    }
}

/// Does the operations and returns the result line (docs/format.md), with the truth in `truth_ns`.
///
/// # Errors
/// [`SyntheticError`].
pub(crate) fn synthetic(asked: &SyntheticRequest) -> Result<String, SyntheticError> {
    let (on, rejected) = levels(std::env::vars_os());
    let wanted = asked.batches as usize;
    let mut weight = Weight::new();
    if !asked.counted {
        weight.take(WEIGHINGS);
    }
    let link_ns = match asked.link_ns {
        Some(link_ns) => link_ns,
        None => {
            weight.take(WEIGHINGS);
            weight.link_ns()
        }
    };
    let links = Links::of(link_ns).ok_or(SyntheticError::Link(link_ns))?;
    let in_operation = links.in_operation(&on);
    let mut batches = match wanted == 0 || asked.counted {
        true => TimedBatches::without_contention_probes(wanted, BATCH),
        false => TimedBatches::new(wanted, BATCH),
    };
    let mut pages = Pages::map(wanted + 1).map_err(SyntheticError::Memory)?;
    let mut touch_ns = vec![f64::MAX; wanted];
    black_box(&mut touch_ns);
    let mut x = operations(BATCH, in_operation, 1);
    let before = page_faults();
    for (at, touch) in touch_ns.iter_mut().enumerate() {
        // The first OS page exists already: without the factor the same store finds its page.
        let page = if on[FAULTY] { at + 1 } else { 0 };
        x = batches.time(|| {
            let start = Instant::now();
            pages.touch(page);
            *touch = start.elapsed().as_nanos() as f64;
            operations(BATCH, in_operation, x)
        });
    }
    let faults = page_faults() - before;
    black_box(x);
    if !asked.counted {
        weight.take(WEIGHINGS);
    }
    // What an operation does at its levels is all in the chain; the same operations were done at any level.
    let done = batches.operations();
    let touch_ns = undisturbed(&touch_ns, batches.contention_probes_ns());
    let mut line = Line::new(batches, done);
    line.page_faults(faults);
    for (at, factor) in FACTORS.iter().enumerate() {
        line.level(factor.name, if on[at] { "on" } else { "off" });
        let works = on[at] || at == INERT;
        line.counter(factor.name, "work", if works { done * u64::from(links.factor[at].max(1)) } else { 0 });
    }
    rejected.iter().for_each(|why| {
        line.env_rejected(why);
    });
    if !asked.counted && wanted > 0 {
        let link_ns = weight.link_ns();
        for (factor, links) in FACTORS.iter().zip(links.factor) {
            line.number("truth_ns", factor.name, f64::from(links) * link_ns);
        }
        line.number("truth_ns", TOGETHER, f64::from(links.together) * link_ns);
        line.number("truth_ns", TOUCH, percentile(&touch_ns, 0.1) / BATCH as f64);
    }
    Ok(line.to_string())
}

/// The values of timed batches whose contention probes are near to the best, sorted. All values when those are few.
fn undisturbed(values: &[f64], contention_probes: &[f64]) -> Vec<f64> {
    let best = contention_probes.iter().copied().fold(f64::INFINITY, f64::min);
    let is_quiet = |pair: &[f64]| pair[0].max(pair[1]) <= TOLERANCE * best;
    let mut kept: Vec<f64> = values
        .iter()
        .zip(contention_probes.windows(2))
        .filter(|(_, pair)| is_quiet(pair))
        .map(|(value, _)| *value)
        .collect();
    if kept.len() < values.len().min(WEIGHINGS) / 2 || kept.is_empty() {
        kept = values.to_vec();
    }
    kept.sort_by(f64::total_cmp);
    kept
}

/// Nanoseconds per link on this machine just now. Takes some milliseconds.
pub(super) fn link_ns() -> f64 {
    let mut weight = Weight::new();
    weight.take(20 * WEIGHINGS);
    weight.link_ns()
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

/// Measures a link: the same operations with few and with many links, so that everything else cancels.
struct Weight {
    long: Vec<(f64, f64)>,
    short: Vec<(f64, f64)>,
    contention_probe: f64,
}

impl Weight {
    fn new() -> Weight {
        // The first measurement loads code and clock and wakes the processor.
        (0..8).for_each(|_| {
            contention_probe_ns();
        });
        Weight { long: Vec::new(), short: Vec::new(), contention_probe: contention_probe_ns() }
    }

    fn take(&mut self, times: usize) {
        for _ in 0..times {
            let (long, short) = (self.time(MANY), self.time(FEW));
            self.long.push(long);
            self.short.push(short);
        }
    }

    /// Nanoseconds of the operations, and the worse of the contention probes around them.
    fn time(&mut self, links: u32) -> (f64, f64) {
        let before = Instant::now();
        black_box(operations(WEIGHED, links, 1));
        let ns = before.elapsed().as_nanos() as f64;
        let first = std::mem::replace(&mut self.contention_probe, contention_probe_ns());
        (ns, first.max(self.contention_probe))
    }

    /// Nanoseconds per link: from the 10th percentile of the undisturbed measurements of both kinds, as the main
    /// response of a run is of its batches.
    fn link_ns(&self) -> f64 {
        let best = self
            .long
            .iter()
            .chain(&self.short)
            .map(|(_, contention_probe)| *contention_probe)
            .fold(f64::INFINITY, f64::min);
        let of = |taken: &[(f64, f64)]| {
            let mut kept: Vec<f64> = taken
                .iter()
                .filter(|(_, contention_probe)| *contention_probe <= TOLERANCE * best)
                .map(|(ns, _)| *ns)
                .collect();
            if kept.len() < WEIGHINGS / 2 {
                kept = taken.iter().map(|(ns, _)| *ns).collect();
            }
            kept.sort_by(f64::total_cmp);
            percentile(&kept, 0.1)
        };
        (of(&self.long) - of(&self.short)) / (WEIGHED * u64::from(MANY - FEW)) as f64
    }
}

/// Anonymous memory. Its first OS page exists, the others do not yet.
struct Pages {
    start: *mut u8,
    len: usize,
}

/// Bytes of a page.
const PAGE: usize = 4096;

impl Pages {
    fn map(pages: usize) -> std::io::Result<Pages> {
        let len = pages * PAGE;
        let (protection, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping anywhere; nothing of this process is changed.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), len, protection, flags, -1, 0) };
        if start == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error());
        }
        // The counted page faults show whether the kernel follows the advice: huge pages would make them fewer.
        // SAFETY: the mapping is new, and of this length.
        unsafe { libc::madvise(start, len, libc::MADV_NOHUGEPAGE) };
        let mut pages = Pages { start: start.cast(), len };
        pages.touch(0);
        Ok(pages)
    }

    /// Writes a byte of a page.
    fn touch(&mut self, page: usize) {
        assert!(page * PAGE < self.len);
        // SAFETY: within the mapping, which is writable and ours.
        unsafe { self.start.add(page * PAGE).write_volatile(1) };
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: mapped by `map` with this length, and no reference into it is left.
        unsafe { libc::munmap(self.start.cast(), self.len) };
    }
}

/// Minor and major page faults of the process so far.
fn page_faults() -> u64 {
    // SAFETY: all zeros is a valid rusage.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the result is live; asking about oneself does not fail.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &mut usage) };
    u64::try_from(usage.ru_minflt.saturating_add(usage.ru_majflt)).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ablate_format::Measured;

    fn asked(batches: u32, counted: bool) -> SyntheticRequest {
        SyntheticRequest { link_ns: Some(0.3), batches, counted }
    }

    fn measured(asked: &SyntheticRequest) -> Measured {
        serde_json::from_str(&synthetic(asked).expect("runs")).expect("a line of the format")
    }

    #[test]
    fn the_line_has_levels_work_batches_contention_probes_and_truth() {
        let line = measured(&asked(10, false));
        assert_eq!((line.operations, line.samples), (10 * BATCH, 10));
        assert_eq!((line.batches_ns.len(), line.contention_probes_ns.len()), (10, 11));
        assert!(line.env_rejected.is_empty() && line.levels.values().all(|level| level == "on"), "{line:?}");
        assert!(line.counters.values().all(|counters| counters["work"] > 0), "{line:?}");
        assert_eq!(line.truth_ns.len(), FACTORS.len() + 2);
        assert_eq!(line.truth_ns["zero"], 0.0);
        assert!(line.truth_ns["fifty"] > line.truth_ns["ten"] && line.truth_ns["ten"] > line.truth_ns["half"]);
        assert!(line.page_faults >= Some(10), "{line:?}");
    }

    #[test]
    fn counted_runs_have_the_same_checksum_and_no_contention_probes() {
        let (timed, counted) = (measured(&asked(3, false)), measured(&asked(3, true)));
        assert_eq!((&timed.checksum, timed.operations), (&counted.checksum, counted.operations));
        assert!(counted.contention_probes_ns.is_empty() && counted.truth_ns.is_empty());
        assert_eq!(measured(&asked(0, true)).operations, 0);
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

    #[test]
    fn values_between_quiet_contention_probes_are_kept() {
        let contention_probes = [vec![1.0; 7], vec![1.5, 1.0, 1.0]].concat();
        let values = [3.0, 1.0, 2.0, 4.0, 6.0, 5.0, 90.0, 91.0, 7.0];
        assert_eq!(undisturbed(&values, &contention_probes), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
        assert_eq!(undisturbed(&[2.0, 1.0], &[]), [1.0, 2.0]);
    }

    #[test]
    fn a_weight_is_taken_from_what_was_undisturbed() {
        let per = |link_ns: f64| link_ns * (WEIGHED * u64::from(MANY - FEW)) as f64;
        let long = (0..20).map(|i| if i % 2 == 0 { (per(0.3) + 100.0, 1.0) } else { (per(0.2), 1.5) }).collect();
        let weight = Weight { long, short: vec![(100.0, 1.0); 20], contention_probe: 1.0 };
        assert!((weight.link_ns() - 0.3).abs() < 1e-9, "{}", weight.link_ns());
    }

    #[test]
    fn a_link_that_takes_no_time_is_refused() {
        let error = synthetic(&SyntheticRequest { link_ns: Some(0.0), ..asked(1, true) }).expect_err("no time");
        assert!(error.to_string().contains("links of 0 ns"), "{error}");
    }
}
