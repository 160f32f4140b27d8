//! The outcome of a process as a record: how it ended and what it printed. Whether it ran as planned is left to
//! [`crate::prove`].

use super::process::Exit;
use super::ran::Ran;
use super::words::{ended, first_line};
use crate::config::Study;
use ablate_format::{Measured, OutputRule, Pass, Record, Status, WorkloadPlan, read_line};

/// Blocks whose records have the beginning of the output; one run of each level would be enough.
const BLOCKS_WITH_OUTPUT: u32 = 2;
/// Bytes of output that such a record has at most.
const OUTPUT_START: usize = 1024;

/// Merges two runs of one process that counted different instruments. The result describes the first run, or the second
/// one when that failed.
pub(super) fn merged(mut first: Ran, mut more: Ran, accepted: &[i32]) -> Ran {
    if more.is_good(accepted) {
        first.finished.reading.extend(more.finished.reading);
        return first;
    }
    more.finished.reading.extend(first.finished.reading);
    more
}

/// Fills in how a run ended and what its process printed. A process whose response is measured from outside needs no
/// result line.
pub(super) fn fill(record: &mut Record, ran: Ran, workload: &WorkloadPlan, study: &Study) {
    let Ran { mut finished, trouble, read_back, preload_opened } = ran;
    (record.read_back, record.preload_opened) = (read_back, preload_opened);
    record.wall_ns = finished.wall_ns;
    record.cpu_ns = finished.cpu_ns;
    record.context_switches = Some(finished.context_switches);
    record.steal_ticks = finished.steal_ticks;
    record.process_page_faults = finished.page_faults;
    record.process_rss_peak_bytes = finished.rss_peak_bytes;
    record.runner_rss_bytes = finished.runner_rss_bytes;
    record.rss_mean_bytes = finished.resident.map(|resident| resident.mean_bytes);
    record.rss_last_bytes = finished.resident.map(|resident| resident.last_bytes);
    record.rss_sampled_peak_bytes = finished.resident.map(|resident| resident.peak_bytes);
    let reading = finished.reading;
    (record.counts, record.coverage, record.refused) = (reading.counts, reading.coverage, reading.refused);
    if let Some(trouble) = trouble {
        (record.status, record.reason, record.stderr) = (trouble.status, trouble.reason, trouble.stderr);
        return;
    }
    if let Exit::Code(code) = finished.exit {
        record.exit_code = Some(code);
    }
    let line = finished.harness.take().unwrap_or_else(|| last_line(&finished.stdout, finished.stdout_cut));
    let is_accepted = |code: i32| study.subject.surroundings.accept_exit.contains(&code);
    let trouble = match finished.exit {
        Exit::Timeout => Some((
            Status::Timeout,
            format!(
                "still running after {} s, so its process group was ended; raise timeout_seconds or ask for less work; a \
                 program that serves until it is told to stop belongs into [subject.server]",
                study.timeout.as_secs()
            ),
        )),
        exit @ Exit::Signal(_) => Some((Status::Crashed, ended(exit))),
        exit @ Exit::Code(code) if !is_accepted(code) => Some((Status::Crashed, ended(exit))),
        Exit::Code(_) | Exit::Interrupted if workload.response.is_outside() => None,
        Exit::Code(_) | Exit::Interrupted => line.as_ref().err().map(|why| (Status::Garbage, why.clone())),
    };
    record.measured = line.ok();
    // A program with a result line has its checksum there, and times in it that differ from run to run.
    if record.measured.is_none() && record.pass == Pass::Timing && workload.output != OutputRule::Ignored {
        record.output_sha256 = Some(finished.stdout_sha256);
        if record.block < BLOCKS_WITH_OUTPUT {
            let start = &finished.stdout[..finished.stdout.len().min(OUTPUT_START)];
            record.output_start = Some(String::from_utf8_lossy(start).into_owned());
        }
    }
    if let Some((status, reason)) = trouble {
        record.stderr = String::from_utf8_lossy(&finished.stderr_tail).into_owned();
        record.reason = match first_line(&record.stderr).filter(|_| status == Status::Crashed) {
            Some(line) => format!("{reason}: {line}"),
            None => reason,
        };
        record.status = status;
    }
}

/// The last line of standard output that is not empty, as a result line.
pub(super) fn last_line(stdout: &[u8], cut: bool) -> Result<Measured, String> {
    if cut {
        return Err("printed more than 1 MiB; it must print one JSON line (docs/format.md)".to_owned());
    }
    let text = String::from_utf8_lossy(stdout);
    let Some(line) = text.lines().rev().find(|line| !line.trim().is_empty()) else {
        return Err("printed nothing on standard output; it must print one JSON line (docs/format.md)".to_owned());
    };
    let shown: String = line.chars().take(60).collect();
    read_line(line).map_err(|why| {
        format!("printed `{}`, which is not a result line (docs/format.md): {why}", shown.escape_debug())
    })
}

#[cfg(test)]
mod tests {
    use super::super::process::Finished;
    use super::super::ran::Trouble;
    use super::*;
    use crate::store::tests::record;
    use ablate_format::MainResponse;
    use std::time::Duration;

    const LINE: &str = r#"{"format":2,"operations":5,"checksum":"c","latency_over":"operations","samples":5,
        "latency_ns_p10":1,"latency_ns_p50":2,"latency_ns_p99":3,"latency_ns_mean":2}"#;

    fn check(exit: Exit, stdout: &str, cut: bool, status: Status, parts: &[&str]) {
        filled(MainResponse::P10, exit, stdout, cut, status, parts);
    }

    fn filled(response: MainResponse, exit: Exit, stdout: &str, cut: bool, status: Status, parts: &[&str]) -> Record {
        let mut record = record(Pass::Timing, 0, "w", "c");
        let finished = finished(exit, stdout, cut);
        let mut study = crate::config::tests::parsed(crate::config::tests::GOOD).expect("good");
        study.timeout = Duration::from_secs(4);
        fill(&mut record, Ran::from(finished), &workload(response), &study);
        assert_eq!(record.status, status, "{}", record.reason);
        for part in parts {
            assert!(record.reason.contains(part), "expected `{part}` in `{}`", record.reason);
        }
        assert_eq!(record.stderr.is_empty(), status == Status::Ok);
        assert_eq!((record.wall_ns, record.cpu_ns, record.context_switches), (9, 6, Some((1, 2))));
        record
    }

    fn workload(response: MainResponse) -> WorkloadPlan {
        let (name, args, about, cells) = ("w".to_owned(), Vec::new(), String::new(), Vec::new());
        WorkloadPlan { name, command: None, args, about, response, cells, output: OutputRule::Same, benchmark: None }
    }

    fn finished(exit: Exit, stdout: &str, stdout_cut: bool) -> Finished {
        Finished {
            exit,
            wall_ns: 9,
            cpu_ns: 6,
            context_switches: (1, 2),
            slept: None,
            steal_ticks: Some(0),
            page_faults: 8,
            rss_peak_bytes: 7,
            runner_rss_bytes: Some(3),
            resident: None,
            stdout: stdout.as_bytes().to_vec(),
            stdout_sha256: "hash".to_owned(),
            stdout_cut,
            stderr_tail: b"the end".to_vec(),
            reading: Default::default(),
            harness: None,
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
        let merged = |first: Finished, more: Finished| merged(first.into(), more.into(), &[0]).finished;
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
                let record = filled(response, Exit::Code(0), stdout, cut, Status::Ok, &[]);
                assert_eq!((record.measured, record.output_sha256.as_deref()), (None, Some("hash")));
                assert_eq!((record.output_start.as_deref(), record.exit_code), (Some(stdout), Some(0)));
            }
            let with_line = filled(response, Exit::Code(0), &line, false, Status::Ok, &[]);
            assert!(with_line.measured.is_some() && with_line.output_sha256.is_none(), "it has a checksum");
            filled(response, Exit::Code(1), "", false, Status::Crashed, &["exit code 1"]);
        }
    }

    #[test]
    fn every_end_has_a_status_and_a_reason() {
        let line = LINE.replace('\n', "");
        check(Exit::Code(0), &line, false, Status::Ok, &[]);
        check(Exit::Code(0), &format!("warm-up\n{line}\n\n"), false, Status::Ok, &[]);
        check(Exit::Code(0), "", false, Status::Garbage, &["printed nothing", "one JSON line"]);
        check(Exit::Code(0), "42 ns\n", false, Status::Garbage, &["`42 ns`", "docs/format.md"]);
        check(Exit::Code(0), "{\"format\":2}", false, Status::Garbage, &["it has no number", "value_ns"]);
        let text = ["key `value_ns` is \"2\": it must be a number"];
        check(Exit::Code(0), "{\"value_ns\":\"2\"}", false, Status::Garbage, &text);
        check(Exit::Code(0), "{\"value_ns\":2}", false, Status::Ok, &[]);
        check(
            Exit::Code(0),
            &line.replace("\"format\":2", "\"format\":3"),
            false,
            Status::Garbage,
            &["key `format` is 3", "reads 1 to 2"],
        );
        check(Exit::Code(0), "xxx", true, Status::Garbage, &["more than 1 MiB"]);
        check(Exit::Code(3), &line, false, Status::Crashed, &["exit code 3: the end"]);
        check(Exit::Signal(11), "", false, Status::Crashed, &["signal 11", "SIGSEGV"]);
        check(Exit::Signal(9), "", false, Status::Crashed, &["out of memory"]);
        check(Exit::Timeout, &line, false, Status::Timeout, &["4 s", "timeout_seconds"]);
    }

    #[test]
    fn exit_codes_that_are_accepted_are_those_of_the_config_and_no_other() {
        let mut study = crate::config::tests::parsed(crate::config::tests::GOOD).expect("good");
        study.subject.surroundings.accept_exit = vec![1, 7];
        for (code, status) in [(1, Status::Ok), (7, Status::Ok), (0, Status::Crashed), (2, Status::Crashed)] {
            let mut record = record(Pass::Timing, 0, "w", "c");
            fill(&mut record, finished(Exit::Code(code), "", false).into(), &workload(MainResponse::Wall), &study);
            assert_eq!(record.status, status, "{code}: {}", record.reason);
        }
    }

    #[test]
    fn what_failed_around_a_process_is_the_reason() {
        let study = crate::config::tests::parsed(crate::config::tests::GOOD).expect("good");
        let mut record = record(Pass::Timing, 0, "w", "c");
        let why = "before_run `mkdir x` failed: exit code 1".to_owned();
        let ran = Ran::without(Trouble::new(Status::Invalid, why.clone()));
        fill(&mut record, ran, &workload(MainResponse::Wall), &study);
        assert_eq!((record.status, record.reason, record.wall_ns), (Status::Invalid, why, 0));
    }
}
