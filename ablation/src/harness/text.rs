//! Ids of benchmarks as patterns, and as names of workloads.

use std::collections::BTreeSet;

/// Longest name of a workload in bytes, with room for a number that makes it unique.
const NAME_MAX: usize = 56;

/// A regular expression that matches this text and no other, in the dialects of Rust, Go, Java, C++ and POSIX.
pub(super) fn exact(text: &str) -> String {
    format!("^{}$", escaped(text))
}

/// A text with a backslash before every sign that has a meaning in a regular expression. No other is escaped: POSIX
/// gives some of those a meaning by it.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        if ".^$*+?()[]{}|\\".contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A name `[a-z0-9-]+` for each id, in their order, each of them unique.
pub(crate) fn workload_names(ids: &[String]) -> Vec<String> {
    let mut used: BTreeSet<String> = BTreeSet::new();
    let mut out = Vec::new();
    for id in ids {
        let plain = plain(id);
        let mut name = plain.clone();
        let mut number = 2;
        while !used.insert(name.clone()) {
            name = format!("{plain}-{number}");
            number += 1;
        }
        out.push(name);
    }
    out
}

fn plain(id: &str) -> String {
    let mut out = String::new();
    for c in id.chars().flat_map(char::to_lowercase) {
        match c {
            'a'..='z' | '0'..='9' => out.push(c),
            _ if out.is_empty() || out.ends_with('-') => {}
            _ => out.push('-'),
        }
    }
    // Every kept character is one byte.
    out.truncate(NAME_MAX);
    let out = out.trim_end_matches('-');
    if out.is_empty() { "benchmark".to_owned() } else { out.to_owned() }
}

/// The ids in a list of lines `ID: benchmark`, which Rust's harnesses print.
pub(super) fn listed(stdout: &str) -> Vec<String> {
    let ids = stdout.lines().filter_map(|line| line.strip_suffix(": benchmark").or(line.strip_suffix(": bench")));
    ids.map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_its_id_alone() {
        assert_eq!(exact("u64[0]/itoa"), "^u64\\[0\\]/itoa$");
        for id in ["a.b", "sort (n = 5)", "x|y", "<Vec<u8> as T>::f", "a\\b", "$x^{2}*+?", "#1 & 2 ~ é"] {
            let pattern = regex::Regex::new(&exact(id)).expect("a pattern");
            assert!(pattern.is_match(id), "{id}");
            assert!(!pattern.is_match(&format!("{id}2")) && !pattern.is_match(&format!("1{id}")), "{id}");
        }
        assert!(!regex::Regex::new(&exact("a.b")).expect("a pattern").is_match("axb"));
    }

    #[test]
    fn names_are_unique_and_valid() {
        let ids = ["u64[0]/itoa", "u64(0)/itoa", "Größe µ", "[]", "", &"x/".repeat(60), "u64-0-itoa-2"];
        let names = workload_names(&ids.map(str::to_owned));
        assert_eq!(names[..5], ["u64-0-itoa", "u64-0-itoa-2", "gr-e", "benchmark", "benchmark-2"]);
        assert_eq!(names[6], "u64-0-itoa-2-2");
        assert!(names.iter().all(|name| crate::config::is_name(name)), "{names:?}");
    }

    #[test]
    fn lists_of_rust_are_read() {
        assert_eq!(listed("a: benchmark\n\nb/c: d: bench\nx: test\n2 tests, 1 benchmarks\n"), ["a", "b/c: d"]);
    }
}
