//! Finding code in the sources: an item by its path, or what stands between two anchors. The text is the source's own.

use std::ops::RangeInclusive;
use std::path::Path;

use proc_macro2::Span;
use process::OrCall;
use syn::spanned::Spanned;
use syn::{Ident, ImplItem, Item, TraitItem};

use crate::{Error, Result};

/// A piece of a source file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The file, from the repository's root.
    pub file: String,
    /// Its lines, counted from 1.
    pub lines: RangeInclusive<usize>,
    /// The lines' text, moved to the left margin.
    pub text: String,
}

/// A source file, read and parsed.
pub struct Source {
    file: String,
    text: String,
    syntax: Option<syn::File>,
}

impl Source {
    /// Reads `file`, a path from `root` on; a `.rs` file is parsed.
    ///
    /// # Errors
    /// No such file, or Rust that does not parse.
    pub fn read(root: &Path, file: &str) -> Result<Self> {
        let text = std::fs::read_to_string(root.join(file)).or_call("read", file)?;
        let syntax = match file.ends_with(".rs") {
            true => Some(syn::parse_file(&text).map_err(|error| {
                let at = error.span().start();
                Error::invalid(format!("{file}:{}: {error}", at.line))
            })?),
            false => None,
        };
        Ok(Self { file: file.to_owned(), text, syntax })
    }

    /// The item that `path` names: `PivotRoot`, `PivotRoot::new`, `impl Stage for PivotRoot`, `tests::it_works`.
    ///
    /// # Errors
    /// There is none; the message names those that there are.
    pub fn item(&self, path: &str) -> Result<Piece> {
        let syntax = self.syntax.as_ref().ok_or_else(|| Error::invalid(format!("{} is no Rust file", self.file)))?;
        let path = path.split_whitespace().collect::<Vec<_>>().join(" ");
        if let Some(span) = find(&syntax.items, &path) {
            return Ok(self.piece(span.start().line..=span.end().line));
        }
        let names = syntax.items.iter().filter_map(name_of).collect::<Vec<_>>().join(", ");
        Err(Error::not_found(format!("{} has no item `{path}`", self.file)).help(format!("it has: {names}")))
    }

    /// The lines between `ANCHOR: name` and `ANCHOR_END: name`, the indent taken away.
    ///
    /// # Errors
    /// There is no such anchor, or no end of it.
    pub fn anchor(&self, name: &str) -> Result<Piece> {
        let at = |mark: &str| {
            let is_it = |line: &str| line.split_once(mark).is_some_and(|(_, rest)| rest.trim() == name);
            self.text.lines().position(is_it).map(|index| index + 1)
        };
        let missing = |mark| Error::not_found(format!("{} has no `{mark} {name}`", self.file));
        let start = at("ANCHOR:").ok_or_else(|| missing("ANCHOR:"))?;
        let end = at("ANCHOR_END:").filter(|end| *end > start).ok_or_else(|| missing("ANCHOR_END:"))?;
        Ok(self.piece(start + 1..=end - 1))
    }

    /// The whole file.
    pub fn whole(&self) -> Piece {
        self.piece(1..=self.text.lines().count().max(1))
    }

    fn piece(&self, lines: RangeInclusive<usize>) -> Piece {
        let taken: Vec<&str> = self.text.lines().skip(lines.start() - 1).take(lines.clone().count()).collect();
        let indent = |line: &&str| line.len() - line.trim_start_matches(' ').len();
        let margin = taken.iter().filter(|line| !line.trim().is_empty()).map(indent).min().unwrap_or(0);
        // The marks of anchors are for the book, not for its reader.
        let taken = taken.iter().filter(|line| !line.contains("ANCHOR:") && !line.contains("ANCHOR_END:"));
        let text = taken.map(|line| format!("{}\n", line.get(margin..).unwrap_or_default())).collect();
        Piece { file: self.file.clone(), lines, text }
    }
}

/// Where the item of this path stands, its attributes and documentation included.
fn find(items: &[Item], path: &str) -> Option<Span> {
    if let Some(item) = items.iter().find(|item| name_of(item).is_some_and(|name| name == path)) {
        return Some(item.span());
    }
    let (head, rest) = path.split_once("::")?;
    for item in items {
        match item {
            Item::Mod(module) if module.ident == head => {
                let inner = module.content.as_ref().and_then(|(_, items)| find(items, rest));
                if inner.is_some() {
                    return inner;
                }
            }
            Item::Impl(block) if type_name(&block.self_ty) == head => {
                let member = block.items.iter().find(|member| member_of_impl(member).is_some_and(|name| name == rest));
                if let Some(member) = member {
                    return Some(member.span());
                }
            }
            Item::Trait(declared) if declared.ident == head => {
                let member = declared.items.iter().find(|member| member_of_trait(member).is_some_and(|n| n == rest));
                if let Some(member) = member {
                    return Some(member.span());
                }
            }
            _ => {}
        }
    }
    None
}

fn member_of_impl(member: &ImplItem) -> Option<String> {
    match member {
        ImplItem::Fn(function) => Some(function.sig.ident.to_string()),
        ImplItem::Const(constant) => Some(constant.ident.to_string()),
        ImplItem::Type(alias) => Some(alias.ident.to_string()),
        _ => None,
    }
}

fn member_of_trait(member: &TraitItem) -> Option<String> {
    match member {
        TraitItem::Fn(function) => Some(function.sig.ident.to_string()),
        TraitItem::Const(constant) => Some(constant.ident.to_string()),
        TraitItem::Type(alias) => Some(alias.ident.to_string()),
        _ => None,
    }
}

/// What a page calls an item: its name, or `impl Trait for Type`.
pub fn name_of(item: &Item) -> Option<String> {
    let Item::Impl(block) = item else { return ident_of(item).map(ToString::to_string) };
    let of = type_name(&block.self_ty);
    match &block.trait_ {
        Some((_, path, _)) => Some(format!("impl {} for {of}", path.segments.last()?.ident)),
        None => Some(format!("impl {of}")),
    }
}

/// The name of an item that has one.
pub fn ident_of(item: &Item) -> Option<&Ident> {
    match item {
        Item::Const(item) => Some(&item.ident),
        Item::Enum(item) => Some(&item.ident),
        Item::Fn(item) => Some(&item.sig.ident),
        Item::Macro(item) => item.ident.as_ref(),
        Item::Mod(item) => Some(&item.ident),
        Item::Static(item) => Some(&item.ident),
        Item::Struct(item) => Some(&item.ident),
        Item::Trait(item) => Some(&item.ident),
        Item::Type(item) => Some(&item.ident),
        Item::Union(item) => Some(&item.ident),
        _ => None,
    }
}

/// The word by which an item is declared.
pub fn kind_of(item: &Item) -> Option<&'static str> {
    match item {
        Item::Const(_) => Some("const"),
        Item::Enum(_) => Some("enum"),
        Item::Fn(_) => Some("fn"),
        Item::Macro(_) => Some("macro"),
        Item::Static(_) => Some("static"),
        Item::Struct(_) => Some("struct"),
        Item::Trait(_) => Some("trait"),
        Item::Type(_) => Some("type"),
        _ => None,
    }
}

/// The plain name of a type, as people say it: `PivotRoot` for `crate::pivot::PivotRoot<'_>`.
pub fn type_name(of: &syn::Type) -> String {
    match of {
        syn::Type::Path(path) => path.path.segments.last().map(|last| last.ident.to_string()).unwrap_or_default(),
        syn::Type::Reference(reference) => type_name(&reference.elem),
        syn::Type::Slice(slice) => format!("[{}]", type_name(&slice.elem)),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"//! A file.

/// A place.
#[derive(Debug)]
pub struct Place<'a> {
    name: &'a str, // why
}

impl<'a> Place<'a> {
    /// Its name.
    pub fn name(&self) -> &str {
        // ANCHOR: body
        self.name
        // ANCHOR_END: body
    }
}

impl std::fmt::Display for Place<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}
"#;

    fn source() -> Source {
        Source { file: "a.rs".into(), text: TEXT.into(), syntax: syn::parse_file(TEXT).ok() }
    }

    #[test]
    fn an_item_is_shown_as_it_stands() {
        let piece = source().item("Place").unwrap();
        assert_eq!(piece.lines, 3..=7);
        assert!(piece.text.starts_with("/// A place.\n#[derive(Debug)]"));
        assert!(piece.text.contains("name: &'a str, // why\n}"));
        assert_eq!(source().item("impl Display for Place").unwrap().lines, 18..=22);
    }

    #[test]
    fn a_method_moves_to_the_margin() {
        let text = source().item("Place::name").unwrap().text;
        assert!(text.starts_with("/// Its name.\npub fn name(&self) -> &str {\n    self.name\n}"), "{text}");
    }

    #[test]
    fn an_anchor_is_what_is_between() {
        assert_eq!(source().anchor("body").unwrap().text, "self.name\n");
        assert!(source().anchor("boy").unwrap_err().what().contains("a.rs has no `ANCHOR: boy`"));
    }

    #[test]
    fn what_is_missing_is_told_with_what_there_is() {
        let error = source().item("Plaice").unwrap_err();
        assert_eq!(error.what(), "a.rs has no item `Plaice`");
        assert!(error.way_out().unwrap().contains("impl Display for Place"));
    }
}
