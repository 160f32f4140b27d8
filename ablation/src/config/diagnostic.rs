//! Diagnostics: messages about a span of a text, shown with the line.

use std::fmt;
use std::ops::Range;

/// A part of a config in which only [`crate::design`] can find a mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// The list of designs.
    Designs,
    /// A factor, by its index.
    Factor(usize),
    /// A treatment of the design `explicit`, by its index.
    Treatment(usize),
    /// A constraint, by its index.
    Constraint(usize),
    /// A hypothesis, by its index.
    Hypothesis(usize),
    /// A step of a path, by both indexes.
    Step(usize, usize),
    /// A cell or factor that a hypothesis names, by the indexes of the hypothesis and of the name.
    Named(usize, usize),
}

/// A message about one span of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Diagnostic {
    path: String,
    line: usize,
    column: usize,
    width: usize,
    quote: String,
    message: String,
}

impl Diagnostic {
    /// Points at the bytes `span` of `text`; a span past the end points at the end.
    pub(crate) fn new(path: &str, text: &str, span: Range<usize>, message: String) -> Box<Diagnostic> {
        let start = floor(text, span.start);
        let end = floor(text, span.end.max(start));
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let quote = &text[line_start..line_end];
        Box::new(Diagnostic {
            path: path.to_owned(),
            line: text[..start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            width: text[start..end.min(line_end).max(start)].chars().count().max(1),
            // A longer line cannot be read in a terminal.
            quote: quote.trim_end().chars().take(160).collect(),
            message,
        })
    }

    /// The line of the text, or its beginning.
    pub(crate) fn quote(&self) -> &str {
        &self.quote
    }

    /// What is wrong, without the place.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }
}

/// Largest character boundary that is not past `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Diagnostic { path, line, column, width, quote, message } = self;
        let margin = " ".repeat(line.to_string().len());
        let indent = " ".repeat(column - 1);
        let marks = "^".repeat((*width).min(160));
        write!(f, "{path}:{line}:{column}: {message}\n{margin} |\n{line} | {quote}\n{margin} | {indent}{marks}")
    }
}

impl std::error::Error for Diagnostic {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_is_shown_as_line_and_column_in_characters() {
        let text = "a = 1\nß = 22\n";
        let shown = Diagnostic::new("x.toml", text, 11..13, "too many".into()).to_string();
        assert_eq!(shown, "x.toml:2:5: too many\n  |\n2 | ß = 22\n  |     ^^");
    }

    #[test]
    fn spans_outside_the_text_or_inside_a_character_do_not_panic() {
        for (start, end, at) in [(0, 0, "x:1:1:"), (90, 99, "x:2:1:"), (1, 2, "x:1:1:"), (5, 2, "x:2:1:")] {
            let shown = Diagnostic::new("x", "ßß\n", Range { start, end }, String::new()).to_string();
            assert!(shown.starts_with(at), "{start}..{end}: {shown}");
        }
    }
}
