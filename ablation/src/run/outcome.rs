//! The outcome of a process as a record: how it ended and what it printed. Whether it ran as planned is left to
//! [`crate::prove`].

use super::process::{Exit, Finished};
use ablate_format::{FORMAT, MainResponse, Measured, Record, Status};
use std::time::Duration;

/// Merges two runs of one process that counted different instruments. The result describes the first run, or the second
/// one when that failed.
pub(super) fn merged(mut first: Finished, mut more: Finished) -> Finished {
    if more.exit == Exit::Code(0) {
        first.reading.extend(more.reading);
        return first;
    }
    more.reading.extend(first.reading);
    more
}

/// Fills in how a process ended and what it printed. A process whose response is measured from outside needs no result
/// line.
pub(super) fn fill(record: &mut Record, finished: Finished, response: MainResponse, timeout: Duration) {
    record.wall_ns = finished.wall_ns;
    record.cpu_ns = finished.cpu_ns;
    record.context_switches = Some(finished.context_switches);
    record.steal_ticks = finished.steal_ticks;
    record.process_page_faults = finished.page_faults;
    record.process_rss_peak_bytes = finished.rss_peak_bytes;
    record.runner_rss_bytes = finished.runner_rss_bytes;
    let reading = finished.reading;
    (record.counts, record.coverage, record.refused) = (reading.counts, reading.coverage, reading.refused);
    let line = read_line(&finished.stdout, finished.stdout_cut);
    let trouble = match finished.exit {
        Exit::Timeout => Some((
            Status::Timeout,
            format!(
                "still running after {} s, so its process group was ended; raise timeout_seconds or ask for less work",
                timeout.as_secs()
            ),
        )),
        Exit::Signal(signal) => Some((Status::Crashed, format!("ended by {}", signal_name(signal)))),
        Exit::Code(code) if code != 0 => Some((Status::Crashed, format!("exit code {code}"))),
        Exit::Code(_) | Exit::Interrupted if response.is_outside() => None,
        Exit::Code(_) | Exit::Interrupted => line.as_ref().err().map(|why| (Status::Garbage, why.clone())),
    };
    record.measured = line.ok();
    if let Some((status, reason)) = trouble {
        record.stderr = String::from_utf8_lossy(&finished.stderr_tail).into_owned();
        record.reason = match first_line(&record.stderr).filter(|_| status == Status::Crashed) {
            Some(line) => format!("{reason}: {line}"),
            None => reason,
        };
        record.status = status;
    }
}

/// The first line of standard error that is not empty, at most 160 characters. A panic of Rust has its message on the
/// line after the place.
fn first_line(stderr: &str) -> Option<String> {
    let mut lines = stderr.lines().map(str::trim).filter(|line| !line.is_empty());
    let first = lines.next()?;
    let is_panic = first.starts_with("thread '") && first.contains("panicked at ") && first.ends_with(':');
    let message = if is_panic { lines.next().map(|message| format!("{first} {message}")) } else { None };
    let line = message.unwrap_or_else(|| first.to_owned());
    Some(line.chars().map(|c| if c.is_control() { ' ' } else { c }).take(160).collect())
}

/// The last line of standard output that is not empty, as a result line.
fn read_line(stdout: &[u8], cut: bool) -> Result<Measured, String> {
    if cut {
        return Err("printed more than 1 MiB; it must print one JSON line (docs/format.md)".to_owned());
    }
    let text = String::from_utf8_lossy(stdout);
    let Some(line) = text.lines().rev().find(|line| !line.trim().is_empty()) else {
        return Err("printed nothing on standard output; it must print one JSON line (docs/format.md)".to_owned());
    };
    let shown: String = line.chars().take(60).collect();
    let measured: Measured = serde_json::from_str(line)
        .map_err(|e| format!("printed `{}`, which is not a result line (docs/format.md): {e}", shown.escape_debug()))?;
    if measured.format != FORMAT {
        return Err(format!("printed a line of format {}; this ablate reads {FORMAT}", measured.format));
    }
    Ok(measured)
}

fn signal_name(signal: i32) -> String {
    let name = match signal {
        libc::SIGABRT => "SIGABRT, the program aborted itself",
        libc::SIGSEGV => "SIGSEGV, a bad memory access",
        libc::SIGBUS => "SIGBUS, a bad memory access",
        libc::SIGILL => "SIGILL, a bad instruction",
        libc::SIGTRAP => "SIGTRAP, a breakpoint or trap instruction",
        libc::SIGFPE => "SIGFPE, a division by 0 or an overflow",
        libc::SIGKILL => "SIGKILL, which the kernel sends when it is out of memory: see dmesg",
        libc::SIGTERM => "SIGTERM, which the runner did not send",
        _ => return format!("signal {signal}"),
    };
    format!("signal {signal} ({name})")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::tests::record;
    use ablate_format::Pass;

    const LINE: &str = r#"{"format":2,"operations":5,"checksum":"c","latency_over":"operations","samples":5,
        "latency_ns_p10":1,"latency_ns_p50":2,"latency_ns_p99":3,"latency_ns_mean":2}"#;

    fn check(exit: Exit, stdout: &str, cut: bool, status: Status, parts: &[&str]) {
        filled(MainResponse::P10, exit, stdout, cut, status, parts);
    }

    fn filled(response: MainResponse, exit: Exit, stdout: &str, cut: bool, status: Status, parts: &[&str]) -> Record {
        let mut record = record(Pass::Timing, 0, "w", "c");
        let finished = finished(exit, stdout, cut);
        fill(&mut record, finished, response, Duration::from_secs(4));
        assert_eq!(record.status, status, "{}", record.reason);
        for part in parts {
            assert!(record.reason.contains(part), "expected `{part}` in `{}`", record.reason);
        }
        assert_eq!(record.stderr.is_empty(), status == Status::Ok);
        assert_eq!((record.wall_ns, record.cpu_ns, record.context_switches), (9, 6, Some((1, 2))));
        record
    }

    fn finished(exit: Exit, stdout: &str, stdout_cut: bool) -> Finished {
        Finished {
            exit,
            wall_ns: 9,
            cpu_ns: 6,
            context_switches: (1, 2),
            steal_ticks: Some(0),
            page_faults: 8,
            rss_peak_bytes: 7,
            runner_rss_bytes: Some(3),
            stdout: stdout.as_bytes().to_vec(),
            stdout_cut,
            stderr_tail: b"the end".to_vec(),
            reading: Default::default(),
        }
    }

    #[test]
    fn the_counts_of_several_runs_are_merged() {
        let counted = |exit, name: &str, count| {
            let mut finished = finished(exit, name, false);
            finished.reading.counts.insert(name.to_owned(), count);
            finished.reading.coverage.insert(name.to_owned(), 0.97);
            finished
        };
        let both = merged(counted(Exit::Code(0), "cycles", 5), counted(Exit::Code(0), "branches", 7));
        let counts: Vec<(&str, u64)> =
            both.reading.counts.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        assert_eq!((counts, both.reading.coverage.len()), (vec![("branches", 7), ("cycles", 5)], 2));
        assert_eq!(both.stdout, b"cycles", "the first run is described");
        let bad = merged(counted(Exit::Code(0), "cycles", 5), counted(Exit::Code(3), "branches", 7));
        assert_eq!((bad.exit, bad.reading.counts.len()), (Exit::Code(3), 2));
    }

    #[test]
    fn a_program_that_is_measured_from_outside_may_print_anything() {
        let line = LINE.replace('\n', "");
        for response in [MainResponse::Wall, MainResponse::Cpu] {
            for (stdout, cut) in [("", false), ("42 files\n", false), ("xxx", true)] {
                assert_eq!(filled(response, Exit::Code(0), stdout, cut, Status::Ok, &[]).measured, None);
            }
            assert!(filled(response, Exit::Code(0), &line, false, Status::Ok, &[]).measured.is_some());
            filled(response, Exit::Code(1), "", false, Status::Crashed, &["exit code 1"]);
        }
    }

    #[test]
    fn a_panic_is_told_with_its_message() {
        let panic =
            "\nthread 'main' (17) panicked at src/main.rs:7:46:\nno file `x`\nnote: run with RUST_BACKTRACE=1\n";
        assert_eq!(first_line(panic).as_deref(), Some("thread 'main' (17) panicked at src/main.rs:7:46: no file `x`"));
        assert_eq!(first_line("first:\nsecond").as_deref(), Some("first:"));
        assert_eq!(first_line(" \n"), None);
    }

    #[test]
    fn every_end_has_a_status_and_a_reason() {
        let line = LINE.replace('\n', "");
        check(Exit::Code(0), &line, false, Status::Ok, &[]);
        check(Exit::Code(0), &format!("warm-up\n{line}\n\n"), false, Status::Ok, &[]);
        check(Exit::Code(0), "", false, Status::Garbage, &["printed nothing", "one JSON line"]);
        check(Exit::Code(0), "42 ns\n", false, Status::Garbage, &["`42 ns`", "docs/format.md"]);
        check(Exit::Code(0), "{\"format\":2}", false, Status::Garbage, &["operations"]);
        check(Exit::Code(0), &line.replace("\"format\":2", "\"format\":3"), false, Status::Garbage, &["format 3"]);
        check(Exit::Code(0), "xxx", true, Status::Garbage, &["more than 1 MiB"]);
        check(Exit::Code(3), &line, false, Status::Crashed, &["exit code 3: the end"]);
        check(Exit::Signal(11), "", false, Status::Crashed, &["signal 11", "SIGSEGV"]);
        check(Exit::Signal(9), "", false, Status::Crashed, &["out of memory"]);
        check(Exit::Timeout, &line, false, Status::Timeout, &["4 s", "timeout_seconds"]);
    }
}
