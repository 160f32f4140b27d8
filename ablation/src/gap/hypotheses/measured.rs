//! What a claim asks of a study.

use ablate_stats::bootstrap::Drawn;

/// What a hypothesis needs to know of its workload.
pub(crate) trait Measured {
    /// The gap to a peer, by its name.
    ///
    /// # Errors
    /// Why it is not there, for people.
    fn gap(&self, workload: &str, peer: &str) -> Result<Drawn, String>;

    /// A part of the gap to a peer, by the names of [`ablate_format::HypothesisKind::Share`].
    ///
    /// # Errors
    /// Why it is not there, for people.
    fn part(&self, workload: &str, peer: &str, part: &str) -> Result<Drawn, String>;

    /// Value of a cell, nanoseconds per operation.
    ///
    /// # Errors
    /// Why it is not there, for people.
    fn cell(&self, workload: &str, cell: &str) -> Result<Drawn, String>;

    /// The response of a cell over that of another, whatever it is.
    ///
    /// # Errors
    /// Why it is not there, for people.
    fn ratio(&self, workload: &str, plus: &str, minus: &str) -> Result<Drawn, String>;
}
