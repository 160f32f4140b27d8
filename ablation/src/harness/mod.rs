//! Benchmark harnesses: what each is asked for one benchmark, and how its output becomes what a measured program would
//! have printed. Text and files in, [`Measured`] out; [`crate::benchmarks`] and [`crate::run`] start the processes.

mod adapter;
mod callgrind;
mod criterion;
mod divan;
mod go;
mod google_benchmark;
mod hyperfine;
mod jmh;
mod libtest;
mod options;
mod pytest_benchmark;
mod samples;
mod text;

use ablate_format::{MainResponse, Measured};
use adapter::Adapter;
pub(crate) use adapter::{Call, Output, Request};
pub(crate) use text::workload_names;

/// A benchmark harness whose output is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Harness {
    /// criterion, a Rust crate.
    Criterion,
    /// divan, a Rust crate.
    Divan,
    /// `#[bench]` functions of Rust's own test harness.
    Libtest,
    /// iai, a Rust crate that runs its functions under callgrind.
    Iai,
    /// iai-callgrind, a Rust crate that runs its functions under callgrind.
    IaiCallgrind,
    /// gungraun, the successor of iai-callgrind.
    Gungraun,
    /// google/benchmark, a C++ library.
    GoogleBenchmark,
    /// hyperfine, which times commands.
    Hyperfine,
    /// pytest-benchmark, a plugin of pytest.
    PytestBenchmark,
    /// JMH, for the JVM.
    Jmh,
    /// `go test -bench`.
    Go,
}

impl Harness {
    /// All harnesses, in the order of the documentation.
    pub(crate) const ALL: [Harness; 11] = [
        Harness::Criterion,
        Harness::Divan,
        Harness::Libtest,
        Harness::Iai,
        Harness::IaiCallgrind,
        Harness::Gungraun,
        Harness::GoogleBenchmark,
        Harness::Hyperfine,
        Harness::PytestBenchmark,
        Harness::Jmh,
        Harness::Go,
    ];

    fn adapter(self) -> &'static Adapter {
        match self {
            Harness::Criterion => &criterion::ADAPTER,
            Harness::Divan => &divan::ADAPTER,
            Harness::Libtest => &libtest::ADAPTER,
            Harness::Iai => &callgrind::IAI,
            Harness::IaiCallgrind => &callgrind::IAI_CALLGRIND,
            Harness::Gungraun => &callgrind::GUNGRAUN,
            Harness::GoogleBenchmark => &google_benchmark::ADAPTER,
            Harness::Hyperfine => &hyperfine::ADAPTER,
            Harness::PytestBenchmark => &pytest_benchmark::ADAPTER,
            Harness::Jmh => &jmh::ADAPTER,
            Harness::Go => &go::ADAPTER,
        }
    }

    /// Its name in configs.
    pub(crate) fn as_str(self) -> &'static str {
        self.adapter().name
    }

    /// Whether its benchmarks are targets of a Cargo package, so that they can be built here.
    pub(crate) fn is_built_by_cargo(self) -> bool {
        self.adapter().by_cargo
    }

    /// Whether an id is an argument of the command, which is left out where another benchmark runs.
    pub(crate) fn ids_are_arguments(self) -> bool {
        self == Harness::Hyperfine
    }

    /// Variables of the runner's environment that its processes get, because it starts other programs.
    pub(crate) fn passes(self) -> &'static [&'static str] {
        self.adapter().passes
    }

    /// What its benchmarks are judged by where the config does not say.
    pub(crate) fn response(self) -> MainResponse {
        MainResponse::named(self.adapter().response).unwrap_or_default()
    }

    /// What a process needs to run one benchmark.
    pub(crate) fn one(self, request: &Request<'_>) -> Call {
        (self.adapter().one)(request)
    }

    /// What a process measured that was started with [`Harness::one`].
    ///
    /// # Errors
    /// What is missing in its output, in one sentence.
    pub(crate) fn read(self, output: &Output<'_>) -> Result<Measured, String> {
        (self.adapter().read)(output)
    }

    /// What a process needs to tell its benchmarks.
    pub(crate) fn list(self, request: &Request<'_>) -> Call {
        (self.adapter().list)(request)
    }

    /// The ids that a process told which was started with [`Harness::list`], each once, in its order.
    ///
    /// # Errors
    /// What is missing in its output, in one sentence.
    pub(crate) fn ids(self, output: &Output<'_>) -> Result<Vec<String>, String> {
        let mut ids: Vec<String> = Vec::new();
        for id in (self.adapter().ids)(output)? {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        Ok(ids)
    }
}

#[cfg(test)]
mod tests;
