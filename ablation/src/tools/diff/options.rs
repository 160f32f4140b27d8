//! Errors of a study in the words of a call of `diff`: by its options, because the config of a comparison is no file.

use super::error::DiffError;
use super::request::Request;
use super::subject;
use crate::benchmarks::BenchmarksError;
use crate::builds::BuildError;
use crate::config::{ConfigError, Diagnostic, Study};
use crate::run::PreflightError;
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

/// The error of a study, with the way out where a binary may have wanted arguments.
pub(super) fn failed(request: &Request, study: &Study, error: StudyError) -> DiffError {
    let is_binary = request.config.is_none() && study.subject.harness.is_none();
    match error {
        StudyError::Preflight(PreflightError::AllFailed { .. }) if is_binary && request.args.is_empty() => {
            let call = shell_words::join(crate::support::call::command());
            DiffError::NoArguments { binary: subject::name(study), call, error: Box::new(error) }
        }
        StudyError::Benchmarks(BenchmarksError::Nothing { .. }) if request.config.is_none() => {
            DiffError::NoBenchmarks { bench: subject::name(study) }
        }
        other => other.into(),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_config_has_its_option() {
        assert_eq!(option("features = [\"x\"]"), "--features: ");
        assert_eq!(option("response = \"foo\""), "--response: ");
        // The name of a workload comes from no option.
        assert_eq!(option("name = \"features\""), "");
        assert_eq!(option(""), "");
    }
}
