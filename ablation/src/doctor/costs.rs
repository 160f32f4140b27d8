//! What instruments cost the measured process, and what a process costs the runner.

use super::canary::on;
use super::trial::Trial;
use crate::cells::CellsError;
use crate::measure::{Probed, Tool, Wrapper, watch};
use crate::run::Cpus;
use crate::run::process::{self, Exit, Finished, Launch};
use ablate_format::InstrumentStatus;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::hint::black_box;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Rounds of an in-process cost, of which the median counts.
const ROUNDS: usize = 15;
/// System calls a round.
const CALLS: u32 = 1_000;
/// Pages touched a round.
const PAGES: usize = 256;
/// System calls of a traced process.
const TRACED_CALLS: u32 = 2_000;
/// Batches of a simulated process.
const SIMULATED_BATCHES: u32 = 100;

/// Measured costs.
pub(super) struct Costs {
    /// A system call and a page fault with nothing attached, nanoseconds.
    bare: [f64; 2],
    /// A system call while tracepoints are registered for somebody else, nanoseconds.
    kept_call: f64,
    /// A system call and a page fault with everything attached, nanoseconds.
    all: [f64; 2],
    /// What one instrument adds to a system call and to a page fault, and what attaching and detaching it takes,
    /// nanoseconds.
    each: BTreeMap<String, [f64; 3]>,
    /// Times as long under callgrind.
    callgrind: Option<f64>,
    /// Nanoseconds that strace adds to a system call.
    strace: Option<f64>,
}

impl Costs {
    pub(super) fn measure(probed: &Probed, cpus: &Cpus) -> Result<Costs, CellsError> {
        let (mut bare, mut kept_call, mut all) = ([0.0; 2], 0.0, [0.0; 2]);
        let mut each = BTreeMap::new();
        on(&cpus.pinned(), || {
            let names: Vec<&str> = probed.status.iter().map(|status| status.name.as_str()).collect();
            bare = [shortest(|| call(libc::SYS_getppid)), shortest(touch)];
            // Else each drop of the last counter of a tracepoint would take 30 ms.
            let kept = probed.keep();
            kept_call = shortest(|| call(libc::SYS_getppid));
            for name in &names {
                if watch(probed, name).is_some() {
                    each.insert((*name).to_owned(), added(probed, name));
                }
            }
            let watching: Vec<_> = names.iter().filter_map(|name| watch(probed, name)).collect();
            all = [shortest(|| call(libc::SYS_getppid)), shortest(touch)];
            drop(watching);
            drop(kept);
        });
        let (mut callgrind, mut strace) = (None, None);
        for wrapper in &probed.wrappers {
            match wrapper.tool {
                Tool::Callgrind => {
                    let work = Trial { calls: 0, batches: SIMULATED_BATCHES };
                    let native = wall(cpus, &work, None)? - wall(cpus, &Trial::default(), None)?;
                    let simulated = wall(cpus, &work, Some(wrapper))? - wall(cpus, &Trial::default(), Some(wrapper))?;
                    callgrind = (native > 0.0).then(|| simulated / native);
                }
                Tool::Strace => {
                    let work = Trial { calls: TRACED_CALLS, batches: 0 };
                    let traced = wall(cpus, &work, Some(wrapper))? - wall(cpus, &Trial::default(), Some(wrapper))?;
                    strace = Some(traced / f64::from(TRACED_CALLS) - bare[0]);
                }
            }
        }
        Ok(Costs { bare, kept_call, all, each, callgrind, strace })
    }

    /// What an instrument costs, for people.
    pub(super) fn of(&self, status: &InstrumentStatus) -> Option<String> {
        Some(match status.origin.as_str() {
            "simulated" => format!("{:.0} × as long", self.callgrind?),
            "ptrace" => format!("{:.1} µs a call", self.strace? / 1e3),
            "kernel" => "0".to_owned(),
            _ => {
                let [call, fault, opening] = *self.each.get(&status.name)?;
                match status.cost.as_str() {
                    "every system call" | "every system call of its kind" => nanoseconds(call, "call"),
                    "every page fault" => nanoseconds(fault, "fault"),
                    _ => format!("{:.0} µs a process", opening / 1e3),
                }
            }
        })
    }

    /// One sentence about everything together.
    pub(super) fn together(&self) -> String {
        format!(
            "A bare system call takes {:.0} ns, {:.0} ns while tracepoints are registered for any process, and {:.0} ns with \
             every counter attached; touching a new page takes {:.0} ns, and {:.0} ns with every counter attached. That is \
             why counting and timing are separate runs.",
            self.bare[0], self.kept_call, self.all[0], self.bare[1], self.all[1]
        )
    }
}

/// A cost that the clock can tell from nothing, or that it cannot.
fn nanoseconds(value: f64, what: &str) -> String {
    // Shortest rounds of one and the same differ by some nanoseconds.
    if value < 5.0 { format!("< 5 ns a {what}") } else { format!("{value:.0} ns a {what}") }
}

/// What one instrument adds to a system call (of its kind) and to a page fault, and what attaching and detaching it
/// takes, nanoseconds. With and without it in turn.
fn added(probed: &Probed, name: &str) -> [f64; 3] {
    let number = match name.strip_prefix("sys-") {
        Some("mmap") => libc::SYS_mmap,
        Some("munmap") => libc::SYS_munmap,
        Some("madvise") => libc::SYS_madvise,
        Some("mremap") => libc::SYS_mremap,
        Some("mprotect") => libc::SYS_mprotect,
        Some("brk") => libc::SYS_brk,
        Some("futex") => libc::SYS_futex,
        _ => libc::SYS_getppid,
    };
    let (mut without, mut with, mut opening) = ([f64::INFINITY; 2], [f64::INFINITY; 2], f64::INFINITY);
    for _ in 0..ROUNDS {
        without = [without[0].min(call(number)), without[1].min(touch())];
        let before = Instant::now();
        let watching = watch(probed, name);
        let opened = before.elapsed();
        with = [with[0].min(call(number)), with[1].min(touch())];
        let before = Instant::now();
        drop(watching);
        opening = opening.min((opened + before.elapsed()).as_nanos() as f64);
    }
    [with[0] - without[0], with[1] - without[1], opening]
}

/// Shortest of the rounds: what disturbs only ever adds.
fn shortest(round: impl FnMut() -> f64) -> f64 {
    std::iter::repeat_with(round).take(ROUNDS).fold(f64::INFINITY, f64::min)
}

/// Median over rounds.
fn median(mut round: impl FnMut() -> f64) -> f64 {
    let mut values: Vec<f64> = (0..ROUNDS).map(|_| round()).collect();
    values.sort_by(f64::total_cmp);
    values[ROUNDS / 2]
}

/// Nanoseconds a system call of this kind, with 0 for every argument. None of those above does anything then: lengths of
/// 0 are refused or mean nothing, and `brk` answers where it is.
fn call(number: libc::c_long) -> f64 {
    let before = Instant::now();
    for _ in 0..CALLS {
        // SAFETY: no argument is a pointer that the kernel writes through.
        black_box(unsafe { libc::syscall(number, 0, 0, 0, 0, 0, 0) });
    }
    before.elapsed().as_nanos() as f64 / f64::from(CALLS)
}

/// Nanoseconds for the first touch of a small page.
fn touch() -> f64 {
    const PAGE: usize = 4096;
    let bytes = PAGES * PAGE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new anonymous mapping of its own.
    let start = unsafe { libc::mmap(std::ptr::null_mut(), bytes, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
    if start == libc::MAP_FAILED {
        return f64::NAN;
    }
    // SAFETY: the mapping is whole and ours; where the advice is unknown there are no huge pages to keep away.
    unsafe { libc::madvise(start, bytes, libc::MADV_NOHUGEPAGE) };
    let before = Instant::now();
    for page in 0..PAGES {
        // SAFETY: within the mapping.
        unsafe { start.cast::<u8>().add(page * PAGE).write_volatile(1) };
    }
    let taken = before.elapsed().as_nanos() as f64 / PAGES as f64;
    // SAFETY: the mapping is whole and nothing points into it.
    unsafe { libc::munmap(start, bytes) };
    taken
}

/// What starting processes and reading the clock take.
pub(super) struct Floor {
    pub(super) clock_ns: f64,
    pub(super) process_ms: f64,
    pub(super) runner_ms: f64,
}

impl Floor {
    pub(super) fn measure(cpus: &Cpus) -> Result<Floor, CellsError> {
        const READS: u32 = 10_000;
        let clock_ns = on(&cpus.pinned(), || {
            median(|| {
                let before = Instant::now();
                for _ in 0..READS {
                    black_box(Instant::now());
                }
                before.elapsed().as_nanos() as f64 / f64::from(READS)
            })
        });
        let (mut process, mut around) = (Vec::new(), Vec::new());
        for _ in 0..2 * ROUNDS {
            let before = Instant::now();
            let finished = start(cpus, &Trial::default(), None)?;
            let taken = before.elapsed().as_nanos() as f64 / 1e6;
            process.push(finished.wall_ns as f64 / 1e6);
            around.push(taken - finished.wall_ns as f64 / 1e6);
        }
        let middle = |mut values: Vec<f64>| {
            values.sort_by(f64::total_cmp);
            values[values.len() / 2]
        };
        Ok(Floor { clock_ns, process_ms: middle(process), runner_ms: middle(around) })
    }
}

/// Shortest wall time of three trials, nanoseconds.
fn wall(cpus: &Cpus, trial: &Trial, wrapper: Option<&Wrapper>) -> Result<f64, CellsError> {
    let mut shortest = f64::INFINITY;
    for _ in 0..3 {
        shortest = shortest.min(start(cpus, trial, wrapper)?.wall_ns as f64);
    }
    Ok(shortest)
}

/// Runs this program's hidden trial, pinned, alone or under a tool.
pub(super) fn start(cpus: &Cpus, trial: &Trial, wrapper: Option<&Wrapper>) -> Result<Finished, CellsError> {
    if crate::run::interrupt::asked() {
        return Err(CellsError::Interrupted);
    }
    let odd = |what: String| CellsError::Impossible { what };
    let own = std::env::current_exe().map_err(CellsError::io(Path::new("ablate"), "finding itself"))?;
    let text = |text: &[u8]| CString::new(text).map_err(|_| odd("the path of ablate contains NUL; move it".to_owned()));
    let mut program = text(own.as_os_str().as_bytes())?;
    let words = ["trial".to_owned(), format!("--calls={}", trial.calls), format!("--batches={}", trial.batches)];
    let mut argv = vec![program.clone()];
    for word in words {
        argv.push(text(word.as_bytes())?);
    }
    let scratch = std::env::temp_dir().join(format!("ablate-doctor-{}", std::process::id()));
    // Only against a process that hangs: a busy machine may take its time.
    let mut timeout = Duration::from_secs(60);
    if let Some(wrapper) = wrapper {
        std::fs::create_dir_all(&scratch).map_err(CellsError::io(&scratch, "creating a folder"))?;
        (program, argv) = wrapper.wrap(&program, &argv, &scratch).map_err(CellsError::io(&scratch, "naming a file"))?;
        timeout *= 2;
    }
    let launch = Launch {
        program,
        argv,
        envp: Vec::new(),
        directory: None,
        cpus: Some(cpus.pinned()),
        aslr: true,
        timeout,
        counters: None,
        counter_pass: None,
    };
    let finished = process::run(&launch);
    if wrapper.is_some() {
        // What cannot be removed is in the folder for temporary files.
        let _ = std::fs::remove_dir_all(&scratch);
    }
    let finished = finished?;
    match finished.exit {
        Exit::Code(0) => Ok(finished),
        Exit::Interrupted => Err(CellsError::Interrupted),
        exit => Err(odd(format!("a trial of ablate itself ended with {exit:?}; run `ablate trial` by hand"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_in_the_unit_of_what_they_slow() {
        let costs = Costs {
            bare: [100.0, 900.0],
            kept_call: 150.0,
            all: [300.0, 1200.0],
            each: BTreeMap::from([("x".to_owned(), [188.4, 70.2, 9000.0])]),
            callgrind: Some(48.6),
            strace: None,
        };
        let of = |origin: &str, cost: &str| {
            costs.of(&InstrumentStatus {
                name: "x".to_owned(),
                exact: true,
                unavailable: None,
                origin: origin.to_owned(),
                cost: cost.to_owned(),
            })
        };
        assert_eq!(of("tracepoint", "every system call").as_deref(), Some("188 ns a call"));
        assert_eq!(nanoseconds(-3.0, "call"), "< 5 ns a call");
        assert_eq!(of("software", "every page fault").as_deref(), Some("70 ns a fault"));
        assert_eq!(of("software", "every switch to and from the process").as_deref(), Some("9 µs a process"));
        assert_eq!((of("simulated", "").as_deref(), of("ptrace", "")), (Some("49 × as long"), None));
        assert!(costs.together().contains("100 ns") && costs.together().contains("1200 ns"));
    }

    #[test]
    fn calls_and_pages_take_time() {
        assert!(call(libc::SYS_getppid) > 0.0 && touch() > 0.0);
    }
}
