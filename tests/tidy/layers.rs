//! Which files may use which. A file uses its own row of its crate's table (`rooms`) and the rows before it; siblings in a
//! row do not use each other where the row says so; and no two files use each other, directly or through others.

use crate::imports::{Crate, Imports, Use, read};
use crate::rooms::{ROOMS, Room};
use std::collections::{BTreeMap, BTreeSet};

/// The files of every crate of the workspace: a package's library and its program, as two crates where it has both.
fn repository() -> Imports {
    let text = |file: &str| std::fs::read_to_string(crate::root().join(file)).ok();
    let mut crates = Vec::new();
    for folder in crate::sources() {
        let package = folder.trim_end_matches("src");
        let manifest = text(&format!("{package}Cargo.toml")).expect("a package has a manifest");
        let value = |table: &str| {
            let (_, rest) = manifest.split_once(&format!("[{table}]\n"))?;
            let line = rest.split("\n[").next()?.lines().find_map(|line| line.strip_prefix("name = \""))?;
            Some(line.trim_end_matches('"').replace('-', "_"))
        };
        let name = value("lib").or_else(|| value("package")).expect("a package has a name");
        for (root, name) in [("lib.rs", name.clone()), ("main.rs", format!("program of {name}"))] {
            if crate::root().join(&folder).join(root).is_file() {
                crates.push((name, folder.clone(), root));
            }
        }
    }
    let crates: Vec<Crate> = crates.iter().map(|(name, folder, root)| Crate { name, folder, root }).collect();
    read(&crates, &text)
}

/// The room of a file.
fn room_of<'a>(rooms: &'a [Room], file: &str) -> Option<&'a Room> {
    rooms.iter().filter(|room| file.starts_with(room.folder)).max_by_key(|room| room.folder.len())
}

/// The row of a file in its room, counted from the bottom, and the entry that names it.
fn row_of<'a>(room: &'a Room, file: &str) -> Option<(usize, &'a str)> {
    let file = file.strip_prefix(room.folder)?;
    let matches = |entry: &str| if entry.ends_with('/') { file.starts_with(entry) } else { file == entry };
    let rows = room.layers.iter().enumerate();
    let found = rows.flat_map(|(row, layer)| layer.files.iter().map(move |entry| (row, *entry)));
    found.filter(|(_, entry)| matches(entry)).max_by_key(|(_, entry)| entry.len())
}

/// Every use that the tables do not allow, every file without a row, and every entry without a file.
fn breaches(rooms: &[Room], imports: &Imports) -> Vec<String> {
    let mut found = Vec::new();
    let has_row = |file: &String| room_of(rooms, file).is_some_and(|room| row_of(room, file).is_some());
    for file in imports.files.iter().filter(|file| !has_row(file)) {
        found.push(format!("{file} is in no layer: give it a row"));
    }
    for room in rooms {
        for entry in room.layers.iter().flat_map(|layer| layer.files) {
            let is_there = |file: &String| {
                let file = file.strip_prefix(room.folder);
                file.is_some_and(|file| file == *entry || entry.ends_with('/') && file.starts_with(entry))
            };
            if !imports.files.iter().any(is_there) {
                found.push(format!("{}{entry} is in a row of the table, and no file", room.folder));
            }
        }
    }
    for Use { from, to, line, path } in &imports.uses {
        let (Some(room), Some(other)) = (room_of(rooms, from), room_of(rooms, to)) else { continue };
        if room.folder != other.folder {
            if !room.uses.contains(&other.folder) {
                found.push(format!(
                    "{from}:{line}: `{path}` is of {}, which {} does not use",
                    other.folder, room.folder
                ));
            }
            continue;
        }
        let (Some((low, own)), Some((high, entry))) = (row_of(room, from), row_of(room, to)) else { continue };
        let (below, above) = (room.layers[low], room.layers[high]);
        if low < high {
            found.push(format!(
                "{from}:{line}: `{path}` is of {to}, a layer above\n    {from}: {}\n    {to}: {}",
                below.purpose, above.purpose
            ));
        } else if low == high && own != entry && below.apart {
            found.push(format!(
                "{from}:{line}: `{path}` is of {to}, a sibling\n    none uses another: {}",
                below.purpose
            ));
        }
    }
    found
}

/// For each group of files that use each other, its shortest circle with the line of each step, and who else belongs to it.
fn circles(imports: &Imports) -> Vec<String> {
    let mut uses: BTreeMap<&str, Vec<&Use>> = BTreeMap::new();
    for one in &imports.uses {
        uses.entry(&one.from).or_default().push(one);
    }
    let reach: BTreeMap<&str, BTreeSet<&str>> = uses.keys().map(|&file| (file, reached(&uses, file))).collect();
    let mut grouped: BTreeSet<&str> = BTreeSet::new();
    let mut found = Vec::new();
    for (&file, own) in &reach {
        if !own.contains(file) || grouped.contains(file) {
            continue;
        }
        let group: BTreeSet<&str> =
            own.iter().copied().filter(|other| reach.get(other).is_some_and(|back| back.contains(file))).collect();
        grouped.extend(&group);
        let circle = group.iter().filter_map(|file| shortest(&uses, file)).min_by_key(Vec::len).expect("one at least");
        let steps: Vec<String> =
            circle.iter().map(|one| format!("\n    {}:{}: `{}` of {}", one.from, one.line, one.path, one.to)).collect();
        let inside: BTreeSet<&str> = circle.iter().map(|one| &*one.from).collect();
        let others: Vec<&str> = group.difference(&inside).copied().collect();
        let others =
            if others.is_empty() { String::new() } else { format!("\n    and with them {}", others.join(", ")) };
        found.push(format!("{} files use each other:{}{others}", group.len(), steps.concat()));
    }
    found
}

/// All files that a file uses, directly or through others.
fn reached<'a>(uses: &BTreeMap<&str, Vec<&'a Use>>, file: &str) -> BTreeSet<&'a str> {
    let mut seen = BTreeSet::new();
    let mut open = vec![file];
    while let Some(file) = open.pop() {
        for one in uses.get(file).into_iter().flatten() {
            if seen.insert(&*one.to) {
                open.push(&one.to);
            }
        }
    }
    seen
}

/// The shortest way from a file back to itself.
fn shortest<'a>(uses: &BTreeMap<&str, Vec<&'a Use>>, file: &str) -> Option<Vec<&'a Use>> {
    let mut ways: Vec<Vec<&Use>> = uses.get(file)?.iter().map(|&one| vec![one]).collect();
    let mut seen = BTreeSet::new();
    while let Some(found) = (!ways.is_empty()).then(|| ways.remove(0)) {
        let end = &*found.last()?.to;
        if end == file {
            return Some(found);
        }
        if seen.insert(end) {
            ways.extend(uses.get(end).into_iter().flatten().map(|&one| [&found[..], &[one]].concat()));
        }
    }
    None
}

#[test]
fn a_file_uses_only_layers_below_it() {
    crate::assert_none("a file uses its own layer and those below it", breaches(ROOMS, &repository()));
}

#[test]
fn no_two_files_use_each_other() {
    crate::assert_none("circles", circles(&repository()));
}

/// The repository's files as a graph, for a reader: `cargo test -p tidy graph -- --ignored --nocapture`.
#[test]
#[ignore = "prints what each file uses; checks nothing"]
fn graph() {
    for Use { from, to, line, path } in repository().uses {
        println!("{from} -> {to} ({line}: {path})");
    }
}

mod tests {
    use super::*;
    use crate::rooms::{Layer, apart, layer};

    /// The uses within a crate `c` of these files, as `from -> to`; `lib.rs` is the root.
    fn uses(files: &[(&str, &str)]) -> Vec<String> {
        imports(files).uses.iter().map(|one| format!("{} -> {}", one.from, one.to).replace("c/", "")).collect()
    }

    fn imports(files: &[(&str, &str)]) -> Imports {
        let crates = [Crate { name: "c", folder: "c", root: "lib.rs" }];
        read(&crates, &|file| {
            let name = file.strip_prefix("c/")?;
            files.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned())
        })
    }

    /// What a file `a.rs` with this text uses, beside `b.rs` with a child `b/d.rs`, and `e.rs`.
    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let found = uses(&[
            ("lib.rs", "mod a; mod b; mod e; mod macros;"),
            ("a.rs", text),
            ("b.rs", "pub mod d; pub struct B; pub use d::D; pub fn f() {}"),
            ("b/d.rs", "pub struct D; pub enum E { One }"),
            ("e.rs", "pub struct E; pub static S: u8 = 0;"),
            ("macros.rs", "macro_rules! m { () => {} } pub(crate) use m;"),
        ]);
        let own = found.iter().filter_map(|one| one.strip_prefix("a.rs -> ")).collect::<Vec<_>>();
        assert_eq!(own, expected, "{text}");
    }

    #[test]
    fn every_form_of_an_import_is_seen() {
        check("use crate::b::B;", &["b.rs"]);
        check("use super::b::f as g;", &["b.rs"]);
        check("use crate::{b::{self, d::E}, e};", &["b.rs", "b/d.rs", "e.rs"]);
        check("use crate::b::d;", &["b/d.rs"]);
        check("use crate::b::*;", &["b.rs"]);
        check("use crate::b::d::E::One;", &["b/d.rs"]);
        check("mod inner { use super::super::e::E; }", &["e.rs"]);
        check("pub use self::again::E; mod again { pub use crate::e::E; }", &["e.rs"]);
        check("use std::{ptr, mem::{self, swap}}; use core::fmt;", &[]);
    }

    #[test]
    fn a_reexport_counts_for_the_file_that_reexports() {
        check("use crate::b::D;", &["b.rs"]);
        check("fn f(_: crate::b::D) {}", &["b.rs"]);
    }

    #[test]
    fn paths_in_code_are_seen() {
        check("fn f() { crate::b::f() }", &["b.rs"]);
        check("fn f() -> crate::b::d::E { crate::b::d::E::One }", &["b/d.rs"]);
        check("use crate::b; fn f() { b::d::D; }", &["b.rs", "b/d.rs"]);
        check("use crate::b::*; fn f() { d::D; }", &["b.rs", "b/d.rs"]);
        check("fn f() { use crate::e::E; }", &["e.rs"]);
        check("impl crate::e::E { fn f() {} }", &["e.rs"]);
        check("struct S(Vec<Option<crate::e::E>>);", &["e.rs"]);
        check("fn f<T>() where T: Into<super::e::E> {}", &["e.rs"]);
        check("fn f() { println!(\"{}\", crate::e::S) }", &["e.rs"]);
        check("fn f() { assert!(matches!(1, x if x == super::e::S)) }", &["e.rs"]);
        check("macro_rules! n { () => { $crate::e::S } }", &["e.rs"]);
        check("macro_rules! n { () => { use $crate::e::{E, S}; } }", &["e.rs"]);
        check("fn f() { crate::macros::m!() }", &["macros.rs"]);
        check("#[serde(default = \"crate::e::seed\")] struct S;", &["e.rs"]);
        check("struct S { #[serde(with = \"crate::e\")] x: u8 }", &["e.rs"]);
        check("#[arg(value_parser = crate::b::f)] struct S;", &["b.rs"]);
        check("cfg_if::cfg_if! { if #[cfg(unix)] { use crate::b::B; } else { use crate::e::E; } }", &["b.rs", "e.rs"]);
    }

    #[test]
    fn what_only_tests_and_docs_name_is_left_out() {
        check("#[cfg(test)] mod tests { use crate::e::E; }", &[]);
        check("#[cfg(test)] use crate::e::E;", &[]);
        check("#[cfg(all(test, loom))] mod models { use crate::e::E; }", &[]);
        check("struct S; impl S { #[cfg(test)] fn f() { crate::e::S; } }", &[]);
        check("fn f() { #[cfg(test)] let x = crate::e::S; }", &[]);
        check("#[test] fn f() { crate::e::S; }", &[]);
        check("/// See [`crate::e::E`].\nstruct S;", &[]);
        check("pub(in crate::e) struct S;", &[]);
        check("cfg_if! { if #[cfg(loom)] { use crate::b::B; } else { use crate::e::E; } }", &["e.rs"]);
        // Not tests alone.
        check("#[cfg(any(test, unix))] use crate::e::E;", &["e.rs"]);
        check("#[cfg(not(test))] use crate::e::E;", &["e.rs"]);
    }

    #[test]
    fn a_child_module_is_declared_and_not_used() {
        check("mod inner { pub fn f() {} } fn g() { inner::f(); }", &[]);
        assert!(uses(&[("lib.rs", "mod a;"), ("a/mod.rs", "mod b;"), ("a/b.rs", "")]).is_empty());
        let both = [("lib.rs", "mod a;"), ("a.rs", "mod b; struct N; fn f() { b::f() }"), ("a/b.rs", "use super::N;")];
        assert_eq!(uses(&both), ["a.rs -> a/b.rs", "a/b.rs -> a.rs"]);
        // A macro that children find by its place in the text.
        let text = [("lib.rs", "mod a;"), ("a.rs", "macro_rules! m { () => {} } mod b;"), ("a/b.rs", "m!();")];
        assert_eq!(uses(&text), ["a/b.rs -> a.rs"]);
        let twin = [("lib.rs", "#[path = \"twin.rs\"] mod a; mod e;"), ("twin.rs", "use crate::e;"), ("e.rs", "")];
        assert_eq!(uses(&twin), ["twin.rs -> e.rs"]);
    }

    #[test]
    fn another_crate_is_used_by_its_name() {
        let crates = [
            Crate { name: "low", folder: "low/src", root: "lib.rs" },
            Crate { name: "high", folder: "high/src", root: "main.rs" },
        ];
        let imports = read(&crates, &|file| {
            Some(
                match file {
                    "low/src/lib.rs" => "pub mod a; pub use a::A;",
                    "low/src/a.rs" => "pub struct A;",
                    "high/src/main.rs" => "use low::a::A; fn f() { low::A; ::low::a::A; }",
                    _ => return None,
                }
                .to_owned(),
            )
        });
        let found: Vec<_> = imports.uses.iter().map(|one| format!("{} -> {}", one.from, one.to)).collect();
        let expected = [
            "high/src/main.rs -> low/src/a.rs",
            "high/src/main.rs -> low/src/lib.rs",
            "low/src/lib.rs -> low/src/a.rs",
        ];
        assert_eq!(found, expected);
    }

    #[test]
    #[should_panic(expected = "c/lib.rs: the module gone has no file")]
    fn a_module_without_a_file_is_no_silence() {
        uses(&[("lib.rs", "mod gone;")]);
    }

    /// Three files in a circle with a fourth beside it, and one that only looks on.
    const CIRCLE: &[(&str, &str)] = &[
        ("lib.rs", "mod a; mod b; mod d; mod e; mod f;"),
        ("a.rs", "\nuse crate::b::B;"),
        ("b.rs", "use crate::d::D; use crate::e::E;"),
        ("d.rs", "fn f() { crate::a::f() }"),
        ("e.rs", "use crate::d::D; use crate::b::B;"),
        ("f.rs", "use crate::a::A;"),
    ];

    #[test]
    fn a_planted_circle_is_found() {
        let found = circles(&imports(CIRCLE));
        let expected = "4 files use each other:\n    c/b.rs:1: `crate::e::E` of c/e.rs\n    c/e.rs:1: `crate::b::B` of c/b.rs\n    \
                        and with them c/a.rs, c/d.rs";
        assert_eq!(found, [expected]);
        let open: Vec<_> = CIRCLE.iter().copied().filter(|(name, _)| *name != "lib.rs").collect();
        let cut = |name: &str| if name == "d.rs" || name == "e.rs" { "" } else { "use crate::d::D;" };
        let cut: Vec<_> = open.iter().map(|(name, _)| (*name, cut(name))).collect();
        assert!(circles(&imports(&[&cut[..], &CIRCLE[..1]].concat())).is_empty());
    }

    const ROOM: Room = Room {
        folder: "c/",
        uses: &[],
        layers: &[layer(&["b/"], "low"), layer(&["a.rs", "b/high.rs"], "high"), layer(&["lib.rs"], "root")],
    };

    #[test]
    fn a_planted_breach_is_found() {
        let files = |low: &'static str| {
            imports(&[
                ("lib.rs", "mod a; mod b;"),
                ("a.rs", "use crate::b::f;"),
                ("b/mod.rs", low),
                ("b/high.rs", "use crate::a::A;"),
            ])
        };
        assert!(breaches(&[ROOM], &files("mod high;")).is_empty());
        let found = breaches(&[ROOM], &files("mod high;\nfn f() { crate::a::g() }"));
        assert_eq!(
            found,
            ["c/b/mod.rs:2: `crate::a::g` is of c/a.rs, a layer above\n    c/b/mod.rs: low\n    c/a.rs: high"]
        );
        // A file of its own row counts more than the folder around it.
        assert_eq!(breaches(&[ROOM], &files("mod high; use high::X;")).len(), 1);
        let open = Room { layers: &ROOM.layers[..2], ..ROOM };
        assert_eq!(breaches(&[open], &files("mod high;")), ["c/lib.rs is in no layer: give it a row"]);
        let stale =
            Room { layers: const { &[ROOM.layers[0], ROOM.layers[1], layer(&["lib.rs", "gone.rs"], "root")] }, ..ROOM };
        assert_eq!(breaches(&[stale], &files("mod high;")), ["c/gone.rs is in a row of the table, and no file"]);
    }

    #[test]
    fn a_planted_use_of_a_sibling_is_found() {
        let siblings =
            Room { layers: const { &[apart(&["a.rs", "b/"], "one each"), layer(&["lib.rs"], "root")] }, ..ROOM };
        let files = |a: &'static str| {
            imports(&[
                ("lib.rs", "mod a; mod b;"),
                ("a.rs", a),
                ("b/mod.rs", "mod d; use d::D;"),
                ("b/d.rs", "pub struct D;"),
            ])
        };
        assert!(breaches(&[siblings], &files("")).is_empty());
        let found = breaches(&[siblings], &files("use crate::b::d::D;"));
        assert_eq!(found, ["c/a.rs:1: `crate::b::d::D` is of c/b/d.rs, a sibling\n    none uses another: one each"]);
    }

    #[test]
    fn a_planted_use_of_another_crate_is_found() {
        let crates = [
            Crate { name: "low", folder: "low", root: "lib.rs" },
            Crate { name: "high", folder: "high", root: "lib.rs" },
        ];
        let imports = read(&crates, &|file| {
            Some(if file.starts_with("high/") { "use low::A;" } else { "pub struct A;" }.to_owned())
        });
        let rows: &'static [Layer] = const { &[layer(&["lib.rs"], "root")] };
        let low = Room { folder: "low/", uses: &[], layers: rows };
        let high = Room { folder: "high/", uses: &["low/"], layers: rows };
        assert!(breaches(&[low, high], &imports).is_empty());
        let found = breaches(&[low, Room { uses: &[], ..high }], &imports);
        assert_eq!(found, ["high/lib.rs:1: `low::A` is of low/, which high/ does not use"]);
    }
}
