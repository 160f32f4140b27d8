//! The options that a program's `--help` shows: switches, and options whose values are listed.

use std::collections::BTreeMap;

/// Most options that are taken from one text.
const MAX_OPTIONS: usize = 60;

/// Most listed values of an option; a factor has at most 30 levels.
const MAX_VALUES: usize = 20;

/// Options that end a program at once, or are about what it says and not about what it does.
const UNUSED: [&str; 8] = ["help", "version", "usage", "license", "copyright", "full-help", "long-help", "man"];

/// An option that could be a factor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    /// Its name without dashes and without `no-`.
    pub(super) name: String,
    /// What it can be.
    pub(super) kind: Kind,
}

/// What an option can be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// `--x` alone.
    On,
    /// `--no-x` alone: what it names is on by default.
    Off,
    /// `--x` and `--no-x`.
    Both,
    /// `--x=VALUE` or `--x VALUE`, with these values.
    Values {
        /// Whether the value follows `=`.
        joined: bool,
        /// The values, at least two.
        values: Vec<String>,
    },
}

/// What one place of the text says about an option.
struct Seen {
    name: String,
    /// `[no-]` stands in the name.
    both: bool,
    takes_value: bool,
    joined: bool,
    values: Vec<String>,
}

/// The options of a help text, in its order.
pub(super) fn choices(text: &str) -> Vec<Choice> {
    let mut order: Vec<String> = Vec::new();
    let mut all: BTreeMap<String, Seen> = BTreeMap::new();
    for entry in entries(text) {
        for seen in options(&entry) {
            if !all.contains_key(&seen.name) {
                order.push(seen.name.clone());
                all.insert(seen.name.clone(), seen);
            }
        }
    }
    let mut out: Vec<Choice> = Vec::new();
    for name in &order {
        let bare = name.strip_prefix("no-").unwrap_or(name);
        let is_done = out.iter().any(|choice| choice.name == bare);
        if is_done || UNUSED.contains(&bare) || bare.is_empty() || out.len() == MAX_OPTIONS {
            continue;
        }
        let switch = |name: &str| all.get(name).filter(|seen| !seen.takes_value);
        let (on, off) = (switch(bare), switch(&format!("no-{bare}")));
        let kind = match (all.get(bare), on, off) {
            (_, Some(seen), _) if seen.both => Kind::Both,
            (_, Some(_), Some(_)) => Kind::Both,
            (Some(seen), None, None) if seen.values.len() > 1 => {
                Kind::Values { joined: seen.joined, values: seen.values.iter().take(MAX_VALUES).cloned().collect() }
            }
            (_, Some(_), None) => Kind::On,
            (_, None, Some(_)) => Kind::Off,
            (_, None, None) => continue,
        };
        out.push(Choice { name: bare.to_owned(), kind });
    }
    out
}

/// The entries of a help text: a line that begins with a dash, with the deeper lines after it.
fn entries(text: &str) -> Vec<Vec<&str>> {
    let mut out: Vec<Vec<&str>> = Vec::new();
    let mut open: Option<usize> = None;
    for line in text.lines() {
        let indent = line.len() - line.trim_start().len();
        if line.trim_start().starts_with('-') {
            out.push(vec![line]);
            open = Some(indent);
        } else if open.is_some_and(|begin| indent > begin) {
            out.last_mut().into_iter().for_each(|entry| entry.push(line));
        } else if !line.trim().is_empty() {
            open = None;
        }
    }
    out
}

/// The long options of an entry. What its description says of values holds for all of them.
fn options(entry: &[&str]) -> Vec<Seen> {
    let Some(first) = entry.first() else { return Vec::new() };
    // Two blanks end the options and begin the description.
    let first = first.trim_start();
    let (spec, rest) = first.split_once("  ").unwrap_or((first, ""));
    let described: Vec<&str> = std::iter::once(rest).chain(entry.iter().skip(1).copied()).map(str::trim).collect();
    let described = described.join(" ");
    let values = possible_values(&described);
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(found) = spec[at..].find("--") {
        let start = at + found + 2;
        let is_begin =
            spec[..start - 2].chars().next_back().is_none_or(|c| c == ' ' || c == ',' || c == '/' || c == '|');
        let (name, both, end) = name(spec, start);
        at = end.max(start);
        if !is_begin || name.is_empty() {
            continue;
        }
        // Up to the next option of this entry.
        let tail = &spec[at..];
        let tail = tail
            .split([',', ' ', '/'])
            .next()
            .filter(|_| tail.contains(" -"))
            .map_or(tail, |_| tail.split(" -").next().unwrap_or(tail));
        let given = listed(tail);
        let takes_value = tail.trim_matches([',', ' ', '/', ']', '|']).chars().next().is_some();
        out.push(Seen {
            name,
            both,
            takes_value: takes_value || !given.is_empty(),
            joined: tail.trim_start_matches('[').starts_with('='),
            values: if given.is_empty() { values.clone() } else { given },
        });
    }
    out
}

/// The name of an option that begins at a byte, whether `[no-]` stands in it, and where it ends.
fn name(spec: &str, start: usize) -> (String, bool, usize) {
    let both = spec[start..].starts_with("[no-]");
    let begin = if both { start + "[no-]".len() } else { start };
    let length = spec[begin..].find(|c: char| !(c.is_ascii_alphanumeric() || c == '-')).unwrap_or(spec.len() - begin);
    let name = &spec[begin..begin + length];
    let is_name = !name.starts_with('-') && !name.ends_with('-');
    (if is_name { name.to_owned() } else { String::new() }, both, begin + length)
}

/// Values that stand where the option's value does: `{a,b}`, `<a|b>`, `a|b`.
fn listed(tail: &str) -> Vec<String> {
    let inner = tail.trim_matches([' ', '=', '[', ']', '<', '>', '(', ')', ',']);
    let inner = match inner.strip_prefix('{').and_then(|rest| rest.split_once('}')) {
        Some((inner, _)) => inner,
        None if inner.contains('|') => inner,
        None => return Vec::new(),
    };
    words(inner, &[',', '|'])
}

/// Values in a description: `[possible values: a, b]`, as clap writes it.
fn possible_values(described: &str) -> Vec<String> {
    let Some((_, rest)) = described.split_once("possible values: ") else { return Vec::new() };
    words(rest.split(']').next().unwrap_or_default(), &[','])
}

/// Words of a list; none when one of them is no plain value.
fn words(text: &str, separators: &[char]) -> Vec<String> {
    let words: Vec<String> =
        text.split(separators).map(|word| word.trim().trim_matches(['"', '\'']).to_owned()).collect();
    let is_plain = |word: &String| {
        !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_.+".contains(c)) && word != "..."
    };
    // Words in capitals stand for values.
    let stands = |word: &String| word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase());
    if words.len() > 1 && words.iter().all(is_plain) && !words.iter().all(stands) { words } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let one = |choice: &Choice| match &choice.kind {
            Kind::On => format!("--{}", choice.name),
            Kind::Off => format!("--no-{}", choice.name),
            Kind::Both => format!("--[no-]{}", choice.name),
            Kind::Values { joined, values } => {
                format!("--{}{}{}", choice.name, if *joined { "=" } else { " " }, values.join("|"))
            }
        };
        choices(text).iter().map(one).collect()
    }

    #[test]
    fn options_of_gnu_programs_are_found() {
        let text = "Usage: tool [OPTION]... FILE\n  -b, --ignore-blanks  no leading blanks\n      --batch-size=NMERGE   \
                    merge at most NMERGE\n  -d, --no-decompress     leave it\n      --sort=WORD  by WORD: general -g\n\
                    \x20     --color[=WHEN]  use colors; see --help for more\n  -x, --extended-regexp, --long  both\n\
                    \x20     --help     display this help and exit\n      --version  output version\n\
                    The --full switch of the text is not an option line.\n";
        assert_eq!(shown(text), ["--ignore-blanks", "--no-decompress", "--extended-regexp", "--long"]);
    }

    #[test]
    fn values_that_are_listed_are_levels() {
        let clap = "Options:\n  -t, --threads <N>  Threads\n      --strategy <WHICH>\n          How to search\n\n          \
                    [default: auto]\n          [possible values: auto, fast, exact]\n  -q, --quiet\n          Less\n";
        assert_eq!(shown(clap), ["--strategy auto|fast|exact", "--quiet"]);
        let argparse = "options:\n  -h, --help            show this\n  --mode {a,b}          what\n  --out FILE\n";
        assert_eq!(shown(argparse), ["--mode a|b"]);
        let others = "  --level=<low|high>  x\n  --io=sync|async   y\n  --file=FILE|DIR  z\n  --size <1|2|...>  w\n";
        assert_eq!(shown(others), ["--level=low|high", "--io=sync|async"]);
    }

    #[test]
    fn switches_and_their_opposites_are_one_factor() {
        let text = "  --cache        keep\n  --no-cache     do not keep\n  --[no-]progress  show\n  --no-pager\n";
        assert_eq!(shown(text), ["--[no-]cache", "--[no-]progress", "--no-pager"]);
    }

    #[test]
    fn what_is_no_help_has_no_options() {
        for text in ["", "work done\n", "--\n", "  -x\n -- --- \n", "\u{1b}[1m--bold\u{1b}[0m\n", "- ß --ß  x\n"] {
            assert_eq!(shown(text), Vec::<String>::new(), "{text:?}");
        }
        let many: String = (0..200).map(|i| format!("  --switch-{i}  x\n")).collect();
        assert_eq!(shown(&many).len(), MAX_OPTIONS);
    }
}
