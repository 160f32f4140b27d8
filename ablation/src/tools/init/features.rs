//! The features of a package that are factors: those of its default set that can be left out alone.
//!
//! The features that the config builds in turn on everything that the package's own default does. So a group stays a
//! group: sources may ask for it by its name.

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
    /// For a group, which only names other features: its members, where at least one can be left out alone.
    pub(super) group: Option<Group>,
}

/// The features that a group names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    /// All of them, at least two.
    pub(super) members: Vec<String>,
    /// Those that no other member and no other factor turns on.
    pub(super) alone: Vec<String>,
}

/// The features of a package, seen from a study.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Features {
    /// Features that the binary needs, and features of dependencies that the default set names.
    pub(super) required: Vec<String>,
    /// What the default set turns on and only it can: dependencies without a feature of their own.
    pub(super) out_of_reach: Vec<String>,
    /// Features of the default set that switch something, in the order of their names.
    pub(super) default: Vec<Candidate>,
    /// The others.
    pub(super) others: Vec<Candidate>,
}

impl Candidate {
    /// What it does, for people.
    pub(super) fn about(&self) -> String {
        match self.turns_on.as_slice() {
            [] => "the feature".to_owned(),
            entries => format!("turns on {}", entries.join(", ")),
        }
    }
}

impl Features {
    /// What a config has of them, which it leaves out, and why: lines for the terminal.
    pub(super) fn told(&self, package: &str) -> Vec<String> {
        let names = |found: &[&Candidate]| found.iter().map(|one| one.name.as_str()).collect::<Vec<_>>().join(", ");
        let (implied, own): (Vec<_>, Vec<_>) = self.default.iter().partition(|one| one.implied_by.is_some());
        let groups: Vec<&String> =
            own.iter().filter_map(|one| one.group.as_ref()).flat_map(|group| &group.alone).collect();
        let mut out = vec![match own.as_slice() {
            [] => format!("factors: none, because {package} has no default feature that could be left out"),
            own => format!("factors, default features that are left out in turn: {}", names(own)),
        }];
        let implied: Vec<&Candidate> = implied.into_iter().filter(|one| !groups.contains(&&one.name)).collect();
        for one in implied {
            let by = one.implied_by.as_deref().unwrap_or_default();
            out.push(format!("left as a comment: {}, which {by} turns on as well", one.name));
        }
        if !self.others.is_empty() {
            let others: Vec<&Candidate> = self.others.iter().collect();
            out.push(format!(
                "left as comments, because users run without them: {}; without the # the study shows what switching one \
                 on costs",
                names(&others)
            ));
        }
        if own.is_empty() && self.others.is_empty() {
            out.push(
                "add a [[factor]]: a variable, an argument, or a setting of the build such as opt-level".to_owned(),
            );
        }
        if !self.required.is_empty() {
            out.push(format!(
                "in every build, because the binary or a dependency needs it: {}",
                self.required.join(", ")
            ));
        }
        out
    }
}

/// Most members of a group that are levels of one factor; a factor has at most 30 levels.
const MAX_MEMBERS: usize = 28;

/// Sorts the features of a package, for a binary that needs `required`.
pub(super) fn features(package: &Package, required: &[String]) -> Features {
    let needed = closure(package, required);
    let default = closure(package, &["default".to_owned()]);
    let is_factor = |name: &&String| *name != "default" && !needed.contains(*name);
    let factors: Vec<&String> = package.features.keys().filter(is_factor).collect();
    let turns_on = |other: &str, name: &str| other != name && closure(package, &[other.to_owned()]).contains(name);
    // Of two that turn each other on, the first is the factor.
    let implies = |other: &str, name: &str| turns_on(other, name) && (!turns_on(name, other) || other < name);
    let implied_by = |name: &str| factors.iter().find(|other| default.contains(**other) && implies(other, name));
    let roots: Vec<&str> = factors
        .iter()
        .map(|name| name.as_str())
        .filter(|name| default.contains(*name) && implied_by(name).is_none())
        .collect();
    let group = |name: &str| {
        let members = &package.features[name];
        let is_group = members.len() > 1 && members.iter().all(|entry| package.features.contains_key(entry));
        let by_others = |member: &str| {
            let of_group = members.iter().any(|other| turns_on(other, member));
            of_group || needed.contains(member) || roots.iter().any(|root| *root != name && turns_on(root, member))
        };
        let alone: Vec<String> = members.iter().filter(|member| !by_others(member)).cloned().collect();
        let fits = is_group && !alone.is_empty() && alone.len() <= MAX_MEMBERS;
        // A member that two groups name would belong to two factors.
        let is_shared = members.iter().any(|member| roots.iter().any(|root| *root != name && turns_on(root, member)));
        (fits && !is_shared).then(|| Group { members: members.clone(), alone })
    };
    let candidate = |name: &&String| {
        let implied_by = implied_by(name).map(|other| (*other).clone());
        Candidate {
            name: (*name).clone(),
            turns_on: package.features[*name].clone(),
            group: if implied_by.is_none() { group(name) } else { None },
            implied_by,
        }
    };
    let (of_default, others): (Vec<&String>, Vec<&String>) = factors.iter().partition(|name| default.contains(**name));
    let no_feature = package.features.get("default").into_iter().flatten();
    let no_feature = no_feature.filter(|entry| !package.features.contains_key(*entry)).cloned();
    let (of_dependencies, out_of_reach): (Vec<String>, Vec<String>) =
        no_feature.partition(|entry| entry.contains('/') && !entry.contains('?'));
    let mut required = required.to_vec();
    required.extend(of_dependencies);
    Features {
        required,
        out_of_reach,
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

    /// What the config that is written turns on by default is what the package's own default turns on.
    fn keeps_the_default(package: &Package, required: &[&str]) -> Features {
        let required: Vec<String> = required.iter().map(|name| (*name).to_owned()).collect();
        let found = features(package, &required);
        let active = found.default.iter().filter(|candidate| candidate.implied_by.is_none());
        let asked: Vec<String> = active.map(|c| c.name.clone()).chain(found.required.clone()).collect();
        let mut own = closure(package, &["default".to_owned()]);
        own.extend(closure(package, &required));
        own.remove("default");
        assert_eq!(closure(package, &asked), own);
        found
    }

    #[test]
    fn the_default_set_keeps_its_groups_and_what_the_binary_needs_is_no_factor() {
        let package = package(
            r#"{"default":["binary","fast","zopfli"],"binary":["dep:clap"],"fast":["parallel","simd"],
                "parallel":["dep:rayon"],"simd":[],"zopfli":["dep:zopfli"],"debug":["dep:log"]}"#,
        );
        let found = keeps_the_default(&package, &["binary"]);
        let expected = [("fast", None), ("parallel", Some("fast")), ("simd", Some("fast")), ("zopfli", None)];
        assert_eq!(names(&found.default), expected);
        let members = vec!["parallel".to_owned(), "simd".to_owned()];
        assert_eq!(found.default[0].group, Some(Group { members: members.clone(), alone: members }));
        assert!(found.default[1..].iter().all(|candidate| candidate.group.is_none()));
        assert_eq!(names(&found.others), [("debug", None)]);
        assert_eq!(found.required, ["binary"]);
    }

    #[test]
    fn a_group_of_one_is_switched_by_its_own_name() {
        let package = package(
            r#"{"default":["use-alloc","completions"],"use-alloc":["alloc"],"alloc":["dep:alloc"],
                "completions":["complete"],"complete":["dep:complete"],"base":["use-alloc"]}"#,
        );
        let found = keeps_the_default(&package, &[]);
        let active: Vec<_> = names(&found.default).into_iter().filter(|(_, implied)| implied.is_none()).collect();
        assert_eq!(active, [("completions", None), ("use-alloc", None)]);
        assert!(found.default.iter().all(|candidate| candidate.group.is_none()));
        assert_eq!(names(&found.others), [("base", None)]);
    }

    #[test]
    fn a_member_that_something_else_turns_on_cannot_be_left_out() {
        let found = keeps_the_default(
            &package(r#"{"default":["all","b"],"all":["a","b","c"],"a":["c"],"b":["dep:b"],"c":["dep:c"]}"#),
            &[],
        );
        // `b` is a member, so it is implied; `c` comes with `a` as well.
        assert_eq!(names(&found.default)[1..], [("all", None), ("b", Some("all")), ("c", Some("a"))]);
        let group = found.default[1].group.as_ref().expect("a group");
        assert_eq!((group.members.len(), group.alone.join(" ").as_str()), (3, "a b"));
        let shared = keeps_the_default(
            &package(r#"{"default":["x","y"],"x":["a","b"],"y":["b","c"],"a":[],"b":[],"c":[]}"#),
            &[],
        );
        assert!(shared.default.iter().all(|candidate| candidate.group.is_none()), "a feature belongs to one factor");
    }

    #[test]
    fn features_of_dependencies_stay_in_the_baseline() {
        let package = package(r#"{"default":["serde/std","dep:x","log?/std","a"],"a":["dep:a"]}"#);
        let found = features(&package, &[]);
        assert_eq!(found.required, ["serde/std"]);
        assert_eq!(found.out_of_reach, ["dep:x", "log?/std"]);
        assert_eq!(names(&found.default), [("a", None)]);
    }

    #[test]
    fn what_another_factor_turns_on_cannot_be_left_out_alone() {
        let package = package(r#"{"default":["a"],"a":["b","dep:x"],"b":[],"c":["b"]}"#);
        let found = keeps_the_default(&package, &[]);
        assert_eq!(names(&found.default), [("a", None), ("b", Some("a"))]);
        assert_eq!(names(&found.others), [("c", None)]);
    }

    #[test]
    fn circles_and_packages_without_features_are_no_trouble() {
        let circle = package(r#"{"default":["b"],"a":["b","dep:x"],"b":["a","dep:y"]}"#);
        assert_eq!(names(&keeps_the_default(&circle, &[]).default), [("a", None), ("b", Some("a"))]);
        assert_eq!(features(&package("{}"), &[]), Features::default());
    }
}
