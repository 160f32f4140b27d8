//! The config of a command: the options that its help shows are the factors.

use super::help::{Choice, Kind};
use super::text::{ENVIRONMENT, Head, OUTSIDE, distinct, list, quoted};
use std::collections::BTreeSet;

/// Most switches that are active at once; a study should begin small.
const MAX_ACTIVE: usize = 4;

/// A config for a command, with the options that its help shows, and what to tell of it. `arguments` are the workload's.
pub(super) fn text(name: &str, command: &[String], arguments: &[String], options: &[Choice]) -> (String, Vec<String>) {
    let (options, told) = self::options(&shell_words::join(command), arguments, options);
    let head = Head {
        question: &format!("What do the options of {name} cost?"),
        study: name,
        about: &format!("what the options of {name} cost"),
        blocks: 12,
        levels: "by environment variables (`env`) or arguments (`args`), in one binary.",
        arm: "env",
        layouts: "",
    };
    let text = format!(
        "{head}\
         [subject]\n\
         # Its name on the PATH or its path, seen from this file; then arguments that every run has.\n\
         command = {command}\n\
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
        command = list(command),
        args = list(arguments),
    );
    (text, told)
}

/// Factors for the options of a program. What it does by default and can be told not to do is active; the rest are
/// comments, because an option may ask for other work, which is no cost of anything.
fn options(program: &str, arguments: &[String], options: &[Choice]) -> (String, Vec<String>) {
    if options.is_empty() {
        let told =
            format!("factors: none, because no `{program} --help` showed options; an example is there as a comment");
        return (String::new(), vec![told]);
    }
    let (mut written, mut left) = (Vec::new(), Vec::new());
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
        if is_active { &mut written } else { &mut left }.push(name.as_str());
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
    let names = |names: &[&str]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let mut told = vec![format!("factors, on by default and with an option against them: {}", names(&written))];
    if !left.is_empty() {
        let why = "an option may ask for other work; remove the # of what is to be compared";
        told.push(format!("left as comments: {} ({why})", names(&left)));
    }
    (out, told)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use std::path::Path;

    fn parsed(text: &str) -> config::Study {
        config::parse(Path::new("x.toml"), text.as_bytes()).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    #[test]
    fn a_config_of_a_command_is_strict_and_good() {
        let text = text("sort", &["sort".to_owned()], &["-n".to_owned(), "my file".to_owned()], &[]).0;
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
        let text = text("tool", &["tool".to_owned()], &["--no-given".to_owned()], &choices).0;
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
