//! `cargo ablate history`: what cells take and factors cost over many results, and where that changed.
//!
//! Results come from folders and from a file that keeps a line of each. A series is one value on one machine; it is searched
//! for changes by [`ablate_stats::change_points`].

mod error;
mod files;
mod kept;
mod series;
mod text;

use crate::support::progress::note;
use crate::tools::results;
pub(crate) use error::HistoryError;
pub(crate) use files::{Form, to_text, write};
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
        let is_new = kept::add(file, &results::read(dir)?)?;
        let shown = (dir.display(), file.display());
        note(&match is_new {
            true => format!("{} is added to {}", shown.0, shown.1),
            false => format!("{} is in {} already; nothing is added", shown.0, shown.1),
        });
    }
    let (mut all, mut damaged) = (Vec::new(), 0);
    if let Some(file) = &request.file {
        let (kept, bad) = kept::read(file)?;
        for bad in &bad {
            note(&format!("{}:{}: skipped: {}", file.display(), bad.line, bad.why));
        }
        (all, damaged) = (kept, bad.len());
    }
    for dir in &request.dirs {
        let kept = Kept::of(&results::read(dir)?);
        if !all.iter().any(|known| known.is_same_run(&kept)) {
            all.push(kept);
        }
    }
    Ok(History { results: all.len(), series: series::series(&all), damaged })
}
