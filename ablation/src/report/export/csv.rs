//! Comma-separated values: a header, then a row for each workload, cell or effect, and response.
//!
//! Quoting as RFC 4180 ("Common Format and MIME Type for Comma-Separated Values (CSV) Files", 2005) has it, in UTF-8, with LF at
//! the end of lines, which readers take like CRLF (W3C, "Model for Tabular Data and Metadata on the Web", 2015, section 8). A
//! value that is not known is an empty field, and never 0.

use super::rows::Row;

const HEADER: [&str; 14] = [
    "workload", "kind", "name", "arm", "contrast", "level", "response", "unit", "estimate", "low", "high", "n",
    "verdict", "proof",
];

pub(super) fn text(rows: &[Row]) -> String {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    let mut written = writer.write_record(HEADER);
    for row in rows {
        let fields = [
            row.workload.clone(),
            row.kind.as_str().to_owned(),
            row.name.clone(),
            row.arm.clone(),
            row.contrast.clone(),
            row.level.clone(),
            row.response.clone(),
            row.unit().to_owned(),
            number(row.value),
            number(row.ends.map(|(low, _)| low)),
            number(row.ends.map(|(_, high)| high)),
            row.n.map_or_else(String::new, |n| n.to_string()),
            row.verdict.clone(),
            row.proof.clone(),
        ];
        written = written.and_then(|()| writer.write_record(fields));
    }
    // Records of one length written to memory cannot fail.
    debug_assert!(written.is_ok(), "{written:?}");
    String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
}
