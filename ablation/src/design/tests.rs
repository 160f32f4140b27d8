//! Designs of configs, and the cells that they give.

use super::*;
use crate::config::tests::{GOOD, parsed};
use crate::support::settings::PLACEBO_VARIABLE;
use ablate_format::{Arm, Contrast};

fn design(text: &str) -> Design {
    resolve(&parsed(text).expect("the config is good")).expect("the design is good")
}

/// The config without its `[[treatment]]` tables.
fn without_treatments(text: &str) -> String {
    let head = text.split("[[treatment]]").next().expect("has a head");
    let tail = text.split_once("[[workload]]").expect("has workloads").1;
    format!("{head}[[workload]]{tail}")
}

fn ids(design: &Design) -> Vec<&str> {
    design.plan.cells.iter().map(|cell| cell.id.as_str()).collect()
}

fn row(c: &Contrast) -> String {
    let arm = c.arm.map_or("-", Arm::as_str);
    format!("{} {} {arm} {} {} {}", c.factor, c.contrast, c.plus, c.minus, c.attribution)
}

#[test]
fn explicit_and_leave_one_out_in_both_arms() {
    let design = design(GOOD);
    let expected = [
        "baseline",
        "placebo",
        "minimal@env",
        "minimal@feature",
        "frozen@env",
        "no-red@env",
        "no-red@feature",
        "no-blue@env",
        "no-blue@feature",
        "peer-other",
    ];
    assert_eq!(ids(&design), expected);
    let builds: Vec<_> = design.builds.iter().map(|b| (b.id.as_str(), b.features.join(","))).collect();
    let expected = [("full", "red,blue"), ("bare", ""), ("without-red", "blue"), ("without-blue", "red")];
    assert_eq!(builds, expected.map(|(id, features)| (id, features.to_owned())));
    assert_eq!(design.plan.reference_peer.as_deref(), Some("peer-other"));
}

#[test]
fn cells_carry_levels_environment_and_expectations() {
    let design = design(GOOD);
    let cell = |id: &str| design.plan.cells.iter().find(|c| c.id == id).expect("the cell exists");
    assert_eq!(cell("baseline").env, BTreeMap::from([("MODE".into(), "x".into())]));
    assert_eq!(cell("placebo").env[PLACEBO_VARIABLE], "1");
    assert_eq!(cell("no-red@env").env["NO_RED"], "1");
    assert_eq!(cell("no-red@env").levels["red"], "off");
    assert!(!cell("no-red@feature").env.contains_key("NO_RED"));
    assert_eq!(cell("no-red@feature").levels["red"], "absent");
    assert_eq!(cell("no-red@feature").build, "without-red");
    assert_eq!(cell("frozen@env").levels["blue"], "frozen");
    assert_eq!(cell("frozen@env").expect_zero, ["blue.moves"]);
    assert!(cell("peer-other").levels.is_empty());
    assert_eq!(cell("peer-other").args, ["--peer"]);
}

#[test]
fn each_contrast_is_one_row() {
    let design = design(GOOD);
    let rows: Vec<String> = design.plan.contrasts.iter().map(row).collect();
    let expected = [
        "minimal baseline-minimal env baseline minimal@env false",
        "minimal baseline-minimal feature baseline minimal@feature false",
        "blue on-frozen env baseline frozen@env true",
        "red on-off env baseline no-red@env true",
        "red on-absent feature baseline no-red@feature true",
        "red off-absent - no-red@env no-red@feature false",
        "blue on-off env baseline no-blue@env true",
        "blue on-absent feature baseline no-blue@feature true",
        "blue off-absent - no-blue@env no-blue@feature false",
        "placebo placebo - placebo baseline false",
    ];
    assert_eq!(rows, expected);
}

#[test]
fn an_explicit_name_replaces_the_generated_one() {
    let text = GOOD.replace("levels = { red = \"off\", blue = \"off\" }", "levels = { red = \"off\" }");
    let design = design(&text);
    assert!(ids(&design).contains(&"minimal@env") && !ids(&design).contains(&"no-red@env"));
    let rows: Vec<String> = design.plan.contrasts.iter().map(row).collect();
    assert!(rows.contains(&"red on-off env baseline minimal@env true".to_owned()), "{rows:?}");
}

#[test]
fn factorial_and_add_one_in_share_cells() {
    let text = GOOD
        .replace("design = [\"explicit\", \"leave-one-out\"]", "design = [\"explicit\", \"add-one-in\", \"factorial\"]")
        .replace("arms = [\"env\", \"feature\"]", "arms = [\"env\"]");
    let design = design(&text);
    // `minimal` is `none`, with two factors `only-blue` is `no-red`; a variant of a factor with `off` is not crossed.
    let expected = ["baseline", "placebo", "minimal@env", "frozen@env", "only-red@env", "only-blue@env", "peer-other"];
    assert_eq!(ids(&design), expected);
    let rows: Vec<String> = design.plan.contrasts.iter().map(row).collect();
    assert!(rows.contains(&"red main env   true".to_owned()), "{rows:?}");
    assert!(rows.contains(&"red alone-none env only-red@env minimal@env false".to_owned()), "{rows:?}");
    assert!(rows.contains(&"red on-off env baseline only-blue@env true".to_owned()), "{rows:?}");
    assert_eq!(design.builds.len(), 1);
}

#[test]
fn a_pure_factorial_has_all_sets_once() {
    let text = without_treatments(&GOOD.replace("[\"explicit\", \"leave-one-out\"]", "[\"factorial\"]"));
    let two = design(&text.replace("frozen = { BLUE = \"frozen\" }\n", ""));
    assert_eq!(ids(&two), ["baseline", "placebo", "set-00@env", "set-01@env", "set-10@env", "peer-other"]);
    // Beside `off` a variant is not crossed; without it, each has a digit of its own and is combined with the others.
    let sets = |text: &str| -> Vec<String> {
        let design = design(text);
        ids(&design).into_iter().filter(|id| id.starts_with("set-")).map(str::to_owned).collect()
    };
    assert_eq!(sets(&text), ["set-00@env", "set-01@env", "set-10@env"]);
    let variants = text.replace("off = { NO_BLUE = \"1\" }", "thin = { NO_BLUE = \"1\" }");
    assert_eq!(sets(&variants), ["set-01@env", "set-03@env", "set-04@env", "set-13@env", "set-14@env"]);
}

#[test]
fn every_contrast_refers_to_cells_and_every_cell_to_a_build() {
    let design = design(GOOD);
    for contrast in &design.plan.contrasts {
        for id in [&contrast.plus, &contrast.minus] {
            assert!(ids(&design).contains(&id.as_str()), "{id}");
        }
    }
    for cell in &design.plan.cells {
        assert!(design.builds.iter().any(|build| build.id == cell.build), "{}", cell.build);
    }
}
