//! Real processes: how they end, what is seen of them, and what is left behind.

use super::*;
use std::ffi::CString;

fn launch<'a>(script: &str, timeout: Duration) -> Launch<'a> {
    let text = |text: &str| CString::new(text).expect("no NUL");
    Launch {
        program: text("/bin/sh"),
        argv: vec![text("sh"), text("-c"), text(script)],
        envp: vec![text("PATH=/usr/bin:/bin"), text("GIVEN=yes")],
        directory: None,
        cpus: None,
        aslr: true,
        timeout,
        counters: None,
        counter_pass: None,
        stdin: None,
        heeds_interrupt: true,
        samples_memory: true,
    }
}

fn check(script: &str) -> Finished {
    run(&launch(script, Duration::from_secs(60))).expect("starts")
}

#[test]
fn output_exit_code_and_environment_are_those_of_the_process() {
    let done = check("echo $GIVEN-$HOME; echo oops >&2; exit 3");
    assert_eq!(
        (done.exit, done.stdout.as_slice(), done.stderr_tail.as_slice()),
        (Exit::Code(3), &b"yes-\n"[..], &b"oops\n"[..])
    );
    assert!(done.page_faults > 0 && done.rss_peak_bytes > 0 && done.wall_ns > 0);
    assert_eq!(check("kill -SEGV $$").exit, Exit::Signal(libc::SIGSEGV));
}

#[test]
fn a_small_process_has_the_peak_of_a_large_runner_before_its_exec() {
    let large = std::hint::black_box(vec![1_u8; 64 << 20]);
    let done = check("exit 0");
    let runner = done.runner_rss_bytes.expect("Linux has /proc");
    assert!(runner > 64 << 20, "{runner}");
    // No shell needs as much. So a peak counts only when it is above the resident bytes of the runner.
    assert!(done.rss_peak_bytes > 64 << 20, "{}", done.rss_peak_bytes);
    drop(large);
}

#[test]
fn memory_is_sampled_with_descendants_in_long_runs_only() {
    // The shell itself is small; its child holds 20 MB while it sleeps.
    let holds = "(x=$(head -c 20000000 /dev/zero | tr '\\0' x); sleep 1; echo ${#x}); true";
    let done = check(holds).resident.expect("ran for longer than 75 ms");
    assert!(done.mean_bytes > 4 << 20 && done.last_bytes > 0, "{done:?}");
    // On a busy machine a short run may be long enough, but not each time.
    assert!((0..100).any(|_| check("exit 0").resident.is_none()), "a run of a moment is sampled");
    let mut launch = launch("sleep 0.2", Duration::from_secs(60));
    launch.samples_memory = false;
    assert_eq!(run(&launch).expect("starts").resident, None);
}

#[test]
fn the_hash_is_of_all_output_also_of_what_is_not_stored() {
    use sha2::{Digest, Sha256};
    let hash = |bytes: &[u8]| Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(check("true").stdout_sha256, hash(b""));
    assert_eq!(check("echo a").stdout_sha256, hash(b"a\n"));
    let done = check("head -c 3000000 /dev/zero");
    assert_eq!((done.stdout_sha256, done.stdout_cut), (hash(&vec![0_u8; 3_000_000]), true));
}

#[test]
fn standard_input_is_empty_and_large_output_is_capped() {
    assert_eq!(check("cat; echo end").stdout, b"end\n");
    let done = check("head -c 3000000 /dev/zero; head -c 9000 /dev/zero >&2; echo last >&2");
    assert_eq!((done.exit, done.stdout.len(), done.stdout_cut), (Exit::Code(0), pipes::STDOUT_CAP, true));
    assert_eq!(done.stderr_tail.len(), pipes::STDERR_TAIL);
    assert!(done.stderr_tail.ends_with(b"last\n"));
}

#[test]
fn a_process_that_ignores_term_is_ended_with_its_children() {
    // The children hold standard output, so the end of this test shows that they are gone.
    let script = "trap '' TERM; (trap '' TERM; sleep 1000) & echo $!; sleep 1000";
    // On a busy machine the shell may need longer until it has said its number.
    let ended = |ms| run(&launch(script, Duration::from_millis(ms))).expect("starts");
    let done = [300, 3_000, 30_000].into_iter().map(ended).find(|done| done.stdout.ends_with(b"\n"));
    let done = done.expect("printed a line");
    assert_eq!(done.exit, Exit::Timeout);
    let child: i32 = String::from_utf8_lossy(&done.stdout).trim().parse().expect("printed a number");
    let state = || std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
    // The process has ended, or is a zombie that its reaper has not read yet.
    let is_gone = || state().is_empty() || state().contains(") Z ");
    // On a busy machine a killed process needs a moment until it is scheduled once more and dies.
    let started = Instant::now();
    while !is_gone() && started.elapsed() < Duration::from_secs(10) {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(is_gone(), "{}", state());
}

#[test]
fn background_children_do_not_keep_the_runner_waiting() {
    let started = Instant::now();
    assert_eq!(check("sleep 1000 & echo done").stdout, b"done\n");
    assert!(started.elapsed() < Duration::from_secs(50));
}

#[test]
fn a_process_starts_in_its_folder_and_its_time_is_measured() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let dir = dir.path().canonicalize().expect("is there");
    let mut launch =
        launch("pwd; i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 0.01", Duration::from_secs(60));
    launch.directory = Some(CString::new(dir.to_str().expect("is text")).expect("no NUL"));
    let done = run(&launch).expect("starts");
    assert_eq!(String::from_utf8_lossy(&done.stdout).trim(), dir.to_str().expect("is text"));
    assert!(done.cpu_ns > 0 && done.context_switches.0 > 0, "{done:?}");
    launch.directory = Some(c"/no/such/folder".to_owned());
    let error = run(&launch).expect_err("not there").to_string();
    assert!(error.contains("/bin/sh") && error.contains("in /no/such/folder"), "{error}");
}

#[test]
fn a_process_that_lacks_one_of_its_processors_is_not_started() {
    let allowed = crate::run::Cpus::read().expect("can be read").allowed;
    let mut launch = launch("exit 0", Duration::from_secs(60));
    launch.cpus = Some(allowed);
    assert_eq!(run(&launch).expect("starts").exit, Exit::Code(0));
    let mut more = allowed;
    // The kernel knows no such processor. Where it is left out without a word, the process would run on fewer.
    // SAFETY: the number is below CPU_SETSIZE.
    unsafe { libc::CPU_SET(1023, &mut more) };
    // SAFETY: all zeros is the empty set.
    let mut other: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: as above.
    unsafe { libc::CPU_SET(1023, &mut other) };
    for (cpus, name) in [(more, ", 1023, which"), (other, "on processor 1023, which")] {
        launch.cpus = Some(cpus);
        let error = run(&launch).expect_err("that processor is not there").to_string();
        assert!(error.contains("/bin/sh: cannot run on ") && error.contains(name), "{error}");
        assert!(error.contains("give it back and add --resume"), "{error}");
    }
}

#[test]
fn a_program_that_is_not_there_is_an_error_that_names_it() {
    let mut launch = launch("", Duration::from_secs(1));
    launch.program = c"/no/such/program".to_owned();
    let error = run(&launch).expect_err("not there").to_string();
    assert!(error.contains("/no/such/program"), "{error}");
}

#[test]
fn counters_see_the_process_and_only_what_was_granted() {
    let probed = crate::measure::probe();
    let mut launch = launch("exit 0", Duration::from_secs(60));
    launch.counters = Some(&probed);
    launch.aslr = false;
    let counts = run(&launch).expect("starts").reading.counts;
    for status in &probed.status {
        assert!(status.unavailable.is_none() || !counts.contains_key(&status.name), "{status:?}");
    }
    for name in ["page-faults", "syscalls"] {
        if probed.status.iter().any(|s| s.name == name && s.unavailable.is_none()) {
            assert!(counts[name] > 0, "{counts:?}");
        }
    }
}
