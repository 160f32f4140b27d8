//! Mistakes in configs, and what their messages say.

use super::*;
use ablate_format::{Arm, MainResponse};
use std::fmt;
use std::time::Duration;

/// A small study that is right, for tests here and in the stages below.
pub(crate) const GOOD: &str = r#"
study = "demo"
seed = 7
blocks = 3
arms = ["env", "feature"]
design = ["explicit", "leave-one-out"]
reference_peer = "other"
[subject]
package = "subject"
binary = "subject"
args = ["--json"]
counting_args = ["--quiet"]
idle_args = ["--idle"]
served_by = "subject"
allow_env = ["PATH"]
env = { MODE = "x" }
[[factor]]
name = "red"
feature = "red"
proof = ["red.hits"]
[factor.levels]
on = {}
off = { NO_RED = "1" }
[[factor]]
name = "blue"
feature = "blue"
proof = ["blue.hits"]
[factor.levels]
on = {}
off = { NO_BLUE = "1" }
frozen = { BLUE = "frozen" }
[[treatment]]
name = "minimal"
levels = { red = "off", blue = "off" }
[[treatment]]
name = "frozen"
levels = { blue = "frozen" }
expect_zero = ["blue.moves"]
[[workload]]
name = "small"
args = ["--n", "10"]
[[workload]]
name = "large"
args = ["--n", "1000"]
pin = false
response = "mean"
[[peer]]
name = "other"
args = ["--peer"]
served_by = "other"
"#;

fn here() -> PathBuf {
    // A path next to a Cargo.toml, so that the default manifest is found.
    Path::new(env!("CARGO_MANIFEST_DIR")).join("study.toml")
}

/// Parses a text as if it stood beside this package's manifest.
pub(crate) fn parsed(text: &str) -> Result<Study, ConfigError> {
    parse(&here(), text.as_bytes())
}

/// A config that is right, with `to` in the place of `from`.
#[track_caller]
pub(super) fn planted(good: &str, from: &str, to: &str) -> String {
    assert!(good.contains(from), "the planted text is gone: {from}");
    good.replacen(from, to, 1)
}

/// Messages about wrong configs, in the order in which they were tried. A test compares all of them with one snapshot.
#[derive(Default)]
pub(super) struct Messages(String);

impl Messages {
    /// Adds an error, which must have its place in the config.
    #[track_caller]
    pub(super) fn add(&mut self, error: &ConfigError) {
        let error = error.to_string().replace(&format!("{}/", env!("CARGO_MANIFEST_DIR")), "");
        assert!(error.starts_with("study.toml:") && error.contains('^'), "no place in:\n{error}");
        self.0 += &error;
        self.0 += "\n\n";
    }
}

impl fmt::Display for Messages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Replaces `from` in a config that is right and adds the error that this gives.
#[track_caller]
pub(super) fn check_in(said: &mut Messages, good: &str, from: &str, to: &str) {
    said.add(&parsed(&planted(good, from, to)).expect_err(to));
}

#[track_caller]
fn check(said: &mut Messages, from: &str, to: &str) {
    check_in(said, GOOD, from, to);
}

#[test]
fn a_good_study_is_read() {
    let study = parsed(GOOD).expect("the good config is good");
    assert_eq!((study.seed, study.blocks, study.counting_repeats), (7, 3, 2));
    assert_eq!(study.arms, [Arm::Env, Arm::Feature]);
    assert_eq!(study.timeout, Duration::from_secs(60));
    assert_eq!(study.factors[1].levels["frozen"].env["BLUE"], "frozen");
    assert!(study.workloads[0].pin && !study.workloads[1].pin);
    assert_eq!(study.workloads[0].response, MainResponse::P10);
    assert_eq!(study.workloads[1].response, MainResponse::Mean);
    let value = parsed(&GOOD.replace("\"mean\"", "\"value:held_bytes\"")).expect("good").workloads[1].response;
    assert_eq!(value.as_str(), "value:held_bytes");
    assert_eq!(study.subject.counting_args, ["--quiet"]);
    let Program::Cargo(program) = &study.subject.program else { panic!("a package is built") };
    assert!(program.manifest().ends_with("Cargo.toml"));
}

#[test]
fn unknown_keys_point_at_the_line_and_name_the_nearest() {
    let mut said = Messages::default();
    check(&mut said, "blocks = 3", "bloks = 3");
    check(&mut said, "pin = false", "pinn = false");
    check(&mut said, "package = \"subject\"", "pakage = \"subject\"");
    insta::assert_snapshot!(said);
}

#[test]
fn wrong_levels_and_factors_name_the_nearest() {
    let mut said = Messages::default();
    check(&mut said, "levels = { blue = \"frozen\" }", "levels = { blu = \"frozen\" }");
    check(&mut said, "levels = { blue = \"frozen\" }", "levels = { blue = \"frosen\" }");
    check(&mut said, "levels = { blue = \"frozen\" }", "levels = { blue = \"absent\" }");
    check(&mut said, "levels = { blue = \"frozen\" }", "levels = { blue = \"on\" }");
    check(&mut said, "levels = { blue = \"frozen\" }", "levels = { blue = \"off\", red = \"off\" }");
    insta::assert_snapshot!(said);
}

#[test]
fn factors_need_proof_and_levels() {
    let mut said = Messages::default();
    check(&mut said, "proof = [\"red.hits\"]", "proof = []");
    check(&mut said, "proof = [\"red.hits\"]", "proof = [\"hits\"]");
    check(&mut said, "proof = [\"red.hits\"]", "proof = [\"rad.hits\"]");
    check(&mut said, "on = {}\noff = { NO_RED = \"1\" }", "off = { NO_RED = \"1\" }");
    check(&mut said, "off = { NO_RED = \"1\" }", "of = { NO_RED = \"1\" }");
    check(&mut said, "off = { NO_RED = \"1\" }", "off = { }");
    check(&mut said, "feature = \"red\"", "feature = \"blue\"");
    insta::assert_snapshot!(said);
}

#[test]
fn names_and_environment_are_checked() {
    let mut said = Messages::default();
    check(&mut said, "study = \"demo\"", "study = \"../x\"");
    check(&mut said, "name = \"small\"", "name = \"Small\"");
    check(&mut said, "name = \"large\"", "name = \"small\"");
    check(&mut said, "name = \"blue\"", "name = \"red\"");
    check(&mut said, "NO_RED = \"1\"", "LD_PRELOAD = \"x\"");
    check(&mut said, "NO_RED = \"1\"", "LD_AUDIT = \"x\"");
    check(&mut said, "NO_RED = \"1\"", "\"A=B\" = \"x\"");
    check(&mut said, "NO_RED = \"1\"", "X = \"a\\u0000\"");
    check(&mut said, "NO_RED = \"1\"", "NO_BLUE = \"1\"");
    check(&mut said, "NO_RED = \"1\"", "MODE = \"1\"");
    check(&mut said, "allow_env = [\"PATH\"]", "allow_env = [\"NO_RED\"]");
    check(&mut said, "name = \"minimal\"", "name = \"no-red\"");
    check(&mut said, "name = \"minimal\"", "name = \"baseline\"");
    insta::assert_snapshot!(said);
}

#[test]
fn numbers_arms_designs_and_peers_are_checked() {
    let mut said = Messages::default();
    check(&mut said, "blocks = 3", "blocks = 0");
    check(&mut said, "blocks = 3", "blocks = 10001");
    check(&mut said, "blocks = 3", "blocks = 3\ncounting_repeats = -1");
    check(&mut said, "blocks = 3", "blocks = 3\ncounting_repeats = 101");
    check(&mut said, "design = [\"explicit\", \"leave-one-out\"]", "design = []");
    check(&mut said, "seed = 7", "seed = -1");
    check(&mut said, "arms = [\"env\", \"feature\"]", "arms = []");
    check(&mut said, "arms = [\"env\", \"feature\"]", "arms = [\"evn\"]");
    check(&mut said, "\"leave-one-out\"]", "\"leave-on-out\"]");
    check(&mut said, "reference_peer = \"other\"", "reference_peer = \"othr\"");
    check(&mut said, "response = \"mean\"", "response = \"maen\"");
    check(&mut said, "design = [\"explicit\", ", "design = [");
    check(&mut said, "arms = [\"env\", \"feature\"]", "arms = [\"feature\"]");
    insta::assert_snapshot!(said);
}

#[test]
fn a_peer_says_who_serves_it() {
    let mut said = Messages::default();
    for instead in ["", "served_by = \"\"\n"] {
        check(&mut said, "served_by = \"other\"\n", instead);
    }
    insta::assert_snapshot!(said);
}

#[test]
fn wrong_types_are_said_in_the_words_of_a_config() {
    let mut said = Messages::default();
    check(&mut said, "off = { NO_RED = \"1\" }", "off = 1979-05-27");
    check(&mut said, "blocks = 3", "blocks = \"3\"");
    check(&mut said, "args = [\"--json\"]", "args = \"--json\"");
    check(&mut said, "study = \"demo\"", "study = 5");
    insta::assert_snapshot!(said);
}

#[test]
fn functions_have_names_and_parts_of_names() {
    let mut said = Messages::default();
    let study = parsed(&format!("{GOOD}[[function]]\nname = \"lookup\"\nmatch = [\"a::get\", \"b\"]\n")).expect("good");
    let expected = Function { name: "lookup".to_owned(), patterns: vec!["a::get".to_owned(), "b".to_owned()] };
    assert_eq!(study.functions, [expected]);
    let peer = "name = \"other\"\nargs = [\"--peer\"]";
    for wrong in ["[]", "[\"\"]"] {
        check(
            &mut said,
            peer,
            &format!(
                "name = \"x\"\nargs = []\nserved_by = \"x\"\n[[function]]\nname = \"f\"\nmatch = {wrong}\n[[peer]]\n{peer}"
            ),
        );
    }
    insta::assert_snapshot!(said);
}

#[test]
fn missing_parts_are_named() {
    let cut = |from: &str| GOOD.split(from).next().map(str::to_owned).unwrap_or_default();
    let no_workload =
        parsed(&cut("[[workload]]").replace("reference_peer = \"other\"\n", "")).expect_err("no workload");
    assert!(no_workload.to_string().contains("no workload"), "{no_workload}");
    let no_treatment =
        GOOD.replace("[[treatment]]\nname = \"minimal\"\nlevels = { red = \"off\", blue = \"off\" }\n", "");
    let no_treatment = no_treatment.replace(
        "[[treatment]]\nname = \"frozen\"\nlevels = { blue = \"frozen\" }\nexpect_zero = [\"blue.moves\"]\n",
        "",
    );
    let error = parsed(&no_treatment).expect_err("explicit without treatments").to_string();
    assert!(error.contains("explicit") && error.contains("[[treatment]]"), "{error}");
}

#[test]
fn broken_files_are_errors_with_a_place() {
    let mut said = Messages::default();
    let bom = parsed(&format!("\u{feff}{GOOD}")).expect_err("BOM").to_string();
    assert!(bom.contains(":1:1:") && bom.contains("byte order mark"), "{bom}");
    let bytes = parse(&here(), b"study = \"a\"\nabout = \"\xff\"\n").expect_err("not UTF-8").to_string();
    assert!(bytes.contains(":2:10:") && bytes.contains("UTF-8"), "{bytes}");
    check(&mut said, "blocks = 3", "blocks = ");
    check(&mut said, "blocks = 3", "blocks = 3\nblocks = 4");
    let gone = load(Path::new("no/such/study.toml")).expect_err("missing").to_string();
    assert!(gone.contains("no/such/study.toml") && gone.contains("ablate run"), "{gone}");
    insta::assert_snapshot!(said);
}

#[test]
fn a_key_without_a_value_is_told_what_it_needs() {
    for (from, to, part) in [
        ("blocks = 3", "blocks = ", "`blocks` needs a whole number"),
        ("blocks = 3", "blocks = # how many", "`blocks` needs a whole number"),
        ("study = \"demo\"", "study =", "`study` needs text in quotes"),
        ("arms = [\"env\", \"feature\"]", "arms =", "`arms` needs a list in brackets"),
        ("study = \"demo\"", "study = demo", "quoted"),
    ] {
        assert!(GOOD.contains(from), "{from} is gone");
        let error = parsed(&GOOD.replace(from, to)).expect_err(to).to_string();
        assert!(error.contains(part), "expected `{part}` in {error}");
    }
}

#[test]
fn the_file_that_is_meant_is_named() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(dir.path().join("feature-isolation.toml"), GOOD).expect("writes");
    let error = load(&dir.path().join("featureisolation.toml")).expect_err("is not there").to_string();
    assert!(error.contains("did you mean ") && error.contains("/feature-isolation.toml? "), "{error}");
    let error = load(&dir.path().join("other.toml")).expect_err("is not there").to_string();
    assert!(!error.contains("did you mean"), "{error}");
}
