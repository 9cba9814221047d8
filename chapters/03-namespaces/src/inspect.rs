//! Which namespaces a process is in, and which of them it shares with us.

use std::os::unix::fs::MetadataExt;

use colored::Colorize;
use nix::unistd::Pid;
use process::{Error, Result};

use crate::args::Namespace;

/// One namespace of a process, beside ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Which kind.
    pub namespace: Namespace,
    /// Its inode, which is what identifies it (namespaces(7)).
    pub theirs: u64,
    /// The inode of ours, which is the host's.
    pub ours: u64,
}

/// The inode of one namespace of a process.
pub fn inode(pid: Pid, namespace: Namespace) -> Option<u64> {
    std::fs::metadata(format!("/proc/{pid}/ns/{}", namespace.file())).ok().map(|metadata| metadata.ino())
}

/// The namespaces of process `pid` beside those of this process.
///
/// # Errors
/// [`Kind::NotFound`](process::Kind::NotFound) without such a process; [`Kind::Unsupported`](process::Kind::Unsupported)
/// if it is not ours to look into.
pub fn inspect(pid: Pid) -> Result<Vec<View>> {
    if !std::path::Path::new(&format!("/proc/{pid}")).exists() {
        return Err(Error::not_found(format!("no process has the id {pid}")).help("`ps` lists those there are"));
    }
    let views = Namespace::ALL.into_iter().filter_map(|namespace| {
        let ours = inode(Pid::this(), namespace)?; // a kernel may be built without one of them
        Some((namespace, ours, inode(pid, namespace)))
    });
    views
        .map(|(namespace, ours, theirs)| match theirs {
            Some(theirs) => Ok(View { namespace, theirs, ours }),
            None => Err(Error::unsupported(format!("process {pid} is not ours to look into"))
                .help("become root, or the user whose process it is (ptrace(2), access mode checking)")),
        })
        .collect()
}

/// Prints the views as a table, with the maps of the user namespace below.
pub fn print(pid: Pid, views: &[View]) {
    println!("{:<10} {:<12} {:<12} with the host", "namespace", "process", "host");
    for view in views {
        let verdict = if view.theirs == view.ours { "shared".yellow() } else { "its own".green() };
        println!("{:<10} {:<12} {:<12} {verdict}", view.namespace.file(), view.theirs, view.ours);
    }
    for file in ["uid_map", "gid_map"] {
        let text = std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let lines: Vec<_> = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        println!("{file:<10} {}   (first inside, first outside, how many)", lines.join("; "));
    }
}
