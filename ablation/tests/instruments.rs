//! The commands that look at a machine or at single cells, from the command line to what they print. What a machine
//! cannot do here is skipped with the reason.

mod common;

use common::{Bench, ENV_ONLY};

/// The study with a peer and named functions.
fn with_peer() -> String {
    let peer = "[[peer]]\nname = \"other\"\nargs = [\"--peer\"]\nserved_by = \"other\"\n";
    let function = "[[function]]\nname = \"entry\"\nmatch = [\"subject::main\"]\n";
    format!("{ENV_ONLY}{peer}{function}")
}

fn widest(text: &str) -> usize {
    text.lines().map(|line| line.chars().count()).max().unwrap_or(0)
}

#[test]
fn system_calls_are_counted_for_the_baseline_and_each_peer() {
    let bench = Bench::new(&with_peer());
    let said = bench.ablate(&["syscalls", "study.toml"]);
    if said.err.contains("system calls cannot be counted here") {
        println!("skipped: {}", said.err);
        return;
    }
    assert_eq!(said.code, 0, "{said:?}");
    for part in
        ["plain", "per operation", "in all", "all calls", "page-faults", "baseline −", "Operations: baseline 200"]
    {
        assert!(said.out.contains(part), "expected `{part}` in:\n{}", said.out);
    }
    assert!(widest(&said.out) <= 100, "{}", said.out);
    // The treatments are neither built nor counted.
    assert!(!said.out.contains("no-red") && said.err.contains("building full (1 of 1)"), "{said:?}");
    for (name, args) in
        [("syscalls_of_no_workload", ["--workload", "plane"]), ("syscalls_of_no_peer", ["--peer", "othr"])]
    {
        bench.snapshot(name, &bench.ablate(&[&["syscalls", "study.toml"][..], &args].concat()));
    }
}

#[test]
fn two_cells_are_profiled_into_graphs() {
    let text = with_peer().replace("args = [\"--work\", \"200\"]", "args = [\"--work\", \"2000000\"]");
    let bench = Bench::new(&text);
    let args = ["--cell", "no-red@env", "--samples", "20", "--seconds", "30", "--out", "graphs"];
    let said = bench.ablate(&[&["profile", "study.toml"][..], &args].concat());
    if said.err.contains("no profiler works on this machine") {
        println!("skipped: {}", said.err);
        return;
    }
    assert_eq!(said.code, 0, "{said:?}");
    for part in ["no-red@env", "entry", "elsewhere", "difference", "Written to graphs"] {
        assert!(said.out.contains(part), "expected `{part}` in:\n{}", said.out);
    }
    for file in ["baseline.svg", "no-red-env.svg", "no-red-env-against-baseline.svg"] {
        let svg = std::fs::read_to_string(bench.path("graphs").join(file)).expect("was written");
        assert!(svg.contains("<svg") && svg.contains("main"), "{file}");
    }
    let folded = std::fs::read_to_string(bench.path("graphs/baseline.folded")).expect("was written");
    assert!(folded.lines().any(|line| line.contains("subject::main")), "{folded}");
}

#[test]
fn a_profile_needs_to_know_its_cells() {
    let bench = Bench::new(&with_peer());
    bench.snapshot("profile_of_no_cell", &bench.ablate(&["profile", "study.toml"]));
    let said = bench.ablate(&["profile", "study.toml", "--cell", "no-redd@env"]);
    bench.snapshot("profile_of_an_unknown_cell", &said);
}

#[test]
fn the_doctor_says_what_can_be_measured_here() {
    let said = Bench::new("").ablate(&["doctor", "--seconds", "1"]);
    assert_eq!(said.code, 0, "{said:?}");
    for part in
        ["Machine", "Instruments", "Tools", "Noise", "Smallest effect", "page-faults", "cycles", "10 s", "peaks"]
    {
        assert!(said.out.contains(part), "expected `{part}` in:\n{}", said.out);
    }
    assert!(widest(&said.out) <= 100, "{}", said.out);
}
