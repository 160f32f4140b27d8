//! Screenings by the real binary, of a script whose values are known, so that nothing depends on how fast a machine is.

use crate::common::{Bench, Said};
use serde_json::Value;

/// A script with ten switches, `F1` to `F10`. `%COST%` is what they do to `x`, `%FIRST%` what happens before.
const SCRIPT: &str = r#"
study = "ten"
seed = 1
blocks = 6
arms = ["env"]
design = ["leave-one-out"]
counting_repeats = 0
[subject]
command = ["sh", "-c", """
%FIRST%
x=1000
%COST%
levels=
counters=
for i in 1 2 3 4 5 6 7 8 9 10; do
  eval v=\\$F$i
  levels="$levels,\\"f$i\\":\\"${v:-on}\\""
  counters="$counters,\\"f$i\\":{\\"seen\\":$([ -n "$v" ] && echo 0 || echo 1)}"
done
echo "{\\"format\\":2,\\"operations\\":1,\\"levels\\":{${levels#,}},\\"counters\\":{${counters#,}},\\"checksum\\":\\"1\\",\\"latency_over\\":\\"operations\\",\\"samples\\":1,\\"latency_ns_p10\\":$x,\\"latency_ns_p50\\":$x,\\"latency_ns_p99\\":$x,\\"latency_ns_mean\\":$x}"
"""]
%FACTORS%
[[workload]]
name = "plain"
args = []
response = "p10"
"#;

/// `f3` and `f8` cost something, and more together.
const TWO_AND_BOTH: &str = r#"
[ -n "$F3" ] || x=$((x+60))
[ -n "$F8" ] || x=$((x+40))
[ -n "$F3$F8" ] || x=$((x+50))
"#;

/// `f2` and `f9` cost something when both are on or both are off, so that neither has a main effect.
const HIDDEN: &str = r#"case "${F2:-on} ${F9:-on}" in "on on" | "off off") x=$((x+100));; esac"#;

fn ten_factors() -> String {
    let factor = |i| {
        format!(
            "[[factor]]\nname = \"f{i}\"\nproof = [\"f{i}.seen\"]\n[factor.levels]\non = {{}}\noff = {{ F{i} = \"off\" }}\n"
        )
    };
    (1..=10).map(factor).collect()
}

fn bench(cost: &str, first: &str, factors: &str) -> Bench {
    Bench::new(&SCRIPT.replace("%COST%", cost).replace("%FIRST%", first).replace("%FACTORS%", factors))
}

fn screen(bench: &Bench, more: &[&str]) -> Said {
    bench.ablate(&[&["screen", "study.toml", "--out", "out"], more].concat())
}

fn result(bench: &Bench) -> Value {
    let text = std::fs::read_to_string(bench.path("out/screening.json")).expect("there is a result");
    serde_json::from_str(&text).expect("is JSON")
}

/// The factors of the claims that were made.
fn found(result: &Value) -> Vec<String> {
    let effects = result["clean"]["effects"].as_array().expect("the clean stage has effects");
    let name = |effect: &Value| -> String {
        let factors = effect["factors"].as_array().expect("a list").iter();
        factors.filter_map(Value::as_str).collect::<Vec<_>>().join("×")
    };
    effects.iter().filter(|effect| effect["found"] == true).map(name).collect()
}

#[test]
fn two_of_ten_factors_and_their_interaction_are_found_and_nothing_else() {
    let bench = bench(TWO_AND_BOTH, "", &ten_factors());
    let said = screen(&bench, &[]);
    assert_eq!(said.code, 0, "{said:#?}");
    assert!(
        said.out.starts_with("2 of 10 factors are told apart from 0 (f3, f8); 1 interaction is found (f3×f8)"),
        "{said:#?}"
    );
    let all = result(&bench);
    assert_eq!(found(&all), ["f3", "f8", "f3×f8"]);
    // Exact: 60 + 50/2 and 40 + 50/2 of 1,150, and 50.
    let percent: Vec<f64> =
        all["clean"]["effects"].as_array().expect("a list").iter().filter_map(|e| e["percent"].as_f64()).collect();
    for (found, expected) in percent.iter().zip([8500.0, 6500.0, 5000.0]) {
        assert!((found - expected / 1150.0).abs() < 1e-6, "{percent:?}");
    }
    let dropped = all["screen"]["factors"].as_array().expect("a list").iter().filter(|f| f["why"] == "negligible");
    assert_eq!((dropped.count(), &all["screen"]["cells"], &all["screen"]["blocks"]), (8, &24.into(), &2.into()));
    // Every stage has its reports, and where a study is asked for its folder is named.
    for file in ["report.html", "report.md", "effects.json"] {
        assert!(["out/screen", "out/clean"].iter().all(|stage| bench.path(stage).join(file).is_file()), "{file}");
    }
    for words in [&["export", "out", "--format", "csv"][..], &["history", "out"], &["compare", "out", "out/screen"]] {
        let said = bench.ablate(words);
        said.complains(&["out is a screening", "give out/clean"]);
        assert_ne!(said.code, 0, "{said:#?}");
    }
    let refused = bench.ablate(&["report", "out", "--workload", "plain"]);
    refused.complains(&["leave --workload out", "out/clean"]);
    assert_eq!(refused.code, 2);
    // Each stage is a study of its own, and a report of the folder says the same again.
    for stage in ["out/screen", "out/clean"] {
        assert_eq!(bench.ablate(&["report", stage]).code, 0, "{stage}");
    }
    let again = bench.ablate(&["report", "out"]);
    assert_eq!((again.code, &again.out), (0, &said.out));
    assert_eq!(result(&bench), all);
    let json = bench.ablate(&["report", "out", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&json.out).expect("is JSON"), all);
    // Nothing is overwritten.
    let said = screen(&bench, &[]);
    said.complains(&["out is not empty", "--resume"]);
    assert_eq!((said.code, result(&bench)), (2, all));
}

#[test]
fn an_interaction_without_main_effects_is_found_by_the_half_sums() {
    let bench = bench(HIDDEN, "", &ten_factors());
    let said = screen(&bench, &["--ratios"]);
    assert_eq!(said.code, 0, "{said:#?}");
    let all = result(&bench);
    assert_eq!(found(&all), ["f2×f9"], "{said:#?}");
    assert!(said.unwrapped().contains("suspected: f2×f9 (kept for the clean stage)"), "{said:#?}");
}

#[test]
fn a_screening_without_any_effect_ends_with_its_screen() {
    let bench = bench("", "", &ten_factors());
    let said = screen(&bench, &["--margin", "0.5"]);
    assert_eq!(said.code, 0, "{said:#?}");
    assert!(said.out.starts_with("None of 10 factors costs or saves 0.500 % or more"), "{said:#?}");
    assert!(!bench.path("out/clean").exists() && result(&bench)["clean"].is_null());
}

/// The ten factors without their counters.
fn unproven_factors() -> String {
    ten_factors().lines().filter(|line| !line.starts_with("proof = ")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn a_cost_of_a_switch_that_nothing_proves_is_not_claimed() {
    let bench = bench(TWO_AND_BOTH, "", &unproven_factors());
    let said = screen(&bench, &[]);
    let (all, text) = (result(&bench), said.unwrapped());
    assert!(said.code == 0 && found(&all).is_empty(), "{said:#?}");
    assert!(text.starts_with("0 of 10 factors are told apart from 0; 2 factors are unproven (f3, f8); "), "{said:#?}");
    assert!(text.contains("no cost of these switches is claimed; to prove f3: proof = [\"f3.COUNTER\"]"), "{said:#?}");
    assert_eq!(
        (&all["clean"]["effects"][0]["proof"], &all["screen"]["factors"][0]["proof"]),
        (&"unproven".into(), &"reported".into())
    );
}

#[test]
fn every_switch_of_a_fraction_has_a_cell_that_proves_it() {
    let cost = "for v in \"$F1\" \"$F2\" \"$F3\" \"$F4\" \"$F5\" \"$F6\"; do [ -n \"$v\" ] || x=$((x+50)); done";
    for (factors, beside) in [(ten_factors(), 0), (unproven_factors(), 6)] {
        let bench = bench(cost, "", &factors);
        let said = screen(&bench, &[]);
        let (all, text) = (result(&bench), said.unwrapped());
        assert_eq!((said.code, &all["clean"]["cells"]), (0, &32.into()), "{said:#?}");
        assert_eq!(all["clean"]["processes"], (32 + beside) * 6, "{said:#?}");
        let told =
            if beside == 0 { "6 of 10 factors are told apart from 0 (f1, " } else { "0 of 10 factors are told apart" };
        assert!(text.starts_with(told), "{said:#?}");
    }
}

/// The script kills the runner once, when this is true.
fn killing(when: &str) -> String {
    format!("if [ -e kill ] && {when}; then rm kill; kill -9 $PPID; exit 1; fi")
}

#[test]
fn a_screening_that_was_killed_is_preliminary_and_goes_on_in_every_stage() {
    let after = |stage: &str, lines: u32| {
        format!("[ -e out/{stage}/records.jsonl ] && [ $(wc -l < out/{stage}/records.jsonl) -gt {lines} ]")
    };
    // A block of the screen has 25 records, and one of the clean stage 5.
    for (when, so_far) in [
        ("[ -d out/clean ]", "the clean stage has no complete block so far"),
        (&after("screen", 30), "the screen has no look so far"),
        (&after("clean", 12), "2 of 6 blocks of the clean stage are complete"),
    ] {
        let bench = bench(TWO_AND_BOTH, &killing(when), &ten_factors());
        std::fs::write(bench.path("kill"), "").expect("writes");
        let said = screen(&bench, &["--margin", "2"]);
        assert_eq!(said.code, -1, "{when}: {said:#?}");
        let before = std::fs::read_to_string(bench.path("out/screen/records.jsonl")).expect("there are records");
        // What can be said already is said, and that it is not all.
        let report = bench.ablate(&["report", "out"]);
        report.complains(&[&format!("{so_far}, so every interval is preliminary")]);
        let is_preliminary = report.out.starts_with("Preliminary (") || report.out.starts_with("Not known yet: ");
        assert!(report.code == 1 && is_preliminary, "{when}: {report:#?}");
        let clean = &result(&bench)["clean"];
        if when.contains("clean/") {
            assert_eq!((&clean["blocks"], &clean["planned_blocks"]), (&2.into(), &6.into()));
        }
        let said = screen(&bench, &["--resume"]);
        assert_eq!(said.code, 0, "{when}: {said:#?}");
        let all = result(&bench);
        assert_eq!(
            (found(&all), &all["asked"]["margin_percent"]),
            (vec!["f3".into(), "f8".into(), "f3×f8".into()], &2.0.into())
        );
        let after = std::fs::read_to_string(bench.path("out/screen/records.jsonl")).expect("there are records");
        assert!(after.starts_with(&before) && after.lines().count() == 2 * 25, "{when}: {}", after.lines().count());
        // Once more there is nothing to do, and nothing changes.
        assert_eq!((screen(&bench, &["--resume"]).code, result(&bench)), (0, all), "{when}");
    }
}

#[test]
fn what_cannot_be_screened_is_refused_before_anything_runs() {
    let refused = |factors: &str, more: &[&str], parts: &[&str]| {
        let bench = bench("", "", factors);
        let said = screen(&bench, more);
        said.complains(parts);
        assert_eq!((said.code, bench.path("out").exists()), (2, false), "{said:#?}");
    };
    let ten = ten_factors();
    refused("", &[], &["a screening is for 2 to 200 factors, and there is none", "add [[factor]]"]);
    refused(&ten, &["--factor", "f3"], &["--factor leaves one", "name more"]);
    refused(&ten, &["--factor", "f33"], &["has no factor `f33`", "did you mean `f3`"]);
    refused(&ten, &["--margin", "0"], &["write a percentage above 0 and below 100"]);
    refused(&ten, &["--margin", "nan"], &["write a percentage above 0 and below 100"]);
    refused(&ten, &["--screen-blocks", "1"], &["from 2 to 10000"]);
    refused(&ten, &["--workload", "plane"], &["has no workload `plane`", "plain"]);
    refused(&ten, &["--resume"], &["holds no screening", "leave --resume out"]);
    let three = format!(
        "{ten}[[factor]]\nname = \"mode\"\nbaseline = \"a\"\n[factor.levels]\na = {{}}\nb = {{ M = \"b\" }}\nc = {{ M = \"c\" }}\n"
    );
    refused(&three, &[], &["factor `mode` has the levels a, b, c, and none of them is `off`", "--factor"]);
    let forbidden = format!("{ten}[[constraint]]\nwhen = {{ f1 = \"off\" }}\nneeds = {{ f2 = [\"on\"] }}\n");
    refused(
        &forbidden,
        &[],
        &["of the cells of the screen cannot run", "f1 off needs f2 on", "name the others with --factor"],
    );
    // Without one of the two nothing is forbidden.
    let bench = bench(TWO_AND_BOTH, "", &forbidden);
    assert_eq!(screen(&bench, &["--factor", "f3", "--factor", "f8", "--factor", "f2"]).code, 0);
    assert_eq!(found(&result(&bench)), ["f3", "f8", "f3×f8"]);
    // What was asked for stays as it is.
    assert_eq!(screen(&bench, &["--resume"]).code, 0, "the folder has the factors");
    let said = screen(&bench, &["--resume", "--factor", "f3", "--factor", "f8"]);
    said.complains(&["was started with the factors f2, f3, f8, and this call has f3, f8"]);
    let said = screen(&bench, &["--resume", "--factor", "f3", "--factor", "f8", "--factor", "f2", "--margin", "3"]);
    said.complains(&["was started with --margin 1, and this call has 3"]);
    assert_eq!(said.code, 2);
    // The file of another screening would give effects other names.
    let mut other = result(&bench);
    for factors in [&["f2", "f8", "f3"][..], &["f2", "f3", "f8", "f9"]] {
        other["asked"]["factors"] = factors.into();
        std::fs::write(bench.path("out/screening.json"), other.to_string()).expect("writes");
        let said = bench.ablate(&["report", "out"]);
        said.complains(&["out/screen: its manifest has the factors f2, f3, f8, and screening.json", "two screenings"]);
        assert_eq!(said.code, 2, "{said:#?}");
    }
}

#[test]
fn a_run_that_fails_is_left_out_and_told() {
    let once = "if [ -e fail ] && [ -e out/screen/records.jsonl ]; then rm fail; exit 3; fi";
    let bench = bench(TWO_AND_BOTH, once, &ten_factors());
    std::fs::write(bench.path("fail"), "").expect("writes");
    let said = screen(&bench, &[]);
    assert_eq!((said.code, &result(&bench)["screen"]["unproven"]), (1, &1.into()), "{said:#?}");
    assert!(
        said.unwrapped().contains("1 run is left out, failed or invalid: cargo ablate report out/screen"),
        "{said:#?}"
    );
    assert_eq!(found(&result(&bench)), ["f3", "f8", "f3×f8"]);
}

#[test]
fn a_cell_that_always_fails_is_named() {
    let bench = bench("[ -n \"$F4\" ] && exit 3", "", &ten_factors());
    let said = screen(&bench, &[]);
    said.complains(&["has no proven run with workload plain", "--factor"]);
    assert_eq!(said.code, 1, "{said:#?}");
}
