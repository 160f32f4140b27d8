//! A comparison for other programs: JSON, a comment in Markdown, JUnit XML, SARIF, and annotations of GitHub.

use super::comparison::{Compared, Comparison, PartEnd, Verdict};
use super::error::DiffError;
use super::text;
use crate::support::files;
use ablate_format::effects::Estimate;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};
use serde_json::{Value, json};
use std::path::Path;

/// A form that a comparison can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Everything, in one object.
    Json,
    /// A comment on a pull request.
    Markdown,
    /// Test cases, one for each workload.
    Junit,
    /// Results of a static analysis, for code scanning.
    Sarif,
}

/// The comparison in a form.
pub(crate) fn to_text(comparison: &Comparison, format: Format) -> String {
    match format {
        Format::Json => pretty(&json(comparison)),
        Format::Markdown => markdown(comparison),
        Format::Junit => junit(comparison),
        Format::Sarif => pretty(&sarif(comparison)),
    }
}

/// Writes it to a file, as a whole.
///
/// # Errors
/// [`DiffError::Write`].
pub(crate) fn write(comparison: &Comparison, format: Format, path: &Path) -> Result<(), DiffError> {
    let written = files::replace(path, to_text(comparison, format).as_bytes());
    written.map_err(|source| DiffError::Write { path: path.to_owned(), source })
}

fn json(comparison: &Comparison) -> Value {
    let estimate = |estimate: Option<&Estimate>| {
        estimate.map_or(Value::Null, |estimate| {
            let (low, high) = estimate.interval.unzip();
            json!({ "value": estimate.value, "low": low, "high": high, "blocks": estimate.blocks })
        })
    };
    let row = |row: &Compared| {
        json!({
            "workload": row.workload,
            "response": row.base.or(row.head).map(|_| row.response.as_str()),
            "base": estimate(row.base.as_ref()),
            "head": estimate(row.head.as_ref()),
            "change": estimate(row.change.as_ref()),
            "placebo": estimate(row.placebo.as_ref()),
            "difference": estimate(row.difference.as_ref()),
            "placebo_difference": estimate(row.placebo_difference.as_ref()),
            "detectable": row.detectable,
            "verdict": row.verdict.as_str(),
            "reason": row.reason,
        })
    };
    let parts = comparison.parts.iter().map(|part| {
        json!({
            "name": part.name,
            "results": part.dir.display().to_string(),
            "identical": part.end == PartEnd::Identical,
            "run": part.end == PartEnd::Run,
            "failure": part.failure(),
            "outlook": part.outlook,
            "blocks": part.blocks,
            "layouts": part.layouts,
            "runs": part.runs.0,
            "runs_that_do_not_count": part.runs.1,
            "workloads": part.rows.iter().map(row).collect::<Vec<_>>(),
        })
    });
    json!({
        "format": 1,
        "base": comparison.base,
        "head": comparison.head,
        "margin": comparison.margin,
        "gate": comparison.gate().as_str(),
        "answer": text::answer(comparison),
        "parts": parts.collect::<Vec<_>>(),
    })
}

/// The comment begins with a mark, so that a workflow can find and replace the last one.
fn markdown(comparison: &Comparison) -> String {
    format!("<!-- cargo ablate diff -->\n{}", text::document(comparison).markdown())
}

fn junit(comparison: &Comparison) -> String {
    let mut report = Report::new("cargo ablate diff");
    for part in &comparison.parts {
        let mut suite = TestSuite::new(part.name.clone());
        if part.end == PartEnd::NotRun {
            let mut status = TestCaseStatus::skipped();
            status.set_message(text::NOT_RUN);
            suite.add_test_case(TestCase::new("not run", status));
        }
        if let Some(why) = part.failure() {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_message(why);
            suite.add_test_case(TestCase::new("both revisions can be built and run", status));
        }
        for row in &part.rows {
            let message = told(row);
            let mut status = match row.verdict {
                Verdict::Worse => TestCaseStatus::non_success(NonSuccessKind::Failure),
                Verdict::Invalid => TestCaseStatus::non_success(NonSuccessKind::Error),
                Verdict::Undecided if row.may_be_worse(comparison.margin) => TestCaseStatus::skipped(),
                Verdict::OnlyInBase | Verdict::OnlyInHead => TestCaseStatus::skipped(),
                Verdict::Better | Verdict::NoChange | Verdict::Undecided | Verdict::Identical => {
                    TestCaseStatus::success()
                }
            };
            status.set_message(message.clone());
            let mut case = TestCase::new(row.workload.clone(), status);
            case.set_classname(part.name.clone());
            // The message of a success is not written.
            case.set_system_out(message);
            suite.add_test_case(case);
        }
        report.add_test_suite(suite);
    }
    // Only a failing writer is an error, and this one is memory.
    report.to_string().unwrap_or_default()
}

/// A result for each workload that is worse or may be worse. The place is the manifest of the package, because a
/// change of time has no line.
fn sarif(comparison: &Comparison) -> Value {
    let level = |row: &Compared| match row.verdict {
        Verdict::Worse => Some("error"),
        Verdict::Invalid => Some("warning"),
        Verdict::Undecided if row.may_be_worse(comparison.margin) => Some("note"),
        _ => None,
    };
    let results = comparison.rows().filter_map(|(part, row)| {
        Some(json!({
            "ruleId": row.verdict.as_str(),
            "level": level(row)?,
            "message": { "text": format!("{} {}: {}", part.name, row.workload, told(row)) },
            "locations": [{ "physicalLocation": { "artifactLocation": { "uri": "Cargo.toml" }, "region": { "startLine": 1 } } }],
            "partialFingerprints": { "workload/v1": format!("{}/{}", part.name, row.workload) },
        }))
    });
    let failures = comparison.parts.iter().filter_map(|part| {
        Some(json!({
            "ruleId": "invalid",
            "level": "warning",
            "message": { "text": format!("{}: {}", part.name, part.failure()?) },
            "locations": [{ "physicalLocation": { "artifactLocation": { "uri": "Cargo.toml" }, "region": { "startLine": 1 } } }],
            "partialFingerprints": { "workload/v1": part.name },
        }))
    });
    let rule = |id: &str, text: &str| json!({ "id": id, "shortDescription": { "text": text } });
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "cargo-ablate",
                "version": env!("CARGO_PKG_VERSION"),
                "rules": [
                    rule("worse", "A workload is worse by more than the margin"),
                    rule("undecided", "A workload may be worse by more than the margin"),
                    rule("invalid", "A workload has no proven run in one of the revisions"),
                ],
            } },
            "results": results.chain(failures).collect::<Vec<_>>(),
        }],
    })
}

/// One line for each workload that is worse or may be, as GitHub's runner reads them (workflow commands).
pub(crate) fn annotations(comparison: &Comparison) -> String {
    let escaped = |text: &str| text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
    let mut out = String::new();
    for part in &comparison.parts {
        let Some(why) = part.failure() else { continue };
        out += &format!("::warning title=cargo ablate diff::{}\n", escaped(&format!("{}: {why}", part.name)));
    }
    for (part, row) in comparison.rows() {
        let kind = match row.verdict {
            Verdict::Worse => "error",
            Verdict::Invalid => "warning",
            Verdict::Undecided if row.may_be_worse(comparison.margin) => "notice",
            _ => continue,
        };
        out += &format!(
            "::{kind} title=cargo ablate diff::{}\n",
            escaped(&format!("{} {}: {}", part.name, row.workload, told(row)))
        );
    }
    out
}

/// `worse +2.1 % [1.6, 2.6]`, and the reason where there is one.
fn told(row: &Compared) -> String {
    let change = if row.is_compared() { format!(" {}", text::changed(row)) } else { String::new() };
    let reason = if row.reason.is_empty() { String::new() } else { format!(": {}", row.reason) };
    format!("{}{change}{reason}", row.verdict.word())
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}
