//! A fake of the kernel's perf events, so that counting with hardware counters is tested on machines without a PMU.

use super::Probed;
use super::attach::probe_rows;
use super::instruments::{Instrument, instruments};
use perf_event::hooks::{Hooks, clear_thread_hooks, set_thread_hooks};
use perf_event_open_sys::bindings::{PERF_TYPE_HARDWARE, PERF_TYPE_HW_CACHE, perf_event_attr};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{Seek, Write};
use std::os::fd::IntoRawFd;
use std::os::raw::{c_int, c_ulong};
use std::rc::Rc;

/// What the fake kernel does.
#[derive(Clone)]
struct Pmu {
    /// Events that can count at the same time.
    counters: usize,
    /// The error for a group that is larger than that.
    full: c_int,
    /// Value, time enabled and time running of every hardware event.
    reads: [u64; 3],
    /// The error of `perf_event_open` for a hardware event of another process; 0: none.
    refuses_child: c_int,
    /// The error of every hardware event; 0: none.
    refuses: c_int,
}

const GOOD: Pmu = Pmu { counters: 4, full: libc::ENOSPC, reads: [1000, 80, 80], refuses_child: 0, refuses: 0 };

/// Calls that reached the fake.
#[derive(Default)]
struct Seen {
    /// Members by the descriptor of their group's leader.
    groups: BTreeMap<c_int, usize>,
    /// Attributes of counters on another process: inherit, enable on exec, kernel excluded.
    children: Vec<(bool, bool, bool)>,
}

struct Fake {
    pmu: Pmu,
    seen: Rc<RefCell<Seen>>,
}

fn fail(errno: c_int) -> c_int {
    // SAFETY: points at this thread's error number.
    unsafe { *libc::__errno_location() = errno };
    -1
}

impl Hooks for Fake {
    unsafe fn perf_event_open(
        &mut self,
        attrs: *mut perf_event_attr,
        pid: libc::pid_t,
        _cpu: c_int,
        group: c_int,
        _flags: c_ulong,
    ) -> c_int {
        // SAFETY: the crate passes a live structure.
        let attrs = unsafe { &*attrs };
        let mut seen = self.seen.borrow_mut();
        let hardware = attrs.type_ == PERF_TYPE_HARDWARE || attrs.type_ == PERF_TYPE_HW_CACHE;
        if hardware && self.pmu.refuses != 0 {
            return fail(self.pmu.refuses);
        }
        if hardware && pid != 0 && self.pmu.refuses_child != 0 {
            return fail(self.pmu.refuses_child);
        }
        if hardware && group >= 0 {
            let members = seen.groups.entry(group).or_insert(0);
            if *members == self.pmu.counters {
                return fail(self.pmu.full);
            }
            *members += 1;
        }
        if pid != 0 {
            seen.children.push((attrs.inherit() == 1, attrs.enable_on_exec() == 1, attrs.exclude_kernel() == 1));
        }
        let mut file = tempfile::tempfile().expect("a file for the counter");
        let reads = if hardware { self.pmu.reads } else { [7, 80, 80] };
        for word in reads {
            file.write_all(&word.to_ne_bytes()).expect("writes");
        }
        file.rewind().expect("rewinds");
        let fd = file.into_raw_fd();
        // The number may be that of a closed group.
        seen.groups.remove(&fd);
        fd
    }

    unsafe fn ID(&mut self, _fd: c_int, id: *mut u64) -> c_int {
        // SAFETY: the crate passes a live number.
        unsafe { *id = 1 };
        0
    }
}

/// Hardware rows and page faults. Tracepoints are left out, because their numbers come from the real kernel.
fn rows() -> Vec<Instrument> {
    let mut rows = instruments(&["perf".to_owned()]);
    rows.retain(|row| row.source.needs_pmu() || row.name == "page-faults");
    rows
}

/// Runs `test` with the fake in the kernel's place on this thread.
fn with(pmu: &Pmu, test: impl FnOnce(&Probed, &RefCell<Seen>)) {
    let seen = Rc::new(RefCell::new(Seen::default()));
    // SAFETY: no counter of this thread was made before.
    unsafe { set_thread_hooks(Box::new(Fake { pmu: pmu.clone(), seen: Rc::clone(&seen) })) };
    let probed = probe_rows(rows());
    test(&probed, &seen);
    // SAFETY: counters are files here, and all of them are closed.
    unsafe { clear_thread_hooks() };
}

/// A process number that the fake accepts: any but 0.
const CHILD: libc::pid_t = 1;

#[test]
fn hardware_events_are_counted_exactly_in_as_few_passes_as_fit() {
    with(&GOOD, |probed, seen| {
        let hardware = rows().iter().filter(|row| row.source.needs_pmu()).count();
        assert!(probed.status.iter().all(|status| status.unavailable.is_none()), "{:?}", probed.status);
        assert_eq!((hardware, probed.passes()), (9, 3));
        let mut counted = BTreeMap::new();
        for pass in 0..probed.passes() {
            let reading = probed.attach_pass(CHILD, pass).reading();
            assert!(reading.coverage.is_empty() && reading.refused.is_empty(), "{reading:?}");
            assert!(reading.counts.len() <= 4 + usize::from(pass == 0), "{reading:?}");
            for (name, count) in reading.counts {
                assert!(counted.insert(name, count).is_none(), "counted in two passes");
            }
        }
        assert_eq!((counted.len(), counted["cycles"], counted["page-faults"]), (10, 1000, 7));
        // They follow children, start with the exec and see the kernel.
        assert!(seen.borrow().children.iter().all(|attrs| *attrs == (true, true, false)));
        assert_eq!(probed.attach(CHILD).reading().counts.len(), 10);
    });
}

#[test]
fn a_full_pmu_may_also_say_einval_and_a_large_one_needs_one_pass() {
    with(&Pmu { counters: 3, full: libc::EINVAL, ..GOOD }, |probed, _| assert_eq!(probed.passes(), 3));
    with(&Pmu { counters: 9, ..GOOD }, |probed, _| assert_eq!(probed.passes(), 1));
    with(&Pmu { counters: 1, ..GOOD }, |probed, _| assert_eq!(probed.passes(), 9));
}

#[test]
fn shared_counters_are_scaled_down_to_95_percent_and_refused_below() {
    with(&Pmu { reads: [960, 100, 96], ..GOOD }, |probed, _| {
        let reading = probed.attach_pass(CHILD, 0).reading();
        assert_eq!((reading.counts["cycles"], reading.coverage["cycles"]), (1000, 0.96));
        assert!(!reading.coverage.contains_key("page-faults"));
    });
    with(&Pmu { reads: [500, 100, 50], ..GOOD }, |probed, _| {
        let reading = probed.attach_pass(CHILD, 0).reading();
        assert!(!reading.counts.contains_key("cycles") && reading.counts["page-faults"] == 7);
        let why = &reading.refused["cycles"];
        assert!(why.contains("50 %") && why.contains("nmi_watchdog"), "{why}");
    });
    with(&Pmu { reads: [0, 0, 0], ..GOOD }, |probed, _| {
        assert!(probed.attach_pass(CHILD, 0).reading().refused["cycles"].contains("never ran"));
    });
}

/// A refusal while probing makes the instrument unavailable, with a reason that has a way out.
#[test]
fn refusals_name_the_way_out() {
    let check = |errno: c_int, part: &str| {
        with(&Pmu { refuses: errno, ..GOOD }, |probed, _| {
            assert!(!probed.has("cycles") && probed.has("page-faults"));
            assert_eq!(probed.passes(), 1);
            let why = probed.status.iter().find(|status| status.name == "cycles").expect("a row");
            let why = why.unavailable.as_deref().expect("refused");
            assert!(why.contains(part), "{why}");
            assert!(!probed.attach(CHILD).reading().counts.contains_key("cycles"));
        });
    };
    check(libc::EACCES, "CAP_PERFMON");
    check(libc::ENOENT, if crate::support::machine::is_virtual() { "bare metal" } else { "another processor" });
    check(libc::EMFILE, "ulimit -n");
    check(libc::ENOSPC, "fewer events");
}

/// An available instrument may be refused later. Then its count is missing, with the reason.
#[test]
fn a_counter_that_fails_on_a_process_is_missing_and_says_why() {
    for (errno, part) in [(libc::EMFILE, "ulimit -n"), (libc::ENOSPC, "fewer events"), (libc::EACCES, "CAP_PERFMON")] {
        with(&Pmu { refuses_child: errno, ..GOOD }, |probed, _| {
            assert!(probed.has("cycles"));
            let reading = probed.attach(CHILD).reading();
            assert!(!reading.counts.contains_key("cycles") && reading.counts.contains_key("page-faults"));
            assert!(reading.refused["cycles"].contains(part), "{reading:?}");
        });
    }
}
