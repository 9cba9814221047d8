//! Chapter 6: the network.

mod unreachable;
mod world;

use crate::check::Check;

/// The checks of an exercise of this chapter.
pub fn of(name: &str) -> Option<&'static [Check]> {
    Some(match name {
        "unreachable" => &unreachable::CHECKS,
        _ => return None,
    })
}
