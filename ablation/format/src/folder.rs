//! Names of the files in a study's folder.

/// The manifest ([`crate::Manifest`]).
pub const MANIFEST: &str = "manifest.json";

/// The records, one [`crate::Record`] on each line.
pub const RECORDS: &str = "records.jsonl";

/// The results for programs ([`crate::EffectsFile`]).
pub const EFFECTS: &str = "effects.json";

/// The report for people.
pub const REPORT: &str = "report.md";

/// The folder of build logs.
pub const LOGS: &str = "logs";
