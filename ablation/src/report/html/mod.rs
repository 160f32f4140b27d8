//! The report as one page of HTML, and its figures as files.
//!
//! The page is complete in itself: rules, script, figures and values are inside, so that it can be sent and kept. Everything
//! is there without the script, too, which only sorts and filters tables. The same records give the same bytes.

mod figures;
mod page;
pub(crate) mod plain;
mod tables;

use super::document::Document;
use crate::analyse::Analysis;
use crate::gap::study::Explained;
use crate::prove::JudgedRun;
use ablate_format::Manifest;
use std::path::Path;

/// What a page is made from: a study, judged and analysed.
#[derive(Clone, Copy)]
pub(super) struct Study<'a> {
    /// Where its files are.
    pub(super) dir: &'a Path,
    pub(super) manifest: &'a Manifest,
    pub(super) records: &'a [JudgedRun],
    pub(super) analysis: &'a Analysis,
    pub(super) explained: &'a Explained,
}

/// A page with its figures.
#[derive(Debug)]
pub(crate) struct Page {
    /// The whole page.
    pub(crate) html: String,
    /// File name and drawing of each figure.
    pub(crate) figures: Vec<(String, String)>,
}

/// Sections of tables, which a page shows as the other reports do.
pub(super) struct Sections {
    /// The answer in sentences, and the table of all factors.
    pub(super) answer: Document,
    /// Targets, peers, paths, hypotheses.
    pub(super) claims: Document,
    /// The study and its machine.
    pub(super) study: Document,
    /// One for each workload.
    pub(super) workloads: Vec<Document>,
    /// Breakdowns of gaps, unit costs, curves.
    pub(super) gaps: Document,
    /// What switches cost by being there, and what failed.
    pub(super) closing: Document,
}

/// Makes the page.
pub(super) fn page(study: Study<'_>, sections: &Sections) -> Page {
    let figures = figures::of_study(study);
    let files = figures.all().map(|figure| (format!("{}.svg", figure.id), figure.svg.clone())).collect();
    Page { html: page::render(study, sections, &figures).into_string(), figures: files }
}
