//! Chapter 7: images.

mod archive;
mod chain_id;
mod five_layers;
mod reference;
mod smuggle;
mod whiteout;

use crate::check::Check;

/// The checks of an exercise of this chapter.
pub fn of(name: &str) -> Option<&'static [Check]> {
    Some(match name {
        "chain_id" => &chain_id::CHECKS,
        "five_layers" => &five_layers::CHECKS,
        "reference" => &reference::CHECKS,
        "smuggle" => &smuggle::CHECKS,
        "whiteout" => &whiteout::CHECKS,
        _ => return None,
    })
}
