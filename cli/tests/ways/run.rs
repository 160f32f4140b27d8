//! `hakmem run` and `hakmem info`.

use super::*;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::ExitStatusExt;

/// Expects parts of a text, each in it.
#[track_caller]
fn expect(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in\n{text}");
    }
}

#[test]
fn the_program_s_output_and_exit_code_are_its_own() {
    let script = "echo out; echo err >&2; exit 7";
    let (output, stdout, stderr) = finish(&mut hakmem(&["run", "--", "sh", "-c", script]));
    assert_eq!((output.status.code(), stdout.as_str()), (Some(7), "out\n"));
    expect(&stderr, &["err\n", "hakmem: sh (process ", "was served by hakmem", " requests, ", "peak resident "]);
    let (_, _, stderr) = finish(&mut hakmem(&["run", "--quiet", "sh", "-c", script]));
    assert_eq!(stderr, "err\n");
}

#[test]
fn processes_of_the_program_are_counted() {
    let (_, _, stderr) = finish(&mut hakmem(&["run", "--", "sh", "-c", "sort </dev/null; sort </dev/null; true"]));
    expect(&stderr, &["2 other processes were served too, with "]);
}

#[test]
fn a_signal_ends_hakmem_as_it_ended_the_program() {
    let (output, _, stderr) = finish(&mut hakmem(&["run", "--", "sh", "-c", "kill -TERM $$"]));
    assert_eq!(output.status.signal(), Some(libc::SIGTERM));
    expect(&stderr, &["was served by hakmem", "signal 15 ended it"]);
}

#[test]
fn signals_are_passed_on() {
    let script = "trap 'exit 9' USR1; echo ready; while :; do sleep 0.02; done";
    let mut child = hakmem(&["run", "--", "sh", "-c", script])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("text");
    assert_eq!(line, "ready\n");
    // SAFETY: sends a signal to a child of this process.
    unsafe { libc::kill(child.id().cast_signed(), libc::SIGUSR1) };
    assert_eq!(child.wait().expect("it ends").code(), Some(9));
}

#[test]
fn a_program_that_is_not_served_is_told_so() {
    let program = compile("static", "int main() { return 4; }", &[OsStr::new("-static")]);
    let program = program.to_str().expect("text");
    let (output, _, stderr) = finish(&mut hakmem(&["run", program]));
    assert_eq!(output.status.code(), Some(4));
    expect(&stderr, &["was NOT served", "linked statically", "libhakmem.a"]);
    let (output, _, stderr) = finish(&mut hakmem(&["run", "--require", "--quiet", program]));
    assert_eq!(output.status.code(), Some(3));
    expect(&stderr, &["was NOT served"]);
    let (output, _, stderr) = finish(&mut hakmem(&["run", "--require", "--", "env", "-i", program]));
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    expect(&stderr, &["exited without a word"]);
}

#[test]
fn a_program_with_a_malloc_of_its_own_is_told_so() {
    let text = "#include <stddef.h>\n\
                void *__libc_malloc(size_t); void *malloc(size_t bytes) { return __libc_malloc(bytes); }\n\
                int main() { return malloc(5) == 0; }";
    let program = compile("own-malloc", text, &[OsStr::new("-rdynamic")]);
    let program = program.to_str().expect("text");
    let (output, _, stderr) = finish(&mut hakmem(&["run", "--require", program]));
    assert_eq!(output.status.code(), Some(3), "{stderr}");
    expect(&stderr, &["was NOT served", "malloc is that of", "own-malloc"]);
}

#[test]
fn a_program_with_more_rights_is_told_so() {
    // SAFETY: reads a number of the process.
    if unsafe { libc::geteuid() } != 0 {
        println!("not run: only root makes programs that run as another user");
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).expect("permissions");
    let program = folder.path().join("more-rights");
    std::fs::copy("/bin/sleep", &program).expect("readable");
    chown(&program, Some(65_534), Some(65_534)).expect("root may");
    std::fs::set_permissions(&program, PermissionsExt::from_mode(0o4755)).expect("permissions");
    let (output, _, stderr) = finish(&mut hakmem(&["run", program.to_str().expect("text"), "0"]));
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    // A mount without set-user-id programs serves them.
    if !stderr.contains("was served") {
        expect(&stderr, &["was NOT served", "set-user-id"]);
    }
}

/// Processes that changed their user or their root still tell, as far as they can.
#[test]
fn a_process_that_gives_up_its_rights_tells_its_end() {
    // SAFETY: reads a number of the process.
    if unsafe { libc::geteuid() } != 0 {
        println!("not run: only root can become another user");
        return;
    }
    let text = "int main() { setgid(65534); return setuid(65534); }";
    let program = compile("fewer-rights", text, &[]);
    let (output, _, stderr) = finish(&mut hakmem(&["run", program.to_str().expect("text")]));
    assert_eq!(output.status.code(), Some(0), "{stderr}");
    expect(&stderr, &["was served by hakmem", " requests, "]);
}

#[test]
fn a_wrong_variable_starts_no_program() {
    let mark = scratch().join("started");
    _ = std::fs::remove_file(&mark);
    let mark = mark.to_str().expect("text");
    for (arguments, part) in [
        (&["--set", "THPP=on"][..], "unknown variable HAKMEM_THPP; the nearest known one is HAKMEM_THP"),
        (&["--set", "thp=sometimes"], "HAKMEM_THP=sometimes is not understood; it takes on, dense, never, off"),
        (&["--set", "HAKMEM_STATS=7"], "HAKMEM_STATS=7 is not understood"),
        (&["--library", "/dev/null"], "no shared library"),
        (&["--library", "/no/such/file"], "No such file"),
        (&["--output", "/no/such/file"], "the summary cannot be written to"),
    ] {
        let (output, _, stderr) = finish(&mut hakmem(&[&["run"], arguments, &["--", "touch", mark]].concat()));
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        expect(&stderr, &[part]);
    }
    let (output, _, stderr) = finish(hakmem(&["run", "touch", mark]).env("HAKMEM_MOOD", "fast"));
    assert_eq!(output.status.code(), Some(2));
    expect(&stderr, &["HAKMEM_MODE"]);
    assert!(!Path::new(mark).exists());
    assert_eq!(finish(&mut hakmem(&["run", "no-such-program"])).0.status.code(), Some(127));
    assert_eq!(finish(&mut hakmem(&["run", "/etc/passwd"])).0.status.code(), Some(126));
}

/// A variable must not make a process change a file that is no report.
#[test]
fn no_file_but_a_report_is_written_to() {
    let file = scratch().join("no-report");
    std::fs::write(&file, "mine\n").expect("writable");
    succeed(hakmem(&["run", "--exec", "sort", "/dev/null"]).env("HAKMEM_REPORT", &file));
    assert_eq!(std::fs::read_to_string(&file).expect("text"), "mine\n");
    std::fs::write(&file, "hakmem report 1\n").expect("writable");
    succeed(hakmem(&["run", "--exec", "sort", "/dev/null"]).env("HAKMEM_REPORT", &file));
    let lines = std::fs::read_to_string(&file).expect("text");
    expect(&lines, &["\nbegan pid=", "\nended pid="]);
}

#[test]
fn hakmem_can_become_the_program() {
    let child = hakmem(&["run", "--exec", "--set", "thp=never", "--", "sh", "-c", "echo $$ $HAKMEM_THP"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let expected = format!("{} never\n", child.id());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}

#[test]
fn statistics_and_the_summary_go_where_they_are_asked_to() {
    let file = scratch().join("summary");
    let output = ["run", "--stats", "--output", file.to_str().expect("text"), "sort", "/dev/null"];
    let (_, _, stderr) = finish(&mut hakmem(&output));
    expect(&stderr, &["mapped, the sum", "thread-cache"]);
    assert!(!stderr.contains("was served"), "{stderr}");
    expect(&std::fs::read_to_string(file).expect("a file"), &["was served"]);
    // The disk is full, and the program has ended well.
    let (output, _, stderr) = finish(&mut hakmem(&["run", "--output", "/dev/full", "sort", "/dev/null"]));
    assert!(output.status.success(), "{stderr}");
    expect(&stderr, &["the summary cannot be written to /dev/full"]);
}

#[test]
fn info_shows_the_levels_of_the_library() {
    let text = succeed(&mut hakmem(&["info", "--set", "mode=hardened", "--set", "thp=never"]));
    let library = PREFIX.join("lib/libhakmem.so");
    expect(&text, &[library.to_str().expect("text"), "it serves", "HAKMEM_MODE=hardened HAKMEM_THP=never"]);
    let level = |factor: &str| {
        let line = text.lines().find(|line| line.get(2..).is_some_and(|line| line.starts_with(factor)));
        let line = line.unwrap_or_else(|| panic!("{factor} is not in\n{text}"));
        (line.starts_with('*'), line.split_whitespace().skip_while(|word| *word != factor).nth(1).map(str::to_owned))
    };
    assert_eq!(level("canary"), (true, Some("on".to_owned())));
    assert_eq!(level("thp"), (true, Some("never".to_owned())));
    assert_eq!(level("arena"), (false, Some("on".to_owned())));
}
