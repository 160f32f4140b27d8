//! OpenMetrics text: gauges of what cells take and of effects, with the ends of their intervals as gauges of their own.
//!
//! Specification: "OpenMetrics 1.0", github.com/prometheus/OpenMetrics, the text format and its ABNF. Base units: times are in
//! seconds and a share is a ratio; the unit is the end of a family's name and stands in its UNIT line. Every family is in one
//! piece, label values and HELP are escaped, and the last line is `# EOF`.

use super::rows::{Kind, Row};
use ablate_format::{Manifest, Quantity};
use std::fmt::Write as _;

/// Families in this order: what they are called, of which rows, which value, and what they are.
const FAMILIES: [(&str, bool, Part, &str); 8] = [
    ("ablate_cell", false, Part::Value, "What a cell takes in a workload."),
    ("ablate_cell_low", false, Part::Low, "Lower end of the 95 % interval of what a cell takes."),
    ("ablate_cell_high", false, Part::High, "Upper end of the 95 % interval of what a cell takes."),
    ("ablate_cell_blocks", false, Part::Blocks, "Blocks that the value of a cell is from."),
    ("ablate_effect", true, Part::Value, "Baseline less the other level; positive when the factor takes more."),
    ("ablate_effect_low", true, Part::Low, "Lower end of the 95 % interval of an effect."),
    ("ablate_effect_high", true, Part::High, "Upper end of the 95 % interval of an effect."),
    ("ablate_effect_blocks", true, Part::Blocks, "Blocks or repeats that an effect is from."),
];

#[derive(Clone, Copy, PartialEq)]
enum Part {
    Value,
    Low,
    High,
    Blocks,
}

/// Units of families: the end of their name, and how many of the stored values make one of it.
const UNITS: [(&str, f64); 5] = [("seconds", 1e9), ("bytes", 1.0), ("ratio", 1.0), ("per_second", 1.0), ("", 1.0)];

pub(super) fn text(manifest: &Manifest, rows: &[Row]) -> String {
    let mut out = String::new();
    info(&mut out, manifest);
    for (name, is_effect, part, help) in FAMILIES {
        if part == Part::Blocks {
            family(&mut out, manifest, (name, "", help), rows, is_effect, |row| row.n.map(|n| n as f64));
            continue;
        }
        for (unit, size) in UNITS {
            let value = |row: &Row| {
                let value = match part {
                    Part::Low => row.ends.map(|(low, _)| low),
                    Part::High => row.ends.map(|(_, high)| high),
                    Part::Value | Part::Blocks => row.value,
                };
                value.filter(|_| self::unit(row) == unit).map(|value| value / size)
            };
            family(&mut out, manifest, (name, unit, help), rows, is_effect, value);
        }
    }
    out + "# EOF\n"
}

fn unit(row: &Row) -> &'static str {
    match row.quantity {
        Quantity::Latency | Quantity::Time => "seconds",
        Quantity::Bytes => "bytes",
        Quantity::Share => "ratio",
        Quantity::Rate => "per_second",
        _ => "",
    }
}

/// What the study is.
fn info(out: &mut String, manifest: &Manifest) {
    let fact = |name: &str| manifest.machine.facts.get(name).cloned().flatten().unwrap_or_default();
    let labels = labels(&[
        ("study", &manifest.study),
        ("commit", &fact("commit")),
        ("rustc", &fact("rustc")),
        ("cpu", &fact("cpu")),
        ("started_unix_s", &manifest.started_unix_s.to_string()),
    ]);
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        "# TYPE ablate_study info\n# HELP ablate_study The study that all values are of.\nablate_study_info{labels} 1\n"
    );
}

fn family(
    out: &mut String,
    manifest: &Manifest,
    (name, unit, help): (&str, &str, &str),
    rows: &[Row],
    is_effect: bool,
    value: impl Fn(&Row) -> Option<f64>,
) {
    let of = rows.iter().filter(|row| (row.kind == Kind::Effect) == is_effect);
    let known: Vec<(&Row, f64)> =
        of.filter_map(|row| Some((row, value(row).filter(|value| value.is_finite())?))).collect();
    if known.is_empty() {
        return;
    }
    let name = if unit.is_empty() { name.to_owned() } else { format!("{name}_{unit}") };
    // Writing to a String cannot fail.
    let _ = writeln!(out, "# TYPE {name} gauge");
    if !unit.is_empty() {
        let _ = writeln!(out, "# UNIT {name} {unit}");
    }
    let _ = writeln!(out, "# HELP {name} {}", escaped(help));
    for (row, value) in known {
        let _ = writeln!(out, "{name}{} {value:?}", labels_of(manifest, row));
    }
}

fn labels_of(manifest: &Manifest, row: &Row) -> String {
    let own: [(&str, &String); 2] = match row.kind {
        Kind::Effect => [("factor", &row.name), ("contrast", &row.contrast)],
        Kind::Cell | Kind::Peer => [("cell", &row.name), ("kind", &row.kind.as_str().to_owned())],
    };
    let [first, second] = own;
    labels(&[
        ("study", &manifest.study),
        ("workload", &row.workload),
        first,
        second,
        ("arm", &row.arm),
        ("response", &row.response),
    ])
}

/// Labels, of which every sample of a family has the same; an empty one counts as missing.
fn labels(all: &[(&str, &String)]) -> String {
    let told = all.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value)));
    format!("{{{}}}", told.collect::<Vec<_>>().join(","))
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('\n', "\\n").replace('"', "\\\"")
}
