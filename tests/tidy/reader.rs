//! What one module of Rust code defines and names: its items, its child modules, and every path.

use proc_macro2::{Spacing, TokenStream, TokenTree};
use std::collections::BTreeSet;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, Meta, Token, UseTree};

/// A path as it stands in the code.
#[derive(Clone)]
pub(crate) struct Path {
    pub(crate) steps: Vec<String>,
    pub(crate) line: usize,
    /// Whether it calls a macro.
    pub(crate) is_macro: bool,
}

/// A child module as it is declared.
pub(crate) struct Child {
    pub(crate) name: String,
    /// Those of an inline module.
    pub(crate) items: Option<Vec<Item>>,
    /// `#[path = "…"]`.
    pub(crate) path: Option<String>,
}

/// Collects what one module defines and names.
#[derive(Default)]
pub(crate) struct Reader {
    pub(crate) children: Vec<Child>,
    pub(crate) items: BTreeSet<String>,
    pub(crate) macros: BTreeSet<String>,
    pub(crate) names: Vec<(String, Vec<String>)>,
    pub(crate) globs: Vec<Vec<String>>,
    pub(crate) paths: Vec<Path>,
    /// How deep within functions and other bodies: what is defined there is no item of the module.
    depth: usize,
}

impl Reader {
    /// What a module of these items defines and names.
    pub(crate) fn of(items: &[Item]) -> Self {
        let mut reader = Self::default();
        for item in items {
            reader.visit_item(item);
        }
        reader
    }

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
