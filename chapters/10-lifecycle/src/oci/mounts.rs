//! The mounts of config.json, made in their order, each on a handle beneath the root.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use namespaces::mount::{Change, mount_setattr};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::Uid;
use oci_spec::runtime::LinuxNamespaceType;
use process::{Error, OrCall, Result, Stage, explain};
use rootfs::{RootDir, fd_path};

use super::mount_options::Options;
use super::mount_plan::{Entry, Plan, What};
use super::target::{self, Shape};
use super::{Bundle, copyup, idmap, sys};

/// The stage that makes them.
pub struct Mounts {
    root: PathBuf,
    plan: Plan,
    /// The container's user namespace is not ours.
    foreign_user: bool,
    own_cgroup_namespace: bool,
    /// Mounts stay connected with the host's.
    shared: bool,
    label: Option<String>,
    /// To be read-only once everything is in them.
    late: Vec<OwnedFd>,
}

impl Mounts {
    /// The mounts of `bundle`, beneath its root.
    ///
    /// # Errors
    /// As [`Plan::of`].
    pub fn new(bundle: &Bundle, plan: Plan) -> Result<Self> {
        let linux = bundle.linux();
        let propagation = super::root::propagation(linux.and_then(|linux| linux.rootfs_propagation().as_deref()))?;
        let label = linux.and_then(|linux| linux.mount_label().clone()).filter(|label| !label.is_empty());
        Ok(Self {
            root: bundle.root.clone(),
            plan,
            foreign_user: bundle.namespace(LinuxNamespaceType::User).is_some(),
            own_cgroup_namespace: bundle.namespace(LinuxNamespaceType::Cgroup).is_some(),
            shared: propagation.contains(MsFlags::MS_SHARED),
            label: label.filter(|_| Path::new("/sys/fs/selinux/enforce").exists()),
            late: Vec::new(),
        })
    }

    fn mount(&mut self, root: &RootDir, entry: &mut Entry) -> Result<()> {
        match &entry.what {
            What::Bind(source) => {
                let tree = match entry.ready.take() {
                    Some(tree) => tree,
                    None => entry.clone_source(source)?,
                };
                bind(root, entry, &tree, source)
            }
            What::Cgroup => self.cgroup(root, entry),
            What::New(kind, source) => self.filesystem(root, entry, kind, source),
        }
    }

    fn filesystem(&mut self, root: &RootDir, entry: &Entry, kind: &str, source: &str) -> Result<()> {
        let (target, was_there) = place(root, &entry.place, kind)?;
        let mut data = entry.options.data.clone();
        let is_tmpfs = kind == "tmpfs";
        if is_tmpfs && was_there && !data.iter().any(|option| option.starts_with("mode=")) {
            // A new tmpfs is open to all (1777); this one stands for a directory that had a mode.
            let mode = fstat(&target).or_call("fstat", entry.place.display())?.st_mode & 0o7777;
            data.push(format!("mode={mode:o}"));
        }
        if let Some(label) = &self.label
            && !matches!(kind, "proc" | "sysfs" | "mqueue")
        {
            data.push(format!("context=\"{label}\""));
        }
        let mut flags = entry.options.set;
        let late = is_tmpfs && flags & libc::MS_RDONLY != 0;
        if late {
            flags &= !libc::MS_RDONLY;
        }
        let data = data.join(",");
        make(&target, &entry.place, kind, source, flags, &data).or_else(|error| match (kind, error.errno()) {
            // The kernel gives a user namespace no sysfs unless it owns the network namespace, too (sysfs_init_fs_context).
            ("sysfs", Some(Errno::EPERM)) => self.host_sys(&target, flags),
            ("proc", Some(Errno::EPERM)) => Err(error.help(
                "a user namespace gets no /proc that shows more than the one it already sees: is the PID namespace new, \
                 and nothing in the host's /proc masked?",
            )),
            _ => Err(error),
        })?;
        let below = target;
        let needs_handle = entry.options.copy_up || late || has_more(&entry.options);
        if needs_handle {
            let top = root.resolve(&entry.place)?;
            if entry.options.copy_up && is_tmpfs {
                copyup::copy(&below, &top, &entry.place)?;
                explain!(5, "it begins with what was there", "tmpcopyup {}", entry.place.display());
            }
            more(&top, entry)?;
            if late {
                self.late.push(top);
            }
        }
        Ok(())
    }

    /// The host's /sys, of which nothing can be written.
    fn host_sys(&self, target: &OwnedFd, flags: u64) -> Result<()> {
        let flags_of_handle = OFlag::O_PATH | OFlag::O_CLOEXEC;
        let host = open("/sys", flags_of_handle, Mode::empty()).or_call("open", "/sys")?;
        let tree = sys::clone_tree(host.as_fd(), true).or_call("open_tree", "/sys")?;
        let (set, _) = Options { set: flags, ..Options::default() }.attributes();
        mount_setattr(tree.as_fd(), Change::attributes(set | sys::RDONLY), true).or_call("mount_setattr", "/sys")?;
        explain!(3, "the network is not ours: the host's /sys", "open_tree(/sys)");
        sys::attach(tree.as_fd(), target.as_fd()).or_call("move_mount", "/sys")
    }

    /// The container's own group is the root of what it sees, by its cgroup namespace; without one, it sees the host's
    /// groups. Where the host has no cgroup v2 there is nothing to see.
    fn cgroup(&mut self, root: &RootDir, entry: &Entry) -> Result<()> {
        let (target, _) = place(root, &entry.place, "cgroup2")?;
        let show = entry.place.display();
        let flags = entry.options.set;
        if self.own_cgroup_namespace && make(&target, &entry.place, "cgroup2", "cgroup", flags, "").is_ok() {
            return if has_more(&entry.options) { more(&root.resolve(&entry.place)?, entry) } else { Ok(()) };
        }
        match cgroups::Hierarchy::find() {
            // Never a new mount in the host's cgroup namespace: its options, none here, would become the host's own.
            Ok(hierarchy) => {
                let own = if self.own_cgroup_namespace { own_group(&hierarchy) } else { None };
                let source = own.unwrap_or(hierarchy.mount);
                let flags_of_handle = OFlag::O_PATH | OFlag::O_CLOEXEC;
                let group = open(&source, flags_of_handle, Mode::empty()).or_call("open", source.display())?;
                let tree = sys::clone_tree(group.as_fd(), true).or_call("open_tree", source.display())?;
                attributes(&tree, entry, &source)?;
                explain!(4, "the host's groups, as it has them", "open_tree({})", source.display());
                sys::attach(tree.as_fd(), target.as_fd()).or_call("move_mount", show)
            }
            Err(error) => {
                explain!(4, "no groups to be seen: an empty directory", "{}", error.what());
                make(&target, &entry.place, "tmpfs", "cgroup", flags | libc::MS_RDONLY, "mode=755,size=0")
            }
        }
    }
}

impl Stage for Mounts {
    fn name(&self) -> &'static str {
        "mounts"
    }

    /// What the child could not reach from its user namespace, or may not map there, is copied for it.
    fn prepare(&mut self) -> Result<()> {
        for entry in &mut self.plan.entries {
            let What::Bind(source) = &entry.what else { continue };
            if !self.foreign_user && entry.map.is_none() {
                continue;
            }
            let at = format!("mount {}", entry.place.display());
            let tree = match entry.clone_source(source) {
                // An ordinary user may copy no mount. The child may, and sees with its user's eyes what we see.
                Err(error) if error.errno() == Some(Errno::EPERM) && entry.map.is_none() => continue,
                tree => tree.map_err(|error| error.at(&at))?,
            };
            if !self.shared {
                // As in the child's own tree: what the host mounts later comes in, nothing goes out.
                mount_setattr(tree.as_fd(), Change::propagation(libc::MS_SLAVE), true).or_call("mount_setattr", &at)?;
            }
            if let Some(map) = &entry.map {
                let namespace = idmap::namespace(map).map_err(|error| error.at(&at))?;
                let recursive = entry.options.idmap == Some(true);
                let mapped = mount_setattr(tree.as_fd(), Change::owners(namespace.as_fd()), recursive);
                mapped.or_call("mount_setattr", format!("IDMAP of {}", source.display())).map_err(not_mapped)?;
                explain!(9, "its files have other owners here", "mount_setattr({}, IDMAP)", source.display());
            }
            entry.ready = Some(tree);
        }
        Ok(())
    }

    fn create_container(&mut self) -> Result<()> {
        let root = RootDir::open(&self.root)?;
        for mut entry in std::mem::take(&mut self.plan.entries) {
            let place = entry.place.clone();
            self.mount(&root, &mut entry).map_err(|error| error.at(format_args!("mount {}", place.display())))?;
        }
        Ok(())
    }

    fn enter_root(&mut self) -> Result<()> {
        self.late.drain(..).try_for_each(|mount| {
            mount_setattr(mount.as_fd(), Change::attributes(sys::RDONLY), false).or_call("mount_setattr", "RDONLY")
        })
    }
}

/// The place of a new file system: /proc and /sys must be plain directories, and nothing may lie inside a /proc.
fn place(root: &RootDir, path: &Path, kind: &str) -> Result<(OwnedFd, bool)> {
    if kind == "proc" && path == Path::new("/proc") || kind == "sysfs" && path == Path::new("/sys") {
        return target::plain(root, path);
    }
    let found = target::make(root, path, Shape::Directory)?;
    target::not_in_proc(root, &found.0, path)?;
    Ok(found)
}

/// mount(2) on a handle.
fn make(target: &OwnedFd, show: &Path, kind: &str, source: &str, flags: u64, data: &str) -> Result<()> {
    let source = if source.is_empty() { kind } else { source };
    let data = (!data.is_empty()).then_some(data);
    let place = fd_path(target);
    let done = mount(Some(source), &place, Some(kind), MsFlags::from_bits_retain(flags as libc::c_ulong), data);
    let options = data.map_or(String::new(), |data| format!(" ({data})"));
    done.or_call("mount", format!("{kind} on {}{options}", show.display())).map_err(|error| match error.errno() {
        Some(Errno::EINVAL) => error.help("the file system does not know one of the options, or not its value"),
        Some(Errno::ENODEV) => error.help("the kernel has no such file system; /proc/filesystems lists them"),
        _ => error,
    })?;
    explain!(3, "visible in this mount namespace only", "mount({kind} on {}{options})", show.display());
    Ok(())
}

fn bind(root: &RootDir, entry: &Entry, tree: &OwnedFd, source: &Path) -> Result<()> {
    let kind = SFlag::from_bits_truncate(fstat(tree).or_call("fstat", source.display())?.st_mode) & SFlag::S_IFMT;
    let target = if entry.place == Path::new("/proc") || entry.place == Path::new("/sys") {
        target::plain(root, &entry.place)?.0
    } else {
        let shape = if kind == SFlag::S_IFDIR { Shape::Directory } else { Shape::File };
        let target = target::make(root, &entry.place, shape)?.0;
        target::not_in_proc(root, &target, &entry.place)?;
        target
    };
    attributes(tree, entry, source)?;
    sys::attach(tree.as_fd(), target.as_fd())
        .or_call("move_mount", format!("{} on {}", source.display(), entry.place.display()))
        .map_err(|error| match error.errno() {
            Some(Errno::ENOTDIR | Errno::EINVAL) => error.help("is one of the two a directory and the other not?"),
            _ => error,
        })?;
    explain!(3, "a part of the host's tree", "move_mount({}, {})", source.display(), entry.place.display());
    Ok(())
}

/// The attributes of a mount that is attached nowhere yet, so that nobody sees it without them.
fn attributes(tree: &OwnedFd, entry: &Entry, source: &Path) -> Result<()> {
    let (set, clear) = entry.options.attributes();
    if set | clear != 0 {
        let show = source.display();
        let change = |clear| mount_setattr(tree.as_fd(), Change { set, clear, ..Change::default() }, false);
        match change(clear) {
            // What is locked cannot be taken away in a user namespace: it stays, as with every runtime.
            Err(Errno::EPERM) if clear & !sys::ATIME != 0 => {
                explain!(3, "locked attributes of the source stay", "mount_setattr({show})");
                change(if set & sys::ATIME != 0 { sys::ATIME } else { 0 }).or_call("mount_setattr", show)?;
            }
            done => done.or_call("mount_setattr", show)?,
        }
    }
    more(tree, entry)
}

fn has_more(options: &Options) -> bool {
    options.recursive_set | options.recursive_clear != 0 || !options.propagation.is_empty()
}

/// Recursive attributes and propagation.
fn more(mount: &OwnedFd, entry: &Entry) -> Result<()> {
    let Options { recursive_set: set, recursive_clear: clear, propagation, .. } = &entry.options;
    let show = entry.place.display();
    let at: BorrowedFd<'_> = mount.as_fd();
    if set | clear != 0 {
        mount_setattr(at, Change { set: *set, clear: *clear, ..Change::default() }, true)
            .or_call("mount_setattr", format!("{show}, recursively"))?;
    }
    propagation.iter().try_for_each(|flags| {
        let kind = flags & !libc::MS_REC;
        mount_setattr(at, Change::propagation(kind), flags & libc::MS_REC != 0)
            .or_call("mount_setattr", format!("propagation of {show}"))
    })
}

/// The directory of the group that this process is in.
fn own_group(hierarchy: &cgroups::Hierarchy) -> Option<PathBuf> {
    // Ours is the root of the namespace by now, but the mount is older than that.
    let group = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = group.lines().find_map(|line| line.strip_prefix("0::"))?;
    hierarchy.path_of(path)
}

fn not_mapped(error: Error) -> Error {
    match error.errno() {
        Some(Errno::EINVAL) => error.help("this file system cannot map ids, or the mount has mapped ones already"),
        Some(Errno::EPERM) if !Uid::effective().is_root() => error.help("mapping ids needs root"),
        _ => error,
    }
}
