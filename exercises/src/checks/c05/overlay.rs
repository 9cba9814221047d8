//! An overlay in the room, for what is tried on it.

use crate::Failure;
use crate::lab::{Lab, Output};

/// Makes `lower` with `before`, mounts an overlay over it, changes it with `during` in the merged directory, unmounts
/// it, and runs `after` where `lower` and `upper` lie. An upper directory may lie neither on another overlay, which the
/// machine's disk may be, nor before Linux 6.6 on a tmpfs: both are tried.
const MOUNT: &str = r#"
make() { rm -rf upper work; mkdir upper work && mount -t overlay overlay -o "$options" merged; }
options=lowerdir=lower,upperdir=upper,workdir=work,userxattr good=
for place in /lab/work /tmp; do
    mkdir $place/overlay && cd $place/overlay && mkdir -p lower/probe merged || exit 90
    make 2> /tmp/no || continue
    # A directory that is made again takes an attribute, which not every file system has.
    rmdir merged/probe && mkdir merged/probe 2> /tmp/no && good=yes
    umount merged && rmdir lower/probe || exit 90
    test -z "$good" || break
done
test "$good" || { cat /tmp/no >&2; exit 91; }
"#;

/// Runs the scripts; `$1` and so on are `args`.
///
/// # Errors
/// No overlay can be mounted here.
pub fn on_overlay(lab: &Lab, before: &str, during: &str, after: &str, args: &[&str]) -> Result<Output, Failure> {
    let script = format!(
        "{MOUNT}\n(cd lower && {{ {before}\n}}) || exit 92\nmake || exit 91\n\
         (cd merged && {{ {during}\n}}) || exit 93\numount merged || exit 94\n{after}"
    );
    let done = lab.sh(&script, args)?;
    match done.code {
        91 => Err(Failure::Machine(format!(
            "no directory here can be an overlay's upper one ({}); TMPDIR may name one on ext4, xfs or btrfs",
            done.stderr.trim()
        ))),
        90..=94 => Err(Failure::Machine(format!("the overlay cannot be changed: {}", done.stderr.trim()))),
        _ => Ok(done),
    }
}
