//! Names for configs.

/// The nearest name to a text: `[a-z0-9-]+`.
pub(super) fn name_of(text: &str) -> String {
    let fits = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
    let name: String = text.chars().map(fits).take(60).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "study".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_a_config() {
        assert_eq!(name_of("My_Tool+x"), "my-tool-x");
        assert_eq!(name_of("_"), "study");
        assert_eq!(name_of("fd"), "fd");
    }
}
