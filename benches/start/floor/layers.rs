//! What step 5 asks of the kernel for layers: a container's directory, an overlay, and all of it gone at the end.

use std::fs::{self, File, OpenOptions};
use std::io::{Result, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use nix::mount::{MsFlags, mount};

/// A container's directory.
pub struct Directory {
    path: PathBuf,
    lower: PathBuf,
    _lock: Flock<File>,
}

impl Directory {
    /// Made under another name, and renamed when it is whole.
    pub fn make(all: &Path, id: &str, lower: &Path) -> Result<Self> {
        fs::create_dir_all(all)?;
        let one_at_a_time = lock(File::open(all)?)?;
        fs::read_dir(all)?.for_each(drop); // is there one of this name?
        let half = all.join(format!(".half-{id}"));
        fs::create_dir(&half)?;
        let lock = lock(File::open(&half)?)?;
        for name in ["upper", "work", "rootfs", "init", "init/etc"] {
            fs::create_dir(half.join(name))?;
        }
        for name in ["upper", "init", "init/etc"] {
            chown(half.join(name), Some(0), Some(0))?;
            fs::set_permissions(half.join(name), PermissionsExt::from_mode(0o755))?;
        }
        for name in ["hostname", "hosts", "resolv.conf"] {
            fs::write(half.join("init/etc").join(name), "")?;
        }
        let mut config = OpenOptions::new().write(true).create_new(true).open(half.join("config"))?;
        config.write_all(&[b'c'; 169])?;
        let path = all.join(id);
        fs::rename(&half, &path)?;
        drop(one_at_a_time);
        Ok(Self { path, lower: lower.to_owned(), _lock: lock })
    }

    /// Where the root is mounted.
    pub fn root(&self) -> PathBuf {
        self.path.join("rootfs")
    }

    /// The overlay, in the child's mount namespace.
    pub fn mount(&self) -> nix::Result<()> {
        let path = self.path.display();
        let options = format!(
            "lowerdir={path}/init:{},upperdir={path}/upper,workdir={path}/work,redirect_dir=nofollow,metacopy=off,index=off,volatile",
            self.lower.display()
        );
        mount(Some("overlay"), &self.root(), Some("overlay"), MsFlags::empty(), Some(options.as_str()))
    }

    /// Gone, under another name first.
    pub fn remove(self) -> Result<()> {
        let half = self.path.with_extension("half");
        fs::rename(&self.path, &half)?;
        fs::remove_dir_all(half)
    }
}

fn lock(file: File) -> Result<Flock<File>> {
    Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno.into())
}
