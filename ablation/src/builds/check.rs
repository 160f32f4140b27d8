//! Checks the names that a config gives to cargo, because cargo's own messages name neither the line of the config nor
//! the nearest name.

use super::cargo::{Metadata, Package, kind, targets};
use super::error::BuildError;
use super::pointed::pointed;
use crate::config::{CargoProgram, Study};
use crate::support::nearest::suggestion;
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
    Ok(package.manifest_path.parent().map_or_else(PathBuf::new, |folder| folder.as_std_path().to_owned()))
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
    fn profiles_are_read_from_manifests() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("Cargo.toml");
        std::fs::write(&path, "[package]\nname = \"x\"\n[profile.cell]\ninherits = \"release\"\n").expect("writes");
        assert_eq!(profiles_of(&path), ["cell"]);
        assert!(profiles_of(&dir.path().join("none")).is_empty());
    }
}
