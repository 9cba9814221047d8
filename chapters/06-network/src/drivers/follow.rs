//! The source of a network across hosts is read again and again, while a container is in the network.
//!
//! One process for each such network, whichever container came first: it has to outlive that one. It holds a lock on a
//! file and ends when the file is gone, as [`unmake`](super::vxlan::unmake) has it, or when nobody is in the network any
//! more, as after a crash.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use process::{OrCall, Result, explain};
use rootfs::dirs;

use super::{peers, vxlan};
use crate::netlink::Netlink;
use crate::state::{self, State};
use crate::{Network, attend};

/// The name by which the process is executed.
pub const NAME: &str = "cooper-peers";

/// How long a change may go unnoticed.
const INTERVAL: Duration = Duration::from_secs(2);
/// How long the end may.
const PATIENCE: Duration = Duration::from_millis(200);

/// Starts the process for `network`, unless there is one. The state is locked.
///
/// # Errors
/// As open(2), execve(2).
pub fn start(network: &Network) -> Result<()> {
    let path = peers::file(&dirs().run, network).with_extension("lock");
    fs::create_dir_all(peers::directory(&dirs().run)).or_call("mkdir", path.display())?;
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path).or_call("open", path.display())?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Err(_) => Ok(()), // there is one
        Ok(lock) => {
            drop(lock);
            explain!(6, "it follows who is where", "execve(\"{NAME}\", {})", network.name);
            attend::start(NAME, &path)
        }
    }
}

/// The process: `path` is the file whose lock it holds, and is named after the network.
pub fn run(path: &Path) {
    let Ok(file) = File::open(path) else { return };
    let inode = file.metadata().map(|meta| meta.ino());
    // Two that were started at once: one remains.
    let Ok(_lock) = Flock::lock(file, FlockArg::LockExclusiveNonblock) else { return };
    let id = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let run = &dirs().run;
    loop {
        let Some(network) = state::peek_networks(run).into_iter().find(|network| network.id == id) else { return };
        let leases = state::peek_all(run);
        if !leases.iter().any(|lease| lease.endpoint(&network.name).is_some() && !lease.is_stale()) {
            return;
        }
        // A source that does not answer may do so next time; until then what was known holds.
        let _ = once(run, &network);
        let next = Instant::now() + INTERVAL;
        while Instant::now() < next {
            std::thread::sleep(PATIENCE);
            if fs::metadata(path).ok().map(|meta| meta.ino()) != inode.as_ref().ok().copied() {
                return;
            }
        }
    }
}

/// Reads the source without the lock, since that may take a moment; writes what has changed under it.
fn once(run: &Path, network: &Network) -> Result<()> {
    let mut netlink = Netlink::open()?;
    let peers = vxlan::read(network, vxlan::local(&mut netlink, network)?)?;
    if peers::load(run, network).as_ref() == Some(&peers) {
        return Ok(());
    }
    let state = State::lock(run)?;
    // The last container may have left meanwhile, and the network's things with it.
    if !state.standing().contains(network) {
        return Ok(());
    }
    vxlan::apply(&mut netlink, network, &peers, run)
}
