//! Errors that point at a value of the config, for what only a build finds out.

use super::error::BuildError;
use crate::config::{Diagnostic, Study};

/// A diagnostic about a value of the config. It points at the first place where one of these keys has the value.
pub(super) fn pointed(study: &Study, keys: &[&str], value: &str, message: String) -> BuildError {
    let span = span_of(&study.text, keys, value);
    BuildError::Config(Diagnostic::new(&study.path.display().to_string(), &study.text, span, message))
}

/// The first quoted `value` in a value of one of `keys`; the end of the text when there is none.
fn span_of(text: &str, keys: &[&str], value: &str) -> std::ops::Range<usize> {
    let quotes = [format!("\"{value}\""), format!("'{value}'")];
    let mut found: Vec<std::ops::Range<usize>> = quotes
        .iter()
        .flat_map(|quoted| text.match_indices(quoted.as_str()).map(|(at, quoted)| at..at + quoted.len()))
        .filter(|span| keys.contains(&key_before(text, span.start)))
        .collect();
    found.sort_by_key(|span| span.start);
    found.into_iter().next().unwrap_or(text.len()..text.len())
}

/// The key of the value at a byte: the word before the last `=` before it that is not within quotes or a comment.
fn key_before(text: &str, at: usize) -> &str {
    let mut equals = None;
    let (mut quote, mut comment) = (None, false);
    for (i, c) in text[..at].char_indices() {
        match (c, quote) {
            ('\n', _) => (quote, comment) = (None, false),
            _ if comment => {}
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            ('#', None) => comment = true,
            ('=', None) => equals = Some(i),
            _ => {}
        }
    }
    let Some(equals) = equals else { return "" };
    text[..equals].trim_end().rsplit(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).next().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_found_under_its_key() {
        let text =
            "name = \"red\" # feature = \"red\"\nfeatures = [\n  'x', # \"a\n  \"red\",\n]\nfeature = \"blue\"\n";
        let at = |keys: &[&str], value: &str| text[span_of(text, keys, value)].to_owned();
        assert_eq!(at(&["feature", "features"], "red"), "\"red\"");
        assert_eq!(span_of(text, &["feature", "features"], "red").start, text.find("  \"red\"").expect("is there") + 2);
        assert_eq!(at(&["features"], "x"), "'x'");
        assert_eq!(at(&["feature"], "blue"), "\"blue\"");
        assert_eq!(at(&["feature"], "x"), "");
        assert_eq!(key_before("levels = { on = { a = \"", 23), "a");
    }
}
