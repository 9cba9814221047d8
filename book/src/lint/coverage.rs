//! The public items of the chapters' crates: what a user of the crate can name, wherever it is written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use syn::{Item, UseTree, Visibility};

use crate::source::{ident_of, kind_of};
use crate::{Result, index};

/// An item that a crate shows to others.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Public {
    /// Its file, from the repository's root.
    pub file: String,
    /// The line of its name.
    pub line: usize,
    /// `fn`, `struct`, …
    pub kind: &'static str,
    /// Its name.
    pub name: String,
}

/// A crate's modules by path (`""` is the root), each with its file and its items.
type Modules = BTreeMap<String, (String, Vec<Item>)>;

/// The public functions, types, traits, constants and macros of each chapter's crate.
///
/// # Errors
/// A source that cannot be read or parsed.
pub fn public_items(root: &Path) -> Result<Vec<Public>> {
    let mut crates: BTreeMap<String, Modules> = BTreeMap::new();
    for (file, syntax) in index::sources(root)? {
        let Some((krate, inner)) = file.split_once("/src/") else { continue };
        let Some(path) = module_path(inner) else { continue };
        modules(crates.entry(krate.to_owned()).or_default(), &path, &file, syntax.items);
    }
    let mut found = BTreeSet::new();
    for modules in crates.values() {
        let mut walk = Walk { modules, found: &mut found, seen: BTreeSet::new() };
        walk.module("");
    }
    Ok(found.into_iter().collect())
}

/// `lib.rs` is the root, `container/names.rs` and `container/names/mod.rs` are `container::names`; programs are none.
fn module_path(inner: &str) -> Option<String> {
    let path = inner.strip_suffix(".rs")?;
    let path = path.strip_suffix("/mod").unwrap_or(path);
    match path {
        "lib" => Some(String::new()),
        "main" => None,
        path if path.starts_with("bin/") => None,
        path => Some(path.replace('/', "::")),
    }
}

fn modules(all: &mut Modules, path: &str, file: &str, items: Vec<Item>) {
    for item in &items {
        if let Item::Mod(module) = item
            && let Some((_, inner)) = &module.content
        {
            modules(all, &join(path, &module.ident.to_string()), file, inner.clone());
        }
    }
    all.insert(path.to_owned(), (file.to_owned(), items));
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}::{name}") }
}

struct Walk<'a> {
    modules: &'a Modules,
    found: &'a mut BTreeSet<Public>,
    seen: BTreeSet<String>,
}

impl Walk<'_> {
    /// All that is public in a module which itself is.
    fn module(&mut self, path: &str) {
        if !self.seen.insert(path.to_owned()) {
            return;
        }
        let Some((file, items)) = self.modules.get(path) else { return };
        for item in items {
            match item {
                Item::Mod(module) if is_public(&module.vis) => self.module(&join(path, &module.ident.to_string())),
                Item::Use(used) if is_public(&used.vis) => self.used(path, &used.tree),
                item if visibility(item).is_some_and(is_public) || is_exported(item) => self.add(file, item),
                _ => {}
            }
        }
    }

    fn add(&mut self, file: &str, item: &Item) {
        if let (Some(ident), Some(kind)) = (ident_of(item), kind_of(item)) {
            let line = ident.span().start().line;
            self.found.insert(Public { file: file.to_owned(), line, kind, name: ident.to_string() });
        }
    }

    /// `pub use module::{a, b}`; what comes from another crate is that crate's to show.
    fn used(&mut self, at: &str, tree: &UseTree) {
        match tree {
            UseTree::Path(path) => {
                let name = path.ident.to_string();
                let inner = match name.as_str() {
                    "self" => at.to_owned(),
                    "crate" => String::new(),
                    "super" => at.rsplit_once("::").map_or(String::new(), |(above, _)| above.to_owned()),
                    name => join(at, name),
                };
                if self.modules.contains_key(&inner) {
                    self.used(&inner, &path.tree);
                }
            }
            UseTree::Name(name) => self.named(at, &name.ident.to_string()),
            UseTree::Rename(rename) => self.named(at, &rename.ident.to_string()),
            UseTree::Glob(_) => self.module(at),
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.used(at, tree)),
        }
    }

    fn named(&mut self, at: &str, name: &str) {
        let Some((file, items)) = self.modules.get(at) else { return };
        if self.modules.contains_key(&join(at, name)) {
            self.module(&join(at, name));
        }
        for item in items.iter().filter(|item| ident_of(item).is_some_and(|ident| ident == name)) {
            self.add(file, item);
        }
        for item in items {
            if let Item::Use(used) = item {
                self.through(at, &used.tree, name);
            }
        }
    }

    /// A name that the module itself has only taken from another.
    fn through(&mut self, at: &str, tree: &UseTree, name: &str) {
        match tree {
            UseTree::Path(path) => {
                let inner = if path.ident == "crate" { String::new() } else { join(at, &path.ident.to_string()) };
                if self.modules.contains_key(&inner) {
                    self.through(&inner, &path.tree, name);
                }
            }
            UseTree::Name(used) if used.ident == name => {
                let Some((file, items)) = self.modules.get(at) else { return };
                for item in items.iter().filter(|item| ident_of(item).is_some_and(|ident| ident == name)) {
                    self.add(file, item);
                }
            }
            UseTree::Group(group) => group.items.iter().for_each(|tree| self.through(at, tree, name)),
            _ => {}
        }
    }
}

fn is_public(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Public(_))
}

fn is_exported(item: &Item) -> bool {
    matches!(item, Item::Macro(item) if item.attrs.iter().any(|attribute| attribute.path().is_ident("macro_export")))
}

fn visibility(item: &Item) -> Option<&Visibility> {
    match item {
        Item::Const(item) => Some(&item.vis),
        Item::Enum(item) => Some(&item.vis),
        Item::Fn(item) => Some(&item.vis),
        Item::Static(item) => Some(&item.vis),
        Item::Struct(item) => Some(&item.vis),
        Item::Trait(item) => Some(&item.vis),
        Item::Type(item) => Some(&item.vis),
        _ => None,
    }
}
