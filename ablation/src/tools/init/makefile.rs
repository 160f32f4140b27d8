//! What `make` would do in a folder, read from its dry run: the variables that hold the optimiser's level, and the
//! programs that are linked.

use crate::support::files::without_dots;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The line after which `make -p` prints its variables.
const DATA_BASE: &str = "# Make data base";

/// What a dry run of `make` with `-n -B -p` printed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct DryRun {
    /// The commands that it would run.
    pub(super) commands: Vec<String>,
    /// The variables of the makefile, as it writes them.
    pub(super) variables: BTreeMap<String, String>,
}

impl DryRun {
    /// Reads what `make` printed.
    pub(super) fn of(text: &str) -> DryRun {
        let (recipes, data) = text.split_once(DATA_BASE).unwrap_or((text, ""));
        let mut commands: Vec<String> = Vec::new();
        let mut goes_on = false;
        for line in recipes.lines() {
            let part = line.strip_suffix('\\').unwrap_or(line);
            match commands.last_mut() {
                Some(last) if goes_on => last.push_str(part),
                _ => commands.push(part.to_owned()),
            }
            goes_on = line.ends_with('\\');
        }
        let mut variables = BTreeMap::new();
        let mut is_own = false;
        for line in data.lines() {
            if is_own
                && let Some((name, value)) = line.split_once('=')
                && !line.starts_with('#')
            {
                let name = name.trim_end_matches(['?', ':', '+', ' ']);
                if !name.is_empty() && !name.contains(char::is_whitespace) {
                    variables.insert(name.to_owned(), value.trim().to_owned());
                }
            }
            is_own = line.starts_with("# makefile (from");
        }
        DryRun { commands, variables }
    }

    /// Arguments of `make` that set the optimiser's level: the variables that have one keep their other words. Where no
    /// variable has one, they are `CFLAGS` for C, `CXXFLAGS` for C++.
    pub(super) fn with_level(&self, level: &str, sources: Languages) -> Vec<String> {
        let has_level = |(_, value): &(&String, &String)| value.split_whitespace().any(is_level);
        let mut names: Vec<&str> = self.variables.iter().filter(has_level).map(|(name, _)| name.as_str()).collect();
        if names.is_empty() {
            names.extend((sources.c || !sources.cpp).then_some("CFLAGS"));
            names.extend(sources.cpp.then_some("CXXFLAGS"));
        }
        let set = |name: &str| {
            let own = self.variables.get(name).map_or("", String::as_str);
            let itself = [format!("$({name})"), format!("${{{name}}}")];
            let rest = own.split_whitespace().filter(|word| !is_level(word) && !itself.contains(&(*word).to_owned()));
            format!("{name}={}", rest.chain([level]).collect::<Vec<_>>().join(" "))
        };
        names.into_iter().map(set).collect()
    }

    /// The programs that it would link, as paths below `folder`.
    pub(super) fn programs(&self, folder: &Path) -> Vec<String> {
        let mut inside = vec![folder.to_owned()];
        let mut out: Vec<String> = Vec::new();
        for command in &self.commands {
            if let Some((_, entered)) = command.split_once(": Entering directory ") {
                inside.push(PathBuf::from(entered.trim_matches(['\'', '`', '"'])));
            } else if command.contains(": Leaving directory ") {
                inside.pop();
            }
            let here = inside.last().map_or(folder, PathBuf::as_path);
            for program in command.split([';', '&', '|']).filter_map(linked) {
                let below = without_dots(&here.join(program));
                let below = below.strip_prefix(without_dots(folder)).ok().and_then(Path::to_str).map(str::to_owned);
                out.extend(below.filter(|path| !out.contains(path)));
            }
        }
        out
    }
}

/// The languages of some sources.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Languages {
    /// C.
    pub(super) c: bool,
    /// C++.
    pub(super) cpp: bool,
}

/// Whether a word is a level of the optimiser.
pub(super) fn is_level(word: &str) -> bool {
    matches!(word, "-O" | "-O0" | "-O1" | "-O2" | "-O3" | "-Os" | "-Oz" | "-Og" | "-Ofast")
}

/// The program that a command of a compiler links; `None` when it only compiles, or makes a library.
fn linked(command: &str) -> Option<String> {
    let words = shell_words::split(command).ok()?;
    let is_other = |word: &String| matches!(word.as_str(), "-c" | "-S" | "-E" | "-M" | "-MM" | "-shared" | "-r");
    if words.iter().any(is_other) {
        return None;
    }
    let at = words.iter().position(|word| word == "-o")?;
    let program = words.get(at + 1)?;
    let end = Path::new(program).extension().and_then(|end| end.to_str()).unwrap_or_default();
    let is_program = !matches!(end, "o" | "obj" | "lo" | "a" | "so" | "d" | "c" | "h" | "s" | "i");
    // A compiler's name comes before, beside sources or objects: `sort -o file` links nothing.
    let first = words.iter().find(|word| !word.contains('=')).and_then(|word| Path::new(word).file_name()?.to_str());
    (is_program && first.is_some_and(is_compiler)).then(|| program.clone())
}

/// Whether a program is a compiler of C or C++, or a wrapper or linker in its place.
pub(super) fn is_compiler(name: &str) -> bool {
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
    let ends = ["cc", "gcc", "clang", "c++", "g++", "clang++", "ld", "libtool", "ccache", "icx", "icpx"];
    ends.iter().any(|end| name == *end || name.strip_suffix(end).is_some_and(|start| start.ends_with('-')))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRINTED: &str = "cc -std=c11 -O2 -c -o main.o main.c\n\
        make[1]: Entering directory '/p/lib'\n\
        ar rcs libx.a x.o\n\
        cc -O2 -o tools/helper helper.o\n\
        make[1]: Leaving directory '/p/lib'\n\
        sort -o words.txt words.txt\n\
        x86_64-linux-gnu-gcc-13 main.o \\\n   -Llib -lx -o ./bin/prog && strip bin/prog\n\
        # Make data base, printed on Mon\n\
        # default\n\
        CXX = g++\n\
        # makefile (from 'Makefile', line 2)\n\
        CFLAGS = -std=c11 $(WARN) -O2\n\
        # makefile (from 'Makefile', line 3)\n\
        WARN := -Wall\n";

    #[test]
    fn programs_are_the_linked_files_and_the_level_stands_in_its_variable() {
        let run = DryRun::of(PRINTED);
        assert_eq!(run.programs(Path::new("/p")), ["lib/tools/helper", "bin/prog"]);
        assert_eq!(run.with_level("-O3", Languages::default()), ["CFLAGS=-std=c11 $(WARN) -O3"]);
    }

    #[test]
    fn a_makefile_without_a_level_gets_it_in_the_flags_of_its_languages() {
        let run = DryRun::of("g++ a.cc -o a\n# Make data base\n# makefile (from 'Makefile', line 1)\nCFLAGS = -g\n");
        let both = Languages { c: true, cpp: true };
        assert_eq!(run.with_level("-O2", both), ["CFLAGS=-g -O2", "CXXFLAGS=-O2"]);
        assert_eq!(run.with_level("-O2", Languages { cpp: true, c: false }), ["CXXFLAGS=-O2"]);
        assert_eq!(run.programs(Path::new("/p")), ["a"]);
    }

    #[test]
    fn what_only_compiles_or_makes_a_library_is_no_program() {
        for command in ["cc -c x.c -o x", "cc -shared -o libx.so x.o", "gcc x.o -o x.so", "cp -o a b", "echo 'open"] {
            assert_eq!(linked(command), None, "{command}");
        }
        for name in ["cc", "gcc-12", "clang++", "aarch64-linux-gnu-g++", "ccache"] {
            assert!(is_compiler(name), "{name}");
        }
        assert!(!is_compiler("sort") && !is_compiler("bcc2"));
    }
}
