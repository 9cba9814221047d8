//! The namespaces themselves, and what makes each of them more than an empty room.

use std::fmt::Write as _;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::stat::{Mode, umask};
use nix::unistd::sethostname;
use process::{OrCall, Result, Stage, explain};

/// `CLONE_NEWTIME` of linux/sched.h, which nix does not name.
pub const CLONE_NEWTIME: CloneFlags = CloneFlags::from_bits_retain(0x80);

/// The stage that asks for the namespaces and furnishes them.
pub struct Isolation {
    /// The new ones; the others stay the host's.
    pub flags: CloneFlags,
    /// The host name, in a new UTS namespace.
    pub hostname: String,
    /// Seconds that the container's boot clock is ahead of the host's, in a new time namespace.
    pub boot_offset: i64,
}

impl Stage for Isolation {
    fn name(&self) -> &'static str {
        "namespaces"
    }

    fn namespaces(&self) -> CloneFlags {
        // These two are entered by the child itself, see below; the user namespace is another stage's.
        self.flags - (CloneFlags::CLONE_NEWCGROUP | CLONE_NEWTIME | CloneFlags::CLONE_NEWUSER)
    }

    fn create_container(&mut self) -> Result<()> {
        if self.flags.contains(CloneFlags::CLONE_NEWNS) {
            keep_mounts_to_ourselves()?;
        }
        if self.flags.contains(CloneFlags::CLONE_NEWUTS) {
            sethostname(&self.hostname).or_call("sethostname", &self.hostname)?;
            explain!(3, "a host name of its own", "sethostname({:?})", self.hostname);
        }
        if self.flags.contains(CloneFlags::CLONE_NEWCGROUP) {
            // clone3 would take the parent's cgroup as the new root; here the child already stands in its own.
            unshare(CloneFlags::CLONE_NEWCGROUP).or_call("unshare", "NEWCGROUP")?;
            explain!(3, "its cgroup looks like the root", "unshare(NEWCGROUP)");
        }
        if self.flags.contains(CLONE_NEWTIME) {
            enter_time_namespace(self.boot_offset)?;
        }
        own_umask();
        Ok(())
    }
}

/// The usual mask, as the OCI runtimes have it: a container's files do not depend on the shell that started it, and
/// the places made for its mounts are open to its users.
pub fn own_umask() {
    umask(Mode::from_bits_truncate(0o022));
    explain!(3, "new files may be read by all and written by their owner", "umask(022)");
}

/// Mounts of ours must not reach the host: systemd makes `/` shared. The other direction may stay, for volumes.
fn keep_mounts_to_ourselves() -> Result<()> {
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_SLAVE | MsFlags::MS_REC, None::<&str>)
        .or_call("mount", "rslave on /")?;
    explain!(3, "no mount of ours reaches the host", "mount(\"/\", MS_SLAVE|MS_REC)");
    Ok(())
}

/// The offsets can be set only while nobody is inside (time_namespaces(7)), so: make it, set them, go in.
fn enter_time_namespace(boot_offset: i64) -> Result<()> {
    unshare(CLONE_NEWTIME).or_call("unshare", "NEWTIME")?;
    if boot_offset != 0 {
        let mut offsets = String::new();
        let _ = writeln!(offsets, "boottime {boot_offset} 0");
        let _ = writeln!(offsets, "monotonic {boot_offset} 0");
        let file = "/proc/self/timens_offsets";
        let done = std::fs::write(file, offsets).or_call("write", file);
        done.map_err(|error| match error.errno() {
            Some(Errno::ERANGE) => error.help("with the offset no clock may be below 0, or beyond 146 years"),
            _ => error,
        })?;
    }
    let path = "/proc/self/ns/time_for_children";
    let fd = open(path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).or_call("open", path)?;
    setns(fd, CLONE_NEWTIME).or_call("setns", path)?;
    explain!(3, "clocks of its own", "unshare(NEWTIME) and setns, boottime +{boot_offset} s");
    Ok(())
}
