//! `/etc/hosts`, `/etc/hostname` and `/etc/resolv.conf`: written outside, mounted over the image's own.

use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use namespaces::mount::{Mount, NODEV, NOEXEC, NOSUID, Propagation};
use namespaces::rootless;
use nix::errno::Errno;
use nix::fcntl::{OFlag, readlinkat};
use process::{Error, OrCall, Result};
use rootfs::RootDir;

use crate::{ExtraHost, Lease, Resolv};

/// The three files, by their names in `/etc`.
const NAMES: [&str; 3] = ["hosts", "hostname", "resolv.conf"];

/// The largest `hosts` that is written anew, in bytes.
const MOST: u64 = 1 << 20;

/// What `/etc/hosts` has for every container; the names are those of Docker's.
const LOOPBACK: &str = "127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
ff00::0\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
";

/// What there is to say in `/etc/hosts`.
#[derive(Debug, Default)]
pub struct Hosts<'a> {
    /// The host's own file comes first: the container is in its network namespace.
    pub of_host: bool,
    /// The container's name.
    pub hostname: &'a str,
    /// Its addresses, if it has any of its own.
    pub addresses: Vec<IpAddr>,
    /// What `host-gateway` means here, if there is a way to the host.
    pub gateway: Option<IpAddr>,
    /// `--add-host`
    pub extra: &'a [ExtraHost],
}

impl Hosts<'_> {
    /// The file.
    ///
    /// # Errors
    /// `host-gateway` where there is no way to the host; as read(2) of the host's own file.
    pub fn render(&self) -> Result<String> {
        let mut text = LOOPBACK.to_owned();
        if self.of_host {
            text = fs::read_to_string("/etc/hosts").or_call("read", "/etc/hosts")?;
            if !text.ends_with('\n') {
                text.push('\n');
            }
        }
        for host in self.extra {
            let address = host.address.or(self.gateway).ok_or_else(|| {
                Error::invalid(format!("add-host {host}: this network has no way to the host"))
                    .help("give an address, or use --network bridge")
            })?;
            let _ = writeln!(text, "{address}\t{}", host.name);
        }
        if !self.of_host {
            // Without an address of its own the name still means itself (as Debian's installer writes it).
            let none = [IpAddr::V4(Ipv4Addr::new(127, 0, 1, 1))];
            let addresses = if self.addresses.is_empty() { &none } else { &self.addresses[..] };
            for address in addresses {
                let _ = writeln!(text, "{address}\t{}", names(self.hostname));
            }
        }
        Ok(text)
    }
}

/// `web.example.com web`: the full name first (hosts(5)).
fn names(hostname: &str) -> String {
    match hostname.split_once('.') {
        Some((short, _)) => format!("{hostname} {short}"),
        None => hostname.to_owned(),
    }
}

/// Writes the files into `directory`.
///
/// # Errors
/// As open(2) and write(2), and [`Hosts::render`].
pub fn write(directory: &Path, hosts: &Hosts<'_>, resolv: &Resolv) -> Result<()> {
    let texts = [hosts.render()?, format!("{}\n", hosts.hostname), resolv.render()];
    for (name, text) in NAMES.into_iter().zip(texts) {
        let path = directory.join(name);
        fs::write(&path, text).or_call("write", path.display())?;
    }
    Ok(())
}

/// Has the `hosts` of a running container follow its addresses: its own lines at the end are written anew, in place, since
/// what is mounted is the file and not its name.
///
/// # Errors
/// As open(2) and write(2). A container that has another one's files has none to be followed.
pub fn follow(directory: &Path, lease: &Lease) -> Result<()> {
    let path = directory.join("hosts");
    // The container may have written to it, and as much as it liked.
    if fs::metadata(&path).is_ok_and(|about| about.len() > MOST) {
        return Ok(());
    }
    let Ok(text) = fs::read_to_string(&path) else { return Ok(()) };
    let own = names(&lease.hostname);
    let others = text.lines().filter(|line| line.split_once('\t').is_none_or(|(_, names)| names != own));
    let mut text: String = others.flat_map(|line| [line, "\n"]).collect();
    for address in lease.addresses() {
        let _ = writeln!(text, "{address}\t{own}");
    }
    fs::write(&path, text).or_call("write", path.display())
}

/// The files on their way to the container.
#[derive(Default)]
pub enum Files {
    /// There are none, or they have arrived.
    #[default]
    Gone,
    /// Mounts that are attached nowhere yet.
    Open(Vec<Mount>),
    /// A directory that the child will open.
    At(PathBuf),
}

impl Files {
    /// Takes the files in `directory`, which may be another container's.
    ///
    /// Root's engine opens them before the child exists: in a user namespace of its own the child may be a
    /// stranger in our directories. In an ordinary user's engine only the child can, because mounts are
    /// copied only by who has rights over the mount namespace, and that one is the child's alone.
    ///
    /// # Errors
    /// As open(2), open_tree(2).
    pub fn take(directory: PathBuf) -> Result<Self> {
        if rootless::is_rootless() { Ok(Self::At(directory)) } else { open(&directory).map(Self::Open) }
    }

    /// In the child: covers the root's files with ours.
    ///
    /// # Errors
    /// As openat2(2), move_mount(2).
    pub fn attach(&mut self, root: &RootDir) -> Result<()> {
        let mounts = match std::mem::take(self) {
            Self::Gone => Vec::new(),
            Self::Open(mounts) => mounts,
            Self::At(directory) => open(&directory)?,
        };
        for (name, mount) in NAMES.into_iter().zip(mounts) {
            let place = Path::new("/etc").join(name);
            mount.attach(target(root, &place)?, &place.display().to_string())?;
        }
        Ok(())
    }
}

fn open(directory: &Path) -> Result<Vec<Mount>> {
    let mount = |name| {
        let mount = Mount::tree_at(&directory.join(name), false)?;
        mount.set(NOSUID | NODEV | NOEXEC, false)?;
        mount.propagate(Propagation::Private, false)?;
        Ok(mount)
    };
    NAMES.into_iter().map(mount).collect()
}

/// A handle of the file at `path`, made if it is missing; also behind a link that leads nowhere, as
/// `/etc/resolv.conf` of an image made with systemd.
fn target(root: &RootDir, path: &Path) -> Result<OwnedFd> {
    let mut path = path.to_owned();
    for _ in 0..40 {
        match root.open_at(&path, OFlag::O_PATH | OFlag::O_NOFOLLOW) {
            Err(error) if error.errno() == Some(Errno::ENOENT) => return root.make_file(&path),
            Err(error) => return Err(error),
            Ok(fd) => match readlinkat(&fd, "") {
                Ok(to) => path = resolve_lexically(path.parent().unwrap_or(Path::new("/")), Path::new(&to)),
                Err(_) => return Ok(fd),
            },
        }
    }
    Err(Error::call("openat2", path.display(), Errno::ELOOP))
}

/// `to`, seen from `directory`, without `..`; the root confines what comes out, whatever it is.
fn resolve_lexically(directory: &Path, to: &Path) -> PathBuf {
    let mut path = PathBuf::from("/");
    for part in directory.join(to).components() {
        match part {
            Component::Normal(name) => path.push(name),
            Component::ParentDir => drop(path.pop()),
            _ => {}
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_a_container() {
        let extra = ["db:10.0.0.1".parse().unwrap(), "me:host-gateway".parse().unwrap()];
        let addresses = vec![IpAddr::from([10, 210, 0, 2])];
        let gateway = Some(IpAddr::from([10, 210, 0, 1]));
        let hosts = Hosts { hostname: "web.test", addresses, gateway, extra: &extra, of_host: false };
        let text = hosts.render().unwrap();
        assert_eq!(text.strip_prefix(LOOPBACK).unwrap(), "10.0.0.1\tdb\n10.210.0.1\tme\n10.210.0.2\tweb.test web\n");
        let error = Hosts { gateway: None, ..hosts }.render().unwrap_err();
        assert!(error.what().contains("me:host-gateway"));
    }

    #[test]
    fn a_dangling_link_is_followed_inside_and_made_good() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("etc")).unwrap();
        let link = directory.path().join("etc/resolv.conf");
        std::os::unix::fs::symlink("../run/systemd/../resolve/stub.conf", link).unwrap();
        let root = RootDir::open(directory.path()).unwrap();
        target(&root, Path::new("/etc/resolv.conf")).unwrap();
        assert!(directory.path().join("run/resolve/stub.conf").is_file());
        assert!(!directory.path().join("etc/run").exists());
        std::os::unix::fs::symlink("hosts", directory.path().join("etc/hosts")).unwrap();
        assert_eq!(target(&root, Path::new("/etc/hosts")).unwrap_err().errno(), Some(Errno::ELOOP));
    }
}
