//! The engine of an ordinary user: it lives in a user namespace, in which it is root.
//!
//! There it may mount, own files of many users and make namespaces; outside it is still nobody special.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, geteuid, pipe, read, write};
use process::{Error, OrCall, Result, explain};

use crate::isolation::own_umask;
use crate::occupants::Occupants;
use crate::{IdMap, running, user};

/// Tells a program that we execute which user namespace is ours, and that we came there as an ordinary user.
const HEIR: &str = "COOPER_USERNS";

static ENTERED: AtomicBool = AtomicBool::new(false);

/// Has this process entered a user namespace because an ordinary user runs it?
pub fn is_rootless() -> bool {
    ENTERED.load(Ordering::Relaxed)
}

/// Becomes root of a user namespace, unless root already. A namespace in which another engine of this user is, or a
/// container, is joined, so that all of them can share files, addresses and networks; otherwise a new one is made.
///
/// # Errors
/// `EPERM` where the host forbids user namespaces (`doctor` says what to do), `EINVAL` in a process of several threads.
pub fn enter() -> Result<()> {
    own_umask(); // nor do the engine's own files depend on the shell that started it
    if is_rootless() {
        return Ok(());
    }
    if geteuid().is_root() {
        let heir = std::env::var(HEIR).is_ok_and(|inode| inode.parse() == Ok(running::own_user_namespace()));
        ENTERED.store(heir, Ordering::Relaxed);
        return if heir { Occupants::stay_on() } else { Ok(()) };
    }
    rootfs::dirs(); // decided now: afterwards everybody looks like root
    let map = IdMap::of_user();
    let occupants = Occupants::lock()?;
    if !occupants.join()? && !join_existing()? {
        make_new(&map)?;
    }
    user::become_root_inside(map.is_single())?;
    occupants.stay()?;
    ENTERED.store(true, Ordering::Relaxed);
    Ok(())
}

/// The variables by which a program of the engine's that this process starts, or becomes, finds the same directories,
/// and knows that it is [rootless](is_rootless). To be asked for after [`enter`].
pub fn for_heirs() -> Vec<(&'static str, std::ffi::OsString)> {
    let dirs = rootfs::dirs();
    let mut all = vec![("COOPER_DATA", dirs.data.clone().into()), ("COOPER_RUN", dirs.run.clone().into())];
    if is_rootless() {
        all.push((HEIR, running::own_user_namespace().to_string().into()));
    }
    all
}

fn join_existing() -> Result<bool> {
    for container in running::list()? {
        let namespace = std::fs::metadata(format!("/proc/{}/ns/user", container.pid));
        let shared =
            namespace.is_ok_and(|found| std::os::unix::fs::MetadataExt::ino(&found) == container.engine_userns);
        let Ok(pidfd) = process::sys::pidfd_open(container.pid()) else { continue };
        if shared && container.is_alive() && setns(pidfd.as_fd(), CloneFlags::CLONE_NEWUSER).is_ok() {
            explain!(3, "the user namespace of a running container", "setns({}, NEWUSER)", container.pid);
            return Ok(true);
        }
    }
    Ok(false)
}

/// A map of ranges must be written from outside; a child stays behind to do it.
fn make_new(map: &IdMap) -> Result<()> {
    let (wait, go) = pipe().or_call("pipe", "")?;
    let engine = Pid::this();
    match process::sys::fork().or_call("fork", "the writer of the identity maps")? {
        ForkResult::Child => {
            drop(go);
            let _ = read(&wait, &mut [0]);
            let code = match map.write(engine) {
                Ok(()) => 0,
                Err(error) => {
                    process::cli::report(&error);
                    1
                }
            };
            process::sys::exit_now(code)
        }
        ForkResult::Parent { child } => {
            let made = unshare(CloneFlags::CLONE_NEWUSER).or_call("unshare", "NEWUSER");
            let _ = write(&go, b"g");
            drop(go);
            let status = waitpid(child, None).or_call("waitpid", child)?;
            made.map_err(|error| {
                error
                    .help("the host forbids user namespaces to ordinary users; `step04 doctor` tells how to allow them")
            })?;
            explain!(3, "root, of a user namespace", "unshare(NEWUSER)");
            match status {
                WaitStatus::Exited(_, 0) => Ok(()),
                _ => Err(Error::unsupported("the identity maps of the user namespace could not be written")),
            }
        }
    }
}
