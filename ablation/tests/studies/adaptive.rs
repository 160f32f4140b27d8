//! Studies that stop by themselves.

use crate::common::{Bench, ENV_ONLY};

fn blocks(bench: &Bench) -> usize {
    let timing = bench.runs().into_iter().filter(|record| record["pass"] == "timing");
    timing.filter_map(|record| record["block"].as_u64()).max().map_or(0, |last| last as usize + 1)
}

#[test]
fn a_study_stops_when_its_time_is_over_and_can_be_continued() {
    let bench = Bench::new(ENV_ONLY);
    // More than six blocks of four short processes, on any machine that gets this far.
    let said = bench.run(&["--budget", "3s"], 0);
    let ran = blocks(&bench);
    assert!(ran >= 1, "{ran}");
    assert_eq!(bench.manifest()["blocks"], ran as u64);
    // All blocks are whole: four cells each.
    assert_eq!(bench.runs().iter().filter(|r| r["pass"] == "timing").count(), 4 * ran);
    if ran >= 6 {
        said.complains(&["plain: the widest interval is ±", "another 3 s would give ±"]);
    } else {
        said.complains(&["give no interval"]);
    }
    // A report of it is complete, and more time adds blocks to it.
    assert_eq!(bench.ablate(&["report", "out"]).code, 0);
    bench.run(&["--resume", "--budget", "1s"], 0);
    assert!(blocks(&bench) > ran);
    assert_eq!(bench.manifest()["blocks"], blocks(&bench) as u64);
    // Without a rule nothing is left to do.
    let before = bench.runs().len();
    bench.run(&["--resume"], 0);
    assert_eq!(bench.runs().len(), before);
}

#[test]
fn a_study_stops_when_its_intervals_are_narrow_enough() {
    let bench = Bench::new(ENV_ONLY);
    // No process of this study takes a second.
    let said = bench.run(&["--until-halfwidth", "1000ms", "--blocks", "40"], 0);
    // It looks from the sixth block on, and only while looking takes little of the time.
    let ran = blocks(&bench);
    assert!((6..=40).contains(&ran), "{ran}");
    said.complains(&["plain: the widest interval is ±", "which is narrow enough (± 1000 ms)"]);

    let bench = Bench::new(ENV_ONLY);
    let said = bench.run(&["--until-halfwidth", "0.000001%", "--blocks", "8"], 0);
    assert_eq!(blocks(&bench), 8);
    said.complains(&["would take about", "stopped after 8 blocks, the maximum"]);
}

#[test]
fn rules_that_cannot_be_read_are_refused() {
    let bench = Bench::new(ENV_ONLY);
    bench.snapshot("halfwidth_without_unit", &bench.run(&["--until-halfwidth", "5"], 2));
    bench.snapshot("budget_is_no_time", &bench.run(&["--budget", "soon"], 2));
    assert!(!bench.path("out").exists());
}
