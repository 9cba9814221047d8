//! One source, many programs: what the learner starts from, our solution, and the wrong ones that a check must reject.
//!
//! A source is Rust with marked regions. What stands outside of them is in every variant:
//! ```text
//! fn code_of(end: WaitStatus) -> u8 {
//!     //@ starter
//!     todo!()
//!     //@ solution
//!     …
//!     //@ wrong forgets-signals
//!     …
//!     //@ end
//! }
//! ```
//! A mark may name several variants, with commas between. A wrong variant without lines of its own in a region has the
//! solution's there; a starter without any has none.

use std::collections::BTreeSet;

use process::{Error, Result};

/// Which program to make of a source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Variant {
    /// What the learner finds.
    Starter,
    /// A right answer.
    Solution,
    /// A wrong answer, by its name.
    Wrong(String),
}

/// A source, taken apart.
#[derive(Debug, Clone)]
pub struct Source {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone)]
enum Piece {
    /// In every variant.
    Common(String),
    /// The blocks of a region, each with the variants that have it.
    Region(Vec<(Vec<Variant>, String)>),
}

impl Source {
    /// Takes a source apart; `name` is for error messages.
    ///
    /// # Errors
    /// A mark that is none, a region that does not end.
    pub fn parse(name: &str, text: &str) -> Result<Self> {
        let mut pieces = vec![Piece::Common(String::new())];
        for (number, line) in text.lines().enumerate() {
            let at = |what: &str| Error::invalid(what).at(format_args!("{name}:{}", number + 1));
            let Some(mark) = line.trim_start().strip_prefix("//@ ") else {
                let text = match pieces.last_mut() {
                    Some(Piece::Common(text)) => text,
                    Some(Piece::Region(blocks)) => &mut blocks.last_mut().expect("a region begins with a block").1,
                    None => unreachable!("there is always a piece"),
                };
                *text += line;
                text.push('\n');
                continue;
            };
            let open = matches!(pieces.last(), Some(Piece::Region(_)));
            if mark.trim() == "end" {
                if !open {
                    return Err(at("`end`, and no region is open"));
                }
                pieces.push(Piece::Common(String::new()));
                continue;
            }
            let variants: Option<Vec<_>> = mark.split(',').map(|word| Variant::parse(word.trim())).collect();
            let variants = variants.ok_or_else(|| at("a mark is `starter`, `solution`, `wrong NAME` or `end`"))?;
            match pieces.last_mut() {
                Some(Piece::Region(blocks)) => blocks.push((variants, String::new())),
                _ => pieces.push(Piece::Region(vec![(variants, String::new())])),
            }
        }
        if matches!(pieces.last(), Some(Piece::Region(_))) {
            return Err(Error::invalid("a region does not end").at(name));
        }
        Ok(Self { pieces })
    }

    /// The names of the wrong variants that it has lines for.
    pub fn wrong(&self) -> BTreeSet<String> {
        let regions = self.pieces.iter().filter_map(|piece| match piece {
            Piece::Region(blocks) => Some(blocks),
            Piece::Common(_) => None,
        });
        let variants = regions.flatten().flat_map(|(variants, _)| variants);
        variants
            .filter_map(|variant| if let Variant::Wrong(name) = variant { Some(name.clone()) } else { None })
            .collect()
    }

    /// The program of this variant.
    pub fn render(&self, variant: &Variant) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Common(text) => text.clone(),
            Piece::Region(blocks) => {
                let of = |wanted: &Variant| blocks.iter().find(|(variants, _)| variants.contains(wanted));
                let fallback = || if *variant == Variant::Starter { None } else { of(&Variant::Solution) };
                of(variant).or_else(fallback).map(|(_, text)| text.clone()).unwrap_or_default()
            }
        };
        self.pieces.iter().map(piece).collect()
    }
}

impl Variant {
    fn parse(word: &str) -> Option<Self> {
        match word.split_once(' ') {
            None if word == "starter" => Some(Self::Starter),
            None if word == "solution" => Some(Self::Solution),
            Some(("wrong", name)) if !name.is_empty() => Some(Self::Wrong(name.trim().to_owned())),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "a\n  //@ starter\nb\n//@ solution, wrong x\nc\n//@ wrong y\nd\n//@ end\ne\n";

    #[test]
    fn variants() {
        let source = Source::parse("t", TEXT).unwrap();
        let lines = |variant| source.render(&variant);
        assert_eq!(lines(Variant::Starter), "a\nb\ne\n");
        assert_eq!(lines(Variant::Solution), "a\nc\ne\n");
        assert_eq!(lines(Variant::Wrong("x".into())), "a\nc\ne\n");
        assert_eq!(lines(Variant::Wrong("y".into())), "a\nd\ne\n");
        assert_eq!(lines(Variant::Wrong("z".into())), "a\nc\ne\n");
        assert_eq!(source.wrong().into_iter().collect::<Vec<_>>(), ["x", "y"]);
    }

    #[test]
    fn bad_marks() {
        for text in ["//@ end\n", "//@ starter\n", "//@ strater\n//@ end\n", "//@ wrong\n//@ end\n"] {
            assert!(Source::parse("t", text).is_err(), "{text}");
        }
    }
}
