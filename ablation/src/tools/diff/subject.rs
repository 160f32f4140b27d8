//! What is measured in both revisions: the benchmarks or the binary of a package here, or the subject of a config.

use super::error::DiffError;
use super::request::Request;
use crate::benchmarks;
use crate::builds::cargo::{self, Package, binaries};
use crate::builds::revisions;
use crate::config::{self, CargoProgram, Origin, Program, Study};
use crate::support::nearest::suggestion;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Code layouts of each build. More of them separate a change from the place of the code, and cost only links.
pub(crate) const LAYOUTS: u32 = 16;

/// What of a package is run.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Run {
    /// A benchmark target, and the harness that it uses.
    Bench(String, &'static str),
    /// A binary.
    Binary(String),
}

/// The studies that compare two revisions, without their factor: one for each benchmark target, or one of a binary, or
/// the one of the config that the call names.
///
/// # Errors
/// [`DiffError`] for a package, a target or a config that does not exist.
pub(crate) fn studies(request: &Request) -> Result<Vec<Study>, DiffError> {
    if let Some(config) = &request.config {
        let study = config::load(config)?;
        of_config(request, &study)?;
        return Ok(vec![study]);
    }
    let here = std::env::current_dir().map_err(DiffError::Nowhere)?;
    let manifest = here.ancestors().map(|folder| folder.join("Cargo.toml")).find(|path| path.is_file());
    let manifest = manifest.ok_or(DiffError::NoPackage)?;
    let found = cargo::metadata(&manifest)?;
    let package = package(request, &found.packages, &here)?;
    let folder = package.manifest_path.parent().map_or(here.clone(), |folder| folder.to_owned().into());
    let runs = runs(request, package).map_err(|error| match error {
        DiffError::NothingToRun { package, .. } => {
            let can_run = |package: &&Package| {
                package.targets.iter().any(|target| target.is_bench()) || binaries(package).next().is_some()
            };
            let others = found.packages.iter().filter(can_run).map(|package| package.name.to_string()).collect();
            DiffError::NothingToRun { package, others }
        }
        other => other,
    })?;
    runs.iter().try_for_each(|run| of_run(request, run))?;
    runs.iter().map(|run| study(request, package, &folder, run)).collect()
}

/// Refuses options that a study leaves without effect.
fn of_config(request: &Request, study: &Study) -> Result<(), DiffError> {
    let refused = |option, why: String, way| Err(DiffError::NoEffect { option, why, way });
    if !request.args.is_empty() {
        let why = format!("the workloads of {} have their own arguments", study.path.display());
        return refused("`-- ARGS`", why, "change `args` there, or leave out --config");
    }
    if request.layouts.is_some() && !matches!(study.subject.program, Program::Cargo(_)) {
        let why = "a build command links the program by itself, in one code layout".to_owned();
        return refused("--layouts", why, "leave it out");
    }
    Ok(())
}

/// Refuses options that what is run leaves without effect.
fn of_run(request: &Request, run: &Run) -> Result<(), DiffError> {
    let refused = |option, why: String, way| Err(DiffError::NoEffect { option, why, way });
    match run {
        Run::Binary(binary) if request.filter.is_some() => {
            let why = format!("it selects benchmarks, and binary `{binary}` is what runs");
            refused("--filter", why, "name a benchmark target with --bench, or leave it out")
        }
        Run::Bench(bench, _) if request.response.is_some() => {
            let why = format!("benchmark target `{bench}` is what runs, and its harness decides what is measured");
            refused("--response", why, "name a binary with --bin, or leave it out")
        }
        Run::Bench(..) | Run::Binary(_) => Ok(()),
    }
}

/// The package that the call names, or the one whose folder is nearest above this one.
fn package<'p>(request: &Request, packages: &'p [Package], here: &Path) -> Result<&'p Package, DiffError> {
    let names = || packages.iter().map(|package| package.name.as_str());
    let unknown =
        |name: &str| DiffError::Unknown { what: format!("package `{name}`"), hint: suggestion(name, names()) };
    if let Some(name) = &request.package {
        return packages.iter().find(|package| package.name == *name).ok_or_else(|| unknown(name));
    }
    let folder = |package: &Package| package.manifest_path.parent().map(|path| path.as_std_path().to_owned());
    let above = packages.iter().filter(|package| folder(package).is_some_and(|folder| here.starts_with(folder)));
    let nearest = above.max_by_key(|package| package.manifest_path.as_str().len());
    match (nearest, packages) {
        (Some(package), _) | (None, [package]) => Ok(package),
        _ => {
            let names: Vec<&str> = names().collect();
            Err(DiffError::WhichPackage { names: names.join(", ") })
        }
    }
}

/// What of the package is run: what the call names, else its benchmarks, else its binary.
fn runs(request: &Request, package: &Package) -> Result<Vec<Run>, DiffError> {
    let benches = || package.targets.iter().filter(|target| target.is_bench());
    let unknown = |what: &str, name: &str, known: Vec<&str>| DiffError::Unknown {
        what: format!("{what} `{name}` in package `{}`", package.name),
        hint: suggestion(name, known),
    };
    if let Some(name) = &request.bench {
        let found = benches().find(|target| target.name == *name);
        let known = || benches().map(|target| target.name.as_str()).collect();
        let target = found.ok_or_else(|| unknown("benchmark target", name, known()))?;
        return Ok(vec![bench(package, target)?]);
    }
    if let Some(name) = &request.binary {
        let there = binaries(package).any(|target| target.name == *name);
        let known = || binaries(package).map(|target| target.name.as_str()).collect();
        return if there { Ok(vec![Run::Binary(name.clone())]) } else { Err(unknown("binary", name, known())) };
    }
    if request.args.is_empty() && benches().next().is_some() {
        let known: Vec<Result<Run, DiffError>> = benches().map(|target| bench(package, target)).collect();
        // A target that only tests its parts, beside one that is measured, is no reason to refuse both.
        let (good, bad): (Vec<_>, Vec<_>) = known.into_iter().partition(Result::is_ok);
        let good: Vec<Run> = good.into_iter().filter_map(Result::ok).collect();
        return match bad.into_iter().find_map(Result::err) {
            Some(error) if good.is_empty() => Err(error),
            _ => Ok(good),
        };
    }
    let names: Vec<&str> = binaries(package).map(|target| target.name.as_str()).collect();
    match (names.as_slice(), &package.default_run) {
        ([one], _) => Ok(vec![Run::Binary((*one).to_owned())]),
        (_, Some(default)) => Ok(vec![Run::Binary(default.clone())]),
        ([], _) => Err(DiffError::NothingToRun { package: package.name.to_string(), others: Vec::new() }),
        _ => Err(DiffError::WhichBinary { names: names.join(", ") }),
    }
}

fn bench(package: &Package, target: &cargo::Target) -> Result<Run, DiffError> {
    match benchmarks::harness_of(package, target) {
        Some(harness) => Ok(Run::Bench(target.name.clone(), harness.as_str())),
        None => Err(DiffError::UnknownHarness { bench: target.name.clone() }),
    }
}

/// The config of one comparison, as if it stood in the folder of the package.
fn study(request: &Request, package: &Package, folder: &Path, run: &Run) -> Result<Study, DiffError> {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let list =
        |texts: &[String]| toml::Value::Array(texts.iter().cloned().map(toml::Value::String).collect()).to_string();
    let mut text = format!(
        "study = \"diff\"\nseed = {}\nblocks = {}\ncounting_repeats = 0\ntimeout_seconds = 600\nlayouts = {}\n\n\
         [subject]\npackage = {}\n",
        request.seed,
        request.blocks,
        request.layouts.unwrap_or(LAYOUTS),
        quoted(&package.name)
    );
    // Either revision may have default features, whatever the files here have.
    let default = ["default".to_owned()];
    let features = if request.features.is_empty() { &default[..] } else { &request.features };
    text += &format!("features = {}\n", list(features));
    match run {
        Run::Bench(bench, harness) => {
            text +=
                &format!("bench = {}\nharness = {}\nargs = {}\n", quoted(bench), quoted(harness), list(&request.args));
            if let Some(filter) = &request.filter {
                text += &format!("filter = {}\n", quoted(filter));
            }
        }
        Run::Binary(binary) => {
            let response = request.response.as_deref().unwrap_or("wall");
            text += &format!(
                "binary = {}\n\n[[workload]]\nname = {}\nargs = {}\nresponse = {}\noutput = \"may-differ\"\n",
                quoted(binary),
                quoted(&workload_name(binary)),
                list(&request.args),
                quoted(response)
            );
        }
    }
    let path: PathBuf = folder.join("diff.toml");
    Ok(config::parse(&path, text.as_bytes())?)
}

/// The name of a binary as the name of a workload.
fn workload_name(binary: &str) -> String {
    let name: String =
        binary.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "binary".to_owned() } else { name.to_owned() }
}

/// What a study runs, for people and for the name of a folder.
pub(crate) fn name(study: &Study) -> String {
    match &study.subject.program {
        Program::Cargo(program) => program.binary.clone(),
        Program::Made(_) | Program::Command(_) => study.name.clone(),
    }
}

/// The folder of the sources of a study.
///
/// # Errors
/// [`DiffError::NotBuilt`].
pub(crate) fn sources(study: &Study) -> Result<PathBuf, DiffError> {
    let folder = |path: &Path| path.parent().filter(|folder| !folder.as_os_str().is_empty()).map(Path::to_owned);
    match &study.subject.program {
        Program::Cargo(CargoProgram { origin: Origin::Manifest(manifest), .. }) => {
            Ok(folder(manifest).unwrap_or_else(|| PathBuf::from(".")))
        }
        Program::Made(made) => Ok(made.sources.clone()),
        Program::Cargo(_) | Program::Command(_) => Err(DiffError::NotBuilt { config: study.path.clone() }),
    }
}

/// The repository of the sources of a study.
///
/// # Errors
/// [`DiffError::NotBuilt`], [`DiffError::NoRepository`].
pub(super) fn repository(study: &Study) -> Result<PathBuf, DiffError> {
    let folder = sources(study)?;
    revisions::top(&folder).map_err(|reason| DiffError::NoRepository { folder, reason })
}

/// Least time that one run may take.
const LEAST_TIMEOUT: Duration = Duration::from_secs(10);

/// Gives a study the code layouts, the seed and the time of the call.
pub(crate) fn arrange(request: &Request, study: &mut Study) {
    study.seed = request.seed;
    // A run that hangs must not take much more than the time that all of them have.
    study.timeout = study.timeout.min(request.budget.0.max(LEAST_TIMEOUT));
    // A program of another build is not linked here.
    if matches!(study.subject.program, Program::Cargo(_)) {
        study.layouts = request.layouts.unwrap_or(LAYOUTS);
    }
}
