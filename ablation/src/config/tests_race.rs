//! Configs that race a subject with peers: with or without factors.

use super::DesignKind;
use super::tests::{Messages, check_in, parsed};

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
fn check(said: &mut Messages, from: &str, to: &str) {
    check_in(said, RACE, from, to);
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
}

#[test]
fn arms_and_design_follow_from_the_levels_where_the_config_names_none() {
    let arms = |levels: &str, more: &str| {
        let factor = format!("[[factor]]\nname = \"a\"\n{more}[factor.levels]\n{levels}\n[[workload]]");
        let study = parsed(&RACE.replacen("[[workload]]", &factor, 1)).expect("good");
        assert_eq!(study.designs, [DesignKind::LeaveOneOut]);
        study.arms.iter().map(|arm| arm.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(arms("on = {}\noff = { A = \"1\" }", ""), ["env"]);
    assert_eq!(arms("on = {}\noff = { args = [\"-x\"] }", ""), ["args"]);
    assert_eq!(arms("on = {}", "feature = \"a\"\n"), ["feature"]);
    assert_eq!(arms("on = { opt-level = 3 }\nfast = { lto = \"fat\", A = \"1\" }", ""), ["env", "build"]);
}

#[test]
fn a_treatment_needs_a_factor() {
    let mut said = Messages::default();
    let treatment = "[[treatment]]\nname = \"a\"\nlevels = {}\n[[workload]]";
    check(&mut said, "[[workload]]", treatment);
    insta::assert_snapshot!(said);
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
    let mut said = Messages::default();
    check(&mut said, "command = [\"floor\"]", "command = [\"floor\"]\nfeatures = [\"x\"]");
    check(&mut said, "served_by = \"same\"", "served_by = \"same\"\noptional = true");
    check(&mut said, "served_by = \"same\"", "served_by = \"same\"\nhint = \"get it\"");
    for none in ["", " ", ":"] {
        let preload = format!("LD_PRELOAD = \"{none}\"");
        check(&mut said, "LD_PRELOAD = \"libx.so.2\"", &preload);
    }
    check(&mut said, "features = [\"other\"]", "features = [\"a\", \"a\"]");
    check(&mut said, "workloads = [\"small\"]", "workloads = [\"smal\"]");
    check(&mut said, "workloads = [\"small\"]", "workloads = []");
    check(&mut said, "name = \"floor\"", "name = \"best\"");
    check(&mut said, "compare = false", "compare = 1");
    check(&mut said, "compare = false", "compares = false");
    check(&mut said, "response = \"p99\"", "response = \"p9\"");
    check(&mut said, "response = \"p99\"", "response = \"value:a-b\"");
    insta::assert_snapshot!(said);
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
