//! A child process that has a container's root in its hands.
//!
//! Of a container that runs, it is the handle of `/proc/PID/root`: the mount namespace's own view, with all its mounts,
//! reached without entering it. Of one that does not, the child mounts the layers in a mount namespace of its own,
//! which ends with it. In both cases it then is who the container's root is, and has no right but those about files.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use caps::{CapSet, Capability, CapsHashSet};
use layers::{Mounts, Overlay, Source};
use namespaces::mount::{RDONLY, set_attached};
use namespaces::running::start_time;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Gid, Pid, Uid, pipe2, setresgid, setresuid};
use process::{Error, Kind, OrCall, Result, Stage, explain};
use rootfs::RootDir;
use serde::{Deserialize, Serialize};

use super::place::{About, Origin};
use crate::engine::container::Kept;

/// What copying files takes; a capability to do anything else is a way to do anything else.
const NEEDED: [Capability; 6] = [
    Capability::CAP_CHOWN,
    Capability::CAP_DAC_OVERRIDE,
    Capability::CAP_FOWNER,
    Capability::CAP_FSETID,
    Capability::CAP_MKNOD,
    Capability::CAP_SETFCAP,
];

/// A container whose files are to be reached.
pub struct Inside {
    kept: Kept,
    running: bool,
}

/// The child at work.
pub struct Child {
    pid: Pid,
    words: File,
    /// Our end of the pipe to or from it, if there is one.
    pub stream: Option<File>,
    _kept: Kept,
}

/// What the child says, a line each.
#[derive(Debug, Serialize, Deserialize)]
enum Word {
    /// What it has found.
    Found(About),
    /// It is done.
    Done,
    /// It could not: why, and the way out.
    Failed { errno: Option<i32>, kind: u8, what: String, help: Option<String> },
}

/// The child's end of the line.
pub struct Tell(File);

impl Tell {
    /// Says what is going to be copied.
    ///
    /// # Errors
    /// As write(2).
    pub fn origin(&self, origin: &Origin) -> Result<()> {
        self.say(&Word::Found(origin.about()))
    }

    fn say(&self, word: &Word) -> Result<()> {
        let mut line = serde_json::to_vec(word).map_err(|error| Error::invalid(error.to_string()))?;
        line.push(b'\n');
        (&self.0).write_all(&line).or_call("write", "to the parent")
    }
}

impl Inside {
    /// Takes the container; one that does not run is locked, so that it is not started meanwhile.
    ///
    /// # Errors
    /// [`Kind::Conflict`] if it is being started or removed.
    pub fn of(mut kept: Kept) -> Result<Self> {
        if kept.is_alive() {
            return Ok(Self { kept, running: true });
        }
        if kept.take()? {
            return Ok(Self { kept, running: false });
        }
        Err(Error::not_found(format!("container {} has just been removed", kept.name())))
    }

    /// Starts the child, which does `work` with the container's root. It has no copy of `ours`, our end of a pipe: who
    /// reads must see the end of it.
    ///
    /// # Errors
    /// As fork(2) and pipe2(2).
    pub fn spawn(self, ours: Option<OwnedFd>, work: impl FnOnce(&RootDir, &Tell) -> Result<()>) -> Result<Child> {
        let (read, write) = pipe2(OFlag::O_CLOEXEC).or_call("pipe2", "")?;
        match process::sys::fork().or_call("fork", "the process that copies")? {
            ForkResult::Child => {
                drop((read, ours));
                let tell = Tell(File::from(write));
                let _ = process::sys::die_with_parent();
                // Nobody in the container may look into this process once it is in their user namespace (CVE-2016-9962).
                let _ = nix::sys::prctl::set_dumpable(false);
                let done = self.enter().and_then(|root| work(&root, &tell));
                let _ = tell.say(&done.map_or_else(|error| failed(&error), |()| Word::Done));
                process::sys::exit_now(0)
            }
            ForkResult::Parent { child } => {
                drop((write, work));
                Ok(Child { pid: child, words: File::from(read), stream: ours.map(File::from), _kept: self.kept })
            }
        }
    }

    /// In the child: the container's root.
    fn enter(&self) -> Result<RootDir> {
        let root = if self.running { self.of_running()? } else { self.of_stopped()? };
        let needed: CapsHashSet = NEEDED.into_iter().collect();
        for set in [CapSet::Effective, CapSet::Permitted] {
            let ours = caps::read(None, set).map_err(|error| Error::unsupported(error.to_string()))?;
            let kept: CapsHashSet = ours.intersection(&needed).copied().collect();
            caps::set(None, set, &kept).map_err(|error| Error::unsupported(error.to_string()))?;
        }
        explain!(10, "nothing but what files take", "capset({} of them)", needed.len());
        Ok(root)
    }

    fn of_running(&self) -> Result<RootDir> {
        let record = self.kept.running()?;
        let gone =
            || Error::new(Kind::Conflict, format!("container {} has just ended", self.kept.name())).help("try again");
        let pidfd = match process::sys::pidfd_open(record.pid()) {
            Err(Errno::ESRCH) => return Err(gone()),
            pidfd => pidfd.or_call("pidfd_open", record.pid)?,
        };
        let root = RootDir::open(format!("/proc/{}/root", record.pid))?;
        let user = |who: &str| std::fs::metadata(format!("/proc/{who}/ns/user")).map(|about| about.ino()).ok();
        let (theirs, ours) = (user(&record.pid.to_string()), user("self"));
        // Asked after the handle was had: the number has not become another process's before.
        if start_time(record.pid) != Some(record.start_time) {
            return Err(gone());
        }
        explain!(10, "all that it has mounted, seen from here", "open(/proc/{}/root)", record.pid);
        if theirs.is_some() && theirs != ours {
            become_its_root(&pidfd)?;
        }
        Ok(root)
    }

    /// Mounts its layers and its volumes where nobody else sees it. A tmpfs is not: it would be gone with us.
    fn of_stopped(&self) -> Result<RootDir> {
        let dir = &self.kept.dir;
        unshare(CloneFlags::CLONE_NEWNS).or_call("unshare", "NEWNS")?;
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).or_call("mount", "/ as private")?;
        let merged = dir.rootfs();
        Overlay {
            lowers: dir.lowers(),
            upper: dir.upper(),
            work: dir.work(),
            merged: merged.clone(),
            read_only: false,
            volatile: false,
        }
        .mount()?;
        if let Ok(options) = self.kept.options() {
            let args = options.parse()?;
            let mut specs = options.mounts(&args.mounts)?;
            specs.retain(|spec| !matches!(spec.source, Source::Tmpfs(_)));
            let _ = std::env::set_current_dir(&options.directory); // relative paths in the options count from there
            let mut mounts = Mounts::new(merged.clone(), specs)?;
            mounts.prepare()?;
            mounts.create_container()?;
            if args.mounts.read_only {
                set_attached(RootDir::open(&merged)?, &merged.display().to_string(), RDONLY, false)?;
            }
        }
        RootDir::open(merged)
    }
}

/// Joins the container's user namespace, and becomes root there: files are made as its own, with its ids.
fn become_its_root(pidfd: &OwnedFd) -> Result<()> {
    setns(pidfd.as_fd(), CloneFlags::CLONE_NEWUSER).or_call("setns", "the container's user namespace")?;
    let (uid, gid) = (Uid::from_raw(0), Gid::from_raw(0));
    setresgid(gid, gid, gid).or_call("setresgid", 0)?;
    setresuid(uid, uid, uid).or_call("setresuid", 0)?;
    explain!(10, "who its root is, and no more", "setns(USER)");
    Ok(())
}

impl Child {
    /// Waits until the child has said what it copies.
    ///
    /// # Errors
    /// What the child could not do.
    pub fn origin(&self) -> Result<About> {
        match self.next()? {
            Word::Found(about) => Ok(about),
            word => Err(error(word)),
        }
    }

    /// The next line.
    fn next(&self) -> Result<Word> {
        let mut line = Vec::new();
        let mut byte = [0];
        loop {
            match nix::unistd::read(&self.words, &mut byte) {
                Err(Errno::EINTR) => {}
                Ok(1) if byte[0] != b'\n' => line.push(byte[0]),
                Ok(_) => break,
                Err(errno) => return Err(Error::call("read", "from the child", errno)),
            }
        }
        serde_json::from_slice(&line).map_err(|_| Error::new(Kind::Conflict, "the process that copies was killed"))
    }

    /// Waits for the child's end.
    ///
    /// # Errors
    /// What the child could not do.
    pub fn finish(self) -> Result<()> {
        let word = self.next();
        loop {
            match waitpid(self.pid, None) {
                Err(Errno::EINTR) => {}
                Ok(WaitStatus::Signaled(_, signal, _)) => {
                    return Err(Error::new(Kind::Conflict, format!("the process that copies was killed by {signal}")));
                }
                _ => break,
            }
        }
        match word? {
            Word::Done => Ok(()),
            word => Err(error(word)),
        }
    }
}

fn failed(error: &Error) -> Word {
    let kind = match error.kind() {
        Kind::NotFound => 1,
        Kind::Conflict => 2,
        Kind::Invalid => 3,
        Kind::Unsupported => 4,
        _ => 0,
    };
    let (what, help) = (error.what().to_owned(), error.way_out().map(str::to_owned));
    Word::Failed { errno: error.errno().map(|errno| errno as i32), kind, what, help }
}

fn error(word: Word) -> Error {
    let Word::Failed { errno, kind, what, help } = word else {
        return Error::new(Kind::Conflict, "the process that copies said something else");
    };
    let kind = match (kind, errno) {
        (1, _) => Kind::NotFound,
        (2, _) => Kind::Conflict,
        (3, _) => Kind::Invalid,
        (4, _) => Kind::Unsupported,
        (_, Some(errno)) => Kind::Call(Errno::from_raw(errno)),
        _ => Kind::Corrupt,
    };
    let error = Error::new(kind, what);
    match help {
        Some(help) => error.help(help),
        None => error,
    }
}
