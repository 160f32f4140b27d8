//! Days of results for people.

/// A time in seconds since 1970 as RFC 3339, in UTC: `2026-11-30T13:05:09Z`.
pub(crate) fn moment(unix_s: u64) -> String {
    let of_day = unix_s % 86_400;
    format!("{}T{:02}:{:02}:{:02}Z", date(unix_s), of_day / 3_600, of_day / 60 % 60, of_day % 60)
}

/// The day of a time in seconds since 1970, in UTC: `2026-11-30`. The civil calendar from days, by eras of 400 years (Hatcher,
/// "Simple Formulae for Julian Day Numbers and Calendar Dates", Quarterly Journal of the Royal Astronomical Society 25, 1984).
pub(crate) fn date(unix_s: u64) -> String {
    /// Days of 400 years.
    const ERA: u64 = 146_097;
    /// Days from 0000-03-01 to 1970-01-01. A year that begins in March has its leap day at its end.
    const BEFORE: u64 = 719_468;
    let days = unix_s / 86_400 + BEFORE;
    let (era, day) = (days / ERA, days % ERA);
    let year = (day - day / 1_460 + day / 36_524 - day / (ERA - 1)) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    format!("{:04}-{month:02}-{of_month:02}", era * 400 + year + next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01"),
            (86_399, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (1_709_164_800, "2024-02-29"),
            (1_735_689_599, "2024-12-31"),
            (4_107_542_400, "2100-03-01"),
        ] {
            assert_eq!(date(seconds), expected);
        }
    }
}
