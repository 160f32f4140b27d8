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

/// Control characters, those that turn the direction of the text around them, those that have no width, and those that are
/// no characters.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
        || matches!(c, '\u{fdd0}'..='\u{fdef}')
        || u32::from(c) & 0xfffe == 0xfffe
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
        assert_eq!(printable("a\u{200b}\u{ffff}\u{1fffe}b"), "a\\u{200b}\\u{ffff}\\u{1fffe}b");
        assert_eq!(printable_lines("a\u{7}\n\tb\n"), "a\\u{7}\n\tb\n");
        assert_eq!(printable_lines(""), "");
    }

    #[test]
    fn what_is_left_out_leaves_a_mark() {
        assert_eq!(shortened("äöü", 3), "äöü");
        assert_eq!(shortened("äöüx", 3), "äöü…");
    }
}
