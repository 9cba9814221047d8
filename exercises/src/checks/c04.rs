//! Chapter 4: control groups.

mod too_late;
mod two_levels;
mod way_down;
mod why_slow;

use std::path::PathBuf;

use crate::check::Check;
use crate::lab::Process;

/// The checks of an exercise of this chapter.
pub fn of(name: &str) -> Option<&'static [Check]> {
    Some(match name {
        "too_late" => &too_late::CHECKS,
        "two_levels" => &two_levels::CHECKS,
        "way_down" => &way_down::CHECKS,
        "why_slow" => &why_slow::CHECKS,
        _ => return None,
    })
}

/// The directory of a process's group, as this machine shows it; empty if it has ended.
fn group(process: &Process) -> PathBuf {
    let text = process.read("cgroup").unwrap_or_default();
    let name = text.lines().find_map(|line| line.strip_prefix("0::"));
    let place = cgroups::Hierarchy::find().ok();
    name.zip(place).and_then(|(name, hierarchy)| hierarchy.path_of(name)).unwrap_or_default()
}
