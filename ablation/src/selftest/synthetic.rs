//! `ablate synthetic`: a measured program whose costs are known, because it injects them and weighs them itself.
//!
//! What a link costs is measured in the same process, around the measured part, so that the truth follows the machine's
//! clock. Everything but the levels is the same in every cell.

use super::chain::operations;
use super::factors::{FACTORS, FAULTY, INERT, Levels, Links, PREFIX, variable};
use ablate_probe::{Line, TimedBatches, contention_probe_ns, percentile};
use std::ffi::{OsStr, OsString};
use std::hint::black_box;
use std::time::Instant;

/// Operations of a batch: 15 to 50 µs.
pub(super) const BATCH: u64 = 400;
/// A canary this much above the best of the process was disturbed.
const TOLERANCE: f64 = 1.08;
/// How a link is weighed: so many operations, with few and with many links; some 3 and 15 µs.
const WEIGHED: u64 = 80;
const FEW: u32 = 100;
const MANY: u32 = 600;
/// Weighings before the measured part, and as many after it.
const WEIGHINGS: usize = 12;
/// Names in the line: what both sides cost together, and what the touch of a page costs, per operation.
pub(super) const TOGETHER: &str = "together";
pub(super) const TOUCH: &str = "touch";

/// What `ablate synthetic` is asked.
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Nanoseconds of a link, from which the numbers of links follow; all cells of a study must get the same. Default:
    /// as measured.
    #[arg(long, value_name = "NS")]
    pub link_ns: Option<f64>,
    /// Batches of 400 operations.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(0..=10_000))]
    pub batches: u32,
    /// Leave out canaries and weighing, for counting from outside.
    #[arg(long)]
    pub counted: bool,
}

/// Why there is no synthetic subject.
#[derive(Debug, thiserror::Error)]
pub enum SyntheticError {
    /// A link cannot take that long.
    #[error("no chain can be made of links of {0} ns: give --link-ns as `ablate synthetic` measures it, about 0.3")]
    Link(f64),
    /// No memory.
    #[error("cannot map memory: {0}; free some")]
    Memory(std::io::Error),
}

/// Does the operations and returns the line of docs/format.md, with the truth in `truth_ns`.
///
/// # Errors
/// [`SyntheticError`].
pub fn synthetic(args: &Args) -> Result<String, SyntheticError> {
    let (on, rejected) = levels(std::env::vars_os());
    let wanted = args.batches as usize;
    let mut weight = Weight::new();
    if !args.counted {
        weight.take(WEIGHINGS);
    }
    let link_ns = match args.link_ns {
        Some(link_ns) => link_ns,
        None => {
            weight.take(WEIGHINGS);
            weight.link_ns()
        }
    };
    let links = Links::of(link_ns).ok_or(SyntheticError::Link(link_ns))?;
    let in_operation = links.in_operation(&on);
    let mut batches = match wanted == 0 || args.counted {
        true => TimedBatches::without_contention_probes(wanted, BATCH),
        false => TimedBatches::new(wanted, BATCH),
    };
    let mut pages = Pages::map(wanted + 1).map_err(SyntheticError::Memory)?;
    let mut touch_ns = vec![f64::MAX; wanted];
    black_box(&mut touch_ns);
    let mut x = operations(BATCH, in_operation, 1);
    let before = page_faults();
    for (at, touch) in touch_ns.iter_mut().enumerate() {
        // The first page is there already: without the factor the same store finds its page.
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
    if !args.counted {
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
    if !args.counted && wanted > 0 {
        let link_ns = weight.link_ns();
        for (factor, links) in FACTORS.iter().zip(links.factor) {
            line.number("truth_ns", factor.name, f64::from(links) * link_ns);
        }
        line.number("truth_ns", TOGETHER, f64::from(links.together) * link_ns);
        line.number("truth_ns", TOUCH, percentile(&touch_ns, 0.1) / BATCH as f64);
    }
    Ok(line.to_string())
}

/// The values of batches between two canaries near to the best, sorted; all of them when those are few.
fn undisturbed(values: &[f64], canaries: &[f64]) -> Vec<f64> {
    let best = canaries.iter().copied().fold(f64::INFINITY, f64::min);
    let is_quiet = |pair: &[f64]| pair[0].max(pair[1]) <= TOLERANCE * best;
    let mut kept: Vec<f64> =
        values.iter().zip(canaries.windows(2)).filter(|(_, pair)| is_quiet(pair)).map(|(value, _)| *value).collect();
    if kept.len() < values.len().min(WEIGHINGS) / 2 || kept.is_empty() {
        kept = values.to_vec();
    }
    kept.sort_by(f64::total_cmp);
    kept
}

/// Nanoseconds of a link on this machine just now; takes some milliseconds.
pub(super) fn link_ns() -> f64 {
    let mut weight = Weight::new();
    weight.take(20 * WEIGHINGS);
    weight.link_ns()
}

/// Levels by the environment, and the variables that mean nothing.
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

/// Weighs a link: the same operations with few and with many links, so that everything else cancels.
struct Weight {
    long: Vec<(f64, f64)>,
    short: Vec<(f64, f64)>,
    canary: f64,
}

impl Weight {
    fn new() -> Weight {
        // The first pages in code and clock and wakes the processor.
        (0..8).for_each(|_| {
            contention_probe_ns();
        });
        Weight { long: Vec::new(), short: Vec::new(), canary: contention_probe_ns() }
    }

    fn take(&mut self, times: usize) {
        for _ in 0..times {
            let (long, short) = (self.time(MANY), self.time(FEW));
            self.long.push(long);
            self.short.push(short);
        }
    }

    /// Nanoseconds of the operations, and the worse of the canaries around them.
    fn time(&mut self, links: u32) -> (f64, f64) {
        let before = Instant::now();
        black_box(operations(WEIGHED, links, 1));
        let ns = before.elapsed().as_nanos() as f64;
        let first = std::mem::replace(&mut self.canary, contention_probe_ns());
        (ns, first.max(self.canary))
    }

    /// Nanoseconds of a link. Of both kinds the 10th percentile of what was undisturbed, as a run's is of its batches.
    fn link_ns(&self) -> f64 {
        let best = self.long.iter().chain(&self.short).map(|(_, canary)| *canary).fold(f64::INFINITY, f64::min);
        let of = |taken: &[(f64, f64)]| {
            let mut kept: Vec<f64> =
                taken.iter().filter(|(_, canary)| *canary <= TOLERANCE * best).map(|(ns, _)| *ns).collect();
            if kept.len() < WEIGHINGS / 2 {
                kept = taken.iter().map(|(ns, _)| *ns).collect();
            }
            kept.sort_by(f64::total_cmp);
            percentile(&kept, 0.1)
        };
        (of(&self.long) - of(&self.short)) / (WEIGHED * u64::from(MANY - FEW)) as f64
    }
}

/// Anonymous memory, the first page of which is there, and the others not yet.
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
        // Whether it is obeyed shows in the page faults: a huge page would make them fewer.
        // SAFETY: the mapping is ours and has this length.
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
        // SAFETY: mapped by `map` with this length, and nobody keeps a reference.
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

    fn args(batches: u32, counted: bool) -> Args {
        Args { link_ns: Some(0.3), batches, counted }
    }

    fn measured(args: &Args) -> Measured {
        serde_json::from_str(&synthetic(args).expect("runs")).expect("a line of the format")
    }

    #[test]
    fn the_line_has_levels_work_batches_canaries_and_truth() {
        let line = measured(&args(10, false));
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
    fn counted_runs_have_the_same_checksum_and_no_canaries() {
        let (timed, counted) = (measured(&args(3, false)), measured(&args(3, true)));
        assert_eq!((&timed.checksum, timed.operations), (&counted.checksum, counted.operations));
        assert!(counted.contention_probes_ns.is_empty() && counted.truth_ns.is_empty());
        assert_eq!(measured(&args(0, true)).operations, 0);
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
    fn values_between_quiet_canaries_are_kept() {
        let canaries = [vec![1.0; 7], vec![1.5, 1.0, 1.0]].concat();
        let values = [3.0, 1.0, 2.0, 4.0, 6.0, 5.0, 90.0, 91.0, 7.0];
        assert_eq!(undisturbed(&values, &canaries), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0]);
        assert_eq!(undisturbed(&[2.0, 1.0], &[]), [1.0, 2.0]);
    }

    #[test]
    fn a_weight_is_taken_from_what_was_undisturbed() {
        let per = |link_ns: f64| link_ns * (WEIGHED * u64::from(MANY - FEW)) as f64;
        let long = (0..20).map(|i| if i % 2 == 0 { (per(0.3) + 100.0, 1.0) } else { (per(0.2), 1.5) }).collect();
        let weight = Weight { long, short: vec![(100.0, 1.0); 20], canary: 1.0 };
        assert!((weight.link_ns() - 0.3).abs() < 1e-9, "{}", weight.link_ns());
    }

    #[test]
    fn a_link_that_takes_no_time_is_refused() {
        let error = synthetic(&Args { link_ns: Some(0.0), ..args(1, true) }).expect_err("no time");
        assert!(error.to_string().contains("links of 0 ns"), "{error}");
    }
}
