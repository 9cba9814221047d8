//! Chapter 5: layers.

mod changes;
mod deep_read_only;
mod first_fill;
mod in_upper;
mod overlay;

use crate::check::Check;

/// The checks of an exercise of this chapter.
pub fn of(name: &str) -> Option<&'static [Check]> {
    Some(match name {
        "deep_read_only" => &deep_read_only::CHECKS,
        "changes" => &changes::CHECKS,
        "in_upper" => &in_upper::CHECKS,
        "first_fill" => &first_fill::CHECKS,
        _ => return None,
    })
}
