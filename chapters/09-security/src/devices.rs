//! Device nodes: what `--device` names on the host, and the stage that makes the nodes in the container.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use namespaces::mount::{Mount, NOEXEC, NOSUID, RDONLY};
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open};
use nix::sys::stat::{Mode, SFlag, fstat, major, makedev, minor, mknodat};
use nix::unistd::{Gid, Uid, fchownat};
use process::{Error, OrCall, Result, Stage, explain};
use rootfs::{RootDir, fd_path};

use crate::{Access, Device, DeviceKind, DeviceRule};

/// Directories of /dev that hold no devices of the machine (Docker leaves out the same).
const NOT_DEVICES: [&str; 7] = ["pts", "shm", "fd", "mqueue", ".lxc", ".lxd-mounts", ".udev"];
/// How deep a directory of devices is read; /dev/bus/usb/001 is three.
const DEEPEST: usize = 8;

/// The value of `--device`: `HOST[:CONTAINER[:ACCESS]]` or `HOST:ACCESS`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceArg {
    /// A device of the host, or a directory of them.
    pub host: PathBuf,
    /// Where it shall be in the container.
    pub container: PathBuf,
    /// What may be done with it.
    pub access: Access,
}

impl FromStr for DeviceArg {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts: Vec<_> = text.split(':').collect();
        let (host, container, access) = match parts[..] {
            [host] => (host, host, Access::ALL),
            [host, second] => match second.parse() {
                Ok(access) => (host, host, access),
                Err(_) => (host, second, Access::ALL),
            },
            [host, container, access] => (host, if container.is_empty() { host } else { container }, access.parse()?),
            _ => return Err(wrong(text)),
        };
        let clean = |path: &str| -> Result<PathBuf> {
            let path = Path::new(path);
            let plain = path.is_absolute() && !path.components().any(|part| part == Component::ParentDir);
            if plain && path != Path::new("/") { Ok(path.components().collect()) } else { Err(wrong(text)) }
        };
        Ok(Self { host: clean(host)?, container: clean(container)?, access })
    }
}

fn wrong(text: &str) -> Error {
    Error::invalid(format!("{text:?} is no device"))
        .help("write HOST[:CONTAINER[:rwm]] with absolute paths, as in /dev/fuse or /dev/sdb:/dev/disk:r")
}

impl DeviceArg {
    /// The nodes that it means, each with the rule that allows it. Looked up now, on the host.
    ///
    /// # Errors
    /// [`Kind::NotFound`](process::Kind::NotFound) if there is no such device, or none in the directory.
    pub fn find(&self) -> Result<Vec<(Device, DeviceRule)>> {
        let about = match self.host.metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::not_found(format!("{} does not exist on the host", self.host.display()))
                    .help("`ls -l /dev` shows what there is; a driver may have to be loaded first: modprobe"));
            }
            about => about.or_call("stat", self.host.display())?,
        };
        let mut found = Vec::new();
        if about.is_dir() {
            self.collect(&self.host, &self.container, &mut found, 0)?;
        } else {
            found.extend(self.one(&self.host, &self.container)?);
        }
        if found.is_empty() {
            return Err(Error::not_found(format!("{} is no device, nor a directory of devices", self.host.display()))
                .help("to have a file or directory in the container, use -v"));
        }
        Ok(found)
    }

    fn collect(&self, from: &Path, to: &Path, found: &mut Vec<(Device, DeviceRule)>, depth: usize) -> Result<()> {
        let mut entries: Vec<_> = from.read_dir().or_call("readdir", from.display())?.flatten().collect();
        entries.sort_by_key(std::fs::DirEntry::file_name);
        for entry in entries {
            let (path, name) = (entry.path(), entry.file_name());
            // Links are left out: what they name, if it is in the directory, is there by itself.
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() && depth < DEEPEST && !NOT_DEVICES.iter().any(|other| name == *other) {
                self.collect(&path, &to.join(name), found, depth + 1)?;
            } else if kind.is_char_device() && name == "console" {
                // The container has its own.
            } else if kind.is_char_device() || kind.is_block_device() {
                found.extend(self.one(&path, &to.join(name))?);
            }
        }
        Ok(())
    }

    fn one(&self, host: &Path, container: &Path) -> Result<Option<(Device, DeviceRule)>> {
        let about = host.metadata().or_call("stat", host.display())?;
        let kind = match about.file_type() {
            kind if kind.is_char_device() => DeviceKind::Char,
            kind if kind.is_block_device() => DeviceKind::Block,
            _ => return Ok(None),
        };
        let (major, minor) = (major(about.rdev()) as u32, minor(about.rdev()) as u32);
        let device = Device {
            path: container.to_owned(),
            source: Some(host.to_owned()),
            kind,
            major,
            minor,
            mode: about.mode() & 0o777,
            uid: about.uid(),
            gid: about.gid(),
        };
        let (major, minor) = (Some(major), Some(minor));
        Ok(Some((device, DeviceRule { allow: true, kind: Some(kind), major, minor, access: self.access })))
    }
}

/// The stage that makes the nodes beneath the container's root. It follows the system mounts, whose /dev it fills.
pub struct Devices {
    root: PathBuf,
    devices: Vec<Device>,
}

impl Devices {
    /// `devices` beneath `root`.
    pub fn new(root: PathBuf, devices: Vec<Device>) -> Self {
        Self { root, devices }
    }
}

impl Stage for Devices {
    fn name(&self) -> &'static str {
        "devices"
    }

    fn create_container(&mut self) -> Result<()> {
        let root = RootDir::open(&self.root)?;
        self.devices.iter().try_for_each(|device| make(&root, device))
    }
}

/// Makes one node; where making one is not allowed (a user namespace), the host's own is mounted in its place.
fn make(root: &RootDir, device: &Device) -> Result<()> {
    let place = &device.path.display();
    let (Some(parent), Some(name)) = (device.path.parent(), device.path.file_name()) else {
        return Err(wrong(&place.to_string()));
    };
    let directory = root.make_dir(parent)?;
    let number = makedev(device.major.into(), device.minor.into());
    let kind = match device.kind {
        DeviceKind::Char => SFlag::S_IFCHR,
        DeviceKind::Block => SFlag::S_IFBLK,
        DeviceKind::Fifo => SFlag::S_IFIFO,
    };
    match mknodat(&directory, name, kind, Mode::from_bits_truncate(device.mode & 0o777), number) {
        Ok(()) => {
            explain!(9, "a device node", "mknodat({place}, {} {}:{})", letter(device), device.major, device.minor)
        }
        // The standard nodes are there already; anything else in the way is not what was asked for.
        Err(Errno::EEXIST) if is_it(&node(&directory, name.as_ref(), &device.path)?, device)? => return Ok(()),
        Err(Errno::EEXIST) => {
            return Err(Error::call("mknodat", place, Errno::EEXIST).help("the root has something else at this path"));
        }
        Err(Errno::EPERM) if device.kind != DeviceKind::Fifo => return bind(root, device),
        Err(errno) => return Err(Error::call("mknodat", place, errno)),
    }
    // By a handle that does not follow a link; and mknod's mode went through the umask.
    let node = node(&directory, name.as_ref(), &device.path)?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(device.mode & 0o777);
    std::fs::set_permissions(fd_path(&node), mode).or_call("chmod", place)?;
    let (uid, gid) = (Some(Uid::from_raw(device.uid)), Some(Gid::from_raw(device.gid)));
    match fchownat(&node, "", uid, gid, AtFlags::AT_EMPTY_PATH) {
        // An owner that this user namespace does not know: the node stays root's.
        Err(Errno::EINVAL) => Ok(()),
        done => done.or_call("fchownat", place),
    }
}

fn node(directory: &OwnedFd, name: &Path, place: &Path) -> Result<OwnedFd> {
    let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    nix::fcntl::openat(directory, name, flags, Mode::empty()).or_call("openat", place.display())
}

/// Is what the handle means this device?
fn is_it(fd: impl AsFd, device: &Device) -> Result<bool> {
    let about = fstat(fd).or_call("fstat", device.path.display())?;
    let kind = SFlag::from_bits_truncate(about.st_mode & SFlag::S_IFMT.bits());
    let same = (major(about.st_rdev), minor(about.st_rdev)) == (device.major.into(), device.minor.into());
    Ok(match device.kind {
        DeviceKind::Char => kind == SFlag::S_IFCHR && same,
        DeviceKind::Block => kind == SFlag::S_IFBLK && same,
        DeviceKind::Fifo => kind == SFlag::S_IFIFO,
    })
}

/// Mounts the host's node on a file; what it is, is checked on the very handle that is mounted.
fn bind(root: &RootDir, device: &Device) -> Result<()> {
    let place = device.path.display().to_string();
    let source = device.source.as_ref().unwrap_or(&device.path);
    let host = open(source, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).or_call("open", source.display());
    let host =
        host.map_err(|error| error.help("in a user namespace no nodes can be made, only the host's be mounted"))?;
    if !is_it(&host, device)? {
        let what = format!("the host's {} is not the device {}:{}", source.display(), device.major, device.minor);
        return Err(
            Error::unsupported(what).help("in a user namespace no nodes can be made, only the host's be mounted")
        );
    }
    explain!(9, "no nodes in a user namespace: the host's own", "open_tree({})", source.display());
    let target = root.make_file(&device.path)?;
    if is_it(&target, device)? {
        return Ok(()); // mounted there already, as one of the standard ones
    }
    let mount = Mount::tree(host, source.display().to_string(), false)?;
    // Its mode and its owner stay the host's business; what is read and written goes to the driver all the same.
    mount.set(RDONLY | NOSUID | NOEXEC, false)?;
    mount.attach(target, &place)
}

fn letter(device: &Device) -> char {
    match device.kind {
        DeviceKind::Char => 'c',
        DeviceKind::Block => 'b',
        DeviceKind::Fifo => 'p',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_option_is_read_as_docker_reads_it() {
        let read = |text: &str| {
            let arg: DeviceArg = text.parse().unwrap();
            (arg.host.display().to_string(), arg.container.display().to_string(), arg.access.to_string())
        };
        let strings = |a: &str, b: &str, c: &str| (a.to_owned(), b.to_owned(), c.to_owned());
        assert_eq!(read("/dev/null"), strings("/dev/null", "/dev/null", "rwm"));
        assert_eq!(read("/dev/null:r"), strings("/dev/null", "/dev/null", "r"));
        assert_eq!(read("/dev/null:/dev/x"), strings("/dev/null", "/dev/x", "rwm"));
        assert_eq!(read("/dev/null:/dev/x:mr"), strings("/dev/null", "/dev/x", "rm"));
        assert_eq!(read("/dev/null::w"), strings("/dev/null", "/dev/null", "w"));
        for bad in ["", "null", "/dev/null:x", "/dev/null:/x:", "/dev/null:/x:rwx", "/a:/b:r:w", "/dev/../etc", "/"] {
            assert!(bad.parse::<DeviceArg>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_device_is_found_with_its_rule() {
        let found = "/dev/null:/dev/n:rw".parse::<DeviceArg>().unwrap().find().unwrap();
        let [(device, rule)] = &found[..] else { panic!("{found:?}") };
        assert_eq!((device.kind, device.major, device.minor), (DeviceKind::Char, 1, 3));
        assert_eq!((device.path.to_str(), rule.to_string()), (Some("/dev/n"), "c 1:3 rw".to_owned()));
        assert!("/dev/no-such".parse::<DeviceArg>().unwrap().find().is_err());
        assert!("/etc/passwd".parse::<DeviceArg>().unwrap().find().unwrap_err().way_out().unwrap().contains("-v"));
    }

    #[test]
    fn a_directory_of_devices_is_all_that_is_in_it() {
        let found = "/dev:/dev/host".parse::<DeviceArg>().unwrap().find().unwrap();
        let paths: Vec<_> = found.iter().map(|(device, _)| device.path.clone()).collect();
        assert!(paths.contains(&"/dev/host/null".into()));
        assert!(!paths.iter().any(|path| path.starts_with("/dev/host/pts")), "{paths:?}");
    }
}
