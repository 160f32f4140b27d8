//! The examples are studies of programs of other projects.

use crate::harness::Harness;
use crate::{config, design};
use std::collections::BTreeSet;
use std::path::Path;

#[test]
fn every_example_loads_and_says_where_its_inputs_come_from() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/examples");
    assert!(folder.join("make-inputs.sh").is_file());
    let mut seen = Vec::new();
    for entry in std::fs::read_dir(&folder).expect("the folder is there") {
        let path = entry.expect("readable").path();
        if path.extension().is_none_or(|end| end != "toml") {
            continue;
        }
        let study = config::load(&path).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(Some(study.name.as_str()), path.file_stem().and_then(|stem| stem.to_str()), "named after its file");
        // A program of the example's own makes its inputs itself.
        let is_own = folder.join(&study.name).join("Cargo.toml").is_file();
        let says = study.text.contains("./make-inputs.sh");
        assert!(is_own || says, "{} does not say where its inputs are from", study.name);
        assert!(study.blocks >= 6, "{}: no intervals", study.name);
        has_a_row_for_each_factor(&study);
        seen.push(study.name);
    }
    seen.sort();
    assert_eq!(seen, ["jaq", "jemalloc-options", "regex-features"]);
    for name in ["c-program", "forty-factors"] {
        let study = config::load(&folder.join(name).join("study.toml")).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(study.name, name, "named after its folder");
        has_a_row_for_each_factor(&study);
    }
}

/// Every study of a harness, with a benchmark in place of those that are listed once the program is built.
#[test]
fn every_harness_has_a_study_that_loads_and_a_recipe_that_knows_its_tools() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/harness");
    let script = std::fs::read_to_string(folder.join("../run.sh")).expect("is there");
    let readme = std::fs::read_to_string(folder.join("../README.md")).expect("is there");
    let mut harnesses = BTreeSet::new();
    for entry in std::fs::read_dir(&folder).expect("the folder is there") {
        let path = entry.expect("readable").path();
        if path.extension().is_none_or(|end| end != "toml") {
            continue;
        }
        let stem = path.file_stem().and_then(|stem| stem.to_str()).expect("a name").to_owned();
        let loaded = config::load(&path).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(loaded.name, format!("harness-{stem}"), "named after its file");
        assert!(loaded.blocks >= 6, "{stem}: no intervals");
        let study = if loaded.workloads.is_empty() {
            let lines = loaded.text.lines().filter(|line| !line.starts_with("filter"));
            let text = lines.collect::<Vec<_>>().join("\n") + "\n[[workload]]\nname = \"w\"\nbenchmark = \"b\"\n";
            config::parse(&path, text.as_bytes()).unwrap_or_else(|error| panic!("{error}"))
        } else {
            loaded
        };
        has_a_row_for_each_factor(&study);
        let is_known = |line: &str| line.contains(')') && line.split([')', '|']).any(|name| name.trim() == stem);
        assert!(script.lines().any(is_known), "configs/run.sh does not know what {stem} needs");
        assert!(readme.contains(&format!("`harness/{stem}.toml`")), "configs/README.md does not name {stem}.toml");
        harnesses.insert(study.subject.harness.expect("a harness").as_str());
    }
    // JMH is measured with the jar of the reader: no registry of packages that CI reaches has one.
    let all: BTreeSet<&str> =
        Harness::ALL.iter().map(|harness| harness.as_str()).filter(|name| *name != "jmh").collect();
    assert_eq!(harnesses, all);
}

fn has_a_row_for_each_factor(study: &config::Study) {
    let design = design::resolve(study).unwrap_or_else(|error| panic!("{error}"));
    assert!(!design.plan.factors.is_empty(), "{}: no factors", study.name);
    for factor in &design.plan.factors {
        let has_row = design.plan.contrasts.iter().any(|contrast| contrast.factor == factor.name);
        assert!(has_row, "{}: no row for {}", study.name, factor.name);
    }
}

#[test]
fn every_server_loads_where_its_packages_are_missing_and_says_which_they_are() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/servers");
    let script = std::fs::read_to_string(folder.join("../run.sh")).expect("is there");
    for name in ["nginx", "postgres", "redis"] {
        let path = folder.join(format!("{name}.toml"));
        let mut study = config::load(&path).unwrap_or_else(|error| panic!("{error}"));
        assert!(study.name == name && script.contains(name));
        assert!(study.text.contains("# Needs: apt-get install "), "{name} does not say what to install");
        let server = study.subject.server().expect("a server");
        assert!(server.version.is_some() && server.read_back.is_some(), "{name} proves nothing");
        assert!(study.make_quick() && study.blocks >= 6, "{name}: no intervals");
        has_a_row_for_each_factor(&study);
    }
}
