//! The index of kernel calls: each call, the functions of ours that make it, and the page that shows them.

use std::collections::BTreeMap;
use std::path::Path;

use process::OrCall;
use regex::Regex;
use syn::visit::{self, Visit};

use crate::expand::Shown;
use crate::{Book, Error, Page, Result, build};

/// A place that makes a kernel call.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The source file, from the repository's root.
    pub file: String,
    /// The line of the function's name.
    pub line: usize,
    /// The function: `PivotRoot::enter_root`.
    pub function: String,
}

/// All kernel calls that the chapters make: what they narrate, what their errors name, what `sys.rs` wraps.
///
/// # Errors
/// A source that cannot be read or parsed.
pub fn calls(book: &Book) -> Result<BTreeMap<String, Vec<Place>>> {
    let mut found: BTreeMap<String, Vec<Place>> = BTreeMap::new();
    for (file, syntax) in sources(&book.root)? {
        let is_sys = file.ends_with("/sys.rs");
        let mut calls = Calls { file, is_sys, owner: String::new(), function: None, found: Vec::new() };
        calls.visit_file(&syntax);
        for (call, place) in calls.found {
            let places = found.entry(call).or_default();
            if !places.contains(&place) {
                places.push(place);
            }
        }
    }
    Ok(found)
}

/// The parsed sources of all chapters, by path from the root.
///
/// # Errors
/// As [`calls`].
pub fn sources(root: &Path) -> Result<Vec<(String, syn::File)>> {
    let mut parsed = Vec::new();
    for file in build::files(&root.join("chapters"), "rs")? {
        let name = file.strip_prefix(root).unwrap_or(&file).display().to_string();
        if name.split('/').nth(2) != Some("src") {
            continue;
        }
        let text = std::fs::read_to_string(&file).or_call("read", &name)?;
        let syntax = syn::parse_file(&text).map_err(|error| Error::invalid(format!("{name}: {error}")))?;
        parsed.push((name, syntax));
    }
    Ok(parsed)
}

/// The index as a table.
///
/// # Errors
/// As [`calls`].
pub fn table(book: &Book, pages: &[Page], shown: &[Shown]) -> Result<String> {
    let mut table = String::from("| Call | Function | Page |\n|---|---|---|\n");
    for (call, places) in calls(book)? {
        let mut rows: Vec<(Option<&Shown>, &Place)> =
            places.iter().map(|place| (shown_by(place, shown), place)).collect();
        // Those that a page shows come first; of many others, the first few are enough.
        rows.sort_by_key(|(by, place)| (by.map_or(usize::MAX, |by| by.page), *place));
        let known = rows.iter().filter(|(by, _)| by.is_some()).count();
        for (number, (by, place)) in rows.iter().take(known.max(3)).enumerate() {
            let call = if number == 0 { format!("`{call}`") } else { String::new() };
            let link = by.map(|by| {
                let page = &pages[by.page];
                format!("[{}]({}#{})", page.title, page.path.display(), by.anchor)
            });
            let at = format!("`{}` <small>{}:{}</small>", place.function, place.file, place.line);
            table += &format!("| {call} | {at} | {} |\n", link.unwrap_or_default());
        }
    }
    Ok(table)
}

fn shown_by<'a>(place: &Place, shown: &'a [Shown]) -> Option<&'a Shown> {
    let shows = |piece: &crate::source::Piece| piece.file == place.file && piece.lines.contains(&place.line);
    shown.iter().find(|shown| shows(&shown.piece))
}

struct Calls {
    file: String,
    is_sys: bool,
    owner: String,
    function: Option<Place>,
    found: Vec<(String, Place)>,
}

impl Calls {
    fn add(&mut self, call: &str) {
        if let Some(place) = &self.function {
            self.found.push((call.to_owned(), place.clone()));
        }
    }

    fn within(&mut self, name: &syn::Ident, attributes: &[syn::Attribute], inner: impl FnOnce(&mut Self)) {
        let function = if self.owner.is_empty() { name.to_string() } else { format!("{}::{name}", self.owner) };
        let place = Place { file: self.file.clone(), line: name.span().start().line, function };
        let before = self.function.replace(place);
        if self.is_sys {
            self.wrapped(attributes);
        }
        inner(self);
        self.function = before;
    }

    /// `sys.rs` names in its documentation what it wraps: `open_tree(2)`.
    fn wrapped(&mut self, attributes: &[syn::Attribute]) {
        let call = Regex::new(r"\b([a-z_0-9]+)\(2\)").expect("a constant");
        for text in attributes.iter().filter_map(documentation) {
            if let Some(found) = call.captures(&text) {
                self.add(&found[1]);
                return;
            }
        }
    }
}

fn documentation(attribute: &syn::Attribute) -> Option<String> {
    match &attribute.meta {
        syn::Meta::NameValue(pair) if pair.path.is_ident("doc") => match &pair.value {
            syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(text), .. }) => Some(text.value()),
            _ => None,
        },
        _ => None,
    }
}

impl<'ast> Visit<'ast> for Calls {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        let is_test = module.attrs.iter().any(|attribute| attribute.path().is_ident("cfg"));
        if !is_test {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_impl(&mut self, block: &'ast syn::ItemImpl) {
        let owner = crate::source::type_name(&block.self_ty);
        let before = std::mem::replace(&mut self.owner, owner);
        visit::visit_item_impl(self, block);
        self.owner = before;
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        self.within(&function.sig.ident, &function.attrs, |calls| visit::visit_item_fn(calls, function));
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        self.within(&function.sig.ident, &function.attrs, |calls| visit::visit_impl_item_fn(calls, function));
    }

    fn visit_macro(&mut self, invoked: &'ast syn::Macro) {
        if invoked.path.segments.last().is_none_or(|last| last.ident != "explain") {
            return;
        }
        let strings = invoked.tokens.clone().into_iter().filter_map(|token| match token {
            proc_macro2::TokenTree::Literal(text) => syn::parse_str::<syn::LitStr>(&text.to_string()).ok(),
            _ => None,
        });
        // The chapter is no string: the first is the reason, the second the call.
        let Some(text) = strings.map(|text| text.value()).nth(1) else { return };
        let call = Regex::new(r"^([a-z][a-z_0-9]*)\(|^(netlink):").expect("a constant");
        if let Some(found) = call.captures(&text)
            && let Some(name) = found.get(1).or(found.get(2))
        {
            self.add(name.as_str());
        }
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if call.method == "or_call"
            && let Some(syn::Expr::Lit(syn::ExprLit { lit: syn::Lit::Str(name), .. })) = call.args.first()
            && name.value().bytes().all(|byte| byte == b'_' || byte.is_ascii_alphanumeric())
        {
            self.add(&name.value());
        }
        visit::visit_expr_method_call(self, call);
    }
}
