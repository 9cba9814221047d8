//! Chapter 1: a process.

mod exit_code;

use crate::check::Check;

/// The checks of an exercise of this chapter.
pub fn of(name: &str) -> Option<&'static [Check]> {
    Some(match name {
        "exit_code" => &exit_code::CHECKS,
        _ => return None,
    })
}
