//! The claims that the study declared, with its verdicts.

use super::document::{Document, Table};
use super::number::{MISSING, Unit, interval, percent, signed_point};
use crate::gap::hypotheses::{ClaimUnit, Decision};

/// Names of claims after their reason; the others are counted, and the table has them all.
const NAMED: usize = 6;

/// One row per claim, then each reason of a verdict once.
pub(super) fn hypotheses(document: &mut Document, decisions: &[Decision], columns: usize) {
    if decisions.is_empty() {
        return;
    }
    document.heading("Hypotheses");
    let tables = [true, false].map(|with_range| table(decisions, with_range));
    let has_range = tables[0].width() <= columns;
    if let Some(table) = Table::first_that_fits(columns, tables) {
        document.table(table);
    }
    let mut reasons: Vec<(String, Vec<&Decision>)> = Vec::new();
    for decision in decisions {
        let why = format!("{}: {}", decision.verdict.as_str(), decision.reason);
        match reasons.iter_mut().find(|(known, _)| *known == why) {
            Some((_, same)) => same.push(decision),
            None => reasons.push((why, vec![decision])),
        }
    }
    for (why, same) in &reasons {
        document.item(format!("{why}: {}", named(same, has_range)));
    }
    document.text(
        "Each interval has the confidence that Holm's method requires, so that all verdicts together hold with 95 %.",
    );
}

fn table(decisions: &[Decision], with_range: bool) -> Table {
    let mut header = vec!["<hypothesis"];
    header.extend(with_range.then_some("<claim"));
    header.extend(["<workload", "measured", "=interval", "=verdict"]);
    let mut table = Table::new(header);
    for decision in decisions {
        let (measured, ends) = measured(decision);
        let mut row = vec![decision.name.clone()];
        row.extend(with_range.then(|| decision.range.clone()));
        row.extend([decision.workload.clone(), measured, ends, decision.verdict.as_str().to_owned()]);
        table.row(row);
    }
    table
}

/// Claims by name, each with its range where the table has no room for it.
fn named(same: &[&Decision], has_range: bool) -> String {
    let name = |decision: &&Decision| match has_range {
        true => decision.name.clone(),
        false => format!("{} [{}]", decision.name, decision.range),
    };
    let names: Vec<String> = same.iter().take(NAMED).map(name).collect();
    match same.len().saturating_sub(NAMED) {
        0 => names.join(", "),
        more => format!("{} and {more} more", names.join(", ")),
    }
}

fn measured(decision: &Decision) -> (String, String) {
    let Some(value) = decision.value else {
        return (MISSING.to_owned(), String::new());
    };
    let confidence = format!("at {:.1} %", 100.0 * decision.confidence);
    let whole = match decision.unit {
        ClaimUnit::Share => Some(1.0),
        ClaimUnit::Percent => Some(100.0),
        ClaimUnit::Ns => None,
    };
    if let Some(whole) = whole {
        let percent = |value: f64| percent(value / whole);
        let ends = value.interval.map(|(lo, hi)| format!("[{}, {}] {confidence}", percent(lo), percent(hi)));
        return (percent(value.value), ends.unwrap_or_else(|| MISSING.to_owned()));
    }
    let unit = Unit::of([value], Unit::LIMIT);
    let value = unit.estimate(value);
    let ends = value.interval.map(|_| format!("{} {confidence}", interval(value.interval)));
    (
        format!("{} {}/op", signed_point(value.value, value.interval), unit.name),
        ends.unwrap_or_else(|| MISSING.to_owned()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gap::study::sample;

    #[test]
    fn every_claim_has_its_value_verdict_and_reason() {
        for columns in [72, 100, 140] {
            let mut document = Document::default();
            hypotheses(&mut document, &sample::explained().hypotheses, columns);
            let text = document.terminal(columns);
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= columns, "{widest}:\n{text}");
            insta::assert_snapshot!(format!("claims_{columns}"), text);
        }
    }

    #[test]
    fn a_study_without_claims_has_no_section() {
        let mut document = Document::default();
        hypotheses(&mut document, &[], 100);
        assert!(document.terminal(100).is_empty());
    }
}
