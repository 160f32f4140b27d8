//! The text of a first config.

use super::features::{Candidate, Features};
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
        let _ =
            writeln!(out, "# The binary needs them: they are in every build.\nfeatures = {}", list(&features.required));
    }
    out.push_str(
        "# A feature of dead code, if the package has one, shows what is noise between two binaries:\n\
         # placebo_feature = \"placebo\"\n",
    );
    out.push_str(ENVIRONMENT);
    let taken = &mut BTreeSet::new();
    if features.default.is_empty() {
        out.push_str("# The package has no default feature that could be left out.\n");
    }
    for candidate in &features.default {
        factor(&mut out, candidate, taken, candidate.implied_by.is_some());
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
    let mut name = name_of(&candidate.name);
    // Two features whose names differ in `_` and `-` only.
    while !taken.insert(name.clone()) {
        name.push_str("-2");
    }
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

/// A config for a command.
pub(super) fn of_command(name: &str, program: &str, arguments: &[String]) -> String {
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
         [[workload]]\n\
         name = \"first\"\n\
         # Processes start in the folder of this file, so paths are relative to it.\n\
         args = {args}\n\
         {OUTSIDE}",
        head = head.text(),
        program = quoted(program),
        args = list(arguments),
    )
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
        Candidate { name: name.into(), turns_on: vec!["dep:x".into()], implied_by: implied_by.map(str::to_owned) }
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
    fn arguments_that_are_given_are_run_and_quoted() {
        let args = ["a \"b\"".to_owned(), "c\\d".to_owned()];
        let origin = Origin::Registry("1.0.0".into());
        let text = of_package("x", &package(), "my_tool", &origin, &Features::default(), Some(&args));
        assert_eq!(parsed(&text).workloads[0].args, args);
        assert!(!text.contains("PUT REAL WORK"), "{text}");
    }

    #[test]
    fn a_config_of_a_command_is_strict_and_good() {
        let text = of_command("sort", "sort", &["-n".to_owned(), "my file".to_owned()]);
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
}
