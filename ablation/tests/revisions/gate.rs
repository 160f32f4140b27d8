//! What the exit code of a gate says, and what is told where there is nothing to compare.

use crate::shapes::bench;
use crate::{Repository, ablate};

const HOW: [&str; 7] = ["--blocks", "6", "--layouts", "1", "--max-time", "20s", "--gate"];

/// A repository with one benchmark target.
fn with_bench() -> Repository {
    let repository = Repository::new();
    repository.write("benches/old.rs", &bench("0"));
    repository.commit("a target");
    repository
}

fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn one_is_what_is_worse_and_every_other_error_leaves_the_gate_undecided() {
    let repository = Repository::new();
    repository.cost("109.0", "dearer");
    let worse = |more: &[&str]| repository.diff(&[&["HEAD~1..HEAD"], more].concat());
    assert_eq!(worse(&[]).code, 1);
    // The file system of processes takes no new folder, also not from root.
    for more in [&["--out", "/proc/none"][..], &["--markdown", "/proc/none/out.md"]] {
        let said = worse(more);
        assert!(said.code == 3 && said.stderr.contains("gate: undecided"), "{more:?}: {said:#?}");
        assert!(said.stderr.contains("error: ") && said.stderr.contains("/proc/none"), "{more:?}: {said:#?}");
    }
    let said = repository.ablate(&["diff", "HEAD~1..HEAD", "--response", "value:cost_ns", "--out", "/proc/none"]);
    assert_eq!(said.code, 1, "without the gate it is a failure: {said:#?}");
}

#[test]
fn a_wrong_call_is_no_open_gate_and_is_told_by_its_option() {
    let repository = with_bench();
    repository.write("benches/old.rs", &bench("1"));
    for (more, part) in [
        (["--features", "nofeat"], "error: --features: package `tool` has no feature `nofeat`"),
        (["--filter", "nomatch"], "error: --filter: no benchmark of the base matches `nomatch`; there are `add`"),
        (["--filter", "["], "error: --filter: "),
    ] {
        let said = repository.ablate(&[&["diff"], &more[..], &HOW].concat());
        assert!(said.code == 2 && said.stderr.contains(part), "{more:?}: {said:#?}");
        assert!(!said.stderr.contains("diff.toml") && !said.stderr.contains("gate:"), "{more:?}: {said:#?}");
    }
    let said = repository.ablate(&[&["diff", "--bin", "tool", "--response", "foo"], &HOW[..]].concat());
    assert!(said.code == 2 && said.stderr.contains("error: --response: unknown response `foo`"), "{said:#?}");
    assert!(!said.stderr.contains("diff.toml"), "{said:#?}");
}

#[test]
fn a_filter_that_one_target_matches_leaves_the_other_out() {
    let repository = with_bench();
    repository.write("benches/other.rs", &bench("0").replace("fn add", "fn other"));
    repository.commit("two targets");
    repository.write("notes.txt", "x");
    let said = repository.ablate(&[&["diff", "--filter", "other"], &HOW[..]].concat());
    assert!(said.code == 0 && said.stderr.contains("old has no benchmark that the filter matches"), "{said:#?}");
    let said = repository.ablate(&[&["diff", "--filter", "nomatch"], &HOW[..]].concat());
    assert_eq!(said.code, 2, "{said:#?}");
}

#[test]
fn a_benchmark_target_of_one_revision_is_told_and_changes_no_gate() {
    let repository = with_bench();
    repository.write("benches/new.rs", &bench("0"));
    repository.commit("a new target");
    for (range, verdict) in [("HEAD~1..HEAD", "only-in-head"), ("HEAD..HEAD~1", "only-in-base")] {
        let said = repository.ablate(&[&["diff", range, "--json"], &HOW[..]].concat());
        assert!(said.code == 0 && said.stderr.contains("gate: good"), "{said:#?}");
        let json: serde_json::Value = serde_json::from_str(&said.stdout).expect("only JSON");
        let parts = json["parts"].as_array().expect("a list");
        let part = parts.iter().find(|part| part["name"] == "new").expect("is told");
        assert_eq!((part["workloads"][0]["verdict"].as_str(), part["run"].as_bool()), (Some(verdict), Some(false)));
        assert!(part["failure"].is_null(), "{json:#}");
    }
    // One that the files here lack is told as well.
    repository.git(&["rm", "--quiet", "benches/new.rs"]);
    repository.commit("without it");
    let said = repository.ablate(&[&["diff", "HEAD~1..HEAD"], &HOW[..]].concat());
    assert!(said.code == 0 && said.stdout.contains("new: only in base, so there is nothing to compare"), "{said:#?}");
    let said = repository.ablate(&[&["diff", "HEAD~1..HEAD~1"], &HOW[..]].concat());
    assert!(said.stderr.contains("`new` is in both revisions and not in the files here"), "{said:#?}");
}

#[test]
fn where_nothing_is_in_both_revisions_the_gate_is_undecided() {
    let repository = with_bench();
    repository.write("benches/new.rs", &bench("0"));
    repository.write("benches/old.rs", &bench("0").replace("fn add", "fn other"));
    repository.commit("other benchmarks");
    // A target that the base lacks, and a benchmark that the head lacks.
    for selected in [["--bench", "new"], ["--filter", "add"]] {
        let own = ["diff", "HEAD~1..HEAD", "--bench", "old"];
        let own = if selected[0] == "--bench" { &own[..2] } else { &own[..] };
        let said = repository.ablate(&[own, &selected[..], &HOW].concat());
        assert!(
            said.stdout.starts_with("Nothing can be said: no workload was measured in both revisions"),
            "{said:#?}"
        );
        let gate = "no workload was measured in both revisions\ngate: undecided\n";
        assert!(said.code == 3 && said.stderr.contains(gate), "{selected:?}: {said:#?}");
    }
}

#[test]
fn a_package_of_another_name_or_folder_is_told_in_a_sentence() {
    let repository = Repository::new();
    let manifest = std::fs::read_to_string(repository.path("Cargo.toml")).expect("is there");
    repository.write("Cargo.toml", &manifest.replace("\"tool\"", "\"renamed\""));
    repository.commit("another name");
    let said = repository.ablate(&[&["diff", "HEAD~1..HEAD"], &HOW[..]].concat());
    let sentence = "error: package `renamed` is not in HEAD~1 = ";
    assert!(said.code == 3 && said.stderr.contains(sentence) && said.stderr.contains("it has tool;"), "{said:#?}");
    assert!(said.stderr.contains("--config"), "{said:#?}");
    repository.write("Cargo.toml", "[workspace]\nmembers = [\"inner\"]\n");
    repository.write("inner/Cargo.toml", &manifest.replace("[workspace]\n", ""));
    repository.git(&["mv", "src", "inner/src"]);
    repository.commit("another folder");
    let said = ablate(&repository.path("inner"), &[&["diff", "HEAD~1..HEAD"], &HOW[..]].concat(), &[]);
    let sentence = "error: package `tool` at `inner/Cargo.toml` is not in HEAD~1 = ";
    assert!(said.code == 3 && said.stderr.contains(sentence), "{said:#?}");
    assert!(said.stderr.contains("is new, or was in another folder"), "{said:#?}");
}

#[test]
fn a_crash_has_its_reason_in_the_comparison() {
    let repository = Repository::new();
    repository.write("src/lib.rs", "pub fn end() {}\n");
    repository.write(
        "benches/old.rs",
        &format!(
            "{}{}",
            bench("0"),
            "#[bench]\nfn end(b: &mut test::Bencher) {\n    \
                                        tool::end();\n    b.iter(|| test::black_box(1))\n}\n"
        ),
    );
    repository.commit("two benchmarks");
    repository.write("src/lib.rs", "pub fn end() {\n    std::process::exit(7)\n}\n");
    repository.commit("one ends the process");
    let said = repository.ablate(&[&["diff", "HEAD~1..HEAD"], &HOW[..]].concat());
    assert_eq!(said.code, 3, "{said:#?}");
    let told = flat(&said.stdout);
    assert!(told.contains("no proven run, crashed; first failed run: exit code 7"), "{said:#?}");
}

#[test]
fn a_revision_against_itself_names_both_sides() {
    let repository = with_bench();
    let said = repository.ablate(&[&["diff", "HEAD..HEAD"], &HOW[..]].concat());
    let line = |side: &str| said.stdout.lines().any(|line| line.contains(side) && line.ends_with(" a target"));
    assert!(said.code == 0 && line("base: HEAD = ") && line("head: HEAD = "), "{said:#?}");
}
