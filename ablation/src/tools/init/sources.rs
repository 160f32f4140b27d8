//! What builds the program of a folder or of a source file, and in which words the optimiser is set.
//!
//! Nothing is built here. `make` is asked for a dry run; CMake, meson and source files are read.

use super::asked;
use super::makefile::{DryRun, Languages, is_compiler};
use super::text::{list, quoted};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How a program is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Build {
    /// The command, run in the sources.
    pub(super) command: Vec<String>,
    /// The program that it makes, as a path below the sources.
    pub(super) artefact: String,
    /// What the command needs to be understood, as lines of a comment.
    pub(super) about: &'static str,
    /// What each level sets, as TOML writes it: the baseline's first.
    pub(super) levels: Vec<(&'static str, String)>,
}

/// The levels of a first study: name, flags, and the number that meson calls it by. The first is the baseline's; those
/// after the second are comments.
const LEVELS: [(&str, &str, &str); 4] =
    [("o2", "-O2", "2"), ("o3", "-O3", "3"), ("o0", "-O0", "0"), ("native", "-O2 -march=native", "2")];

/// How long a dry run of `make` may take.
const LIMIT: Duration = Duration::from_secs(20);

/// How deep files of CMake and meson are looked for.
const DEPTH: usize = 3;

/// What `make` reads, in its order.
const MAKEFILES: [&str; 3] = ["GNUmakefile", "makefile", "Makefile"];

/// Folder of a build beside the sources, which no build of the user's has.
const BESIDE: &str = "ablate-build";

/// Whether a file is a source of C or C++.
pub(super) fn is_source(path: &Path) -> bool {
    compiler(path).is_some()
}

/// Whether a folder has what a program can be built of.
pub(super) fn is_built(folder: &Path) -> bool {
    let has = |name: &&str| folder.join(name).is_file();
    MAKEFILES.iter().chain(&["CMakeLists.txt", "meson.build"]).any(has) || only_source(folder).is_some()
}

/// The build of a folder, and of the program `wanted` where it makes several.
///
/// # Errors
/// What is missing, with the way out.
pub(super) fn of_folder(folder: &Path, wanted: Option<&str>) -> Result<Build, String> {
    let text = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
    let makefile = MAKEFILES.iter().find_map(|name| text(name));
    let is_of_cmake = makefile.as_ref().is_some_and(|text| text.contains("CMAKE generated file"));
    if makefile.is_some() && !is_of_cmake {
        return of_make(folder, &["make".to_owned()], wanted);
    }
    if folder.join("CMakeLists.txt").is_file() {
        let program = only(&of_cmake(folder), wanted, "CMakeLists.txt")?;
        return Ok(cmake(&program));
    }
    if folder.join("meson.build").is_file() {
        let program = only(&of_meson(folder), wanted, "meson.build")?;
        return Ok(meson(&program));
    }
    match only_source(folder) {
        Some(source) => Ok(of_source(folder, &source)),
        None => Err(format!(
            "{} has no Cargo.toml, Makefile, CMakeLists.txt, meson.build or single source file; give a source file, or \
             the command that builds the program: --build 'make tool' --bin tool",
            folder.display()
        )),
    }
}

/// The build of one source file.
pub(super) fn of_source(folder: &Path, source: &Path) -> Build {
    let text = std::fs::read(folder.join(source)).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let artefact = source.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut command = vec![compiler(source).unwrap_or("cc").to_owned(), "-o".to_owned(), artefact.clone()];
    command.push(source.display().to_string());
    let includes = |header: &str| text.lines().any(|line| line.starts_with("#include") && line.contains(header));
    command.extend((includes("<math.h>") || includes("<complex.h>")).then(|| "-lm".to_owned()));
    command.extend((includes("<pthread.h>") || includes("<threads.h>")).then(|| "-pthread".to_owned()));
    Build { command, artefact, about: "", levels: appended() }
}

/// The build by a command that the user gives, of the program `wanted`.
///
/// # Errors
/// What is missing, with the way out.
pub(super) fn of_command(folder: &Path, command: &[String], wanted: Option<&str>) -> Result<Build, String> {
    let name = command.first().and_then(|name| Path::new(name).file_name()?.to_str()).unwrap_or_default();
    if name == "make" || name == "gmake" {
        return of_make(folder, command, wanted);
    }
    let named = command.iter().position(|word| word == "-o").and_then(|at| command.get(at + 1)).cloned();
    let artefact = wanted.map(str::to_owned).or(named);
    if is_compiler(name) {
        let artefact = artefact.unwrap_or_else(|| "a.out".to_owned());
        return Ok(Build { command: command.to_vec(), artefact, about: "", levels: appended() });
    }
    let Some(artefact) = artefact else {
        return Err(format!("name the program that `{}` makes: --bin PATH", shell_words::join(command)));
    };
    let levels = LEVELS.map(|(level, flags, _)| {
        (level, format!("build_env = {{ CFLAGS = {flags}, CXXFLAGS = {flags} }}", flags = quoted(flags)))
    });
    let about = "# It gets the optimiser's level in CFLAGS and CXXFLAGS; a build that does not read them makes one program\n\
                 # twice, which the study says.\n";
    Ok(Build { command: command.to_vec(), artefact, about, levels: levels.into() })
}

/// The build by `make`: its dry run tells the variable to set and the program.
fn of_make(folder: &Path, command: &[String], wanted: Option<&str>) -> Result<Build, String> {
    let name = command.first().map_or("make", String::as_str);
    let given = &command[command.len().min(1)..];
    let run = |more: &[String]| {
        let words: Vec<&str> =
            ["-n", "-B", "-p"].into_iter().chain(given.iter().chain(more).map(String::as_str)).collect();
        asked::output(folder, name, &words, LIMIT).map(|text| DryRun::of(&text)).ok_or_else(|| {
            format!(
                "`{name}` cannot be asked what it would build in {}; install it, or correct --build",
                folder.display()
            )
        })
    };
    let own = run(&[])?;
    let sources = languages(folder);
    let with = |flags: &str| own.with_level(flags, sources);
    let (o2, o3) = (run(&with("-O2"))?, run(&with("-O3"))?);
    if o2.commands == o3.commands {
        let names: Vec<String> = with("").iter().filter_map(|word| Some(word.split_once('=')?.0.to_owned())).collect();
        return Err(format!(
            "`{}` would run the same commands with -O2 and with -O3 in {}; let the makefile use $({}), or give the \
             compiler's command: --build 'cc -o prog prog.c'",
            shell_words::join(command),
            folder.display(),
            names.join(") or $(")
        ));
    }
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let artefact = match wanted {
        Some(wanted) => wanted.to_owned(),
        None => only(&own.programs(&folder), None, "the makefile")?,
    };
    // `-B`, because files of an earlier build are copied with the sources.
    let command = [&[name.to_owned(), "-B".to_owned()], given].concat();
    let levels = LEVELS.map(|(level, flags, _)| (level, format!("build_args = {}", list(&with(flags)))));
    let about = "# -B: files of an earlier build are copied too, and make would keep them.\n";
    Ok(Build { command, artefact, about, levels: levels.into() })
}

fn cmake(program: &str) -> Build {
    let script = format!(
        "cmake -S . -B {BESIDE} -DCMAKE_BUILD_TYPE=Release -DCMAKE_RUNTIME_OUTPUT_DIRECTORY=\"$PWD/{BESIDE}/bin\" \"$@\" \
         && cmake --build {BESIDE} --target {program}"
    );
    let levels = LEVELS.map(|(level, flags, _)| {
        let set = |language: &str| format!("-DCMAKE_{language}_FLAGS_RELEASE={flags} -DNDEBUG");
        (level, format!("build_args = {}", list(&[set("C"), set("CXX")])))
    });
    Build {
        command: ["sh", "-c", &script, "cmake"].map(str::to_owned).into(),
        artefact: format!("{BESIDE}/bin/{program}"),
        about: "# \"$@\" is what the levels add.\n",
        levels: levels.into(),
    }
}

fn meson(program: &str) -> Build {
    let script = format!("meson setup {BESIDE} \"$@\" && meson compile -C {BESIDE}");
    let levels = LEVELS.map(|(level, flags, number)| {
        let mut words = vec!["-Ddebug=false".to_owned(), format!("-Doptimization={number}")];
        if flags.contains("native") {
            words.extend(["c", "cpp"].map(|language| format!("-D{language}_args=-march=native")));
        }
        (level, format!("build_args = {}", list(&words)))
    });
    Build {
        command: ["sh", "-c", &script, "meson"].map(str::to_owned).into(),
        artefact: format!("{BESIDE}/{program}"),
        about: "# \"$@\" is what the levels add.\n",
        levels: levels.into(),
    }
}

/// Levels of a compiler: its last word on the optimiser counts.
fn appended() -> Vec<(&'static str, String)> {
    let words = |flags: &str| flags.split(' ').map(str::to_owned).collect::<Vec<_>>();
    LEVELS.map(|(level, flags, _)| (level, format!("build_args = {}", list(&words(flags))))).into()
}

/// The one program, or the wanted one.
fn only(programs: &[String], wanted: Option<&str>, place: &str) -> Result<String, String> {
    let is_wanted = |program: &&String| {
        wanted
            .is_none_or(|wanted| program.as_str() == wanted || Path::new(program).file_name() == Some(wanted.as_ref()))
    };
    match (programs.iter().filter(is_wanted).collect::<Vec<_>>().as_slice(), wanted) {
        ([only], _) => Ok((*only).clone()),
        ([], Some(wanted)) if programs.is_empty() => Ok(wanted.to_owned()),
        ([], Some(wanted)) => {
            Err(format!("{place} makes no program `{wanted}`; give --bin with one of {}", programs.join(", ")))
        }
        ([], None) => Err(format!("{place} does not show which program it makes; name it with --bin PATH")),
        (several, _) => {
            let several: Vec<&str> = several.iter().map(|program| program.as_str()).collect();
            Err(format!("{place} makes several programs; name one with --bin: {}", several.join(", ")))
        }
    }
}

fn compiler(source: &Path) -> Option<&'static str> {
    match source.extension()?.to_str()? {
        "c" => Some("cc"),
        "cc" | "cpp" | "cxx" | "C" | "c++" => Some("c++"),
        _ => None,
    }
}

/// The only source file of a folder.
fn only_source(folder: &Path) -> Option<PathBuf> {
    let mut sources = std::fs::read_dir(folder).ok()?.flatten().map(|entry| PathBuf::from(entry.file_name()));
    let mut sources = sources.by_ref().filter(|path| is_source(path));
    sources.next().filter(|_| sources.next().is_none())
}

fn languages(folder: &Path) -> Languages {
    let mut found = Languages::default();
    for path in below(folder, DEPTH) {
        match compiler(&path) {
            Some("cc") => found.c = true,
            Some(_) => found.cpp = true,
            None => {}
        }
    }
    found
}

/// The programs that files of CMake name.
fn of_cmake(folder: &Path) -> Vec<String> {
    let files = below(folder, DEPTH).into_iter().filter(|path| path.ends_with("CMakeLists.txt"));
    let texts: Vec<String> = files.filter_map(|path| std::fs::read_to_string(path).ok()).collect();
    let project = texts.iter().find_map(|text| called(text, "project").into_iter().next()).unwrap_or_default();
    let names = texts.iter().flat_map(|text| called(text, "add_executable"));
    let names = names.map(|name| name.replace("${PROJECT_NAME}", &project).replace("${CMAKE_PROJECT_NAME}", &project));
    names.filter(|name| !name.contains('$')).collect()
}

/// The programs that files of meson name, as paths below the folder of the build.
fn of_meson(folder: &Path) -> Vec<String> {
    let files = below(folder, DEPTH).into_iter().filter(|path| path.ends_with("meson.build"));
    let named = files.filter_map(|path| {
        let text = std::fs::read_to_string(&path).ok()?;
        let inside = path.parent()?.strip_prefix(folder).ok()?.to_owned();
        let path = move |name: String| inside.join(name).display().to_string();
        Some(called(&text, "executable").into_iter().map(path).collect::<Vec<_>>())
    });
    named.flatten().collect()
}

/// The first argument of every call of a function, without its quotes.
fn called(text: &str, function: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default());
    let text = lines.collect::<Vec<_>>().join("\n");
    let mut out = Vec::new();
    for (at, _) in text.match_indices(function) {
        let is_whole = text[..at].chars().next_back().is_none_or(|c| !c.is_alphanumeric() && c != '_');
        let Some(arguments) = text[at + function.len()..].trim_start().strip_prefix('(') else { continue };
        let first = arguments.trim_start().split([' ', '\n', '\t', ')', ',']).next().unwrap_or_default();
        let first = first.trim_matches(['\'', '"']);
        if is_whole && !first.is_empty() {
            out.push(first.to_owned());
        }
    }
    out
}

/// The files of a folder to this depth, sorted; no hidden ones, and none of a folder that a build made.
fn below(folder: &Path, depth: usize) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    let mut out = Vec::new();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_left_out = name.starts_with('.') || name == "target" || path.join("CMakeCache.txt").exists();
        if path.is_file() {
            out.push(path);
        } else if path.is_dir() && depth > 0 && !is_left_out && !path.is_symlink() {
            out.extend(below(&path, depth - 1));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for (path, text) in files {
            let path = dir.path().join(path);
            std::fs::create_dir_all(path.parent().expect("has one")).expect("creates");
            std::fs::write(path, text).expect("writes");
        }
        dir
    }

    #[test]
    fn a_source_file_is_compiled_with_the_libraries_of_its_headers() {
        let dir = folder(&[("fast.c", "#include <math.h>\n#include <pthread.h>\nint main(void) { return 0; }\n")]);
        let build = of_folder(dir.path(), None).expect("one source");
        assert_eq!(build.command, ["cc", "-o", "fast", "fast.c", "-lm", "-pthread"]);
        assert_eq!(build.levels[1], ("o3", "build_args = [\"-O3\"]".to_owned()));
        std::fs::write(dir.path().join("slow.cpp"), "").expect("writes");
        assert!(!is_built(dir.path()), "two programs or one of two files: nothing tells");
        assert_eq!(of_source(dir.path(), Path::new("slow.cpp")).command[0], "c++");
    }

    #[test]
    fn a_makefile_tells_its_variable_and_its_program() {
        let dir = folder(&[
            (
                "Makefile",
                "CFLAGS = -Wall -O1\nprog: main.o\n\t$(CC) -o $@ $^\nmain.o: main.c\n\t$(CC) $(CFLAGS) -c $<\n",
            ),
            ("main.c", "int main(void) { return 0; }\n"),
        ]);
        let build = of_folder(dir.path(), None).expect("a makefile");
        assert_eq!((build.command.join(" ").as_str(), build.artefact.as_str()), ("make -B", "prog"));
        assert_eq!(build.levels[1].1, "build_args = [\"CFLAGS=-Wall -O3\"]");
        let asked = ["make", "prog"].map(str::to_owned);
        assert_eq!(of_command(dir.path(), &asked, Some("x")).expect("make").artefact, "x");
    }

    #[test]
    fn a_makefile_that_heeds_no_level_is_refused_with_the_way_out() {
        let dir = folder(&[("Makefile", "prog: main.c\n\tcc -O2 -o prog main.c\n"), ("main.c", "int main(void) {}\n")]);
        let said = of_folder(dir.path(), None).expect_err("the same commands");
        assert!(said.contains("same commands") && said.contains("$(CFLAGS)"), "{said}");
    }

    #[test]
    fn cmake_and_meson_name_their_programs() {
        let cmake =
            "project(Demo C)\nadd_library(x x.c)\n# add_executable(old)\nadd_executable( ${PROJECT_NAME}\n  a.c)\n";
        let dir = folder(&[("CMakeLists.txt", cmake), ("lib/CMakeLists.txt", "add_custom_target(y)\n")]);
        let build = of_folder(dir.path(), None).expect("one program");
        assert_eq!(build.artefact, "ablate-build/bin/Demo");
        assert!(build.levels[1].1.contains("-DCMAKE_C_FLAGS_RELEASE=-O3 -DNDEBUG"), "{:?}", build.levels);
        let meson = "project('demo', 'c')\nexecutable('one', 'a.c')\nsubdir('sub')\n";
        let dir = folder(&[("meson.build", meson), ("sub/meson.build", "executable('two', 'b.c')\n")]);
        let said = of_folder(dir.path(), None).expect_err("two programs");
        assert!(said.contains("one, sub/two"), "{said}");
        assert_eq!(of_folder(dir.path(), Some("two")).expect("named").artefact, "ablate-build/sub/two");
    }

    #[test]
    fn another_build_gets_the_level_in_its_environment_and_needs_the_program_s_name() {
        let dir = folder(&[]);
        let words = ["./build.sh", "all"].map(str::to_owned);
        assert!(of_command(dir.path(), &words, None).expect_err("no name").contains("--bin"));
        let build = of_command(dir.path(), &words, Some("out/x")).expect("named");
        assert!(build.levels[0].1.starts_with("build_env = { CFLAGS = \"-O2\""), "{:?}", build.levels);
        let words = ["gcc-12", "a.c", "b.c"].map(str::to_owned);
        assert_eq!(of_command(dir.path(), &words, None).expect("a compiler").artefact, "a.out");
    }
}
