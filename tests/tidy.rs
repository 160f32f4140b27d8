//! House rules, as tests over the source text.
//!
//! Comments and `#[cfg(test)]` modules at the end of a file are left out where a rule is about code.

use std::fmt::Write;
use std::path::Path;

/// Which modules of the crate each file or folder may name: those below it. The longest prefix counts.
const LAYERS: &[(&str, &[&str])] = &[
    ("os/", &[]),
    ("class.rs", &[]),
    ("quantile.rs", &[]),
    ("rating.rs", &[]),
    ("request.rs", &[]),
    // The model checker's side of `sync`, in its builds alone.
    ("model.rs", &[]),
    // Its macros name itself.
    ("sync.rs", &["model", "os", "sync"]),
    ("fatal.rs", &["os"]),
    ("metadata/", &["class", "os", "request", "sync"]),
    // A factor knows the values that travel and the OS, and nothing of its configuration.
    ("factor/", &["fatal", "metadata", "os", "quantile", "rating", "request", "sync"]),
    ("factor/mod.rs", &["sync"]),
    // Both forms of a factor share its counters, and the original's say how they are different from the default.
    ("factor/original/", &["factor", "fatal", "metadata", "os", "quantile", "rating", "request", "sync"]),
    ("factor/evolution.rs", &["factor", "os", "quantile", "sync"]),
    ("config/", &["factor"]),
    ("config/level.rs", &[]),
    ("config/preset.rs", &[]),
    ("config/environment.rs", &["factor", "os"]),
    ("config/active.rs", &["factor", "sync"]),
    ("alloc/", &["class", "config", "factor", "fatal", "metadata", "os", "request", "sync"]),
    // Stations get levels as parameters. What a request or a free passes first looks at no page, and no factor.
    ("alloc/thread_cache.rs", &["class", "metadata", "sync"]),
    ("alloc/transfer_batch.rs", &["metadata", "sync"]),
    ("alloc/transfer_cache.rs", &["class", "sync"]),
    ("alloc/thread_heap.rs", &["class", "factor", "metadata", "sync"]),
    ("alloc/central_free_list.rs", &["class", "factor", "fatal", "metadata", "os", "sync"]),
    ("alloc/large_mappings.rs", &["class", "factor", "metadata", "os", "request", "sync"]),
    ("alloc/mapping_pool.rs", &["factor", "metadata", "request", "sync"]),
    ("alloc/arena.rs", &["class", "factor", "metadata", "os", "sync"]),
    ("alloc/huge_pages.rs", &["factor", "metadata", "os"]),
    ("alloc/waiting.rs", &[]),
    ("alloc/models.rs", &["class", "config", "factor", "metadata", "model", "os", "sync"]),
    ("global.rs", &["alloc", "request"]),
    ("preload.rs", &["alloc", "os", "stats"]),
    ("stats.rs", &["alloc", "class", "config", "factor", "metadata", "os"]),
    ("allocator_api.rs", &["alloc", "global"]),
    ("settings.rs", &["config"]),
    ("lib.rs", &[]),
];

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

/// All Rust files below a folder of the repository.
fn files(folder: &str) -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
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
    assert!(found.len() > 5, "{folder} has files");
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
    for file in files("src/factor").into_iter().filter(|file| !file.path.ends_with("mod.rs")) {
        let own = file.path.trim_start_matches("original/").trim_end_matches(".rs");
        breaches.extend(code_with(&file, &["std::env", "crate::config", "environ", "active(", "cfg!", "super::"]));
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

/// The modules of the crate that the code names: after `crate::`, one or a list in braces.
fn modules_named(code: &str) -> Vec<(&str, usize)> {
    let mut named = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let line = code[..at].lines().count().max(1);
        let word = |text: &str| text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
        match rest.strip_prefix('{') {
            None => named.push((&rest[..word(rest)], line)),
            Some(list) => {
                let list = list.split('}').next().unwrap_or(list);
                named.extend(
                    list.split(',')
                        .map(str::trim)
                        .filter(|name| !name.is_empty())
                        .map(|name| (&name[..word(name)], line)),
                );
            }
        }
    }
    named
}

#[test]
fn a_folder_uses_only_layers_below_it() {
    let mut breaches = Vec::new();
    for file in files("src") {
        let row =
            LAYERS.iter().filter(|(prefix, _)| file.path.starts_with(prefix)).max_by_key(|(prefix, _)| prefix.len());
        let Some((_, below)) = row else {
            breaches.push(format!("{} is in no layer: give it a row", file.path));
            continue;
        };
        let code: String = file.code().flat_map(|(_, line)| [line, "\n"]).collect();
        for (module, line) in modules_named(&code) {
            let is_type = module.starts_with(|c: char| c.is_ascii_uppercase());
            let is_own = file.path.starts_with(&format!("{module}/")) && module != "factor";
            if !is_type && !is_own && !below.contains(&module) {
                breaches.push(format!("{} names crate::{module}, near its {line}th line of code", file.path));
            }
        }
    }
    assert_none("a layer that uses one above it", breaches);
}

#[test]
fn the_parser_of_the_layer_test_sees_what_it_must() {
    let names = |code| modules_named(code).into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names("use crate::os;\nfn f() { crate::map::look_up() }"), ["os", "map"]);
    assert_eq!(names("use crate::{factor, map, meta::x};"), ["factor", "map", "meta"]);
    assert!(names("use core::ptr;").is_empty());
}

#[test]
fn allocator_and_runner_do_not_know_each_other() {
    let up = files("src")
        .iter()
        .flat_map(|file| code_with(file, &["ablation", "ablate"]).collect::<Vec<_>>())
        .collect::<Vec<_>>();
    assert_none("the allocator names the runner", up);
    let down = files("ablation/src")
        .into_iter()
        .filter(|file| !file.is_of_tests())
        .flat_map(|file| code_with(&file, &["HAKMEM_", "hakmem"]).collect::<Vec<_>>());
    assert_none("the runner names the allocator or its variables, which belong in a config", down);
}

#[test]
fn the_allocator_does_not_unwrap() {
    let breaches = files("src")
        .into_iter()
        .flat_map(|file| code_with(&file, &[".unwrap()", "panic!(", "todo!(", "dbg!("]).collect::<Vec<_>>());
    assert_none("code that panics", breaches);
}

#[test]
fn every_file_says_what_it_is_for() {
    let silent = files("src").into_iter().chain(files("ablation/src")).filter(|file| !file.text.starts_with("//!"));
    assert_none("no `//!` in the first line", silent.map(|file| file.path));
}

#[test]
fn no_file_knows_a_machine() {
    let all = ["src", "ablation/src", "tests"].into_iter().flat_map(files);
    // In two halves, so that this file passes its own test.
    let places = [concat!("/ro", "ot/"), concat!("/ho", "me/")];
    let breaches = all.filter(|file| places.iter().any(|place| file.text.contains(place))).map(|file| file.path);
    assert_none("a path of somebody's machine", breaches);
}

#[test]
fn files_are_short() {
    let long = files("src").into_iter().chain(files("ablation/src")).filter_map(|file| {
        let lines = file.body().count();
        (lines > LINES_MAX).then(|| format!("{}: {lines} lines without its tests", file.path))
    });
    assert_none("which idea is the second?", long.collect::<Vec<_>>());
}

/// Files of src/config/, lowest first.
const CONFIG_LAYERS: [&str; 6] = ["level", "registry", "lifecycle", "preset", "environment", "active"];

#[test]
fn a_file_of_the_configuration_uses_only_files_below_it() {
    let mut breaches = Vec::new();
    for file in files("src/config").into_iter().filter(|file| file.path != "mod.rs") {
        let name = file.path.trim_end_matches(".rs");
        let Some(layer) = CONFIG_LAYERS.iter().position(|known| *known == name) else {
            breaches.push(format!("{} is in no layer: give it a place", file.path));
            continue;
        };
        // By the face of the folder, or by name, a file could reach all others.
        let mut above = vec!["crate::config".to_owned(), "super::{".to_owned(), "use super::super".to_owned()];
        above.extend(CONFIG_LAYERS[layer..].iter().map(|other| format!("super::{other}")));
        let above: Vec<&str> = above.iter().map(String::as_str).collect();
        breaches.extend(code_with(&file, &above));
    }
    assert_none("a file of src/config/ that uses one above it", breaches);
}
