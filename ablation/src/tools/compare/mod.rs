//! `cargo ablate compare`: what two or more folders of results differ by.
//!
//! Cells and factors are compared by name. Sessions have no block in common, so the draws of both are taken independently, and
//! what a machine differs by from session to session is learnt from programs that are the same in both
//! (docs/methodology.md). What was not the same work is refused with the reason.

mod comparison;
mod controls;
mod differs;
mod error;
mod files;
mod judge;
mod pair;
mod text;

use crate::tools::results::{self, Results};
use ablate_format::Manifest;
pub(crate) use comparison::Comparison;
use comparison::{Compared, Folder, Row};
use differs::Both;
pub(crate) use error::CompareError;
use std::path::PathBuf;

/// Compares the first folder with each of the others.
///
/// # Errors
/// [`CompareError`].
pub(crate) fn compare(dirs: &[PathBuf]) -> Result<Comparison, CompareError> {
    let canonical: Vec<PathBuf> = dirs.iter().map(|dir| dir.canonicalize().unwrap_or_else(|_| dir.clone())).collect();
    for (at, dir) in canonical.iter().enumerate() {
        if canonical[..at].contains(dir) {
            return Err(CompareError::Twice { dir: dirs[at].clone() });
        }
    }
    let mut read: Vec<Results> = Vec::new();
    for dir in dirs {
        read.push(results::read(dir)?);
    }
    let (base, others) = read.split_first().expect("the command line asks for two folders at least");
    let others = others.iter().map(|other| compared(base, other)).collect::<Result<_, _>>()?;
    Ok(Comparison { base: folder(base), others })
}

fn compared(old: &Results, new: &Results) -> Result<Compared, CompareError> {
    let both = Both { old: &old.manifest, new: &new.manifest };
    let (before, after) = (results::rows(old), results::rows(new));
    let has_records = old.measured.is_some() && new.measured.is_some();
    let refusals = pair::refusals(both, &old.work(), &new.work());
    let pair = pair::Pair { both, old: &before, new: &after, has_records, refusals: &refusals };
    let (rows, session) = judge::judge(pair);
    let is_in_both =
        |row: &Row| !matches!(row.verdict, comparison::Verdict::OnlyInOld | comparison::Verdict::OnlyInNew);
    if !rows.iter().any(is_in_both) {
        let names = |manifest: &Manifest| {
            manifest.plan.workloads.iter().map(|workload| workload.name.as_str()).take(5).collect::<Vec<_>>().join(", ")
        };
        let why = format!("old: {}; new: {}", names(&old.manifest), names(&new.manifest));
        return Err(CompareError::NothingInCommon { old: old.dir.clone(), new: new.dir.clone(), why });
    }
    let mut differences = both.lines();
    for side in [old, new].into_iter().filter(|side| side.measured.is_none()) {
        differences.push(format!(
            "{} has no records, so values and intervals are those of its effects.json; draws are normal ones of their width, \
             each row by itself",
            side.dir.display()
        ));
    }
    let advice = advice(&old.manifest, &new.manifest, session.one_machine);
    Ok(Compared { folder: folder(new), differences, alike: both.alike(), session, advice, rows })
}

/// Two commits of one study on one machine are better compared in the same blocks.
fn advice(old: &Manifest, new: &Manifest, one_machine: bool) -> Option<String> {
    let commit = |manifest: &Manifest| manifest.machine.facts.get("commit").cloned().flatten();
    let (before, after) = (commit(old)?, commit(new)?);
    let is_changed = |manifest: &Manifest| {
        manifest.machine.facts.get("uncommitted-changes").cloned().flatten().as_deref() == Some("yes")
    };
    let apart = if is_changed(old) || is_changed(new) { " (without the changes that were not committed)" } else { "" };
    (one_machine && before != after && old.study == new.study).then(|| {
        let (before, after) = (differs::short(&before), differs::short(&after));
        format!(
            "Both are commits of one repository on one machine, by their manifests: `cargo ablate diff {before}..{after}` runs \
             both{apart} in the same blocks, where the session cancels and much smaller changes show."
        )
    })
}

fn folder(results: &Results) -> Folder {
    let manifest = &results.manifest;
    let fact = |name: &str| manifest.machine.facts.get(name).cloned().flatten();
    let changed = fact("uncommitted-changes").as_deref() == Some("yes");
    let commit = fact("commit").map(|commit| format!("{}{}", differs::short(&commit), if changed { "+" } else { "" }));
    Folder {
        dir: results.dir.clone(),
        study: manifest.study.clone(),
        started_unix_s: manifest.started_unix_s,
        commit,
        toolchain: fact("rustc"),
        blocks: manifest.blocks,
        measured: results.blocks(),
        has_records: results.measured.is_some(),
    }
}

#[cfg(test)]
mod tests;
