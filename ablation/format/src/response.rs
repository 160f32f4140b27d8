//! Responses: the one value of each process that a workload is judged by, and the quantity that it measures.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::collections::BTreeSet;
use std::sync::Mutex;

/// Prefix of a response that is one of the program's own values.
const VALUE: &str = "value:";

/// Longest name of a value in bytes.
const NAME_MAX: usize = 64;

/// The one value of a process that a workload is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum MainResponse {
    /// 10th percentile of the latencies, nanoseconds per operation: the least disturbed part of a steady run.
    #[default]
    P10,
    /// Median of the latencies, nanoseconds per operation.
    P50,
    /// 99th percentile of the latencies as the program reports it, nanoseconds per operation.
    P99,
    /// Mean of the latencies, nanoseconds per operation. Every operation counts, for runs whose first operations are
    /// the subject.
    Mean,
    /// Wall time of the whole process, seen from outside, nanoseconds per operation. The whole process is one operation
    /// when the program reports none.
    Wall,
    /// User and system time of the whole process, seen from outside, nanoseconds per operation as for
    /// [`MainResponse::Wall`].
    Cpu,
    /// Peak resident bytes of the whole process, as [`Record::rss_peak_bytes`](crate::Record::rss_peak_bytes) has them.
    RssPeak,
    /// Resident bytes of the process and its descendants in the mean over its time, as
    /// [`Record::rss_mean`](crate::Record::rss_mean) has them.
    RssMean,
    /// One of the program's own values, from [`Measured::values`](crate::Measured::values).
    Value(ValueName),
}

/// Name of a response `value:NAME`. The text of each distinct name is allocated once and never freed, so that a
/// response is `Copy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueName(&'static str);

impl ValueName {
    /// The key in [`Measured::values`](crate::Measured::values), without `value:`.
    pub fn name(self) -> &'static str {
        &self.0[VALUE.len()..]
    }

    fn of(text: &str) -> Option<ValueName> {
        static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
        if !text.strip_prefix(VALUE).is_some_and(is_value_name) {
            return None;
        }
        // A poisoned lock still guards a set of whole names.
        let mut names = NAMES.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(known) = names.get(text) {
            return Some(ValueName(known));
        }
        // Leaked memory is bounded: a config has few names, and each is stored once.
        let stored: &'static str = Box::leak(text.to_owned().into_boxed_str());
        names.insert(stored);
        Some(ValueName(stored))
    }
}

/// Whether a value can have this name: 1 to 64 letters a to z, digits and `_`.
pub fn is_value_name(name: &str) -> bool {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    !name.is_empty() && name.len() <= NAME_MAX && name.chars().all(fits)
}

/// What a number measures, and the unit that it is stored in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Quantity {
    /// Nanoseconds per operation.
    Latency,
    /// Nanoseconds.
    Time,
    /// Bytes.
    Bytes,
    /// A part of 1.
    Share,
    /// Events per second.
    Rate,
    /// Any other number.
    Number,
}

impl Quantity {
    /// Whether more is better. That is so for rates; of every other quantity less is better.
    pub fn is_better_high(self) -> bool {
        self == Quantity::Rate
    }
}

impl MainResponse {
    /// All responses but the program's own values.
    pub const ALL: [MainResponse; 8] = [
        MainResponse::P10,
        MainResponse::P50,
        MainResponse::P99,
        MainResponse::Mean,
        MainResponse::Wall,
        MainResponse::Cpu,
        MainResponse::RssPeak,
        MainResponse::RssMean,
    ];

    /// The name in configs and tables.
    pub fn as_str(self) -> &'static str {
        match self {
            MainResponse::P10 => "p10",
            MainResponse::P50 => "p50",
            MainResponse::P99 => "p99",
            MainResponse::Mean => "mean",
            MainResponse::Wall => "wall",
            MainResponse::Cpu => "cpu",
            MainResponse::RssPeak => "rss-peak",
            MainResponse::RssMean => "rss-mean",
            MainResponse::Value(value) => value.0,
        }
    }

    /// The response with this name, as [`MainResponse::as_str`] gives it. `None` when there is none: a name after
    /// `value:` has 1 to 64 letters a to z, digits and `_`.
    pub fn named(name: &str) -> Option<MainResponse> {
        let known = MainResponse::ALL.into_iter().find(|known| known.as_str() == name);
        known.or_else(|| ValueName::of(name).map(MainResponse::Value))
    }

    /// The response that is a value of the program's own with this name; `None` where
    /// [`is_value_name`] refuses the name.
    pub fn value(name: &str) -> Option<MainResponse> {
        MainResponse::named(&format!("{VALUE}{name}"))
    }

    /// Whether it is measured for the whole process from outside, and needs no report of the program.
    pub fn is_outside(self) -> bool {
        matches!(self, MainResponse::Wall | MainResponse::Cpu | MainResponse::RssPeak | MainResponse::RssMean)
    }

    /// The quantity that it measures. The quantity of a value follows from the end of its name: `_bytes`, `_share`,
    /// `_per_s`, `_ns`, else [`Quantity::Number`].
    pub fn quantity(self) -> Quantity {
        match self {
            MainResponse::RssPeak | MainResponse::RssMean => Quantity::Bytes,
            MainResponse::Value(value) => match value.name() {
                name if name.ends_with("_bytes") => Quantity::Bytes,
                name if name.ends_with("_share") => Quantity::Share,
                name if name.ends_with("_per_s") => Quantity::Rate,
                name if name.ends_with("_ns") => Quantity::Time,
                _ => Quantity::Number,
            },
            _ => Quantity::Latency,
        }
    }

    /// Whether it is in nanoseconds per operation. Cost breakdowns and unit costs are for these only.
    pub fn is_latency(self) -> bool {
        self.quantity() == Quantity::Latency
    }
}

impl Serialize for MainResponse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for MainResponse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<MainResponse, D::Error> {
        let name = String::deserialize(deserializer)?;
        MainResponse::named(&name).ok_or_else(|| de::Error::custom(format!("unknown response `{name}`")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_response_has_a_name_that_is_read_again() {
        let value = MainResponse::named("value:resident_share").expect("a name");
        for response in MainResponse::ALL.into_iter().chain([value]) {
            let text = serde_json::to_string(&response).expect("is text");
            assert_eq!(text, format!("\"{}\"", response.as_str()));
            assert_eq!(serde_json::from_str::<MainResponse>(&text).expect("is a response"), response);
        }
        assert!(serde_json::from_str::<MainResponse>("\"p11\"").is_err());
        for bad in ["value:", "value:A", "value:a-b", "value:a/b", "values:a", "p1"] {
            assert_eq!(MainResponse::named(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_name_tells_what_a_value_measures() {
        let quantity = |name: &str| MainResponse::named(name).expect("a name").quantity();
        assert_eq!(quantity("value:held_bytes"), Quantity::Bytes);
        assert_eq!(quantity("value:idle_share"), Quantity::Share);
        assert_eq!(quantity("value:pause_ns"), Quantity::Time);
        assert_eq!(quantity("value:requests_per_s"), Quantity::Rate);
        assert_eq!((quantity("value:spans"), quantity("rss-peak")), (Quantity::Number, Quantity::Bytes));
        assert_eq!((quantity("p99"), quantity("wall")), (Quantity::Latency, Quantity::Latency));
        let MainResponse::Value(name) = MainResponse::named("value:spans").expect("a name") else { panic!("a value") };
        assert_eq!(name.name(), "spans");
    }
}
