//! The text of a first config.

use super::features::{Candidate, Features, Group};
use super::help::{Choice, Kind};
use super::name::name_of;
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

/// A text as TOML writes it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

fn list(texts: &[String]) -> String {
    format!("[{}]", texts.iter().map(|text| quoted(text)).collect::<Vec<_>>().join(", "))
}

/// The keys before `[subject]`: what differs in them between a package and a command.
struct Head<'a> {
    /// The question of the first line.
    question: &'a str,
    /// Name of the study.
    study: &'a str,
    /// One line about it.
    about: &'a str,
    /// End of the comment on `blocks`, after "At least 6".
    fewest: &'a str,
    blocks: u32,
    /// End of the comment on `arms`, after "Levels are brought about".
    levels: &'a str,
    arm: &'a str,
    /// Lines about code layouts, or nothing.
    layouts: &'a str,
}

impl Head<'_> {
    fn text(&self) -> String {
        let Head { question, fewest, blocks, levels, arm, layouts, .. } = self;
        format!(
            "# {question}\n\
             # Written by `cargo ablate init`. Every key is strict: a misspelt one is an error that points at its line.\n\
             \n\
             study = {study}\n\
             about = {about}\n\
             # Orders and intervals are drawn from it; the same seed gives the same study.\n\
             seed = 1\n\
             # Passes over all cells, each a fresh process in random order. At least 6 {fewest}\n\
             blocks = {blocks}\n\
             # Each cell is also counted this often (page faults, system calls), apart from the timing.\n\
             counting_repeats = 2\n\
             # Levels are brought about {levels}\n\
             arms = [\"{arm}\"]\n\
             design = [\"leave-one-out\"]\n\
             {layouts}\
             # Seconds; a process that takes longer is ended and does not count.\n\
             timeout_seconds = 60\n\
             \n",
            study = quoted(self.study),
            about = quoted(self.about),
        )
    }
}

/// The last keys of `[subject]`, the same for both.
const ENVIRONMENT: &str = "\
# The environment is empty but for these, so that nothing leaks into the runs:
allow_env = [\"HOME\", \"PATH\"]

";

/// A config for a package.
pub(super) fn of_package(
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
        fewest: "for an interval; `--blocks`,\n\
                 # `--until-halfwidth 1%` and `--budget 5m` override it.",
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
        out.push_str("# Not in the default set: without the # it is in the baseline, and its absence is a cell.\n\n");
    }
    for candidate in &features.others {
        factor(&mut out, candidate, taken, true);
    }
    sample(&mut out, workload);
    out
}

/// One factor, as a comment when it must be edited first.
fn factor(out: &mut String, candidate: &Candidate, taken: &mut BTreeSet<String>, is_comment: bool) {
    let name = distinct(&candidate.name, taken);
    let about = match candidate.turns_on.as_slice() {
        [] => "the feature".to_owned(),
        entries => format!("turns on {}", entries.join(", ")),
    };
    let mut lines = vec![
        "[[factor]]".to_owned(),
        format!("name = {}", quoted(&name)),
        format!("about = {}", quoted(&about)),
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

/// A name that no other has: two features may differ in `_` and `-` only.
fn distinct(feature: &str, taken: &mut BTreeSet<String>) -> String {
    let mut name = name_of(feature);
    while !taken.insert(name.clone()) {
        name.push_str("-2");
    }
    name
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

/// The keys that are the same for every program that is measured from outside.
const OUTSIDE: &str = "\
# Held on one processor or not; `true` is steadier, and wrong for programs with several threads.
pin = false
# The whole process, seen from outside: `wall` or `cpu` time. A program that prints ablate's JSON line can have `p10`.
response = \"wall\"
";

/// Most switches that are active at once; a study should begin small.
const MAX_ACTIVE: usize = 4;

/// A config for a command, with the options that its help shows.
pub(super) fn of_command(name: &str, program: &str, arguments: &[String], options: &[Choice]) -> String {
    let head = Head {
        question: &format!("What do the options of {name} cost?"),
        study: name,
        about: &format!("what the options of {name} cost"),
        fewest: "for an interval; `--blocks`,\n\
                 # `--until-halfwidth 1%` and `--budget 5m` override it.",
        blocks: 12,
        levels: "by environment variables (`env`) or arguments (`args`), in one binary.",
        arm: "env",
        layouts: "",
    };
    format!(
        "{head}\
         [subject]\n\
         # Its name on the PATH or its path, seen from this file; then arguments that every run has.\n\
         command = [{program}]\n\
         {ENVIRONMENT}\
         # A factor is what may cost something: `on` is how the program runs now, `off` is without it, other names are\n\
         # variants. Without a factor a study shows only how noisy this machine is.\n\
         # [[factor]]\n\
         # name = \"cache\"\n\
         # about = \"keeps answers for later\"\n\
         # [factor.levels]\n\
         # on = {{}}\n\
         # off = {{ PROGRAM_CACHE = \"0\" }}\n\
         # small = {{ PROGRAM_CACHE = \"16\" }}\n\
         # quiet = {{ args = [\"--quiet\"] }}\n\
         \n\
         {options}\
         [[workload]]\n\
         name = \"first\"\n\
         # Processes start in the folder of this file, so paths are relative to it.\n\
         args = {args}\n\
         {OUTSIDE}",
        head = head.text(),
        program = quoted(program),
        options = self::options(name, arguments, options),
        args = list(arguments),
    )
}

/// Factors for the options of a program. What it does by default and can be told not to do is active; the rest are
/// comments, because an option may ask for other work, which is no cost of anything.
fn options(program: &str, arguments: &[String], options: &[Choice]) -> String {
    if options.is_empty() {
        return String::new();
    }
    let mut out = format!(
        "# Options that `{program} --help` shows. Those with a # may ask for other work; remove the # of what is to be\n\
         # compared.\n\n"
    );
    let (mut active, taken) = (0, &mut BTreeSet::new());
    for Choice { name, kind } in options {
        let flag = |no: &str| list(&[format!("--{no}{name}")]);
        let (baseline, levels) = match kind {
            Kind::On => ("off", vec![("off".to_owned(), None), ("on".to_owned(), Some(flag("")))]),
            Kind::Off => ("on", vec![("on".to_owned(), None), ("off".to_owned(), Some(flag("no-")))]),
            Kind::Both => ("on", vec![("on".to_owned(), Some(flag(""))), ("off".to_owned(), Some(flag("no-")))]),
            Kind::Values { joined, values } => {
                let args = |value: &String| match joined {
                    true => list(&[format!("--{name}={value}")]),
                    false => list(&[format!("--{name}"), value.clone()]),
                };
                let names = &mut BTreeSet::from(["default".to_owned()]);
                let level = |value: &String| (distinct(value, names), Some(args(value)));
                let default = std::iter::once(("default".to_owned(), None));
                ("default", default.chain(values.iter().map(level)).collect())
            }
        };
        // What every run has already is no level.
        let is_given = arguments.iter().any(|argument| {
            let bare = argument.trim_start_matches("--").trim_start_matches("no-");
            argument.starts_with("--") && bare.split('=').next() == Some(name.as_str())
        });
        let is_active = matches!(kind, Kind::Off | Kind::Both) && !is_given && active < MAX_ACTIVE;
        active += usize::from(is_active);
        let mark = if is_active { "" } else { "# " };
        let mut lines = vec!["[[factor]]".to_owned(), format!("name = {}", quoted(&distinct(name, taken)))];
        if baseline != "on" {
            lines.push(format!("baseline = {}", quoted(baseline)));
        }
        lines.push("[factor.levels]".to_owned());
        lines.extend(levels.into_iter().map(|(level, args)| match args {
            Some(args) => format!("{level} = {{ args = {args} }}"),
            None => format!("{level} = {{}}"),
        }));
        for line in lines {
            out.push_str(&format!("{mark}{line}\n"));
        }
        out.push('\n');
    }
    out
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
        let text = of_package("my-tool", &package(), "my_tool", &origin, &features, None);
        let study = parsed(&text);
        let names: Vec<&str> = study.factors.iter().map(|factor| factor.name.as_str()).collect();
        assert_eq!(names, ["fast-path", "fast-path-2"]);
        assert_eq!((study.layouts, study.workloads[0].args.as_slice()), (9, &["--version".to_owned()][..]));
        assert!(text.contains("PUT REAL WORK HERE") && text.contains("# feature = \"debug\""), "{text}");
        assert!(text.contains("`fast_path` turns it on as well"), "{text}");
        // What is a comment becomes good when its # is removed.
        let debug = text.replace("# [[factor]]\n# name = \"debug\"", "[[factor]]\nname = \"debug\"");
        let debug = debug
            .replace("# about = \"turns on dep:x\"\n# feature = \"debug\"\n# levels", "feature = \"debug\"\nlevels");
        assert_eq!(parsed(&debug).factors.len(), 3, "{debug}");
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
        let text = of_package("x", &package, "my_tool", &origin, &features, None);
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
        let text = of_package("x", &package(), "my_tool", &origin, &Features::default(), Some(&args));
        assert_eq!(parsed(&text).workloads[0].args, args);
        assert!(!text.contains("PUT REAL WORK"), "{text}");
    }

    #[test]
    fn a_config_of_a_command_is_strict_and_good() {
        let text = of_command("sort", "sort", &["-n".to_owned(), "my file".to_owned()], &[]);
        let study = parsed(&text);
        assert_eq!(study.subject.program, config::Program::Command(vec!["sort".into()]));
        assert_eq!(study.workloads[0].args, ["-n", "my file"]);
        // The factor that is shown is a good one.
        let start = text.find("# [[factor]]").expect("it is there");
        let (head, rest) = text.split_at(start);
        let (shown, tail) = rest.split_at(rest.find("\n\n").expect("it ends"));
        let shown: String = shown.lines().map(|line| format!("{}\n", line.trim_start_matches("# "))).collect();
        assert_eq!(parsed(&format!("{head}{shown}{tail}")).factors[0].levels.len(), 4);
    }

    #[test]
    fn options_that_the_help_shows_become_factors() {
        let choice = |name: &str, kind: Kind| Choice { name: name.to_owned(), kind };
        let values = |joined: bool| Kind::Values { joined, values: vec!["a.b".into(), "a-b".into(), "off".into()] };
        let mut choices = vec![
            choice("cache", Kind::Both),
            choice("mmap", Kind::Off),
            choice("stable", Kind::On),
            choice("mode", values(true)),
            choice("sort", values(false)),
            choice("given", Kind::Off),
        ];
        choices.extend((0..9).map(|i| choice(&format!("x-{i}"), Kind::Off)));
        let text = of_command("tool", "tool", &["--no-given".to_owned()], &choices);
        let study = parsed(&text);
        let names: Vec<&str> = study.factors.iter().map(|factor| factor.name.as_str()).collect();
        assert_eq!(names, ["cache", "mmap", "x-0", "x-1"], "a study begins small, and what is given is no level");
        assert_eq!(study.factors[0].levels["on"].args, ["--cache"]);
        assert_eq!(study.factors[1].levels["off"].args, ["--no-mmap"]);
        // Every comment becomes a good factor when its # is removed.
        let begin = text.find("# compared.").expect("a list") + "# compared.\n".len();
        let all: String = text[begin..]
            .lines()
            .map(|line| {
                let is_factor = ["# [", "# name", "# baseline", "# default", "# on", "# off", "# a-b"];
                let is_factor = is_factor.iter().any(|start| line.starts_with(start));
                format!("{}\n", if is_factor { &line[2..] } else { line })
            })
            .collect();
        let study = parsed(&format!("{}{all}", &text[..begin]));
        assert_eq!(study.factors.len(), choices.len());
        assert_eq!(study.factors[2].levels["on"].args, ["--stable"]);
        let mode = &study.factors[3];
        assert_eq!((mode.baseline.as_str(), mode.levels.len()), ("default", 4));
        assert_eq!(mode.levels["a-b"].args, ["--mode=a.b"]);
        assert_eq!(study.factors[4].levels["a-b-2"].args, ["--sort", "a-b"]);
    }
}
