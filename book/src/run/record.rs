//! What machine a record was made on.

use std::path::Path;
use std::process::Command;

/// The kernel, and which version of control groups is mounted.
pub fn machine() -> (String, String) {
    let uname = nix::sys::utsname::uname();
    let release = uname.map(|names| names.release().to_string_lossy().into_owned()).unwrap_or_default();
    let is_v2 = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    let cgroup = match (is_v2, Path::new("/sys/fs/cgroup/unified").exists()) {
        (true, _) => "v2",
        (false, true) => "v1 and v2 (hybrid)",
        (false, false) => "v1",
    };
    (format!("Linux {release}"), cgroup.to_owned())
}

/// The commit of the tree, short.
pub fn commit(root: &Path) -> String {
    let mut git = Command::new("git");
    git.arg("-C").arg(root).args(["rev-parse", "--short", "HEAD"]);
    let output = git.output().map(|output| output.stdout).unwrap_or_default();
    let commit = String::from_utf8_lossy(&output).trim().to_owned();
    if commit.is_empty() { "unknown".into() } else { commit }
}
