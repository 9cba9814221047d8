//! The floor: a program that makes the kernel calls of a step's `run --rm`, and does nothing else.
//!
//! What the calls are was read off `strace -f` of the steps. Left out is what a step needs to know what to call:
//! options, messages, undoing what failed, and looking at what is there already. A step can come near the floor, and
//! the distance is what its own work costs.
//!
//! The benchmark executes itself again for it, so that the floor too has a program to load.

pub mod layers;
pub mod network;
pub mod root;
#[allow(unsafe_code)]
mod sys;

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg, OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, sigprocmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{execve, sethostname};

use layers::Directory;
use network::Network;
use sys::Cloned;

/// The namespaces of a container, as the steps make them by clone3(2); two more are unshared by the child.
const NAMESPACES: CloneFlags = CloneFlags::CLONE_NEWNS
    .union(CloneFlags::CLONE_NEWUTS)
    .union(CloneFlags::CLONE_NEWIPC)
    .union(CloneFlags::CLONE_NEWPID)
    .union(CloneFlags::CLONE_NEWNET);

/// What a step adds to the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Recipe {
    /// 03: namespaces and a root.
    Root,
    /// 05: an overlay.
    Layers,
    /// 06 with `--network none`: a lease, files in `/etc`, the loopback link.
    Loopback,
    /// 06, where the bridge is there for another container.
    Cable,
    /// 06, for the first container and the last: bridge and rules come and go.
    Bridge,
}

impl Recipe {
    /// All of them, by the word that [`run`] is given.
    pub const ALL: [(&'static str, Self); 5] = [
        ("root", Self::Root),
        ("layers", Self::Layers),
        ("loopback", Self::Loopback),
        ("cable", Self::Cable),
        ("bridge", Self::Bridge),
    ];
}

/// Runs `/bin/true` of the directory `root` by the recipe of this name, with a directory for what the engine keeps, and
/// what an image's store would be read for: files that lie there already.
pub fn run(recipe: &str, root: &Path, state: &Path, read: &[PathBuf]) -> io::Result<()> {
    let recipe = Recipe::ALL.iter().find(|(name, _)| *name == recipe).map(|(_, recipe)| *recipe);
    let recipe = recipe.ok_or_else(|| io::Error::other("no such recipe"))?;
    for file in read {
        fs::read(file)?;
    }
    let id = format!("{:064x}", std::process::id());
    let record = Record::prepare(&state.join("run/containers"), &id)?;
    let directory = (recipe >= Recipe::Layers).then(|| Directory::make(&state.join("data/containers"), &id, root));
    let directory = directory.transpose()?;
    let network = (recipe >= Recipe::Loopback).then(|| Network::prepare(&state.join("run/network"), &id, recipe));
    let network = network.transpose()?;
    let root = directory.as_ref().map_or_else(|| root.to_owned(), Directory::root);

    let null = File::open("/dev/null")?;
    let (ours, childs) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
    let before = SigSet::all().thread_swap_mask(SigmaskHow::SIG_SETMASK)?;
    let signals = SignalFd::with_flags(&SigSet::all(), SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    match sys::clone3(NAMESPACES.bits())? {
        Cloned::Child => {
            drop(ours);
            become_the_program(&childs, &root, directory.as_ref(), network.as_ref())?;
            nix::unistd::dup2_stdin(&null)?;
            sigprocmask(SigmaskHow::SIG_SETMASK, Some(&before), None)?;
            sys::close_on_exec();
            let never = execve(c"/bin/true", &[c"/bin/true"], &[c"PATH=/bin"])?;
            match never {}
        }
        Cloned::Parent(pid) => {
            drop(childs);
            let record = record.write(pid.as_raw())?;
            network.as_ref().map(|network| network.connect(pid)).transpose()?;
            say(&ours)?;
            hear(&ours)?;
            say(&ours)?;
            hear(&ours)?;
            say(&ours)?;
            hear(&ours)?; // the end of file: the program runs
            poll(&mut [PollFd::new(signals.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE)?;
            signals.read_signal()?;
            waitpid(pid, Some(WaitPidFlag::WNOHANG))?;
            network.map(Network::disconnect).transpose()?;
            directory.map(Directory::remove).transpose()?;
            fs::remove_file(record)
        }
    }
}

/// The child's part, up to execve(2).
fn become_the_program(
    parent: &OwnedFd,
    root: &Path,
    directory: Option<&Directory>,
    network: Option<&Network>,
) -> io::Result<()> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    hear(parent)?;
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_SLAVE | MsFlags::MS_REC, None::<&str>)?;
    sethostname("floor")?;
    unshare(CloneFlags::CLONE_NEWCGROUP)?;
    let time = CloneFlags::from_bits_retain(libc::CLONE_NEWTIME);
    unshare(time)?;
    setns(open("/proc/self/ns/time_for_children", OFlag::O_CLOEXEC, Mode::empty())?, time)?;
    match directory {
        Some(directory) => directory.mount()?,
        None => root::bind(root)?,
    }
    network.map(|network| network.configure(root)).transpose()?;
    root::furnish(root)?;
    say(parent)?;
    hear(parent)?;
    root::pivot(root)?;
    say(parent)?;
    hear(parent)
}

fn say(to: &OwnedFd) -> io::Result<()> {
    Ok(send(to.as_raw_fd(), b"go", MsgFlags::MSG_NOSIGNAL).map(drop)?)
}

fn hear(from: &OwnedFd) -> io::Result<()> {
    Ok(recv(from.as_raw_fd(), &mut [0; 64], MsgFlags::empty()).map(drop)?)
}

/// Who runs: a small file, written under a lock.
struct Record {
    path: PathBuf,
    lock: Flock<File>,
}

impl Record {
    fn prepare(directory: &Path, id: &str) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let lock = File::create(directory.with_extension("lock"))?;
        let lock = Flock::lock(lock, FlockArg::LockExclusive).map_err(|(_, errno)| errno)?;
        fs::read_dir(directory)?.for_each(drop); // is there one of this name?
        Ok(Self { path: directory.join(id), lock })
    }

    fn write(self, pid: i32) -> io::Result<PathBuf> {
        fs::read(format!("/proc/{pid}/stat"))?;
        let new = self.path.with_extension("new");
        fs::write(&new, [b'r'; 183])?;
        fs::rename(&new, &self.path)?;
        drop(self.lock);
        Ok(self.path)
    }
}
