//! `--network container:NAME`: the network namespace of another container, shared.

use std::os::fd::{AsFd, OwnedFd};

use namespaces::running;
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::Mode;
use process::{Error, OrCall, Result, explain};

use crate::Lease;
use crate::resolv::Reach;
use crate::state::State;
use crate::wire::{Facts, Wire};

/// The connection to another container's network.
pub struct Join {
    other: running::Running,
    netns: Option<OwnedFd>,
}

impl Join {
    /// Finds the container called `name`.
    ///
    /// # Errors
    /// That there is none, or several.
    pub fn new(name: &str) -> Result<Self> {
        let other = running::find(name).map_err(|error| error.at(format!("network container:{name}")))?;
        Ok(Self { other, netns: None })
    }

    /// The other container's id.
    pub fn id(&self) -> &str {
        &self.other.id
    }
}

impl Wire for Join {
    fn prepare(&mut self, _: &State, _: &[Lease], lease: &mut Lease) -> Result<Facts> {
        let path = format!("/proc/{}/ns/net", self.other.pid);
        let netns = open(path.as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).or_call("open", &path)?;
        // Looked at after opening: had the process ended before, this would be a stranger's namespace.
        if !self.other.is_alive() {
            return Err(Error::not_found(format!("container {} has just ended", self.other.name)));
        }
        lease.network = format!("container:{}", self.other.id);
        self.netns = Some(netns);
        Ok(Facts { gateway: None, reach: Reach::Ipv4 })
    }

    fn configure(&mut self) -> Result<()> {
        let Some(netns) = &self.netns else { return Ok(()) };
        let name = &self.other.name;
        setns(netns.as_fd(), CloneFlags::CLONE_NEWNET).or_call("setns", format!("the network of {name}")).map_err(
            |error| match error.errno() {
                Some(Errno::EPERM) => {
                    error.help("it belongs to another user namespace; share a network only without --userns")
                }
                _ => error,
            },
        )?;
        explain!(6, "the other container's links are ours too", "setns({name}, NEWNET)");
        Ok(())
    }
}
