//! How numbers look: three significant digits, thousands separated, a real minus sign, `n/a` for what is missing.

use crate::analyse::{Verdict, WorkloadAnalysis};
use crate::support::count::separated;
pub(crate) use crate::support::count::{count, counted};
use ablate_format::effects::Estimate;
use ablate_format::{MainResponse, Quantity};

/// What a missing value looks like.
pub(crate) const MISSING: &str = "n/a";

/// A count, a ratio or another number on its own: `37,600`, `−1.23`, `0.123`; `<0.01` for what is not 0 and would look
/// like it. Values that were measured are written by [`point`].
pub(crate) fn number(value: f64) -> String {
    let text = digits(value, f64::INFINITY);
    match text.trim_matches(['0', '.']).is_empty() {
        true if value > 0.0 => "<0.01".to_owned(),
        true if value < 0.0 => ">−0.01".to_owned(),
        _ => text,
    }
}

/// A value as precise as its interval is wide, so that it is never shown outside of it: `37,614` in `[37,612, 37,618]`.
///
/// The largest of the value and the ends of its interval chooses the digits of small values: below 0.05 it has three
/// significant ones, `0.000120` in `[0.000118, 0.000122]`, and below a millionth an exponent. An interval that spans 0
/// keeps two decimals down to 0.0001: it is mostly noise beside much larger values, and its digits would say nothing.
pub(crate) fn point(value: f64, ends: Option<(f64, f64)>) -> String {
    let (lo, hi) = ends.unwrap_or((value, value));
    let largest =
        [value, lo, hi].into_iter().filter(|end| end.is_finite()).fold(0.0, |most: f64, end| most.max(end.abs()));
    let spans_zero = ends.is_some_and(|(lo, hi)| lo < 0.0 && hi > 0.0);
    let limit = if spans_zero { NOISE } else { SMALL };
    match value.is_finite() && value != 0.0 && largest < limit {
        true => small(value, largest),
        false => digits(value, ends.map_or(f64::INFINITY, |(lo, hi)| hi - lo)),
    }
}

/// Below this, two decimals are fewer than two significant digits.
const SMALL: f64 = 0.05;

/// Below this, an interval that spans 0 is that of small values, not of noise beside larger ones.
const NOISE: f64 = 1e-4;

/// Below this, zeros behind the point would have to be counted.
const MILLIONTH: f64 = 1e-6;

/// A value beside which the `largest` number has three significant digits.
fn small(value: f64, largest: f64) -> String {
    if largest < MILLIONTH {
        return format!("{value:.2e}").replace('-', "−");
    }
    let decimals = 2 - (largest * 1.0005).log10().floor() as i32;
    let text = format!("{:.*}", decimals.unsigned_abs() as usize, value.abs());
    match text.trim_matches(['0', '.']).is_empty() {
        true => "0.00".to_owned(),
        false if value < 0.0 => format!("−{text}"),
        false => text,
    }
}

/// Three significant digits, or more when the `width` of the interval around the value needs them; never more than three
/// decimals.
fn digits(value: f64, width: f64) -> String {
    let size = value.abs();
    if !size.is_finite() {
        return MISSING.to_owned();
    }
    if size >= 1e15 {
        // No time and no count is that long; as digits it would be 300 columns wide.
        return format!("{value:.2e}").replace('-', "−");
    }
    // Power of ten of the last digit: hundreds for 37,600; below 0.05 two decimals are enough.
    // The factor carries what rounds up to the next power: 9.999 is 10.0.
    let by_size = match size {
        size if size < 0.05 => -2,
        size => ((size * 1.0005).log10().floor() as i32 - 2).max(-3),
    };
    let by_width = if width > 0.0 && width.is_finite() { width.log10().floor() as i32 } else { by_size };
    // A narrow interval shows at most one more decimal than 0.01, and no more than six digits in all.
    let last = by_size.min(by_width).max(by_size - 3).max(by_size.min(-2));
    let scale = 10f64.powi(last.abs());
    let text = if last >= 0 {
        separated(&format!("{:.0}", (size / scale).round() * scale))
    } else {
        separated(&format!("{size:.*}", last.unsigned_abs() as usize))
    };
    let zero = text.trim_matches(['0', '.']).is_empty();
    if value < 0.0 && !zero { format!("−{text}") } else { text }
}

/// A number that says its sign: `+12.3`, `−4`, `0.00`.
pub(crate) fn signed(value: f64) -> String {
    with_sign(number(value))
}

/// [`point`] that says its sign.
pub(crate) fn signed_point(value: f64, ends: Option<(f64, f64)>) -> String {
    with_sign(point(value, ends))
}

fn with_sign(text: String) -> String {
    let unsigned = text.trim_matches(['0', '.']).is_empty() || text.starts_with(['−', '<', '>']) || text == MISSING;
    if unsigned { text } else { format!("+{text}") }
}

/// A share of 1 as signed percent, one decimal at most: `+88.3%`, `−0.9%`, `+1,880%`.
pub(crate) fn percent(share: f64) -> String {
    let percent = share * 100.0;
    match percent.abs() {
        size if !size.is_finite() => MISSING.to_owned(),
        size if size < 0.05 => "0.0%".to_owned(),
        size if size < 10.0 => format!("{}{size:.1}%", if percent < 0.0 { '−' } else { '+' }),
        _ => format!("{}%", signed(percent)),
    }
}

/// A share of the gap as [`percent`]; beyond ten times the gap the number itself says nothing.
pub(crate) fn share(share: f64) -> String {
    match share {
        share if share > 10.0 => "> 10×".to_owned(),
        share if share < -10.0 => "< −10×".to_owned(),
        share => percent(share),
    }
}

/// A part of a whole, without a sign: `83.9%`.
pub(crate) fn part(part: f64) -> String {
    percent(part).trim_start_matches('+').to_owned()
}

/// `[37,100, 38,200]`.
pub(crate) fn interval(ends: Option<(f64, f64)>) -> String {
    ends.map_or_else(|| MISSING.to_owned(), |(lo, hi)| format!("[{}, {}]", point(lo, ends), point(hi, ends)))
}

/// `Some` by `show`, `None` as `n/a`.
pub(crate) fn or_missing(value: Option<f64>, show: impl Fn(f64) -> String) -> String {
    value.map_or_else(|| MISSING.to_owned(), show)
}

/// The difference to a peer in percent of it, where there is one beyond the noise: the ratio less 1.
pub(crate) fn gap_claimed(gap: Estimate) -> String {
    match gap.interval {
        Some((lo, hi)) if lo > 0.0 || hi < 0.0 => percent(gap.value),
        Some(_) => Verdict::NotDetected.word().to_owned(),
        None => Verdict::Inconclusive.word().to_owned(),
    }
}

/// [`gap_claimed`] for a narrow column: `−23.6%~` where no difference is claimed.
pub(crate) fn gap_marked(gap: Estimate) -> String {
    let is_apart = gap.interval.is_some_and(|(lo, hi)| lo > 0.0 || hi < 0.0);
    format!("{}{}", percent(gap.value), if is_apart { "" } else { "~" })
}

/// Value and interval in one: `500 [480, 520]`.
pub(crate) fn with_interval(estimate: Option<&Estimate>) -> String {
    estimate.map_or_else(
        || MISSING.to_owned(),
        |estimate| format!("{} {}", point(estimate.value, estimate.interval), interval(estimate.interval)),
    )
}

/// What a response is, for a reader who sees its name for the first time.
pub(crate) fn meaning(response: MainResponse) -> &'static str {
    match response {
        MainResponse::P10 => "10th percentile of a process's timed batches",
        MainResponse::P50 => "median of a process's timed batches",
        MainResponse::P99 => "99th percentile of a process's timed batches",
        MainResponse::Mean => "over all operations of a process",
        MainResponse::Wall => "from start to end of a process",
        MainResponse::Cpu => "processor time of a process",
        MainResponse::RssPeak => "most memory that a process had resident",
        MainResponse::RssMean => "memory that a process had resident, in the mean",
        MainResponse::Value(_) => "a number that the program prints",
    }
}

/// What the values of one table are written in.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Unit {
    /// How many nanoseconds, bytes or whatever is measured it is.
    size: f64,
    /// `ns`, `µs` or `ms`; `B` or `MiB`; `%`; `/s`; empty for plain numbers.
    pub(crate) name: &'static str,
    /// `/op` where values are per operation, ` per run` where a run is all that is known.
    per: &'static str,
}

impl Unit {
    /// Plain numbers.
    pub(crate) const PLAIN: Unit = Unit { size: 1.0, name: "", per: "" };

    /// From this many of a unit on, a table is written in the next larger one.
    pub(crate) const LIMIT: f64 = 1e5;

    const ALL: [Unit; 3] = [
        Unit { size: 1.0, name: "ns", per: "/op" },
        Unit { size: 1e3, name: "µs", per: "/op" },
        Unit { size: 1e6, name: "ms", per: "/op" },
    ];

    /// From this many bytes on, bytes are written as MiB.
    const MANY_BYTES: f64 = 65_536.0;

    /// The smallest unit in which all values stay below `limit`; the largest there is when none is large enough.
    pub(crate) fn fitting(nanoseconds: impl IntoIterator<Item = f64>, limit: f64) -> Unit {
        let finite = nanoseconds.into_iter().filter(|value| value.is_finite());
        let most = finite.fold(0.0, |most: f64, value| most.max(value.abs()));
        let [first, .., last] = Unit::ALL;
        if most == 0.0 {
            return first;
        }
        Unit::ALL.into_iter().find(|unit| most / unit.size < limit).unwrap_or(last)
    }

    /// The unit for values of a response with their intervals: of times the smallest that fits.
    pub(crate) fn of_response(
        response: MainResponse,
        estimates: impl IntoIterator<Item = Estimate>,
        limit: f64,
    ) -> Unit {
        let plain = |size, name| Unit { size, name, per: "" };
        match response.quantity() {
            Quantity::Latency => Unit::of(estimates, limit),
            Quantity::Time => Unit { per: "", ..Unit::of(estimates, limit) },
            Quantity::Bytes => {
                let most = estimates.into_iter().fold(0.0, |most: f64, e| most.max(e.value.abs()));
                if most < Unit::MANY_BYTES { plain(1.0, "B") } else { plain(1_048_576.0, "MiB") }
            }
            Quantity::Share => plain(0.01, "%"),
            Quantity::Rate => plain(1.0, "/s"),
            _ => plain(1.0, ""),
        }
    }

    /// The unit for values in the response of a workload: per run where the process as a whole is what is measured.
    pub(crate) fn of_workload(
        workload: &WorkloadAnalysis,
        estimates: impl IntoIterator<Item = Estimate>,
        limit: f64,
    ) -> Unit {
        let unit = Unit::of_response(workload.response, estimates, limit);
        if workload.is_per_run { unit.per_run() } else { unit }
    }

    /// The unit where the process as a whole is what is measured.
    pub(crate) fn per_run(self) -> Unit {
        if self.per == "/op" { Unit { per: " per run", ..self } } else { self }
    }

    /// What a value is followed by: `ns/op`, `MiB`, nothing.
    pub(crate) fn label(self) -> String {
        format!("{}{}", self.name, self.per)
    }

    /// What a difference is followed by in a table. That of a share is in percentage points, because beside it `%` is a
    /// part of the baseline.
    pub(crate) fn of_difference(self) -> String {
        if self.name == "%" { "points".to_owned() } else { self.label() }
    }

    /// What a column of differences is called: `Δ ns/op`.
    pub(crate) fn delta(self) -> String {
        format!("Δ {}", self.of_difference()).trim_end().to_owned()
    }

    /// What a value of a response is followed by: `ns/op p10`, `MiB rss-peak`.
    pub(crate) fn with(self, response: MainResponse) -> String {
        format!("{} {}", self.label(), response.as_str()).trim_start().to_owned()
    }

    /// [`Unit::fitting`] for values with their intervals.
    pub(crate) fn of(estimates: impl IntoIterator<Item = Estimate>, limit: f64) -> Unit {
        let parts = estimates.into_iter().flat_map(|e| {
            let ends = e.interval.map(|(lo, hi)| [lo, hi]);
            ends.into_iter().flatten().chain([e.value])
        });
        Unit::fitting(parts, limit)
    }

    /// The unit of everything that is said of the single factors of a workload, so that one table, sentence or heading
    /// never gives a factor in another unit than the next.
    pub(crate) fn of_factors(workload: &WorkloadAnalysis, limit: f64) -> Unit {
        let single = workload.main_effects().filter(|e| e.attribution || e.contrast == "off-absent");
        let crossed = workload.crossed.iter().flat_map(|crossed| &crossed.factors);
        let shapley = crossed.map(|factor| factor.shapley.alone);
        let values = single.filter_map(|effect| effect.value()).chain(shapley);
        Unit::of_workload(workload, values, limit)
    }

    /// What was measured, in this unit.
    pub(crate) fn from(self, measured: f64) -> f64 {
        measured / self.size
    }

    /// An estimate of what was measured, in this unit.
    pub(crate) fn estimate(self, estimate: Estimate) -> Estimate {
        let interval = estimate.interval.map(|(lo, hi)| (self.from(lo), self.from(hi)));
        Estimate { value: self.from(estimate.value), interval, ..estimate }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_for_people() {
        for (value, expected) in [
            (37_602.0, "37,600"),
            (1_234_567.0, "1,230,000"),
            (999.7, "1,000"),
            (999.4, "999"),
            (-12.345, "−12.3"),
            (9.999, "10.0"),
            (1.0, "1.00"),
            (0.1234, "0.123"),
            (0.0432, "0.04"),
            (-0.0432, "−0.04"),
            (0.0612, "0.061"),
            (0.001, "<0.01"),
            (-0.001, ">−0.01"),
            (0.0, "0.00"),
            (f64::NAN, "n/a"),
            (f64::NEG_INFINITY, "n/a"),
        ] {
            assert_eq!(number(value), expected, "{value}");
        }
        assert_eq!(number(f64::MIN), "−1.80e308");
        assert_eq!(number(f64::MIN_POSITIVE), "<0.01");
        assert_eq!(signed(0.001), "<0.01");
    }

    #[test]
    fn small_values_have_three_significant_digits() {
        for (value, expected) in [
            (0.000_12, "0.000120"),
            (0.000_18, "0.000180"),
            (0.009_999, "0.0100"),
            (-0.012_34, "−0.0123"),
            (0.0432, "0.0432"),
            (0.0612, "0.061"),
            (0.000_001_234, "0.00000123"),
            (0.000_000_12, "1.20e−7"),
            (-0.000_000_12, "−1.20e−7"),
            (0.0, "0.00"),
            (f64::NAN, "n/a"),
        ] {
            assert_eq!(point(value, None), expected, "{value}");
        }
        let small = Estimate { value: 0.000_12, interval: Some((0.000_118_4, 0.000_121_6)), blocks: 6 };
        assert_eq!(with_interval(Some(&small)), "0.000120 [0.000118, 0.000122]");
        assert_eq!(signed_point(0.000_12, small.interval), "+0.000120");
        assert_eq!(signed_point(1.2e-9, None), "+1.20e−9");
        // A true 0 stays 0, and an end is rounded as the others are.
        assert_eq!(interval(Some((0.0, 0.0))), "[0.00, 0.00]");
        assert_eq!(interval(Some((0.000_000_1, 0.000_12))), "[0.00, 0.000120]");
    }

    #[test]
    fn noise_around_zero_has_two_decimals_unless_it_is_far_below_them() {
        let noise = |value, ends| format!("{} {}", signed_point(value, Some(ends)), interval(Some(ends)));
        assert_eq!(noise(-0.003, (-0.021, 0.014)), "0.00 [−0.02, 0.01]");
        assert_eq!(noise(0.000_1, (-0.000_6, 0.000_7)), "0.00 [0.00, 0.00]");
        assert_eq!(noise(-0.000_003, (-0.000_021, 0.000_014)), "−0.0000030 [−0.0000210, 0.0000140]");
    }

    #[test]
    fn signs_and_percent() {
        assert_eq!(signed(12.34), "+12.3");
        assert_eq!(signed(-12.34), "−12.3");
        assert_eq!(signed(0.0), "0.00");
        assert_eq!(percent(0.8834), "+88.3%");
        assert_eq!(percent(f64::NAN), "n/a");
        assert_eq!(percent(-0.009_17), "−0.9%");
        assert_eq!(percent(0.000_1), "0.0%");
        assert_eq!(percent(18.8), "+1,880%");
        assert_eq!(interval(Some((-1.0, 2_000.0))), "[−1.00, 2,000]");
    }

    #[test]
    fn shares_beyond_ten_times_are_cut() {
        for (value, expected) in [(0.8, "+80.0%"), (-175.0, "< −10×"), (10.5, "> 10×"), (10.0, "+1,000%")] {
            assert_eq!(share(value), expected);
        }
    }

    #[test]
    fn large_tables_are_in_larger_units() {
        let unit = |values: &[f64]| Unit::fitting(values.iter().copied(), Unit::LIMIT).name;
        assert_eq!(unit(&[5.0, -99_999.0]), "ns");
        assert_eq!(unit(&[5.0, -100_000.0, f64::INFINITY]), "µs");
        assert_eq!(unit(&[1e8]), "ms");
        assert_eq!(unit(&[1e15]), "ms");
        assert_eq!(unit(&[]), "ns");
        let wide = Estimate { value: 50_000.0, interval: Some((10.0, 2e5)), blocks: 6 };
        let unit = Unit::of([wide], Unit::LIMIT);
        assert_eq!(with_interval(Some(&unit.estimate(wide))), "50.0 [0.01, 200]");
    }

    #[test]
    fn what_is_measured_tells_its_unit() {
        let unit = |name: &str, value: f64| {
            let estimate = Estimate { value, interval: None, blocks: 6 };
            let unit = Unit::of_response(MainResponse::named(name).expect("a response"), [estimate], Unit::LIMIT);
            (unit.with(MainResponse::named(name).expect("a response")), number(unit.from(value)))
        };
        let said = |label: &str, number: &str| (label.to_owned(), number.to_owned());
        assert_eq!(unit("p99", 250_000.0), said("µs/op p99", "250"));
        assert_eq!(unit("rss-peak", 12.0 * 1_048_576.0), said("MiB rss-peak", "12.0"));
        assert_eq!(unit("value:header_bytes", 48.0), said("B value:header_bytes", "48.0"));
        assert_eq!(unit("value:idle_share", 0.153), said("% value:idle_share", "15.3"));
        assert_eq!(unit("value:pause_ns", 3_000.0), said("ns value:pause_ns", "3,000"));
        assert_eq!(unit("value:requests_per_s", 1_250.0), said("/s value:requests_per_s", "1,250"));
        assert_eq!(unit("value:spans", 7.0), said("value:spans", "7.00"));
    }

    #[test]
    fn a_value_is_as_precise_as_its_interval() {
        let ends = Some((37_612.3, 37_618.4));
        assert_eq!(interval(ends), "[37,612, 37,618]");
        assert_eq!(point(37_614.2, ends), "37,614");
        assert_eq!(interval(Some((37_123.0, 38_234.0))), "[37,100, 38,200]");
        assert_eq!(interval(Some((2_000.04, 2_000.31))), "[2,000.0, 2,000.3]");
        assert_eq!(interval(Some((5.0, 5.0))), "[5.00, 5.00]");
        assert_eq!(interval(Some((f64::NEG_INFINITY, f64::NAN))), "[n/a, n/a]");
    }
}
