//! Words of a text as a shell splits them: blanks, quotes, backslashes; nothing is expanded.

/// Splits a text into words (POSIX shell, 2.2 Quoting, without expansions).
///
/// # Errors
/// When a quote is not closed.
pub(super) fn split(text: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\\', None | Some('"')) => {
                let next = chars.next().ok_or_else(|| format!("--args `{text}` ends with a backslash; remove it"))?;
                let word = word.get_or_insert_default();
                // Within quotes a backslash stands for itself unless it protects something.
                if quote.is_some() && !"\"\\$`".contains(next) {
                    word.push('\\');
                }
                word.push(next);
            }
            (c, Some(_)) => word.get_or_insert_default().push(c),
            ('"' | '\'', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_ascii_whitespace() => words.extend(word.take()),
            (c, None) => word.get_or_insert_default().push(c),
        }
    }
    match quote {
        Some(open) => Err(format!("--args `{text}` opens {open} and does not close it; add the other one")),
        None => {
            words.extend(word);
            Ok(words)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(split(text).expect("can be split"), expected, "{text}");
    }

    #[test]
    fn words_are_split_as_in_a_shell() {
        check("", &[]);
        check("  -a  b ", &["-a", "b"]);
        check(r#"--x 'my file' "a b"c ''"#, &["--x", "my file", "a bc", ""]);
        check(r#"a\ b "q\"q" "a\b" 'a\b'"#, &["a b", "q\"q", "a\\b", "a\\b"]);
        check("$HOME *", &["$HOME", "*"]);
    }

    #[test]
    fn open_quotes_are_errors() {
        assert!(split("a 'b").is_err_and(|why| why.contains("does not close")));
        assert!(split("a\\").is_err_and(|why| why.contains("backslash")));
    }
}
