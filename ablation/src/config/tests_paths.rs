//! Paths, and treatments that come after one another, as people get them wrong.

use super::tests::{GOOD, assert_says, parsed, planted};
use ablate_format::Goal;
use std::collections::BTreeMap;

/// What [`GOOD`] has, and a path through its treatments.
const PATH: &str = r#"
[[treatment]]
name = "all-off"
after = "frozen"
levels = { red = "off" }
[[path]]
name = "down"
about = "one after the other"
peer = "other"
steps = ["baseline", "frozen", "all-off"]
[[path.goal]]
name = "Phase 7"
high_percent = 40
[[path.goal]]
name = "below it"
high_percent = -0.5
"#;

fn text() -> String {
    format!("{GOOD}{PATH}")
}

#[track_caller]
fn check(from: &str, to: &str, parts: &[&str]) {
    let study = parsed(&planted(&text(), from, to));
    assert_says(&study.and_then(|study| crate::design::resolve(&study)).expect_err(to), parts);
}

#[test]
fn a_path_is_read_and_its_steps_have_cells() {
    let study = parsed(&text()).expect("good");
    let path = &study.paths[0];
    assert_eq!((path.peer.as_str(), path.workloads.join(" ")), ("other", "small large".to_owned()));
    assert_eq!(path.goals[1], Goal { name: "below it".into(), high_percent: -0.5 });
    let plan = crate::design::resolve(&study).expect("a good design").plan;
    assert_eq!(plan.paths, study.paths);
    let ids: Vec<&str> = path.steps.iter().map(|step| plan.step(step).expect("has a cell").id.as_str()).collect();
    assert_eq!(ids, ["baseline", "frozen@env", "all-off@env"]);
    let again: ablate_format::Path =
        serde_json::from_str(&serde_json::to_string(path).expect("is text")).expect("is a path");
    assert_eq!(again, *path);
}

#[test]
fn a_treatment_has_the_levels_of_the_one_that_it_comes_after() {
    let study = parsed(&text()).expect("good");
    let levels = &study.treatments.iter().find(|t| t.name == "all-off").expect("is there").levels;
    let expected = [("blue", "frozen"), ("red", "off")].map(|(f, l)| (f.to_owned(), l.to_owned()));
    assert_eq!(*levels, BTreeMap::from(expected));
    // The baseline's level takes one away again.
    let text =
        text().replace("levels = { red = \"off\" }\n[[path]]", "levels = { red = \"off\", blue = \"on\" }\n[[path]]");
    let study = parsed(&text).expect("good");
    assert_eq!(study.treatments[2].levels, BTreeMap::from([("red".to_owned(), "off".to_owned())]));
}

#[test]
fn contradictions_of_treatments_that_come_after_others_are_pointed_at() {
    check("after = \"frozen\"", "after = \"frosen\"", &["unknown treatment `frosen`", "did you mean `frozen`"]);
    check("after = \"frozen\"", "after = \"all-off\"", &["`all-off` would come after itself"]);
    check("after = \"frozen\"", "after = \"baseline\"", &["comes after the baseline; remove `after`"]);
    let last = "name = \"late\"\nlevels = { red = \"off\", blue = \"frozen\" }\n[[path]]\nname = \"down\"";
    check("after = \"frozen\"", "after = \"late\"", &["unknown treatment `late`"]);
    let later = format!("[[treatment]]\n{last}");
    let text = text().replace("after = \"frozen\"", "after = \"late\"").replace("[[path]]\nname = \"down\"", &later);
    assert!(
        parsed(&text)
            .expect_err("below")
            .to_string()
            .contains("`late` is not defined above this treatment; move it there")
    );
    let ring = text.replace("name = \"late\"", "name = \"late\"\nafter = \"all-off\"");
    assert!(parsed(&ring).expect_err("a ring").to_string().contains("`all-off` would come after itself"));
    check("levels = { red = \"off\" }", "levels = { blue = \"frozen\" }", &["`blue` is `frozen` already by `after`"]);
    check("levels = { red = \"off\" }", "levels = {}", &["the same levels as `frozen`"]);
    check("levels = { red = \"off\" }", "levels = { blue = \"on\" }", &["the same as the baseline"]);
    check(
        "after = \"frozen\"\nlevels = { red = \"off\" }",
        "after = \"frozen\"\nlevels = { blue = \"off\", red = \"off\" }",
        &["the same levels as `minimal`"],
    );
}

#[test]
fn contradictions_of_paths_are_pointed_at() {
    check("\"frozen\", \"all-off\"]", "\"frosen\"]", &["unknown step `frosen`", "did you mean `frozen`"]);
    check("\"frozen\", \"all-off\"]", "\"frozen\", \"frozen\"]", &["the step `frozen` is there twice"]);
    check("\"frozen\", \"all-off\"]", "]", &["one step goes nowhere"]);
    check("[\"baseline\", \"frozen\"", "[\"frozen\", \"baseline\"", &["put it first"]);
    check("\"frozen\", \"all-off\"]", "\"all-off\", \"frozen\"]", &["`all-off` has all levels of `frozen` already"]);
    check("high_percent = 40", "high_percent = \"40\"", &["a number without quotes"]);
    check("name = \"below it\"", "name = \"a\\nb\"", &["in one line"]);
    check("[[path]]", "[path]", &["[[NAME]]"]);
    check("\npeer = \"other\"", "\npeer = \"othr\"", &["unknown peer `othr`", "did you mean `other`"]);
    check("\npeer = \"other\"", "\npeer = \"other\"\nworkloads = [\"smal\"]", &["unknown workload `smal`"]);
    check("\npeer = \"other\"", "\npeer = \"other\"\nworkloads = []", &["the list is empty"]);
    check(
        "served_by = \"other\"",
        "served_by = \"other\"\nworkloads = [\"small\"]",
        &["peer `other` does not run with `large`", "name other `workloads`"],
    );
    check("response = \"mean\"", "response = \"value:done_per_s\"", &["value:done_per_s, more is better"]);
    check("high_percent = 40", "high_percent = nan", &["this is no gap"]);
    check("high_percent = 40", "high_percent = -100", &["above −100"]);
    check("high_percent = 40", "low_percent = 40", &["unknown key `low_percent`"]);
    check("high_percent = 40\n", "", &["missing key `high_percent`"]);
    check("name = \"below it\"", "name = \"Phase 7\"", &["the goal `Phase 7` is there twice"]);
    check("name = \"below it\"", "name = \" \"", &["the goal has no name"]);
    check("name = \"down\"", "name = \"Down\"", &["no name for a path"]);
    check("\npeer = \"other\"", "\npear = \"other\"", &["unknown key `pear`"]);
    let twice = text() + &PATH[PATH.find("[[path]]").expect("is there")..];
    assert!(parsed(&twice).expect_err("twice").to_string().contains("the path `down` is there twice"));
}

#[test]
fn a_step_is_in_one_binary_and_runs_with_every_workload() {
    check("arms = [\"env\", \"feature\"]", "arms = [\"feature\"]", &["env arm only"]);
    let by_feature = text().replace("arms = [\"env\", \"feature\"]", "arms = [\"feature\"]");
    let by_feature = by_feature.replace("levels = { blue = \"frozen\" }\n", "levels = { blue = \"off\" }\n");
    let by_feature = by_feature.replace("frozen = { BLUE = \"frozen\" }\n", "").replace("minimal", "red-away");
    let by_feature = by_feature.replace("levels = { red = \"off\", blue = \"off\" }", "levels = { red = \"off\" }");
    let study = parsed(&by_feature).expect("good but for the path");
    let error = crate::design::resolve(&study).expect_err("other binaries").to_string();
    assert!(error.contains("step `frozen` is not in the baseline's binary") && error.contains('^'), "{error}");
    check(
        "args = [\"--n\", \"10\"]",
        "args = [\"--n\", \"10\"]\ndesigns = [\"leave-one-out\"]",
        &["does not run with `small`", "add \"explicit\""],
    );
}

#[test]
fn paths_keep_the_workloads_that_stay() {
    let mut study = parsed(&text()).expect("good");
    assert_eq!(study.only(&["large".to_owned()]).expect("is there"), [] as [String; 0]);
    assert_eq!(study.paths[0].workloads, ["large"]);
    let narrow = text().replace("\npeer = \"other\"\n", "\npeer = \"other\"\nworkloads = [\"small\"]\n");
    let mut study = parsed(&narrow).expect("good");
    assert_eq!(study.only(&["large".to_owned()]).expect("is there"), ["down"]);
    assert!(study.paths.is_empty());
}
