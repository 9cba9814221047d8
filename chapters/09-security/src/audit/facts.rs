//! What /proc tells of a process.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use namespaces::{Namespace, inspect};
use nix::unistd::Pid;
use process::{Error, Result};

use crate::CapSet;

/// One process, as the kernel tells it (proc(5)).
#[derive(Debug, Clone, Default)]
pub struct Facts {
    status: BTreeMap<String, String>,
    /// `/proc/PID/uid_map`: first inside, first outside, how many.
    pub uid_map: Vec<[u64; 3]>,
    /// Its namespaces, and whether they are those of this process.
    pub shared: Vec<(Namespace, bool)>,
    /// Its mounts.
    pub mounts: Vec<Mount>,
    /// Soft and hard limits by their names in /proc/PID/limits.
    pub limits: BTreeMap<String, (String, String)>,
    /// The label that AppArmor or SELinux holds it to.
    pub label: String,
    /// The nodes in its /dev.
    pub devices: Vec<String>,
}

/// One of its mounts (proc_pid_mountinfo(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// What of the file system is mounted.
    pub root: String,
    /// Where.
    pub target: PathBuf,
    /// Of the mount, not of the file system.
    pub read_only: bool,
    /// `ext4`, `proc`, …
    pub kind: String,
}

impl Facts {
    /// The process `name`: a number, or `self`.
    ///
    /// # Errors
    /// [`Kind::Unsupported`](process::Kind::Unsupported) if it is not ours to look into.
    pub fn of(name: &str) -> Result<Self> {
        let read = |file: &str| fs::read_to_string(format!("/proc/{name}/{file}"));
        let status = read("status").map_err(|_| Error::not_found(format!("no process has the id {name}")))?;
        let mounts = read("mountinfo").map_err(|_| foreign(name))?;
        let pid = name.parse().map_or(Pid::this(), Pid::from_raw);
        let shared = inspect::inspect(pid)?.into_iter().map(|view| (view.namespace, view.theirs == view.ours));
        Ok(Self {
            status: status.lines().filter_map(|line| line.split_once(':')).map(pair).collect(),
            uid_map: read("uid_map").unwrap_or_default().lines().filter_map(numbers).collect(),
            shared: shared.collect(),
            mounts: mounts.lines().filter_map(Mount::parse).collect(),
            limits: read("limits").unwrap_or_default().lines().skip(1).filter_map(limit).collect(),
            label: read("attr/current").unwrap_or_default().trim_end_matches(['\0', '\n']).to_owned(),
            devices: devices(name),
        })
    }

    /// A field of /proc/PID/status.
    pub fn status(&self, field: &str) -> &str {
        self.status.get(field).map_or("", String::as_str)
    }

    /// A set of capabilities: `CapEff`, `CapBnd`.
    pub fn capabilities(&self, field: &str) -> CapSet {
        CapSet(u64::from_str_radix(self.status(field), 16).unwrap_or(0))
    }

    /// The user id that its root is outside: 0 without a user namespace.
    pub fn root_outside(&self) -> Option<u64> {
        self.uid_map.iter().find(|[inside, ..]| *inside == 0).map(|[_, outside, _]| *outside)
    }

    /// Does it share this namespace with us?
    pub fn shares(&self, namespace: Namespace) -> bool {
        self.shared.iter().any(|(one, shared)| *one == namespace && *shared)
    }

    /// The mount that lies on exactly this place, the topmost.
    pub fn mount_at(&self, target: &str) -> Option<&Mount> {
        self.mounts.iter().rev().find(|mount| mount.target.as_os_str() == target)
    }

    /// Can this path be written, as far as mounts decide? By the topmost mount on the way to it.
    pub fn is_writable_mount(&self, path: &str) -> bool {
        let above = self.mounts.iter().filter(|mount| PathBuf::from(path).starts_with(&mount.target));
        above.max_by_key(|mount| mount.target.components().count()).is_some_and(|mount| !mount.read_only)
    }
}

impl Mount {
    /// `36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
    fn parse(line: &str) -> Option<Self> {
        let (before, after) = line.split_once(" - ")?;
        let fields: Vec<_> = before.split(' ').collect();
        let read_only = fields.get(5)?.split(',').any(|option| option == "ro");
        let kind = after.split(' ').next()?.to_owned();
        Some(Self { root: (*fields.get(3)?).to_owned(), target: fields.get(4)?.into(), read_only, kind })
    }
}

fn foreign(name: &str) -> Error {
    Error::unsupported(format!("process {name} is not ours to look into"))
        .help("become root, or the user whose process it is (ptrace(2), access mode checking)")
}

fn pair((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.trim().to_owned())
}

fn numbers(line: &str) -> Option<[u64; 3]> {
    let numbers: Vec<_> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    numbers.try_into().ok()
}

/// `Max open files            1024                 524288               files`
fn limit(line: &str) -> Option<(String, (String, String))> {
    let (name, rest) = line.split_at_checked(26)?;
    let mut words = rest.split_whitespace();
    Some((name.trim().to_owned(), (words.next()?.to_owned(), words.next()?.to_owned())))
}

/// The names of the nodes directly in its /dev, seen through its root.
fn devices(name: &str) -> Vec<String> {
    use std::os::unix::fs::FileTypeExt;
    let entries = fs::read_dir(format!("/proc/{name}/root/dev")).into_iter().flatten().flatten();
    let nodes = entries.filter(|entry| {
        // Bound nodes look like what they are; the null device over a file is a mask, and named so elsewhere.
        entry.metadata().is_ok_and(|about| {
            (about.file_type().is_char_device() || about.file_type().is_block_device()) && about.rdev() != 0
        })
    });
    let mut names: Vec<_> = nodes.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.sort();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_proc() {
        let mount = Mount::parse("36 35 98:0 /mnt1 /mnt2 ro,noatime master:1 - ext3 /dev/root rw").unwrap();
        assert_eq!((mount.root.as_str(), mount.kind.as_str(), mount.read_only), ("/mnt1", "ext3", true));
        let (name, values) =
            limit("Max open files            1024                 524288               files").unwrap();
        assert_eq!((name.as_str(), values), ("Max open files", ("1024".into(), "524288".into())));
        assert_eq!(numbers("         0     100000      65536"), Some([0, 100_000, 65_536]));
    }

    #[test]
    fn the_deepest_mount_decides() {
        let mount =
            |target: &str, read_only| Mount { root: "/".into(), target: target.into(), read_only, kind: "proc".into() };
        let facts = Facts {
            mounts: vec![mount("/", true), mount("/proc", false), mount("/proc/sys", true)],
            ..Facts::default()
        };
        assert!(facts.is_writable_mount("/proc/1") && !facts.is_writable_mount("/proc/sys/kernel"));
        assert!(!facts.is_writable_mount("/procx"));
    }

    #[test]
    fn we_can_look_at_ourselves() {
        let facts = Facts::of("self").unwrap();
        assert!(!facts.status("Pid").is_empty() && facts.mount_at("/").is_some());
        assert!(facts.shares(Namespace::Mnt));
    }
}
