//! Names of the files in a study's folder.

/// The manifest, one [`crate::Manifest`] in JSON.
pub const MANIFEST: &str = "manifest.json";

/// The records, one [`crate::Record`] in JSON on each line.
pub const RECORDS: &str = "records.jsonl";

/// The results for programs, one [`crate::EffectsFile`] in JSON.
pub const EFFECTS: &str = "effects.json";

/// The report for people, in Markdown.
pub const REPORT: &str = "report.md";

/// The report for people, a page of HTML that needs no other file.
pub const PAGE: &str = "report.html";

/// The folder of the page's figures, each an SVG file.
pub const FIGURES: &str = "figures";

/// What the names of folders with flame graphs begin with.
pub const PROFILE: &str = "profile";

/// What a folder of flame graphs is about, in a line.
pub const ABOUT: &str = "about.txt";

/// The folder of build logs.
pub const LOGS: &str = "logs";
