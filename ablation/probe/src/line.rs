//! The line that a measured program prints. docs/format.md describes it in "The line of a measured program".

use crate::timed_batches::{TimedBatches, percentile};
use std::collections::BTreeMap;
use std::fmt::{self, Display, Formatter};

/// One line of JSON, without the line's end. A measured program prints it last.
#[derive(Debug, Clone)]
pub struct Line {
    batches: TimedBatches,
    checksum: u64,
    served_by: Option<String>,
    levels: BTreeMap<String, String>,
    counters: BTreeMap<String, BTreeMap<String, u64>>,
    page_faults: Option<u64>,
    env_rejected: Vec<String>,
    numbers: BTreeMap<String, BTreeMap<String, f64>>,
}

impl Line {
    /// Starts the line with the timed batches and a checksum of the operations' results. The checksum must not depend
    /// on the level of any factor.
    pub fn new(batches: TimedBatches, checksum: u64) -> Line {
        Line {
            batches,
            checksum,
            served_by: None,
            levels: BTreeMap::new(),
            counters: BTreeMap::new(),
            page_faults: None,
            env_rejected: Vec::new(),
            numbers: BTreeMap::new(),
        }
    }

    /// Sets the level that a factor had: `on`, `off`, `absent`, or the name of a variant.
    pub fn level(&mut self, factor: &str, level: &str) -> &mut Line {
        self.levels.insert(factor.to_owned(), level.to_owned());
        self
    }

    /// Sets a counter of a factor's work. A counter that the study names in `proof` must be above 0 when the factor is
    /// on, and 0 when it is not.
    pub fn counter(&mut self, factor: &str, counter: &str, value: u64) -> &mut Line {
        self.counters.entry(factor.to_owned()).or_default().insert(counter.to_owned(), value);
        self
    }

    /// Names the component that served the operations, for a study with `served_by`.
    pub fn served_by(&mut self, name: &str) -> &mut Line {
        self.served_by = Some(name.to_owned());
        self
    }

    /// Sets the number of page faults of the measured part.
    pub fn page_faults(&mut self, faults: u64) -> &mut Line {
        self.page_faults = Some(faults);
        self
    }

    /// Adds an environment variable that the program refused, with the reason. The run is then invalid.
    pub fn env_rejected(&mut self, why: &str) -> &mut Line {
        self.env_rejected.push(why.to_owned());
        self
    }

    /// Adds one of the program's own numbers as `"group": {"name": value}`. The group `values` is for responses
    /// `value:NAME` of a study. Readers ignore groups that they do not know.
    ///
    /// # Panics
    /// When `group` is a key of the format with another type, because the line could not be read.
    pub fn number(&mut self, group: &str, name: &str, value: f64) -> &mut Line {
        assert!(!KEYS.contains(&group), "`{group}` is a key of the format");
        self.numbers.entry(group.to_owned()).or_default().insert(name.to_owned(), value);
        self
    }
}

/// Version of the line, as in docs/format.md.
const FORMAT: u64 = 2;
/// Keys of the format that are not groups of numbers.
const KEYS: [&str; 17] = [
    "format",
    "operations",
    "checksum",
    "latency_over",
    "samples",
    "latency_ns_p10",
    "latency_ns_p50",
    "latency_ns_p99",
    "latency_ns_mean",
    "served_by",
    "levels",
    "counters",
    "page_faults",
    "rss_peak_bytes",
    "env_rejected",
    "batches_ns",
    "contention_probes_ns",
];

impl Display for Line {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let batches = self.batches.batches_ns();
        let mut sorted = batches.clone();
        sorted.sort_by(f64::total_cmp);
        let mean = if sorted.is_empty() { 0.0 } else { sorted.iter().sum::<f64>() / sorted.len() as f64 };
        let checksum = format!("{:016x}", self.checksum);
        let (mut out, samples) = (Object::start(f)?, batches.len() as u64);
        out.key("format", &FORMAT)?.key("operations", &self.batches.operations())?.key("checksum", &checksum)?;
        out.key("latency_over", &"batches".to_owned())?.key("samples", &samples)?;
        out.key("latency_ns_p10", &percentile(&sorted, 0.10))?.key("latency_ns_p50", &percentile(&sorted, 0.50))?;
        out.key("latency_ns_p99", &percentile(&sorted, 0.99))?.key("latency_ns_mean", &mean)?;
        if let Some(name) = &self.served_by {
            out.key("served_by", name)?;
        }
        out.key("levels", &self.levels)?.key("counters", &self.counters)?;
        if let Some(faults) = &self.page_faults {
            out.key("page_faults", faults)?;
        }
        out.key("env_rejected", &self.env_rejected)?;
        out.key("batches_ns", &batches)?.key("contention_probes_ns", &self.batches.contention_probes_ns().to_vec())?;
        for (group, numbers) in &self.numbers {
            out.key(group, numbers)?;
        }
        out.end()
    }
}

/// A value that can be written as JSON.
trait Json {
    fn write(&self, f: &mut Formatter<'_>) -> fmt::Result;
}

impl Json for u64 {
    fn write(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// With three decimals, which for nanoseconds are picoseconds. Infinities and NaN become `null`, which JSON requires.
impl Json for f64 {
    fn write(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.is_finite() { write!(f, "{self:.3}") } else { f.write_str("null") }
    }
}

/// With the escapes that RFC 8259, section 7, requires.
impl Json for String {
    fn write(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for c in self.chars() {
            match c {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                '\u{0}'..='\u{1f}' => write!(f, "\\u{:04x}", u32::from(c))?,
                _ => write!(f, "{c}")?,
            }
        }
        f.write_str("\"")
    }
}

impl<T: Json> Json for Vec<T> {
    fn write(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (i, value) in self.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { "," })?;
            value.write(f)?;
        }
        f.write_str("]")
    }
}

impl<T: Json> Json for BTreeMap<String, T> {
    fn write(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let mut out = Object::start(f)?;
        for (name, value) in self {
            out.key(name, value)?;
        }
        out.end()
    }
}

/// An object that is being written.
struct Object<'a, 'f> {
    f: &'a mut Formatter<'f>,
    is_empty: bool,
}

impl<'a, 'f> Object<'a, 'f> {
    fn start(f: &'a mut Formatter<'f>) -> Result<Self, fmt::Error> {
        f.write_str("{")?;
        Ok(Object { f, is_empty: true })
    }

    fn key(&mut self, name: &str, value: &impl Json) -> Result<&mut Self, fmt::Error> {
        self.f.write_str(if self.is_empty { "" } else { "," })?;
        self.is_empty = false;
        name.to_owned().write(self.f)?;
        self.f.write_str(":")?;
        value.write(self.f)?;
        Ok(self)
    }

    fn end(self) -> fmt::Result {
        self.f.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_run_is_a_whole_line() {
        let line = Line::new(TimedBatches::new(0, 7), 0xab).to_string();
        let expected = "{\"format\":2,\"operations\":0,\"checksum\":\"00000000000000ab\",\
            \"latency_over\":\"batches\",\"samples\":0,\"latency_ns_p10\":0.000,\"latency_ns_p50\":0.000,\
            \"latency_ns_p99\":0.000,\"latency_ns_mean\":0.000,\"levels\":{},\"counters\":{},\"env_rejected\":[],\
            \"batches_ns\":[],\"contention_probes_ns\":[]}";
        assert_eq!(line, expected);
    }

    #[test]
    fn everything_said_is_in_the_line_once() {
        let mut batches = TimedBatches::new(2, 5);
        while batches.is_wanted() {
            batches.time(|| ());
        }
        let mut line = Line::new(batches, 1);
        line.level("b", "off").level("a", "on").counter("a", "hits", 3).counter("a", "asks", 4);
        line.served_by("pool").page_faults(9).env_rejected("A=\"x\"").number("own", "n", 0.5).number(
            "own",
            "m",
            f64::NAN,
        );
        let line = line.to_string();
        for part in [
            "\"operations\":10",
            "\"samples\":2",
            "\"served_by\":\"pool\"",
            "\"levels\":{\"a\":\"on\",\"b\":\"off\"}",
            "\"counters\":{\"a\":{\"asks\":4,\"hits\":3}}",
            "\"page_faults\":9",
            "\"env_rejected\":[\"A=\\\"x\\\"\"]",
            "\"own\":{\"m\":null,\"n\":0.500}",
        ] {
            assert_eq!(line.matches(part).count(), 1, "{part} in {line}");
        }
        let list = |key: &str| {
            let from = line.find(key).expect(key) + key.len() + 3;
            line[from..].split(']').next().expect("a list").split(',').count()
        };
        assert_eq!((list("batches_ns"), list("contention_probes_ns")), (2, 3), "{line}");
        assert!(!line.contains('\n'));
    }

    #[test]
    fn text_is_escaped() {
        let check = |text: &str, expected: &str| {
            let line = Line::new(TimedBatches::new(0, 1), 0).env_rejected(text).to_string();
            assert!(line.contains(&format!("\"env_rejected\":[{expected}]")), "{line}");
        };
        check("plain ü", "\"plain ü\"");
        check("a\"b\\c", "\"a\\\"b\\\\c\"");
        check("line\nend\u{1}", "\"line\\u000aend\\u0001\"");
    }

    #[test]
    #[should_panic(expected = "`levels` is a key of the format")]
    fn a_key_of_the_format_is_not_a_group() {
        Line::new(TimedBatches::new(0, 1), 0).number("levels", "a", 1.0);
    }
}
