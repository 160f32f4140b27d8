//! Several programs in one study: a command for each workload, the same output from all, and libraries that are preloaded.

use crate::common::Bench;

/// Two programs, with a library of the system beneath them that a shell does not load by itself.
const PROGRAMS: &str = r#"
study = "programs"
seed = 1
blocks = 2
counting_repeats = 0
[subject]
env = { LD_PRELOAD = "libm.so.6", WORD = "word" }
[[workload]]
name = "shell"
command = ["sh", "-c", "echo $WORD $0", "zero"]
output = "same-for-all"
[[workload]]
name = "list"
command = ["printf", "%s"]
args = ["text"]
output = "same-for-all"
[[peer]]
name = "plain"
env = { LD_PRELOAD = "" }
"#;

#[test]
fn each_workload_runs_its_own_program_and_every_run_shows_what_it_preloads() {
    let bench = Bench::new(PROGRAMS);
    bench.run(&[], 0);
    let runs = bench.runs();
    // Baseline, placebo and peer, two workloads, two blocks.
    assert_eq!(runs.len(), 12);
    for run in &runs {
        assert_eq!(run["status"], "ok", "{run}");
        let said = if run["workload"] == "shell" { "word zero\n" } else { "text" };
        assert_eq!(run["output_start"], said);
        let preloads = run["cell"] != "peer-plain";
        assert_eq!(run["preload_opened"].as_bool(), preloads.then_some(true), "{run}");
    }
    let manifest = bench.manifest();
    assert_eq!(manifest["libraries"][0]["peer"], "subject");
    assert!(manifest["libraries"][0]["path"].as_str().is_some_and(|path| path.starts_with('/')), "{manifest}");
}

#[test]
fn a_peer_that_prints_something_else_does_not_count() {
    let bench = Bench::new(&PROGRAMS.replace("{ LD_PRELOAD = \"\" }", "{ LD_PRELOAD = \"\", WORD = \"other\" }"));
    let said = bench.run(&[], 1);
    assert!(said.out.contains("its output differs from that of the baseline in line 1: `other"), "{said:?}");
}

#[test]
fn a_missing_program_or_library_and_a_command_in_the_wrong_place_are_pointed_at() {
    let check = |from: &str, to: &str, part: &str| {
        let said = Bench::new(&PROGRAMS.replace(from, to)).run(&[], 2);
        assert!(said.err.contains(part), "{said:?}");
    };
    check("\"printf\"", "\"no-such-program\"", "there is no program `no-such-program`");
    check("libm.so.6", "libnone.so.9", "the subject preloads `libnone.so.9`");
    check("command = [\"printf\", \"%s\"]\n", "", "not every workload has one");
}
