//! The cost of instruments for the measured process, and of a process for the runner.

use super::contention_probe::on;
use super::trial::Trial;
use crate::measure::{Probed, Tool, Wrapper, watch};
use crate::report::number::MISSING;
use crate::run::Cpus;
use crate::run::process::{self, Exit, Finished, Launch};
use crate::support::files;
use crate::tools::cells::CellsError;
use ablate_format::InstrumentStatus;
use std::collections::BTreeMap;
use std::ffi::CString;
use std::hint::black_box;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Rounds of an in-process cost, of which the median counts.
const ROUNDS: usize = 15;
/// System calls per round.
const CALLS: u32 = 1_000;
/// OS pages touched per round.
const PAGES: usize = 256;
/// System calls of a traced process.
const TRACED_CALLS: u32 = 2_000;
/// Timed batches of a simulated process.
const SIMULATED_BATCHES: u32 = 100;

/// Measured costs.
pub(super) struct Costs {
    /// A system call and a page fault with nothing attached, nanoseconds.
    bare: [f64; 2],
    /// A system call while tracepoints are registered for another process, nanoseconds.
    kept_call: f64,
    /// A system call and a page fault with everything attached, nanoseconds.
    all: [f64; 2],
    /// Cost of one instrument, in nanoseconds: per system call, per page fault, and for attaching and detaching it.
    each: BTreeMap<String, [f64; 3]>,
    /// Time under callgrind, as a multiple of the time without.
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
            // Otherwise each drop of the last counter of a tracepoint would take 30 ms.
            let held = probed.hold_tracepoints();
            kept_call = shortest(|| call(libc::SYS_getppid));
            for name in &names {
                if watch(probed, name).is_some() {
                    each.insert((*name).to_owned(), added(probed, name));
                }
            }
            let watching: Vec<_> = names.iter().filter_map(|name| watch(probed, name)).collect();
            all = [shortest(|| call(libc::SYS_getppid)), shortest(touch)];
            drop(watching);
            drop(held);
        });
        let (mut callgrind, mut strace) = (None, None);
        for wrapper in &probed.wrappers {
            match wrapper.tool {
                Tool::Callgrind => {
                    let work = Trial { calls: 0, batches: SIMULATED_BATCHES };
                    let native = wall(cpus, &work, None)? - wall(cpus, &Trial::default(), None)?;
                    let simulated = wall(cpus, &work, Some(wrapper))? - wall(cpus, &Trial::default(), Some(wrapper))?;
                    callgrind = slowdown(native, simulated);
                }
                Tool::Strace => {
                    let work = Trial { calls: TRACED_CALLS, batches: 0 };
                    let traced = wall(cpus, &work, Some(wrapper))? - wall(cpus, &Trial::default(), Some(wrapper))?;
                    strace = Some(traced / f64::from(TRACED_CALLS) - bare[0]).filter(|added| *added > 0.0);
                }
            }
        }
        Ok(Costs { bare, kept_call, all, each, callgrind, strace })
    }

    /// What an instrument costs, for people.
    pub(super) fn of(&self, status: &InstrumentStatus) -> Option<String> {
        Some(match status.origin.as_str() {
            "simulated" => self.callgrind.map_or_else(lost, |times| format!("{times:.0} × as long")),
            "ptrace" => self.strace.map_or_else(lost, |added| format!("{:.1} µs per call", added / 1e3)),
            "kernel" => "0".to_owned(),
            _ => {
                let [call, fault, opening] = *self.each.get(&status.name)?;
                match status.cost.as_str() {
                    "every system call" | "every system call of its kind" => nanoseconds(call, "call"),
                    "every page fault" => nanoseconds(fault, "fault"),
                    _ => format!("{:.0} µs per process", opening / 1e3),
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

/// How many times as long simulated work takes. `None` where the start of a process varied by more than the work takes, so
/// that one of the differences says nothing.
fn slowdown(native: f64, simulated: f64) -> Option<f64> {
    (native > 0.0 && simulated > native).then(|| simulated / native)
}

/// What stands for the cost of an instrument that is there and was not told.
fn lost() -> String {
    format!("{MISSING}: process starts vary by more, so call this again")
}

/// A cost for people: below what the clock can distinguish from 0, it is an upper limit.
fn nanoseconds(value: f64, what: &str) -> String {
    // Shortest rounds of the same work differ by some nanoseconds.
    if value < 5.0 { format!("< 5 ns per {what}") } else { format!("{value:.0} ns per {what}") }
}

/// Cost of one instrument, in nanoseconds: per system call of its kind, per page fault, and for attaching and detaching
/// it. Rounds with and without the instrument take turns.
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

/// Shortest of the rounds. Disturbances only ever add time.
fn shortest(round: impl FnMut() -> f64) -> f64 {
    std::iter::repeat_with(round).take(ROUNDS).fold(f64::INFINITY, f64::min)
}

/// Median over rounds.
fn median(mut round: impl FnMut() -> f64) -> f64 {
    let mut values: Vec<f64> = (0..ROUNDS).map(|_| round()).collect();
    values.sort_by(f64::total_cmp);
    values[ROUNDS / 2]
}

/// Nanoseconds per system call of this kind, with 0 for every argument. None of the kinds above changes anything then:
/// lengths of 0 are refused or have no effect, and `brk` returns the current end.
fn call(number: libc::c_long) -> f64 {
    let before = Instant::now();
    for _ in 0..CALLS {
        // SAFETY: no argument is a pointer that the kernel writes through.
        black_box(unsafe { libc::syscall(number, 0, 0, 0, 0, 0, 0) });
    }
    before.elapsed().as_nanos() as f64 / f64::from(CALLS)
}

/// Nanoseconds per first touch of a 4 KiB OS page.
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

/// The time of starting a process and of reading the clock.
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

/// Runs the hidden subcommand `trial` of this program, pinned, alone or under a tool.
pub(super) fn start(cpus: &Cpus, trial: &Trial, wrapper: Option<&Wrapper>) -> Result<Finished, CellsError> {
    if crate::support::interrupt::asked() {
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
    let scratch = files::scratch(None)
        .map_err(CellsError::io(Path::new("the temporary folder"), "creating a scratch folder in it"))?;
    // Long enough for a busy machine; only a process that hangs is ended.
    let mut timeout = Duration::from_secs(60);
    if let Some(wrapper) = wrapper {
        let path = scratch.path();
        (program, argv) = wrapper.wrap(&program, &argv, path).map_err(CellsError::io(path, "naming a file"))?;
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
        stdin: None,
        heeds_interrupt: true,
        samples_memory: false,
    };
    let finished = process::run(&launch)?;
    match finished.exit {
        Exit::Code(0) => Ok(finished),
        Exit::Interrupted => Err(CellsError::Interrupted),
        exit => Err(odd(format!("a trial of ablate itself ended with {exit:?}; run `cargo ablate trial` by hand"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slowdown_that_process_starts_hide_is_none() {
        assert_eq!(slowdown(1e6, 5e7), Some(50.0));
        for (native, simulated) in [(1e6, -16e6), (0.0, 5e7), (-1.0, 5e7), (1e6, 0.9e6)] {
            assert_eq!(slowdown(native, simulated), None, "{native} {simulated}");
        }
    }

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
        assert_eq!(of("tracepoint", "every system call").as_deref(), Some("188 ns per call"));
        assert_eq!(nanoseconds(-3.0, "call"), "< 5 ns per call");
        assert_eq!(of("software", "every page fault").as_deref(), Some("70 ns per fault"));
        assert_eq!(of("software", "every switch to and from the process").as_deref(), Some("9 µs per process"));
        assert_eq!((of("simulated", "").as_deref(), of("ptrace", "")), (Some("49 × as long"), Some(lost())));
        assert!(costs.together().contains("100 ns") && costs.together().contains("1200 ns"));
    }

    #[test]
    fn calls_and_pages_take_time() {
        assert!(call(libc::SYS_getppid) > 0.0 && touch() > 0.0);
    }
}
