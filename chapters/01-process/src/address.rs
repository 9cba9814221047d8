//! Addresses of unix sockets, whose names may be longer than the kernel takes.

use std::os::fd::AsRawFd;
use std::path::Path;

use nix::fcntl::{OFlag, open};
use nix::sys::socket::UnixAddr;
use nix::sys::stat::Mode;

use crate::{OrCall, Result};

/// Gives `use_it` an address of the socket at `path`.
///
/// The kernel takes 107 bytes of a name (unix(7)). The way around is the number of a descriptor of its directory, which
/// is open for as long as `use_it` runs.
///
/// # Errors
/// As open(2) of the directory, or those of `use_it`.
pub fn with<T>(path: &Path, use_it: impl FnOnce(&UnixAddr) -> Result<T>) -> Result<T> {
    if let Ok(address) = UnixAddr::new(path) {
        return use_it(&address);
    }
    let (parent, name) = (path.parent().unwrap_or(Path::new("/")), path.file_name().unwrap_or_default());
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let directory = open(parent, flags, Mode::empty()).or_call("open", parent.display())?;
    let short = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name);
    use_it(&UnixAddr::new(&short).or_call("bind", path.display())?)
}
