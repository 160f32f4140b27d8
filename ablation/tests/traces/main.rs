//! `cargo ablate trace` as its user calls it: a program with known calls, recorded, told about and cut.

use serde_json::Value;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

/// What is built once: the recorder, the subject, and an allocator that handlers may call, in two forms.
struct Built {
    recorder: PathBuf,
    subject: PathBuf,
    bump: PathBuf,
    reuses: PathBuf,
    statically: PathBuf,
    /// The subject with the allocator in it.
    own: PathBuf,
}

static BUILT: LazyLock<Built> = LazyLock::new(|| {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("traces");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("..")).arg("recorder");
    assert_good(&cargo.arg("--quiet").arg("--target-dir").arg(&folder).output().expect("cargo starts"));
    let compile = |source: &str, name: &str, how: &[&str]| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/traces").join(source);
        let made = folder.join(name);
        let mut cc = Command::new("cc");
        cc.args(["-O1", "-g", "-fno-builtin", "-fno-inline", "-w", "-pthread"])
            .args(how)
            .arg(source)
            .arg("-o")
            .arg(&made);
        assert_good(&cc.output().expect("cc starts"));
        made
    };
    let bump = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/traces/bump.c");
    Built {
        recorder: folder.join("preload/libhakmem_trace.so"),
        subject: compile("subject.c", "subject", &[]),
        bump: compile("bump.c", "libbump.so", &["-shared", "-fPIC"]),
        statically: compile("subject.c", "statically", &["-static"]),
        own: compile("subject.c", "own", &["-include", bump]),
        reuses: compile("bump.c", "libreuses.so", &["-shared", "-fPIC", "-DREUSES"]),
    }
});

fn assert_good(out: &Output) {
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
}

/// A folder of a test's own.
struct Folder(tempfile::TempDir);

/// What a call said.
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Folder {
    fn new() -> Folder {
        Folder(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cargo-ablate"));
        command.current_dir(self.0.path()).arg("trace").args(args);
        command
    }

    fn call(&self, args: &[&str]) -> Said {
        Said::of(&mut self.command(args))
    }

    /// Records the subject into `t.trace`, with more options.
    fn record(&self, options: &[&str], what: &[&str]) -> Said {
        let recorder = BUILT.recorder.to_str().expect("a plain path");
        let subject = BUILT.subject.to_str().expect("a plain path");
        let before = ["record", "--recorder", recorder, "-o", "t.trace"];
        self.call(&[&before, options, &["--", subject], what].concat())
    }

    /// What `info` knows of a trace; reading it to its end finds every contradiction.
    fn info(&self, name: &str) -> Value {
        let said = self.call(&["info", name, "--json"]);
        assert_eq!(said.code, 0, "{}", said.err);
        let path = self.path(name);
        ablate_trace::check(&ablate_trace::Trace::open(path).expect("is a trace")).expect("is valid");
        serde_json::from_str(&said.out).expect("is JSON")
    }

    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.0.path()).expect("is readable");
        let mut names: Vec<String> =
            entries.map(|entry| entry.expect("is readable").file_name().into_string().expect("a plain name")).collect();
        names.sort();
        names
    }
}

impl Said {
    fn of(command: &mut Command) -> Said {
        let out = command.output().expect("ablate starts");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let code = out.status.code().unwrap_or_else(|| -out.status.signal().unwrap_or(0));
        Said { code, out: text(&out.stdout), err: text(&out.stderr) }
    }
}

/// Allocations at the call sites of the subject whose name begins so.
fn at_sites(info: &Value, name: &str) -> u64 {
    let sites = info["sites"].as_array().expect("a list").iter();
    let own = sites.filter(|site| site["name"].as_str().is_some_and(|site| site.starts_with(name)));
    own.map(|site| site["allocations"].as_u64().expect("a count")).sum()
}

fn number(value: &Value) -> u64 {
    value.as_u64().expect("a number")
}

#[test]
fn calls_are_counted_where_they_are_made() {
    let folder = Folder::new();
    let said = folder.record(&["--sample", "7"], &["known"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.err.contains("t.trace: ") && said.err.contains("operations of 1 thread"), "{}", said.err);
    let info = folder.info("t.trace");
    assert_eq!(at_sites(&info, "known (subject.c:"), 3000);
    assert_eq!(number(&info["counts"]["zeroed"]), 500);
    assert_eq!((number(&info["counts"]["reallocations"]), number(&info["counts"]["grown"])), (10, 10));
    let frees = number(&info["counts"]["frees"]);
    assert!((1500..1600).contains(&frees), "{frees}");
    assert_eq!(number(&info["about"]["unknown_frees"]), 0);
    assert_eq!(info["about"]["notes"], serde_json::json!([]));
    // Half of each object was written before it was freed.
    let class = info["touch"]["classes"].as_array().expect("a list").iter().find(|class| class["size_max"] == 64);
    let class = class.expect("objects of 48 bytes were watched");
    let share = number(&class["written"]) as f64 / number(&class["bytes"]) as f64;
    assert!((0.4..0.6).contains(&share), "{class}");
    let said = folder.call(&["info", "t.trace", "--html", "t.html"]);
    for part in ["Sizes", "Lifetimes", "Call sites", "known (subject.c:", "live over time"] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    let page = std::fs::read_to_string(folder.path("t.html")).expect("is there");
    assert!(page.contains("<svg") && page.contains("Live bytes over time"));
}

#[test]
fn objects_pass_between_threads_in_order() {
    let folder = Folder::new();
    let said = folder.record(&[], &["threads", "3"]);
    assert_eq!(said.code, 3, "the program's exit code: {}", said.err);
    let info = folder.info("t.trace");
    let threads = info["threads"].as_array().expect("a list");
    assert_eq!(threads.len(), 2);
    let consumer = threads.iter().find(|thread| thread["name"] == "consumer").expect("its name is known");
    assert_eq!(number(&consumer["counts"]["handovers"]), 3000);
    let trace = ablate_trace::Trace::open(folder.path("t.trace")).expect("is a trace");
    let main: Vec<_> = trace.thread(0).expect("is there").map(|one| one.expect("is whole").action).collect();
    let place = |of: ablate_trace::Action| main.iter().position(|action| *action == of).expect("is there");
    let spawn = place(ablate_trace::Action::Spawn { thread: 1 });
    assert!(spawn < place(ablate_trace::Action::Join { thread: 1 }));
    let last = trace.thread(1).expect("is there").last().expect("is not empty").expect("is whole");
    assert_eq!(last.action, ablate_trace::Action::End);
}

#[test]
fn every_object_that_passes_around_is_followed() {
    let folder = Folder::new();
    let said = folder.record(&[], &["passes"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let done: Vec<u64> = said.out.split_whitespace().map(|word| word.parse().expect("a number")).collect();
    let info = folder.info("t.trace");
    assert_eq!(at_sites(&info, "pass ("), done[0]);
    assert_eq!(number(&info["counts"]["reallocations"]), done[2]);
    assert!(number(&info["counts"]["frees"]) >= done[1]);
    assert_eq!(number(&info["about"]["unknown_frees"]), 0, "no free comes before its allocation");
}

#[test]
fn bursts_that_pass_to_another_thread_are_in_order() {
    let folder = Folder::new();
    let reuses = &BUILT.reuses;
    let mut command = folder.command(&["record", "-o", "t.trace", "--recorder"]);
    // The allocator is fast, so that the clock is not read at each call, and takes the last object that was freed.
    let command = command.arg(&BUILT.recorder).arg("--").arg(&BUILT.subject).arg("bursts");
    let said = Said::of(command.env("LD_PRELOAD", reuses));
    assert_eq!(said.code, 0, "{}", said.err);
    let info = folder.info("t.trace");
    assert_eq!(at_sites(&info, "passed_bursts"), 60_000);
    assert_eq!(number(&info["about"]["unknown_frees"]), 0, "no free comes before its allocation");
    assert_eq!(number(&info["counts"]["handovers"]), 60_000, "each is freed by the thread that did");
}

#[test]
fn threads_one_after_the_other_share_their_chunks() {
    let folder = Folder::new();
    assert_eq!(folder.record(&["--limit", "3M"], &["churn"]).code, 0);
    let info = folder.info("t.trace");
    assert_eq!(info["threads"].as_array().map(Vec::len), Some(201));
    assert_eq!(at_sites(&info, "few"), 200);
    assert_eq!(info["about"]["notes"], serde_json::json!([]), "200 threads fit into 3 MiB");
}

#[test]
fn what_a_killed_program_did_is_kept() {
    let folder = Folder::new();
    let said = folder.record(&[], &["killed"]);
    assert_eq!(said.code, 128 + libc::SIGKILL, "{}", said.err);
    assert!(said.err.contains("ended by signal 9"), "{}", said.err);
    assert_eq!(at_sites(&folder.info("t.trace"), "known"), 3000);
    assert_eq!(folder.files(), ["t.trace"], "raw files are removed");
}

#[test]
fn children_are_left_out_unless_they_are_asked_for() {
    let folder = Folder::new();
    assert_eq!(folder.record(&[], &["forks"]).code, 0);
    let info = folder.info("t.trace");
    assert!(number(&info["counts"]["operations"]) < 10_000);
    assert_eq!(at_sites(&info, "known"), 3000);
    std::fs::remove_file(folder.path("t.trace")).expect("is there");
    assert_eq!(folder.record(&["--children"], &["forks"]).code, 0);
    let files = folder.files();
    let [child, parent] = files.as_slice() else { panic!("{files:?}") };
    assert_eq!(parent, "t.trace");
    let info = folder.info(child);
    assert_eq!(at_sites(&info, "forks"), 200_000);
}

#[test]
fn a_file_that_is_out_of_reach_is_kept_open() {
    let folder = Folder::new();
    let said = folder.record(&[], &["moves"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let info = folder.info("t.trace");
    assert_eq!(at_sites(&info, "moves"), 200_000);
    assert_eq!(info["about"]["notes"], serde_json::json!([]));
}

#[test]
fn processes_that_are_left_out_are_told_of() {
    let folder = Folder::new();
    let told = "--children records them, too";
    assert!(folder.record(&[], &["forks"]).err.contains(told));
    std::fs::remove_file(folder.path("t.trace")).expect("is there");
    assert!(!folder.record(&[], &["known"]).err.contains(told));
    std::fs::remove_file(folder.path("t.trace")).expect("is there");
    let said = folder.record(&["--children"], &["forks"]);
    assert!(!said.err.contains(told) && said.err.contains(" of `subject`"), "{}", said.err);
}

#[test]
fn a_process_that_becomes_another_program_is_told() {
    let folder = Folder::new();
    let said = folder.record(&[], &["execs"]);
    assert!(said.err.contains("became another program by exec once"), "{}", said.err);
    let info = folder.info("t.trace");
    assert_eq!((at_sites(&info, "main"), at_sites(&info, "known")), (200_000, 0));
}

#[test]
fn a_full_disk_ends_the_recording_and_not_the_program() {
    let folder = Folder::new();
    // Files may have 0.75 MB, and the program has two.
    let subject = BUILT.subject.to_str().expect("a plain path");
    let recorder = BUILT.recorder.to_str().expect("a plain path");
    let limited = format!("ulimit -f 1500; exec {subject} many 7");
    let said = folder.call(&["record", "--recorder", recorder, "-o", "t.trace", "--", "sh", "-c", &limited]);
    assert_eq!(said.code, 7, "{}", said.err);
    assert!(said.err.contains("the system refused more of the raw file: File too large"), "{}", said.err);
    let operations = number(&folder.info("t.trace")["counts"]["operations"]);
    assert!((20_000..300_000).contains(&operations), "{operations}");
    std::fs::remove_file(folder.path("t.trace")).expect("is there");
    // Not even the head of the file has room.
    let ablate = env!("CARGO_BIN_EXE_cargo-ablate");
    let limited =
        format!("ulimit -f 1; exec {ablate} trace record --recorder {recorder} -o t.trace -- {subject} many 7");
    let said = Said::of(Command::new("sh").args(["-c", &limited]).current_dir(folder.0.path()));
    assert!(said.code == 1 && said.err.contains("ended with exit code 7, and recorded nothing"), "{}", said.err);
    assert!(folder.files().is_empty(), "nothing is left");
    let said = folder.record(&["--limit", "1M"], &["many", "7"]);
    assert_eq!(said.code, 7, "{}", said.err);
    assert!(said.err.contains("recording stopped at the limit"), "{}", said.err);
    folder.info("t.trace");
}

#[test]
fn a_handler_may_allocate_within_the_recorder() {
    let folder = Folder::new();
    let (recorder, bump) = (&BUILT.recorder, &BUILT.bump);
    let mut command = folder.command(&["record", "-o", "t.trace", "--recorder"]);
    let said = Said::of(command.arg(recorder).arg("--").arg(&BUILT.subject).arg("handler").env("LD_PRELOAD", bump));
    assert_eq!(said.code, 0, "{}", said.err);
    let info = folder.info("t.trace");
    assert!(info["about"]["allocator"].as_str().is_some_and(|path| path.ends_with("libbump.so")));
    let lost = number(&info["about"]["lost_operations"]);
    let in_handler = at_sites(&info, "on_tick");
    assert!(in_handler + lost >= 200 * 50 && lost < 1000, "{in_handler} and {lost} lost");
    assert_eq!(number(&info["about"]["unknown_frees"]), 0);
}

#[test]
fn a_cut_begins_with_what_is_live() {
    let folder = Folder::new();
    assert_eq!(folder.record(&[], &["threads"]).code, 0);
    let whole = folder.info("t.trace");
    let operations = number(&whole["counts"]["operations"]);
    let (from, to) = (operations / 2, operations * 3 / 4);
    let said = folder.call(&["cut", "t.trace", "--operations", &format!("{from}..{to}"), "-o", "c.trace"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let cut = folder.info("c.trace");
    let threads = cut["threads"].as_array().expect("a list");
    // A thread begins in its preamble, or with an operation of its own.
    let begins = threads.len() as u64;
    let made = number(&cut["counts"]["operations"]) - number(&cut["counts"]["preamble"]);
    assert!((to - from..=to - from + begins).contains(&made), "{made} of {from} to {to}");
    let said = folder.call(&["cut", "t.trace", "--from", "0s", "-o", "all.trace"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let all = folder.info("all.trace");
    for kind in ["operations", "allocations", "bytes", "frees", "handovers", "live_bytes", "preamble"] {
        assert_eq!(all["counts"][kind], whole["counts"][kind], "{kind}");
    }
}

#[test]
fn a_raw_file_that_was_left_becomes_a_trace() {
    let folder = Folder::new();
    let into = format!("1 1 0 0 {}", folder.0.path().display());
    let mut subject = Command::new(&BUILT.subject);
    subject.arg("known").env("LD_PRELOAD", &BUILT.recorder).env("ABLATE_TRACE_INTO", into);
    assert_good(&subject.output().expect("starts"));
    let raw = folder.files().into_iter().next().expect("a raw file");
    let said = folder.call(&["info", &raw]);
    assert_eq!((said.code, said.err.contains("make a trace of it first")), (2, true), "{}", said.err);
    let said = folder.call(&["convert", &raw, "-o", "t.trace"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert_eq!(at_sites(&folder.info("t.trace"), "known"), 3000);
    // The same, of which the end is missing, and of which nothing is whole.
    let whole = std::fs::read(folder.path(&raw)).expect("is there");
    std::fs::write(folder.path("half"), &whole[..20_000]).expect("writes");
    let said = folder.call(&["convert", "half", "-o", "half.trace"]);
    assert_eq!(said.code, 0, "{}", said.err);
    let half = at_sites(&folder.info("half.trace"), "0x") + number(&folder.info("half.trace")["counts"]["allocations"]);
    assert!((100..3000).contains(&half), "{half}");
    std::fs::write(folder.path("none"), &whole[..4096]).expect("writes");
    assert_eq!(folder.call(&["convert", "none", "-o", "none.trace"]).code, 1);
}

#[test]
fn a_trace_becomes_a_study_that_runs_as_it_is() {
    let folder = Folder::new();
    assert_eq!(folder.record(&[], &["threads"]).code, 0);
    let repository = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let said = folder.call(&["study", "t.trace", "--repository", repository]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains("next: cargo ablate run t.toml --quick"), "{}", said.out);
    // What it is made after has each factor of the allocator; the plan has them for this trace alone.
    let mut plan = Command::new(env!("CARGO_BIN_EXE_cargo-ablate"));
    let said = Said::of(plan.current_dir(folder.0.path()).args(["plan", "t.toml"]));
    assert_eq!(said.code, 0, "{}", said.err);
    for part in ["study t: recorded: ", "thread-cache off", "peer-floor", "t-memory", "all processors", "2 workloads"] {
        assert!(said.out.contains(part), "{part}: {}", said.out);
    }
    let said = folder.call(&["study", "t.trace", "--repository", repository]);
    assert!(said.code == 2 && said.err.contains("t.toml: the file is there already"), "{}", said.err);
    let said = folder.call(&["study", "t.trace", "-o", "u.toml", "--repository", "."]);
    assert!(said.code == 2 && said.err.contains("name the repository of ablate with --repository"), "{}", said.err);
    let whole = std::fs::read(folder.path("t.trace")).expect("is there");
    std::fs::write(folder.path("cut.trace"), &whole[..whole.len() - 1]).expect("writes");
    let said = folder.call(&["study", "cut.trace", "--repository", repository]);
    assert!(said.code == 1 && said.err.contains("cut.trace: the file is not whole"), "{}", said.err);
    assert_eq!(folder.files(), ["cut.trace", "t.toml", "t.trace"]);
}

#[test]
fn mistakes_are_told() {
    let folder = Folder::new();
    std::fs::write(folder.path("text"), "no trace").expect("writes");
    std::fs::write(folder.path("there.trace"), "precious").expect("writes");
    std::fs::write(folder.path("old.so"), "ABLRAW and another layout").expect("writes");
    std::fs::write(folder.path("script"), "#!/no/such/interpreter\n").expect("writes");
    let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path("script"), executable).expect("is there");
    std::fs::create_dir(folder.path("folder")).expect("is made");
    let (statically, own) =
        (BUILT.statically.to_str().expect("a plain path"), BUILT.own.to_str().expect("a plain path"));
    let recorder = BUILT.recorder.to_str().expect("a plain path");
    for (args, code, part) in [
        (&["info", "text"][..], 1, "text: this is no trace"),
        (&["info", "none"], 1, "none: opening failed"),
        (&["convert", "text", "-o", "t.trace"], 2, "text: this is no raw file"),
        (&["cut", "text", "-o", "there.trace"], 1, "text: this is no trace"),
        (&["cut", "text", "--from", "5", "-o", "t"], 2, "write a time with its unit"),
        (&["record", "-o", "there.trace", "--recorder", recorder, "--", "true"], 2, "is not overwritten"),
        (&["record", "-o", "t.trace", "--recorder", recorder, "--", "no-such-program"], 2, "no folder of PATH has it"),
        (&["record", "-o", "no/t.trace", "--recorder", recorder, "--", "true"], 2, "its folder no does not exist"),
        (&["record", "-o", "t.trace", "--recorder", "none.so", "--", "true"], 1, "reading the recorder"),
        (&["record", "-o", "t.trace", "--recorder", "text", "--", "true"], 2, "text: this is not the recorder"),
        (&["record", "-o", "t.trace", "--recorder", ".", "--", "true"], 2, ".: this is not the recorder"),
        (&["record", "-o", "t.trace", "--recorder", "old.so", "--", "true"], 2, "the recorder is of another version"),
        (&["record", "-o", "t.trace", "--recorder", recorder, "--", "./text"], 2, "make it executable"),
        (&["record", "-o", "t.trace", "--recorder", recorder, "--", "./script"], 2, "interpreter or loader"),
        (&["record", "-o", "t.trace", "--recorder", recorder, "--", "./none"], 2, "look at the path"),
        (&["record", "-o", "t.trace", "--recorder", recorder, "--", "./folder"], 2, "this is a folder"),
        (&["record", "-o", "t.trace", "--recorder", recorder, "--", statically], 1, "it is linked statically"),
        (&["record", "-o", "t.trace", "--recorder", recorder, "--", own, "known"], 1, "brings its own allocator"),
        (&["record", "--limit", "lots", "--", "true"], 2, "write a number of bytes"),
        (&["record"], 2, "PROGRAM"),
    ] {
        let said = folder.call(args);
        assert!(said.code == code && said.err.contains(part), "{args:?}: {} {}", said.code, said.err);
    }
    assert_eq!(std::fs::read_to_string(folder.path("there.trace")).expect("is there"), "precious");
    assert_eq!(folder.files(), ["folder", "old.so", "script", "text", "there.trace"], "nothing else is left");
}
