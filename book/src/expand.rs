//! The directives of a page, `{{#name arguments}}`, and its cells: what the author wrote becomes what mdBook renders.

use std::collections::HashMap;
use std::path::Path;

use crate::cell;
use crate::source::{Piece, Source};
use crate::{Book, Error, Page, Result, diff, figure, front, index, picture, practice, timetable};

/// A piece of source that a page shows.
#[derive(Debug, Clone)]
pub struct Shown {
    /// The page, by its place among the pages.
    pub page: usize,
    /// What it shows.
    pub piece: Piece,
    /// The listing on the page that it is in.
    pub anchor: String,
}

/// Expands pages; each source file is read and parsed once.
pub struct Expander<'a> {
    book: &'a Book,
    pages: &'a [Page],
    sources: HashMap<String, Source>,
    /// What has been shown so far.
    pub shown: Vec<Shown>,
}

impl<'a> Expander<'a> {
    /// An expander for these pages of the book.
    pub fn new(book: &'a Book, pages: &'a [Page]) -> Self {
        Self { book, pages, sources: HashMap::new(), shown: Vec::new() }
    }

    /// All pages as mdBook shall render them. The index of calls comes last: it tells which page shows what.
    ///
    /// # Errors
    /// Each directive that could not be followed, with page and line.
    pub fn all(&mut self) -> Result<Vec<String>> {
        let mut errors = Vec::new();
        let mut texts = Vec::new();
        for number in 0..self.pages.len() {
            texts.push(self.page(number, &mut errors));
        }
        for (text, page) in texts.iter_mut().zip(self.pages) {
            if text.contains(INDEX) {
                let table = index::table(self.book, self.pages, &self.shown)
                    .map_err(|error| errors.push(error.at(&page.shown)))
                    .unwrap_or_default();
                *text = text.replace(INDEX, &table);
            }
        }
        if errors.is_empty() {
            return Ok(texts);
        }
        let told: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Err(Error::invalid(told.join("\nerror: ")))
    }

    fn page(&mut self, number: usize, errors: &mut Vec<Error>) -> String {
        let pages = self.pages;
        let page = &pages[number];
        let skip = front::lines(&page.text);
        let blocks = cell::blocks(&page.text);
        let mut facts = figure::facts(&page.front);
        let mut out = String::with_capacity(page.text.len() * 2);
        for (at, line) in page.text.lines().enumerate().skip(skip) {
            // The fences of a cell lie one line before and after what is between them.
            if let Some(cell) = page.cells.iter().find(|cell| (cell.body.start - 1..=cell.body.end).contains(&at)) {
                if at + 1 == cell.body.start {
                    out += &figure::cell(cell);
                }
                continue;
            }
            let verbatim = blocks.iter().any(|(_, lines)| (lines.start - 1..=lines.end).contains(&at));
            if verbatim || !line.contains("{{#") {
                out += line;
            } else {
                let result = self.line(number, line);
                out += &result
                    .map_err(|error| errors.push(error.at(format!("{}:{}", page.shown, at + 1))))
                    .unwrap_or_default();
            }
            out.push('\n');
            if line.starts_with("# ") && !verbatim {
                out += &format!("\n{}", std::mem::take(&mut facts));
            }
        }
        out + &figure::foot(&page.front)
    }

    /// A line with its directives replaced. What stands in `code` is left alone: a page may speak of directives.
    fn line(&mut self, page: usize, line: &str) -> Result<String> {
        let mut out = String::new();
        let mut rest = line;
        while let Some(start) = rest.find("{{#") {
            out += &rest[..start];
            let Some(length) = rest[start..].find("}}") else {
                return Err(Error::invalid(format!("a directive without its end: {line}")));
            };
            let whole = &rest[start..start + length + 2];
            let quoted = out.matches('`').count() % 2 == 1;
            out += &if quoted { whole.to_owned() } else { self.directive(page, &whole[3..whole.len() - 2])? };
            rest = &rest[start + length + 2..];
        }
        Ok(out + rest)
    }

    fn directive(&mut self, page: usize, text: &str) -> Result<String> {
        let (name, rest) = text.trim().split_once(char::is_whitespace).unwrap_or((text.trim(), ""));
        let rest = rest.trim();
        let words: Vec<&str> = rest.split_whitespace().collect();
        match (name, &words[..]) {
            ("item", [_, ..]) => self.items(page, rest),
            ("anchor", [place]) => {
                let (file, anchor) = split(place)?;
                let piece = self.source(file)?.anchor(anchor)?;
                Ok(self.code(page, vec![piece]))
            }
            ("file", [file]) => {
                let piece = self.source(file)?.whole();
                Ok(self.code(page, vec![piece]))
            }
            ("main-diff", [old, new]) => {
                let (caption, lines) = diff::mains(&self.book.root, old, new)?;
                Ok(figure::listing(None, &caption, "diff", &lines))
            }
            ("picture", [picture]) => picture::inline(&self.book.pages_dir(), picture),
            ("timetable", []) => Ok(timetable::table(self.pages)),
            ("exercises", []) => practice::table(None),
            ("exercises", [chapter]) => practice::table(Some(chapter)),
            ("mistakes", []) => practice::mistakes(),
            ("minutes", []) => Ok(self.pages[page].front.minutes.unwrap_or(0).to_string()),
            ("callindex", []) => Ok(INDEX.to_owned()),
            _ => Err(Error::invalid(format!("no directive reads {{{{#{text}}}}}")).help(KNOWN)),
        }
    }

    /// `FILE::A, B, impl C for D`: several items of a file in one listing.
    fn items(&mut self, page: usize, rest: &str) -> Result<String> {
        let (file, items) = split(rest)?;
        let source = self.source(file)?;
        let pieces: Result<Vec<Piece>> = items.split(',').map(|item| source.item(item.trim())).collect();
        let pieces = pieces?;
        Ok(self.code(page, pieces))
    }

    fn code(&mut self, page: usize, pieces: Vec<Piece>) -> String {
        let html = figure::code(&pieces);
        let anchor = pieces.first().map(figure::anchor).unwrap_or_default();
        self.shown.extend(pieces.into_iter().map(|piece| Shown { page, piece, anchor: anchor.clone() }));
        html
    }

    fn source(&mut self, file: &str) -> Result<&Source> {
        if !self.sources.contains_key(file) {
            let inside = Path::new(file).components().all(|part| matches!(part, std::path::Component::Normal(_)));
            if !inside {
                return Err(Error::invalid(format!("{file} is no path from the repository's root")));
            }
            self.sources.insert(file.to_owned(), Source::read(&self.book.root, file)?);
        }
        Ok(&self.sources[file])
    }
}

/// Stands for the index until all pages have been seen.
const INDEX: &str = "<!-- the index of calls -->";

const KNOWN: &str = "item FILE::NAME, anchor FILE::NAME, file FILE, main-diff stepNN stepNN, picture NAME, timetable, \
                     exercises, exercises NN, mistakes, callindex, minutes: book/README.md";

fn split(place: &str) -> Result<(&str, &str)> {
    place.split_once("::").ok_or_else(|| Error::invalid(format!("{place} names no file and item: FILE::NAME")))
}
