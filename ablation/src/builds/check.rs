//! Checks the names that a config gives to cargo, because cargo's own messages name neither the line of the config nor
//! the nearest name.

use super::cargo::{Metadata, Package, kind, targets};
use super::error::BuildError;
use super::pointed::pointed;
use crate::config::{CargoProgram, Origin, Study};
use crate::support::nearest::suggestion;
use crate::support::progress::note;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The features that cargo builds where a call names none.
pub(super) const DEFAULT: &str = "default";

/// Profiles that every package has (Cargo reference, "Profiles").
const BUILT_IN_PROFILES: [&str; 4] = ["dev", "release", "test", "bench"];

/// Checks package, target, profile and features of a study against the workspace. Returns the package's folder.
///
/// # Errors
/// [`BuildError::Unknown`] for packages and targets, [`BuildError::Config`] for profiles and features.
pub(super) fn check(study: &Study, program: &CargoProgram, found: &Metadata) -> Result<PathBuf, BuildError> {
    let package = package(program, found)?;
    profile(study, program, found.workspace_root.as_std_path())?;
    let own = program.features.iter().chain(&study.subject.placebo_feature);
    let of_factors = study
        .factors
        .iter()
        .flat_map(|factor| factor.feature.iter().chain(factor.levels.values().flat_map(|level| level.features.iter())));
    let of_peers = study.peers.iter().flat_map(|peer| peer.features.iter().flatten());
    for feature in own.chain(of_factors).chain(of_peers) {
        // Cargo itself checks `dependency/feature`. A package that has no default features is built without them.
        if feature.contains('/') || feature == DEFAULT || package.features.contains_key(feature) {
            continue;
        }
        let known = package.features.keys().map(String::as_str).filter(|name| *name != DEFAULT);
        let message = format!("package `{}` has no feature `{feature}`{}", package.name, suggestion(feature, known));
        return Err(pointed(study, &["feature", "features", "placebo_feature"], feature, message));
    }
    for line in off_by_default(study, program, package) {
        note(&line);
    }
    Ok(package.manifest_path.parent().map_or_else(PathBuf::new, |folder| folder.as_std_path().to_owned()))
}

/// For a published package: the factors that the baseline has at work though its users run without them, each with how to
/// ask for what switching it on costs. A package of one's own may be studied with anything built in.
fn off_by_default(study: &Study, program: &CargoProgram, package: &Package) -> Vec<String> {
    let mut default = BTreeSet::new();
    let mut open = vec!["default"];
    while let Some(name) = open.pop() {
        let entries = package.features.get(name).into_iter().flatten().map(String::as_str);
        open.extend(entries.filter(|entry| default.insert(*entry)));
    }
    let is_on = |feature: &String| default.contains(feature.as_str());
    let told = study.factors.iter().filter_map(|factor| {
        let feature = factor.feature.as_ref().filter(|feature| factor.baseline != "off" && !is_on(feature))?;
        Some(format!(
            "note: `{feature}` is not in the default set of {}, but the baseline has it, so shares are of a program that \
             few run; to see what switching it on costs, write baseline = \"off\" and levels = {{ off = {{}}, on = {{ \
             features = [\"{feature}\"] }} }} instead of `feature`",
            package.name
        ))
    });
    if matches!(program.origin, Origin::Registry(_)) { told.collect() } else { Vec::new() }
}

/// The package of a program, which must have the target.
fn package<'a>(program: &CargoProgram, found: &'a Metadata) -> Result<&'a Package, BuildError> {
    let unknown = |what: String, name: &str, known: Vec<&str>| {
        let hint = suggestion(name, known);
        Err(BuildError::Unknown { manifest: program.manifest().to_owned(), what, hint })
    };
    let Some(package) = found.packages.iter().find(|package| package.name == program.package) else {
        let there = found.packages.iter().map(|package| package.name.as_str()).collect();
        return unknown(format!("package `{}`", program.package), &program.package, there);
    };
    let there: Vec<&str> = targets(package, program.target).map(|target| target.name.as_str()).collect();
    if there.contains(&program.binary.as_str()) {
        return Ok(package);
    }
    let what = format!("{} `{}` of package `{}`", kind(program.target), program.binary, program.package);
    unknown(what, &program.binary, there)
}

/// Checks that the profile exists: built in, in the workspace's manifest, or in a config of cargo.
fn profile(study: &Study, program: &CargoProgram, root: &Path) -> Result<(), BuildError> {
    let mut there: BTreeSet<String> = BUILT_IN_PROFILES.map(str::to_owned).into();
    there.extend(profiles_of(&root.join("Cargo.toml")));
    for folder in root.ancestors() {
        there.extend(["config.toml", "config"].iter().flat_map(|name| profiles_of(&folder.join(".cargo").join(name))));
    }
    if let Some(home) = super::cargo_files::home() {
        there.extend(profiles_of(&home.join("config.toml")));
    }
    if there.contains(&program.profile) {
        return Ok(());
    }
    let near = suggestion(&program.profile, there.iter().map(String::as_str));
    let message = format!("the workspace of `{}` has no profile `{}`{near}", program.package, program.profile);
    Err(pointed(study, &["profile"], &program.profile, message))
}

/// Names of the profiles in a manifest or a config of cargo; none when the file cannot be read.
fn profiles_of(path: &Path) -> Vec<String> {
    let table = std::fs::read_to_string(path).ok().and_then(|text| text.parse::<toml::Table>().ok());
    let profiles = table.and_then(|mut table| table.remove("profile"));
    match profiles {
        Some(toml::Value::Table(profiles)) => profiles.keys().cloned().collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_feature_that_is_off_by_default_is_told_and_one_of_the_default_set_is_not() {
        let json = r#"{"name":"p","version":"1.0.0","id":"p","dependencies":[],"manifest_path":"/p/Cargo.toml",
            "description":null,"targets":[],"features":{"default":["all"],"all":["std"],"std":[],"simd":[]}}"#;
        let package: Package = serde_json::from_str(json).expect("a package");
        let told = |feature: &str, origin: &str| {
            let text = format!(
                "study = \"x\"\nseed = 1\nblocks = 6\narms = [\"feature\"]\n[subject]\npackage = \"p\"\n{origin}\n\
                 binary = \"p\"\n[[factor]]\nname = \"a\"\nfeature = \"{feature}\"\nlevels = {{ on = {{}} }}\n\
                 [[workload]]\nname = \"w\"\nargs = []\nresponse = \"wall\"\n"
            );
            let study = crate::config::parse(Path::new("x.toml"), text.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
            let crate::config::Program::Cargo(program) = &study.subject.program else { panic!("a package") };
            off_by_default(&study, program, &package)
        };
        let published = "version = \"1.0.0\"";
        let line = told("simd", published);
        assert!(line.len() == 1 && line[0].contains("features = [\"simd\"]"), "{line:?}");
        assert_eq!(told("std", published), Vec::<String>::new(), "a member of a group of the default set");
        assert_eq!(told("simd", ""), Vec::<String>::new());
    }

    #[test]
    fn profiles_are_read_from_manifests() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("Cargo.toml");
        std::fs::write(&path, "[package]\nname = \"x\"\n[profile.cell]\ninherits = \"release\"\n").expect("writes");
        assert_eq!(profiles_of(&path), ["cell"]);
        assert!(profiles_of(&dir.path().join("none")).is_empty());
    }
}
