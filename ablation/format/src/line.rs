//! Reads the line of a measured program, in its full form and in the minimal one: a JSON object of named numbers.

use crate::measured::Measured;
use crate::response::is_value_name;
use crate::version::FORMAT;
use serde_json::{Map, Value};

/// A line that is not one of a measured program. Its text names the key and what it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LineError(String);

/// What a key of the line has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Whole,
    Number,
    Text,
    Texts,
    Numbers,
    /// An object of texts.
    NamedTexts,
    /// An object of numbers.
    NamedNumbers,
    /// An object of objects of whole numbers.
    Counters,
}

/// The keys of docs/format.md. Every other key is a value of the program's own.
const KEYS: [(&str, Kind); 19] = [
    ("operations", Kind::Whole),
    ("served_by", Kind::Text),
    ("levels", Kind::NamedTexts),
    ("counters", Kind::Counters),
    ("checksum", Kind::Text),
    ("latency_over", Kind::Text),
    ("samples", Kind::Whole),
    ("latency_ns_p10", Kind::Number),
    ("latency_ns_p50", Kind::Number),
    ("latency_ns_p99", Kind::Number),
    ("latency_ns_mean", Kind::Number),
    ("rss_peak_bytes", Kind::Whole),
    ("rss_mean_bytes", Kind::Whole),
    ("page_faults", Kind::Whole),
    ("env_rejected", Kind::Texts),
    ("batches_ns", Kind::Numbers),
    ("contention_probes_ns", Kind::Numbers),
    ("values", Kind::NamedNumbers),
    ("truth_ns", Kind::NamedNumbers),
];

/// Longest part of a wrong value that a message shows, in characters.
const SHOWN: usize = 40;

/// Reads a line: a JSON object with the keys of docs/format.md, all of which may be missing, and numbers of the
/// program's own under any other name, which become [`Measured::values`]. With the key `format` other keys that are no
/// such number are ignored; without it they are an error.
///
/// # Errors
/// [`LineError`], for the first key that is not what it should be.
pub fn read_line(line: &str) -> Result<Measured, LineError> {
    let fail = |message: String| Err(LineError(message));
    let object: Map<String, Value> = match serde_json::from_str(line) {
        Ok(Value::Object(object)) => object,
        Ok(other) => {
            return fail(format!(
                "{} is no object; print one of named numbers, like {{\"value_ns\": 12.5}}",
                cut(&other)
            ));
        }
        Err(error) => return fail(format!("it is not JSON: {error}")),
    };
    let is_marked = match object.get("format") {
        None => false,
        // A line of format 1 has the same keys, apart from its contention probes, which are left out.
        Some(format) if format.as_u64().is_some_and(|format| (1..=u64::from(FORMAT)).contains(&format)) => true,
        Some(format) => return fail(format!("key `format` is {}; this ablate reads 1 to {FORMAT}", cut(format))),
    };
    let mut known = Map::new();
    let mut values = Map::new();
    for (key, value) in object {
        if key == "format" {
            continue;
        }
        match KEYS.iter().find(|(name, _)| *name == key) {
            // As if it were missing.
            Some(_) if value.is_null() => {}
            Some((_, kind)) => match kind.refuses(&value) {
                None => _ = known.insert(key, value),
                Some(what) => return fail(format!("key `{key}` is {}: it must be {what}", cut(&value))),
            },
            None if value.is_number() && is_value_name(&key) => _ = values.insert(key, value),
            None if is_marked => {}
            None if value.is_number() => {
                return fail(format!(
                    "key `{}` cannot be named as a response: it must be 1 to 64 letters a to z, digits and `_`",
                    key.escape_debug()
                ));
            }
            None => {
                return fail(format!(
                    "key `{}` is {}: it must be a number, or one of the keys of docs/format.md",
                    key.escape_debug(),
                    cut(&value)
                ));
            }
        }
    }
    if known.is_empty() && values.is_empty() {
        return fail("it has no number; print one under a name of your choice, like {\"value_ns\": 12.5}".to_owned());
    }
    known.insert("format".to_owned(), FORMAT.into());
    known.entry("operations").or_insert_with(|| 1.into());
    if let Some(Value::Object(own)) = known.get_mut("values") {
        own.append(&mut values);
    } else if !values.is_empty() {
        known.insert("values".to_owned(), Value::Object(values));
    }
    serde_json::from_value(Value::Object(known)).or_else(|error| fail(error.to_string()))
}

impl Kind {
    /// What a value should be that is not; `None` for one that is.
    fn refuses(self, value: &Value) -> Option<&'static str> {
        let all = |fits: fn(&Value) -> bool| value.as_array().is_some_and(|list| list.iter().all(fits));
        let named = |fits: fn(&Value) -> bool| value.as_object().is_some_and(|object| object.values().all(fits));
        let (fits, what) = match self {
            Kind::Whole => (value.is_u64(), "a whole number, 0 or more"),
            Kind::Number => (value.is_number(), "a number"),
            Kind::Text => (value.is_string(), "a text"),
            Kind::Texts => (all(Value::is_string), "a list of texts"),
            Kind::Numbers => (all(Value::is_number), "a list of numbers"),
            Kind::NamedTexts => (named(Value::is_string), "an object of texts, {\"NAME\": \"…\"}"),
            Kind::NamedNumbers => (named(Value::is_number), "an object of numbers, {\"NAME\": 1.5}"),
            Kind::Counters => (
                named(|counters| counters.as_object().is_some_and(|own| own.values().all(Value::is_u64))),
                "an object of objects of whole numbers, {\"FACTOR\": {\"COUNTER\": 1}}",
            ),
        };
        (!fits).then_some(what)
    }
}

/// A value as JSON, cut where it is long.
fn cut(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(line: &str, expected: &str) {
        assert_eq!(read_line(line).expect_err(line).to_string(), expected, "{line}");
    }

    #[test]
    fn one_named_number_is_enough() {
        let measured = read_line(r#"{"value_ns": 12.5}"#).expect("a line");
        assert_eq!(measured, Measured { values: [("value_ns".to_owned(), 12.5)].into(), ..Measured::of(1) });
        assert!(!measured.has_latency());
        let two = read_line(r#"{"latency_us": 3, "rate_per_s": 1e6, "values": {"held_bytes": 7}}"#).expect("a line");
        let names: Vec<(&str, f64)> = two.values.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        assert_eq!(names, [("held_bytes", 7.0), ("latency_us", 3.0), ("rate_per_s", 1e6)]);
    }

    #[test]
    fn the_full_line_may_leave_out_what_it_does_not_know() {
        let line = r#"{"format":2,"operations":5,"checksum":"c","latency_over":"batches","samples":4,"latency_ns_p10":1,
            "latency_ns_p50":2,"latency_ns_p99":3,"latency_ns_mean":2,"served_by":null,"later":"x","a-b":1,"own":2}"#;
        let measured = read_line(line).expect("a line");
        assert_eq!((measured.operations, measured.samples, measured.latency_ns_p99), (5, Some(4), Some(3.0)));
        assert_eq!(measured.values, [("own".to_owned(), 2.0)].into(), "other keys are ignored");
        let mean = read_line(r#"{"operations": 3, "latency_ns_mean": 4, "levels": {"a": "on"}}"#).expect("a line");
        assert_eq!((mean.operations, mean.latency_ns_mean, mean.latency_ns_p10), (3, Some(4.0), None));
        assert!(mean.has_latency() && mean.levels["a"] == "on");
        assert_eq!(read_line(r#"{"operations": 0}"#).expect("a line").operations, 0);
    }

    #[test]
    fn a_line_that_does_not_conform_is_told_by_its_key() {
        refused("[1]", "[1] is no object; print one of named numbers, like {\"value_ns\": 12.5}");
        refused("{}", "it has no number; print one under a name of your choice, like {\"value_ns\": 12.5}");
        refused(
            r#"{"format": 2}"#,
            "it has no number; print one under a name of your choice, like {\"value_ns\": 12.5}",
        );
        refused(r#"{"format": 3, "x": 1}"#, "key `format` is 3; this ablate reads 1 to 2");
        refused(
            r#"{"value_ns": "12.5"}"#,
            "key `value_ns` is \"12.5\": it must be a number, or one of the keys of docs/format.md",
        );
        refused(
            r#"{"latency-us": 3}"#,
            "key `latency-us` cannot be named as a response: it must be 1 to 64 letters a to z, digits and `_`",
        );
        refused(r#"{"operations": -1}"#, "key `operations` is -1: it must be a whole number, 0 or more");
        refused(r#"{"operations": "5"}"#, "key `operations` is \"5\": it must be a whole number, 0 or more");
        refused(r#"{"latency_ns_p50": "2"}"#, "key `latency_ns_p50` is \"2\": it must be a number");
        refused(
            r#"{"levels": {"a": 1}}"#,
            "key `levels` is {\"a\":1}: it must be an object of texts, {\"NAME\": \"…\"}",
        );
        refused(
            r#"{"counters": {"a": {"b": 1.5}}}"#,
            "key `counters` is {\"a\":{\"b\":1.5}}: it must be an object of objects of whole numbers, {\"FACTOR\": \
             {\"COUNTER\": 1}}",
        );
        let long = format!(r#"{{"text": "{}"}}"#, "é".repeat(100));
        assert!(read_line(&long).expect_err("text").to_string().contains(&format!("\"{}…", "é".repeat(SHOWN - 1))));
        assert!(read_line("{\"a\": nan}").expect_err("no JSON").to_string().starts_with("it is not JSON: "));
    }

    #[test]
    fn every_key_of_the_line_is_known() {
        let mut full = Measured::of(1);
        full.served_by = Some("a".to_owned());
        (full.checksum, full.latency_over, full.samples) = ("c".to_owned(), Some("batches".to_owned()), Some(1));
        (full.latency_ns_p10, full.latency_ns_p50) = (Some(1.0), Some(1.0));
        (full.latency_ns_p99, full.latency_ns_mean) = (Some(1.0), Some(1.0));
        (full.rss_peak_bytes, full.rss_mean_bytes, full.page_faults) = (Some(1), Some(1), Some(1));
        (full.batches_ns, full.contention_probes_ns) = (vec![1.0], vec![1.0, 1.0]);
        (full.values, full.truth_ns) = ([("a".to_owned(), 1.0)].into(), [("a".to_owned(), 1.0)].into());
        let text = serde_json::to_string(&full).expect("is text");
        let Ok(Value::Object(object)) = serde_json::from_str(&text) else { panic!("an object") };
        let mut names: Vec<&str> = KEYS.iter().map(|(name, _)| *name).chain(["format"]).collect();
        names.sort_unstable();
        assert_eq!(object.keys().map(String::as_str).collect::<Vec<_>>(), names);
        assert_eq!(read_line(&text), Ok(full));
    }
}
