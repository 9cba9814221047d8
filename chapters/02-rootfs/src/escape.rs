//! The way out of a chroot, known since the 1990s (chroot(2), NOTES): a process may stand outside its own root.
//!
//! The kernel stops `..` only where a walk meets the root of the process. chroot(2) moves the root but
//! not the working directory; so whoever moves the root *below* itself never meets it on the way up.

use std::ffi::OsString;
use std::os::unix::fs::MetadataExt;

use nix::errno::Errno;
use nix::sys::stat::{Mode, major, minor, stat};
use nix::unistd::{chdir, chroot, mkdir};
use process::{Error, OrCall, Program, Result, Stage, explain, sys};

use crate::skeleton::field;

/// The directory that is made to be a root for a moment.
const HOLE: &str = ".escape";
/// Directories that serve as well where none can be made.
const OTHERS: [&str; 4] = ["tmp", "proc", "dev", "etc"];
/// More directories than any path has (`PATH_MAX` / 2, limits.h).
const HIGHEST: usize = 2048;

/// What `/` is for this process: the evidence before and after.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// The device that the directory lies on, and its inode number there: together they are the directory.
    pub directory: (u64, u64),
    /// What the system calls itself in `/etc/os-release`.
    pub system: String,
}

/// How the escape went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// `/` before.
    pub before: View,
    /// `/` after.
    pub after: View,
    /// How many directories lay between the two.
    pub climbed: usize,
}

/// The stage that breaks out: it comes after the one that sets the root, and tries to undo that.
///
/// It prints what it found. If it fails, the child exits with 1 before the program runs; an error would
/// come out as the engine's own failure, and a prison that holds is none.
pub struct Escape;

impl Escape {
    /// What to run outside if nobody says: shows where one stands.
    pub fn default_command() -> Vec<OsString> {
        ["sh", "-c", "grep PRETTY_NAME= /etc/os-release; ls /"].map(OsString::from).to_vec()
    }
}

impl Stage for Escape {
    fn name(&self) -> &'static str {
        "escape"
    }

    fn start_container(&mut self, _program: &mut Program) -> Result<()> {
        match climb_out() {
            Ok(way) => {
                println!("before: / is {}", way.before);
                println!("after:  / is {}, {} directories up: escaped", way.after, way.climbed);
                Ok(())
            }
            Err(error) => {
                eprintln!("the escape failed: {error}");
                sys::exit_now(1)
            }
        }
    }
}

/// Leaves the root of this process for the one above it, where the kernel lets it.
///
/// # Errors
/// `EPERM` of chroot(2) without `CAP_SYS_CHROOT`; [`Kind::Unsupported`](process::Kind::Unsupported) if
/// nothing lies above, as after pivot_root(2).
pub fn climb_out() -> Result<Way> {
    let before = View::now()?;
    chdir("/").or_call("chdir", "/")?;
    let hole = hole()?;
    let moved = chroot(hole).or_call("chroot", hole);
    if hole == HOLE {
        // Still reached by the working directory, although the root is below that now.
        let _ = std::fs::remove_dir(HOLE);
    }
    moved.map_err(|error| error.help("it takes CAP_SYS_CHROOT, which this process does not have"))?;
    explain!(2, "the root moves below, the working directory stays", "chroot({hole})");
    let climbed = climb()?;
    explain!(2, "the root is never met on the way up", "chdir(\"..\") × {climbed}");
    chroot(".").or_call("chroot", ".")?;
    explain!(2, "the top becomes the root", "chroot(\".\")");
    let after = View::now()?;
    if after.directory == before.directory {
        return Err(Error::unsupported(format!(
            "/ is {after}, the top of this mount namespace: nothing lies above it"
        )));
    }
    Ok(Way { before, after, climbed })
}

/// A directory in the working directory.
fn hole() -> Result<&'static str> {
    match mkdir(HOLE, Mode::S_IRWXU) {
        Ok(()) | Err(Errno::EEXIST) => Ok(HOLE),
        Err(errno) => {
            // A read-only root does not help: any directory will do.
            let other =
                OTHERS.into_iter().find(|path| std::fs::symlink_metadata(path).is_ok_and(|about| about.is_dir()));
            other.ok_or_else(|| Error::call("mkdir", HOLE, errno))
        }
    }
}

/// Goes up until up is where one stands already; counts the directories.
fn climb() -> Result<usize> {
    let here = || stat(".").or_call("stat", ".").map(|about| (about.st_dev, about.st_ino));
    let mut place = here()?;
    for climbed in 0..HIGHEST {
        chdir("..").or_call("chdir", "..")?;
        let above = here()?;
        if above == place {
            return Ok(climbed);
        }
        place = above;
    }
    Err(Error::unsupported(format!("no top within {HIGHEST} directories")))
}

impl View {
    /// What `/` is right now.
    ///
    /// # Errors
    /// As stat(2).
    pub fn now() -> Result<Self> {
        let about = std::fs::metadata("/").or_call("stat", "/")?;
        let text = std::fs::read_to_string("/etc/os-release").unwrap_or_default();
        let system = field(&text, "PRETTY_NAME").unwrap_or("a system without a name").to_owned();
        Ok(Self { directory: (about.dev(), about.ino()), system })
    }
}

impl std::fmt::Display for View {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (device, inode) = self.directory;
        write!(f, "inode {inode} of device {}:{} ({})", major(device), minor(device), self.system)
    }
}
