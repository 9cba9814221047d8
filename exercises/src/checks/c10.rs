//! Chapter 10: lifecycle.

mod eight_ends;
mod last_words;
mod lost_update;
mod start_again;

use crate::check::Check;

/// The checks of an exercise of this chapter.
pub fn of(name: &str) -> Option<&'static [Check]> {
    Some(match name {
        "eight_ends" => &eight_ends::CHECKS,
        "last_words" => &last_words::CHECKS,
        "lost_update" => &lost_update::CHECKS,
        "start_again" => &start_again::CHECKS,
        _ => return None,
    })
}
