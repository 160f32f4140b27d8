//! Mistakes in what a call asks for, by its options: the config of a comparison is no file.

use super::error::DiffError;
use super::request::Request;
use crate::benchmarks::BenchmarksError;
use crate::builds::BuildError;
use crate::config::{ConfigError, Diagnostic};
use crate::study::StudyError;

/// An error with the name of the option instead of a place in the config, where the call names no config.
pub(super) fn named(request: &Request, error: DiffError) -> DiffError {
    if request.config.is_some() {
        return error;
    }
    let diagnostic: &Diagnostic = match &error {
        DiffError::Config(ConfigError::Invalid(diagnostic))
        | DiffError::Build(BuildError::Config(diagnostic))
        | DiffError::Study(
            StudyError::Config(ConfigError::Invalid(diagnostic))
            | StudyError::Build(BuildError::Config(diagnostic))
            | StudyError::Benchmarks(
                BenchmarksError::Config(ConfigError::Invalid(diagnostic))
                | BenchmarksError::Build(BuildError::Config(diagnostic)),
            ),
        ) => diagnostic,
        DiffError::Study(StudyError::Benchmarks(BenchmarksError::NoMatch { filter, there, .. })) => {
            let message = format!("no benchmark of the base matches `{filter}`; there are {there}");
            return DiffError::Option { option: "--filter: ", message };
        }
        _ => return error,
    };
    DiffError::Option { option: option(diagnostic.quote()), message: diagnostic.message().to_owned() }
}

/// The option that a line of the config comes from, before a message.
fn option(line: &str) -> &'static str {
    match line.split('=').next().unwrap_or_default().trim() {
        "features" => "--features: ",
        "filter" => "--filter: ",
        "response" => "--response: ",
        "args" => "-- ARGS: ",
        "layouts" => "--layouts: ",
        "package" => "--package: ",
        "bench" => "--bench: ",
        "binary" => "--bin: ",
        _ => "",
    }
}
