//! Counters on a process that waits before its `exec`: single counters that follow threads and children and start
//! with the `exec`.
//!
//! Groups cannot watch another process, so each instrument has its own descriptor; and the crate's `read` asserts
//! what a multiplexed counter may break, so the descriptor is read here.

use super::{Instrument, Source, instruments, refusal, tracefs};
use crate::record::InstrumentStatus;
use perf_event::{Builder, Counter};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd};

/// Share of the running time that a counter must have been on the processor; below that it is not reported.
const MIN_COVERAGE: f64 = 0.95;

/// The instruments that can be had.
#[derive(Debug, Default)]
pub struct Probed {
    ready: Vec<(Instrument, Option<u64>)>,
    /// Every instrument with its state, in the order of the table.
    pub status: Vec<InstrumentStatus>,
}

/// Counters attached to one process.
#[derive(Debug)]
pub struct Attached {
    counters: Vec<(&'static str, Counter)>,
}

/// Tries every instrument once, on this process.
pub fn probe() -> Probed {
    let rows = instruments();
    let tracepoints: Vec<&'static str> = rows
        .iter()
        .filter_map(|row| match row.source {
            Source::Tracepoint(name) => Some(name),
            Source::Event(_) => None,
        })
        .collect();
    let ids = tracefs::event_ids(&tracepoints);
    let paranoid = std::fs::read_to_string("/proc/sys/kernel/perf_event_paranoid").ok();
    let paranoid = paranoid.and_then(|level| level.trim().parse().ok());
    let virtual_machine = crate::machine::is_virtual();
    let mut probed = Probed::default();
    for row in rows {
        let id = match (&row.source, &ids) {
            (Source::Event(_), _) => Ok(None),
            (Source::Tracepoint(name), Ok(ids)) => match ids.get(name) {
                Some(id) => Ok(Some(*id)),
                None => Err(format!("this kernel has no tracepoint {name}; one with CONFIG_FTRACE_SYSCALLS has it")),
            },
            (Source::Tracepoint(_), Err(why)) => Err(why.clone()),
        };
        let opened = id.and_then(|id| match open(&row, id, Whom::Nobody) {
            Ok(_) => Ok(id),
            Err(e) => Err(refusal(&row.source, e.raw_os_error().unwrap_or(0), paranoid, virtual_machine)),
        });
        let (name, exact) = (row.name.to_owned(), row.exact);
        let unavailable = match opened {
            Ok(id) => {
                probed.ready.push((row, id));
                None
            }
            Err(why) => Some(why),
        };
        probed.status.push(InstrumentStatus { name, exact, unavailable, source: String::new(), cost: String::new() });
    }
    probed
}

/// Keeps tracepoints registered: the kernel needs some 30 ms to take back the last registration of each.
#[derive(Debug)]
pub struct Kept {
    _counters: Vec<Counter>,
}

impl Probed {
    /// Holds every tracepoint until the result is dropped. Only while counting: as long as one is registered, every
    /// system call of every process takes the slow way.
    pub fn keep(&self) -> Kept {
        let tracepoints = self.ready.iter().filter(|(_, id)| id.is_some());
        Kept { _counters: tracepoints.filter_map(|(row, id)| open(row, *id, Whom::Nobody).ok()).collect() }
    }

    /// Attaches every instrument that can be had to a process that has not called `exec` yet. One that fails now is
    /// missing from the counts.
    pub fn attach(&self, pid: libc::pid_t) -> Attached {
        let open = |(row, id): &(Instrument, Option<u64>)| Some((row.name, open(row, *id, Whom::Child(pid)).ok()?));
        Attached { counters: self.ready.iter().filter_map(open).collect() }
    }
}

impl Attached {
    /// Counts since the `exec`, when the process has ended. What was not counted for at least 95 % of the time is
    /// missing.
    pub fn read(self) -> BTreeMap<String, u64> {
        let read = |(name, counter): (&'static str, Counter)| Some((name.to_owned(), scaled(raw(&counter).ok()?)?));
        self.counters.into_iter().filter_map(read).collect()
    }
}

/// Whose events are counted.
#[derive(Clone, Copy)]
enum Whom {
    /// Those of a waiting process and its descendants, from its `exec`.
    Child(libc::pid_t),
    /// None: attached to this process, which never calls `exec`, and not inherited.
    Nobody,
}

fn open(row: &Instrument, id: Option<u64>, whom: Whom) -> io::Result<Counter> {
    let mut builder = Builder::new();
    if let Source::Event(event) = &row.source {
        builder = builder.kind(event.clone());
    }
    if let Some(id) = id {
        let attrs = builder.attrs_mut();
        attrs.type_ = perf_event_open_sys::bindings::PERF_TYPE_TRACEPOINT;
        attrs.config = id;
    }
    // Without the kernel's part, system calls, faults and switches read 0.
    builder.include_kernel().enable_on_exec(true);
    let counter = match whom {
        Whom::Child(pid) => {
            builder.inherit(true);
            builder.observe_pid(pid).build()?
        }
        Whom::Nobody => builder.observe_self().build()?,
    };
    // SAFETY: the descriptor is open; the crate does not set this flag, and a measured process must not inherit it.
    if unsafe { libc::fcntl(counter.as_raw_fd(), libc::F_SETFD, libc::FD_CLOEXEC) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(counter)
}

/// Value, time enabled, time running.
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

/// The value, scaled up when the counter shared the processor; `None` when it was there too little to tell.
fn scaled([value, enabled, running]: [u64; 3]) -> Option<u64> {
    if enabled == 0 || running == 0 {
        return None;
    }
    if running >= enabled {
        return Some(value);
    }
    let coverage = running as f64 / enabled as f64;
    (coverage >= MIN_COVERAGE).then(|| (value as f64 / coverage).round() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_scaled_or_refused_and_never_invented() {
        assert_eq!(scaled([7, 100, 100]), Some(7));
        assert_eq!(scaled([0, 100, 100]), Some(0));
        assert_eq!(scaled([96, 100, 96]), Some(100));
        assert_eq!(scaled([50, 100, 50]), None);
        assert_eq!(scaled([0, 0, 0]), None);
        assert_eq!(scaled([9, 100, 0]), None);
        assert_eq!(scaled([9, 100, 101]), Some(9));
    }

    #[test]
    fn every_instrument_has_a_state_with_a_reason() {
        let probed = probe();
        assert_eq!(probed.status.len(), instruments().len());
        for status in &probed.status {
            if let Some(why) = &status.unavailable {
                assert!(why.contains(';'), "{}: `{why}` does not say what would allow it", status.name);
            }
        }
    }
}
