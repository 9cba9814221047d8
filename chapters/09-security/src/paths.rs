//! Paths of /proc and /sys that a container must not read, or must not write.
//!
//! Both are done by mounts: over a directory an empty one, over a file the null device, and over what may only be read
//! a read-only copy of itself. Every target is opened beneath the root and the mount is attached to that very handle;
//! where the target should be the kernel's, the handle's file system is checked. An image may put links where it
//! likes, or its own things at /dev/null or /proc: none of it decides what is mounted where (CVE-2025-31133,
//! CVE-2025-52565, CVE-2026-41579).

use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use namespaces::mount::{Mount, NODEV, NOEXEC, NOSUID, RDONLY};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::{Mode, SFlag, fstat, makedev};
use nix::sys::statfs::{FsType, PROC_SUPER_MAGIC, SYSFS_MAGIC, fstatfs};
use process::{Error, OrCall, Result, Stage, explain};
use rootfs::RootDir;

/// What Docker masks (moby, `oci/defaults.go`): what tells about the host's hardware, memory and kernel.
pub const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// What Docker makes read-only: what changes the kernel for everybody.
pub const READONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// [`MASKED`], and what Docker masks for each processor: from the times at which one was throttled for its heat,
/// a neighbour's work can be guessed.
pub fn default_masked() -> Vec<PathBuf> {
    let throttled = std::fs::read_dir("/sys/devices/system/cpu").into_iter().flatten().flatten();
    let throttled = throttled.map(|entry| entry.path().join("thermal_throttle")).filter(|path| path.is_dir());
    let mut all: Vec<_> = MASKED.iter().map(PathBuf::from).chain(throttled).collect();
    all.sort();
    all
}

/// [`READONLY`].
pub fn default_readonly() -> Vec<PathBuf> {
    READONLY.iter().map(PathBuf::from).collect()
}

/// The stage. It follows all mounts, and stands before the root is taken.
pub struct Paths {
    root: PathBuf,
    masked: Vec<PathBuf>,
    readonly: Vec<PathBuf>,
}

impl Paths {
    /// Paths beneath `root`; those that are not there are left out.
    pub fn new(root: PathBuf, masked: Vec<PathBuf>, readonly: Vec<PathBuf>) -> Self {
        Self { root, masked, readonly }
    }
}

impl Stage for Paths {
    fn name(&self) -> &'static str {
        "masked paths"
    }

    fn create_container(&mut self) -> Result<()> {
        let root = RootDir::open(&self.root)?;
        for path in &self.readonly {
            if let Some(target) = target(&root, path)? {
                read_only(target, path)?;
            }
        }
        let mut mask = Mask::default();
        for path in &self.masked {
            if let Some(target) = target(&root, path)? {
                mask.cover(target, path)?;
            }
        }
        Ok(())
    }
}

/// A handle of `path` inside the root; none if it does not exist.
///
/// # Errors
/// As openat2(2); if what is there is not what the kernel has there.
fn target(root: &RootDir, path: &Path) -> Result<Option<OwnedFd>> {
    let fd = match root.resolve(path) {
        Err(error) if matches!(error.errno(), Some(Errno::ENOENT | Errno::ENOTDIR)) => return Ok(None),
        found => found?,
    };
    let tops = [("/proc", PROC_SUPER_MAGIC), ("/sys", SYSFS_MAGIC)];
    let Some((top, magic)) = tops.into_iter().find(|(top, _)| path.starts_with(top)) else { return Ok(Some(fd)) };
    // Below it the kernel's other file systems may be mounted (/proc/sys/fs/binfmt_misc), but none of an image.
    let found = fstatfs(&fd).or_call("fstatfs", path.display())?.filesystem_type();
    if is_kernels(root, top, magic)? && found != magic && !is_of_the_kernel(found) {
        return Err(Error::unsupported(format!("{} in the root does not lead to the kernel's own", path.display()))
            .help("a link or a mount in the way there would have the wrong thing covered"));
    }
    Ok(Some(fd))
}

/// Is the root's /proc (or /sys) the kernel's? A bundle may do without; but it must be a directory, not a link.
fn is_kernels(root: &RootDir, top: &str, magic: FsType) -> Result<bool> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW;
    let fd = root.open_at(top, flags);
    let fd = fd.map_err(|error| error.help(format!("{top} in the root must be a plain directory, not a link")))?;
    Ok(fstatfs(&fd).or_call("fstatfs", top)?.filesystem_type() == magic)
}

/// File systems that the kernel or the engine mounts below /proc and /sys, by their numbers in linux/magic.h.
fn is_of_the_kernel(found: FsType) -> bool {
    let known = [
        0x4249_4e4d, // binfmt_misc
        0x6367_7270, // cgroup2
        0x0027_e0eb, // cgroup
        0x0102_1994, // tmpfs: an engine's own mask, when we run inside another container
        0x6462_6720, // debugfs
        0x7472_6163, // tracefs
        0x7363_6673, // securityfs
        0xf97c_ff8c, // selinux
        0xcafe_4a11, // bpf
        0x6165_676c, // pstore
        0xde5e_81e4, // efivarfs
        0x6573_5543, // fusectl
        0x6265_6570, // configfs
    ];
    known.contains(&(found.0 as u64 & 0xffff_ffff))
}

/// Mounts a read-only copy of `target` on itself. Only adds a flag, so that what is locked stays as it is
/// (nosuid, nodev, noexec: in a user namespace they cannot be taken away, mount_namespaces(7)).
fn read_only(target: OwnedFd, path: &Path) -> Result<()> {
    let place = path.display().to_string();
    let copy = Mount::tree(&target, &place, true)?;
    copy.set(RDONLY, true)?;
    copy.attach(target, &place)?;
    explain!(9, "may be read, not written", "mount_setattr({place}, RDONLY)");
    Ok(())
}

/// What masks are made of, each opened when it is first needed.
#[derive(Default)]
struct Mask {
    /// The host's null device.
    null: Option<OwnedFd>,
    /// A mount of an empty directory that is attached already, to be copied for the others.
    empty: Option<OwnedFd>,
}

impl Mask {
    fn cover(&mut self, target: OwnedFd, path: &Path) -> Result<()> {
        let place = path.display().to_string();
        let about = fstat(&target).or_call("fstat", &place)?;
        if about.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFDIR.bits() {
            self.empty()?.attach(target, &place)?;
            // Copied from where it is attached: older kernels copy no detached mount (open_tree(2)).
            explain!(9, "an empty directory that stays empty", "mask {place}");
        } else {
            let null = Mount::tree(self.null()?, "/dev/null", false)?;
            // It is the host's own node: its mode and its owner are not the container's to change. Writing goes on.
            null.set(RDONLY | NOSUID | NOEXEC, false)?;
            null.attach(target, &place)?;
            explain!(9, "reads as empty", "mask {place}");
        }
        Ok(())
    }

    /// One tmpfs for all of them: it has room for its root, and for nothing else.
    fn empty(&mut self) -> Result<Mount> {
        if let Some(attached) = &self.empty {
            return Mount::tree(attached, "an empty directory", false);
        }
        let options = [("mode", "0755"), ("nr_inodes", "1"), ("nr_blocks", "1")];
        let first = Mount::filesystem("tmpfs", &options, NOSUID | NODEV | NOEXEC | RDONLY)?;
        self.empty = Some(first.as_fd().try_clone_to_owned().or_call("dup", "a tmpfs")?);
        Ok(first)
    }

    fn null(&mut self) -> Result<&OwnedFd> {
        match &mut self.null {
            Some(null) => Ok(null),
            none => Ok(none.insert(host_null()?)),
        }
    }
}

/// The null device of the host, whose root is still in view; and it is that, by the number of what was opened.
///
/// # Errors
/// As open(2); if /dev/null is anything else.
pub fn host_null() -> Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let null = open("/dev/null", flags, Mode::empty()).or_call("open", "/dev/null")?;
    if !is_null(&null)? {
        return Err(
            Error::unsupported("the host's /dev/null is not the null device").help("mknod -m 666 /dev/null c 1 3")
        );
    }
    Ok(null)
}

/// Is it the character device 1:3?
fn is_null(fd: impl AsFd) -> Result<bool> {
    let about = fstat(fd).or_call("fstat", "/dev/null")?;
    Ok(about.st_mode & SFlag::S_IFMT.bits() == SFlag::S_IFCHR.bits() && about.st_rdev == makedev(1, 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_null_device_is_taken_for_it() {
        assert!(is_null(host_null().unwrap()).unwrap());
        for other in ["/dev/zero", "/etc/passwd", "/dev"] {
            let fd = open(other, OFlag::O_PATH, Mode::empty()).unwrap();
            assert!(!is_null(&fd).unwrap(), "{other}");
        }
    }

    #[test]
    fn what_is_not_there_is_left_out() {
        let place = tempfile::tempdir().unwrap();
        let root = RootDir::open(place.path()).unwrap();
        std::fs::write(place.path().join("file"), "").unwrap();
        assert!(target(&root, Path::new("/none/at/all")).unwrap().is_none());
        assert!(target(&root, Path::new("/file/below")).unwrap().is_none());
        assert!(target(&root, Path::new("/file")).unwrap().is_some());
    }

    #[test]
    fn a_proc_that_is_a_link_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let root = RootDir::open(place.path()).unwrap();
        std::fs::create_dir_all(place.path().join("other/sys")).unwrap();
        std::os::unix::fs::symlink("/other", place.path().join("proc")).unwrap();
        let error = target(&root, Path::new("/proc/sys")).unwrap_err();
        assert!(error.way_out().unwrap().contains("plain directory"), "{error}");
    }
}
