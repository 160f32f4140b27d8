//! The reason why the kernel refused a counter, in one line that says what would allow it. A pure function, so that
//! every refusal can be tested on every machine.

use super::instruments::EventSource;

/// One line for the error number of `perf_event_open`. `paranoid` is the kernel's `perf_event_paranoid` when it is
/// known; `virtual_machine` tells whether this is one.
pub(crate) fn refusal(source: &EventSource, errno: i32, paranoid: Option<i32>, virtual_machine: bool) -> String {
    match errno {
        libc::ENOENT | libc::ENODEV | libc::EOPNOTSUPP if source.needs_pmu() && virtual_machine => {
            format!("no PMU in this virtual machine ({}); run on bare metal or a VM with a virtual PMU", name(errno))
        }
        libc::ENOENT | libc::ENODEV | libc::EOPNOTSUPP if source.needs_pmu() => {
            format!("this processor or its driver has no such event ({}); another processor may have it", name(errno))
        }
        libc::ENOENT | libc::EINVAL => {
            format!("this kernel has no such event ({}); a newer kernel may have it", name(errno))
        }
        libc::EACCES | libc::EPERM => {
            // Counting in the kernel is allowed up to 1, tracepoints only from -1.
            let needed = if matches!(source, EventSource::Tracepoint(_)) { -1 } else { 1 };
            let setting = paranoid.map_or_else(|| "unknown".to_owned(), |level| level.to_string());
            format!(
                "not permitted ({}, perf_event_paranoid is {setting}); run as root, give ablate CAP_PERFMON, or set \
                 kernel.perf_event_paranoid to {needed}",
                name(errno)
            )
        }
        libc::ENOSYS => "the kernel was built without perf events (ENOSYS); use one with CONFIG_PERF_EVENTS".to_owned(),
        libc::EMFILE | libc::ENFILE => {
            format!("too many open files ({}); raise the limit with `ulimit -n`", name(errno))
        }
        libc::ENOSPC => {
            "the processor is out of counters (ENOSPC); count fewer events in a pass, or end what else uses them \
             (kernel.nmi_watchdog = 0 frees one)"
                .to_owned()
        }
        libc::EBUSY => "another tool holds the counters (EBUSY); end it".to_owned(),
        _ => format!(
            "perf_event_open failed: {}; look for it in perf_event_open(2)",
            std::io::Error::from_raw_os_error(errno)
        ),
    }
}

fn name(errno: i32) -> &'static str {
    match errno {
        libc::ENOENT => "ENOENT",
        libc::ENODEV => "ENODEV",
        libc::EOPNOTSUPP => "EOPNOTSUPP",
        libc::EINVAL => "EINVAL",
        libc::EACCES => "EACCES",
        libc::EPERM => "EPERM",
        libc::EMFILE => "EMFILE",
        libc::ENFILE => "ENFILE",
        _ => "error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use perf_event::events::{Event, Hardware, Software};

    fn check(source: EventSource, errno: i32, paranoid: Option<i32>, virtual_machine: bool, parts: &[&str]) {
        let line = refusal(&source, errno, paranoid, virtual_machine);
        for part in parts {
            assert!(line.contains(part), "expected `{part}` in `{line}`");
        }
        assert!(!line.contains('\n'));
    }

    #[test]
    fn every_refusal_says_why_and_what_would_allow_it() {
        let cycles = || EventSource::Event(Event::Hardware(Hardware::CPU_CYCLES));
        let faults = || EventSource::Event(Event::Software(Software::PAGE_FAULTS));
        let calls = || EventSource::Tracepoint("raw_syscalls/sys_enter".to_owned());
        check(cycles(), libc::ENOENT, Some(2), true, &["no PMU in this virtual machine", "bare metal"]);
        check(cycles(), libc::ENOENT, Some(2), false, &["processor"]);
        check(faults(), libc::ENOENT, Some(2), true, &["kernel"]);
        check(cycles(), libc::EACCES, Some(3), false, &["EACCES", "perf_event_paranoid is 3", "CAP_PERFMON", "to 1"]);
        check(calls(), libc::EPERM, None, true, &["EPERM", "unknown", "CAP_PERFMON", "to -1"]);
        check(faults(), libc::ENOSYS, None, false, &["CONFIG_PERF_EVENTS"]);
        check(cycles(), libc::ENOSPC, None, false, &["out of counters", "fewer events", "nmi_watchdog"]);
        check(cycles(), libc::EBUSY, None, false, &["EBUSY", "end it"]);
        check(faults(), libc::EMFILE, None, false, &["ulimit"]);
        check(faults(), libc::EIO, None, false, &["perf_event_open failed"]);
    }
}
