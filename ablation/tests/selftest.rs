//! `ablate selftest` and its subject as their users see them. How near estimates come to the truth depends on what else
//! this machine does, so that no test asks for it; what does not depend on time must be right.

mod common;

use common::{Bench, ENV_ONLY};

#[test]
fn every_row_is_answered_and_what_is_inert_is_invalid() {
    let bench = Bench::new(ENV_ONLY);
    let said = bench.ablate(&["selftest", "--idle", "--blocks", "10", "--out", "st"]);
    assert!([0, 1].contains(&said.code), "{said:#?}");
    let answer = |what: &str| {
        let line = said.out.lines().find(|line| line.starts_with(what));
        line.unwrap_or_else(|| panic!("no row `{what}` in {said:#?}")).to_owned()
    };
    for what in ["half ", "two ", "ten ", "fifty ", "left ", "right ", "all six ", "left × right ", "zero ", "faulty "]
    {
        let line = answer(what);
        assert!(line.contains("hit") || line.contains("miss: "), "{line}");
    }
    let inert = answer("inert ");
    assert!(inert.contains("invalid") && inert.ends_with("hit"), "{inert}");
    let faults = answer("faulty, page faults");
    assert!(faults.ends_with("hit") || faults.contains("not known"), "{faults}");
    assert_eq!(said.code == 0, said.out.contains("Passed") && !said.out.contains("miss: "), "{said:#?}");
    assert!(bench.path("st/idle/records.jsonl").is_file() && !bench.path("st/busy").exists());
    // Its study is one like any other.
    assert!(bench.ablate(&["report", "st/idle"]).out.contains("fifty"));
}

#[test]
fn the_synthetic_subject_obeys_its_levels_and_refuses_what_it_does_not_know() {
    let bench = Bench::new(ENV_ONLY);
    let run = |name: &str| {
        let mut command = bench.command(&["synthetic", "--link-ns", "0.3", "--batches", "4"]);
        let output = command.env(name, "1").output().expect("ablate starts");
        serde_json::from_slice::<serde_json::Value>(&output.stdout).expect("one line of JSON")
    };
    let (all, less) = (run("NOTHING"), run("SYNTHETIC_DISABLE_FAULTY"));
    assert_eq!(all["checksum"], less["checksum"]);
    assert_eq!((&all["levels"]["faulty"], &less["levels"]["faulty"]), (&"on".into(), &"off".into()));
    assert_eq!(less["counters"]["faulty"]["work"], 0);
    assert!(all["page_faults"].as_u64() >= Some(4), "{all}");
    // It works although it says that it is off: this is what must be found out.
    let inert = run("SYNTHETIC_DISABLE_INERT");
    assert_eq!(inert["levels"]["inert"], "off");
    assert!(inert["counters"]["inert"]["work"].as_u64() > Some(0), "{inert}");
    assert_eq!(run("SYNTHETIC_DISABLE_FITFY")["env_rejected"].as_array().map(Vec::len), Some(1));
}
