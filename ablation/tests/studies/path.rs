//! Ideas added in turn, from the config to the report.

use crate::common::{self, Bench, ENV_ONLY};

/// What [`ENV_ONLY`] has, and a path on which the fixture subject loses both its factors.
const PATH: &str = r#"
[[treatment]]
name = "first"
levels = { red = "off" }
[[treatment]]
name = "second"
after = "first"
levels = { blue = "off" }
[[peer]]
name = "other"
args = ["--peer"]
served_by = "other"
[[path]]
name = "down"
about = "less and less"
peer = "other"
steps = ["baseline", "first", "second"]
[[path.goal]]
name = "anywhere near"
high_percent = 1e9
[[path.goal]]
name = "far ahead"
high_percent = -99.9
"#;

#[test]
fn a_path_is_followed_step_by_step() {
    let text = ENV_ONLY.replace("\"leave-one-out\"]", "\"explicit\"]").replace("blocks = 2", "blocks = 6");
    let bench = Bench::new(&format!("{}{PATH}", text.replace("counting_repeats = 1", "counting_repeats = 0")));
    bench.snapshot_but("plan_of_a_path", &bench.ablate(&["plan", "study.toml"]), common::PLAN_DIFFERS);
    let said = bench.run(&[], 0);
    let flat = said.unwrapped();
    for part in [
        "Path down: less and less",
        "gap to other [95 %, all steps]",
        "plain: anywhere near (gap ≤ +1,000,000,000%): reached at step `baseline`",
        "plain: far ahead (gap ≤ −99.9%): not reached, the nearest is",
        "Path down, the last step against other: plain",
    ] {
        assert!(flat.contains(part), "expected `{part}` in:\n{}", said.out);
    }
    let effects = bench.effects();
    let workload = &effects["paths"][0]["workloads"][0];
    let steps: Vec<&str> =
        workload["steps"].as_array().expect("a list").iter().filter_map(|s| s["cell"].as_str()).collect();
    assert_eq!(steps, ["baseline", "first@env", "second@env"]);
    assert!(workload["steps"][0]["change_percent"].is_null(), "{workload}");
    assert!(workload["steps"][1]["change_percent"]["value"].as_f64() < Some(0.0), "{workload}");
    assert!(workload["steps"][2]["gap_percent"]["interval"].is_array(), "{workload}");
    assert_eq!(
        (&workload["goals"][0]["verdict"], &workload["goals"][0]["step"]),
        (&"reached".into(), &"baseline".into())
    );
    assert_eq!(
        (&workload["goals"][0]["holds_at_the_end"], &workload["goals"][1]["verdict"]),
        (&true.into(), &"not-reached".into())
    );
    assert_eq!(bench.manifest()["plan"]["paths"][0]["steps"][2], "second");
}
