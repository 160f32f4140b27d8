//! ARCHITECTURE.md names functions as `file.rs::function`, by their files in `src/` or below `ablation/`, and says which files
//! read levels. Both are held to the source.

use std::path::{Path, PathBuf};

/// The files that read levels: those of the calls, of starting and ending a thread, of the purge, and of reports.
const READERS: &[&str] = &[
    "alloc/allocate.rs",
    "alloc/flush.rs",
    "alloc/free.rs",
    "alloc/inspect.rs",
    "alloc/purge.rs",
    "alloc/reallocate.rs",
    "alloc/thread.rs",
    "stats.rs",
];

/// The files of the request path, from the top down: each uses those behind it.
const STATIONS: &[&str] = &[
    "flush",
    "reallocate",
    "inspect",
    "census",
    "allocate",
    "free",
    "thread",
    "fork",
    "thread_end",
    "purge",
    "release",
    "learning",
    "find",
    "mapping_pool",
    "thread_heap",
    "thread_cache",
    "transfer_cache",
    "transfer_batch",
    "central_free_list",
    "large_mappings",
    "arena",
    "huge_pages",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The code of a file before its tests and models, without comments.
fn code(path: &Path) -> String {
    let text = std::fs::read_to_string(path).expect("the file is text");
    let ends = |line: &&str| ["mod tests {", "mod models {"].contains(&line.trim_start_matches("pub(super) "));
    text.lines()
        .take_while(|line| !ends(line))
        .filter(|line| !line.trim_start().starts_with("//"))
        .flat_map(|line| [line, "\n"])
        .collect()
}

/// All files in `src/` by their paths in it.
fn sources() -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), vec![root().join("src")]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("the folder is readable") {
            let path = entry.expect("the entry is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(root().join("src")).expect("below src").to_str().expect("a plain name");
                found.push(name.to_owned());
            }
        }
    }
    found.sort();
    found
}

/// Every `file.rs::function` between backticks.
fn functions_named(text: &str) -> Vec<(&str, &str)> {
    text.split('`').skip(1).step_by(2).filter_map(|quoted| quoted.split_once(".rs::")).collect()
}

#[test]
fn functions_named_in_the_architecture_exist() {
    let text = std::fs::read_to_string(root().join("ARCHITECTURE.md")).expect("the file is text");
    let named = functions_named(&text);
    assert!(named.len() > 40, "the paths are told by function names");
    let missing: Vec<String> = named
        .into_iter()
        .filter(|(file, function)| {
            // Names without a folder of the runner are of the allocator.
            let folder = if file.starts_with("ablation/") { "" } else { "src/" };
            let path = root().join(format!("{folder}{file}.rs"));
            !path.is_file()
                || ![format!("fn {function}("), format!("fn {function}<")].iter().any(|it| code(&path).contains(it))
        })
        .map(|(file, function)| format!("{file}.rs::{function}"))
        .collect();
    assert!(missing.is_empty(), "no such function: {missing:?}");
}

#[test]
fn levels_are_read_in_the_named_files_alone() {
    let reads = |file: &str| {
        let code = code(&root().join("src").join(file));
        code.match_indices("active()").any(|(at, _)| !code[..at].ends_with("fn "))
    };
    let readers: Vec<String> = sources()
        .into_iter()
        .filter(|file| !file.starts_with("config/") && file != "alloc/models.rs")
        .filter(|file| reads(file))
        .collect();
    assert_eq!(readers, READERS, "a lower station gets levels as a parameter");
}

#[test]
fn a_station_uses_those_below_it() {
    let place = |name: &str| STATIONS.iter().position(|&station| station == name);
    let files =
        sources().into_iter().filter_map(|file| file.strip_prefix("alloc/")?.strip_suffix(".rs").map(str::to_owned));
    let files: Vec<String> = files.filter(|file| file != "mod" && file != "models").collect();
    assert_eq!(files.len(), STATIONS.len(), "stations and files: {files:?}");
    for file in files {
        let own = place(&file).unwrap_or_else(|| panic!("alloc/{file}.rs has no place in the order of stations"));
        let code = code(&root().join(format!("src/alloc/{file}.rs")));
        for (at, _) in code.match_indices("super::") {
            let rest = &code[at + "super::".len()..];
            let list = rest.strip_prefix('{').map_or_else(
                || rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default(),
                |list| list.split('}').next().unwrap_or_default(),
            );
            for used in list
                .split(',')
                .map(|name| name.split_whitespace().next().unwrap_or_default())
                .filter(|name| !name.is_empty())
            {
                let used = used.split("::").next().unwrap_or_default();
                let other = place(used).unwrap_or_else(|| panic!("alloc/{file}.rs names super::{used}"));
                assert!(own < other, "alloc/{file}.rs uses {used}, a station above it");
            }
        }
    }
}
