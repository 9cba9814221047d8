//! Where cgroup v2 is mounted, and who is in which group (cgroups(7), proc_pid_cgroup(5)).

use std::fs;
use std::path::{Path, PathBuf};

use process::{Error, OrCall, Result};

use crate::Controller;
use crate::controller::UNIFIED;

/// The mounted cgroup v2 hierarchy, and what cgroup v1 has kept from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// The mount point, mostly /sys/fs/cgroup.
    pub mount: PathBuf,
    /// Which group is mounted there, as seen from our cgroup namespace; `/` unless a part is bound somewhere.
    pub root: PathBuf,
    /// Mounts of cgroup v1: their options and mount points.
    v1: Vec<(String, PathBuf)>,
}

/// One line of /proc/PID/mountinfo, as far as it matters here.
struct Mount<'a> {
    root: PathBuf,
    point: PathBuf,
    writable: bool,
    fstype: &'a str,
    super_options: &'a str,
}

impl Hierarchy {
    /// Looks at our own mounts.
    ///
    /// # Errors
    /// [`Kind::Unsupported`](process::Kind::Unsupported) if cgroup v2 is mounted nowhere.
    pub fn find() -> Result<Self> {
        let path = "/proc/self/mountinfo";
        Self::parse(&fs::read_to_string(path).or_call("read", path)?)
    }

    /// As [`find`](Self::find), of the text of a mountinfo file.
    ///
    /// # Errors
    /// As [`find`](Self::find).
    pub fn parse(mountinfo: &str) -> Result<Self> {
        let mounts: Vec<_> = mountinfo.lines().filter_map(Mount::parse).collect();
        let v1 = mounts.iter().filter(|mount| mount.fstype == "cgroup");
        let v1: Vec<_> = v1.map(|mount| (mount.super_options.to_owned(), mount.point.clone())).collect();
        // The whole hierarchy rather than a part, a writable mount rather than a read-only one, the last rather than the first.
        let best = mounts
            .into_iter()
            .filter(|mount| mount.fstype == "cgroup2")
            .max_by_key(|mount| (mount.root == Path::new("/"), mount.writable));
        match (best, v1.first()) {
            (Some(mount), _) => Ok(Self { mount: mount.point, root: mount.root, v1 }),
            (None, Some((_, point))) => {
                let what = format!("only cgroup v1 is mounted here (at {}), not cgroup v2", point.display());
                Err(Error::unsupported(what).help(UNIFIED))
            }
            (None, None) => Err(Error::unsupported("cgroup v2 is not mounted here")
                .help("sudo mount -t cgroup2 cgroup2 /sys/fs/cgroup; inside a container: have its engine mount it")),
        }
    }

    /// The directory of a group as /proc/PID/cgroup names it; none if it lies outside what is mounted.
    pub fn path_of(&self, cgroup: &str) -> Option<PathBuf> {
        let below = Path::new(cgroup).strip_prefix(&self.root).ok()?;
        // `/..` is how the kernel shows a group above the root of our cgroup namespace.
        if below.starts_with("..") {
            return None;
        }
        Some(if below.as_os_str().is_empty() { self.mount.clone() } else { self.mount.join(below) })
    }

    /// Where cgroup v1 has `controller` mounted, if it does.
    pub fn v1_mount(&self, controller: Controller) -> Option<&Path> {
        let has = |options: &str| options.split(',').any(|option| option == controller.v1_name());
        self.v1.iter().find(|(options, _)| has(options)).map(|(_, point)| point.as_path())
    }

    /// Does cgroup v1 hold any controller here?
    pub fn is_hybrid(&self) -> bool {
        Controller::ALL.into_iter().any(|controller| self.v1_mount(controller).is_some())
    }
}

impl<'a> Mount<'a> {
    /// `31 23 0:28 ROOT POINT OPTIONS [TAGS…] - FSTYPE SOURCE SUPER_OPTIONS` (proc_pid_mountinfo(5)).
    fn parse(line: &'a str) -> Option<Self> {
        let (front, back) = line.split_once(" - ")?;
        let mut front = front.split(' ').skip(3);
        let (root, point, options) = (front.next()?, front.next()?, front.next()?);
        let mut back = back.split(' ');
        let (fstype, _source, super_options) = (back.next()?, back.next()?, back.next()?);
        let writable = options.split(',').any(|option| option == "rw");
        Some(Self { root: unescape(root), point: unescape(point), writable, fstype, super_options })
    }
}

/// Space, tab, newline and backslash are written in octal, `\040` and so on.
fn unescape(text: &str) -> PathBuf {
    let octal = [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")];
    PathBuf::from(octal.iter().fold(text.to_owned(), |text, (code, plain)| text.replace(code, plain)))
}

/// The group of process `pid` (a number, or `self`) in the v2 hierarchy, for example `/user.slice`.
///
/// # Errors
/// As reading /proc/PID/cgroup; [`Kind::Unsupported`](process::Kind::Unsupported) if it has no line `0::`.
pub fn cgroup_of(pid: impl std::fmt::Display) -> Result<String> {
    let path = format!("/proc/{pid}/cgroup");
    let text = fs::read_to_string(&path).or_call("read", &path)?;
    let line = text.lines().find_map(|line| line.strip_prefix("0::"));
    line.map(str::to_owned).ok_or_else(|| {
        Error::unsupported(format!("{path} has no line `0::`: the kernel runs cgroup v1 alone")).help(UNIFIED)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/blk\\040io rw,relatime shared:4 - cgroup cgroup rw,blkio
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate
";

    #[test]
    fn a_hybrid_host_is_known_by_its_mounts() {
        let found = Hierarchy::parse(HYBRID).unwrap();
        assert_eq!(found.mount, Path::new("/sys/fs/cgroup/unified"));
        assert_eq!(found.v1_mount(Controller::Cpu), Some(Path::new("/sys/fs/cgroup/cpu")));
        assert_eq!(found.v1_mount(Controller::Io), Some(Path::new("/sys/fs/cgroup/blk io")));
        assert_eq!(found.v1_mount(Controller::Pids), None);
        assert!(found.is_hybrid());
    }

    #[test]
    fn the_whole_and_writable_mount_is_taken() {
        let text = "\
1 0 0:1 /a /part rw - cgroup2 none rw
2 0 0:1 / /readonly ro - cgroup2 none rw
3 0 0:1 / /sys/fs/cgroup rw - cgroup2 none rw
4 0 0:2 / /tmp rw - tmpfs tmpfs rw
";
        let found = Hierarchy::parse(text).unwrap();
        assert_eq!(found.mount, Path::new("/sys/fs/cgroup"));
        assert!(!found.is_hybrid());
        assert_eq!(found.path_of("/user.slice/x"), Some("/sys/fs/cgroup/user.slice/x".into()));
        assert_eq!(found.path_of("/"), Some("/sys/fs/cgroup".into()));
        assert_eq!(found.path_of("/../outside"), None);
        let part = Hierarchy::parse(text.lines().next().unwrap()).unwrap();
        assert_eq!(part.path_of("/a/b"), Some("/part/b".into()));
        assert_eq!(part.path_of("/c"), None);
    }

    #[test]
    fn without_version_2_the_way_out_is_told() {
        let v1 = HYBRID.lines().next().unwrap();
        assert!(Hierarchy::parse(v1).unwrap_err().way_out().unwrap().contains("systemd.unified_cgroup_hierarchy=1"));
        assert!(Hierarchy::parse("").unwrap_err().way_out().unwrap().contains("mount -t cgroup2"));
    }
}
