//! `chroot`: the simplest root of its own, and one that a privileged program leaves (see [`escape`](crate::escape)).

use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::unistd::{chdir, chroot, fchdir};
use process::{OrCall, Result, Stage, explain};

/// The stage that makes a directory the root of the process (chroot(2)). Chapter 3's `PivotRoot` replaces it.
pub struct Chroot {
    root: PathBuf,
}

impl Chroot {
    /// The directory `root` becomes `/`.
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }
}

impl Stage for Chroot {
    fn name(&self) -> &'static str {
        "chroot"
    }

    fn enter_root(&mut self) -> Result<()> {
        let show = self.root.display();
        let directory = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = open(&self.root, directory, Mode::empty()).or_call("open", &show)?;
        // One handle for both calls, so that nobody can put another directory in between.
        fchdir(&root).or_call("fchdir", &show)?;
        chroot(".").or_call("chroot", &show).map_err(|error| match error.errno() {
            Some(Errno::EPERM) => {
                error.help("it needs CAP_SYS_CHROOT: run it as root, or take step03, which needs no root")
            }
            _ => error,
        })?;
        explain!(2, "the meaning of / for this process", "chroot({show})");
        // chroot leaves the working directory alone. Where a relative path begins must be inside too.
        chdir("/").or_call("chdir", "/")?;
        explain!(2, "and nothing left that lies outside it", "chdir(\"/\")");
        Ok(())
    }
}
