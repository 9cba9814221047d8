//! The book: pages that cannot go stale.
//!
//! Code enters a page by reference to the compiled source ([`source`], [`expand`]); commands are [`cell`]s whose output
//! was recorded by running them ([`run`]). [`build`] makes the pages of both, [`lint`] finds what a page forgot.
//! For authors: book/README.md.

pub mod build;
pub mod cell;
mod diff;
mod expand;
mod figure;
mod front;
pub mod index;
pub mod lint;
mod page;
mod picture;
mod practice;
pub mod run;
pub mod serve;
mod source;
mod timetable;
mod warnings;

pub use front::{Front, Record};
pub use page::{Book, Page};
pub use process::{Error, Result};

/// Text as HTML shows it. Line ends become references, so that no blank line ends the HTML block (CommonMark, 4.6).
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + text.len() / 8);
    for one in text.chars() {
        match one {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' => out.push_str("&#10;"),
            other => out.push(other),
        }
    }
    out
}
