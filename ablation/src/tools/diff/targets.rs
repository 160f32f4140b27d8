//! Which benchmark targets and binaries both revisions have: only these can be compared.

use super::chosen::Chosen;
use super::comparison::Verdict;
use super::error::DiffError;
use super::request::Request;
use super::subject;
use crate::benchmarks::harness_of;
use crate::builds::cargo::{Package, binaries};
use crate::builds::packages::{Found, packages};
use crate::config::{CargoProgram, CargoTarget, Origin, Program, Study};
use crate::support::progress::note;
use crate::support::settings::Settings;
use std::collections::BTreeSet;

/// What is to be compared, with the verdict of what one revision alone has.
#[derive(Debug)]
pub(super) struct Sorted {
    /// What the files here have: its study, and the verdict where it needs no runs.
    pub(super) studies: Vec<(Study, Option<Verdict>)>,
    /// Benchmark targets that the files here lack.
    pub(super) gone: Vec<(String, Verdict)>,
}

/// What a revision has.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Has {
    /// Names of all packages.
    packages: BTreeSet<String>,
    /// Targets of the package that is compared, where it is there.
    targets: Option<Targets>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Targets {
    /// Those with a harness that is known.
    measured: BTreeSet<String>,
    benches: BTreeSet<String>,
    binaries: BTreeSet<String>,
}

/// Looks what both revisions have of some studies, which are of one package.
///
/// # Errors
/// [`DiffError::NotInRevision`] where one has no such package, and those of git and cargo.
pub(super) fn sorted(
    request: &Request,
    studies: Vec<Study>,
    chosen: &Chosen,
    settings: &Settings,
) -> Result<Sorted, DiffError> {
    let of_package = studies.first().and_then(|study| match &study.subject.program {
        Program::Cargo(program @ CargoProgram { origin: Origin::Manifest(manifest), .. }) => Some((program, manifest)),
        _ => None,
    });
    let Some((program, manifest)) = of_package else {
        let studies = studies.into_iter().map(|study| (study, None)).collect();
        return Ok(Sorted { studies, gone: Vec::new() });
    };
    let read = |packages: &[Package]| has(packages, &program.package);
    let found = packages(manifest, settings.target_dir.as_deref(), [&chosen.base, &chosen.head], read)?;
    refuse(&program.package, &found, [&chosen.base.shown, &chosen.head.shown])?;
    let [base, head] = found.each_ref().map(|found| match found {
        Found::Packages(has) => has.targets.as_ref(),
        _ => None,
    });
    let mut sorted = Sorted { studies: Vec::new(), gone: Vec::new() };
    let mut nowhere = None;
    for study in studies {
        match verdict(&study, base, head) {
            Ok(verdict) => sorted.studies.push((study, verdict)),
            Err(what) => {
                note(&format!("{what} is in neither revision, so it is left out"));
                nowhere = Some(what);
            }
        }
    }
    let takes_all = request.config.is_none() && request.bench.is_none() && request.binary.is_none();
    if let (true, true, Some(base), Some(head)) = (takes_all, request.args.is_empty(), base, head) {
        let here: BTreeSet<String> = sorted.studies.iter().map(|(study, _)| subject::name(study)).collect();
        for name in base.measured.union(&head.measured).filter(|name| !here.contains(*name)) {
            match (base.benches.contains(name), head.benches.contains(name)) {
                (true, true) => note(&format!(
                    "benchmark target `{name}` is in both revisions and not in the files here, so it is left out; check out \
                     a revision that has it"
                )),
                (in_base, _) => {
                    let verdict = if in_base { Verdict::OnlyInBase } else { Verdict::OnlyInHead };
                    sorted.gone.push((name.clone(), verdict));
                }
            }
        }
    }
    match nowhere {
        Some(what) if sorted.studies.is_empty() && sorted.gone.is_empty() => {
            let revision = format!("{}, nor {}", chosen.base.shown, chosen.head.shown);
            let way = "commit it first, or name a revision that has it".to_owned();
            Err(DiffError::NotInRevision { what, revision, way })
        }
        _ => Ok(sorted),
    }
}

fn has(packages: &[Package], name: &str) -> Has {
    let targets = packages.iter().find(|package| package.name == name).map(|package| {
        let benches = || package.targets.iter().filter(|target| target.is_bench());
        let measured = benches().filter(|target| harness_of(package, target).is_some());
        Targets {
            measured: measured.map(|target| target.name.clone()).collect(),
            benches: benches().map(|target| target.name.clone()).collect(),
            binaries: binaries(package).map(|target| target.name.clone()).collect(),
        }
    });
    Has { packages: packages.iter().map(|package| package.name.to_string()).collect(), targets }
}

/// Refuses revisions of which one lacks the package: it has another name or another folder there.
fn refuse(package: &str, found: &[Found<Has>; 2], shown: [&str; 2]) -> Result<(), DiffError> {
    const ANYWAY: &str = "to compare it anyway, write a study whose [subject.build] builds the program in both, and name it \
                          with --config";
    for ((found, other), shown) in found.iter().zip(found.iter().rev()).zip(shown) {
        let (what, way) = match (found, other) {
            (Found::NoManifest(path), _) => {
                let what = format!("package `{package}` at `{}`", path.display());
                (what, format!("it is new, or was in another folder; {ANYWAY}"))
            }
            (Found::Packages(has), other) if has.targets.is_none() => {
                let is_shared = |name: &&String| matches!(other, Found::Packages(own) if own.packages.contains(*name));
                let list = |names: Vec<&String>| names.into_iter().cloned().collect::<Vec<_>>().join(", ");
                let shared = list(has.packages.iter().filter(is_shared).collect());
                let shared = match shared.as_str() {
                    "" => String::new(),
                    shared => format!("; name one that both have with --package: {shared}"),
                };
                let there = list(has.packages.iter().collect());
                (format!("package `{package}`"), format!("it has {there}{shared}; {ANYWAY}"))
            }
            _ => continue,
        };
        return Err(DiffError::NotInRevision { what, revision: shown.to_owned(), way });
    }
    Ok(())
}

/// The verdict of a study that one revision alone can run; an error where none can, with what is missing. A revision of
/// which nothing is known is built, which tells why.
fn verdict(study: &Study, base: Option<&Targets>, head: Option<&Targets>) -> Result<Option<Verdict>, String> {
    let Program::Cargo(program) = &study.subject.program else { return Ok(None) };
    let is_bench = matches!(program.target, CargoTarget::Bench { .. });
    let is_in = |targets: Option<&Targets>| {
        targets.is_none_or(|own| (if is_bench { &own.benches } else { &own.binaries }).contains(&program.binary))
    };
    match (is_in(base), is_in(head)) {
        (true, true) => Ok(None),
        (true, false) => Ok(Some(Verdict::OnlyInBase)),
        (false, true) => Ok(Some(Verdict::OnlyInHead)),
        (false, false) => Err(format!("{} `{}`", if is_bench { "benchmark target" } else { "binary" }, program.binary)),
    }
}
