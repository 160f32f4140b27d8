//! Which parts a report has, by what the study compares.

use ablate_format::Manifest;

/// Whether the subject is compared with itself; a race with peers alone has no factors to show.
pub(super) fn has_factors(manifest: &Manifest) -> bool {
    !manifest.plan.factors.is_empty()
}

/// Whether there is a ranking of factors. Along a path every step is several of them.
pub(super) fn has_rows(manifest: &Manifest) -> bool {
    let plan = &manifest.plan;
    has_factors(manifest) && (plan.paths.is_empty() || plan.contrasts.iter().any(|contrast| contrast.attribution))
}
