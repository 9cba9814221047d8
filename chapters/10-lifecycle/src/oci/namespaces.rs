//! The container's namespaces: new ones, and those that exist already and are joined by path (config-linux.md).

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;

use namespaces::{CLONE_NEWTIME, IdMap, IdRange};
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::stat::{Mode, fstat, umask};
use nix::unistd::{Gid, Uid, setgroups, sethostname, setresgid, setresuid};
use oci_spec::runtime::{LinuxIdMapping, LinuxNamespaceType as Kind};
use process::{Child, OrCall, Result, Stage, explain};

use super::bundle::{invalid, path_of, twice};
use super::{Bundle, offsets, sys};

/// Kinds of namespaces, their clone flags, and their names in /proc/PID/ns.
const KINDS: [(Kind, CloneFlags, &str); 8] = [
    (Kind::User, CloneFlags::CLONE_NEWUSER, "user"),
    (Kind::Pid, CloneFlags::CLONE_NEWPID, "pid"),
    (Kind::Network, CloneFlags::CLONE_NEWNET, "net"),
    (Kind::Ipc, CloneFlags::CLONE_NEWIPC, "ipc"),
    (Kind::Uts, CloneFlags::CLONE_NEWUTS, "uts"),
    (Kind::Cgroup, CloneFlags::CLONE_NEWCGROUP, "cgroup"),
    (Kind::Time, CLONE_NEWTIME, "time"),
    (Kind::Mount, CloneFlags::CLONE_NEWNS, "mnt"),
];
/// What the child takes for itself after it was made: it stands in its cgroup then, and clocks are set from inside.
const OWN: CloneFlags = CloneFlags::CLONE_NEWCGROUP.union(CLONE_NEWTIME);

/// The stage that makes and joins them and gives the container its names and clocks.
pub struct Namespaces {
    new: CloneFlags,
    joined: Vec<Joined>,
    /// The container has a user namespace that is not ours: once in it, the child has no right to join what is ours.
    foreign_user: bool,
    /// That user namespace, if it exists already: the child is made in it.
    user: Option<OwnedFd>,
    hostname: Option<String>,
    domainname: Option<String>,
    /// What to write to /proc/self/timens_offsets.
    offsets: String,
    /// Where the parent was before it joined on the child's behalf.
    before: Vec<(CloneFlags, OwnedFd)>,
}

/// A namespace that exists already.
struct Joined {
    flag: CloneFlags,
    name: &'static str,
    path: PathBuf,
    /// Opened before the child exists: in the child the path may mean something else.
    fd: Option<OwnedFd>,
}

impl Namespaces {
    /// Those of `bundle`.
    ///
    /// # Errors
    /// As [`check`].
    pub fn new(bundle: &Bundle) -> Result<Self> {
        let (mut new, mut joined) = (CloneFlags::empty(), Vec::new());
        for (kind, flag, name) in KINDS {
            match bundle.namespace(kind).map(path_of) {
                None => {}
                Some(None) => new |= flag,
                Some(Some(path)) => joined.push(Joined { flag, name, path: path.to_owned(), fd: None }),
            }
        }
        let text = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        Ok(Self {
            new,
            joined,
            foreign_user: bundle.namespace(Kind::User).is_some(),
            user: None,
            hostname: text(bundle.spec.hostname()),
            domainname: text(bundle.spec.domainname()),
            offsets: offsets::lines(bundle.linux())?,
            before: Vec::new(),
        })
    }

    /// Joins in the parent what the child is then born in: its PID namespace, which nobody enters alive, and, if its
    /// user namespace is another, whatever may belong to ours.
    fn join_for_child(&mut self) -> Result<()> {
        let early = if self.foreign_user {
            CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS
        } else {
            CloneFlags::CLONE_NEWPID
        };
        for joined in self.joined.iter_mut().filter(|joined| early.contains(joined.flag)) {
            let ours = format!("/proc/self/ns/{}", joined.name);
            self.before.push((joined.flag, File::open(&ours).or_call("open", &ours)?.into()));
            let fd = joined.fd.take();
            fd.map_or(Ok(()), |fd| enter(&fd, joined))?;
        }
        Ok(())
    }

    /// Back to where the parent was.
    fn return_to_ours(&mut self) -> Result<()> {
        self.before.drain(..).try_for_each(|(flag, fd)| setns(fd, flag).or_call("setns", "a namespace of ours"))
    }
}

impl Joined {
    fn open(&mut self) -> Result<()> {
        let show = self.path.display();
        let fd: OwnedFd = File::open(&self.path).or_call("open", &show)?.into();
        match sys::namespace_type(fd.as_fd()) {
            Ok(kind) if kind == self.flag => {}
            Ok(_) => return Err(invalid(&format!("linux.namespaces: {show} is no {} namespace", self.name))),
            Err(_) => return Err(invalid(&format!("linux.namespaces: {show} is no namespace"))),
        }
        // Our own user namespace cannot be joined once more (setns(2)); whoever asks for it has it.
        let ours = std::fs::metadata(format!("/proc/self/ns/{}", self.name));
        let inode = fstat(&fd).or_call("fstat", &show)?.st_ino;
        let is_ours = ours.is_ok_and(|ours| std::os::unix::fs::MetadataExt::ino(&ours) == inode);
        self.fd = (!is_ours || self.flag != CloneFlags::CLONE_NEWUSER).then_some(fd);
        Ok(())
    }
}

fn enter(fd: &OwnedFd, joined: &Joined) -> Result<()> {
    setns(fd, joined.flag).or_call("setns", format!("the {} namespace {}", joined.name, joined.path.display()))?;
    explain!(3, "a namespace that others are in already", "setns({}, {})", joined.path.display(), joined.name);
    Ok(())
}

impl Stage for Namespaces {
    fn name(&self) -> &'static str {
        "namespaces"
    }

    fn prepare(&mut self) -> Result<()> {
        self.joined.iter_mut().try_for_each(Joined::open)?;
        let user = self.joined.iter_mut().find(|joined| joined.flag == CloneFlags::CLONE_NEWUSER);
        self.user = user.and_then(|user| user.fd.take());
        self.join_for_child()
    }

    fn user_namespace(&self) -> Option<BorrowedFd<'_>> {
        self.user.as_ref().map(AsFd::as_fd)
    }

    fn namespaces(&self) -> CloneFlags {
        self.new - OWN - CloneFlags::CLONE_NEWUSER
    }

    fn create_runtime(&mut self, _child: &Child) -> Result<()> {
        self.return_to_ours()
    }

    fn create_container(&mut self) -> Result<()> {
        // What is made for the container does not depend on the shell that started it.
        umask(Mode::from_bits_truncate(0o022));
        if self.user.take().is_some() {
            explain!(3, "made in a user namespace that others are in already", "setns(USER) before clone3");
            become_root_inside()?;
        }
        for joined in &mut self.joined {
            if let Some(fd) = joined.fd.take() {
                enter(&fd, joined)?;
            }
        }
        if self.new.contains(CloneFlags::CLONE_NEWCGROUP) {
            unshare(CloneFlags::CLONE_NEWCGROUP).or_call("unshare", "NEWCGROUP")?;
            explain!(3, "its cgroup looks like the root", "unshare(NEWCGROUP)");
        }
        if self.new.contains(CLONE_NEWTIME) {
            offsets::enter_new(&self.offsets)?;
        }
        if let Some(hostname) = &self.hostname {
            sethostname(hostname).or_call("sethostname", hostname)?;
            explain!(3, "a host name of its own", "sethostname({hostname:?})");
        }
        if let Some(domainname) = &self.domainname {
            sys::setdomainname(domainname).or_call("setdomainname", domainname)?;
            explain!(3, "a NIS domain name of its own", "setdomainname({domainname:?})");
        }
        Ok(())
    }

    fn poststop(&mut self) -> Result<()> {
        self.return_to_ours()
    }
}

/// Takes the ids 0 of the joined user namespace, if it has them; it comes with those of the host, which it may not know.
fn become_root_inside() -> Result<()> {
    let (uid, gid) = (Uid::from_raw(0), Gid::from_raw(0));
    match setgroups(&[]) {
        Ok(()) | Err(Errno::EPERM) => {} // denied there (user_namespaces(7)): there is nothing to give up
        refused => refused.or_call("setgroups", "[]")?,
    }
    let unless_unknown = |done| if done == Err(Errno::EINVAL) { Ok(()) } else { done };
    unless_unknown(setresgid(gid, gid, gid)).or_call("setresgid", 0)?;
    unless_unknown(setresuid(uid, uid, uid)).or_call("setresuid", 0)?;
    explain!(3, "root, in this namespace only", "setresuid(0, 0, 0)");
    Ok(())
}

/// The maps of a new user namespace, if there is to be one.
pub fn id_map(bundle: &Bundle) -> Option<IdMap> {
    let linux = bundle.linux().filter(|_| bundle.makes(Kind::User))?;
    let ranges = |maps: &Option<Vec<LinuxIdMapping>>| maps.iter().flatten().map(range).collect();
    Some(IdMap { uids: ranges(linux.uid_mappings()), gids: ranges(linux.gid_mappings()) })
}

/// One line of a map.
pub fn range(map: &LinuxIdMapping) -> IdRange {
    IdRange { inside: map.container_id(), outside: map.host_id(), length: map.size() }
}

/// The clone flags of all namespaces that are the container's own, made or joined.
pub fn own(bundle: &Bundle) -> CloneFlags {
    let there = |kind| bundle.namespace(kind).is_some();
    KINDS.iter().filter(|(kind, ..)| there(*kind)).fold(CloneFlags::empty(), |all, (_, flag, _)| all | *flag)
}

/// What config.json says about namespaces makes sense.
///
/// # Errors
/// [`Kind::Invalid`](process::Kind::Invalid): a kind twice, a name or a map without its namespace, and the like.
pub fn check(bundle: &Bundle) -> Result<()> {
    if let Some(kind) = twice(bundle.namespaces().iter().map(|namespace| namespace.typ())) {
        return Err(invalid(&format!("linux.namespaces: {kind} stands there twice")));
    }
    for path in bundle.namespaces().iter().filter_map(path_of) {
        if !path.is_absolute() {
            return Err(invalid(&format!("linux.namespaces: the path {} is not absolute", path.display())));
        }
    }
    let names = [("hostname", bundle.spec.hostname()), ("domainname", bundle.spec.domainname())];
    for (what, name) in names {
        let given = name.as_deref().is_some_and(|name| !name.is_empty());
        if given && bundle.namespace(Kind::Uts).is_none() {
            return Err(invalid(&format!("{what} needs a uts namespace, or the host would get that name"))
                .help("add {\"type\": \"uts\"} to linux.namespaces"));
        }
        if name.as_deref().is_some_and(|name| name.len() > 64) {
            return Err(invalid(&format!("{what} is longer than 64 bytes (uname(2))")));
        }
    }
    check_maps(bundle)?;
    let sets_clocks = bundle.linux().and_then(|linux| linux.time_offsets().as_ref()).is_some_and(|map| !map.is_empty());
    if sets_clocks && !bundle.makes(Kind::Time) {
        return Err(invalid("linux.timeOffsets needs a new time namespace")
            .help("add {\"type\": \"time\"} to linux.namespaces"));
    }
    offsets::lines(bundle.linux()).map(drop)
}

fn check_maps(bundle: &Bundle) -> Result<()> {
    let Some(linux) = bundle.linux() else { return Ok(()) };
    for (name, maps) in [("uidMappings", linux.uid_mappings()), ("gidMappings", linux.gid_mappings())] {
        let maps = maps.as_deref().unwrap_or_default();
        if !maps.is_empty() && bundle.namespace(Kind::User).is_none() {
            return Err(invalid(&format!("linux.{name} needs a user namespace"))
                .help("add {\"type\": \"user\"} to linux.namespaces"));
        }
        if maps.is_empty() && bundle.makes(Kind::User) {
            return Err(invalid(&format!(
                "a new user namespace needs linux.uidMappings and linux.gidMappings; {name} is empty"
            )));
        }
        if maps.iter().any(|map| map.size() == 0) {
            return Err(invalid(&format!("linux.{name}: a map of size 0")));
        }
    }
    Ok(())
}
