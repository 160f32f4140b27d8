//! What a report is made from, and which parts it has, by what the study compares.

use crate::analyse::Analysis;
use crate::gap::study::Explained;
use crate::prove::JudgedRun;
use ablate_format::{Manifest, Pass};
use std::path::Path;

/// A study, judged and analysed.
#[derive(Clone, Copy)]
pub(super) struct Study<'a> {
    /// Where its files are.
    pub(super) dir: &'a Path,
    pub(super) manifest: &'a Manifest,
    pub(super) records: &'a [JudgedRun],
    pub(super) analysis: &'a Analysis,
    pub(super) explained: &'a Explained,
}

impl Study<'_> {
    /// Whether any timed run belongs to the report.
    pub(super) fn is_timed(&self) -> bool {
        self.records.iter().any(|record| record.pass == Pass::Timing)
    }
}

/// Whether the subject is compared with itself; a race with peers alone has no factors to show.
pub(super) fn has_factors(manifest: &Manifest) -> bool {
    !manifest.plan.factors.is_empty()
}

/// Whether a workload is judged by a rate, of which more is better.
pub(super) fn has_rates(analysis: &Analysis) -> bool {
    analysis.workloads.iter().any(|workload| workload.response.quantity().is_better_high())
}

/// What the sign of a Δ means where there are rates, after the legend of a table; empty elsewhere.
pub(super) fn sign_of_rates(analysis: &Analysis) -> &'static str {
    if has_rates(analysis) { " Of a rate (/s) every Δ has the other sign, so that + always costs." } else { "" }
}

/// Whether there is a ranking of factors. Along a path every step is several of them.
pub(super) fn has_rows(manifest: &Manifest) -> bool {
    let plan = &manifest.plan;
    has_factors(manifest) && (plan.paths.is_empty() || plan.contrasts.iter().any(|contrast| contrast.attribution))
}
