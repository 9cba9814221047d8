//! In the root: the working directory is made, and the program is looked for while `create` can still say so.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags, OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::sys::stat::Mode;
use nix::unistd::{AccessFlags, chdir, chroot, faccessat, fchdir};
use process::{Error, Kind, OrCall, Program, Result, Stage, explain};
use rootfs::RootDir;

/// Where programs are looked for when the environment does not say (chapter 1's).
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The stage that makes `process.cwd` where the root lacks it. It follows the one that takes the root, and comes before
/// the root is made read-only.
pub struct WorkingDir(pub PathBuf);

impl Stage for WorkingDir {
    fn name(&self) -> &'static str {
        "working directory"
    }

    fn enter_root(&mut self) -> Result<()> {
        if self.0 == Path::new("/") {
            return Ok(());
        }
        let root = RootDir::open("/")?;
        if root.exists(&self.0) { Ok(()) } else { root.make_dir(&self.0).map(drop) }
    }
}

/// The stage that looks whether the program is there at all. It only looks: who may execute it, and whether it can be
/// executed, the kernel says at `start`.
pub struct Lookup {
    name: OsString,
    directories: Vec<PathBuf>,
}

impl Lookup {
    /// Looks for the program of `program`.
    pub fn new(program: &Program) -> Self {
        let name = program.argv.first().cloned().unwrap_or_default();
        let path = program.var("PATH").unwrap_or(OsStr::new(DEFAULT_PATH));
        let directories = match name.as_bytes().contains(&b'/') || name.is_empty() {
            // A relative one counts from the working directory.
            true => vec![program.cwd.clone().unwrap_or_else(|| "/".into())],
            false => std::env::split_paths(path).collect(),
        };
        Self { name, directories }
    }
}

impl Stage for Lookup {
    fn name(&self) -> &'static str {
        "program"
    }

    fn enter_root(&mut self) -> Result<()> {
        let mut worst = Errno::ENOENT;
        for directory in &self.directories {
            let path = directory.join(&self.name);
            match faccessat(AT_FDCWD, &path, AccessFlags::X_OK, AtFlags::AT_EACCESS) {
                Ok(()) if path.is_dir() => worst = Errno::EACCES,
                Ok(()) => return Ok(()),
                Err(Errno::ENOENT | Errno::ENOTDIR) => {}
                Err(errno) => worst = errno,
            }
        }
        let what = format!("exec {}: {worst:?}: {}", self.name.display(), worst.desc());
        Err(Error::new(Kind::Exec(worst), what).help(match worst {
            Errno::ENOENT => "neither the name nor a directory of process.env's PATH leads to it in this root",
            _ => "it is not executable: check its mode and `noexec`",
        }))
    }
}

/// `--no-pivot`: takes the root by moving it over the old one, for roots that the kernel lets nobody pivot from (an
/// initramfs). What was there stays mounted underneath, out of reach but not gone.
pub struct MoveRoot(pub PathBuf);

impl Stage for MoveRoot {
    fn name(&self) -> &'static str {
        "move the root"
    }

    fn enter_root(&mut self) -> Result<()> {
        let show = self.0.display();
        let directory = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        let root = open(&self.0, directory, Mode::empty()).or_call("open", &show)?;
        fchdir(&root).or_call("fchdir", &show)?;
        mount(Some("."), "/", None::<&str>, MsFlags::MS_MOVE, None::<&str>)
            .or_call("mount", format!("move {show} to /"))?;
        chroot(".").or_call("chroot", &show)?;
        explain!(
            2,
            "the root lies on the old one, which is still there",
            "mount({show}, \"/\", MS_MOVE) and chroot(\".\")"
        );
        chdir("/").or_call("chdir", "/")
    }
}
