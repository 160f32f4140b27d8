//! Which file uses which: the imports and paths of a crate's code, resolved to the files that hold what they name.
//!
//! - A path counts for the file of the module that its last step is taken from. A re-export therefore counts for the
//!   file that re-exports, and `use crate::a` for the file of `a`.
//! - `mod x;` declares a child and is no use of it. `super::Name` in a child is a use of its parent.
//! - Code that only tests or models have (`#[cfg(test)]`, `#[cfg(loom)]`) is left out, and so are doc links.
//! - Two things have no path and are not seen: a method called on a value, and the types that inference finds.

use proc_macro2::{Spacing, TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, Meta, Token, UseTree};

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

/// A path as it stands in the code.
#[derive(Clone)]
struct Path {
    steps: Vec<String>,
    line: usize,
    /// Whether it calls a macro.
    is_macro: bool,
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
        let mut reader = Reader::default();
        for item in &items {
            reader.visit_item(item);
        }
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

/// A child module as it is declared.
struct Child {
    name: String,
    /// Those of an inline module.
    items: Option<Vec<Item>>,
    /// `#[path = "…"]`.
    path: Option<String>,
}

/// Collects what one module defines and names.
#[derive(Default)]
struct Reader {
    children: Vec<Child>,
    items: BTreeSet<String>,
    macros: BTreeSet<String>,
    names: Vec<(String, Vec<String>)>,
    globs: Vec<Vec<String>>,
    paths: Vec<Path>,
    /// How deep within functions and other bodies: what is defined there is no item of the module.
    depth: usize,
}

impl Reader {
    fn define(&mut self, name: &impl ToString) {
        if self.depth == 0 {
            self.items.insert(name.to_string());
        }
    }

    fn use_tree(&mut self, tree: &UseTree, before: &[String], line: usize) {
        let with = |name: &dyn ToString| [before, &[name.to_string()]].concat();
        let mut add = |name: &dyn ToString, steps: Vec<String>, line| {
            self.names.push((name.to_string(), steps.clone()));
            self.paths.push(Path { steps, line, is_macro: false });
        };
        match tree {
            UseTree::Path(path) => self.use_tree(&path.tree, &with(&path.ident), path.ident.span().start().line),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.use_tree(tree, before, line)),
            UseTree::Name(name) if name.ident == "self" => {
                add(before.last().expect("`self` follows a path"), before.to_vec(), line);
            }
            UseTree::Name(name) => add(&name.ident, with(&name.ident), name.ident.span().start().line),
            UseTree::Rename(rename) if rename.ident == "self" => add(&rename.rename, before.to_vec(), line),
            UseTree::Rename(rename) => add(&rename.rename, with(&rename.ident), rename.ident.span().start().line),
            UseTree::Glob(glob) => {
                self.globs.push(before.to_vec());
                self.paths.push(Path { steps: before.to_vec(), line: glob.span().start().line, is_macro: false });
            }
        }
    }

    /// Every path of two steps or more in the tokens of a macro or an attribute.
    fn tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let colons = |at: usize| {
            let colon = |at: usize| match tokens.get(at) {
                Some(TokenTree::Punct(punct)) if punct.as_char() == ':' => Some(punct.spacing()),
                _ => None,
            };
            colon(at) == Some(Spacing::Joint) && colon(at + 1).is_some()
        };
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Ident(first) => {
                    let mut steps = vec![first.to_string()];
                    while colons(at + 1)
                        && let Some(TokenTree::Ident(next)) = tokens.get(at + 3)
                    {
                        steps.push(next.to_string());
                        at += 3;
                    }
                    // `use a::{b, c}` within a macro: every name of the list is a path of its own.
                    if colons(at + 1)
                        && let Some(TokenTree::Group(list)) = tokens.get(at + 3)
                    {
                        let line = first.span().start().line;
                        let text = format!("use {}::{};", steps.join("::"), list);
                        if let Ok(item) = syn::parse_str::<syn::ItemUse>(&text) {
                            self.use_tree(&item.tree, &[], line);
                        }
                    }
                    if steps.len() > 1 {
                        self.paths.push(Path { steps, line: first.span().start().line, is_macro: false });
                    }
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
            at += 1;
        }
    }

    /// The items of `cfg_if! { if #[cfg(…)] { items } else { items } }`, those of every build.
    fn cfg_if(&mut self, tokens: TokenStream) {
        let mut tests = false;
        for token in tokens {
            let TokenTree::Group(group) = token else { continue };
            if group.delimiter() == proc_macro2::Delimiter::Bracket {
                let meta = syn::parse2::<Meta>(group.stream()).expect("a condition of cfg_if");
                tests = is_of_tests(&meta);
            } else if !std::mem::take(&mut tests) {
                let file = syn::parse2::<syn::File>(group.stream()).expect("cfg_if holds items");
                file.items.iter().for_each(|item| self.visit_item(item));
            }
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        if attributes(item).iter().any(|attribute| is_of_tests(&attribute.meta)) {
            return;
        }
        match item {
            Item::Const(it) => self.define(&it.ident),
            Item::Enum(it) => self.define(&it.ident),
            Item::Fn(it) => self.define(&it.sig.ident),
            Item::Static(it) => self.define(&it.ident),
            Item::Struct(it) => self.define(&it.ident),
            Item::Trait(it) => self.define(&it.ident),
            Item::Type(it) => self.define(&it.ident),
            Item::Union(it) => self.define(&it.ident),
            Item::Macro(it) if it.mac.path.is_ident("macro_rules") => {
                if let Some(name) = &it.ident {
                    self.macros.insert(name.to_string());
                }
            }
            Item::Macro(it) if it.mac.path.segments.last().is_some_and(|last| last.ident == "cfg_if") => {
                return self.cfg_if(it.mac.tokens.clone());
            }
            Item::Use(it) => {
                let before: &[String] = if it.leading_colon.is_some() { &[String::new()] } else { &[] };
                return self.use_tree(&it.tree, before, it.span().start().line);
            }
            Item::Mod(it) => {
                let path = it.attrs.iter().find_map(|attribute| match &attribute.meta {
                    Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
                        syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
                        _ => None,
                    },
                    _ => None,
                });
                let items = it.content.as_ref().map(|(_, items)| items.clone());
                return self.children.push(Child { name: it.ident.to_string(), items, path });
            }
            _ => {}
        }
        self.depth += 1;
        visit::visit_item(self, item);
        self.depth -= 1;
    }

    fn visit_impl_item(&mut self, item: &'ast syn::ImplItem) {
        let attributes = match item {
            syn::ImplItem::Fn(it) => &it.attrs[..],
            syn::ImplItem::Const(it) => &it.attrs[..],
            _ => &[],
        };
        if !attributes.iter().any(|attribute| is_of_tests(&attribute.meta)) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_stmt(&mut self, statement: &'ast syn::Stmt) {
        let attributes = match statement {
            syn::Stmt::Local(it) => &it.attrs[..],
            syn::Stmt::Macro(it) => &it.attrs[..],
            syn::Stmt::Expr(syn::Expr::Block(it), _) => &it.attrs[..],
            syn::Stmt::Expr(syn::Expr::Call(it), _) => &it.attrs[..],
            syn::Stmt::Expr(syn::Expr::MethodCall(it), _) => &it.attrs[..],
            _ => &[],
        };
        if !attributes.iter().any(|attribute| is_of_tests(&attribute.meta)) {
            visit::visit_stmt(self, statement);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        // A single step is defined here, or came by a `use` that counts by itself.
        if path.leading_colon.is_none() && path.segments.len() > 1 {
            let steps = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
            self.paths.push(Path { steps, line: path.span().start().line, is_macro: false });
        }
        visit::visit_path(self, path);
    }

    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_macro(&mut self, it: &'ast syn::Macro) {
        match it.path.get_ident() {
            None => self.visit_path(&it.path),
            Some(name) => {
                let line = name.span().start().line;
                self.paths.push(Path { steps: vec![name.to_string()], line, is_macro: true });
            }
        }
        self.tokens(it.tokens.clone());
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        let Meta::List(list) = &attribute.meta else { return };
        self.tokens(list.tokens.clone());
        // serde takes paths as text: `#[serde(default = "crate::config::seed")]`.
        if list.path.is_ident("serde") {
            for token in list.tokens.clone() {
                if let Ok(syn::Lit::Str(text)) = syn::parse2::<syn::Lit>(token.into())
                    && let Ok(path) = text.parse::<syn::Path>()
                    && path.segments.len() > 1
                {
                    let steps = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
                    self.paths.push(Path { steps, line: text.span().start().line, is_macro: false });
                }
            }
        }
    }
}

/// Whether the attribute keeps its item to tests and models: `cfg(test)`, `cfg(all(test, …))`, `cfg(loom)`, `test`.
fn is_of_tests(meta: &Meta) -> bool {
    fn demands(meta: &Meta) -> bool {
        match meta {
            Meta::Path(path) => path.is_ident("test") || path.is_ident("loom"),
            Meta::NameValue(_) => false,
            Meta::List(list) => {
                let parts = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
                let mut parts = parts.expect("a condition of cfg").into_iter();
                if list.path.is_ident("all") {
                    parts.any(|part| demands(&part))
                } else {
                    list.path.is_ident("any") && parts.all(|part| demands(&part))
                }
            }
        }
    }
    match meta {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(list) if list.path.is_ident("cfg") => list.parse_args::<Meta>().is_ok_and(|meta| demands(&meta)),
        _ => false,
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(it) => &it.attrs,
        Item::Enum(it) => &it.attrs,
        Item::ExternCrate(it) => &it.attrs,
        Item::Fn(it) => &it.attrs,
        Item::ForeignMod(it) => &it.attrs,
        Item::Impl(it) => &it.attrs,
        Item::Macro(it) => &it.attrs,
        Item::Mod(it) => &it.attrs,
        Item::Static(it) => &it.attrs,
        Item::Struct(it) => &it.attrs,
        Item::Trait(it) => &it.attrs,
        Item::TraitAlias(it) => &it.attrs,
        Item::Type(it) => &it.attrs,
        Item::Union(it) => &it.attrs,
        Item::Use(it) => &it.attrs,
        _ => &[],
    }
}
