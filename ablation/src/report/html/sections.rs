//! The tables of a page, by its sections.

use crate::report::document::Document;

/// Sections of tables, which a page shows as the other reports do.
pub(in crate::report) struct Sections {
    /// The answer in sentences, and the table of all factors.
    pub(in crate::report) answer: Document,
    /// Targets, peers, paths, hypotheses.
    pub(in crate::report) claims: Document,
    /// The study and its machine.
    pub(in crate::report) study: Document,
    /// One for each workload.
    pub(in crate::report) workloads: Vec<Document>,
    /// Breakdowns of gaps, unit costs, curves.
    pub(in crate::report) gaps: Document,
    /// What proves each toggle.
    pub(in crate::report) proof: Document,
    /// What switches cost by being there, and what failed.
    pub(in crate::report) closing: Document,
}
