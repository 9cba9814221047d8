//! Files of the kernel, nodes of devices, and handles of files that no path leads to.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};

use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};

use super::sys::{Arg, call};
use super::{DONE, Tried, errno};

/// The attacks of this file.
pub fn attack(name: &str, args: &[&str]) -> Option<Tried> {
    Some(match (name, args) {
        ("read", [path]) => read(path),
        ("open-write", [path]) => open(path, true).map(|_| DONE.into()),
        ("open-read", [path]) => open(path, false).map(|_| DONE.into()),
        ("write-back", [path]) => write_back(path),
        ("write", [path, text]) => fs::write(path, text).map(|()| DONE.into()).map_err(|error| errno(&error)),
        ("chmod", [path]) => chmod(path),
        ("chown", [path]) => chown(path),
        ("mkdir", [path]) => fs::create_dir(path).map(|()| DONE.into()).map_err(|error| errno(&error)),
        ("mknod", [kind, major, minor]) => node(kind, major, minor),
        ("handle-of", [path]) => handle_of(path),
        ("handle", [mount, handle]) => by_handle(mount, handle),
        ("release_agent", []) => release_agent(),
        ("descriptors", []) => descriptors(),
        _ => return None,
    })
}

fn open(path: &str, write: bool) -> Result<File, Errno> {
    let mut options = OpenOptions::new();
    options.read(!write).write(write).custom_flags(libc::O_NONBLOCK);
    options.open(path).map_err(|error| errno(&error))
}

/// The first line, or how much there is if it is no text.
fn read(path: &str) -> Tried {
    let mut bytes = vec![0; 512];
    let length = open(path, false)?.read(&mut bytes).map_err(|error| errno(&error))?;
    let first = bytes[..length].split(|&byte| byte == b'\n' || byte == 0).next().unwrap_or_default();
    match str::from_utf8(first) {
        Ok(text) if !text.is_empty() => Ok(text.to_owned()),
        _ => Ok(format!("{length} bytes")),
    }
}

/// Writes what is there already: the right to is proven, and nothing is changed.
fn write_back(path: &str) -> Tried {
    let mut text = Vec::new();
    open(path, false)?.read_to_end(&mut text).map_err(|error| errno(&error))?;
    if text.is_empty() {
        text.push(b'\n');
    }
    open(path, true)?.write_all(&text).map_err(|error| errno(&error))?;
    Ok(DONE.into())
}

/// Sets the mode that it has.
fn chmod(path: &str) -> Tried {
    let change = || fs::set_permissions(path, PermissionsExt::from_mode(fs::metadata(path)?.mode() & 0o7777));
    change().map(|()| DONE.into()).map_err(|error| errno(&error))
}

/// Gives it to whom it belongs.
fn chown(path: &str) -> Tried {
    let change = || std::os::unix::fs::chown(path, Some(fs::metadata(path)?.uid()), None);
    change().map(|()| DONE.into()).map_err(|error| errno(&error))
}

/// Makes a node and reads what is behind it.
fn node(kind: &str, major: &str, minor: &str) -> Tried {
    let number = |text: &str| text.parse().expect("a number");
    let kind = if kind == "b" { SFlag::S_IFBLK } else { SFlag::S_IFCHR };
    let place = format!("/tmp/node-{}", std::process::id());
    mknod(place.as_str(), kind, Mode::from_bits_truncate(0o600), makedev(number(major), number(minor)))?;
    match read(&place) {
        Err(Errno::EAGAIN) => Ok(DONE.into()), // it is open, and has nothing to say
        said => said,
    }
}

/// A file's handle as name_to_handle_at(2) gives it: its bytes as hexadecimal digits.
fn handle_of(path: &str) -> Tried {
    let (mut path, mut mount_id) = ([path.as_bytes(), b"\0"].concat(), [0; 4]);
    let mut handle = [0_u8; 136];
    handle[..4].copy_from_slice(&128_u32.to_ne_bytes());
    let here = Arg::Is(libc::AT_FDCWD as u64);
    call(
        libc::SYS_name_to_handle_at,
        &mut [here, Arg::Of(&mut path), Arg::Of(&mut handle), Arg::Of(&mut mount_id), Arg::Is(0)],
    )?;
    let length = 8 + u32::from_ne_bytes([handle[0], handle[1], handle[2], handle[3]]) as usize;
    Ok(handle[..length].iter().map(|byte| format!("{byte:02x}")).collect())
}

/// What "shocker" did: a handle names a file of a file system, wherever in it we have been let in.
fn by_handle(mount: &str, hex: &str) -> Tried {
    let mut handle: Vec<u8> = (0..hex.len() / 2)
        .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).expect("hexadecimal digits"))
        .collect();
    let mount = File::open(mount).map_err(|error| errno(&error))?;
    let args = &mut [Arg::Is(mount.as_raw_fd() as u64), Arg::Of(&mut handle), Arg::Is(0)];
    let fd = call(libc::SYS_open_by_handle_at, args)?;
    read(&format!("/proc/self/fd/{fd}"))
}

/// The program that the host's kernel would start when a group of cgroup v1 becomes empty.
fn release_agent() -> Tried {
    let place = format!("/tmp/groups-{}", std::process::id());
    fs::create_dir(&place).map_err(|error| errno(&error))?;
    mount(Some("cgroup"), place.as_str(), Some("cgroup"), MsFlags::empty(), Some("memory"))?;
    write_back(&format!("{place}/release_agent"))
}

/// Our descriptors, but for the one that lists them.
fn descriptors() -> Tried {
    let entries = fs::read_dir("/proc/self/fd").map_err(|error| errno(&error))?;
    let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.retain(|name| fs::read_link(format!("/proc/self/fd/{name}")).is_ok()); // the list itself is closed by now
    names.sort();
    Ok(names.join(" "))
}
