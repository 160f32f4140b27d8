//! Output of each harness as it was recorded, and what has to be read from it. That of JMH was written by hand, after
//! its documentation.

use super::*;
use std::fs;
use std::path::Path;

/// What is read from output: standard output, and files of the scratch folder by name.
fn read(harness: Harness, benchmark: &str, stdout: &str, files: &[(&str, &str)]) -> Result<Measured, String> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in files {
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("creates");
        fs::write(path, text).expect("writes");
    }
    harness.read(&Output { benchmark, stdout, scratch: dir.path() })
}

fn ids(harness: Harness, stdout: &str, files: &[(&str, &str)]) -> Vec<String> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    files.iter().for_each(|(name, text)| fs::write(dir.path().join(name), text).expect("writes"));
    harness.ids(&Output { benchmark: "", stdout, scratch: dir.path() }).expect("a list")
}

/// The arguments that choose a benchmark.
fn one(harness: Harness, given: &[&str], benchmark: &str) -> String {
    let given: Vec<String> = given.iter().map(|word| (*word).to_owned()).collect();
    harness.one(&Request { benchmark, given: &given, scratch: Path::new("/scratch") }).args.join(" ")
}

fn about(value: Option<f64>, expected: f64) {
    let value = value.expect("is there");
    assert!((value - expected).abs() <= 1e-6 * expected.abs(), "{value} is not {expected}");
}

#[test]
fn criterion_s_samples_are_batches() {
    let sample = include_str!("recorded/criterion/sample.json");
    let files = [
        ("u64[0]/itoa/new/sample.json", sample),
        ("u64[0]/itoa/new/benchmark.json", include_str!("recorded/criterion/benchmark.json")),
        ("u64[0]/itoa/base/sample.json", "not read"),
    ];
    let measured = read(Harness::Criterion, "u64[0]/itoa", "", &files).expect("a result");
    assert_eq!((measured.samples, measured.batches_ns.len(), measured.operations), (Some(10), 10, 33_734_360));
    // Of the first of the ten samples: 3,025,413 ns in 613,352 iterations.
    about(Some(f64::from(measured.batches_ns[0])), 4.932588);
    about(measured.latency_ns_mean, (sample_means(sample)).iter().sum::<f64>() / 10.0);
    let other = read(Harness::Criterion, "u64[1]/itoa", "", &files).expect_err("another");
    assert_eq!(other, "it ran u64[0]/itoa instead of the benchmark `u64[1]/itoa`");
    let none = read(Harness::Criterion, "u64[1]/itoa", "", &[]).expect_err("nothing");
    assert_eq!(none, "it ran no benchmark `u64[1]/itoa`: this build has none of that id");
    let broken = [files[1], (files[0].0, "{\"iters\": [1.0]}")];
    assert!(
        read(Harness::Criterion, "u64[0]/itoa", "", &broken).expect_err("broken").contains("its sample.json is not")
    );
}

fn sample_means(text: &str) -> Vec<f64> {
    let sample: serde_json::Value = serde_json::from_str(text).expect("JSON");
    let list = |key: &str| -> Vec<f64> {
        sample[key].as_array().expect("a list").iter().map(|v| v.as_f64().expect("a number")).collect()
    };
    list("times").iter().zip(list("iters")).map(|(time, iters)| time / iters).collect()
}

#[test]
fn criterion_runs_one_benchmark_shortly_unless_the_config_says_how_long() {
    assert_eq!(
        one(Harness::Criterion, &["bench"], "u64[0]/itoa"),
        "--bench --noplot --warm-up-time 0.1 --measurement-time 0.2 --sample-size 10 --nresamples 1001 ^u64\\[0\\]/itoa$"
    );
    let given = ["bench", "--measurement-time", "1", "--sample-size=20"];
    assert_eq!(one(Harness::Criterion, &given, "a"), "--bench --noplot --warm-up-time 0.1 --nresamples 1001 ^a$");
}

#[test]
fn divan_s_row_has_a_median_and_a_mean() {
    let text = include_str!("recorded/divan.txt");
    let measured = read(Harness::Divan, "d::inner::bytes::64", text, &[]).expect("a result");
    let row = text.lines().find(|line| line.contains("64 ")).expect("a row");
    let cells: Vec<&str> = row.split('│').collect();
    let number = |cell: &str| cell.split_whitespace().rev().nth(1).expect("a number").parse::<f64>().expect("a number");
    about(measured.latency_ns_p50, number(cells[2]));
    about(measured.latency_ns_mean, number(cells[3]));
    about(measured.values.get("fastest_ns").copied(), number(cells[0]));
    assert_eq!((measured.samples, measured.latency_ns_p10, measured.operations > 99), (Some(100), None, true));
    let units =
        "x    fastest │ slowest │ median │ mean │ samples │ iters\n│  ╰─ a b  1.5 ns │ 2 s │ 3 ms │ 4 µs │ 5 │ 60\n";
    let units = read(Harness::Divan, "x::a b", units, &[]).expect("a result");
    assert_eq!((units.latency_ns_p50, units.latency_ns_mean, units.operations), (Some(3e6), Some(4e3), 60));
    assert_eq!(units.values["slowest_ns"], 2e9);
    let several = read(Harness::Divan, "d::add", include_str!("recorded/divan-threads.txt"), &[]).expect_err("two");
    assert!(several.contains("(t=1, t=2)") && several.contains("--threads"), "{several}");
    assert!(read(Harness::Divan, "d::add", "", &[]).expect_err("nothing").contains("this build has none of that id"));
    let listed = "d::inner::make::Vec<u8>: benchmark\nd::fib::1: benchmark\n";
    assert_eq!(ids(Harness::Divan, listed, &[]), ["d::inner::make::Vec<u8>", "d::fib::1"]);
}

#[test]
fn libtest_tells_a_median_and_a_range() {
    let all = include_str!("recorded/libtest-all.txt");
    let measured = read(Harness::Libtest, "bench_damerau_levenshtein", all, &[]).expect("a result");
    assert_eq!((measured.latency_ns_p50, measured.values["range_ns"]), (Some(11_003.15), 7_214.28));
    assert_eq!((measured.latency_ns_mean, measured.samples), (None, None));
    let alone = include_str!("recorded/libtest.txt");
    assert!(read(Harness::Libtest, "bench_hamming", alone, &[]).expect("a result").latency_ns_p50 > Some(0.0));
    // The crate bencher prints the same, in whole nanoseconds and with a throughput.
    let bencher =
        read(Harness::Libtest, "extend_with_slice", include_str!("recorded/bencher.txt"), &[]).expect("a result");
    assert_eq!(bencher.latency_ns_p50, Some(0.0));
    let missing = read(Harness::Libtest, "bench", alone, &[]).expect_err("a part of a name");
    assert_eq!(missing, "it ran bench_hamming instead of the benchmark `bench`");
    assert!(read(Harness::Libtest, "a", "test a ... bench: soon\n", &[]).expect_err("no time").contains("`soon`"));
    assert_eq!(one(Harness::Libtest, &["b"], "a::b"), "--bench --exact a::b");
}

#[test]
fn counts_of_callgrind_are_values() {
    let text = include_str!("recorded/gungraun.txt");
    let id = "fundu_gungraun_parsing::parsing_speed::without_time_units::mixed_7";
    let measured = read(Harness::Gungraun, id, text, &[]).expect("a result");
    let value = |name: &str| measured.values[name];
    assert_eq!((value("instructions"), value("l1_hits"), value("estimated_cycles")), (766.0, 973.0, 2_933.0));
    assert!(!measured.has_latency() && measured.operations == 1);
    let older = include_str!("recorded/iai-callgrind.txt");
    let inverse = read(Harness::IaiCallgrind, "iai::bench_mat4::mat4_inverse::args", older, &[]).expect("a result");
    assert_eq!((inverse.values["instructions"], inverse.values["estimated_cycles"]), (123.0, 518.0));
    // A benchmark of iai-callgrind cannot be chosen: any word is taken for a part of the target's name.
    assert_eq!(one(Harness::IaiCallgrind, &["bench"], "iai::bench_mat4::mat4_inverse::args"), "--bench");
    assert_eq!(one(Harness::Gungraun, &["bench"], id), format!("--bench {id}"));
    let iai = include_str!("recorded/iai.txt");
    let measured = read(Harness::Iai, "duration_from_i64_nanoseconds", iai, &[]).expect("a result");
    assert_eq!((measured.values["instructions"], measured.values["l1_accesses"]), (23.0, 26.0));
    let again = "a\n  Instructions:                  1,049 (No change)\n  RAM Accesses:   3 (-1.2%)\n";
    assert_eq!(read(Harness::Iai, "a", again, &[]).expect("a result").values["instructions"], 1_049.0);
    assert_eq!(ids(Harness::Iai, iai, &[])[..2], ["duration_from_f64_seconds", "duration_from_i64_nanoseconds"]);
    assert!(
        read(Harness::Gungraun, "x", text, &[]).expect_err("another").starts_with("it ran fundu_gungraun_parsing::")
    );
    for harness in [Harness::Iai, Harness::IaiCallgrind, Harness::Gungraun] {
        assert_eq!(harness.response().as_str(), "value:instructions");
    }
}

#[test]
fn google_benchmark_s_repetitions_are_batches() {
    let file = [("google-benchmark.json", include_str!("recorded/google-benchmark.json"))];
    let measured = read(Harness::GoogleBenchmark, "BM_Fill/8", "", &file).expect("a result");
    // Aggregates of the repetitions are no repetitions.
    assert_eq!((measured.samples, measured.operations), (Some(3), 3 * 1_484_777));
    about(measured.latency_ns_p50, 56.108_878_303_004);
    about(measured.values.get("cpu_ns").copied(), 23.762302352474478);
    about(measured.values.get("bytes_per_s").copied(), 1.346_670_853_915e9);
    let names: Vec<&String> = measured.values.keys().collect();
    assert_eq!(names, ["bytes_per_s", "cpu_ns", "items"]);
    let failed = [("google-benchmark.json", include_str!("recorded/google-benchmark-failed.json"))];
    let why = read(Harness::GoogleBenchmark, "BM_Fail", "", &failed).expect_err("failed");
    assert_eq!(why, "the benchmark failed: no file");
    assert!(
        read(Harness::GoogleBenchmark, "x", "", &[(file[0].0, "")]).expect_err("empty").contains("none of that id")
    );
    assert_eq!(
        one(Harness::GoogleBenchmark, &["./b", "--benchmark_repetitions=9"], "BM_Make<std::vector<int>>/8"),
        "--benchmark_min_time=0.05 --benchmark_filter=^BM_Make<std::vector<int>>/8$ \
         --benchmark_out=/scratch/google-benchmark.json --benchmark_out_format=json"
    );
    assert_eq!(ids(Harness::GoogleBenchmark, "BM_Fill/8\nBM_Fill/64\n\n", &[]), ["BM_Fill/8", "BM_Fill/64"]);
}

#[test]
fn hyperfine_s_runs_are_batches_and_its_commands_are_ids() {
    let file = [("hyperfine.json", include_str!("recorded/hyperfine.json"))];
    assert_eq!(ids(Harness::Hyperfine, "", &file), ["true", "echo a b"]);
    let measured = read(Harness::Hyperfine, "echo a b", "", &file).expect("a result");
    assert_eq!((measured.samples, measured.operations), (Some(5), 5));
    about(measured.latency_ns_p50, 6_148_849.0);
    about(measured.values.get("user_ns").copied(), 1_410_400.0);
    assert!(read(Harness::Hyperfine, "false", "", &file).expect_err("another").contains("true, echo a b"));
    let args = "--export-json /scratch/hyperfine.json --style none";
    assert_eq!(one(Harness::Hyperfine, &["hyperfine", "-N"], "-x a"), format!("{args} --runs 5 --warmup 1 -- -x a"));
    assert_eq!(one(Harness::Hyperfine, &["hyperfine", "-r", "9"], "a"), format!("{args} -- a"));
}

#[test]
fn pytest_benchmark_s_rounds_are_batches() {
    let file = [("pytest-benchmark.json", include_str!("recorded/pytest-benchmark.json"))];
    let measured = read(Harness::PytestBenchmark, "bench_x.py::test_len[a/b [c]]", "", &file).expect("a result");
    assert_eq!((measured.samples, measured.operations), (Some(2), 200));
    about(measured.latency_ns_mean, 66.1199987916916);
    assert_eq!(
        ids(Harness::PytestBenchmark, "", &file),
        ["bench_x.py::test_sum", "bench_x.py::test_len[1]", "bench_x.py::test_len[a/b [c]]"]
    );
    assert!(read(Harness::PytestBenchmark, "x", "", &[]).expect_err("nothing").contains("none of that id"));
    let request = Request { benchmark: "a.py::b", given: &[], scratch: Path::new("/scratch") };
    let call = Harness::PytestBenchmark.one(&request);
    let chosen = call.env.iter().find(|(name, _)| *name == "ABLATE_BENCHMARK").map(|(_, value)| value.as_str());
    assert_eq!((chosen, call.files[0].0), (Some("a.py::b"), "ablate_select.py"));
}

#[test]
fn go_s_lines_are_batches_and_further_values() {
    let text = include_str!("recorded/go.txt");
    let id = "BenchmarkSub/n=10/a_b";
    let measured = read(Harness::Go, id, text, &[]).expect("a result");
    assert_eq!((measured.samples, measured.values["allocations"], measured.values["things_op"]), (Some(3), 1.0, 3.5));
    assert!(measured.values["bytes_per_s"] > 1e6 && measured.values["allocated_bytes"] > 0.0, "{measured:?}");
    // The number of processors is no part of the name, and a longer name is another benchmark.
    let rows = "BenchmarkA-2 \t 10\t 5.0 ns/op\nBenchmarkA-2x 1 7 ns/op\nBenchmarkA 20 6.0 ns/op\nPASS\n";
    let a = read(Harness::Go, "BenchmarkA", rows, &[]).expect("a result");
    assert_eq!((a.samples, a.operations, a.latency_ns_mean), (Some(2), 30, Some(5.5)));
    let listed = ids(Harness::Go, include_str!("recorded/go-list.txt"), &[]);
    assert_eq!(listed, ["BenchmarkSum", "BenchmarkSub/n=1/a_b", "BenchmarkSub/n=10/a_b"]);
    let pattern = "^BenchmarkSub$/^n=10$/^a_b\\.$";
    assert_eq!(
        one(Harness::Go, &["./x.test", "-test.count=2"], "BenchmarkSub/n=10/a_b."),
        format!("-test.run=^$ -test.benchtime=50ms -test.bench={pattern}")
    );
    assert_eq!(
        one(Harness::Go, &["go", "test", "--run", "x"], "BenchmarkA"),
        "-benchtime=50ms -count=5 -bench=^BenchmarkA$"
    );
    assert!(read(Harness::Go, "BenchmarkB", rows, &[]).expect_err("another").contains("BenchmarkA"));
}

#[test]
fn jmh_s_iterations_are_batches_whatever_the_unit() {
    let file = [("jmh.json", include_str!("recorded/jmh.json"))];
    let measured = read(Harness::Jmh, "org.example.Sorting.quick", "", &file).expect("a result");
    assert_eq!((measured.samples, measured.values["gc_alloc_rate_norm"]), (Some(5), 24.0));
    about(measured.latency_ns_p50, 1_260.0);
    about(measured.latency_ns_mean, 1_264.0);
    let rate = read(Harness::Jmh, "org.example.Sorting.rate", "", &file).expect("a result");
    about(rate.latency_ns_p50, 250_000.0);
    let sampled = read(Harness::Jmh, "org.example.Sorting.sampled", "", &file).expect("a result");
    assert_eq!((sampled.latency_ns_p50, sampled.latency_ns_p99), (Some(140.0), Some(410.0)));
    assert_eq!((sampled.latency_ns_mean, sampled.latency_ns_p10), (Some(150.5), None));
    let sized = read(Harness::Jmh, "org.example.Sorting.sized", "", &file).expect_err("two sizes");
    assert!(sized.contains("avgt size=10; avgt size=100") && sized.contains("-p"), "{sized}");
    let listed = "Benchmarks: \norg.example.Sorting.quick\norg.example.Sorting.rate\n";
    assert_eq!(ids(Harness::Jmh, listed, &[]), ["org.example.Sorting.quick", "org.example.Sorting.rate"]);
    assert!(one(Harness::Jmh, &["java"], "a.B$C.d").ends_with("-rff /scratch/jmh.json ^a\\.B\\$C\\.d$"));
}

#[test]
fn every_harness_has_a_name_and_a_response_that_it_reports() {
    let mut names: Vec<&str> = Harness::ALL.iter().map(|harness| harness.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Harness::ALL.len());
    for harness in Harness::ALL {
        let response = harness.response();
        assert!(response == MainResponse::P50 || response.as_str() == "value:instructions", "{harness:?}");
    }
}
