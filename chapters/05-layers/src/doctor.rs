//! What chapter 5 needs from the machine.

use std::path::{Path, PathBuf};

use namespaces::running::make_private;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{getegid, geteuid};
use process::doctor::{Check, in_child};
use process::{OrCall, Result};
use rootfs::dirs;

use crate::{Overlay, filesystem};

/// Checks that overlayfs works for this user, where the engine keeps its data.
pub fn doctor() -> Vec<Check> {
    let data = &dirs().data;
    let place = filesystem::name(data);
    vec![data_directory(data, &place), overlay(data)]
}

fn data_directory(data: &Path, place: &str) -> Check {
    let what = "data directory";
    if filesystem::holds_upper(place) {
        return Check::works(5, what, format!("{} on {place}", data.display()));
    }
    let mend = "export COOPER_DATA=DIR, a directory on ext4, xfs, btrfs or tmpfs";
    Check::missing(5, what, format!("{} on {place}, which cannot hold an upper directory", data.display()), mend)
}

/// Mounts one, in a child with namespaces of its own.
fn overlay(data: &Path) -> Check {
    let what = if geteuid().is_root() { "overlayfs" } else { "overlayfs for ordinary users" };
    let known = std::fs::read_to_string("/proc/filesystems").is_ok_and(|list| list.contains("\toverlay\n"));
    let scratch = data.join(format!(".doctor-{}", std::process::id()));
    let tried = make_scratch(&scratch).map(|()| in_child(|| try_it(&scratch)));
    let _ = std::fs::remove_dir_all(&scratch);
    match tried {
        Ok(true) => Check::works(5, what, "mounted one for a try"),
        Err(error) => {
            let mend = "export COOPER_DATA=DIR, a directory that this user may write to";
            Check::missing(5, what, error.what(), mend)
        }
        Ok(false) if !known => Check::missing(5, what, "not in /proc/filesystems", "sudo modprobe overlay"),
        Ok(false) if geteuid().is_root() => {
            Check::missing(5, what, "mount was refused", "inside another container: give it CAP_SYS_ADMIN")
        }
        Ok(false) => Check::missing(5, what, "mount was refused", "Linux 5.11 and user namespaces; or run as root"),
    }
}

fn make_scratch(scratch: &Path) -> Result<()> {
    make_private(scratch)?;
    ["lower", "upper", "work", "merged"].map(|name| scratch.join(name)).iter().try_for_each(|path| make_private(path))
}

fn try_it(scratch: &Path) -> Result<()> {
    let (uid, gid) = (geteuid(), getegid());
    if uid.is_root() {
        unshare(CloneFlags::CLONE_NEWNS).or_call("unshare", "NEWNS")?;
    } else {
        unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS).or_call("unshare", "NEWUSER|NEWNS")?;
        for (file, text) in
            [("setgroups", "deny".to_owned()), ("uid_map", format!("0 {uid} 1")), ("gid_map", format!("0 {gid} 1"))]
        {
            std::fs::write(PathBuf::from("/proc/self").join(file), text).or_call("write", file)?;
        }
    }
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_SLAVE | MsFlags::MS_REC, None::<&str>).or_call("mount", "/")?;
    let [lower, upper, work, merged] = ["lower", "upper", "work", "merged"].map(|name| scratch.join(name));
    Overlay { lowers: vec![lower], upper, work, merged, read_only: false, volatile: false }.mount()
}
