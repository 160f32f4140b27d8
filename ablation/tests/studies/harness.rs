//! Benchmark harnesses and minimal lines, from the config to the report.

use crate::common::Bench;
use serde_json::Value;

/// What a test binary of Go prints, from a script: the benchmark that is asked for, or both. The second one is slower
/// with the variable SLOW.
const SCRIPT: &str = r#"
for word; do case "$word" in -test.bench=*) wanted="${word#-test.bench=}";; esac; done
echo "$wanted" >> asked
row() { echo "$1-2   100   $2 ns/op   16 B/op"; }
case "$wanted" in
  .) echo "BenchmarkA 1 5 ns/op"; echo "BenchmarkB/n=1 1 7 ns/op";;
  '^BenchmarkA$') for ns in 10 11 12; do row BenchmarkA $ns; done;;
  '^BenchmarkB$/^n=1$') for ns in 20 21 22; do row BenchmarkB/n=1 ${SLOW}$ns; done;;
esac
echo PASS
"#;

const STUDY: &str = r#"
study = "demo"
seed = 1
blocks = 6
[subject]
command = ["sh", "bench.sh"]
harness = "go"
[[factor]]
name = "slow"
baseline = "no"
levels = { no = {}, yes = { SLOW = "1" } }
"#;

fn scripted(text: &str) -> Bench {
    let bench = Bench::new(text);
    std::fs::write(bench.path("bench.sh"), SCRIPT).expect("writes");
    bench
}

fn cell<'e>(effects: &'e Value, workload: &str, treatment: &str) -> &'e Value {
    let cells = effects["cells"].as_array().expect("a list");
    let found = cells.iter().find(|cell| cell["workload"] == workload && cell["treatment"] == treatment);
    found.unwrap_or_else(|| panic!("no cell {workload} {treatment} in {effects:#}"))
}

#[test]
fn every_benchmark_of_a_harness_is_a_workload() {
    let bench = scripted(STUDY);
    let said = bench.run(&[], 0);
    said.complains(&["2 benchmarks of 2: `BenchmarkA`, `BenchmarkB/n=1`"]);
    let workloads = bench.manifest()["plan"]["workloads"].clone();
    assert_eq!(workloads[1]["name"], "benchmarkb-n-1");
    assert_eq!((&workloads[1]["benchmark"], &workloads[1]["response"]), (&"BenchmarkB/n=1".into(), &"p50".into()));
    // Nothing is counted. Every process ran the benchmark of its workload alone, three samples of 100 operations.
    for run in bench.runs() {
        assert_eq!((&run["pass"], &run["status"]), (&"timing".into(), &"ok".into()), "{run}");
        assert_eq!((&run["measured"]["samples"], &run["measured"]["operations"]), (&3.into(), &300.into()));
        assert_eq!(run["measured"]["values"]["allocated_bytes"], 16.0);
    }
    let effects = bench.effects();
    assert_eq!(cell(&effects, "benchmarka", "baseline")["value"]["value"], 11.0);
    assert_eq!(cell(&effects, "benchmarkb-n-1", "baseline")["value"]["value"], 21.0);
    assert_eq!(cell(&effects, "benchmarkb-n-1", "slow-yes")["value"]["value"], 121.0);
    // One binary and no counts: nothing shows that the level did anything.
    let rows = effects["effects"].as_array().expect("a list");
    let row = rows.iter().find(|row| row["factor"] == "slow" && row["workload"] == "benchmarkb-n-1").expect("a row");
    assert_eq!((&row["estimate"], &row["proof"]), (&(-100.0).into(), &"unproven".into()), "{row}");
    let asked = std::fs::read_to_string(bench.path("asked")).expect("was asked");
    let alone = asked.lines().filter(|line| *line == "^BenchmarkA$").count();
    // Three cells in six blocks, and the preflight of each.
    assert_eq!(alone, 3 * 6 + 3, "{asked}");
    bench.run(&["--resume"], 0);
    assert_eq!(bench.runs().len(), 3 * 2 * 6);
}

#[test]
fn benchmarks_are_chosen_by_filter_or_by_id() {
    let bench = scripted(&STUDY.replace("harness = \"go\"", "harness = \"go\"\nfilter = 'n=\\d$'"));
    bench.run(&["--blocks", "1"], 0).complains(&["1 benchmark of 2: `BenchmarkB/n=1`"]);
    let chosen = format!("{STUDY}[[workload]]\nname = \"first\"\nbenchmark = \"BenchmarkA\"\n");
    let bench = scripted(&chosen);
    bench.run(&["--blocks", "1"], 0);
    assert_eq!(bench.manifest()["plan"]["workloads"][0]["about"], "BenchmarkA");
    let wrong = scripted(&chosen.replace("\"BenchmarkA\"", "\"BenchmarkB/n=2\""));
    let said = wrong.run(&[], 2);
    said.complains(&[
        "workload `first`: the baseline has no benchmark `BenchmarkB/n=2`; did you mean `BenchmarkB/n=1`?",
    ]);
    let none = scripted(&STUDY.replace("harness = \"go\"", "harness = \"go\"\nfilter = 'C'"));
    none.run(&[], 2).complains(&["no benchmark matches filter `C`; there are `BenchmarkA`, `BenchmarkB/n=1`"]);
    let said = scripted(STUDY).ablate(&["plan", "study.toml"]);
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("benchmarkb-n-1") && said.out.contains("BenchmarkB/n=1"), "{}", said.out);
}

#[test]
fn a_harness_that_fails_or_lists_nothing_is_told_with_its_command() {
    let bench = Bench::new(STUDY);
    std::fs::write(bench.path("bench.sh"), "echo no data file >&2; exit 3").expect("writes");
    let said = bench.run(&[], 1);
    said.complains(&["go lists no benchmarks: it ends with exit code 3: no data file", "bench.sh '-test.run=^$'"]);
    std::fs::write(bench.path("bench.sh"), "echo PASS").expect("writes");
    bench.run(&[], 2).complains(&["go lists no benchmark; write a [[workload]] with its `benchmark`"]);
}

#[test]
fn a_bench_target_is_built_and_a_benchmark_of_one_build_is_said() {
    let text = r#"
study = "demo"
seed = 1
blocks = 1
[subject]
package = "subject"
manifest = "@MANIFEST@"
harness = "libtest"
bench = "speed"
[[factor]]
name = "red"
feature = "red"
levels = { on = {} }
"#;
    let bench = Bench::new(text);
    let said = bench.run(&[], 0);
    said.complains(&["2 benchmarks of 2: `always`, `only_red`"]);
    let gone = "benchmark `only_red` is not in every build: no-red@feature did not run with it";
    said.complains(&[gone]);
    assert!(said.unwrapped().contains(gone), "{}", said.out);
    for run in bench.runs() {
        assert!(run["status"] == "ok" && run["measured"]["latency_ns_p50"].is_number(), "{run}");
        assert!(run["workload"] != "only-red" || run["cell"] != "no-red@feature", "{run}");
    }
    // Two workloads of baseline and placebo, one of the build without the feature.
    assert_eq!(bench.runs().len(), 5);
    let other = Bench::new(&text.replace("libtest", "criterion"));
    other.run(&[], 2).complains(&["benchmark `speed` uses libtest by its text; write harness = \"libtest\""]);
    let missing = Bench::new(&text.replace("\"speed\"", "\"sped\""));
    missing.run(&[], 2).complains(&["there is no benchmark `sped` of package `subject`", "did you mean `speed`?"]);
}

/// A program that prints this as its only line.
fn printing(line: &str) -> String {
    let script = format!("echo '{line}'").replace('\\', "\\\\").replace('"', "\\\"");
    STUDY.replace(
        "command = [\"sh\", \"bench.sh\"]\nharness = \"go\"",
        &format!("command = [\"sh\", \"-c\", \"{script}\"]"),
    ) + "[[workload]]\nname = \"plain\"\nargs = []\n"
}

#[test]
fn one_named_value_is_what_a_workload_is_judged_by() {
    let bench = Bench::new(&printing(r#"{"value_ns": 12.5}"#));
    let said = bench.run(&[], 0);
    said.complains(&["workload plain is judged by value:value_ns, the only value that it reports"]);
    let value = cell(&bench.effects(), "plain", "baseline").clone();
    assert_eq!((&value["response"], &value["value"]["value"]), (&"value:value_ns".into(), &12.5.into()), "{value}");
    bench.run(&["--resume", "--blocks", "7"], 0);
    assert_eq!(bench.manifest()["plan"]["workloads"][0]["response"], "value:value_ns");
    // Written, it counts whatever else is in the line.
    let chosen = printing(r#"{"latency_us": 3, "rate_per_s": 1e6}"#) + "response = \"value:rate_per_s\"\n";
    let bench = Bench::new(&chosen);
    bench.run(&[], 0);
    let value = cell(&bench.effects(), "plain", "baseline").clone();
    assert_eq!((&value["unit"], &value["value"]["value"]), (&"rate".into(), &1e6.into()), "{value}");
}

#[test]
fn a_line_that_does_not_conform_names_its_key() {
    let chosen = |line: &str| Bench::new(&(printing(line) + "response = \"value:value_ns\"\n"));
    let said = chosen(r#"{"value_ns": "12.5"}"#).run(&[], 1);
    said.complains(&["key `value_ns` is \"12.5\": it must be a number, or one of the keys of docs/format.md"]);
    let said = chosen(r#"{"value_us": 12.5}"#).run(&[], 2);
    said.complains(&[
        "judged by value `value_ns`, which the run did not report: its values are value_us; write response",
    ]);
    // A command that prints several numbers is measured from outside, unless it is told which one counts.
    let bench = Bench::new(&printing(r#"{"a": 1, "b": 2}"#));
    bench.run(&["--blocks", "1"], 0);
    assert_eq!(bench.manifest()["plan"]["workloads"][0]["response"], "wall");
}
