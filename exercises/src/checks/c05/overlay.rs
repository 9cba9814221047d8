//! An overlay in the room, for what is tried on it.

use crate::Failure;
use crate::lab::{Lab, Output};

/// Makes `lower` with `before`, mounts an overlay over it, changes it with `during` in the merged directory, unmounts it,
/// and runs `after` where `lower` and `upper` lie. An upper directory may lie neither on another overlay, which the
/// machine's disk may be, nor before Linux 6.6 on a tmpfs: both are tried.
const MOUNT: &str = r#"
for place in /lab/work /tmp; do
    mkdir -p $place/o && cd $place/o && mkdir lower upper work merged || exit 90
    mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work,userxattr merged 2> ../no || continue
    mkdir lower/probe && rmdir merged/probe && mkdir merged/probe 2>> ../no && rmdir merged/probe && umount merged && break
    umount merged
done
cd $place/o && rmdir lower/probe merged && rm -rf upper work && mkdir upper work merged || { cat ../no >&2; exit 91; }
"#;

/// Runs the scripts; `$1` and so on are `args`.
///
/// # Errors
/// No overlay can be mounted here.
pub fn on_overlay(lab: &Lab, before: &str, during: &str, after: &str, args: &[&str]) -> Result<Output, Failure> {
    let script = format!(
        "{MOUNT}\n(cd lower && {{ {before}\n}}) || exit 92\n\
         mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work,userxattr merged || exit 91\n\
         (cd merged && {{ {during}\n}}) || exit 93\numount merged || exit 94\n{after}"
    );
    let done = lab.sh(&script, args)?;
    match done.code {
        90..=94 => Err(Failure::Machine(format!("no overlay here ({}): {}", done.code, done.stderr.trim()))),
        _ => Ok(done),
    }
}
