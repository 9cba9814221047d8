//! Chapter 6: the network.

mod free_subnet;
mod localnet;
mod publish;
mod unreachable;
mod world;

use crate::check::Check;

/// The checks of an exercise of this chapter.
pub fn of(name: &str) -> Option<&'static [Check]> {
    Some(match name {
        "free_subnet" => &free_subnet::CHECKS,
        "localnet" => &localnet::CHECKS,
        "publish" => &publish::CHECKS,
        "unreachable" => &unreachable::CHECKS,
        _ => return None,
    })
}
