//! Subjects that know nothing of ablate: commands, packages of the registry, programs that print what they like.

use crate::common::{self, Bench};
use std::collections::BTreeSet;

/// A shell as the subject: what it does is an argument, and what slows it down is a level.
const COMMAND: &str = r#"
study = "demo"
seed = 1
blocks = 2
counting_repeats = 1
arms = ["env", "args"]
design = ["leave-one-out"]
[subject]
command = ["sh", "-c", "for word in $WORDS $0 $@; do echo $word; done; pwd; cat here.txt"]
[[factor]]
name = "words"
[factor.levels]
on = { WORDS = "a b" }
off = { WORDS = "" }
[[factor]]
name = "more"
[factor.levels]
on = {}
off = { args = ["less"] }
[[workload]]
name = "plain"
args = ["end"]
response = "wall"
output = "may-differ"
"#;

#[test]
fn a_command_is_measured_from_outside_in_the_folder_of_its_config() {
    let bench = Bench::new(COMMAND);
    std::fs::write(bench.path("here.txt"), "found\n").expect("writes");
    // Started elsewhere: where the runner is does not matter.
    let mut command = bench.command(&["run"]);
    command.arg(bench.path("study.toml")).arg("--out").arg(bench.path("out")).current_dir("/");
    let said = common::Said::from(command.output().expect("ablate starts"));
    assert_eq!(said.code, 0, "{said:?}");
    let records = bench.runs();
    // Four cells: counted once, two blocks.
    assert_eq!(records.len(), 4 * 3);
    for record in &records {
        assert_eq!(record["status"], "ok", "{record}");
        assert!(record["measured"].is_null() && record["wall_ns"].as_u64() > Some(0), "{record}");
        assert!(record["context_switches"].is_array() && record["cpu_ns"].is_u64(), "{record}");
        assert_eq!(record["contention_probe_ns"].is_array(), record["pass"] == "timing", "{record}");
    }
    let builds = &bench.manifest()["builds"];
    assert_eq!(builds.as_array().map(Vec::len), Some(1));
    let path = builds[0]["result"]["Ok"]["path"].as_str().expect("a path").to_owned();
    assert!(path.starts_with('/') && path.ends_with("/sh"), "{path}");
    assert_eq!(builds[0]["result"]["Ok"]["sha256"].as_str().map(str::len), Some(64));
}

#[test]
fn a_failing_command_is_told_with_its_own_words() {
    let bench = Bench::new(COMMAND);
    // There is no here.txt, and `cat` says so.
    bench.snapshot("failing_command", &bench.run(&[], 1));
}

#[test]
fn programs_features_and_profiles_that_are_not_there_are_pointed_at() {
    let check = |name: &str, text: &str| {
        let bench = Bench::new(text);
        bench.snapshot(name, &bench.run(&[], 2));
        assert!(!bench.path("out/manifest.json").exists());
    };
    check("no_such_program", &COMMAND.replace("[\"sh\"", "[\"no-such-program\""));
    check("no_such_file", &COMMAND.replace("[\"sh\"", "[\"./missing\""));
    let both = common::ENV_ONLY.replace("arms = [\"env\"]", "arms = [\"env\", \"feature\"]");
    check("no_such_feature", &both.replace("feature = \"red\"", "feature = \"rde\""));
    check("no_such_profile", &both.replace("profile = \"dev\"", "profile = \"rlease\""));
}

#[test]
fn a_peer_can_be_another_program() {
    let peer = "[[peer]]\nname = \"short\"\ncommand = [\"sh\", \"-c\", \"exit 0\"]\n";
    let bench = Bench::new(&format!("{COMMAND}{peer}"));
    std::fs::write(bench.path("here.txt"), "found\n").expect("writes");
    bench.run(&[], 0);
    let own: Vec<serde_json::Value> = bench.runs().into_iter().filter(|r| r["cell"] == "peer-short").collect();
    assert!(own.len() == 3 && own.iter().all(|record| record["status"] == "ok"), "{own:?}");
    assert_eq!(bench.manifest()["builds"][1]["id"], "peer-short");
}

#[test]
fn every_build_has_its_code_layouts_and_blocks_take_turns() {
    let text = common::ENV_ONLY
        .replace("arms = [\"env\"]", "arms = [\"feature\"]\nlayouts = 3")
        .replace("off = { NO_RED = \"1\" }", "")
        .replace("off = { NO_BLUE = \"1\" }", "");
    let bench = Bench::new(&text);
    let said = bench.run(&["--blocks", "4"], 0);
    let manifest = bench.manifest();
    if said.err.contains("one code layout") {
        assert_eq!(manifest["plan"]["layouts"], 1);
        eprintln!("skipped: the linker of this machine cannot shuffle sections:\n{}", said.err);
        return;
    }
    assert_eq!(
        (&manifest["plan"]["layouts"], manifest["machine"]["facts"]["layouts"].as_str()),
        (&3.into(), Some("3"))
    );
    let mut hashes = BTreeSet::new();
    for build in manifest["builds"].as_array().expect("a list") {
        let layouts = build["layouts"].as_array().expect("a list");
        assert_eq!(layouts.len(), 2);
        for binary in layouts.iter().chain([&build["result"]["Ok"]]) {
            hashes.insert(binary["sha256"].as_str().expect("a hash").to_owned());
        }
    }
    // Three builds, three layouts.
    assert_eq!(hashes.len(), 9);
    for record in bench.runs() {
        let expected = if record["pass"] == "timing" { record["block"].as_u64().expect("a number") % 3 } else { 0 };
        assert_eq!(record["layout"], expected, "{record}");
    }
    // The binaries are found again, in all their layouts.
    bench.run(&["--blocks", "5", "--resume"], 0);
    let without_time = |manifest: &serde_json::Value| {
        let mut builds = manifest["builds"].as_array().expect("a list").clone();
        builds.iter_mut().for_each(|build| drop(build.as_object_mut().expect("an object").remove("seconds")));
        builds
    };
    assert_eq!(without_time(&bench.manifest()), without_time(&manifest));
}

#[test]
fn a_package_of_the_registry_is_fetched_and_run() {
    let text = r#"
study = "demo"
seed = 1
blocks = 1
counting_repeats = 1
arms = ["env"]
design = ["leave-one-out"]
[subject]
package = "b3sum"
version = "1.5.5"
profile = "dev"
[[factor]]
name = "unread"
[factor.levels]
on = {}
off = { NOBODY_READS_THIS = "1" }
[[workload]]
name = "plain"
args = ["here.txt"]
response = "cpu"
"#;
    let bench = Bench::new(text);
    std::fs::write(bench.path("here.txt"), "found\n").expect("writes");
    let said = bench.ablate(&["run", "study.toml", "--out", "out", "--blocks", "1"]);
    if said.err.contains("cannot fetch") || said.err.contains("failed to download") {
        eprintln!("skipped: the registry cannot be reached:\n{}", said.err);
        return;
    }
    assert_eq!(said.code, 0, "{said:?}");
    assert!(bench.runs().iter().all(|record| record["status"] == "ok"), "{:#?}", bench.troubles());
    let facts = &bench.manifest()["machine"]["facts"];
    assert_eq!((&facts["package"], &facts["commit"]), (&"b3sum 1.5.5".into(), &serde_json::Value::Null));
}
