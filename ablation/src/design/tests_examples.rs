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
