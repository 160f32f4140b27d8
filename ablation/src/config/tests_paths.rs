//! Paths, and treatments that come after one another, as people get them wrong.

use super::tests::{GOOD, Messages, parsed, planted};
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
fn check(said: &mut Messages, from: &str, to: &str) {
    let study = parsed(&planted(&text(), from, to));
    said.add(&study.and_then(|study| crate::design::resolve(&study)).expect_err(to));
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
    let mut said = Messages::default();
    check(&mut said, "after = \"frozen\"", "after = \"frosen\"");
    check(&mut said, "after = \"frozen\"", "after = \"all-off\"");
    check(&mut said, "after = \"frozen\"", "after = \"baseline\"");
    let last = "name = \"late\"\nlevels = { red = \"off\", blue = \"frozen\" }\n[[path]]\nname = \"down\"";
    check(&mut said, "after = \"frozen\"", "after = \"late\"");
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
    check(&mut said, "levels = { red = \"off\" }", "levels = { blue = \"frozen\" }");
    check(&mut said, "levels = { red = \"off\" }", "levels = {}");
    check(&mut said, "levels = { red = \"off\" }", "levels = { blue = \"on\" }");
    check(
        &mut said,
        "after = \"frozen\"\nlevels = { red = \"off\" }",
        "after = \"frozen\"\nlevels = { blue = \"off\", red = \"off\" }",
    );
    insta::assert_snapshot!(said);
}

#[test]
fn contradictions_of_paths_are_pointed_at() {
    let mut said = Messages::default();
    check(&mut said, "\"frozen\", \"all-off\"]", "\"frosen\"]");
    check(&mut said, "\"frozen\", \"all-off\"]", "\"frozen\", \"frozen\"]");
    check(&mut said, "\"frozen\", \"all-off\"]", "]");
    check(&mut said, "[\"baseline\", \"frozen\"", "[\"frozen\", \"baseline\"");
    check(&mut said, "\"frozen\", \"all-off\"]", "\"all-off\", \"frozen\"]");
    check(&mut said, "high_percent = 40", "high_percent = \"40\"");
    check(&mut said, "name = \"below it\"", "name = \"a\\nb\"");
    check(&mut said, "[[path]]", "[path]");
    check(&mut said, "\npeer = \"other\"", "\npeer = \"othr\"");
    check(&mut said, "\npeer = \"other\"", "\npeer = \"other\"\nworkloads = [\"smal\"]");
    check(&mut said, "\npeer = \"other\"", "\npeer = \"other\"\nworkloads = []");
    check(&mut said, "served_by = \"other\"", "served_by = \"other\"\nworkloads = [\"small\"]");
    check(&mut said, "response = \"mean\"", "response = \"value:done_per_s\"");
    check(&mut said, "high_percent = 40", "high_percent = nan");
    check(&mut said, "high_percent = 40", "high_percent = -100");
    check(&mut said, "high_percent = 40", "low_percent = 40");
    check(&mut said, "high_percent = 40\n", "");
    check(&mut said, "name = \"below it\"", "name = \"Phase 7\"");
    check(&mut said, "name = \"below it\"", "name = \" \"");
    check(&mut said, "name = \"down\"", "name = \"Down\"");
    check(&mut said, "\npeer = \"other\"", "\npear = \"other\"");
    let twice = text() + &PATH[PATH.find("[[path]]").expect("is there")..];
    assert!(parsed(&twice).expect_err("twice").to_string().contains("the path `down` is listed twice"));
    insta::assert_snapshot!(said);
}

#[test]
fn a_step_is_in_one_binary_and_runs_with_every_workload() {
    let mut said = Messages::default();
    check(&mut said, "arms = [\"env\", \"feature\"]", "arms = [\"feature\"]");
    let by_feature = text().replace("arms = [\"env\", \"feature\"]", "arms = [\"feature\"]");
    let by_feature = by_feature.replace("levels = { blue = \"frozen\" }\n", "levels = { blue = \"off\" }\n");
    let by_feature = by_feature.replace("frozen = { BLUE = \"frozen\" }\n", "").replace("minimal", "red-away");
    let by_feature = by_feature.replace("levels = { red = \"off\", blue = \"off\" }", "levels = { red = \"off\" }");
    let study = parsed(&by_feature).expect("good but for the path");
    let error = crate::design::resolve(&study).expect_err("other binaries").to_string();
    assert!(error.contains("step `frozen` is not in the baseline's binary") && error.contains('^'), "{error}");
    check(&mut said, "args = [\"--n\", \"10\"]", "args = [\"--n\", \"10\"]\ndesigns = [\"leave-one-out\"]");
    insta::assert_snapshot!(said);
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
