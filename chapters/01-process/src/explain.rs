//! `--explain`: each kernel call is narrated as it happens, with the chapter that explains it.
//!
//! Off, it costs one relaxed load per call. On, it writes to a duplicate of standard error, so
//! that it still reaches the reader after the child has been given a terminal of its own.

use std::fmt::Arguments;
use std::io::{IsTerminal, Write};
use std::sync::OnceLock;

use colored::Colorize;

/// The column of the calls, in characters.
const WIDTH: usize = 52;

static NARRATOR: OnceLock<std::fs::File> = OnceLock::new();

/// Turns the narration on for this process and the children it makes.
pub fn enable() {
    let stderr = std::os::fd::AsFd::as_fd(&std::io::stderr()).try_clone_to_owned();
    if let Ok(fd) = stderr {
        let _ = NARRATOR.set(std::fs::File::from(fd));
    }
}

/// Is the narration on?
#[inline]
pub fn on() -> bool {
    NARRATOR.get().is_some()
}

/// Writes one line: the call as it was made, why, and the chapter. Use [`explain!`](crate::explain!).
pub fn say(chapter: u8, why: &str, call: Arguments<'_>) {
    if let Some(mut out) = NARRATOR.get() {
        let end = if out.is_terminal() { "\r\n" } else { "\n" }; // a raw terminal stays in its column otherwise
        let mut call = format!("{:<WIDTH$}", shorten(&call.to_string()));
        let place = format!("chapter {chapter}");
        if call.chars().count() > WIDTH {
            call = format!("{call}{end}  {:<WIDTH$}", ""); // the reasons stay in their column
        }
        // One write, so that lines of parent and child do not mix; a closed terminal is no reason to stop.
        let line = format!("  {} {}: {}{end}", call.cyan(), why, place.yellow());
        let _ = out.write_all(line.as_bytes());
    }
}

/// Ids of 64 digits make a line unreadable: 12 of them are what people know a container by.
fn shorten(call: &str) -> String {
    let mut short = String::with_capacity(call.len());
    let mut rest = call;
    while let Some(start) = rest.find(|one: char| one.is_ascii_hexdigit()) {
        let length = rest[start..].find(|one: char| !one.is_ascii_hexdigit()).unwrap_or(rest.len() - start);
        let (before, run) = (&rest[..start], &rest[start..start + length]);
        short.push_str(before);
        short.push_str(if length == 64 { &run[..12] } else { run });
        short.push_str(if length == 64 { "…" } else { "" });
        rest = &rest[start + length..];
    }
    short + rest
}

/// Narrates a kernel call that was just made: `explain!(3, "a new host name", "sethostname({name})")`.
#[macro_export]
macro_rules! explain {
    ($chapter:expr, $why:expr, $($call:tt)+) => {
        if $crate::explain::on() {
            $crate::explain::say($chapter, $why, format_args!($($call)+));
        }
    };
}

#[cfg(test)]
mod tests {
    use super::shorten;

    #[test]
    fn only_long_ids_are_shortened() {
        let id = "0123456789abcdef".repeat(4);
        assert_eq!(shorten(&format!("rename(/a/{id}/b, {id})")), "rename(/a/0123456789ab…/b, 0123456789ab…)");
        assert_eq!(shorten("clone3(NEWPID) = 4242 in /dead/beef"), "clone3(NEWPID) = 4242 in /dead/beef");
    }
}
