//! The layer between the image's and the container's own: places for what the engine mounts, where an image lacks
//! them. They are no change of the container's, so they must not lie in its upper directory. Docker has one too.

use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::errno::Errno;
use process::{OrCall, Result};

use crate::lower::{Lower, LowerDir};

/// Chapter 3 mounts on these.
const DIRECTORIES: [&str; 3] = ["dev", "proc", "sys"];
/// Chapter 6 mounts on these, in /etc.
const FILES: [&str; 3] = ["hostname", "hosts", "resolv.conf"];

/// Makes the layer `init` above `layers`, topmost first.
///
/// # Errors
/// As mkdir(2), open(2), chown(2) and chmod(2).
pub fn make(init: &Path, layers: &[PathBuf]) -> Result<()> {
    fs::create_dir(init).or_call("mkdir", init.display())?;
    resemble(init, layers.first().and_then(|layer| layer.metadata().ok()).as_ref())?;
    let root = LowerDir::root(layers);
    for name in DIRECTORIES {
        if matches!(root.child(OsStr::new(name))?, Lower::Absent) {
            directory(&init.join(name), None)?;
        }
    }
    let path = init.join("etc");
    match root.child(OsStr::new("etc"))? {
        Lower::Absent => {
            directory(&path, None)?;
            files(&path, &LowerDir::none())
        }
        Lower::Dir(about, etc) => {
            let lacks = |name| Ok(matches!(etc.child(OsStr::new(name))?, Lower::Absent));
            if FILES.into_iter().map(lacks).collect::<Result<Vec<_>>>()?.contains(&true) {
                directory(&path, Some(&about))?;
                files(&path, &etc)?;
                same_time(&path, &about)?;
            }
            Ok(())
        }
        // A link or a file: whoever mounts there resolves it, or says why it cannot be.
        Lower::File(..) => Ok(()),
    }
}

fn directory(path: &Path, like: Option<&Metadata>) -> Result<()> {
    fs::create_dir(path).or_call("mkdir", path.display())?;
    resemble(path, like)
}

fn files(directory: &Path, below: &LowerDir) -> Result<()> {
    for name in FILES {
        if matches!(below.child(OsStr::new(name))?, Lower::Absent) {
            let path = directory.join(name);
            // The same in every container, whenever it was made.
            let times = fs::FileTimes::new().set_modified(SystemTime::UNIX_EPOCH);
            File::create(&path).and_then(|file| file.set_times(times)).or_call("open", path.display())?;
        }
    }
    Ok(())
}

fn same_time(path: &Path, like: &Metadata) -> Result<()> {
    let time = like.modified().or_call("stat", path.display())?;
    let times = fs::FileTimes::new().set_modified(time);
    File::open(path).and_then(|directory| directory.set_times(times)).or_call("utimensat", path.display())
}

/// Gives a directory the mode and owner of the one below that it covers: the topmost says what is seen.
pub fn resemble(path: &Path, like: Option<&Metadata>) -> Result<()> {
    let (mode, owner) = like.map_or((0o755, (0, 0)), |about| (about.mode() & 0o7777, (about.uid(), about.gid())));
    match std::os::unix::fs::chown(path, Some(owner.0), Some(owner.1)) {
        // An owner that our user namespace does not know cannot be given; the container's root takes its place.
        Err(error) if error.raw_os_error() == Some(Errno::EINVAL as i32) => {}
        done => done.or_call("chown", path.display())?,
    }
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).or_call("chmod", path.display())
}
