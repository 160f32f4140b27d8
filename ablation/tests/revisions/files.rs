//! Files that a program reads when it runs are those of its own revision.

use crate::Repository;

/// A cost that is read from two files: one by a path from the folder of the package, one by the path of the package that
/// is in the binary.
const READ: &str = r#"{
    let read = |path: &str| -> f64 { std::fs::read_to_string(path).expect("a file").trim().parse().expect("a number") };
    read("data/near") + read(concat!(env!("CARGO_MANIFEST_DIR"), "/data/fixed"))
}"#;

/// A repository whose program has the cost 50 + 50.
fn with_files() -> Repository {
    let repository = Repository::new();
    repository.write("data/near", "50");
    repository.write("data/fixed", "50");
    repository.cost(READ, "reads files");
    repository
}

fn change(said: &crate::Said) -> f64 {
    let json: serde_json::Value = serde_json::from_str(&said.stdout).unwrap_or_else(|e| panic!("{e}: {said:#?}"));
    json["parts"][0]["workloads"][0]["change"]["value"].as_f64().unwrap_or_else(|| panic!("{said:#?}"))
}

#[test]
fn each_revision_reads_its_own_files_by_either_path() {
    let repository = with_files();
    repository.write("data/near", "53");
    repository.commit("the near one");
    repository.write("data/fixed", "45");
    repository.commit("the fixed one");
    // The files here belong to neither side.
    repository.write("data/near", "1");
    repository.write("data/fixed", "1");
    let said = repository.diff(&["HEAD~2..HEAD~1", "--json"]);
    assert!(said.code == 1 && (change(&said) - 0.03).abs() < 0.002, "{said:#?}");
    assert!(said.stderr.contains("near differs between the revisions and is read at run time"), "{said:#?}");
    let said = repository.diff(&["HEAD~1..HEAD", "--json"]);
    assert!(said.code == 0 && (change(&said) + 5.0 / 103.0).abs() < 0.002, "{said:#?}");
    assert!(said.stderr.contains("fixed differs between the revisions"), "{said:#?}");
    // Other binaries, and both files as they were in each revision.
    repository.cost(&format!("{READ} + 2.0"), "another binary");
    let said = repository.diff(&["HEAD~3..HEAD", "--json"]);
    assert!((change(&said) - (1.0 + 1.0 + 2.0 - 100.0) / 100.0).abs() < 0.002, "{said:#?}");
}

#[test]
fn a_file_that_differs_and_is_not_read_needs_no_runs_and_one_that_git_ignores_is_there() {
    let repository = Repository::new();
    repository.write(".gitignore", "target\nout*\nlocal\n");
    repository.write("local/near", "100");
    repository.write("data/other", "1");
    repository
        .cost(r#"std::fs::read_to_string("local/near").expect("a file").parse::<f64>().expect("a number")"#, "reads");
    repository.write("data/other", "2");
    repository.commit("no program reads it");
    let said = repository.diff(&["HEAD~1..HEAD"]);
    assert!(said.code == 0 && said.stdout.contains("Identical: both revisions are the same machine code"), "{said:#?}");
    let flat = said.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains("opened no file of the repository that differs"), "{said:#?}");
    assert!(!said.stderr.contains("timing, block"), "{said:#?}");
}

#[test]
fn a_folder_that_is_listed_is_read() {
    let repository = Repository::new();
    repository.write("data/a", "");
    repository.cost(r#"std::fs::read_dir("data").expect("a folder").count() as f64 * 10.0 + 100.0"#, "counts files");
    repository.write("data/b", "");
    repository.commit("one more");
    let said = repository.diff(&["HEAD~1..HEAD", "--json"]);
    assert!(said.code == 1 && (change(&said) - 10.0 / 110.0).abs() < 0.002, "{said:#?}");
}

#[test]
fn a_search_finds_a_commit_that_changes_a_data_file_alone() {
    let repository = with_files();
    repository.write("notes", "x");
    repository.commit("no program reads it");
    repository.write("data/fixed", "58");
    repository.commit("the culprit");
    repository.write("notes", "y");
    repository.commit("after it");
    let more = ["--response", "value:cost_ns", "--blocks", "12", "--layouts", "1", "--out", "out"];
    let said = repository.ablate(&[&["bisect", "HEAD~3", "HEAD"], &more[..]].concat());
    assert!(said.code == 0 && said.stdout.contains("the culprit"), "{said:#?}");
}

#[test]
fn settings_of_cargo_that_the_folder_here_has_are_those_of_their_revision_alone() {
    let repository = Repository::new();
    repository
        .cost(r#"option_env!("SPEED").map_or(100.0, |speed| speed.parse().expect("a number"))"#, "reads a setting");
    repository.write(".cargo/config.toml", "[env]\nSPEED = \"103\"\n");
    repository.commit("the setting");
    // Neither side has what is here.
    repository.write(".cargo/config.toml", "[env]\nSPEED = \"1\"\n");
    let cache = tempfile::tempdir().expect("a temporary folder");
    let in_cache = ("XDG_CACHE_HOME", cache.path().to_str().expect("UTF-8"));
    let args = ["--response", "value:cost_ns", "--blocks", "12", "--layouts", "2", "--gate", "--json"];
    let said = crate::ablate(&repository.root(), &[&["diff", "HEAD~1..HEAD"], &args[..]].concat(), &[in_cache]);
    assert!(said.code == 1 && (change(&said) - 0.03).abs() < 0.002, "{said:#?}");
    assert!(said.stderr.contains(".cargo/config.toml of the work tree"), "{said:#?}");
}
