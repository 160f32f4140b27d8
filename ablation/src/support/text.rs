//! Text from configs and programs, made safe to print.

/// The text with control characters as escapes: `\u{1b}[31m`, `\t`. Nothing of it steers a terminal, and it is one line.
pub(crate) fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match is_unsafe(c) {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    out
}

/// [`printable`] with line breaks and tabs kept.
pub(crate) fn printable_lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for part in text.split_inclusive(['\n', '\t']) {
        let end = part.len() - usize::from(part.ends_with(['\n', '\t']));
        out += &printable(&part[..end]);
        out += &part[end..];
    }
    out
}

/// Control characters, and those that turn the direction of the text around them.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

/// At most `most` characters, with `…` where more were left out.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_steers_a_terminal_is_shown_as_text() {
        assert_eq!(printable("\u{1b}[31mRED\u{1b}[0m\t|\r\n"), "\\u{1b}[31mRED\\u{1b}[0m\\t|\\r\\n");
        assert_eq!(printable("é − 中 ok"), "é − 中 ok");
        assert_eq!(printable("\u{202e}evil\u{9b}2J"), "\\u{202e}evil\\u{9b}2J");
        assert_eq!(printable_lines("a\u{7}\n\tb\n"), "a\\u{7}\n\tb\n");
        assert_eq!(printable_lines(""), "");
    }

    #[test]
    fn what_is_left_out_leaves_a_mark() {
        assert_eq!(shortened("äöü", 3), "äöü");
        assert_eq!(shortened("äöüx", 3), "äöü…");
    }
}
