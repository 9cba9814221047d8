//! Chapter 9: security.

mod cap_sets;
mod filter_arch;
mod mask_path;
mod one_too_many;

use crate::check::Check;

/// The checks of an exercise of this chapter.
pub fn of(name: &str) -> Option<&'static [Check]> {
    Some(match name {
        "cap_sets" => &cap_sets::CHECKS,
        "filter_arch" => &filter_arch::CHECKS,
        "mask_path" => &mask_path::CHECKS,
        "one_too_many" => &one_too_many::CHECKS,
        _ => return None,
    })
}
