//! The config as people get it wrong.

use super::*;
use ablate_format::{Arm, MainResponse};
use std::path::PathBuf;
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

/// Expects an error with its place in the config, and all `parts`.
#[track_caller]
pub(super) fn assert_says(error: &ConfigError, parts: &[&str]) {
    let error = error.to_string();
    for part in parts {
        assert!(error.contains(part), "expected `{part}` in:\n{error}");
    }
    assert!(error.contains("study.toml:") && error.contains('^'), "no place in:\n{error}");
}

/// Replaces `from` in a config that is right and expects an error that shows the line of `to`, and all `parts`.
#[track_caller]
pub(super) fn check_in(good: &str, from: &str, to: &str, parts: &[&str]) {
    assert_says(&parsed(&planted(good, from, to)).expect_err(to), parts);
}

#[track_caller]
fn check(from: &str, to: &str, parts: &[&str]) {
    check_in(GOOD, from, to, parts);
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
    check(
        "blocks = 3",
        "bloks = 3",
        &["study.toml:4:1", "unknown key `bloks`", "did you mean `blocks`", "4 | bloks = 3"],
    );
    check("pin = false", "pinn = false", &["`pinn`", "`pin`"]);
    check("package = \"subject\"", "pakage = \"subject\"", &["`pakage`", "`package`"]);
}

#[test]
fn wrong_levels_and_factors_name_the_nearest() {
    check("levels = { blue = \"frozen\" }", "levels = { blu = \"frozen\" }", &["unknown factor `blu`", "`blue`"]);
    check("levels = { blue = \"frozen\" }", "levels = { blue = \"frosen\" }", &["unknown level `frosen`", "`frozen`"]);
    check("levels = { blue = \"frozen\" }", "levels = { blue = \"absent\" }", &["`absent`", "write `off`"]);
    check("levels = { blue = \"frozen\" }", "levels = { blue = \"on\" }", &["same as the baseline"]);
    check(
        "levels = { blue = \"frozen\" }",
        "levels = { blue = \"off\", red = \"off\" }",
        &["same levels", "`minimal`"],
    );
}

#[test]
fn factors_need_proof_and_levels() {
    check("proof = [\"red.hits\"]", "proof = []", &["no proof", "counter"]);
    check("proof = [\"red.hits\"]", "proof = [\"hits\"]", &["factor.counter"]);
    check("proof = [\"red.hits\"]", "proof = [\"rad.hits\"]", &["`rad`", "`red`"]);
    check("on = {}\noff = { NO_RED = \"1\" }", "off = { NO_RED = \"1\" }", &["no level `on`"]);
    check("off = { NO_RED = \"1\" }", "of = { NO_RED = \"1\" }", &["no level `off`", "`of`"]);
    check("off = { NO_RED = \"1\" }", "off = { }", &["sets the same as `on`"]);
    check("feature = \"red\"", "feature = \"blue\"", &["feature `blue`", "two factors"]);
}

#[test]
fn names_and_environment_are_checked() {
    check("study = \"demo\"", "study = \"../x\"", &["`../x`", "[a-z0-9-]+"]);
    check("name = \"small\"", "name = \"Small\"", &["`Small`", "[a-z0-9-]+"]);
    check("name = \"large\"", "name = \"small\"", &["workload", "`small`", "twice"]);
    check("name = \"blue\"", "name = \"red\"", &["factor", "`red`", "twice"]);
    check("NO_RED = \"1\"", "LD_PRELOAD = \"x\"", &["LD_PRELOAD", "loader"]);
    check("NO_RED = \"1\"", "GLIBC_TUNABLES = \"x\"", &["GLIBC_TUNABLES"]);
    check("NO_RED = \"1\"", "\"A=B\" = \"x\"", &["`A=B`", "="]);
    check("NO_RED = \"1\"", "X = \"a\\u0000\"", &["NUL"]);
    check("NO_RED = \"1\"", "NO_BLUE = \"1\"", &["NO_BLUE", "`red`", "`blue`"]);
    check("NO_RED = \"1\"", "MODE = \"1\"", &["MODE", "subject"]);
    check("allow_env = [\"PATH\"]", "allow_env = [\"NO_RED\"]", &["NO_RED", "leak"]);
    check("name = \"minimal\"", "name = \"no-red\"", &["`no-red`", "means"]);
    check("name = \"minimal\"", "name = \"baseline\"", &["`baseline`", "reserved"]);
}

#[test]
fn numbers_arms_designs_and_peers_are_checked() {
    check("blocks = 3", "blocks = 0", &["blocks", "1 to 10000", "4 | blocks = 0"]);
    check("blocks = 3", "blocks = 10001", &["1 to 10000"]);
    check("blocks = 3", "blocks = 3\ncounting_repeats = -1", &["counting_repeats", "0 to 100"]);
    check("blocks = 3", "blocks = 3\ncounting_repeats = 101", &["counting_repeats", "0 to 100"]);
    check("design = [\"explicit\", \"leave-one-out\"]", "design = []", &["design is empty", "leave-one-out"]);
    check("seed = 7", "seed = -1", &["seed", "0 to"]);
    check("arms = [\"env\", \"feature\"]", "arms = []", &["arms", "env"]);
    check("arms = [\"env\", \"feature\"]", "arms = [\"evn\"]", &["`evn`", "`env`"]);
    check("\"leave-one-out\"]", "\"leave-on-out\"]", &["`leave-on-out`", "`leave-one-out`"]);
    check("reference_peer = \"other\"", "reference_peer = \"othr\"", &["`othr`", "`other`"]);
    check("response = \"mean\"", "response = \"maen\"", &["unknown response `maen`", "`mean`", "`p10`"]);
    check("design = [\"explicit\", ", "design = [", &["treatment", "explicit"]);
    check("arms = [\"env\", \"feature\"]", "arms = [\"feature\"]", &["env arm only"]);
}

#[test]
fn a_peer_says_who_serves_it() {
    for instead in ["", "served_by = \"\"\n"] {
        check(
            "served_by = \"other\"\n",
            instead,
            &["a peer must say who serves it", "served_by = \"NAME\"", "name = \"other\""],
        );
    }
}

#[test]
fn wrong_types_are_said_in_the_words_of_a_config() {
    check("off = { NO_RED = \"1\" }", "off = 1979-05-27", &["expected a table", "found a date"]);
    check("blocks = 3", "blocks = \"3\"", &["expected a whole number without quotes", "string \"3\""]);
    check("args = [\"--json\"]", "args = \"--json\"", &["expected a list in brackets"]);
    check("study = \"demo\"", "study = 5", &["expected text in quotes"]);
}

#[test]
fn functions_have_names_and_parts_of_names() {
    let study = parsed(&format!("{GOOD}[[function]]\nname = \"lookup\"\nmatch = [\"a::get\", \"b\"]\n")).expect("good");
    let expected = Function { name: "lookup".to_owned(), patterns: vec!["a::get".to_owned(), "b".to_owned()] };
    assert_eq!(study.functions, [expected]);
    let peer = "name = \"other\"\nargs = [\"--peer\"]";
    for wrong in ["[]", "[\"\"]"] {
        check(
            peer,
            &format!(
                "name = \"x\"\nargs = []\nserved_by = \"x\"\n[[function]]\nname = \"f\"\nmatch = {wrong}\n[[peer]]\n{peer}"
            ),
            &["`match` needs"],
        );
    }
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
    let bom = parsed(&format!("\u{feff}{GOOD}")).expect_err("BOM").to_string();
    assert!(bom.contains(":1:1:") && bom.contains("byte order mark"), "{bom}");
    let bytes = parse(&here(), b"study = \"a\"\nabout = \"\xff\"\n").expect_err("not UTF-8").to_string();
    assert!(bytes.contains(":2:10:") && bytes.contains("UTF-8"), "{bytes}");
    check("blocks = 3", "blocks = ", &["study.toml:4:"]);
    check("blocks = 3", "blocks = 3\nblocks = 4", &["study.toml:5:1", "duplicate"]);
    let gone = load(Path::new("no/such/study.toml")).expect_err("missing").to_string();
    assert!(gone.contains("no/such/study.toml") && gone.contains("ablate run"), "{gone}");
}
