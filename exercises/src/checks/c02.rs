//! Chapter 2: a root.

mod climb;
mod closure;
mod enoent;
mod header;
mod origin;
mod outside;

use std::path::Path;

use rootfs::Recipe;

use crate::Failure;
use crate::check::Check;

/// The checks of an exercise of this chapter.
pub fn of(name: &str) -> Option<&'static [Check]> {
    Some(match name {
        "climb" => &climb::CHECKS,
        "closure" => &closure::CHECKS,
        "enoent" => &enoent::CHECKS,
        "origin" => &origin::CHECKS,
        "outside" => &outside::CHECKS,
        _ => return None,
    })
}

/// A root with these programs of this machine.
fn root(dir: &Path, programs: &[&str]) -> Result<(), Failure> {
    let report = Recipe::new(programs.iter().copied()).build(dir);
    let report = report.map_err(|error| Failure::Machine(format!("a root for the check: {error}")))?;
    let lacks: Vec<_> = programs.iter().filter(|name| report.left_out.iter().any(|out| out.name == **name)).collect();
    if lacks.is_empty() { Ok(()) } else { Err(Failure::Machine(format!("a root for the check lacks {lacks:?}"))) }
}
