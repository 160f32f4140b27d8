//! The script that an interpreter runs: it names the study, and its options are the program's, not the interpreter's.

use std::path::Path;

/// Programs that run another one, which stands among their arguments.
const INTERPRETERS: [&str; 17] = [
    "bash", "bun", "dash", "deno", "java", "ksh", "lua", "luajit", "node", "perl", "php", "pypy", "python", "Rscript",
    "ruby", "sh", "zsh",
];

/// What a script has that reads its options. Others are not asked for help, because they would do their work instead.
const PARSERS: [&str; 12] = [
    "--help",
    "argparse",
    "click",
    "commander",
    "docopt",
    "fire",
    "getopt",
    "Getopt",
    "OptionParser",
    "optparse",
    "typer",
    "yargs",
];

/// What an interpreter is to run.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Script<'a> {
    /// What the study is called by.
    pub(super) name: &'a str,
    /// How many arguments belong to the program; the others are the workload's.
    pub(super) own: usize,
    /// Whether it can be asked for its options.
    pub(super) is_asked: bool,
}

/// The script of an interpreter; `None` for any other program. One that has no script among its arguments, as in
/// `sh -c TEXT`, is called by the interpreter's name and not asked for help.
pub(super) fn script<'a>(here: &Path, program: &'a str, arguments: &'a [String]) -> Option<Script<'a>> {
    let base = Path::new(program).file_name()?.to_str()?;
    let plain = base.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.');
    if !INTERPRETERS.contains(&plain) && !INTERPRETERS.contains(&base) {
        return None;
    }
    // A module of python has no path, and what follows -c or -e is a text.
    let first = arguments.iter().position(|word| !word.starts_with('-'));
    let before = first.and_then(|at| at.checked_sub(1)).and_then(|at| arguments.get(at)).map(String::as_str);
    if before == Some("-m")
        && let Some(at) = first
    {
        let name = arguments[at].rsplit('.').next().unwrap_or(&arguments[at]);
        return Some(Script { name, own: at + 1, is_asked: false });
    }
    let is_text = matches!(before, Some("-c" | "-e"));
    let at = arguments.iter().position(|word| !word.starts_with('-') && here.join(word).is_file()).filter(|_| !is_text);
    let Some(at) = at else { return Some(Script { name: base, own: 0, is_asked: false }) };
    let text = std::fs::read(here.join(&arguments[at])).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    Some(Script {
        name: Path::new(&arguments[at]).file_stem().and_then(|stem| stem.to_str()).unwrap_or(base),
        own: at + 1,
        is_asked: PARSERS.iter().any(|parser| text.contains(parser)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_names_the_study_and_is_asked_only_where_it_reads_options() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(dir.path().join("sort_it.py"), "import argparse\n").expect("writes");
        std::fs::write(dir.path().join("x.sh"), "rm -f y\n").expect("writes");
        let of = |words: &str| {
            let words: Vec<String> = words.split(' ').map(str::to_owned).collect();
            let found = script(dir.path(), &words[0], &words[1..]);
            found.map(|script| (script.name.to_owned(), script.own, script.is_asked))
        };
        let found = |name: &str, own: usize, is_asked: bool| Some((name.to_owned(), own, is_asked));
        assert_eq!(of("python3.12 -u sort_it.py input"), found("sort_it", 2, true));
        assert_eq!(of("/bin/sh x.sh"), found("x", 1, false));
        assert_eq!(of("python3 -m json.tool file"), found("tool", 2, false));
        assert_eq!(of("sh -c x.sh"), found("sh", 0, false));
        assert_eq!(of("sort x.sh"), None);
    }
}
