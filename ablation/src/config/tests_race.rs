//! Configs that race a subject with peers: with or without factors.

use super::tests::{check_in, parsed};

/// A race without a factor, with a peer of every kind.
pub(crate) const RACE: &str = r#"
study = "race"
seed = 7
blocks = 6
[subject]
package = "subject"
served_by = "subject"
[[workload]]
name = "small"
args = ["--n", "10"]
[[workload]]
name = "large"
args = ["--n", "1000"]
response = "p99"
[[workload]]
name = "memory"
args = ["--n", "1000"]
response = "rss-peak"
[[peer]]
name = "same-binary"
args = ["--as", "same"]
served_by = "same"
[[peer]]
name = "other-build"
features = ["other"]
served_by = "other"
[[peer]]
name = "preloaded"
env = { LD_PRELOAD = "libx.so.2" }
served_by = "x"
optional = true
hint = "apt-get install libx2"
[[peer]]
name = "floor"
command = ["floor"]
workloads = ["small"]
compare = false
"#;

#[track_caller]
fn check(from: &str, to: &str, parts: &[&str]) {
    check_in(RACE, from, to, parts);
}

#[test]
fn a_race_needs_no_factor() {
    let empty = RACE.replace("blocks = 6", "blocks = 6\narms = []\ndesign = []");
    for text in [RACE, &empty] {
        let study = parsed(text).expect("good");
        assert_eq!((study.arms.len(), study.designs.len(), study.factors.len()), (0, 0, 0));
        let plan = crate::design::resolve(&study).expect("a good design").plan;
        let ids: Vec<&str> = plan.cells.iter().map(|cell| cell.id.as_str()).collect();
        let peers = ["peer-same-binary", "peer-other-build", "peer-preloaded", "peer-floor"];
        assert_eq!(ids, [["baseline", "placebo"].as_slice(), &peers].concat());
        assert!(plan.contrasts.iter().all(|contrast| contrast.contrast == "placebo"));
    }
    let factor = "[[factor]]\nname = \"a\"\n[factor.levels]\non = {}\noff = { A = \"1\" }\n[[workload]]";
    check("[[workload]]", factor, &["missing key `arms`"]);
}

#[test]
fn a_treatment_needs_a_factor() {
    let treatment = "[[treatment]]\nname = \"a\"\nlevels = {}\n[[workload]]";
    check("[[workload]]", treatment, &["levels of factors", "name = \"a\""]);
}

#[test]
fn peers_have_builds_workloads_and_libraries_of_their_own() {
    let study = parsed(RACE).expect("good");
    let [same, build, preloaded, floor] = study.peers.as_slice() else { panic!("four peers") };
    assert_eq!((same.features.as_ref(), build.features.as_deref()), (None, Some(["other".to_owned()].as_slice())));
    assert!(preloaded.optional && preloaded.hint == "apt-get install libx2" && preloaded.compare);
    assert!(floor.runs("small") && !floor.runs("large") && !floor.compare && same.runs("large"));
    let design = crate::design::resolve(&study).expect("a good design");
    let build = |id: &str| design.plan.cells.iter().find(|cell| cell.id == id).expect("there").build.clone();
    assert_eq!((build("peer-same-binary"), build("peer-other-build")), (build("baseline"), "peer-other-build".into()));
    let other = design.builds.iter().find(|plan| plan.id == "peer-other-build").expect("is built");
    assert_eq!((other.features.as_slice(), &other.command), (["other".to_owned()].as_slice(), &None));
    let [small, large, _] = design.plan.workloads.as_slice() else { panic!("three workloads") };
    assert!(
        small.runs("peer-floor") && !large.runs("peer-floor") && large.runs("placebo") && large.runs("peer-preloaded")
    );
    // A peer with the features of the baseline is in its binary.
    let shared = parsed(&RACE.replace("[\"other\"]", "[]")).expect("good");
    assert_eq!(crate::design::resolve(&shared).expect("a good design").builds.len(), 2);
}

#[test]
fn contradictions_of_peers_are_pointed_at() {
    check("command = [\"floor\"]", "command = [\"floor\"]\nfeatures = [\"x\"]", &["not built", "features = [\"x\"]"]);
    check("served_by = \"same\"", "served_by = \"same\"\noptional = true", &["can be missing", "optional = true"]);
    check("served_by = \"same\"", "served_by = \"same\"\nhint = \"get it\"", &["can be missing", "remove `hint`"]);
    for none in ["", " ", ":"] {
        let preload = format!("LD_PRELOAD = \"{none}\"");
        check("LD_PRELOAD = \"libx.so.2\"", &preload, &["LD_PRELOAD names no library", "libother.so.2"]);
    }
    check("features = [\"other\"]", "features = [\"a\", \"a\"]", &["the feature `a` is there twice"]);
    check("workloads = [\"small\"]", "workloads = [\"smal\"]", &["unknown workload `smal`", "`small`"]);
    check("workloads = [\"small\"]", "workloads = []", &["the list is empty", "small, large"]);
    check("name = \"floor\"", "name = \"best\"", &["what targets call several peers", "name = \"best\""]);
    check("compare = false", "compare = 1", &["true or false"]);
    check("compare = false", "compares = false", &["did you mean `compare`"]);
    check("response = \"p99\"", "response = \"p9\"", &["did you mean `p99`"]);
    check("response = \"p99\"", "response = \"value:a-b\"", &["`value:NAME`"]);
}

#[test]
fn one_workload_alone_takes_its_peers_along() {
    let mut study = parsed(RACE).expect("good");
    study.only(&["large".to_owned()]).expect("is there");
    let peers: Vec<&str> = study.peers.iter().map(|peer| peer.name.as_str()).collect();
    assert_eq!(peers, ["same-binary", "other-build", "preloaded"]);
    let text = RACE.replace("blocks = 6", "blocks = 6\nreference_peer = \"floor\"");
    let mut study = parsed(&text).expect("good");
    study.only(&["small".to_owned()]).expect("is there");
    assert_eq!(study.reference_peer.as_deref(), Some("floor"));
    let mut study = parsed(&text).expect("good");
    study.only(&["large".to_owned()]).expect("is there");
    assert_eq!(study.reference_peer, None);
}
