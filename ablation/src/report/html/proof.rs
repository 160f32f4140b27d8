//! What proves each toggle: that a run with it and a run without it were two different things.

use crate::analyse::Proof;
use crate::report::content::Study;
use crate::report::document::{Document, Table};
use crate::report::headline::standings;
use crate::report::number::{MISSING, counted};

/// A row for each factor or level and each way in which it was proven; the workloads are named where they differ. Empty
/// without factors.
pub(super) fn document(study: Study<'_>) -> Document {
    let mut document = Document::default();
    let mut rows: Vec<(String, &'static str, String, Vec<&str>)> = Vec::new();
    for workload in &study.analysis.workloads {
        for standing in standings(study.manifest, workload) {
            let (how, why) = (standing.proof, standing.proved(study.manifest));
            let same = rows.iter_mut().find(|row| row.0 == standing.title && row.1 == how.as_str() && row.2 == why);
            match same {
                Some(row) => row.3.push(&workload.name),
                None => rows.push((standing.title, how.as_str(), why, vec![&workload.name])),
            }
        }
    }
    if rows.is_empty() {
        return document;
    }
    rows.sort_by(|a, b| a.0.cmp(&b.0));
    let mut table = Table::new(["<factor", "=proof", "=workloads", "<how it is known"]);
    let all = study.analysis.workloads.len();
    for (factor, proof, why, workloads) in rows {
        let places = if workloads.len() == all { format!("all {all}") } else { workloads.join(", ") };
        table.row([factor, proof.to_owned(), places, why]);
    }
    document.table(table);
    document.text(format!(
        "proven: a run with the factor and a run without it were told apart. not-exercised: the factor was on and had no \
         work. unproven: nothing tells its levels apart, so no cost is claimed. invalid: {} of the {} contradicted the plan, \
         or a level has no proven run.",
        study.analysis.failures.iter().map(|failure| failure.runs).sum::<usize>(),
        counted(study.analysis.runs, "run"),
    ));
    document
}

impl crate::report::headline::Standing<'_> {
    /// What proves it, or why nothing does.
    fn proved(&self, manifest: &ablate_format::Manifest) -> String {
        match self.proof {
            Proof::Proven => self.proof(manifest).trim_start_matches("proven: ").to_owned(),
            _ if self.reason.is_empty() => MISSING.to_owned(),
            _ => self.reason.to_owned(),
        }
    }
}
