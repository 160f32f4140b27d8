//! The command line.

use crate::error::Error;
use crate::variables;
use std::ffi::{OsStr, OsString};

/// What is asked for.
#[derive(Debug)]
pub(crate) enum Call {
    /// A text of `help`, or the version.
    Say(String),
    /// The man page.
    Man,
    /// A program to run.
    Run(Options, Vec<OsString>),
    /// What there is.
    Info(Options),
    /// End at once: `hakmem info` starts itself so, to be served.
    Nothing,
}

/// The options of all subcommands.
#[derive(Debug, Default)]
pub(crate) struct Options {
    /// Variables, by their whole names.
    pub(crate) variables: Vec<(String, String)>,
    pub(crate) library: Option<OsString>,
    pub(crate) output: Option<OsString>,
    pub(crate) is_quiet: bool,
    pub(crate) is_required: bool,
    pub(crate) is_replaced: bool,
}

/// The hidden subcommand of [`Call::Nothing`].
pub(crate) const NOTHING: &str = "__nothing";

/// Reads the arguments, without the program's own name.
///
/// # Errors
/// They make no sense.
pub(crate) fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Call, Error> {
    let mut arguments = arguments.peekable();
    let command = arguments.next().unwrap_or_else(|| OsString::from("--help"));
    match command.to_str() {
        Some("--help" | "-h" | "help") => Ok(Call::Say(crate::help::whole())),
        Some("--version" | "-V") => Ok(Call::Say(format!("hakmem {}\n", env!("CARGO_PKG_VERSION")))),
        Some("run") => run(arguments),
        Some("info") => info(arguments),
        Some("man") => Ok(Call::Man),
        Some(NOTHING) => Ok(Call::Nothing),
        _ => Err(Error::Usage(format!(
            "there is no command {}; a program is run by `hakmem run -- PROGRAM`",
            command.display()
        ))),
    }
}

fn run(mut arguments: impl Iterator<Item = OsString>) -> Result<Call, Error> {
    let mut options = Options::default();
    while let Some(argument) = arguments.next() {
        let text = argument.to_str().unwrap_or_default().to_owned();
        match text.as_str() {
            "--help" | "-h" => return Ok(Call::Say(crate::help::run())),
            "--" => return program(options, arguments.collect()),
            "--stats" => options.variables.push((variables::STATS.to_owned(), "1".to_owned())),
            "--quiet" => options.is_quiet = true,
            "--require" => options.is_required = true,
            "--exec" => options.is_replaced = true,
            _ if !text.starts_with('-') => {
                let program_and_rest = std::iter::once(argument).chain(arguments).collect();
                return program(options, program_and_rest);
            }
            _ => {
                if let Some(path) = value(&text, "--output", &mut arguments)? {
                    options.output = Some(path);
                } else if !shared(&text, &mut options, &mut arguments)? {
                    return Err(unknown(&argument, "run"));
                }
            }
        }
    }
    program(options, Vec::new())
}

fn program(options: Options, program: Vec<OsString>) -> Result<Call, Error> {
    if program.is_empty() {
        return Err(Error::Usage("no program is named; an example: hakmem run -- sort numbers.txt".to_owned()));
    }
    if options.is_replaced && (options.is_required || options.is_quiet || options.output.is_some()) {
        let text = "--exec leaves no process that could write a summary: leave out --require, --quiet and --output";
        return Err(Error::Usage(text.to_owned()));
    }
    Ok(Call::Run(options, program))
}

fn info(mut arguments: impl Iterator<Item = OsString>) -> Result<Call, Error> {
    let mut options = Options::default();
    while let Some(argument) = arguments.next() {
        let text = argument.to_str().unwrap_or_default().to_owned();
        if ["--help", "-h"].contains(&text.as_str()) {
            return Ok(Call::Say(crate::help::info()));
        }
        if !shared(&text, &mut options, &mut arguments)? {
            return Err(unknown(&argument, "info"));
        }
    }
    Ok(Call::Info(options))
}

/// Reads an option that both subcommands have. Returns whether it was one.
fn shared(text: &str, options: &mut Options, rest: &mut impl Iterator<Item = OsString>) -> Result<bool, Error> {
    if let Some(path) = value(text, "--library", rest)? {
        options.library = Some(path);
    } else if let Some(set) = value(text, "--set", rest)? {
        options.variables.push(variables::split(&set.to_string_lossy())?);
    } else {
        return Ok(false);
    }
    Ok(true)
}

/// The value of an option, after `=` or as the next argument; `None` where the argument is another option.
fn value(text: &str, option: &str, rest: &mut impl Iterator<Item = OsString>) -> Result<Option<OsString>, Error> {
    match text.strip_prefix(option) {
        Some("") => match rest.next() {
            Some(value) => Ok(Some(value)),
            None => Err(Error::Usage(format!("{option} takes a value"))),
        },
        Some(value) if value.starts_with('=') => Ok(Some(value[1..].into())),
        _ => Ok(None),
    }
}

fn unknown(argument: &OsStr, command: &str) -> Error {
    let way_out = if command == "run" { "; the program's own options stand behind its name" } else { "" };
    Error::Usage(format!("{} is no option of `hakmem {command}`; see its --help{way_out}", argument.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(text: &str) -> Result<Call, Error> {
        parse(text.split_whitespace().map(OsString::from))
    }

    #[test]
    fn options_end_at_the_program() {
        for text in ["run --quiet --set a=b -- sort --stats x", "run --quiet --set=a=b sort --stats x"] {
            let Ok(Call::Run(options, program)) = call(text) else { panic!("{text}") };
            assert_eq!(program, ["sort", "--stats", "x"]);
            assert_eq!(options.variables, [("HAKMEM_A".to_owned(), "b".to_owned())]);
            assert!(options.is_quiet && !options.is_required);
        }
    }

    #[test]
    fn wrong_calls_say_so() {
        for (text, part) in [
            ("sort", "hakmem run -- PROGRAM"),
            ("run", "no program is named"),
            ("run --", "no program is named"),
            ("run --set", "--set takes a value"),
            ("run --set x -- sort", "NAME=VALUE"),
            ("run --stat -- sort", "--stat is no option"),
            ("run --setx=1 -- sort", "--setx=1 is no option"),
            ("run --exec --require -- sort", "--exec leaves no process"),
            ("info --quiet", "--quiet is no option of `hakmem info`"),
        ] {
            match call(text) {
                Err(error) => assert!(error.to_string().contains(part), "{text}: {error}"),
                Ok(call) => panic!("{text}: {call:?}"),
            }
        }
    }

    #[test]
    fn help_is_a_text_for_each_command() {
        for (text, part) in [
            ("", "Commands:"),
            ("--help", "hakmem run -- sort"),
            ("run --help", "--require"),
            ("run --set a=b -h", "--exec"),
            ("info --help", "--library"),
            ("--version", env!("CARGO_PKG_VERSION")),
        ] {
            let Ok(Call::Say(said)) = call(text) else { panic!("{text}") };
            assert!(said.contains(part), "{text}: {said}");
            assert!(said.lines().all(|line| line.len() <= 92), "{said}");
        }
    }
}
