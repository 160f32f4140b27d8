//! The report as one page of HTML, and its figures as files.
//!
//! The page is complete in itself: rules, script, figures and values are inside, so that it can be sent and kept. Everything
//! is there without the script, too, which only sorts and filters tables. The same records give the same bytes.

mod figures;
mod frame;
mod origin;
mod page;
pub(crate) mod plain;
mod profiles;
mod proof;
mod sections;
mod tables;

use super::content::Study;
use super::document::Document;
pub(super) use sections::Sections;

/// A page with its figures.
#[derive(Debug)]
pub(super) struct Page {
    /// The whole page.
    pub(super) html: String,
    /// File name and drawing of each figure.
    pub(super) figures: Vec<(String, String)>,
}

/// What proves each toggle of a study.
pub(super) fn proof(study: Study<'_>) -> Document {
    proof::document(study)
}

/// Makes the page.
pub(super) fn page(study: Study<'_>, sections: &Sections) -> Page {
    let figures = figures::of_study(study);
    let html = page::render(study, sections, &figures, &profiles::read(study.dir)).into_string();
    let files = figures.into_all().map(|figure| (format!("{}.svg", figure.id), figure.svg)).collect();
    Page { html, figures: files }
}
