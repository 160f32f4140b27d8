//! Searches a text of log lines: `search` finds words and addresses, `captures` takes each line apart. The patterns are of
//! bytes, so that every set of features compiles them to the same meaning.

use ablate_probe::{Line, TimedBatches};
use regex::bytes::Regex;
use std::fmt::Write as _;

/// Timed batches of a run; each goes over the whole text once.
const BATCHES: usize = 30;

/// Lines of the text.
const LINES: u64 = 300;

fn main() {
    let text = text();
    let task = std::env::args().nth(1);
    let (batches, sum) = match task.as_deref() {
        Some("search") => search(&text),
        Some("captures") => captures(&text),
        _ => {
            eprintln!("usage: regex-features search|captures");
            std::process::exit(2);
        }
    };
    let mut line = Line::new(batches, sum);
    for (feature, is_there) in FEATURES {
        line.level(feature, if is_there { "on" } else { "absent" });
    }
    println!("{line}");
}

/// All matches of a few patterns.
fn search(text: &str) -> (TimedBatches, u64) {
    let patterns = [
        r"(?-u)error|timeout|refused",
        r"(?-u)[a-z]+@[a-z]+\.[a-z]{2,3}",
        r"(?-u)\b[0-9]{1,3}(?:\.[0-9]{1,3}){3}\b",
    ];
    let patterns = patterns.map(|pattern| Regex::new(pattern).expect("is a pattern without Unicode"));
    timed(text, |text| patterns.iter().map(|p| p.find_iter(text).map(|m| m.start() as u64 ^ 7).sum::<u64>()).sum())
}

/// The parts of every line.
fn captures(text: &str) -> (TimedBatches, u64) {
    let pattern = r"(?-u)^([0-9]{4})-([0-9]{2})-([0-9]{2}) ([a-z]+) ([0-9.]+) (.*)$";
    let pattern = Regex::new(pattern).expect("is a pattern without Unicode");
    timed(text, |text| {
        let parts = |line: &[u8]| pattern.captures(line).map_or(0, |c| c.get(4).map_or(0, |m| m.len() as u64) + 1);
        text.split(|byte| *byte == b'\n').map(parts).sum()
    })
}

fn timed(text: &str, work: impl Fn(&[u8]) -> u64) -> (TimedBatches, u64) {
    // The first search makes what all others reuse.
    let mut sum = work(text.as_bytes());
    let mut batches = TimedBatches::new(BATCHES, LINES);
    while batches.is_wanted() {
        batches.time(|| sum = sum.rotate_left(1) ^ work(text.as_bytes()));
    }
    (batches, sum)
}

/// Log lines from a fixed seed.
fn text() -> String {
    let words = ["accepted", "error", "timeout", "closed", "refused", "queued", "retry", "done", "user", "session"];
    let (mut text, mut random) = (String::new(), 0x2545_F491_4F6C_DD1D_u64);
    let mut next = |most: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % most
    };
    for _ in 0..LINES {
        let word = words[next(10) as usize];
        let address = format!("{}.{}.{}.{}", next(256), next(256), next(256), next(256));
        let _ = write!(text, "2024-{:02}-{:02} {word} {address} ", 1 + next(12), 1 + next(28));
        for _ in 0..6 + next(8) {
            let _ = write!(text, "{} ", words[next(10) as usize]);
        }
        let _ = writeln!(text, "{}@example.org", words[next(10) as usize]);
    }
    text
}

/// The features of this build.
const FEATURES: [(&str, bool); 12] = [
    ("perf-backtrack", cfg!(feature = "perf-backtrack")),
    ("perf-dfa", cfg!(feature = "perf-dfa")),
    ("perf-inline", cfg!(feature = "perf-inline")),
    ("perf-literal", cfg!(feature = "perf-literal")),
    ("perf-onepass", cfg!(feature = "perf-onepass")),
    ("unicode-age", cfg!(feature = "unicode-age")),
    ("unicode-bool", cfg!(feature = "unicode-bool")),
    ("unicode-case", cfg!(feature = "unicode-case")),
    ("unicode-gencat", cfg!(feature = "unicode-gencat")),
    ("unicode-perl", cfg!(feature = "unicode-perl")),
    ("unicode-script", cfg!(feature = "unicode-script")),
    ("unicode-segment", cfg!(feature = "unicode-segment")),
];
