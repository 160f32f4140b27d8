//! The config of a package: its features are the factors.

use super::features::{Candidate, Features, Group};
use super::text::{ENVIRONMENT, Head, OUTSIDE, distinct, list, quoted};
use crate::builds::cargo::Package;
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Where the package of a config is.
pub(super) enum Origin {
    /// Path of its manifest, as seen from the config.
    Manifest(String),
    /// Its version in the registry.
    Registry(String),
}

/// A config for a package.
pub(super) fn text(
    name: &str,
    package: &Package,
    binary: &str,
    origin: &Origin,
    features: &Features,
    workload: Option<&[String]>,
) -> String {
    let described = package.description.as_deref().and_then(|text| text.lines().next()).unwrap_or_default();
    let described = if described.is_empty() { String::new() } else { format!(" ({})", described.trim()) };
    let mut out = Head {
        question: &format!("What does each default feature of {} {}{described} cost?", package.name, package.version),
        study: name,
        about: &format!("what each default feature of {} {} costs", package.name, package.version),
        blocks: 18,
        levels: "by building with and without Cargo features.",
        arm: "feature",
        layouts: "# Every binary is linked in this many orders of its code, because where the linker happens to put it can \
                  cost\n\
                  # more than a feature does. Blocks take turns; as many layouts as blocks give the narrowest intervals.\n\
                  layouts = 9\n",
    }
    .text();
    // Writing to a String cannot fail.
    let _ = writeln!(out, "[subject]\npackage = {}", quoted(package.name.as_str()));
    let _ = match origin {
        Origin::Manifest(path) => writeln!(out, "manifest = {}", quoted(path)),
        Origin::Registry(version) => writeln!(out, "version = {}", quoted(version)),
    };
    let _ = writeln!(out, "binary = {}\nprofile = \"release\"", quoted(binary));
    if !features.required.is_empty() {
        let _ = writeln!(
            out,
            "# The binary, or the default set, needs them: they are in every build.\nfeatures = {}",
            list(&features.required)
        );
    }
    if !features.out_of_reach.is_empty() {
        let _ = writeln!(
            out,
            "# The default set also turns on {}, which has no feature of its own and so is not in these builds.",
            features.out_of_reach.join(", ")
        );
    }
    benches(&mut out, package);
    out.push_str(
        "# A feature of dead code, if the package has one, shows what is noise between two binaries:\n\
         # placebo_feature = \"placebo\"\n",
    );
    out.push_str(ENVIRONMENT);
    let taken = &mut BTreeSet::new();
    if features.default.is_empty() {
        out.push_str("# The package has no default feature that could be left out.\n");
    }
    let groups = features.default.iter().filter_map(|candidate| candidate.group.as_ref());
    let in_groups: BTreeSet<&String> = groups.flat_map(|group| &group.alone).collect();
    // A level of its group leaves such a feature out already.
    for candidate in features.default.iter().filter(|candidate| !in_groups.contains(&candidate.name)) {
        match &candidate.group {
            Some(members) => group(&mut out, candidate, members, taken),
            None => factor(&mut out, candidate, taken, candidate.implied_by.is_some()),
        }
    }
    if !features.others.is_empty() {
        out.push_str(
            "# Not in the default set, so users run without them, and so does the baseline. Without the # the level `on` shows\n\
             # what switching it on costs.\n\n",
        );
    }
    for candidate in &features.others {
        optional(&mut out, candidate, taken);
    }
    sample(&mut out, workload);
    let first = if workload.is_some() { "first" } else { "sample" };
    let _ = writeln!(out, "{QUICK}workloads = [{}]", quoted(first));
    out
}

/// A feature that is off by default, as a comment: the baseline is what users run.
fn optional(out: &mut String, candidate: &Candidate, taken: &mut BTreeSet<String>) {
    let Candidate { name, .. } = candidate;
    let own = quoted(&distinct(name, taken));
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "# [[factor]]\n# name = {own}\n# about = {}\n# baseline = \"off\"\n# levels = {{ off = {{}}, on = {{ features = {} }} }}\n",
        quoted(&candidate.about()),
        list(std::slice::from_ref(name)),
    );
}

/// The quick form, whose binaries have one code layout each: most of a first study's time is spent on builds.
const QUICK: &str = "
# `cargo ablate run --quick`: a first answer, with one code layout of each build, so of this one pair of binaries.
[quick]
blocks = 10
";

/// One factor, as a comment when it must be edited first.
fn factor(out: &mut String, candidate: &Candidate, taken: &mut BTreeSet<String>, is_comment: bool) {
    let name = distinct(&candidate.name, taken);
    let mut lines = vec![
        "[[factor]]".to_owned(),
        format!("name = {}", quoted(&name)),
        format!("about = {}", quoted(&candidate.about())),
        format!("feature = {}", quoted(&candidate.name)),
        "levels = { on = {} }".to_owned(),
    ];
    if let Some(other) = &candidate.implied_by {
        lines.insert(
            0,
            format!("`{other}` turns it on as well, so it cannot be left out alone; its cost is part of `{other}`."),
        );
    }
    for line in lines {
        let _ = if is_comment { writeln!(out, "# {line}") } else { writeln!(out, "{line}") };
    }
    out.push('\n');
}

/// A group of features: the baseline has it by its own name, and each level leaves one member out.
fn group(out: &mut String, candidate: &Candidate, group: &Group, taken: &mut BTreeSet<String>) {
    let about = format!("turns on {}; each other level leaves one of them out", group.members.join(", "));
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "[[factor]]\nname = {}\nabout = {}\nbaseline = \"whole\"\n[factor.levels]\nwhole = {{ features = {} }}",
        quoted(&distinct(&candidate.name, taken)),
        quoted(&about),
        list(std::slice::from_ref(&candidate.name)),
    );
    let levels = &mut BTreeSet::new();
    for member in &group.alone {
        let rest: Vec<String> = group.members.iter().filter(|other| *other != member).cloned().collect();
        let _ = writeln!(out, "{} = {{ features = {} }}", distinct(&format!("without-{member}"), levels), list(&rest));
    }
    out.push_str("# off = {}\n\n");
}

/// How to measure the benchmarks of a package, as a comment.
fn benches(out: &mut String, package: &Package) {
    let names: Vec<&str> = package.targets.iter().filter(|t| t.is_bench()).map(|t| t.name.as_str()).collect();
    let Some(first) = names.first() else { return };
    let uses = |crate_name: &&&str| package.dependencies.iter().any(|dependency| dependency.name == ***crate_name);
    let harness = HARNESSES.iter().find(uses).copied().unwrap_or("libtest");
    let _ = writeln!(
        out,
        "# The package has benches: {}. With these keys instead of `binary` every benchmark of one is a workload:\n\
         # harness = {}\n# bench = {}",
        names.join(", "),
        quoted(harness),
        quoted(first)
    );
}

/// Crates of benchmark harnesses, which are also their names in a config.
const HARNESSES: [&str; 5] = ["criterion", "divan", "gungraun", "iai-callgrind", "iai"];

/// The workload of a package.
fn sample(out: &mut String, given: Option<&[String]>) {
    out.push_str("[[workload]]\n");
    match given {
        Some(args) => {
            let _ = writeln!(out, "name = \"first\"\nargs = {}", list(args));
        }
        None => out.push_str(
            "name = \"sample\"\n\
             # PUT REAL WORK HERE: this only starts the program. Arguments as the program takes them; processes start in\n\
             # the folder of this file, so paths are relative to it. From 20 ms to some seconds a process is best. It must\n\
             # do the same work every time, and must not leave files behind that change the next run.\n\
             args = [\"--version\"]\n",
        ),
    }
    out.push_str(OUTSIDE);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use std::path::Path;

    fn parsed(text: &str) -> config::Study {
        config::parse(Path::new("x.toml"), text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    fn package() -> Package {
        let json = r#"{"name":"my_tool","version":"1.0.0","id":"my_tool","manifest_path":"/p/Cargo.toml",
            "description":"Does \"things\".\nAnd more.","dependencies":[],"targets":[],"features":{}}"#;
        serde_json::from_str(json).expect("a package")
    }

    fn candidate(name: &str, implied_by: Option<&str>) -> Candidate {
        Candidate {
            name: name.into(),
            turns_on: vec!["dep:x".into()],
            implied_by: implied_by.map(str::to_owned),
            group: None,
        }
    }

    #[test]
    fn a_config_of_a_package_is_strict_and_good() {
        let features = Features {
            required: vec!["cli".into()],
            default: vec![
                candidate("fast_path", None),
                candidate("fast-path", None),
                candidate("simd", Some("fast_path")),
            ],
            others: vec![candidate("debug", None)],
            out_of_reach: vec!["dep:y".into()],
        };
        let origin = Origin::Registry("1.0.0".into());
        let text = text("my-tool", &package(), "my_tool", &origin, &features, None);
        let study = parsed(&text);
        let names: Vec<&str> = study.factors.iter().map(|factor| factor.name.as_str()).collect();
        assert_eq!(names, ["fast-path", "fast-path-2"]);
        assert_eq!((study.layouts, study.workloads[0].args.as_slice()), (9, &["--version".to_owned()][..]));
        assert!(text.contains("PUT REAL WORK HERE") && text.contains("features = [\"debug\"]"), "{text}");
        assert!(text.contains("`fast_path` turns it on as well"), "{text}");
        // What is a comment becomes good when its # is removed.
        let start = text.find("# [[factor]]\n# name = \"debug\"").expect("is there");
        let end = start + text[start..].find("\n\n").expect("it ends");
        let debug: String = text[start..end].lines().map(|line| format!("{}\n", &line[2..])).collect();
        let debug = format!("{}{debug}{}", &text[..start], &text[end..]);
        let debug = parsed(&debug).factors.remove(2);
        assert_eq!((debug.baseline.as_str(), &debug.levels["on"].features), ("off", &vec!["debug".to_owned()]));
    }

    #[test]
    fn a_group_is_one_factor_that_leaves_out_a_member_in_each_level() {
        let members = vec!["a_b".to_owned(), "a-b".to_owned(), "c".to_owned()];
        let group = Some(Group { members, alone: vec!["a_b".to_owned(), "a-b".to_owned()] });
        let features = Features { default: vec![Candidate { group, ..candidate("all", None) }], ..Features::default() };
        let mut package = package();
        package.targets = serde_json::from_str(
            r#"[{"name":"speed","kind":["bench"],"src_path":"/p/benches/speed.rs"},
                {"name":"my_tool","kind":["bin"],"src_path":"/p/src/main.rs"}]"#,
        )
        .expect("targets");
        let origin = Origin::Registry("1.0.0".into());
        let text = text("x", &package, "my_tool", &origin, &features, None);
        let study = parsed(&text);
        let levels = &study.factors[0].levels;
        assert_eq!(levels["whole"].features, ["all"]);
        assert_eq!((&levels["without-a-b"].features, levels.len()), (&vec!["a-b".to_owned(), "c".to_owned()], 3));
        assert_eq!(levels["without-a-b-2"].features, ["a_b", "c"]);
        assert!(
            text.contains("benches: speed.") && text.contains("# harness = \"libtest\"\n# bench = \"speed\""),
            "{text}"
        );
    }

    #[test]
    fn arguments_that_are_given_are_run_and_quoted() {
        let args = ["a \"b\"".to_owned(), "c\\d".to_owned()];
        let origin = Origin::Registry("1.0.0".into());
        let text = text("x", &package(), "my_tool", &origin, &Features::default(), Some(&args));
        assert_eq!(parsed(&text).workloads[0].args, args);
        assert!(!text.contains("PUT REAL WORK"), "{text}");
    }
}
