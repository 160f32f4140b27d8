//! The commits of a study that is continued: those that it began with, wherever their branches are now.

use crate::builds::revisions::{Pin, Pinned, WORKTREE};
use crate::config::Study;
use crate::store::StoreError;
use ablate_format::Manifest;
use std::path::Path;

/// The revisions of the study in a folder, by their names in the config; none where the folder has no study yet.
///
/// # Errors
/// [`StoreError`].
pub(super) fn of(folder: Option<&Path>, study: &Study) -> Result<Pinned, StoreError> {
    match folder.filter(|folder| folder.join(crate::store::MANIFEST).is_file()) {
        Some(folder) => Ok(named(&ablate_format::read_manifest(folder)?, study)),
        None => Ok(Pinned::new()),
    }
}

fn named(before: &Manifest, study: &Study) -> Pinned {
    let mut out = Pinned::new();
    for cell in &before.plan.cells {
        let pin = before.builds.iter().find(|build| build.id == cell.build).and_then(Pin::of);
        let levels =
            study.factors.iter().filter(|factor| factor.levels.values().any(|own| own.build.revision.is_some()));
        let level = levels.filter_map(|factor| factor.levels.get(cell.levels.get(&factor.name)?)).next();
        let name = level.map(|level| level.build.revision.as_deref().unwrap_or(WORKTREE));
        out.extend(name.map(str::to_owned).zip(pin));
    }
    out
}
