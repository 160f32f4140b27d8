//! Every design that is shipped loads and resolves.

use ablation::{config, design};
use std::path::Path;

#[test]
fn every_shipped_config_loads_and_resolves() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs");
    let files = std::fs::read_dir(&folder).expect("the folder is there").map(|entry| entry.expect("readable").path());
    let configs: Vec<_> = files.filter(|path| path.extension().is_some_and(|end| end == "toml")).collect();
    assert!(configs.len() >= 3, "{configs:?}");
    for path in configs {
        let study = config::load(&path).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(Some(study.name.as_str()), path.file_stem().and_then(|stem| stem.to_str()), "named after its file");
        let design = design::resolve(&study).unwrap_or_else(|error| panic!("{error}"));
        assert!(!design.plan.cells.is_empty() && !design.plan.contrasts.is_empty(), "{}", study.name);
        for factor in &design.plan.factors {
            let has_row = design.plan.contrasts.iter().any(|c| c.attribution && c.factor == factor.name);
            assert!(has_row, "{}: no row for {}", study.name, factor.name);
        }
    }
}
