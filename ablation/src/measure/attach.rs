//! Counters on a process that waits before its `exec`. Each counter follows threads and children and starts with the
//! `exec`.
//!
//! Groups cannot watch another process, so each instrument has its own descriptor. The descriptor is read here, because
//! the `read` of the crate panics on a multiplexed counter. How many hardware events fit the processor at once is found
//! with a group on the runner itself, which the kernel refuses when it is too large.

use super::instruments::{self, EventSource, Instrument, instruments};
use super::refusal::refusal;
use super::wrapper::{self, Wrapper};
use super::{tracefs, vmstat};
use ablate_format::InstrumentStatus;
use perf_event::{Builder, Counter, Group};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd};

/// Smallest share of the running time in which a counter was on the processor for its count to be reported.
const MIN_COVERAGE: f64 = 0.95;

/// The instruments that are available on this machine.
#[derive(Debug, Default)]
pub(crate) struct Probed {
    attachable: Vec<Attachable>,
    passes: usize,
    /// Tools that run the process and count it, each in a run of its own.
    pub(crate) wrappers: Vec<Wrapper>,
    /// Every instrument with its state, in the order of the table.
    pub(crate) status: Vec<InstrumentStatus>,
}

/// An available instrument that is attached to processes.
#[derive(Debug)]
struct Attachable {
    row: Instrument,
    /// Number of its tracepoint.
    id: Option<u64>,
    /// The run that it is counted in, from 0.
    pass: usize,
}

/// Counters attached to one process.
#[derive(Debug)]
pub(crate) struct Attached {
    counters: Vec<(String, Result<Counter, String>)>,
    /// Name, line of `/proc/vmstat`, its value before the process.
    machine: Vec<(String, &'static str, u64)>,
}

/// The counts of one process.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Reading {
    /// Counts by instrument.
    pub(crate) counts: BTreeMap<String, u64>,
    /// Share of the running time in which a counter was on the processor, for counters that were not there all the
    /// time. Their counts are scaled up.
    pub(crate) coverage: BTreeMap<String, f64>,
    /// Available instruments that gave no count for this process, each with the reason and the way out.
    pub(crate) refused: BTreeMap<String, String>,
}

impl Reading {
    /// Adds the counts of another run of the same process.
    pub(crate) fn extend(&mut self, other: Reading) {
        self.counts.extend(other.counts);
        self.coverage.extend(other.coverage);
        self.refused.extend(other.refused);
    }
}

/// Tries every instrument of the group `perf` once, on this process.
pub(crate) fn probe() -> Probed {
    probe_groups(&["perf".to_owned()])
}

/// Tries every instrument of these groups (names from [`instruments::GROUPS`]) once, on this process.
pub(crate) fn probe_groups(groups: &[String]) -> Probed {
    probe_rows(instruments(groups))
}

impl Probed {
    /// The tracepoints of the group `perf`, its page faults, and one tracepoint for each of these kinds of system call.
    /// A kind that the kernel has no tracepoint for is unavailable.
    pub(crate) fn for_calls(calls: &[String]) -> Probed {
        let mut rows = instruments(&["perf".to_owned()]);
        let stays = |row: &Instrument| match row.source {
            EventSource::Tracepoint(_) | EventSource::Vmstat(_) => true,
            _ => row.name == "page-faults",
        };
        rows.retain(stays);
        for call in calls {
            let row = instruments::call(call);
            if rows.iter().all(|known| known.name != row.name) {
                rows.push(row);
            }
        }
        probe_rows(rows)
    }
}

pub(super) fn probe_rows(rows: Vec<Instrument>) -> Probed {
    let tracepoints: Vec<String> = rows
        .iter()
        .filter_map(|row| match &row.source {
            EventSource::Tracepoint(name) => Some(name.clone()),
            _ => None,
        })
        .collect();
    let ids = if tracepoints.is_empty() { Ok(BTreeMap::new()) } else { tracefs::event_ids(&tracepoints) };
    let circumstances = Circumstances::read();
    let mut tools: BTreeMap<&'static str, Result<Wrapper, String>> = BTreeMap::new();
    let mut probed = Probed::default();
    for row in rows {
        let unavailable = match &row.source {
            EventSource::Event(_) => circumstances.try_open(&row, None).err(),
            EventSource::Tracepoint(name) => match ids.as_ref().map(|ids| ids.get(name)) {
                Ok(Some(id)) => circumstances.try_open(&row, Some(*id)).err(),
                Ok(None) => {
                    Some(format!("this kernel has no tracepoint {name}; one with CONFIG_FTRACE_SYSCALLS may have it"))
                }
                Err(why) => Some(why.clone()),
            },
            EventSource::Vmstat(name) => vmstat::value(name)
                .is_none()
                .then(|| format!("/proc/vmstat has no {name}; a kernel with CONFIG_TRANSPARENT_HUGEPAGE has it")),
            EventSource::Callgrind | EventSource::Strace => {
                let tool = tools.entry(row.source.origin()).or_insert_with(|| wrapper::wrapper(&row.source));
                tool.as_ref().err().cloned()
            }
        };
        let (name, exact) = (row.name.clone(), row.exact);
        let (origin, cost) = (row.source.origin().to_owned(), row.source.cost().to_owned());
        let id = match &row.source {
            EventSource::Tracepoint(name) => ids.as_ref().ok().and_then(|ids| ids.get(name).copied()),
            _ => None,
        };
        if unavailable.is_none() && !matches!(row.source, EventSource::Callgrind | EventSource::Strace) {
            probed.attachable.push(Attachable { row, id, pass: 0 });
        }
        probed.status.push(InstrumentStatus { name, exact, unavailable, origin, cost });
    }
    probed.wrappers = tools.into_values().filter_map(Result::ok).collect();
    probed.passes = assign_passes(&mut probed.attachable);
    probed
}

/// Facts of the machine that explain why the kernel refuses a counter.
struct Circumstances {
    paranoid: Option<i32>,
    virtual_machine: bool,
}

impl Circumstances {
    fn read() -> Circumstances {
        let paranoid = std::fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").ok();
        Circumstances {
            paranoid: paranoid.and_then(|level| level.trim().parse().ok()),
            virtual_machine: crate::support::machine::is_virtual(),
        }
    }

    /// Opens a counter and closes it again. The error says why that failed and what would allow it.
    fn try_open(&self, row: &Instrument, id: Option<u64>) -> Result<(), String> {
        open(row, id, Observed::NoProcess).map(drop).map_err(|e| self.explain(row, &e))
    }

    fn explain(&self, row: &Instrument, error: &io::Error) -> String {
        refusal(&row.source, error.raw_os_error().unwrap_or(0), self.paranoid, self.virtual_machine)
    }
}

/// Assigns hardware events to as few runs as the processor's counters allow, and everything else to the first. Returns
/// the number of runs.
fn assign_passes(attachable: &mut [Attachable]) -> usize {
    let mut pass = 0;
    let mut group: Option<(Group, Vec<Counter>)> = None;
    for one in attachable.iter_mut().filter(|one| one.row.source.needs_pmu()) {
        if let Some((group, members)) = &mut group
            && let Ok(counter) = builder(&one.row, one.id).group(group).build()
        {
            members.push(counter);
            one.pass = pass;
            continue;
        }
        // The group is full: the kernel returned EINVAL or ENOSPC.
        if group.is_some() {
            pass += 1;
        }
        one.pass = pass;
        group = Group::new().ok().and_then(|mut group| {
            let first = builder(&one.row, one.id).group(&mut group).build().ok()?;
            Some((group, vec![first]))
        });
    }
    pass + 1
}

/// Tracepoints that stay registered until this is dropped.
#[derive(Debug)]
pub(crate) struct HeldTracepoints {
    _counters: Vec<Counter>,
}

impl Probed {
    /// Registers every tracepoint until the result is dropped. Otherwise each process would register and release them,
    /// and the kernel needs some 30 ms for the release of each.
    ///
    /// Only for counting: as long as one is registered, every system call of the machine takes the slow path.
    pub(crate) fn hold_tracepoints(&self) -> HeldTracepoints {
        let tracepoints = self.attachable.iter().filter(|one| one.id.is_some());
        let counters = tracepoints.filter_map(|one| open(&one.row, one.id, Observed::NoProcess).ok());
        HeldTracepoints { _counters: counters.collect() }
    }

    /// Number of runs in which everything is counted without sharing a hardware counter, at least 1.
    pub(crate) fn passes(&self) -> usize {
        self.passes.max(1)
    }

    /// Whether an instrument is available.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.status.iter().any(|status| status.name == name && status.unavailable.is_none())
    }

    /// Attaches everything at once to a process that has not called `exec` yet. Where [`Self::passes`] is above 1 the
    /// hardware events share counters, and those with less than 95 % of the running time give no count.
    pub(crate) fn attach(&self, pid: libc::pid_t) -> Attached {
        self.attach_where(pid, |_| true)
    }

    /// Attaches the instruments of one pass, below [`Self::passes`], to a process that has not called `exec` yet.
    pub(crate) fn attach_pass(&self, pid: libc::pid_t, pass: usize) -> Attached {
        self.attach_where(pid, |one| one.pass == pass)
    }

    fn attach_where(&self, pid: libc::pid_t, wanted: impl Fn(&Attachable) -> bool) -> Attached {
        let mut attached = Attached { counters: Vec::new(), machine: Vec::new() };
        for one in self.attachable.iter().filter(|one| wanted(one)) {
            let name = one.row.name.clone();
            if let EventSource::Vmstat(line) = one.row.source {
                attached.machine.extend(vmstat::value(line).map(|before| (name, line, before)));
                continue;
            }
            let counter = open(&one.row, one.id, Observed::Child(pid));
            attached.counters.push((name, counter.map_err(|e| Circumstances::read().explain(&one.row, &e))));
        }
        attached
    }
}

impl Attached {
    /// The counts from the `exec` to the end of the process, which must have ended. A counter that was on the processor
    /// for less than 95 % of the running time gives no count.
    pub(crate) fn reading(self) -> Reading {
        let mut reading = Reading::default();
        for (name, line, before) in self.machine {
            if let Some(after) = vmstat::value(line) {
                reading.counts.insert(name, after.saturating_sub(before));
            }
        }
        for (name, counter) in self.counters {
            let value = counter.and_then(|counter| {
                raw(&counter).map_err(|e| format!("the counter cannot be read: {e}; count once more"))
            });
            match value.and_then(scaled) {
                Ok((count, coverage)) => {
                    if coverage < 1.0 {
                        reading.coverage.insert(name.clone(), coverage);
                    }
                    reading.counts.insert(name, count);
                }
                Err(why) => drop(reading.refused.insert(name, why)),
            }
        }
        reading
    }
}

/// A counter of this thread that runs until it is dropped.
pub(crate) struct Watching {
    _counter: Counter,
}

/// Counts this thread with one instrument from now on, to measure the cost of counting. `None` when the instrument is
/// not available or is not attached to processes.
pub(crate) fn watch(probed: &Probed, name: &str) -> Option<Watching> {
    let one = probed.attachable.iter().find(|one| one.row.name == name)?;
    if matches!(one.row.source, EventSource::Vmstat(_)) {
        return None;
    }
    let mut builder = builder(&one.row, one.id);
    builder.enabled(true).enable_on_exec(false);
    Some(Watching { _counter: builder.observe_self().build().ok()? })
}

/// The process whose events are counted.
#[derive(Clone, Copy)]
enum Observed {
    /// A waiting process and its descendants, from its `exec`.
    Child(libc::pid_t),
    /// None. The counter is attached to this process, which never calls `exec`, and is not inherited.
    NoProcess,
}

fn builder<'a>(row: &Instrument, id: Option<u64>) -> Builder<'a> {
    let mut builder = Builder::new();
    if let EventSource::Event(event) = &row.source {
        builder = builder.kind(event.clone());
    }
    if let Some(id) = id {
        let attrs = builder.attrs_mut();
        attrs.type_ = perf_event_open_sys::bindings::PERF_TYPE_TRACEPOINT;
        attrs.config = id;
    }
    // System calls, faults and switches happen in the kernel, and would be 0 without it.
    builder.include_kernel().enable_on_exec(true);
    builder
}

fn open(row: &Instrument, id: Option<u64>, observed: Observed) -> io::Result<Counter> {
    let mut builder = builder(row, id);
    let counter = match observed {
        Observed::Child(pid) => {
            builder.inherit(true);
            builder.observe_pid(pid).build()?
        }
        Observed::NoProcess => builder.observe_self().build()?,
    };
    // SAFETY: the descriptor is open; the crate does not set this flag, and a measured process must not inherit it.
    if unsafe { libc::fcntl(counter.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(counter)
}

/// Value, time enabled and time running of a counter, the times in nanoseconds.
fn raw(counter: &Counter) -> io::Result<[u64; 3]> {
    // SAFETY: the descriptor is open, and `ManuallyDrop` leaves closing it to the counter.
    let mut file = ManuallyDrop::new(unsafe { File::from_raw_fd(counter.as_raw_fd()) });
    let mut bytes = [0_u8; 24];
    file.read_exact(&mut bytes)?;
    let word = |i: usize| {
        let mut word = [0_u8; 8];
        word.copy_from_slice(&bytes[8 * i..8 * i + 8]);
        u64::from_ne_bytes(word)
    };
    Ok([word(0), word(1), word(2)])
}

/// The value, scaled up when the counter shared the processor, and the share of the time in which it was there.
///
/// # Errors
/// The reason when that share is below [`MIN_COVERAGE`].
fn scaled([value, enabled, running]: [u64; 3]) -> Result<(u64, f64), String> {
    if enabled == 0 {
        return Err("the process never ran, so nothing was counted; count a run that works".to_owned());
    }
    if running >= enabled {
        return Ok((value, 1.0));
    }
    let coverage = running as f64 / enabled as f64;
    if coverage < MIN_COVERAGE {
        return Err(format!(
            "its counter was on the processor for only {:.0} % of the time, and at least {:.0} % are needed; count \
             fewer events in a pass, or end what else uses the counters (kernel.nmi_watchdog = 0 frees one)",
            100.0 * coverage,
            100.0 * MIN_COVERAGE
        ));
    }
    Ok(((value as f64 / coverage).round() as u64, coverage))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::GROUPS;

    #[test]
    fn counts_are_scaled_down_to_95_percent_and_refused_below() {
        assert_eq!(scaled([7, 100, 100]), Ok((7, 1.0)));
        assert_eq!(scaled([0, 100, 100]), Ok((0, 1.0)));
        assert_eq!(scaled([96, 100, 96]), Ok((100, 0.96)));
        assert_eq!(scaled([9, 100, 101]), Ok((9, 1.0)));
        for (raw, part) in [([50, 100, 50], "50 %"), ([0, 0, 0], "never ran"), ([9, 100, 0], "0 %")] {
            let why = scaled(raw).expect_err("too little to tell");
            assert!(why.contains(part) && why.contains(';'), "{why}");
        }
    }

    #[test]
    fn every_instrument_has_a_state_with_a_reason() {
        let groups = GROUPS.map(str::to_owned);
        let probed = probe_groups(&groups);
        assert_eq!(probed.status.len(), instruments(&groups).len());
        for status in &probed.status {
            if let Some(why) = &status.unavailable {
                assert!(why.contains(';'), "{}: `{why}` does not say what would allow it", status.name);
            }
        }
    }

    #[test]
    fn each_kind_of_call_has_an_instrument() {
        let probed = Probed::for_calls(&["mmap".to_owned(), "getpid".to_owned(), "no_such_call".to_owned()]);
        let status = |name: &str| probed.status.iter().filter(|status| status.name == name).collect::<Vec<_>>();
        assert_eq!((status("sys-mmap").len(), status("sys-getpid").len()), (1, 1));
        assert!(status("sys-no-such-call")[0].unavailable.is_some());
        assert!(status("cycles").is_empty());
    }
}
