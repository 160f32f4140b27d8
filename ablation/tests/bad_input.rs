//! Wrong input of every kind: each has an exit code, a message that says what to do, and harms nothing else.

mod common;

use common::{Bench, ENV_ONLY};

/// The study with its workload replaced by one that makes trouble.
fn trouble(what: &str) -> String {
    ENV_ONLY
        .replace("args = [\"--work\", \"200\"]", &format!("args = [\"--work\", \"200\", \"--trouble\", \"{what}\"]"))
}

/// Runs a study with planted trouble and expects every run at work to have this status and reason.
fn check(what: &str, status: &str, reason: &str) -> Bench {
    let bench = Bench::new(&trouble(what).replace("blocks = 2", "blocks = 1"));
    bench.run(&[], 1);
    let troubles = bench.troubles();
    // Four cells: once counting at work, once timing. Idle runs make no trouble.
    assert_eq!(troubles.len(), 8, "{troubles:#?}");
    for (seen, why) in &troubles {
        assert!(seen == status && why.contains(reason), "{seen}: {why}");
    }
    bench
}

/// A wrong call in the folder of a study with this text.
#[track_caller]
fn wrong(name: &str, study: &str, args: &[&str]) {
    let bench = Bench::new(study);
    bench.snapshot(name, &bench.ablate(args));
}

#[test]
fn a_missing_config_says_what_to_give() {
    wrong("missing_config", "", &["run", "no-such.toml"]);
    wrong("no_default_config", "", &[]);
}

#[test]
fn a_malformed_config_is_pointed_at() {
    let misspelt = ENV_ONLY.replace("seed = 1", "seeed = 1");
    wrong("unknown_key_run", &misspelt, &["run", "study.toml"]);
    wrong("unknown_key_plan", &misspelt, &["plan", "study.toml"]);
}

#[test]
fn a_wrong_call_or_environment_is_answered_with_what_was_meant() {
    wrong("options_without_subcommand", ENV_ONLY, &["--blocks", "6"]);
    wrong("no_blocks", ENV_ONLY, &["run", "study.toml", "--blocks", "0"]);
    wrong("report_without_study", ENV_ONLY, &["report", "."]);
    wrong("report_of_no_folder", ENV_ONLY, &["report", "no-such-folder"]);
    wrong("report_of_a_file", ENV_ONLY, &["report", "study.toml"]);
    wrong("out_is_a_file", ENV_ONLY, &["run", "study.toml", "--out", "study.toml"]);
    let bench = Bench::new(ENV_ONLY);
    let output = bench.command(&["plan", "study.toml"]).env("ABLATE_COLUMS", "80").output();
    bench.snapshot("unknown_variable", &common::Said::from(output.expect("ablate starts")));
    // The command that archives a study asks for the same folder.
    wrong("archive_of_no_folder", ENV_ONLY, &["archive", "no-such-folder"]);
}

#[test]
fn a_package_binary_or_feature_that_is_not_there_is_named() {
    let run = ["run", "study.toml", "--out", "out"];
    wrong("unknown_package", &ENV_ONLY.replace("package = \"subject\"", "package = \"subjekt\""), &run);
    wrong("unknown_binary", &ENV_ONLY.replace("binary = \"subject\"", "binary = \"x\""), &run);
    wrong("unknown_feature", &ENV_ONLY.replace("idle_args", "features = [\"no-such\"]\nidle_args"), &run);
}

#[test]
fn a_baseline_that_does_not_build_stops_with_its_log() {
    // Without the feature `red`, `broken` does not compile.
    let text = ENV_ONLY.replace("idle_args", "features = [\"broken\"]\nidle_args").replace("feature = \"red\"\n", "");
    let bench = Bench::new(&text);
    bench.snapshot("baseline_does_not_build", &bench.run(&[], 1));
    assert!(bench.path("out/logs/build-full.log").is_file());
    // The folder holds no result, so it can be used again.
    bench.snapshot("baseline_does_not_build", &bench.run(&[], 1));
}

#[test]
fn another_build_that_fails_leaves_its_cells_out_and_the_others_go_on() {
    let text = ENV_ONLY.replace("arms = [\"env\"]", "arms = [\"env\", \"feature\"]");
    let bench = Bench::new(&text.replace("idle_args", "features = [\"broken\"]\nidle_args"));
    let said = bench.run(&[], 1);
    said.complains(&["failed: error: planted", "build-without-red.log"]);
    let troubles = bench.troubles();
    assert_eq!(troubles.len(), 1, "{troubles:#?}");
    assert_eq!(troubles[0].0, "build-failed");
    assert!(troubles[0].1.contains("build-without-red.log"), "{troubles:#?}");
    let ran = bench.records().iter().filter(|r| r["cell"] == "no-blue@feature" && r["status"] == "ok").count();
    assert_eq!(ran, 4);
}

#[test]
fn a_program_that_crashes_or_fails_is_recorded() {
    check("crash", "crashed", "SIGABRT");
    let bench = check("exit", "crashed", "exit code 3");
    let records = bench.records();
    let failed = records.iter().find(|record| record["status"] == "crashed").expect("failed");
    assert!(failed["stderr"].as_str().is_some_and(|text| text.contains("planted failure")));
    assert!(failed["reason"].as_str().is_some_and(|text| text.contains("planted failure")), "{failed}");
}

#[test]
fn a_program_that_fails_in_every_cell_stops_before_the_blocks() {
    let bench = Bench::new(&trouble("exit").replace("idle_args = [\"--work\", \"0\"]\n", ""));
    bench.snapshot("fails_in_every_cell", &bench.run(&[], 1));
    assert!(!bench.path("out/records.jsonl").exists());
}

#[test]
fn a_program_whose_every_cell_contradicts_the_plan_stops_before_the_blocks() {
    let bench = Bench::new(&trouble("none").replace("served_by = \"subject\"", "served_by = \"another\""));
    bench.snapshot("invalid_in_every_cell", &bench.run(&[], 2));
    assert!(!bench.path("out/records.jsonl").exists());
}

#[test]
fn a_program_that_prints_rubbish_or_nothing_is_recorded() {
    check("garbage", "garbage", "42 ns per operation");
    check("nothing", "garbage", "printed nothing");
}

#[test]
fn a_program_that_lies_is_invalid() {
    let bench = Bench::new(&trouble("lie"));
    bench.run(&[], 1);
    let troubles = bench.troubles();
    // The lie is told by the cell without red alone: counting at work and idle, two timing runs.
    assert_eq!(troubles.len(), 4, "{troubles:#?}");
    assert!(troubles.iter().all(|(status, why)| status == "invalid" && why.contains("red")), "{troubles:#?}");
}

#[test]
fn a_program_that_hangs_is_ended_with_everything_it_started() {
    // It forks, the child leaves the process group, and both ignore TERM.
    let text = trouble("hang").replace("timeout_seconds = 60", "timeout_seconds = 1");
    let text = text.replace("blocks = 2", "blocks = 1");
    let one_factor = text.split("[[factor]]\nname = \"blue\"").next().expect("has red").to_owned();
    let bench = Bench::new(&format!("{one_factor}[[workload]]{}", text.split("[[workload]]").nth(1).expect("has one")));
    bench.run(&[], 1);
    let troubles = bench.troubles();
    assert_eq!(troubles.len(), 6, "{troubles:#?}");
    assert!(
        troubles.iter().all(|(status, why)| status == "timeout" && why.contains("timeout_seconds")),
        "{troubles:#?}"
    );
    bench.assert_gone(6);
}

#[test]
fn children_that_are_left_behind_are_ended() {
    let bench = Bench::new(&trouble("fork"));
    bench.run(&[], 0);
    bench.assert_gone(12);
}

#[test]
fn a_variable_that_the_program_refuses_stops_the_study() {
    let bench = Bench::new(&ENV_ONLY.replace("NO_RED = \"1\"", "NO_RED = \"banana\""));
    bench.snapshot("refused_variable", &bench.run(&[], 2));
    assert!(!bench.path("out/records.jsonl").exists());
}

#[test]
fn a_folder_in_use_or_not_empty_is_refused() {
    let bench = Bench::new(ENV_ONLY);
    std::fs::create_dir(bench.path("out")).expect("creates");
    std::fs::write(bench.path("out/precious"), "x").expect("writes");
    bench.snapshot("folder_is_not_empty", &bench.run(&[], 2));
    bench.snapshot("folder_without_study", &bench.run(&["--resume"], 2));
    assert_eq!(std::fs::read_to_string(bench.path("out/precious")).expect("is there"), "x");
}

#[test]
fn a_full_disk_stops_the_study_and_keeps_earlier_rows() {
    let bench = Bench::new(ENV_ONLY);
    std::fs::create_dir(bench.path("out")).expect("creates");
    // A small disk of its own, in a mount namespace of this test alone; needs root.
    let ablate = bench.command(&[]);
    let script = "mount -t tmpfs -o size=128k tmpfs out || exit 77
        \"$0\" run study.toml --out out --blocks 2000; code=$?
        grep -c '}$' out/records.jsonl; exit $code";
    let mut command = std::process::Command::new("unshare");
    command.args(["-m", "sh", "-c", script]).arg(ablate.get_program()).current_dir(bench.path("."));
    for (name, value) in ablate.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let Ok(output) = command.output() else { return eprintln!("skipped: no unshare here") };
    let said = common::Said::from(output);
    if said.code == 77 || said.err.contains("unshare:") {
        return eprintln!("skipped: no right to mount");
    }
    assert_eq!(said.code, 1, "{said:?}");
    said.complains(&["records.jsonl", "make room and add", "--resume"]);
    let rows: usize = said.out.lines().last().and_then(|n| n.parse().ok()).expect("rows are counted");
    assert!(rows > 10, "{rows} rows");
}
