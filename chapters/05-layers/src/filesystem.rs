//! Which file system a directory lies on, by the names that people know.

use std::path::Path;

use nix::sys::statfs::{FsType, statfs};

/// Magic numbers (statfs(2); linux/magic.h).
const NAMES: [(libc::__fsword_t, &str); 13] = [
    (0xef53, "ext4"),
    (0x5846_5342, "xfs"),
    (0x9123_683e, "btrfs"),
    (0x0102_1994, "tmpfs"),
    (0x2fc1_2fc1, "zfs"),
    (0xf2f5_2010, "f2fs"),
    (0x794c_7630, "overlayfs"),
    (0x6969, "nfs"),
    (0xfe53_4d42, "smb"),
    (0xff53_4d42, "cifs"),
    (0x6573_5546, "fuse"),
    (0x0102_1997, "9p"),
    (0x4d44, "vfat"),
];

/// Those whose files know neither the attributes nor the renames that an upper directory needs.
const NOT_FOR_UPPER: [&str; 6] = ["overlayfs", "nfs", "smb", "cifs", "9p", "vfat"];

/// The name of the file system that `path`, or the nearest directory above it that exists, lies on.
pub fn name(path: &Path) -> String {
    let found = path.ancestors().find_map(|path| statfs(path).ok());
    let Some(FsType(magic)) = found.map(|found| found.filesystem_type()) else {
        return "an unknown file system".to_owned();
    };
    let known = NAMES.iter().find(|(number, _)| *number == magic);
    known.map_or_else(|| format!("file system {magic:#x}"), |(_, name)| (*name).to_owned())
}

/// Can an upper directory lie there? What is not known is left for the kernel to judge.
pub fn holds_upper(name: &str) -> bool {
    !NOT_FOR_UPPER.contains(&name)
}
