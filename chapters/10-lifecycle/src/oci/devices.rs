//! /dev: the nodes and links that every container has, and those of `linux.devices` (config-linux.md, "Devices").

use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::unistd::{UnlinkatFlags, symlinkat, unlinkat};
use oci_spec::runtime::{Linux, LinuxDevice, LinuxDeviceType};
use process::{Error, Result, Stage, explain};
use rootfs::RootDir;
use security::{Device, DeviceKind};

use super::bundle::{inside, invalid};

/// "Default Devices". /dev/console comes with a terminal, /dev/ptmx is a link.
const NODES: [(&str, u32, u32); 6] = [
    ("/dev/null", 1, 3),
    ("/dev/zero", 1, 5),
    ("/dev/full", 1, 7),
    ("/dev/random", 1, 8),
    ("/dev/urandom", 1, 9),
    ("/dev/tty", 5, 0),
];
/// "Dev symbolic links"; /dev/core is the kernel's memory, where it shows that.
const LINKS: [(&str, &str); 6] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
    ("core", "/proc/kcore"),
];

/// The nodes to make: the usual ones, then those of config.json.
pub fn nodes(linux: Option<&Linux>) -> Vec<Device> {
    let usual = |(path, major, minor): (&str, u32, u32)| Device {
        path: path.into(),
        source: None,
        kind: DeviceKind::Char,
        major,
        minor,
        mode: 0o666,
        uid: 0,
        gid: 0,
    };
    let asked: Vec<_> = linux.and_then(|linux| linux.devices().as_ref()).into_iter().flatten().map(device).collect();
    // One of config.json at the same path takes the place of a usual one.
    let is_asked = |path: &str| asked.iter().any(|device| device.path == Path::new(path));
    let usual: Vec<_> = NODES.into_iter().filter(|(path, ..)| !is_asked(path)).map(usual).collect();
    usual.into_iter().chain(asked).collect()
}

fn device(device: &LinuxDevice) -> Device {
    Device {
        path: inside(device.path()),
        source: None,
        kind: match device.typ() {
            LinuxDeviceType::B => DeviceKind::Block,
            LinuxDeviceType::P => DeviceKind::Fifo,
            _ => DeviceKind::Char, // c, and u, which is the same to the kernel
        },
        major: u32::try_from(device.major()).unwrap_or(0),
        minor: u32::try_from(device.minor()).unwrap_or(0),
        mode: device.file_mode().unwrap_or(0o666) & 0o7777,
        uid: device.uid().unwrap_or(0),
        gid: device.gid().unwrap_or(0),
    }
}

/// What `linux.devices` asks for can be made.
///
/// # Errors
/// [`Kind::Invalid`](process::Kind::Invalid): no path, no number, or the type `a`, which is for rules.
pub fn check(linux: &Linux) -> Result<()> {
    for device in linux.devices().iter().flatten() {
        let show = device.path().display();
        if !device.path().is_absolute() || inside(device.path()) == Path::new("/") {
            return Err(invalid(&format!("linux.devices: {show:?} is no absolute path")));
        }
        if device.typ() == LinuxDeviceType::A {
            return Err(invalid(&format!("linux.devices: {show}: type a is for rules only")).help("c, b, u or p"));
        }
        let fits = |number: i64| u32::try_from(number).is_ok();
        if device.typ() != LinuxDeviceType::P && !(fits(device.major()) && fits(device.minor())) {
            return Err(invalid(&format!("linux.devices: {show}: {}:{} is no device", device.major(), device.minor())));
        }
    }
    Ok(())
}

/// The stage that makes the links and, for a terminal, the place of /dev/console. It follows the nodes.
pub struct Links {
    root: PathBuf,
    console: bool,
}

impl Links {
    /// In /dev beneath `root`; with `console` a terminal will be mounted there.
    pub fn new(root: PathBuf, console: bool) -> Self {
        Self { root, console }
    }
}

impl Stage for Links {
    fn name(&self) -> &'static str {
        "devices"
    }

    fn create_container(&mut self) -> Result<()> {
        let root = RootDir::open(&self.root)?;
        let dev = root.make_dir("dev")?;
        for (name, to) in LINKS {
            if name == "core" && !Path::new(to).exists() {
                continue;
            }
            if name == "ptmx" {
                // The root may have a node of that name, which would lead to the host's terminals.
                match unlinkat(&dev, name, UnlinkatFlags::NoRemoveDir) {
                    Ok(()) | Err(Errno::ENOENT | Errno::EISDIR | Errno::EBUSY | Errno::EROFS) => {}
                    Err(errno) => return Err(Error::call("unlinkat", "/dev/ptmx", errno)),
                }
            }
            match symlinkat(to, &dev, name) {
                Ok(()) | Err(Errno::EEXIST) => {}
                Err(errno) => return Err(Error::call("symlinkat", format!("/dev/{name}"), errno)),
            }
        }
        explain!(3, "names that programs expect in /dev", "symlinkat(fd, stdin, stdout, stderr, ptmx)");
        if self.console {
            let flags = OFlag::O_CREAT | OFlag::O_NOFOLLOW | OFlag::O_WRONLY | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
            let mode = nix::sys::stat::Mode::from_bits_truncate(0o620);
            match nix::fcntl::openat(&dev, "console", flags, mode) {
                Ok(_) | Err(Errno::ELOOP) => {} // a link there is refused when the terminal is mounted
                Err(errno) => return Err(Error::call("openat", "/dev/console", errno)),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn linux(devices: &str) -> Linux {
        serde_json::from_str(&format!(r#"{{"devices":[{devices}]}}"#)).unwrap()
    }

    #[test]
    fn an_own_node_takes_the_place_of_a_usual_one() {
        let linux = linux(r#"{"path":"/dev/null","type":"c","major":1,"minor":3,"fileMode":384,"uid":7}"#);
        let nodes = nodes(Some(&linux));
        let null: Vec<_> = nodes.iter().filter(|device| device.path == Path::new("/dev/null")).collect();
        assert_eq!((null.len(), null[0].mode, null[0].uid, nodes.len()), (1, 0o600, 7, NODES.len()));
    }

    #[test]
    fn what_cannot_be_made_is_refused() {
        for bad in [
            r#"{"path":"/dev/x","type":"a"}"#,
            r#"{"path":"dev/x","type":"c","major":1,"minor":3}"#,
            r#"{"path":"/dev/x","type":"b","major":-1,"minor":3}"#,
        ] {
            assert!(check(&linux(bad)).is_err(), "{bad}");
        }
        assert!(check(&linux(r#"{"path":"/dev/pipe","type":"p"}"#)).is_ok());
    }
}
