//! Chapter 3: namespaces.

mod host_name;
mod id_maps;
mod leaky_mounts;
mod neighbour;
mod two_processes;
pub mod watch;

use crate::check::Check;

/// The checks of an exercise of this chapter.
pub fn of(name: &str) -> Option<&'static [Check]> {
    Some(match name {
        "host_name" => &host_name::CHECKS,
        "id_maps" => &id_maps::CHECKS,
        "leaky_mounts" => &leaky_mounts::CHECKS,
        "neighbour" => &neighbour::CHECKS,
        "two_processes" => &two_processes::CHECKS,
        _ => return None,
    })
}
