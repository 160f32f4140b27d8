//! Verdicts about programs that are judged from outside: every level counts, nothing is claimed without proof, what they
//! print is compared, and memory stands beside time.

use crate::common::Bench;
use serde_json::Value;

/// A shell script as the subject. `%SCRIPT%` is what it does, `%FACTORS%` the levels, `%WORKLOAD%` more keys of the
/// workload.
const SCRIPT: &str = r#"
study = "demo"
seed = 1
blocks = 6
arms = ["env"]
design = ["leave-one-out"]
[subject]
command = ["sh", "-c", '%SCRIPT%']
%FACTORS%
[[workload]]
name = "plain"
args = []
%WORKLOAD%
"#;

fn bench(script: &str, factors: &str, workload: &str) -> Bench {
    let text = SCRIPT.replace("%SCRIPT%", script).replace("%FACTORS%", factors).replace("%WORKLOAD%", workload);
    Bench::new(&text)
}

/// One factor with the levels `a` and `b`, told by the variable `LEVEL`.
const TWO_LEVELS: &str = r#"
[[factor]]
name = "level"
baseline = "a"
[factor.levels]
a = {}
b = { LEVEL = "b" }
"#;

/// The effect of the factor `level` in a response.
fn row(effects: &Value, response: &str) -> Value {
    let rows = effects["effects"].as_array().expect("a list");
    let of = |row: &&Value| row["factor"] == "level" && row["response"] == response;
    rows.iter().find(of).unwrap_or_else(|| panic!("no row of {response}")).clone()
}

#[test]
fn the_level_that_saves_most_is_named_and_not_the_small_cost_beside_it() {
    // Files that are opened are counted exactly, and take time too.
    let script = "case $OPT in 1) n=120;; 2) n=10;; *) n=200;; esac; [ \"$DEBUG\" = no ] || n=$((n+1)); \
                  while [ $n -gt 0 ]; do cat /dev/null; n=$((n-1)); done";
    let factors = r#"
[[factor]]
name = "opt"
baseline = "o0"
[factor.levels]
o0 = {}
o1 = { OPT = "1" }
o2 = { OPT = "2" }
[[factor]]
name = "debug"
[factor.levels]
on = {}
off = { DEBUG = "no" }
"#;
    let bench = bench(script, factors, "");
    let said = bench.run(&[], 0).unwrapped();
    assert!(said.contains("opt: o2 saves most: "), "{said}");
    let effects = bench.effects();
    let rows = effects["effects"].as_array().expect("a list");
    let o2 = rows.iter().find(|row| row["level"] == "o2" && row["response"] == "wall_ns").expect("a row");
    // In the file a difference is the baseline's side minus the other, so the baseline costs.
    assert_eq!((&o2["contrast"], &o2["verdict"], &o2["proof"]), (&"o0-o2".into(), &"costs".into(), &"proven".into()));
    assert!(o2["estimate_percent"].as_f64().is_some_and(|percent| (60.0..100.0).contains(&percent)), "{o2}");
    assert!(o2["lo_all"].is_f64() && o2["hi_all"].is_f64(), "{o2}");
}

#[test]
fn a_switch_that_does_nothing_is_unproven_everywhere() {
    let bench = bench("true", TWO_LEVELS, "");
    let said = bench.run(&[], 0).unwrapped();
    assert!(said.contains("measured but unproven: level: b "), "{said}");
    assert!(said.contains("Nothing tells these levels apart, so no cost of the switch is claimed."), "{said}");
    assert!(!said.contains("largest difference") && !said.contains("saves most"), "{said}");
    let table = said.split("plain").last().unwrap_or_default();
    assert!(!table.contains(" none "), "{said}");
    assert_eq!(row(&bench.effects(), "wall_ns")["proof"], "unproven");
}

#[test]
fn a_level_that_prints_something_else_is_invalid_unless_that_is_expected() {
    let script = "echo same; echo ${LEVEL:-a}";
    let strict = bench(script, TWO_LEVELS, "");
    let said = strict.run(&[], 1).unwrapped();
    let reason = "its output differs from that of the baseline in line 2: `b` instead of `a`";
    assert!(said.contains(reason), "{said}");
    let troubles = |bench: &Bench| -> usize { bench.troubles().len() };
    // Records tell what was seen; the verdict is of the study as a whole.
    assert_eq!(troubles(&strict), 0);
    let timed = |run: &&Value| run["pass"] == "timing";
    for run in strict.runs().iter().filter(timed) {
        assert_eq!(run["output_sha256"].as_str().map(str::len), Some(64), "{run}");
        assert_eq!((&run["exit_code"], run["output_start"].is_string()), (&0.into(), run["block"].as_u64() < Some(2)));
    }
    assert_eq!(row(&strict.effects(), "wall_ns")["verdict"], "invalid");

    let relaxed = bench(script, TWO_LEVELS, "output = \"may-differ\"");
    let said = relaxed.run(&[], 0).unwrapped();
    assert!(said.contains("differs, which is allowed") && said.contains("`b` instead of `a`"), "{said}");
    assert_eq!(row(&relaxed.effects(), "wall_ns")["proof"], "proven", "what prints otherwise does something");

    let ignored = bench(script, TWO_LEVELS, "output = \"ignored\"");
    ignored.run(&[], 0);
    assert!(ignored.runs().iter().all(|run| run["output_sha256"].is_null() && run["output_start"].is_null()));
    assert_eq!(row(&ignored.effects(), "wall_ns")["proof"], "unproven");
}

#[test]
fn an_output_that_is_never_the_same_is_said_once_and_invalidates_nothing() {
    let bench = bench("echo process $$ ${LEVEL:-a}", TWO_LEVELS, "");
    let said = bench.run(&[], 0).unwrapped();
    assert_eq!(said.matches("differs from run to run").count(), 1, "{said}");
    assert_ne!(row(&bench.effects(), "wall_ns")["verdict"], "invalid");
}

#[test]
fn an_unknown_rule_for_outputs_is_pointed_at() {
    let bench = bench("true", TWO_LEVELS, "output = \"may-difer\"");
    bench
        .run(&[], 2)
        .complains(&["`output` is one of same, same-for-all, may-differ, ignored", "did you mean `may-differ`?"]);
}

#[test]
fn memory_stands_beside_time_for_runs_that_are_long_enough() {
    // The level holds some 20 MB more, and both sleep long enough to be sampled.
    let script = "[ \"$LEVEL\" = b ] && x=$(head -c 20000000 /dev/zero | tr \"\\\\0\" x); sleep 0.3";
    let bench = bench(script, TWO_LEVELS, "");
    let said = bench.run(&[], 0).unwrapped();
    assert!(said.contains("Time and memory of plain:"), "{said}");
    let mean = row(&bench.effects(), "rss_mean_bytes");
    assert_eq!(mean["verdict"], "saves", "the baseline holds less: {mean}");
    assert!(mean["estimate"].as_f64().is_some_and(|bytes| bytes < -3e6), "{mean}");
    let runs = bench.runs();
    let timed = runs.iter().filter(|run| run["pass"] == "timing");
    assert!(timed.clone().all(|run| run["rss_mean_bytes"].as_u64() > Some(0)), "{runs:#?}");
    assert!(runs.iter().filter(|run| run["pass"] == "counting").all(|run| run["rss_mean_bytes"].is_null()));
}

#[test]
fn nothing_of_a_config_or_program_steers_the_terminal() {
    let escape = "\\u001b[31mRED\\u001b[0m";
    let factors = TWO_LEVELS.replace("baseline = \"a\"", &format!("baseline = \"a\"\nabout = \"{escape}\""));
    let script = "printf \"\\033[2J${LEVEL:-a}\\n\"; printf \"\\033]0;title\\007\" >&2";
    let bench = bench(script, &factors, &format!("about = \"{escape}\\nnext\""));
    let mut texts = vec![bench.run(&[], 1)];
    texts.push(bench.ablate(&["plan", "study.toml"]));
    texts.push(bench.ablate(&["report", "out"]));
    for said in &texts {
        for text in [&said.out, &said.err] {
            assert!(text.chars().all(|c| !c.is_control() || c == '\n'), "{text:?}");
        }
    }
    assert!(texts[0].out.contains("\\u{1b}[31mRED") && texts[0].unwrapped().contains("\\u{1b}[2Jb"), "{texts:#?}");
    let report = std::fs::read_to_string(bench.path("out/report.md")).expect("is there");
    assert!(report.chars().all(|c| !c.is_control() || c == '\n'), "{report:?}");
    assert!(report.contains("RED\\u{1b}[0m next"), "a line break of the config is none of the page: {report}");
}

#[test]
fn a_dash_is_no_folder() {
    let bench = bench("true", TWO_LEVELS, "");
    for args in
        [&["run", "study.toml", "--out", "-"][..], &["init", "--out", "-", "--", "true"], &["selftest", "--out", "-"]]
    {
        let said = bench.ablate(args);
        assert_eq!(said.code, 2, "{said:#?}");
        said.complains(&["results are files, not one stream", "./-"]);
    }
    assert!(!bench.path("-").exists());
}
