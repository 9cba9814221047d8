//! Removing groups: a container's own at its end, and those whose engine was killed before it could.

use std::fs;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::FlockArg;
use process::{OrCall, Result, explain};

use crate::Group;
use crate::place::lock;

/// How long the kernel may take to let the last process go.
const PATIENCE: Duration = Duration::from_secs(5);

/// Removes the groups below `parent` whose container and engine are both gone.
///
/// The engine of a living container holds the lock of its group; it takes it while it holds the parent's, as
/// the caller does. So a group that can be locked belongs to nobody. Only names that are ids are looked at.
pub fn stale(parent: &Group) {
    let Ok(entries) = fs::read_dir(parent.path()) else { return };
    for name in entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).filter(|name| is_id(name)) {
        let Ok(group) = parent.child(&name) else { continue };
        let Ok(_lock) = lock(&group, FlockArg::LockExclusiveNonblock) else { continue };
        if !group.is_populated() && tree(group.path()).is_ok() {
            explain!(4, "left by an engine that was killed", "rmdir({})", group.path().display());
        }
    }
}

fn is_id(name: &str) -> bool {
    name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Kills who is left in the group, and removes it.
///
/// # Errors
/// `EBUSY` if a process does not end in time.
pub fn kill_and_remove(group: &Group) -> Result<()> {
    if group.is_populated() {
        group.kill()?;
        group.wait_for("populated", 0, PATIENCE)?;
    }
    // Populated tells of processes; the group is busy a little longer, until the last one is reaped.
    for pause in [1, 2, 5, 10, 20, 50, 100, 200, 500] {
        match tree(group.path()) {
            Err(error) if error.errno() == Some(Errno::EBUSY) => std::thread::sleep(Duration::from_millis(pause)),
            done => return done,
        }
    }
    tree(group.path())
}

/// rmdir of a group and those below it, the lowest first. The files in them need no unlink, and have none.
fn tree(path: &Path) -> Result<()> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        tree(&entry.path())?;
    }
    match fs::remove_dir(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        done => {
            explain!(4, "the group is gone", "rmdir({})", path.display());
            done.or_call("rmdir", path.display())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_are_swept() {
        assert!(is_id(&"0a".repeat(32)));
        assert!(!is_id("cooper-engine") && !is_id(&"x".repeat(64)) && !is_id(&"a".repeat(63)));
    }

    #[test]
    fn a_tree_is_removed_from_below() {
        let top = tempfile::tempdir().unwrap();
        fs::create_dir_all(top.path().join("a/b/c")).unwrap();
        tree(&top.path().join("a")).unwrap();
        assert_eq!(fs::read_dir(top.path()).unwrap().count(), 0);
        tree(&top.path().join("a")).unwrap();
    }
}
