//! The results of a study in the formats of other tools: pure, and the same results give the same bytes.

mod bencher;
mod csv;
mod exported;
mod github_action_benchmark;
mod openmetrics;
mod rows;

use ablate_format::{EffectsFile, Manifest};
pub(crate) use exported::Exported;

/// A format of another tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// A table with a row for each workload, cell or effect, and response.
    Csv,
    /// Bencher Metric Format.
    Bencher,
    /// `customSmallerIsBetter` of github-action-benchmark.
    GithubActionBenchmark,
    /// OpenMetrics text.
    OpenMetrics,
}

/// The results in a format.
pub(crate) fn export(manifest: &Manifest, effects: &EffectsFile, format: Format) -> Exported {
    let rows = rows::rows(manifest, effects);
    let all = |text| Exported { text, left_out: None };
    match format {
        Format::Csv => all(csv::text(&rows)),
        Format::Bencher => bencher::export(&rows),
        Format::GithubActionBenchmark => github_action_benchmark::export(&rows),
        Format::OpenMetrics => all(openmetrics::text(manifest, &rows)),
    }
}

#[cfg(test)]
mod tests;
