//! `cargo ablate history`: what cells take and factors cost over many results, and where that changed.
//!
//! Results come from folders and from a file that keeps a line of each. A series is one value on one machine; it is searched
//! for changes by [`ablate_stats::change_points`].

mod error;
mod files;
mod kept;
mod series;
mod text;

use crate::store;
use crate::support::progress::note;
use crate::tools::results;
pub(crate) use error::HistoryError;
use kept::Kept;
use series::History;
use std::path::PathBuf;

/// What a call asks for.
#[derive(Debug)]
pub(crate) struct Request {
    /// Folders of results.
    pub(crate) dirs: Vec<PathBuf>,
    /// The file of kept results.
    pub(crate) file: Option<PathBuf>,
    /// Folder whose result is appended to the file first.
    pub(crate) add: Option<PathBuf>,
}

/// Appends a result where that is asked for, and reads all of them.
///
/// # Errors
/// [`HistoryError`].
pub(crate) fn history(request: &Request) -> Result<History, HistoryError> {
    if let Some((file, dir)) = request.file.as_ref().zip(request.add.as_ref()) {
        if store::is_in_use(dir) {
            return Err(HistoryError::Running { dir: dir.clone() });
        }
        // Archived results have no records; they were complete.
        if dir.join(store::RECORDS).is_file() {
            let (manifest, records, _) = store::read(dir)?;
            if let Some((there, planned)) = store::coverage(&manifest, &records).filter(|(there, all)| there < all) {
                return Err(HistoryError::Unfinished { dir: dir.clone(), there, planned });
            }
        }
        let is_new = kept::add(file, &results::read(dir)?)?;
        let shown = (dir.display(), file.display());
        note(&match is_new {
            true => format!("{} is added to {}", shown.0, shown.1),
            false => format!("{} is in {} already; nothing is added", shown.0, shown.1),
        });
    }
    let (mut all, mut damaged): (Vec<Kept>, usize) = (Vec::new(), 0);
    if let Some(file) = &request.file {
        let (kept, bad) = kept::read(file)?;
        for bad in &bad {
            note(&format!("{}:{}: skipped: {}", file.display(), bad.line, bad.why));
        }
        damaged = bad.len();
        kept.into_iter().for_each(|kept| add(&mut all, kept));
    }
    for dir in &request.dirs {
        add(&mut all, Kept::of(&results::read(dir)?));
    }
    Ok(History { results: all.len(), series: series::series(&all), damaged })
}

/// Adds a result unless it is there.
fn add(all: &mut Vec<Kept>, kept: Kept) {
    if !all.iter().any(|known| known.is_same_run(&kept)) {
        all.push(kept);
    }
}
