//! ARCHITECTURE.md names functions as `file.rs::function`, by their files in `src/` or below `ablation/`, and says which files
//! read levels. Both are held to the source.

use crate::File;

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

/// The code of a file below the repository's folder, before its tests and models.
fn code(file: &File) -> String {
    file.code().flat_map(|(_, line)| [line, "\n"]).collect()
}

/// Every `file.rs::function` between backticks.
fn functions_named(text: &str) -> Vec<(&str, &str)> {
    text.split('`').skip(1).step_by(2).filter_map(|quoted| quoted.split_once(".rs::")).collect()
}

#[test]
fn functions_named_in_the_architecture_exist() {
    let text = std::fs::read_to_string(crate::root().join("ARCHITECTURE.md")).expect("the file is text");
    let named = functions_named(&text);
    assert!(named.len() > 40, "the paths are told by function names");
    let sources = crate::all_sources();
    let missing = named.into_iter().filter(|(file, function)| {
        // Names without a folder of the runner are of the allocator.
        let path = if file.starts_with("ablation/") { format!("{file}.rs") } else { format!("src/{file}.rs") };
        let source = sources.iter().find(|source| source.path == path);
        let defines =
            |code: &str| [format!("fn {function}("), format!("fn {function}<")].iter().any(|it| code.contains(it));
        !source.is_some_and(|source| defines(&code(source)))
    });
    crate::assert_none("no such function", missing.map(|(file, function)| format!("{file}.rs::{function}")));
}

#[test]
fn levels_are_read_in_the_named_files_alone() {
    let reads = |file: &File| {
        let code = code(file);
        code.match_indices("active()").any(|(at, _)| !code[..at].ends_with("fn "))
    };
    let readers: Vec<String> = crate::files("src")
        .into_iter()
        .filter(|file| !file.path.starts_with("config/") && !file.path.starts_with("alloc/models/"))
        .filter(reads)
        .map(|file| file.path)
        .collect();
    assert_eq!(readers, READERS, "a lower station gets levels as a parameter");
}
