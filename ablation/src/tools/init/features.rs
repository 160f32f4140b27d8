//! The features of a package that are factors: those of its default set that can be left out alone.

use crate::builds::cargo::Package;
use std::collections::BTreeSet;

/// A feature that could be a factor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate {
    /// The feature.
    pub(super) name: String,
    /// The features and dependencies that it turns on, as the manifest writes them.
    pub(super) turns_on: Vec<String>,
    /// Another factor that turns this feature on too, so that it cannot be left out alone.
    pub(super) implied_by: Option<String>,
}

/// The features of a package, seen from a study.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Features {
    /// Features that the binary needs.
    pub(super) required: Vec<String>,
    /// Features of the default set that switch something, in the order of their names.
    pub(super) default: Vec<Candidate>,
    /// The others.
    pub(super) others: Vec<Candidate>,
}

/// Sorts the features of a package, for a binary that needs `required`.
pub(super) fn features(package: &Package, required: &[String]) -> Features {
    let needed = closure(package, required);
    let default = closure(package, &["default".to_owned()]);
    // A feature that only names others is a list of factors and not a factor.
    let is_list = |name: &str| {
        let of = &package.features[name];
        !of.is_empty() && of.iter().all(|entry| package.features.contains_key(entry))
    };
    let is_factor = |name: &&String| *name != "default" && !needed.contains(*name) && !is_list(name);
    let factors: Vec<&String> = package.features.keys().filter(is_factor).collect();
    let candidate = |name: &&String| {
        let implies = |other: &&&String| **other != *name && closure(package, &[(**other).clone()]).contains(*name);
        let implied_by = factors.iter().filter(|other| default.contains(**other)).find(implies);
        Candidate {
            name: (*name).clone(),
            turns_on: package.features[*name].clone(),
            implied_by: implied_by.map(|other| (*other).clone()),
        }
    };
    let (of_default, others): (Vec<&String>, Vec<&String>) = factors.iter().partition(|name| default.contains(**name));
    Features {
        required: required.to_vec(),
        default: of_default.iter().map(candidate).collect(),
        others: others.iter().map(candidate).collect(),
    }
}

/// These features and all that they turn on within the package.
fn closure(package: &Package, names: &[String]) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    let mut open: Vec<&String> = names.iter().collect();
    while let Some(name) = open.pop() {
        if let Some(entries) = package.features.get(name)
            && out.insert(name.clone())
        {
            open.extend(entries);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(features: &str) -> Package {
        let json = format!(
            "{{\"name\":\"p\",\"version\":\"1.0.0\",\"id\":\"p\",\"dependencies\":[],\"manifest_path\":\"/p/Cargo.toml\",\
             \"description\":null,\"targets\":[],\"features\":{features}}}"
        );
        serde_json::from_str(&json).expect("a package")
    }

    fn names(candidates: &[Candidate]) -> Vec<(&str, Option<&str>)> {
        candidates.iter().map(|c| (c.name.as_str(), c.implied_by.as_deref())).collect()
    }

    #[test]
    fn the_default_set_is_opened_and_what_the_binary_needs_is_no_factor() {
        let package = package(
            r#"{"default":["binary","fast","zopfli"],"binary":["dep:clap"],"fast":["parallel","simd"],
                "parallel":["dep:rayon"],"simd":[],"zopfli":["dep:zopfli"],"debug":["dep:log"]}"#,
        );
        let found = features(&package, &["binary".to_owned()]);
        assert_eq!(names(&found.default), [("parallel", None), ("simd", None), ("zopfli", None)]);
        assert_eq!(names(&found.others), [("debug", None)]);
        assert_eq!(found.required, ["binary"]);
    }

    #[test]
    fn what_another_factor_turns_on_cannot_be_left_out_alone() {
        let package = package(r#"{"default":["a"],"a":["b","dep:x"],"b":[],"c":["b"]}"#);
        let found = features(&package, &[]);
        assert_eq!(names(&found.default), [("a", None), ("b", Some("a"))]);
        assert_eq!(names(&found.others), []);
    }

    #[test]
    fn circles_and_packages_without_features_are_no_trouble() {
        let circle = features(&package(r#"{"default":["a"],"a":["b","dep:x"],"b":["a","dep:y"]}"#), &[]);
        assert_eq!(names(&circle.default), [("a", Some("b")), ("b", Some("a"))]);
        assert_eq!(features(&package("{}"), &[]), Features::default());
    }
}
