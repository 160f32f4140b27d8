//! The messages of serde in the words of a config.

use crate::support::nearest::suggestion;

/// Turns a message of serde about keys or types into one in the words of a config; other messages stay as they are.
pub(super) fn reword(message: &str) -> String {
    let quoted: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    match quoted.split_first() {
        Some((unknown, known)) if message.starts_with("unknown field") => {
            format!("unknown key `{unknown}`{}", suggestion(unknown, known.iter().copied()))
        }
        Some((missing, _)) if message.starts_with("missing field") => {
            format!("missing key `{missing}`; add it to this table")
        }
        _ if message.trim_end() == "duplicate key" => {
            "duplicate key; remove one, or write each header of several tables as [[NAME]]".to_owned()
        }
        // A date, under the parser's own name for it.
        _ if message.contains("$__toml_private_datetime") => {
            "expected a table, like { name = \"x\" }, found a date".to_owned()
        }
        _ => typed(message).unwrap_or_else(|| message.to_owned()),
    }
}

/// A message about a type, without the parser's own names of types.
fn typed(message: &str) -> Option<String> {
    let (seen, expected) = message.trim_end().strip_prefix("invalid type: ")?.split_once(", expected ")?;
    let seen = match seen {
        "map" => "a table",
        "sequence" => "a list",
        _ if seen.ends_with("128") => return Some(format!("{} is too large", seen.rsplit_once(" as ")?.0)),
        _ => seen,
    };
    let expected = match expected {
        // `[peer]` was written where `[[peer]]` was meant.
        "a sequence" if seen == "a table" => "a list in brackets, or tables under [[NAME]] in double brackets",
        "a sequence" => "a list in brackets, like [\"x\"]",
        "i64" => "a whole number without quotes",
        "f64" => "a number without quotes",
        "a string" => "text in quotes",
        "a boolean" => "true or false, without quotes",
        "a map" => "a table, like { name = \"x\" }",
        _ if expected.starts_with("struct ") => "a table, like { name = \"x\" }",
        _ => return None,
    };
    Some(format!("expected {expected}, found {seen}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serde_messages_become_sentences() {
        assert_eq!(
            reword("unknown field `sed`, expected `seed` or `blocks`"),
            "unknown key `sed`; did you mean `seed`?"
        );
        assert_eq!(reword("unknown field `q`, expected `seed`"), "unknown key `q`; known: `seed`");
        assert_eq!(reword("invalid type"), "invalid type");
        assert!(reword("duplicate key\n").contains("as [[NAME]]"));
        let number = "invalid type: string \"1\", expected f64";
        assert_eq!(reword(number), "expected a number without quotes, found string \"1\"");
        let table = "invalid type: map, expected a sequence";
        assert!(reword(table).ends_with("under [[NAME]] in double brackets, found a table"), "{}", reword(table));
        assert_eq!(reword("invalid type: integer `99` as i128, expected i64"), "integer `99` is too large");
        assert!(reword("invalid type: integer `1`, expected struct Peer").starts_with("expected a table"));
    }
}
