//! Chapter 3: namespaces.

mod host_name;
mod leaky_mounts;
mod watch;

use crate::check::Check;

/// The checks of an exercise of this chapter.
pub fn of(name: &str) -> Option<&'static [Check]> {
    Some(match name {
        "host_name" => &host_name::CHECKS,
        "leaky_mounts" => &leaky_mounts::CHECKS,
        _ => return None,
    })
}
