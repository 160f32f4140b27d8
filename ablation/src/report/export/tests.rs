//! Each format, read again by what knows it.

use super::*;
use crate::analyse::{analyse, fixture::Study};
use crate::prove;
use ablate_format::MainResponse;
use openmetrics_parser::openmetrics::parse_openmetrics;

/// Two workloads, one of them judged by a rate, with a name that every format has to quote.
fn study() -> (Manifest, EffectsFile, Analysis) {
    let mut study = Study::new(&["cache"], &["small", "rate"]);
    study.manifest.study = "a \"quoted\", back\\slashed\nname".to_owned();
    study.manifest.plan.workloads[1].response = MainResponse::named("value:r_per_s").expect("is a response");
    let mut records = study.records(12, |_, cell, _| if cell == "no-cache@env" { 80.0 } else { 100.0 });
    for record in &mut records {
        let value = record.measured.as_ref().and_then(|measured| measured.latency_ns_p10).expect("is a timing run");
        record.measured.as_mut().expect("is a timing run").values = [("r_per_s".to_owned(), 1e6 / value)].into();
    }
    let judged = prove::judge_all(&study.manifest.plan, &records);
    let analysis = analyse(&study.manifest, &records);
    let effects = crate::report::effects(&study.manifest, &judged, &analysis);
    (study.manifest, effects, analysis)
}

#[test]
fn csv_has_a_row_for_each_value_and_empty_fields_for_what_is_missing() {
    let (manifest, effects, analysis) = study();
    let text = export(&manifest, &effects, Some(&analysis), Format::Csv).text;
    let mut reader = ::csv::Reader::from_reader(text.as_bytes());
    assert_eq!(reader.headers().expect("has a header").len(), 14);
    let rows: Vec<::csv::StringRecord> = reader.records().collect::<Result<_, _>>().expect("is CSV");
    let is_of = |row: &&::csv::StringRecord, fields: [&str; 4]| [&row[0], &row[2], &row[4], &row[6]] == fields;
    let find = |fields| rows.iter().find(|row| is_of(row, fields)).expect("is a row");
    let baseline = find(["small", "baseline", "", "latency_ns_p10"]);
    let number = |field: &str| field.parse::<f64>().expect("a number");
    assert!((number(&baseline[8]) - 100.0).abs() < 1.0 && number(&baseline[9]) < number(&baseline[10]), "{baseline:?}");
    assert_eq!((&baseline[7], &baseline[11], &baseline[12]), ("ns/op", "12", "ok"));
    let cost = find(["small", "cache", "on-off", "latency_ns_p10"]);
    assert!((number(&cost[8]) - 20.0).abs() < 1.0 && &cost[12] == "costs", "{cost:?}");
    assert_eq!(&find(["rate", "baseline", "", "value:r_per_s"])[7], "1/s");
    let median = find(["small", "baseline", "", "latency_ns_p50"]);
    assert_eq!((&median[9], &median[11]), ("", ""), "no interval is known of it");
}

#[test]
fn bencher_metrics_are_objects_of_objects_of_numbers() {
    let (manifest, effects, analysis) = study();
    let text = export(&manifest, &effects, Some(&analysis), Format::Bencher).text;
    let all: serde_json::Value = serde_json::from_str(&text).expect("is JSON");
    // The published schema: any benchmark, any measure, `value` required, no number missing.
    for (benchmark, measures) in all.as_object().expect("an object") {
        assert!(!benchmark.is_empty() && benchmark.len() <= 1024);
        for (measure, metric) in measures.as_object().expect("an object") {
            assert!((1..=64).contains(&measure.len()), "{measure}");
            let metric = metric.as_object().expect("an object");
            assert!(metric.contains_key("value") && metric.values().all(serde_json::Value::is_number), "{metric:?}");
            assert!(metric.keys().all(|key| ["value", "lower_value", "upper_value"].contains(&key.as_str())));
        }
    }
    let latency = &all["small/baseline"]["latency"];
    assert!(latency["lower_value"].as_f64() < latency["value"].as_f64(), "{latency}");
    assert!(all["small/effect of cache, on-off (env)"]["effect-latency-ns-p10"]["value"].is_number(), "{all}");
}

#[test]
fn github_action_benchmark_gets_what_is_better_when_smaller() {
    let (manifest, effects, analysis) = study();
    let exported = export(&manifest, &effects, Some(&analysis), Format::GithubActionBenchmark);
    let all: serde_json::Value = serde_json::from_str(&exported.text).expect("is JSON");
    let entries = all.as_array().expect("an array");
    for entry in entries {
        assert!(entry["name"].is_string() && entry["unit"].is_string() && entry["value"].is_number(), "{entry}");
        assert!(entry["range"].as_str().is_some_and(|range| range.starts_with("± ")), "{entry}");
    }
    let names: Vec<&str> = entries.iter().filter_map(|entry| entry["name"].as_str()).collect();
    assert!(names.contains(&"small/baseline") && names.contains(&"small/peer fast"), "{names:?}");
    assert!(names.iter().all(|name| !name.starts_with("rate/")), "{names:?}");
    assert!(exported.left_out.expect("rates are left out").contains("of rates"));
}

#[test]
fn openmetrics_is_read_by_another_and_ends_with_its_mark() {
    let (manifest, effects, analysis) = study();
    let text = export(&manifest, &effects, Some(&analysis), Format::OpenMetrics).text;
    assert!(text.ends_with("\n# EOF\n") && text.matches("# EOF").count() == 1, "{text}");
    let parsed = parse_openmetrics(&text).unwrap_or_else(|error| panic!("{error:?} in {text}"));
    let family = parsed.families.get("ablate_cell_seconds").expect("is a family");
    assert_eq!(family.unit, "seconds");
    assert!(!family.help.is_empty());
    assert!(parsed.families.contains_key("ablate_effect_per_second"), "{:?}", parsed.families.keys());
    assert!(text.contains(r#"study="a \"quoted\", back\\slashed\nname""#), "{text}");
    // A family is in one piece, its unit ends its name, and no sample is there twice.
    let mut samples: Vec<&str> =
        text.lines().filter(|line| !line.starts_with('#')).filter_map(|line| Some(line.rsplit_once(' ')?.0)).collect();
    let types: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    for unit in text.lines().filter_map(|line| line.strip_prefix("# UNIT ")) {
        let (name, unit) = unit.split_once(' ').expect("a name and a unit");
        assert!(name.ends_with(&format!("_{unit}")), "{name} {unit}");
    }
    let count = samples.len();
    samples.sort_unstable();
    samples.dedup();
    assert_eq!((samples.len(), types.len()), (count, parsed.families.len()));
}

#[test]
fn the_same_results_give_the_same_bytes() {
    let (manifest, effects, analysis) = study();
    for format in [Format::Csv, Format::Bencher, Format::GithubActionBenchmark, Format::OpenMetrics] {
        assert_eq!(
            export(&manifest, &effects, Some(&analysis), format),
            export(&manifest, &effects, Some(&analysis), format)
        );
    }
}

/// Rows of CSV as `name response` and their fields.
fn fields(text: &str) -> Vec<Vec<String>> {
    let mut reader = ::csv::Reader::from_reader(text.as_bytes());
    let rows = reader.records().map(|row| row.expect("is CSV").iter().map(str::to_owned).collect());
    rows.collect()
}

#[test]
fn an_unproven_effect_is_no_claim_in_any_format() {
    let (manifest, mut effects, analysis) = study();
    for row in &mut effects.effects {
        row.proof = "unproven".to_owned();
    }
    for analysis in [Some(&analysis), None] {
        let csv = fields(&export(&manifest, &effects, analysis, Format::Csv).text);
        let of_effects: Vec<&Vec<String>> = csv.iter().filter(|row| row[1] == "effect").collect();
        assert!(!of_effects.is_empty());
        for row in of_effects.iter().filter(|row| row[4] != "shapley") {
            assert_eq!((row[12].as_str(), row[13].as_str()), ("unproven", "unproven"), "{row:?}");
        }
        for format in [Format::Bencher, Format::OpenMetrics] {
            let exported = export(&manifest, &effects, analysis, format);
            assert!(!exported.text.contains("on-off"), "{}", exported.text);
            assert!(exported.left_out.expect("is told").contains("unproven"));
        }
    }
}

#[test]
fn values_of_few_blocks_stay_in_csv_with_their_number_alone() {
    let study = Study::new(&["cache"], &["w"]);
    let mut records = study.records(12, |_, _, _| 100.0);
    for record in records.iter_mut().filter(|record| record.block < 3) {
        (record.rss_mean_bytes, record.rss_last_bytes) = (Some(5 << 20), Some(4 << 20));
    }
    let judged = prove::judge_all(&study.manifest.plan, &records);
    let analysis = analyse(&study.manifest, &records);
    let effects = crate::report::effects(&study.manifest, &judged, &analysis);
    let csv = fields(&export(&study.manifest, &effects, Some(&analysis), Format::Csv).text);
    let mean = csv.iter().find(|row| row[2] == "baseline" && row[6] == "rss_mean_bytes").expect("is a row");
    assert_eq!(mean[8..12], ["5242880", "", "", "3"], "{mean:?}");
    for (analysis, format) in [(Some(&analysis), Format::Bencher), (None, Format::OpenMetrics)] {
        let exported = export(&study.manifest, &effects, analysis, format);
        assert!(!exported.text.contains("rss_mean") && !exported.text.contains("rss-mean"), "{}", exported.text);
        assert!(exported.left_out.expect("is told").contains("fewer than 6 blocks"));
    }
}

#[test]
fn times_of_whole_runs_are_not_per_operation() {
    let (mut manifest, mut effects, _) = study();
    manifest.plan.workloads[0].response = MainResponse::Wall;
    for row in &mut effects.cells {
        (row.latency_ns_p50, row.latency_ns_mean) = (None, None);
    }
    let csv = fields(&export(&manifest, &effects, None, Format::Csv).text);
    let units: Vec<&str> = csv.iter().filter(|row| row[6].contains("_ns_")).map(|row| row[7].as_str()).collect();
    assert!(units.contains(&"ns"), "{units:?}");
}
