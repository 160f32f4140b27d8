//! Which file uses which: the imports and paths of a crate's code, resolved to the files that hold what they name.
//!
//! - A path counts for the file of the module that its last step is taken from. A re-export therefore counts for the
//!   file that re-exports, and `use crate::a` for the file of `a`.
//! - `mod x;` declares a child and is no use of it. `super::Name` in a child is a use of its parent.
//! - Code that only tests or models have (`#[cfg(test)]`, `#[cfg(loom)]`) is left out, and so are doc links.
//! - Two things have no path and are not seen: a method called on a value, and the types that inference finds.

use crate::reader::{Path, Reader};
use std::collections::{BTreeMap, BTreeSet};
use syn::Item;

/// A crate to read: the name that others use for it, its folder in the repository, and the file of its root.
pub(crate) struct Crate<'a> {
    pub(crate) name: &'a str,
    pub(crate) folder: &'a str,
    pub(crate) root: &'a str,
}

/// One file uses another, first in this line.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) struct Use {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) line: usize,
    pub(crate) path: String,
}

/// The files of all crates and what they use, one entry for each pair of files.
#[derive(Default)]
pub(crate) struct Imports {
    pub(crate) files: BTreeSet<String>,
    pub(crate) uses: Vec<Use>,
}

/// Reads all crates; `read` returns the text of a file of the repository, or `None` where there is none.
///
/// # Panics
/// When a file is no Rust, or declares a module that has no file.
pub(crate) fn read(crates: &[Crate], read: &dyn Fn(&str) -> Option<String>) -> Imports {
    let mut tree = Tree { modules: Vec::new(), crates: BTreeMap::new() };
    for one in crates {
        let file = format!("{}/{}", one.folder, one.root);
        let text = read(&file).unwrap_or_else(|| panic!("{file}: the crate {} has no root", one.name));
        let items = parse(&file, &text);
        let children = one.folder.to_owned();
        let root = tree.add(&Place { file, children, parent: None, krate: one.name.to_owned() }, items, read);
        tree.crates.insert(one.name.to_owned(), root);
    }
    let mut found: BTreeMap<(String, String), (usize, String)> = BTreeMap::new();
    for (at, module) in tree.modules.iter().enumerate() {
        for path in &module.paths {
            let target = match &path.steps[..] {
                [name] if path.is_macro => tree.macro_of(at, name),
                steps => tree.resolve(at, steps, true),
            };
            let Some(target) = target else { continue };
            let to = &tree.modules[target.module()].file;
            if *to != module.file {
                let first = found.entry((module.file.clone(), to.clone())).or_insert((usize::MAX, String::new()));
                if path.line < first.0 {
                    *first = (path.line, path.steps.join("::"));
                }
            }
        }
    }
    Imports {
        files: tree.modules.iter().map(|module| module.file.clone()).collect(),
        uses: found.into_iter().map(|((from, to), (line, path))| Use { from, to, line, path }).collect(),
    }
}

fn parse(file: &str, text: &str) -> Vec<Item> {
    syn::parse_file(text).unwrap_or_else(|error| panic!("{file}:{}: {error}", error.span().start().line)).items
}

/// A module, inline or a file's own.
#[derive(Default)]
struct Module {
    file: String,
    krate: String,
    parent: Option<usize>,
    children: BTreeMap<String, usize>,
    /// What is defined here, modules apart.
    items: BTreeSet<String>,
    /// `macro_rules!` of this module.
    macros: BTreeSet<String>,
    /// Names that `use` brings here, also those within functions, with the paths that they stand for.
    names: Vec<(String, Vec<String>)>,
    globs: Vec<Vec<String>>,
    paths: Vec<Path>,
}

/// Where a path leads: to a module, or to something in one.
#[derive(Clone, Copy)]
enum Target {
    Module(usize),
    Within(usize),
}

impl Target {
    fn module(self) -> usize {
        match self {
            Target::Module(at) | Target::Within(at) => at,
        }
    }
}

/// Where a module stands: its file, the folder of its children's files, and the module around it.
struct Place {
    file: String,
    children: String,
    parent: Option<usize>,
    krate: String,
}

struct Tree {
    modules: Vec<Module>,
    crates: BTreeMap<String, usize>,
}

impl Tree {
    /// Adds a module with all modules below it, and returns its index.
    fn add(&mut self, place: &Place, items: Vec<Item>, read: &dyn Fn(&str) -> Option<String>) -> usize {
        let at = self.modules.len();
        let (file, krate) = (place.file.clone(), place.krate.clone());
        self.modules.push(Module { file, krate, parent: place.parent, ..Module::default() });
        let mut reader = Reader::of(&items);
        let children = std::mem::take(&mut reader.children);
        let module = &mut self.modules[at];
        module.items = reader.items;
        module.macros = reader.macros;
        module.names = reader.names;
        module.globs = reader.globs;
        module.paths = reader.paths;
        for child in children {
            let folder = format!("{}/{}", place.children, child.name);
            let (file, items) = match child.items {
                Some(items) => (place.file.clone(), items),
                None => {
                    let own = place.file.rsplit_once('/').map_or("", |(folder, _)| folder);
                    let candidates = match &child.path {
                        Some(path) => vec![format!("{own}/{path}")],
                        None => vec![format!("{folder}.rs"), format!("{folder}/mod.rs")],
                    };
                    let found = candidates.iter().find_map(|file| Some((file.clone(), read(file)?)));
                    let (file, text) =
                        found.unwrap_or_else(|| panic!("{}: the module {} has no file", place.file, child.name));
                    let items = parse(&file, &text);
                    (file, items)
                }
            };
            let place = Place { file, children: folder, parent: Some(at), krate: place.krate.clone() };
            let index = self.add(&place, items, read);
            self.modules[at].children.insert(child.name, index);
        }
        at
    }

    /// Where a path that stands in the module leads; `None` where it leaves the crates that were read. What came here by a
    /// glob is found with `globs`, which is left out where a glob itself is resolved.
    fn resolve(&self, from: usize, steps: &[String], globs: bool) -> Option<Target> {
        let (first, rest) = steps.split_first()?;
        let mut at = match first.as_str() {
            "" => return None,
            "crate" | "$crate" => self.crates[&self.modules[from].krate],
            "self" => from,
            "super" => self.modules[from].parent?,
            name => return self.walk(self.look_up(from, name, globs)?, rest),
        };
        let mut rest = rest;
        while let Some((_, more)) = rest.split_first().filter(|(step, _)| *step == "super") {
            (at, rest) = (self.modules[at].parent?, more);
        }
        self.walk(Target::Module(at), rest)
    }

    /// What the first step of a path without a prefix names in the module.
    fn look_up(&self, from: usize, name: &str, globs: bool) -> Option<Target> {
        let module = &self.modules[from];
        if let Some(&child) = module.children.get(name) {
            return Some(Target::Module(child));
        }
        if module.items.contains(name) || module.macros.contains(name) {
            return Some(Target::Within(from));
        }
        // `use serde::…` cannot mean a name that it brings itself: its first step is a crate.
        let mut imported =
            module.names.iter().filter(|(known, steps)| known == name && steps.first().is_some_and(|s| s != name));
        if let Some((_, steps)) = imported.next() {
            return self.resolve(from, steps, globs);
        }
        for glob in module.globs.iter().filter(|_| globs) {
            if let Some(Target::Module(at)) = self.resolve(from, glob, false) {
                if let Some(&child) = self.modules[at].children.get(name) {
                    return Some(Target::Module(child));
                }
                if self.defines(at, name) {
                    return Some(Target::Within(at));
                }
            }
        }
        self.crates.get(name).map(|&root| Target::Module(root))
    }

    /// Where a macro without a path comes from that is no item here: the nearest module around that defines it. None where
    /// it is imported (the import counts by itself), or of another crate.
    fn macro_of(&self, from: usize, name: &str) -> Option<Target> {
        let module = &self.modules[from];
        if module.names.iter().any(|(known, _)| known == name) {
            return None;
        }
        if module.macros.contains(name) {
            return Some(Target::Within(from));
        }
        self.macro_of(module.parent?, name)
    }

    fn defines(&self, at: usize, name: &str) -> bool {
        let module = &self.modules[at];
        module.items.contains(name) || module.names.iter().any(|(known, _)| known == name)
    }

    /// Goes on from a module through its children; the first step that is none of them is something in it.
    fn walk(&self, from: Target, steps: &[String]) -> Option<Target> {
        let Target::Module(mut at) = from else { return Some(from) };
        for step in steps {
            match self.modules[at].children.get(step) {
                Some(&child) => at = child,
                None => return Some(Target::Within(at)),
            }
        }
        Some(Target::Module(at))
    }
}
