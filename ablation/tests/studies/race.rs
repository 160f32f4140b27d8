//! A race of the fixture subject with peers, judged by targets.

use crate::common::{self, Bench};

/// The checksum of so many operations of the fixture subject.
fn checksum(operations: u64) -> String {
    format!("{:x}", (0..operations).fold(0_u64, |sum, i| sum.wrapping_mul(31).wrapping_add(i)))
}

/// A peer that does the same work and says that an operation took so long.
fn script(name: &str, ns: f64) -> String {
    let checksum = checksum(200);
    format!(
        "echo '{{\"format\":2,\"operations\":200,\"served_by\":\"{name}\",\"checksum\":\"{checksum}\",\"latency_over\":\
         \"operations\",\"samples\":200,\"latency_ns_p10\":{ns},\"latency_ns_p50\":{ns},\"latency_ns_p99\":{ns},\
         \"latency_ns_mean\":{ns},\"rss_peak_bytes\":1048576}}'\n"
    )
}

/// No factor, two peers that are there, one that is not, and a bar of every outcome.
const RACE: &str = r#"
study = "race"
seed = 1
blocks = 6
counting_repeats = 0
[subject]
package = "subject"
manifest = "@MANIFEST@"
profile = "dev"
served_by = "subject"
[[workload]]
name = "plain"
args = ["--work", "200"]
[[workload]]
name = "memory"
args = ["--work", "200"]
response = "rss-peak"
[[peer]]
name = "instant"
command = ["sh", "instant.sh"]
served_by = "instant"
[[peer]]
name = "endless"
command = ["sh", "endless.sh"]
served_by = "endless"
workloads = ["plain"]
[[peer]]
name = "gone"
env = { LD_PRELOAD = "libno-such-library.so.7" }
args = ["--peer"]
served_by = "gone"
optional = true
hint = "apt-get install no-such-library7"
[[target]]
name = "t-met"
claim = "far below the endless one"
kind = "ratio"
peer = "endless"
workloads = ["plain"]
high = 0.5
[[target]]
name = "t-missed"
claim = "close to the best"
kind = "rows"
workloads = ["plain"]
high = 1.15
[[target]]
name = "t-held"
claim = "little is held"
kind = "value"
workloads = ["plain", "memory"]
response = "value:held_share"
high = 0.15
[[target]]
name = "t-between"
claim = "memory is the same as itself"
kind = "between"
response = "value:held_bytes"
workloads = ["plain", "memory"]
low = 0.9
[[target]]
name = "t-gone"
claim = "as good as one that is not there"
kind = "ratio"
peer = "gone"
workloads = ["plain"]
high = 1.0
"#;

fn bench(text: &str) -> Bench {
    let bench = Bench::new(text);
    for (name, ns) in [("instant", 0.001), ("endless", 1e9)] {
        std::fs::write(bench.path(&format!("{name}.sh")), script(name, ns)).expect("writes the peer");
    }
    bench
}

#[test]
fn targets_are_judged_beside_peers_of_which_one_is_missing() {
    let bench = bench(RACE);
    bench.snapshot_but("plan_of_a_race", &bench.ablate(&["plan", "study.toml"]), common::PLAN_DIFFERS);
    let said = bench.run(&[], 0);
    said.complains(&["peer gone is left out: there is no library `libno-such-library.so.7`; apt-get install"]);
    let head: Vec<&str> = said.out.lines().take(8).collect();
    assert!(head.contains(&"- targets: 3 met, 1 missed, 1 not judged"), "{}", said.out);
    for part in [
        "The subject beside its peers",
        "left out: peer gone",
        "MiB rss-peak",
        "t-missed missed: close to the best; plain, instant",
        "t-gone not judged: as good as one that is not there; peer `gone` is not on this machine.",
        "None: all 42 runs agree with the plan.",
    ] {
        assert!(said.out.contains(part), "expected `{part}` in:\n{}", said.out);
    }
    for part in ["costs most", "No factor is"] {
        assert!(!said.out.contains(part), "a race has no `{part}`:\n{}", said.out);
    }
    assert!(said.out.lines().all(|line| line.chars().count() <= 100), "{}", said.out);
    let effects = bench.effects();
    let verdicts: Vec<&str> =
        effects["targets"].as_array().expect("a list").iter().filter_map(|t| t["verdict"].as_str()).collect();
    assert_eq!(verdicts, ["met", "missed", "met", "met", "not-judged"]);
    assert_eq!(effects["targets"][1]["rows"][0]["peer"], "instant");
    assert_eq!(bench.manifest()["plan"]["absent"][0]["peer"], "gone");
    let said = bench.ablate(&["archive", "out", "--to", "kept"]);
    assert!(said.code == 0 && said.out.contains("archived race in kept/race"), "{said:?}");
    let folder = bench.path("").display().to_string();
    for file in ["manifest.json", "effects.json", "report.md", "records.jsonl"] {
        let text = std::fs::read_to_string(bench.path("kept/race").join(file)).expect("is kept");
        assert!(
            !text.contains(folder.trim_end_matches('/')) && !text.contains(concat!("/ro", "ot/")),
            "{file}:\n{text}"
        );
        assert!(!text.contains(env!("CARGO_MANIFEST_DIR")), "{file}:\n{text}");
    }
    // Seven cells in all: `endless` runs with one workload only.
    assert_eq!(bench.runs().iter().filter(|record| record["pass"] == "timing").count(), 7 * 6);
}

#[test]
fn another_server_or_a_missing_value_makes_a_peer_invalid_and_leaves_its_bars_open() {
    let text = RACE.replace("served_by = \"endless\"", "served_by = \"another\"");
    let bench = bench(&text);
    let said = bench.run(&[], 1);
    assert!(said.out.contains("served by `endless`, expected `another`"), "{}", said.out);
    assert!(said.out.contains("t-met not judged"), "{}", said.out);
    let text = RACE.replace("response = \"rss-peak\"", "response = \"value:held_share\"");
    let bench = self::bench(&text);
    let said = bench.run(&["--workload", "memory"], 1);
    let flat = said.unwrapped();
    assert!(flat.contains("`memory` is judged by value `held_share`, which the run did not"), "{}", said.out);
    assert!(bench.troubles().iter().all(|(status, _)| status == "invalid"), "{:?}", bench.troubles());
}

#[test]
fn a_peak_that_only_the_runner_sees_is_invalid_where_it_may_be_the_runners() {
    let bench = bench(RACE);
    let silent = script("instant", 0.001).replace(",\"rss_peak_bytes\":1048576", "");
    std::fs::write(bench.path("instant.sh"), silent).expect("writes the peer");
    let said = bench.run(&["--workload", "memory"], 1);
    let flat = said.unwrapped();
    assert!(flat.contains("seen from outside, is not above the") && flat.contains("`rss_peak_bytes`"), "{}", said.out);
    let troubles = bench.troubles();
    assert!(troubles.len() == 6 && troubles.iter().all(|(status, _)| status == "invalid"), "{troubles:?}");
}

#[test]
fn a_peer_that_must_be_there_and_is_not_ends_the_study() {
    let bench = bench(&RACE.replace("optional = true\n", ""));
    bench.snapshot("missing_peer", &bench.run(&[], 2));
    assert!(!bench.path("out").exists());
}

#[test]
fn a_race_stops_when_its_ratios_are_narrow_enough() {
    let bench = bench(RACE);
    let said = bench.run(&["--until-halfwidth", "10000%", "--blocks", "30"], 0);
    said.complains(&["plain: the widest interval is ±", "to ", "narrow enough"]);
    let blocks = bench.manifest()["blocks"].as_u64().expect("a number");
    assert!((6..=30).contains(&blocks), "{blocks}");
}
