//! Options of a call: what is run, what is printed, and what decides the exit code.

use crate::common::{Bench, ENV_ONLY};

#[test]
fn only_the_factors_and_cells_that_the_call_names_are_run() {
    let bench = Bench::new(ENV_ONLY);
    bench.run(&["--factor", "red"], 0);
    let cells = |bench: &Bench| -> Vec<String> {
        let plan = bench.manifest()["plan"]["cells"].clone();
        plan.as_array().expect("a list").iter().map(|cell| cell["id"].as_str().expect("text").to_owned()).collect()
    };
    assert_eq!(cells(&bench), ["baseline", "placebo", "no-red@env"]);
    let said = bench.ablate(&["run", "study.toml", "--out", "out", "--resume"]);
    assert!(said.code == 2 && said.err.contains("--factor"), "{said:#?}");
    let bench = Bench::new(ENV_ONLY);
    bench.run(&["--cell", "no-blue@env"], 0);
    assert_eq!(cells(&bench), ["baseline", "placebo", "no-blue@env"]);
    for (args, part) in [
        (["--factor", "rad"], "has no factor `rad`; did you mean `red`?"),
        (["--cell", "no-bleu"], "has no cell `no-bleu`; did you mean `no-blue`?"),
    ] {
        let said = bench.ablate(&[&["run", "study.toml", "--out", "out2"], &args[..]].concat());
        assert!(said.code == 2 && said.err.contains(part), "{said:#?}");
    }
}

#[test]
fn a_quiet_call_prints_results_alone_and_json_is_the_file() {
    let bench = Bench::new(ENV_ONLY);
    let said = bench.run(&["--quiet", "--json"], 0);
    assert_eq!(said.err, "");
    let printed: serde_json::Value = serde_json::from_str(&said.out).expect("only JSON");
    assert_eq!(printed, bench.effects());
    let said = bench.ablate(&["--quiet", "run", "no-such-study.toml"]);
    assert!(said.code == 2 && said.err.starts_with("error: "), "{said:#?}");
}

#[test]
fn targets_decide_the_exit_code_of_a_gate() {
    let target = |high: f64| {
        format!(
            "{ENV_ONLY}[[target]]\nname = \"fast\"\nclaim = \"it is fast\"\nkind = \"value\"\nworkloads = [\"plain\"]\n\
             high = {high}\n"
        )
        .replace("blocks = 2", "blocks = 6")
        .replace("counting_repeats = 1", "counting_repeats = 0")
    };
    let bench = Bench::new(&target(1e9));
    let said = bench.run(&["--gate"], 0);
    assert!(said.err.contains("gate: met"), "{said:#?}");
    let bench = Bench::new(&target(1e-6));
    let said = bench.run(&["--gate"], 1);
    assert!(said.err.contains("gate: missed"), "{said:#?}");
    assert_eq!(bench.ablate(&["report", "out"]).code, 0, "without the gate a missed target is a result");
    assert_eq!(bench.ablate(&["report", "out", "--gate"]).code, 1);
    let bench = Bench::new(ENV_ONLY);
    let said = bench.run(&["--gate"], 2);
    assert!(said.err.contains("[[target]]"), "{said:#?}");
}
