//! The table of `strace -c`: the number of calls of each system call.

use super::instruments::CALLS;
use std::collections::BTreeMap;

/// Numbers of calls by name, from the table of `strace -c`.
///
/// # Errors
/// The reason why the text is not a finished table, in one line.
pub(crate) fn calls(text: &str) -> Result<BTreeMap<String, u64>, String> {
    let mut lines = text.lines().skip_while(|line| !line.trim_end().ends_with("syscall"));
    let Some(header) = lines.next() else {
        return Err("strace wrote no table, as when it is ended early; run it again".to_owned());
    };
    let at = header.split_whitespace().filter(|word| *word != "%").position(|word| word == "calls");
    let at = at.ok_or_else(|| format!("strace's table has no column `calls`: `{}`", header.trim()))?;
    let mut calls = BTreeMap::new();
    for line in lines {
        let words: Vec<&str> = line.split_whitespace().collect();
        let (Some(count), Some(name)) = (words.get(at), words.last()) else { continue };
        if line.starts_with("----") || *name == "total" {
            continue;
        }
        let count: u64 = count.parse().map_err(|e| format!("strace's table has a bad line `{line}`: {e}"))?;
        *calls.entry((*name).to_owned()).or_insert(0) += count;
    }
    Ok(calls)
}

/// The calls as counts of instruments: `strace-syscalls` and one `strace-…` for each kind, 0 for those of
/// [`CALLS`] that were not made.
pub(crate) fn counts(calls: &BTreeMap<String, u64>) -> BTreeMap<String, u64> {
    let name = |call: &str| format!("strace-{}", call.replace('_', "-"));
    let mut counts: BTreeMap<String, u64> = CALLS.map(|call| (name(call), 0)).into();
    counts.extend(calls.iter().map(|(call, count)| (name(call), *count)));
    counts.insert("strace-syscalls".to_owned(), calls.values().sum());
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    const REAL: &str = include_str!("fixtures/strace.out");

    #[test]
    fn a_real_table_is_read() {
        let calls = calls(REAL).expect("a real table");
        assert_eq!((calls["mmap"], calls["munmap"], calls["access"], calls["rseq"]), (13, 2, 1, 1));
        // strace's own sum, and `total` is no call.
        assert_eq!(calls.values().sum::<u64>(), 63);
        let counts = counts(&calls);
        assert_eq!((counts["strace-syscalls"], counts["strace-rt-sigaction"]), (63, 5));
        assert_eq!(counts["strace-madvise"], 0);
    }

    #[test]
    fn other_texts_are_refused() {
        assert!(calls("").expect_err("empty").contains("ended early"));
        assert!(calls("strace: ptrace: Operation not permitted\n").is_err());
        assert!(calls("% time seconds syscall\n").expect_err("other columns").contains("calls"));
        assert!(calls(&REAL.replace(" 13 ", " xx ")).expect_err("no number").contains("bad line"));
    }
}
