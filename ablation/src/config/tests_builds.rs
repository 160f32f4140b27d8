//! Levels that decide how a binary is built.

use super::tests::{Messages, check_in, parsed};
use super::{BuildSettings, Program};

/// A package whose factors are settings of the build.
const PACKAGE: &str = r#"
study = "builds"
seed = 7
blocks = 6
[subject]
package = "subject"
[[factor]]
name = "optimiser"
baseline = "o3"
[factor.levels]
o3 = {}
o2 = { opt-level = 2, lto = "fat", panic = "abort", debug = true }
native = { target-cpu = "native", rustflags = ["-Ccode-model=small"], toolchain = "+nightly" }
[[factor]]
name = "commit"
baseline = "base"
[factor.levels]
base = { revision = "main...HEAD" }
head = { revision = "HEAD", env = { lower_case = "x" } }
[[workload]]
name = "small"
args = ["small"]
"#;

/// A program that a command builds.
const MADE: &str = r#"
study = "made"
seed = 7
blocks = 6
[subject.build]
command = ["make", "tool"]
artefact = "out/tool"
[[factor]]
name = "optimiser"
baseline = "o2"
[factor.levels]
o2 = { build_args = ["CFLAGS=-O2"] }
o3 = { build_args = ["CFLAGS=-O3"], build_env = { CC = "clang" } }
[[workload]]
name = "small"
args = []
"#;

#[test]
fn settings_of_builds_are_read_and_need_other_binaries() {
    let study = parsed(PACKAGE).expect("good");
    let level = |factor: usize, level: &str| study.factors[factor].levels[level].clone();
    let shown = level(0, "o2").build.shown();
    let shown: Vec<String> = shown.iter().map(|(key, value)| format!("{key}={value}")).collect();
    assert_eq!(shown, ["debug=true", "lto=fat", "opt-level=2", "panic=abort"]);
    let native = level(0, "native").build;
    assert_eq!((native.toolchain.as_deref(), native.target_cpu.as_deref()), (Some("nightly"), Some("native")));
    assert_eq!(level(1, "head").env["lower_case"], "x");
    let design = crate::design::resolve(&study).expect("a good design");
    let cells: Vec<(&str, &str)> = design.plan.cells.iter().map(|c| (c.id.as_str(), c.build.as_str())).collect();
    let expected = [
        ("baseline", "full"),
        ("placebo", "full"),
        ("optimiser-native@build", "with-optimiser.native"),
        ("optimiser-o2@build", "with-optimiser.o2"),
        ("commit-head@build", "with-commit.head"),
    ];
    assert_eq!(cells, expected);
    let settings = |id: &str| design.builds.iter().find(|build| build.id == id).expect("is there").settings.clone();
    assert_eq!(settings("with-optimiser.native").revision.as_deref(), Some("main...HEAD"));
    assert_eq!(settings("with-commit.head").revision.as_deref(), Some("HEAD"));
}

#[test]
fn a_program_that_a_command_builds_has_its_arguments_and_variables() {
    let study = parsed(MADE).expect("good");
    let Program::Made(made) = &study.subject.program else { panic!("a build command") };
    assert_eq!(
        (made.command.as_slice(), made.artefact.as_str()),
        (["make".into(), "tool".into()].as_slice(), "out/tool")
    );
    assert_eq!(study.workloads[0].response, ablate_format::MainResponse::Wall);
    let design = crate::design::resolve(&study).expect("a good design");
    let second = BuildSettings {
        args: vec!["CFLAGS=-O3".into()],
        env: [("CC".to_owned(), "clang".to_owned())].into(),
        ..BuildSettings::default()
    };
    assert_eq!(design.builds[1].settings, second);
}

#[test]
fn wrong_keys_and_values_of_levels_are_pointed_at() {
    let mut said = Messages::default();
    let mut check = |text: &str, from: &str, to: &str| check_in(&mut said, text, from, to);
    check(PACKAGE, "opt-level = 2", "opt_level = 2");
    check(PACKAGE, "opt-level = 2", "optimize = 2");
    check(PACKAGE, "opt-level = 2", "opt-level = [2]");
    check(PACKAGE, "target-cpu = \"native\"", "target-cpu = 5");
    check(PACKAGE, "\"+nightly\"", "\"--x\"");
    check(PACKAGE, "[\"-Ccode-model=small\"]", "\"-Ccode-model=small\"");
    check(PACKAGE, "\"HEAD\"", "\"--all\"");
    check(PACKAGE, "\"HEAD\"", "\"a b\"");
    check(PACKAGE, "env = { lower_case = \"x\" }", "env = { lower_case = 1 }");
    check(PACKAGE, "env = { lower_case = \"x\" }", "opt-level = 1");
    check(PACKAGE, "env = { lower_case = \"x\" }", "build_args = [\"x\"]");
    check(PACKAGE, "seed = 7", "seed = 7\narms = [\"env\"]");
    check(MADE, "build_args = [\"CFLAGS=-O3\"]", "opt-level = 3");
    check(MADE, "build_args = [\"CFLAGS=-O3\"]", "features = [\"x\"]");
    check(MADE, "\"out/tool\"", "\"../tool\"");
    check(MADE, "\"out/tool\"", "\"/bin/sh\"");
    check(MADE, "artefact", "folder = \"no-such-folder\"\nartefact");
    check(MADE, "[subject.build]", "[subject]\ncommand = [\"sh\"]\n[subject.build]");
    check(MADE, "[subject.build]", "[subject]\nprofile = \"release\"\n[subject.build]");
    check(MADE, "seed = 7", "seed = 7\narms = [\"feature\"]");
    check(MADE, "seed = 7", "seed = 7\nlayouts = 2");
    insta::assert_snapshot!(said);
}

#[test]
fn a_comparison_of_revisions_keeps_what_the_baseline_sets() {
    let text = PACKAGE.replace("o3 = {}", "o3 = { opt-level = 1, env = { small = \"1\" } }").replace(
        "base = { revision = \"main...HEAD\" }",
        "base = { revision = \"old\", args = [\"-b\"], rustflags = [\"-g\"] }",
    );
    let mut study = parsed(&text).expect("is good");
    study.compare_revisions(&[("base", "v1"), ("head", "v2")]);
    let [factor] = study.factors.as_slice() else { panic!("one factor: {:?}", study.factors) };
    assert_eq!((factor.baseline.as_str(), factor.levels.len()), ("base", 2));
    for (level, revision) in [("base", "v1"), ("head", "v2")] {
        let level = &factor.levels[level];
        assert_eq!(level.build.revision.as_deref(), Some(revision));
        assert_eq!(level.build.profile_keys.get("opt-level").map(ToString::to_string).as_deref(), Some("1"));
        assert_eq!(
            (level.build.rustflags.as_slice(), level.args.as_slice()),
            (&["-g".to_owned()][..], &["-b".to_owned()][..])
        );
        assert_eq!(level.env.get("small").map(String::as_str), Some("1"));
    }
}
