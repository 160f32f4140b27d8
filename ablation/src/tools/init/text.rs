//! What the texts of first configs share: values as TOML writes them, the keys before `[subject]`, and the end of a
//! workload.

use super::name::name_of;
use std::collections::BTreeSet;

/// A text as TOML writes it.
pub(super) fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

pub(super) fn list(texts: &[String]) -> String {
    format!("[{}]", texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", "))
}

/// The keys before `[subject]`: what differs in them between a package and a command.
pub(super) struct Head<'a> {
    /// The question of the first line.
    pub(super) question: &'a str,
    /// Name of the study.
    pub(super) study: &'a str,
    /// One line about it.
    pub(super) about: &'a str,
    pub(super) blocks: u32,
    /// End of the comment on `arms`, after "Levels are brought about".
    pub(super) levels: &'a str,
    pub(super) arm: &'a str,
    /// Lines about code layouts, or nothing.
    pub(super) layouts: &'a str,
}

impl Head<'_> {
    pub(super) fn text(&self) -> String {
        let Head { question, blocks, levels, arm, layouts, .. } = self;
        format!(
            "# {question}\n\
             # Written by `cargo ablate init`. Every key is strict: a misspelt one is an error that points at its line.\n\
             \n\
             study = {study}\n\
             about = {about}\n\
             # Orders and intervals are drawn from it; the same seed gives the same study.\n\
             seed = 1\n\
             # Passes over all cells, each a fresh process in random order. At least 6 for an interval; `--blocks`,\n\
             # `--until-halfwidth 1%` and `--budget 5m` override it.\n\
             blocks = {blocks}\n\
             # Each cell is also counted this often (page faults, system calls), apart from the timing.\n\
             counting_repeats = 2\n\
             # Levels are brought about {levels}\n\
             arms = [\"{arm}\"]\n\
             design = [\"leave-one-out\"]\n\
             {layouts}\
             # Seconds; a process that takes longer is ended and does not count.\n\
             timeout_seconds = 60\n\
             \n",
            study = quoted(self.study),
            about = quoted(self.about),
        )
    }
}

/// The last keys of `[subject]`, the same for both.
pub(super) const ENVIRONMENT: &str = "\
# The environment is empty but for these, so that nothing leaks into the runs:
allow_env = [\"HOME\", \"PATH\"]

";

/// A name that no other has: two features may differ in `_` and `-` only.
pub(super) fn distinct(feature: &str, taken: &mut BTreeSet<String>) -> String {
    let mut name = name_of(feature);
    while !taken.insert(name.clone()) {
        name.push_str("-2");
    }
    name
}

/// The keys that are the same for every program that is measured from outside.
pub(super) const OUTSIDE: &str = "\
# Held on one processor or not; `true` is steadier, and wrong for programs with several threads.
pin = false
# The whole process, seen from outside: `wall` or `cpu` time. A program that prints ablate's JSON line can have `p10`.
response = \"wall\"
";
