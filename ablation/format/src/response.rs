//! What a workload is judged by: one value of each process, and what kind of quantity it is.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::collections::BTreeSet;
use std::sync::Mutex;

/// Begins the name of a response that is a number of the program's own.
const VALUE: &str = "value:";

/// Longest name of a value.
const NAME_MAX: usize = 64;

/// The one value of a process that a workload is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum MainResponse {
    /// 10th percentile of the latencies: the least disturbed part of a steady run.
    #[default]
    P10,
    /// Median of the latencies.
    P50,
    /// 99th percentile of the latencies, as the program reports it.
    P99,
    /// Mean of the latencies: every operation counts, for runs whose first operations are the subject.
    Mean,
    /// Wall time of the whole process, seen from outside: for programs that report nothing.
    Wall,
    /// Processor time of the whole process, user and system, seen from outside.
    Cpu,
    /// Most bytes of the whole process that were resident at once, seen from outside.
    RssPeak,
    /// A number of the program's own, from `values` of its line.
    Value(ValueName),
}

/// `value:NAME`, kept for as long as the runner lives, so that responses are as cheap to pass on as numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueName(&'static str);

impl ValueName {
    /// The name in the program's line.
    pub fn name(self) -> &'static str {
        &self.0[VALUE.len()..]
    }

    fn of(text: &str) -> Option<ValueName> {
        static NAMES: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());
        let name = text.strip_prefix(VALUE)?;
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if name.is_empty() || name.len() > NAME_MAX || !name.chars().all(fits) {
            return None;
        }
        // A poisoned lock still guards a set of whole names.
        let mut names = NAMES.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(known) = names.get(text) {
            return Some(ValueName(known));
        }
        // A config names a few, and each once.
        let kept: &'static str = Box::leak(text.to_owned().into_boxed_str());
        names.insert(kept);
        Some(ValueName(kept))
    }
}

/// What a number measures, which tells the unit that people read it in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Quantity {
    /// Nanoseconds per operation.
    Latency,
    /// Nanoseconds.
    Time,
    /// Bytes.
    Bytes,
    /// A part of 1.
    Share,
    /// So many in a second.
    Rate,
    /// Anything else.
    Number,
}

impl Quantity {
    /// Whether more of it is better; of everything but a rate less is.
    pub fn is_better_high(self) -> bool {
        self == Quantity::Rate
    }
}

impl MainResponse {
    /// All but the program's own, for messages about names.
    pub const ALL: [MainResponse; 7] = [
        MainResponse::P10,
        MainResponse::P50,
        MainResponse::P99,
        MainResponse::Mean,
        MainResponse::Wall,
        MainResponse::Cpu,
        MainResponse::RssPeak,
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
            MainResponse::Value(value) => value.0,
        }
    }

    /// The response of a name; `None` when there is none.
    pub fn named(name: &str) -> Option<MainResponse> {
        let known = MainResponse::ALL.into_iter().find(|known| known.as_str() == name);
        known.or_else(|| ValueName::of(name).map(MainResponse::Value))
    }

    /// Whether it is measured from outside, for the whole process, and not reported by the program.
    pub fn is_outside(self) -> bool {
        matches!(self, MainResponse::Wall | MainResponse::Cpu | MainResponse::RssPeak)
    }

    /// What it measures; of a value the end of its name tells.
    pub fn quantity(self) -> Quantity {
        match self {
            MainResponse::RssPeak => Quantity::Bytes,
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

    /// Whether it is nanoseconds per operation, to which prices of events and accounts of gaps belong.
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
