//! Every design that is shipped loads and resolves.

use crate::{config, design};
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
        // A path is read step by step, and its steps change several factors.
        for factor in design.plan.factors.iter().filter(|_| design.plan.paths.is_empty()) {
            let has_row = design.plan.contrasts.iter().any(|c| c.factor == factor.name);
            assert!(has_row, "{}: no row for {}", study.name, factor.name);
        }
    }
}

/// What the last step of phases.toml is said to be: the program without a variable, as its levels of the default set
/// none.
#[test]
fn the_last_phase_is_the_default() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/phases.toml");
    let study = config::load(&path).unwrap_or_else(|error| panic!("{error}"));
    let plan = design::resolve(&study).unwrap_or_else(|error| panic!("{error}")).plan;
    let followed = plan.paths.first().expect("has a path");
    let last = plan.step(followed.steps.last().expect("has steps")).expect("has a cell");
    let default = plan.cells.iter().find(|cell| cell.id == "peer-as-shipped").expect("is there");
    assert!(last.env.is_empty() && default.env.is_empty(), "{:?}", last.env);
    assert_eq!((&last.args, &last.build), (&default.args, &default.build));
}

/// A config with everything that the examples in configs/README.md refer to.
const AROUND_THE_EXAMPLES: &str = r#"
study = "examples"
seed = 1
blocks = 6
arms = ["env", "feature", "build"]
design = ["explicit", "leave-one-out", "factorial"]
reference_peer = "fast"
[subject]
package = "subject"
[[factor]]
name = "cache"
[factor.levels]
on = {}
off = { NO_CACHE = "1" }
[[factor]]
name = "ring"
[factor.levels]
on = {}
off = { NO_RING = "1" }
[[workload]]
name = "small"
args = []
[[peer]]
name = "fast"
served_by = "fast"
"#;

fn readme() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../configs/README.md");
    std::fs::read_to_string(path).expect("the key reference is there")
}

/// Reads a text as if it stood beside this package's manifest.
fn parsed(text: &str) -> Result<config::Study, config::ConfigError> {
    config::parse(&Path::new(env!("CARGO_MANIFEST_DIR")).join("study.toml"), text.as_bytes())
}

#[test]
fn the_examples_of_the_key_reference_are_right() {
    let readme = readme();
    let blocks: Vec<&str> =
        readme.split("```toml\n").skip(1).filter_map(|rest| Some(rest.split_once("```")?.0)).collect();
    let (subjects, blocks): (Vec<&str>, Vec<&str>) = blocks.into_iter().partition(|text| text.contains("[subject"));
    assert!(blocks.len() >= 3 && !subjects.is_empty(), "{blocks:?}");
    for subject in subjects {
        let text = format!("study = \"one\"\nseed = 1\nblocks = 6\n{subject}\n[[workload]]\nname = \"w\"\nargs = []\n");
        let study = parsed(&text).unwrap_or_else(|e| panic!("{e}"));
        design::resolve(&study).unwrap_or_else(|error| panic!("{error}"));
    }
    let study = parsed(&format!("{AROUND_THE_EXAMPLES}{}", blocks.join("\n"))).unwrap_or_else(|e| panic!("{e}"));
    let design = design::resolve(&study).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((design.plan.factors.len(), design.plan.hypotheses.len()), (6, 2));
}

/// The examples that stand within `[subject]`, each beside a config that has the rest.
#[test]
fn the_examples_of_what_stands_around_a_run_are_right() {
    let readme = readme();
    let block = |word: &str| -> String {
        let start = format!("```toml {word}\n");
        let (_, rest) = readme.split_once(&start).unwrap_or_else(|| panic!("no example `{word}`"));
        rest.split_once("```").expect("it ends").0.to_owned()
    };
    let with = |subject: &str| {
        let text = format!(
            "study = \"x\"\nseed = 1\nblocks = 6\n[subject]\n{subject}\n[[workload]]\nname = \"w\"\nargs = []\n"
        );
        parsed(&text).unwrap_or_else(|error| panic!("{error}")).subject
    };
    let around = with(&format!("package = \"subject\"\n{}", block("subject"))).surroundings;
    assert_eq!((around.before_run.len(), around.in_scratch, around.accept_exit), (2, true, vec![0, 1]));
    let server = with(&block("server")).surroundings.server.expect("has one");
    assert!(server.read_back.is_some() && !server.is_measured);
}

/// The examples of a harness: all of its benchmarks that a filter chooses, and one by its id.
#[test]
fn the_examples_of_harnesses_are_right() {
    let readme = readme();
    let block = |word: &str| -> String {
        let (_, rest) =
            readme.split_once(&format!("```toml {word}\n")).unwrap_or_else(|| panic!("no example `{word}`"));
        rest.split_once("```").expect("it ends").0.to_owned()
    };
    let top = "study = \"x\"\nseed = 1\nblocks = 6\n";
    let all = parsed(&format!("{top}{}", block("harness"))).unwrap_or_else(|error| panic!("{error}"));
    assert!(all.workloads.is_empty() && all.subject.filter.as_deref() == Some("itoa$"));
    let without: String =
        block("harness").lines().filter(|line| !line.starts_with("filter")).collect::<Vec<_>>().join("\n");
    let one = parsed(&format!("{top}{without}\n{}", block("benchmark"))).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(one.workloads[0].benchmark.as_deref(), Some("u64[0]/itoa"));
    design::resolve(&one).unwrap_or_else(|error| panic!("{error}"));
}

/// What an unknown key of a table is told: all that are known.
#[test]
fn the_key_reference_has_every_key() {
    let readme = readme();
    let unknown = "zzzzzzzzzzzzzzzzzzzzzzzz = 1\n";
    let mut all = 0;
    for table in [
        "",
        "[subject]\n",
        "[subject.build]\n",
        "[subject.server]\n",
        "[subject.server.ready]\n",
        "[[factor]]\n",
        "[[treatment]]\n",
        "[[constraint]]\n",
        "[[workload]]\n",
        "[[curve]]\n",
        "[[peer]]\n",
        "[[hypothesis]]\n",
        "[[target]]\n",
        "[[path]]\n",
        "[[path]]\n[[path.goal]]\n",
        "[quick]\n",
    ] {
        let error = parsed(&format!("{table}{unknown}")).expect_err("unknown").to_string();
        let (_, known) = error.lines().next().and_then(|line| line.split_once("; known: ")).expect("known keys");
        for key in known.split(", ") {
            let name = key.trim_matches('`');
            let written = [key.to_owned(), format!("`[{name}]`"), format!("`[[{name}]]`")];
            assert!(written.iter().any(|text| readme.contains(text)), "{table}{key} is not in configs/README.md");
            all += 1;
        }
    }
    assert!(all > 60, "{all} keys");
}
