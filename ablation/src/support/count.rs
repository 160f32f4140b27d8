//! Counts in messages and reports: thousands separated, and the noun in its number.

/// A count of runs, blocks or operations: exact, with thousands separated.
pub(crate) fn count(value: usize) -> String {
    separated(&value.to_string())
}

/// A count of events of any size, as [`count`] has it.
pub(crate) fn grouped(value: u64) -> String {
    separated(&value.to_string())
}

/// [`count`] with a noun whose plural ends in `s`: `1 run`, `2,000 runs`.
pub(crate) fn counted(value: usize, noun: &str) -> String {
    format!("{} {noun}{}", count(value), if value == 1 { "" } else { "s" })
}

/// [`counted`] with a verb in the same number: `1 run is`, `2 runs are` for the verb `["is", "are"]`.
pub(crate) fn counted_verb(value: usize, noun: &str, [singular, plural]: [&str; 2]) -> String {
    format!("{} {}", counted(value, noun), if value == 1 { singular } else { plural })
}

/// A number in decimal digits with the thousands separated, in front of the decimal point.
pub(crate) fn separated(number: &str) -> String {
    let (digits, fraction) = number.split_at(number.find('.').unwrap_or(number.len()));
    let mut text = String::with_capacity(number.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text + fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_exact_and_nouns_agree() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0, 1, 2, 2000].map(|n| counted(n, "run")), ["0 runs", "1 run", "2 runs", "2,000 runs"]);
        assert_eq!([1, 2].map(|n| counted_verb(n, "run", ["is", "are"])), ["1 run is", "2 runs are"]);
        assert_eq!(separated("1234.5678"), "1,234.5678");
    }
}
