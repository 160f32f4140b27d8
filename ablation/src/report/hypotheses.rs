//! The claims that the study declared, with its verdicts.

use super::document::{Document, Table};
use super::number::{MISSING, Unit, interval, percent, signed_point};
use crate::gap::hypotheses::{ClaimUnit, Decision};

/// One row per claim, then the reason of each verdict.
pub(super) fn hypotheses(document: &mut Document, decisions: &[Decision]) {
    if decisions.is_empty() {
        return;
    }
    document.heading("Hypotheses");
    let mut table = Table::new(["<hypothesis", "<workload", "measured", "=interval", "=verdict"]);
    for decision in decisions {
        let (measured, ends) = measured(decision);
        table.row([
            decision.name.clone(),
            decision.workload.clone(),
            measured,
            ends,
            decision.verdict.as_str().to_owned(),
        ]);
    }
    document.table(table);
    for decision in decisions {
        let Decision { name, claim, range, verdict, reason, .. } = decision;
        document.item(format!("{name}: {claim} [{range}] {}: {reason}.", verdict.as_str()));
    }
    document.text(
        "Each interval has the confidence that Holm's method requires, so that all verdicts together hold with 95 %.",
    );
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
        for columns in [72, 100] {
            let mut document = Document::default();
            hypotheses(&mut document, &sample::explained().hypotheses);
            let text = document.terminal(columns);
            let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
            assert!(widest <= columns, "{widest}:\n{text}");
            insta::assert_snapshot!(format!("claims_{columns}"), text);
        }
    }

    #[test]
    fn a_study_without_claims_has_no_section() {
        let mut document = Document::default();
        hypotheses(&mut document, &[]);
        assert!(document.terminal(100).is_empty());
    }
}
