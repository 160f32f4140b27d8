//! What stands around a run: hooks, scratch folders, standard input, exit codes and warm-up runs.

use crate::common::Bench;
use std::path::PathBuf;

/// A shell as the subject: it needs what a hook made for its level, and notes where it ran.
const AROUND: &str = r#"
study = "around"
seed = 1
blocks = 2
counting_repeats = 1
arms = ["env"]
design = ["leave-one-out"]
[subject]
command = ["sh", "-c", "mkdir state && cat > state/copy && test $(cat kind) = $KIND && pwd >> $LOG && exit 1"]
env = { LOG = "@PIDS@", WHERE = "{scratch}/x" }
before_block = ["sh", "-c", "echo input > {block_scratch}/input; echo block >> $LOG"]
before_run = [["sh", "-c", "echo $KIND > kind"], ["cp", "{block_scratch}/input", "input"]]
after_run = ["sh", "-c", "cmp input state/copy && test $WHERE = $ABLATE_SCRATCH/x && echo after >> $LOG"]
run_in = "scratch"
stdin = "{scratch}/input"
accept_exit = [1]
[[factor]]
name = "kind"
[factor.levels]
on = { KIND = "a" }
off = { KIND = "b" }
[[workload]]
name = "plain"
args = []
response = "wall"
"#;

fn noted(bench: &Bench) -> Vec<String> {
    let text = std::fs::read_to_string(bench.path("pids")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn every_run_has_its_own_folder_with_what_its_level_needs() {
    let bench = Bench::new(AROUND);
    bench.run(&[], 0);
    let runs = bench.runs();
    assert_eq!(runs.len(), 3 * 3);
    assert!(runs.iter().all(|run| run["status"] == "ok"), "{:#?}", bench.troubles());
    let noted = noted(&bench);
    let folders: std::collections::BTreeSet<PathBuf> =
        noted.iter().filter(|line| line.starts_with('/')).map(PathBuf::from).collect();
    // The preflight runs every cell once more.
    assert_eq!((folders.len(), noted.iter().filter(|line| *line == "after").count()), (4 * 3, 4 * 3), "{noted:?}");
    assert!(folders.iter().all(|folder| !folder.exists()), "{folders:?}");
    // The preflight, one repeat of counting, two blocks.
    assert_eq!(noted.iter().filter(|line| *line == "block").count(), 4, "{noted:?}");
    // The input is an answer of its own: with another one the runs could not be compared.
    assert_eq!(bench.manifest()["machine"]["facts"]["stdin-sha256"], serde_json::Value::Null);
}

#[test]
fn a_hook_that_fails_makes_the_run_invalid() {
    let check = |from: &str, to: &str, reason: &str| {
        assert!(AROUND.contains(from), "{from}");
        let bench = Bench::new(&AROUND.replace(from, to));
        bench.run(&[], 2).complains(&[reason]);
        // No level is measured without what it needs, and nothing stays.
        assert!(
            !noted(&bench).iter().any(|line| line.starts_with('/') && to.contains("planted")),
            "{:?}",
            noted(&bench)
        );
    };
    check("echo $KIND > kind", "echo planted $KIND >&2; exit 7", "failed: exit code 7: planted a");
    check("echo block >> $LOG", "echo planted >&2; exit 8", "before_block `sh -c");
    check("cmp input state/copy", "cmp input /dev/null", "after_run `sh -c cmp input /dev/null");
    check("[\"cp\", \"{block_scratch}/input\", \"input\"]", "[\"{scratch}/planted\"]", "there is no such program");
    // In one level alone: the others go on.
    let bench = Bench::new(&AROUND.replace("echo $KIND > kind", "test $KIND = a && echo $KIND > kind"));
    bench.run(&[], 1);
    for run in bench.runs() {
        let is_bad = run["cell"] == "no-kind@env";
        assert_eq!(run["status"], if is_bad { "invalid" } else { "ok" }, "{run}");
        assert_eq!(run["reason"].as_str().unwrap_or_default().contains("before_run `sh -c test $KIND"), is_bad);
    }
}

#[test]
fn exit_codes_that_are_not_accepted_fail() {
    let bench = Bench::new(&AROUND.replace("accept_exit = [1]", "accept_exit = [0, 2]"));
    bench.run(&[], 1).complains(&["exit code 1", "accept_exit = [1] in [subject]"]);
    // What was begun is cleaned up all the same.
    assert!(noted(&bench).iter().any(|line| line == "after"));
}

#[test]
fn a_program_that_finds_what_its_last_run_left_stops_the_study_with_the_way_out() {
    let stateful = AROUND.replace("run_in = \"scratch\"\n", "").replace(
        "mkdir state && cat > state/copy && test $(cat kind) = $KIND && pwd >> $LOG && exit 1",
        "test -e left && exit 3; touch left; exit 1",
    );
    let stateful: String = stateful
        .lines()
        .filter(|line| !line.starts_with("after_run"))
        .fold(String::new(), |text, line| text + line + "\n");
    let bench = Bench::new(&stateful);
    let words = ["fails when it runs again: exit code 3", "run_in = \"scratch\"", "before_run = ["];
    bench.run(&[], 1).complains(&words);
    let bench = Bench::new(&stateful.replace("stdin =", "run_in = \"scratch\"\nstdin ="));
    bench.run(&[], 0);
}

#[test]
fn warm_up_runs_come_once_before_the_first_block_and_are_not_recorded() {
    let bench = Bench::new(&AROUND.replace("accept_exit", "warm_up = 3\naccept_exit"));
    bench.run(&[], 0);
    let ran = || noted(&bench).iter().filter(|line| line.starts_with('/')).count();
    // Three cells: preflight, three warm-up runs, one repeat of counting, two blocks.
    assert_eq!((bench.runs().len(), ran()), (3 * 3, 3 * 7));
    bench.run(&["--resume"], 0);
    assert_eq!(ran(), 3 * 7, "nothing is missing, so nothing is warmed up");
    bench.run(&["--resume", "--blocks", "3"], 0);
    assert_eq!(ran(), 3 * (7 + 5), "preflight, warm-up and the new block");
}

#[test]
fn a_file_of_standard_input_is_part_of_the_study() {
    let text =
        AROUND.replace("stdin = \"{scratch}/input\"", "stdin = \"given\"").replace("cmp input state/copy && ", "");
    let bench = Bench::new("");
    std::fs::write(bench.path("given"), "one\n").expect("writes");
    std::fs::write(bench.path("study.toml"), text.replace("@PIDS@", &bench.path("pids").display().to_string()))
        .expect("writes");
    bench.run(&[], 0);
    assert_eq!(bench.manifest()["machine"]["facts"]["stdin-sha256"].as_str().map(str::len), Some(64));
    std::fs::write(bench.path("given"), "two\n").expect("writes");
    bench.run(&["--resume", "--blocks", "3"], 2).complains(&["stdin-sha256 was"]);
}
