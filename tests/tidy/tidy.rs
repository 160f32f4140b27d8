//! House rules, as tests over the source text.
//!
//! - `layers`: which file may use which, by the tables of `rooms` and the paths that `imports` and `reader` find;
//!   `words`: the language of every text; `links`: those of every document; `architecture`: what ARCHITECTURE.md names.
//! - Here: what a line of code shows. Comments and the tests at the end of a file are left out where a rule is about code.

mod architecture;
mod imports;
mod layers;
mod links;
mod reader;
mod rooms;
mod words;

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Longest file, without its tests.
const LINES_MAX: usize = 500;

/// A source file, and its path from the folder that was walked.
struct File {
    path: String,
    text: String,
}

impl File {
    /// The lines before the tests and models.
    fn body(&self) -> impl Iterator<Item = (usize, &str)> {
        let ends = |line: &str| ["mod tests {", "mod models {"].contains(&line.trim_start_matches("pub(super) "));
        self.text.lines().enumerate().take_while(move |(_, line)| !ends(line))
    }

    /// The lines before the tests, without comments, numbered from 1.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.body()
            .map(|(at, line)| (at + 1, line.split("// ").next().unwrap_or(line)))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    fn is_of_tests(&self) -> bool {
        ["tests", "fixture"].iter().any(|word| self.path.contains(word))
    }
}

/// The repository's folder.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository is there")
}

/// The folders of the workspace's packages, the root package's first, as an empty name.
fn packages() -> Vec<String> {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml")).expect("the workspace has a manifest");
    let (_, members) = manifest.split_once("\nmembers = [").expect("the workspace has members");
    let members = members.split(']').next().unwrap_or_default().split(',').map(|name| name.trim().trim_matches('"'));
    let packages: Vec<String> =
        [""].into_iter().chain(members.filter(|name| !name.is_empty())).map(str::to_owned).collect();
    assert!(packages.len() > 4, "{packages:?}");
    packages
}

/// The source folders of the workspace, the allocator's first; a package of tests has none.
fn sources() -> Vec<String> {
    let folders = packages().into_iter().map(|package| format!("{package}/src").trim_start_matches('/').to_owned());
    folders.filter(|folder| root().join(folder).is_dir()).collect()
}

/// All Rust files of the workspace's sources, with their paths from the repository's root.
fn all_sources() -> Vec<File> {
    let below = |folder: String| {
        files(&folder).into_iter().map(move |file| File { path: format!("{folder}/{}", file.path), ..file })
    };
    sources().into_iter().flat_map(below).collect()
}

/// All Rust files below a folder of the repository.
fn files(folder: &str) -> Vec<File> {
    let root = root().join(folder);
    let mut found = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the folder is readable") {
            let path = entry.expect("the entry is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(&root).expect("below the root").to_str().expect("a plain name").to_owned();
                found.push(File { text: std::fs::read_to_string(&path).expect("the file is text"), path: name });
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has files");
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// Fails with all breaches at once.
#[track_caller]
fn assert_none(rule: &str, breaches: impl IntoIterator<Item = String>) {
    let mut list = String::new();
    for breach in breaches {
        let _ = write!(list, "\n  {breach}");
    }
    assert!(list.is_empty(), "{rule}:{list}");
}

/// Every line of code that contains one of the words.
fn code_with<'a>(file: &'a File, words: &'a [&str]) -> impl Iterator<Item = String> + 'a {
    file.code()
        .filter(|(_, line)| words.iter().any(|word| line.contains(word)))
        .map(|(at, line)| format!("{}:{at}: {}", file.path, line.trim()))
}

#[test]
fn factor_features_are_named_in_the_registry_only() {
    // Features that are no factors: what the crate is besides.
    let others = ["feature = \"allocator-api2\"", "feature = \"settings\"", "feature = \"preload\""];
    let breaches = files("src").into_iter().filter(|file| file.path != "config/registry.rs").flat_map(|file| {
        let lines = code_with(&file, &["feature ="]).collect::<Vec<_>>();
        lines
            .into_iter()
            .filter(move |line| !(line.starts_with("lib.rs") && others.iter().any(|other| line.contains(other))))
    });
    assert_none("`feature =` outside src/config/registry.rs", breaches);
}

#[test]
fn factors_do_the_work_and_never_ask() {
    let modules: Vec<String> = hakmem::factors::registry().iter().map(|factor| factor.name.replace('-', "_")).collect();
    let mut breaches = Vec::new();
    let faces = ["mod.rs", "original/mod.rs"];
    for file in files("src/factor").into_iter().filter(|file| !faces.contains(&&*file.path)) {
        let path = file.path.trim_start_matches("original/").trim_end_matches(".rs");
        let (own, up) = path.split_once('/').map_or((path, "super::"), |(own, _)| (own, "super::super"));
        // The face of a factor's own folder is beside the other factors.
        let up = if path.ends_with("/mod") { "super::" } else { up };
        breaches.extend(code_with(&file, &["std::env", "crate::config", "environ", "active(", "cfg!", up]));
        for other in modules.iter().filter(|module| *module != own) {
            breaches
                .extend(code_with(&file, &[&format!("{other}::"), &format!("mod {other}"), &format!("use {other}")]));
        }
    }
    assert_none(
        "a factor that asks whether it is on, or names another",
        breaches.into_iter().filter(|line| !line.contains("pub(super)")),
    );
}

#[test]
fn allocator_and_runner_do_not_know_each_other() {
    let up = files("src")
        .iter()
        .flat_map(|file| code_with(file, &["ablation", "ablate"]).collect::<Vec<_>>())
        .collect::<Vec<_>>();
    assert_none("the allocator names the runner", up);
    // The measured programs are the one package that knows both.
    let runner = |file: &File| file.path.starts_with("ablation/") && !file.path.starts_with("ablation/workloads/");
    let down = all_sources()
        .into_iter()
        .filter(|file| runner(file) && !file.is_of_tests())
        .flat_map(|file| code_with(&file, &["HAKMEM_", "hakmem"]).collect::<Vec<_>>());
    assert_none("the runner names the allocator or its variables, which belong in a config", down);
}

#[test]
fn the_allocator_does_not_unwrap() {
    let breaches = files("src").into_iter().flat_map(|file| {
        code_with(&file, &[".unwrap()", "panic!(", concat!("to", "do!("), "dbg!("]).collect::<Vec<_>>()
    });
    assert_none("code that panics", breaches);
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent = all_sources().into_iter().chain(files("tests")).filter(|file| !file.text.starts_with("//!"));
    assert_none("no `//!` in the first line", silent.map(|file| file.path));
}

#[test]
fn no_file_knows_a_machine() {
    let all = all_sources().into_iter().chain(["tests", "ablation/tests"].into_iter().flat_map(files));
    // In two halves, so that this file passes its own test.
    let places = [concat!("/ro", "ot/"), concat!("/ho", "me/")];
    let breaches = all.filter(|file| places.iter().any(|place| file.text.contains(place))).map(|file| file.path);
    assert_none("a path of one machine", breaches);
}

/// Where a merge was not finished, each side of it stands after a line of such letters.
fn is_left_by_a_merge(line: &str) -> bool {
    ["<<<<<<< ", ">>>>>>> ", "||||||| "].iter().any(|mark| line.starts_with(mark))
}

#[test]
fn every_merge_is_finished() {
    let texts = words::texts();
    let breaches = texts.iter().flat_map(|(name, text)| {
        let lines = text.lines().enumerate().filter(|(_, line)| is_left_by_a_merge(line));
        lines.map(move |(at, _)| format!("{name}:{}", at + 1))
    });
    assert_none("both sides of a merge", breaches.collect::<Vec<_>>());
    assert!(is_left_by_a_merge("<<<<<<< HEAD") && !is_left_by_a_merge("a <<<<<<< b"));
}

#[test]
fn files_are_short() {
    let long = all_sources().into_iter().filter_map(|file| {
        let lines = file.body().count();
        (lines > LINES_MAX).then(|| format!("{}: {lines} lines without its tests", file.path))
    });
    assert_none("which idea is the second?", long.collect::<Vec<_>>());
}

/// A name under the shared temporary folder can be guessed, and a link of that name makes the writer overwrite another file.
#[test]
fn scratch_folders_have_names_that_cannot_be_guessed() {
    let all = packages().into_iter().flat_map(|package| {
        ["src", "tests", "examples", "benches"]
            .map(|folder| format!("{package}/{folder}").trim_start_matches('/').to_owned())
    });
    // In two halves, so that this file passes its own test.
    let word = concat!("temp", "_dir(");
    let breaches = all.filter(|folder| root().join(folder).is_dir()).flat_map(|folder| {
        let name = |line| format!("{folder}/{line}");
        files(&folder)
            .iter()
            .flat_map(|file| code_with(file, &[word]).collect::<Vec<_>>())
            .map(name)
            .collect::<Vec<_>>()
    });
    assert_none("take `tempfile`", breaches);
}
