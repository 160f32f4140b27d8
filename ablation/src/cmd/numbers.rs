//! Whole numbers of the command line.

use clap::builder::{StringValueParser, TypedValueParser};
use std::ops::RangeInclusive;

/// A whole number within a range. What is none is refused in words that name the range.
pub(super) fn whole<T: TryFrom<u64> + Clone + Send + Sync + 'static>(
    range: RangeInclusive<u64>,
) -> impl TypedValueParser<Value = T> {
    StringValueParser::new().try_map(move |text| {
        let number = text.parse().ok().filter(|number| range.contains(number));
        let (least, most) = (range.start(), range.end());
        number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| match *most {
            u64::MAX => format!("write a whole number from {least} to 2^64 - 1"),
            _ => format!("write a whole number from {least} to {most}"),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, range: RangeInclusive<u64>, expected: Result<u32, &str>) {
        let command = clap::Command::new("x").arg(clap::Arg::new("n").long("n").value_parser(whole::<u32>(range)));
        let found = command.try_get_matches_from(["x", &format!("--n={text}")]);
        match (found, expected) {
            (Ok(found), Ok(expected)) => assert_eq!(found.get_one::<u32>("n"), Some(&expected)),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{error}"),
            (found, expected) => panic!("{text}: {found:?} is not {expected:?}"),
        }
    }

    #[test]
    fn what_is_no_number_of_the_range_is_told_it() {
        check("7", 1..=10_000, Ok(7));
        for text in ["zero", "0", "-1", "1.5", "", "10001", "99999999999999999999"] {
            check(text, 1..=10_000, Err("write a whole number from 1 to 10000"));
        }
        check("x", 0..=u64::MAX, Err("write a whole number from 0 to 2^64 - 1"));
    }
}
