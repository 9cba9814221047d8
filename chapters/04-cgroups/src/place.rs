//! The place where this process may make groups, and the way down to one.
//!
//! A controller is there only if every group above has handed it down (`cgroup.subtree_control`), and a group
//! that does so must have no processes of its own ("No Internal Process Constraint", cgroup-v2.rst). To put
//! a child into a group, the `cgroup.procs` of the group that is above both must be ours to write. So the
//! place is the highest group on our own way up that we may write to: the top for root, `user@UID.service`
//! or another delegated group for an ordinary user.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{AccessFlags, Pid, Uid, eaccess, geteuid};
use process::{Error, Kind, OrCall, Result, explain};

use crate::controller::{self, Controller};
use crate::hierarchy::cgroup_of;
use crate::{Group, Hierarchy, sweep};

/// The group above the containers' groups.
pub const PARENT: &str = "cooper";
/// Where processes go that are in the way of the place's groups.
const ENGINE: &str = "cooper-engine";

/// A group that this process may divide.
#[derive(Debug, Clone)]
pub struct Place {
    /// The hierarchy that it lies in.
    pub hierarchy: Hierarchy,
    /// Its directory.
    pub base: PathBuf,
    /// The directory of the group that we are in.
    pub own: PathBuf,
}

/// A container's group while its engine lives. The lock says that it does: it ends with the process.
pub struct Held {
    /// The group.
    pub group: Group,
    /// Groups above it that were made for it, the lowest first.
    pub above: Vec<PathBuf>,
    lock: Flock<OwnedFd>,
}

impl Held {
    /// A second descriptor of the lock, which outlives this one when the program is replaced.
    pub fn lock_for_heirs(&self) -> Option<OwnedFd> {
        self.lock.try_clone().ok()
    }
}

impl Place {
    /// Looks for the place.
    ///
    /// # Errors
    /// [`Kind::Unsupported`](process::Kind::Unsupported) with the reason and the way out if there is none.
    pub fn find() -> Result<Self> {
        let hierarchy = Hierarchy::find()?;
        let cgroup = cgroup_of("self")?;
        let own = hierarchy.path_of(&cgroup).ok_or_else(|| {
            Error::unsupported(format!("our own group {cgroup} lies outside what {} shows", hierarchy.mount.display()))
                .help("inside a container: have it started with a cgroup namespace of its own")
        })?;
        let within = own.ancestors().take_while(|group| group.starts_with(&hierarchy.mount));
        match within.filter(|group| is_ours(group)).last().map(Path::to_path_buf) {
            Some(base) => Ok(Self { hierarchy, base, own }),
            None => Err(not_delegated(&hierarchy, &own)),
        }
    }

    /// The controllers that reach the place.
    pub fn available(&self) -> Vec<Controller> {
        let text = std::fs::read_to_string(self.base.join("cgroup.controllers"));
        Controller::parse_list(&text.unwrap_or_default())
    }

    /// Makes the group `name`, with as many controllers as can be had, and sweeps what dead engines left beside it.
    ///
    /// # Errors
    /// A `parent` outside the place; as mkdir(2).
    pub fn make(&self, parent: Option<&Path>, name: &str, controllers: &[Controller]) -> Result<Held> {
        let below = self.below(parent)?;
        // An engine that ends removes what it leaves empty, also under our feet: then we begin again.
        for _ in 0..100 {
            match self.try_make(&below, name, controllers) {
                Err(error) if matches!(error.errno(), Some(Errno::ENOENT | Errno::ENODEV)) => {}
                done => return done,
            }
        }
        self.try_make(&below, name, controllers)
    }

    fn try_make(&self, below: &Path, name: &str, controllers: &[Controller]) -> Result<Held> {
        let mut above = Vec::new();
        match self.descend(below, name, controllers, &mut above) {
            Ok((group, lock)) => Ok(Held { group, above, lock }),
            Err(error) => {
                above.iter().for_each(|path| drop(std::fs::remove_dir(path)));
                Err(error)
            }
        }
    }

    fn descend(
        &self,
        below: &Path,
        name: &str,
        controllers: &[Controller],
        above: &mut Vec<PathBuf>,
    ) -> Result<(Group, Flock<OwnedFd>)> {
        let mut group = Group::open(&self.base)?;
        self.hand_down(&group, controllers);
        for part in below {
            let part = part.to_string_lossy();
            if make_dir(&group, &part)? || part == PARENT {
                above.insert(0, group.path().join(&*part));
            }
            group = group.child(&part)?;
            self.hand_down(&group, controllers);
        }
        // Under this lock a group is made and locked in one step for everybody who sweeps.
        let _making = lock(&group, FlockArg::LockExclusive)?;
        sweep::stale(&group);
        make_dir(&group, name)?;
        let path = group.path().join(name);
        let locked = group.child(name).and_then(|group| {
            let lock = lock(&group, FlockArg::LockExclusive)?;
            Ok((group, lock))
        });
        explain!(4, "a control group is a directory", "mkdir({})", path.display());
        locked.inspect_err(|_| drop(std::fs::remove_dir(&path)))
    }

    /// The path from the place to the parent of the containers' groups.
    fn below(&self, parent: Option<&Path>) -> Result<PathBuf> {
        let Some(parent) = parent else { return Ok(PARENT.into()) };
        let Ok(from_top) = parent.strip_prefix("/") else { return Ok(parent.to_path_buf()) };
        let wanted = self.hierarchy.mount.join(from_top);
        wanted.strip_prefix(&self.base).map(Path::to_path_buf).map_err(|_| {
            let (wanted, base) = (wanted.display(), self.base.display());
            Error::invalid(format!("--cgroup-parent: {wanted} is not ours to divide"))
                .help(format!("name one below {base}, or a relative one, which counts from there"))
        })
    }

    /// Enables controllers for the groups below `group`. One that cannot be had is missed where it is needed.
    fn hand_down(&self, group: &Group, controllers: &[Controller]) {
        let list = |file| Controller::parse_list(&group.read(file).unwrap_or_default());
        let (have, offered) = (list("cgroup.subtree_control"), list("cgroup.controllers"));
        let lacking: Vec<_> = controllers.iter().filter(|one| offered.contains(one) && !have.contains(one)).collect();
        if lacking.is_empty() {
            return;
        }
        // Not by trial: `cpu` and `pids` would be taken also where processes are, but make a threaded group of
        // it, in which no container can be ("Threads", cgroup-v2.rst).
        if let Err(error) = self.make_room(group) {
            explain!(4, "no controllers from here down", "{}", error.what());
            return;
        }
        let path = group.path().join("cgroup.subtree_control");
        for controller in lacking {
            match group.write("cgroup.subtree_control", &format!("+{controller}")) {
                Ok(()) => explain!(4, "for the groups below", "write({}, \"+{controller}\")", path.display()),
                Err(error) => explain!(4, "not to be had here", "{}", error.what()),
            }
        }
    }

    /// Processes stand where groups shall be divided: they move to a leaf beside those. That is the case inside
    /// a container, whose processes all begin in its top group; no other group than our own is ours to clear.
    fn make_room(&self, group: &Group) -> Result<()> {
        // The root of all groups is exempt from the rule, and the only one without a type.
        if !group.has("cgroup.type") || group.read("cgroup.procs")?.is_empty() {
            return Ok(());
        }
        if group.path() == self.own {
            make_dir(group, ENGINE)?;
            let leaf = group.child(ENGINE)?;
            // Again, for those that were forked meanwhile.
            for _ in 0..10 {
                group.processes()?.into_iter().try_for_each(|pid| move_to(&leaf, pid))?;
                if group.read("cgroup.procs")?.is_empty() {
                    return Ok(());
                }
            }
        }
        Err(Error::new(Kind::Conflict, format!("{} has processes of its own", group.path().display())))
    }

    /// Why `option` cannot be had here.
    pub fn missing(&self, option: &str, controller: Controller) -> Error {
        if self.available().contains(&controller) {
            let what =
                format!("{option}: the {controller} controller could not be enabled below {}", self.base.display());
            return match Group::open(&self.base).and_then(|group| group.processes()) {
                Ok(pids) if !pids.is_empty() && self.base != self.hierarchy.mount => Error::unsupported(what)
                    .help(format!("processes are in the way there ({}): move them to a group below it", show(&pids))),
                _ => Error::unsupported(what).help("`--explain` shows what the kernel answered"),
            };
        }
        controller::missing(option, controller, self)
    }
}

fn move_to(leaf: &Group, pid: Pid) -> Result<()> {
    match leaf.write("cgroup.procs", &pid.to_string()) {
        Err(error) if error.errno() == Some(Errno::ESRCH) => Ok(()), // it has ended
        Err(error) => Err(error),
        Ok(()) => {
            let file = leaf.path().join("cgroup.procs");
            explain!(4, "a group with groups has no processes", "write({}, \"{pid}\")", file.display());
            Ok(())
        }
    }
}

fn show(pids: &[Pid]) -> String {
    pids.iter().take(5).map(Pid::to_string).collect::<Vec<_>>().join(" ")
}

/// Locks the directory of a group (flock(2)). The lock goes with the last copy of the descriptor, so with its engine.
pub fn lock(group: &Group, how: FlockArg) -> Result<Flock<OwnedFd>> {
    let path = group.path().display();
    let fd = std::os::fd::AsFd::as_fd(group).try_clone_to_owned().or_call("dup", &path)?;
    Flock::lock(fd, how).map_err(|(_, errno)| Error::call("flock", path, errno))
}

/// True if it was not there before.
fn make_dir(group: &Group, name: &str) -> Result<bool> {
    match mkdirat(group, name, Mode::from_bits_truncate(0o755)) {
        Ok(()) => Ok(true),
        Err(Errno::EEXIST) => Ok(false),
        refused => refused.or_call("mkdirat", group.path().join(name).display()).map(|()| true),
    }
}

/// May we make groups in it, enable controllers for them, and put processes into them?
///
/// access(2) asks the kernel itself, so it is right about read-only mounts and user namespaces too.
fn is_ours(group: &Path) -> bool {
    let ours = |path: &Path| eaccess(path, AccessFlags::W_OK).is_ok();
    ours(group) && ours(&group.join("cgroup.procs")) && ours(&group.join("cgroup.subtree_control"))
}

fn not_delegated(hierarchy: &Hierarchy, own: &Path) -> Error {
    let procs = own.join("cgroup.procs");
    if eaccess(&procs, AccessFlags::W_OK) == Err(Errno::EROFS) {
        return Error::unsupported(format!("cgroup v2 is mounted read-only at {}", hierarchy.mount.display()))
            .help("inside a container: have it started with writable cgroups (--privileged, or a read-write mount)");
    }
    let what =
        format!("no group is delegated to this user: {} and those above it are not ours to write", procs.display());
    Error::unsupported(what).help(by_hand(&hierarchy.mount, geteuid()))
}

/// How to come by a delegated group: from systemd, or from root.
fn by_hand(mount: &Path, uid: Uid) -> String {
    let group = format!("user-{uid}");
    let mount = mount.display();
    format!(
        "under systemd: log in through it, or run `systemd-run --user --scope -p Delegate=yes` before the command; \
         without systemd: sudo sh -c 'cd {mount} && echo +cpu +cpuset +io +memory +pids > cgroup.subtree_control; \
         mkdir -p {group}/shell && chown {uid} {group} {group}/cgroup.procs {group}/cgroup.subtree_control {group}/shell \
         {group}/shell/cgroup.procs && echo '$$' > {group}/shell/cgroup.procs'"
    )
}
