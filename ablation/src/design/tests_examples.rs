//! The examples are studies of programs of other projects.

use crate::{config, design};
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
        assert!(study.text.contains("./make-inputs.sh"), "{} does not say where its inputs are from", study.name);
        assert!(study.blocks >= 6, "{}: no intervals", study.name);
        let design = design::resolve(&study).unwrap_or_else(|error| panic!("{error}"));
        for factor in &design.plan.factors {
            let has_row = design.plan.contrasts.iter().any(|contrast| contrast.factor == factor.name);
            assert!(has_row, "{}: no row for {}", study.name, factor.name);
        }
        seen.push(study.name);
    }
    seen.sort();
    assert_eq!(seen, ["jaq", "jemalloc-options"]);
}

#[test]
fn every_server_loads_where_its_packages_are_missing_and_says_which_they_are() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/servers");
    let script = std::fs::read_to_string(folder.join("run.sh")).expect("is there");
    for name in ["nginx", "postgres", "redis"] {
        let path = folder.join(format!("{name}.toml"));
        let mut study = config::load(&path).unwrap_or_else(|error| panic!("{error}"));
        assert!(study.name == name && script.contains(name));
        assert!(study.text.contains("# Needs: apt-get install "), "{name} does not say what to install");
        let server = study.subject.server().expect("a server");
        assert!(server.version.is_some() && server.read_back.is_some(), "{name} proves nothing");
        assert!(study.make_quick() && study.blocks >= 6, "{name}: no intervals");
        let design = design::resolve(&study).unwrap_or_else(|error| panic!("{error}"));
        for factor in &design.plan.factors {
            let has_row = design.plan.contrasts.iter().any(|contrast| contrast.factor == factor.name);
            assert!(has_row, "{name}: no row for {}", factor.name);
        }
    }
}
