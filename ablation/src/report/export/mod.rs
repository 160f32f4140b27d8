//! The results of a study in the formats of other tools: pure, and the same results give the same bytes.

mod bencher;
mod csv;
mod exported;
mod github_action_benchmark;
mod openmetrics;
mod rows;

use crate::analyse::Analysis;
use crate::support::count::counted_verb;
use ablate_format::{EffectsFile, Manifest};
use ablate_stats::MIN_BLOCKS;
pub(crate) use exported::Exported;
use rows::Row;

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

/// The results in a format; `analysis` is what their records say in full, where there are any. Formats without a column for
/// the proof and the number of blocks have no effect that is unproven, and no value of fewer blocks than an interval needs.
pub(crate) fn export(
    manifest: &Manifest,
    effects: &EffectsFile,
    analysis: Option<&Analysis>,
    format: Format,
) -> Exported {
    let mut rows = rows::rows(manifest, effects, analysis);
    let all = |text| Exported { text, left_out: None };
    if format == Format::Csv {
        return all(csv::text(&rows));
    }
    let mut without = Vec::new();
    let mut leave_out = |is_left_out: &dyn Fn(&Row) -> bool, why: &str| {
        let before = rows.len();
        rows.retain(|row| !is_left_out(row));
        let count = before - rows.len();
        if count > 0 {
            without.push(format!("{} left out, because {why}", counted_verb(count, "row", ["is", "are"])));
        }
    };
    leave_out(&Row::is_unproven, "nothing tells the levels of their factors apart (unproven)");
    leave_out(
        &Row::is_of_few,
        &format!("fewer than {MIN_BLOCKS} blocks have their value, or it is not known how many"),
    );
    let mut exported = match format {
        Format::Csv | Format::OpenMetrics => all(openmetrics::text(manifest, &rows)),
        Format::Bencher => bencher::export(&rows),
        Format::GithubActionBenchmark => github_action_benchmark::export(&rows),
    };
    without.extend(exported.left_out);
    exported.left_out = (!without.is_empty()).then(|| without.join("; "));
    exported
}

#[cfg(test)]
mod tests;
