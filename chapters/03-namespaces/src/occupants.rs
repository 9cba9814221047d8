//! Who is in the engine's user namespace, of all the engines of one user: whoever comes joins them there.
//!
//! Each holds a lock (fcntl(2), "Advisory record locking") on one byte of the file `run/userns`, the one whose number is
//! its process id. So the kernel can be asked who they are, and nobody has to be removed who was killed.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::sync::OnceLock;

use nix::fcntl::{FcntlArg, fcntl};
use nix::sched::{CloneFlags, setns};
use nix::unistd::Pid;
use process::{OrCall, Result, explain};
use rootfs::dirs;

use crate::running;

/// The byte that is locked by who is about to come in: one at a time, so that two do not make two namespaces.
const DOOR: i64 = 0;
/// Beyond every process id (`PID_MAX_LIMIT`, linux/threads.h).
const END: i64 = 1 << 32;

/// Open for as long as this process lives: its locks end with the first descriptor of the file that is closed.
static STAYING: OnceLock<File> = OnceLock::new();

/// The file, with its door locked by us.
pub struct Occupants(File);

impl Occupants {
    /// Waits until nobody else is on the way in.
    ///
    /// # Errors
    /// As open(2) and fcntl(2) of `run/userns`.
    pub fn lock() -> Result<Self> {
        let occupants = Self::open()?;
        occupants.set(FcntlArg::F_SETLKW(&range(libc::F_WRLCK, DOOR, 1)))?;
        Ok(occupants)
    }

    fn open() -> Result<Self> {
        running::make_private(&dirs().run)?;
        let path = dirs().run.join("userns");
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        file.or_call("open", path.display()).map(Self)
    }

    /// Joins the user namespace in which somebody is, if there is one.
    ///
    /// # Errors
    /// As read(2) and fcntl(2).
    pub fn join(&self) -> Result<bool> {
        let mut text = String::new();
        (&self.0).read_to_string(&mut text).or_call("read", "run/userns")?;
        let Ok(inode) = text.trim().parse::<u64>() else { return Ok(false) };
        // Where to look for more of them: of several the kernel names one, and not always the first.
        let mut unseen = vec![(DOOR + 1, END)];
        while let Some((start, end)) = unseen.pop() {
            let mut found = range(libc::F_WRLCK, start, end - start);
            self.set(FcntlArg::F_GETLK(&mut found))?;
            if i32::from(found.l_type) == libc::F_UNLCK {
                continue;
            }
            if is_in(found.l_pid, inode) && enter(found.l_pid) {
                return Ok(true);
            }
            unseen.extend([(start, found.l_start), (found.l_start + 1, end)]);
            unseen.retain(|(start, end)| start < end);
        }
        Ok(false)
    }

    /// Notes that this process is in the namespace in which it is now, and lets the next one in.
    ///
    /// # Errors
    /// As write(2) and fcntl(2).
    pub fn stay(mut self) -> Result<()> {
        let inode = format!("{}\n", running::own_user_namespace());
        let written =
            self.0.set_len(0).and_then(|()| self.0.rewind()).and_then(|()| self.0.write_all(inode.as_bytes()));
        written.or_call("write", "run/userns")?;
        self.keep()
    }

    /// The same for a program that was executed in the namespace.
    ///
    /// # Errors
    /// As open(2) and fcntl(2).
    pub fn stay_on() -> Result<()> {
        Self::open()?.keep()
    }

    fn keep(self) -> Result<()> {
        self.set(FcntlArg::F_SETLK(&range(libc::F_RDLCK, Pid::this().as_raw().into(), 1)))?;
        self.set(FcntlArg::F_SETLK(&range(libc::F_UNLCK, DOOR, 1)))?;
        let _ = STAYING.set(self.0);
        Ok(())
    }

    fn set(&self, what: FcntlArg<'_>) -> Result<()> {
        fcntl(&self.0, what).or_call("fcntl", "a lock in run/userns").map(drop)
    }
}

fn range(kind: i32, start: i64, length: i64) -> libc::flock {
    libc::flock { l_type: kind as i16, l_whence: libc::SEEK_SET as i16, l_start: start, l_len: length, l_pid: 0 }
}

/// Is it still in the namespace of all? Who looks into a container with a user namespace of its own has left it.
fn is_in(pid: i32, inode: u64) -> bool {
    std::fs::metadata(format!("/proc/{pid}/ns/user")).is_ok_and(|namespace| namespace.ino() == inode)
}

fn enter(pid: i32) -> bool {
    let Ok(pidfd) = process::sys::pidfd_open(Pid::from_raw(pid)) else { return false };
    let entered = setns(pidfd.as_fd(), CloneFlags::CLONE_NEWUSER).is_ok();
    if entered {
        explain!(3, "the user namespace in which another engine of this user is", "setns({pid}, NEWUSER)");
    }
    entered
}
