//! Results side by side, over time, and for other tools: studies of a script that takes what it says.

use crate::common::{Bench, Said};
use serde_json::Value;

/// A script with one factor, and two peers that never change.
const STEPS: &str = r#"
study = "steps"
seed = 1
blocks = 6
counting_repeats = 0
arms = ["env"]
design = ["leave-one-out"]
[subject]
command = ["sh", "subject.sh"]
served_by = "subject"
[[factor]]
name = "cache"
proof = ["cache.hits"]
[factor.levels]
on = {}
off = { NO_CACHE = "1" }
[[workload]]
name = "plain"
args = ["200"]
response = "p10"
[[peer]]
name = "one"
command = ["sh", "one.sh"]
served_by = "one"
[[peer]]
name = "two"
command = ["sh", "two.sh"]
served_by = "two"
"#;

/// A script that says that an operation took `$ns`, and `more`.
fn script(name: &str, ns: &str, more: &str) -> String {
    format!(
        "{ns}\necho '{{\"format\":2,\"operations\":200,\"served_by\":\"{name}\",\"checksum\":\"ab\",\"latency_over\":\
         \"operations\",\"samples\":200,\"latency_ns_p10\":'$ns',\"latency_ns_p50\":'$ns',\"latency_ns_p99\":'$ns',\
         \"latency_ns_mean\":'$ns'{more}}}'\n"
    )
}

/// The study with its peers; the subject takes so long, and so much less without its factor.
fn bench(takes: u32) -> Bench {
    let bench = Bench::new(STEPS);
    for (name, ns) in [("one", "ns=50"), ("two", "ns=300")] {
        std::fs::write(bench.path(&format!("{name}.sh")), script(name, ns, "")).expect("writes the peer");
    }
    takes_now(&bench, takes);
    bench
}

fn takes_now(bench: &Bench, takes: u32) {
    let ns = format!("ns={takes} level=on hits=9\n[ -n \"$NO_CACHE\" ] && ns=80 level=off hits=0");
    let proof = r#","levels":{"cache":"'$level'"},"counters":{"cache":{"hits":'$hits'}}"#;
    std::fs::write(bench.path("subject.sh"), script("subject", &ns, proof)).expect("writes the subject");
}

/// Runs the study into a folder.
fn run(bench: &Bench, out: &str) {
    let said = bench.ablate(&["run", "study.toml", "--out", out]);
    assert_eq!(said.code, 0, "{said:#?}");
}

/// What a command prints as JSON, with this exit code.
#[track_caller]
fn json(said: &Said, code: i32) -> Value {
    assert_eq!(said.code, code, "{said:#?}");
    serde_json::from_str(&said.out).expect("is JSON")
}

fn row<'v>(comparison: &'v Value, name: &str) -> &'v Value {
    let rows = comparison["comparisons"][0]["rows"].as_array().expect("a list");
    rows.iter().find(|row| row["name"] == name).expect("is a row")
}

#[test]
fn results_are_compared_side_by_side() {
    let bench = bench(100);
    run(&bench, "a");
    run(&bench, "same");
    takes_now(&bench, 120);
    run(&bench, "slower");
    let same = json(&bench.ablate(&["compare", "a", "same", "--json"]), 0);
    for name in ["baseline", "cache", "peer-one"] {
        assert_eq!(row(&same, name)["verdict"], "same-binary", "{same:#}");
    }
    let slower = json(&bench.ablate(&["compare", "a", "slower", "--json", "--html", "c.html"]), 0);
    let baseline = row(&slower, "baseline");
    assert_eq!((&baseline["verdict"], &baseline["ratio"]["blocks"]), (&"worse".into(), &6.into()), "{slower:#}");
    assert!((baseline["difference"]["value"].as_f64().expect("a number") - 20.0).abs() < 1e-9, "{baseline:#}");
    assert_eq!(row(&slower, "cache")["verdict"], "worse", "what the factor costs rose from 20 to 40");
    assert_eq!(row(&slower, "peer-two")["verdict"], "same-binary");
    assert_eq!(slower["comparisons"][0]["sessions"][0]["controls"], 2, "{slower:#}");
    let page = std::fs::read_to_string(bench.path("c.html")).expect("is written");
    assert!(page.contains("<svg") && page.contains("3 worse and 0 better of 3 rows"), "{page}");
    let said = bench.ablate(&["compare", "a", "slower", "--markdown", "c.md"]);
    assert!(said.code == 0 && said.out.contains("3 worse and 0 better of 3 rows"), "{said:#?}");
    assert!(std::fs::read_to_string(bench.path("c.md")).expect("is written").contains("| plain"));
    // Three folders: each against the first.
    let three = json(&bench.ablate(&["compare", "a", "same", "slower", "--json"]), 0);
    assert_eq!(three["comparisons"].as_array().map(Vec::len), Some(2));
}

#[test]
fn what_cannot_be_compared_says_why() {
    let bench = bench(100);
    run(&bench, "a");
    std::fs::write(bench.path("study.toml"), STEPS.replace("\"200\"", "\"201\"")).expect("writes the study");
    run(&bench, "other-work");
    let said = bench.ablate(&["compare", "a", "other-work", "--json"]);
    let refused = json(&said, 1);
    assert_eq!(row(&refused, "baseline")["verdict"], "refused");
    let reason = row(&refused, "cache")["reason"].as_str().expect("a reason");
    assert!(reason.contains("arguments of workload `plain` changed: `200` → `201`"), "{reason}");
    said.complains(&["no row of a folder could be compared"]);
    std::fs::create_dir(bench.path("damaged")).expect("makes a folder");
    std::fs::write(bench.path("damaged/manifest.json"), "{\"format\": 2,").expect("writes");
    for (dirs, code, part) in [
        (&["a", "damaged"][..], 2, "manifest.json is damaged"),
        (&["a", "missing"], 2, "missing holds no study"),
        (&["a", "study.toml"], 2, "study.toml is not a folder of a study"),
        (&["a"], 2, "2 values required"),
        (&["a", "./a"], 2, "is named twice"),
    ] {
        let said = bench.ablate(&[&["compare"], dirs].concat());
        assert_eq!(said.code, code, "{said:#?}");
        said.complains(&[part]);
    }
}

#[test]
fn an_archived_result_without_records_is_compared_by_its_effects() {
    let bench = bench(100);
    run(&bench, "a");
    let said = bench.ablate(&["archive", "a", "--to", "kept"]);
    assert_eq!(said.code, 0, "{said:#?}");
    std::fs::remove_file(bench.path("kept/steps/records.jsonl")).expect("has records");
    takes_now(&bench, 120);
    run(&bench, "slower");
    let said = bench.ablate(&["compare", "kept/steps", "slower", "--json"]);
    let slower = json(&said, 0);
    let baseline = row(&slower, "baseline");
    assert_eq!(baseline["verdict"], "worse", "{slower:#}");
    assert!((baseline["difference"]["value"].as_f64().expect("a number") - 20.0).abs() < 1e-9, "{baseline:#}");
    assert!(said.out.contains("has no records, so values and intervals are those of its effects.json"), "{said:#?}");
    // Its own files are what is exported.
    let effects = std::fs::read_to_string(bench.path("kept/steps/effects.json")).expect("is there");
    assert_eq!(bench.ablate(&["export", "kept/steps", "--format", "json"]).out, effects);
    let report = std::fs::read_to_string(bench.path("kept/steps/report.md")).expect("is there");
    assert_eq!(bench.ablate(&["export", "kept/steps", "--format", "markdown"]).out, report);
}

#[test]
fn results_are_exported_for_other_tools() {
    let bench = bench(100);
    run(&bench, "a");
    let export = |format: &str| {
        let said = bench.ablate(&["export", "a", "--format", format]);
        assert_eq!(said.code, 0, "{said:#?}");
        let again = bench.ablate(&["export", "a", "--format", format, "--out", "x"]);
        assert_eq!((again.code, again.out.as_str()), (0, ""), "{again:#?}");
        assert_eq!(std::fs::read_to_string(bench.path("x")).expect("is written"), said.out, "{format}");
        said.out
    };
    let csv = export("csv");
    assert!(csv.contains("plain,cell,baseline,,,,latency_ns_p10,ns/op,100,100,100,6,ok,\n"), "{csv}");
    assert!(csv.contains("plain,effect,cache,env,on-off,off,latency_ns_p10,ns/op,20,20,20,6,"), "{csv}");
    let bencher: Value = serde_json::from_str(&export("bencher")).expect("is JSON");
    assert_eq!(bencher["plain/baseline"]["latency"]["upper_value"], 100.0, "{bencher:#}");
    let action: Value = serde_json::from_str(&export("github-action-benchmark")).expect("is JSON");
    assert_eq!((&action[0]["name"], &action[0]["value"]), (&"plain/baseline".into(), &100.0.into()), "{action:#}");
    let metrics = export("openmetrics");
    assert!(metrics.ends_with("# EOF\n") && metrics.contains("response=\"latency_ns_p10\"} 1e-7\n"), "{metrics}");
    assert_eq!(export("json"), std::fs::read_to_string(bench.path("a/effects.json")).expect("is there"));
    assert_eq!(export("markdown"), std::fs::read_to_string(bench.path("a/report.md")).expect("is there"));
    let said = bench.ablate(&["export", "a", "--format", "xml"]);
    assert_eq!(said.code, 2, "{said:#?}");
    let said = bench.ablate(&["export", "a", "--format", "csv", "--out", "no/such/folder/x"]);
    assert_eq!(said.code, 2, "{said:#?}");
    said.complains(&["no/such/folder/x: its folder no/such/folder does not exist"]);
}

/// A file of 24 results whose baseline takes what `takes` says, made of the line of a real one.
fn kept(bench: &Bench, takes: impl Fn(u32) -> f64) {
    let said = bench.ablate(&["history", "--file", "one.jsonl", "--add", "a"]);
    assert_eq!(said.code, 0, "{said:#?}");
    let line = std::fs::read_to_string(bench.path("one.jsonl")).expect("is written");
    let one: Value = serde_json::from_str(&line).expect("is one line of JSON");
    let lines = (0..24_u32).map(|at| {
        let mut next = one.clone();
        (next["time"], next["commit"]) = (Value::from(1_700_000_000 + 86_400 * at), Value::from(format!("{at:040x}")));
        for row in next["rows"].as_array_mut().expect("a list").iter_mut().filter(|row| row["name"] == "baseline") {
            // A noise that every machine computes alike.
            let value = takes(at) + f64::from(at * 7 % 5) / 4.0 - 0.5;
            (row["value"], row["low"], row["high"]) = (value.into(), (value - 1.0).into(), (value + 1.0).into());
        }
        format!("{next}\n")
    });
    std::fs::write(bench.path("many.jsonl"), lines.collect::<String>()).expect("writes the file");
}

fn baseline(history: &Value) -> &Value {
    let series = history["series"].as_array().expect("a list");
    series.iter().find(|series| series["name"] == "baseline").expect("is a series")
}

#[test]
fn a_step_over_time_is_found_and_its_absence_too() {
    let bench = bench(100);
    run(&bench, "a");
    kept(&bench, |at| if at < 14 { 100.0 } else { 110.0 });
    let stepped = json(&bench.ablate(&["history", "--file", "many.jsonl", "--json", "--html", "h.html"]), 0);
    let changes = baseline(&stepped)["changes"].as_array().expect("a list");
    assert_eq!(changes.len(), 1, "{stepped:#}");
    let change = &changes[0];
    assert_eq!((&change["at"], &change["verdict"]), (&14.into(), &"worse".into()), "{change:#}");
    assert_eq!(change["commit_after"], format!("{:040x}", 14));
    assert!((change["difference"]["value"].as_f64().expect("a number") - 10.0).abs() < 0.5, "{change:#}");
    let page = std::fs::read_to_string(bench.path("h.html")).expect("is written");
    assert!(page.contains("1 of 4 series changed") && page.matches("<svg").count() == 4, "{page}");
    let said = bench.ablate(&["history", "--file", "many.jsonl", "--markdown", "h.md"]);
    assert!(said.code == 0 && said.unwrapped().contains("plain, baseline: worse by +10"), "{said:#?}");
    assert!(std::fs::read_to_string(bench.path("h.md")).expect("is written").contains("| plain"));
    kept(&bench, |_| 100.0);
    let even = json(&bench.ablate(&["history", "--file", "many.jsonl", "--json"]), 0);
    assert_eq!((&baseline(&even)["changes"], &baseline(&even)["searched"]), (&Value::Array(vec![]), &true.into()));
}

#[test]
fn a_result_is_added_once_and_a_damaged_line_is_told_by_its_number() {
    let bench = bench(100);
    run(&bench, "a");
    let add = || bench.ablate(&["history", "--file", "b.jsonl", "--add", "a"]);
    let first = add();
    assert_eq!(first.code, 0, "{first:#?}");
    first.complains(&["a is added to b.jsonl"]);
    let before = std::fs::read_to_string(bench.path("b.jsonl")).expect("is written");
    let again = add();
    again.complains(&["a is in b.jsonl already; nothing is added"]);
    assert_eq!((again.code, std::fs::read_to_string(bench.path("b.jsonl")).expect("is there")), (0, before.clone()));
    assert!(again.out.contains("1 result: too few to search for changes, which needs 12"), "{again:#?}");
    // A line is torn: it is named and kept, the others count, and what is added stands on a line of its own.
    std::fs::write(bench.path("b.jsonl"), format!("{before}{{\"format\":1,\"stu")).expect("writes");
    let damaged = bench.ablate(&["history", "--file", "b.jsonl"]);
    assert_eq!(damaged.code, 1, "{damaged:#?}");
    damaged.complains(&["b.jsonl:2: skipped: is no result"]);
    run(&bench, "later");
    // A run is known by its second, and two of these may be in one.
    let manifest = std::fs::read_to_string(bench.path("later/manifest.json")).expect("is there");
    let started = manifest.replacen("\"started_unix_s\": 1", "\"started_unix_s\": 2", 1);
    std::fs::write(bench.path("later/manifest.json"), started).expect("writes the manifest");
    let later = bench.ablate(&["history", "--file", "b.jsonl", "--add", "later"]);
    let text = std::fs::read_to_string(bench.path("b.jsonl")).expect("is there");
    assert!(later.code == 1 && text.lines().count() == 3 && text.starts_with(&before), "{later:#?}\n{text}");
    // Folders and a file together: what is in both counts once.
    let both = json(&bench.ablate(&["history", "a", "later", "--json"]), 0);
    assert_eq!(both["results"], 2);
    for (args, part) in [
        (&["history"][..], "required"),
        (&["history", "--add", "a"], "--file"),
        (&["history", "--file", "missing.jsonl"], "--add DIR` begins it"),
        (&["history", "no-folder"], "holds no study"),
        (&["history", "--file", "a/records.jsonl", "--add", "a"], "results are made from it"),
        (&["history", "--file", "b.jsonl", "--html", "./b.jsonl"], "keeps the results"),
        // A file that is still to be made, too.
        (&["history", "--file", "new.jsonl", "--add", "a", "--markdown", "./new.jsonl"], "keeps the results"),
    ] {
        let said = bench.ablate(args);
        assert_eq!(said.code, 2, "{said:#?}");
        said.complains(&[part]);
    }
}

#[test]
fn an_unfinished_study_is_not_kept_and_its_blocks_are_told() {
    let bench = bench(100);
    run(&bench, "a");
    run(&bench, "cut");
    let records = std::fs::read_to_string(bench.path("cut/records.jsonl")).expect("is there");
    let lines: Vec<&str> = records.lines().collect();
    // Seven runs and more are one block of four cells, and a part of the next.
    std::fs::write(bench.path("cut/records.jsonl"), format!("{}\n", lines[..7].join("\n"))).expect("writes");
    let said = bench.ablate(&["history", "--file", "h.jsonl", "--add", "cut"]);
    assert_eq!(said.code, 2, "{said:#?}");
    said.complains(&["cut is not finished", "--resume"]);
    assert!(!bench.path("h.jsonl").exists());
    let said = bench.ablate(&["compare", "a", "cut"]);
    assert!(said.unwrapped().contains("1 of 6 blocks"), "{said:#?}");
    for option in ["--html", "--markdown"] {
        let said = bench.ablate(&["compare", "a", "cut", option, "no-folder/x"]);
        assert_eq!(said.code, 2, "{said:#?}");
        said.complains(&["no-folder/x: its folder no-folder does not exist"]);
    }
}
