//! Files to a tar archive: POSIX ustar headers, PAX records for what does not fit (pax(1), "pax Extended Header").

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io::{Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat, readlinkat};
use nix::sys::stat::{Mode, major, minor};
use process::{Error, Kind, OrCall, Result};
use rootfs::fd_path;
use tar::{Builder, EntryType, Header};

use super::place::{Origin, about};
use super::sys;

/// Room for a name in a ustar header.
const NAME: usize = 100;
/// The largest number that eight octal digits less the NUL can hold.
const OCTAL_ID: u64 = 0o7_777_777;
/// The largest size that eleven octal digits can hold.
const OCTAL_SIZE: u64 = 0o77_777_777_777;

/// Writes `origin` and all below it as an archive. With `guarded`, what lies on the kernel's own file systems is left
/// out: what /proc says is about the one who reads it.
///
/// # Errors
/// As open(2), read(2), getdents64(2), and writing.
pub fn pack(origin: &Origin, out: &mut dyn Write, xattrs: bool, guarded: bool) -> Result<()> {
    let mut pack = Pack { builder: Builder::new(out), links: HashMap::new(), xattrs, guarded };
    if guarded && is_kernels(origin.handle.as_fd())? {
        return Err(Error::new(
            Kind::Invalid,
            format!("{} is the kernel's own: no file that can be copied", origin.shown.display()),
        )
        .help("read it from inside: exec NAME cat PATH"));
    }
    pack.entry(&origin.handle, Path::new(&origin.name)).map_err(|error| error.at(origin.shown.display()))?;
    pack.builder.into_inner().and_then(|out| out.flush()).or_call("write", "the archive")
}

struct Pack<'a> {
    builder: Builder<&'a mut dyn Write>,
    /// The name in the archive of each file that has several.
    links: HashMap<(u64, u64), PathBuf>,
    xattrs: bool,
    guarded: bool,
}

impl Pack<'_> {
    fn entry(&mut self, handle: &OwnedFd, name: &Path) -> Result<()> {
        let about = about(handle)?;
        let inode = (about.dev(), about.ino());
        let several = about.nlink() > 1 && !about.is_dir();
        if let Some(first) = self.links.get(&inode).filter(|_| several) {
            let first = first.clone();
            return self.append(&about, name, EntryType::Link, first.as_os_str(), &[], None);
        }
        let kind = about.file_type();
        let records =
            if self.xattrs && (about.is_dir() || about.is_file()) { xattr_records(handle)? } else { Vec::new() };
        let no_link = OsStr::new("");
        if about.is_dir() {
            self.append(&about, name, EntryType::Directory, no_link, &records, None)?;
            return self.directory(handle, name);
        } else if about.is_symlink() {
            let target = readlinkat(handle, "").or_call("readlinkat", name.display())?;
            self.append(&about, name, EntryType::Symlink, &target, &records, None)?;
        } else if about.is_file() {
            // The handle again, now for reading: the same file, whatever its name means by now.
            let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
            let file = open(&fd_path(handle), flags, Mode::empty()).or_call("open", name.display())?;
            self.append(&about, name, EntryType::Regular, no_link, &records, Some(&mut File::from(file)))?;
        } else if kind.is_fifo() {
            self.append(&about, name, EntryType::Fifo, no_link, &records, None)?;
        } else if kind.is_char_device() || kind.is_block_device() {
            let kind = if kind.is_char_device() { EntryType::Char } else { EntryType::Block };
            self.append(&about, name, kind, no_link, &records, None)?;
        } else {
            return Ok(()); // a socket means nothing without the one who listens
        }
        if several {
            self.links.insert(inode, name.to_owned());
        }
        Ok(())
    }

    fn directory(&mut self, handle: &OwnedFd, name: &Path) -> Result<()> {
        for child in names(handle)? {
            let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let path = name.join(&child);
            match openat(handle, child.as_os_str(), flags, Mode::empty()) {
                Err(Errno::ENOENT) => {} // gone since we have read its name
                Err(Errno::EMFILE) => {
                    return Err(Error::call("openat", path.display(), Errno::EMFILE)
                        .help("directories lie too deep in each other for `ulimit -n`; raise it"));
                }
                opened => {
                    let opened = opened.or_call("openat", path.display())?;
                    if self.guarded && is_kernels(opened.as_fd())? {
                        eprintln!("warning: {} is left out: it is the kernel's own", path.display());
                    } else {
                        self.entry(&opened, &path)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn append(
        &mut self,
        about: &Metadata,
        name: &Path,
        kind: EntryType,
        link: &OsStr,
        more: &[(String, Vec<u8>)],
        file: Option<&mut File>,
    ) -> Result<()> {
        let mut name = name.as_os_str().as_bytes().to_vec();
        if kind == EntryType::Directory {
            name.push(b'/'); // as every tar writes directories
        }
        let size = if file.is_some() { about.len() } else { 0 };
        let mut header = Header::new_ustar();
        let mut records = more.to_vec();
        header.set_entry_type(kind);
        header.set_mode(about.mode() & 0o7777);
        header.set_size(size);
        header.set_mtime(about.mtime().max(0).cast_unsigned());
        header.set_uid(about.uid().into());
        header.set_gid(about.gid().into());
        if kind == EntryType::Char || kind == EntryType::Block {
            header.set_device_major(major(about.rdev()) as u32).or_call("tar", "device number")?;
            header.set_device_minor(minor(about.rdev()) as u32).or_call("tar", "device number")?;
        }
        if let Some(ustar) = header.as_ustar_mut() {
            place(&mut ustar.name, &name, "path", &mut records);
            place(&mut ustar.linkname, link.as_bytes(), "linkpath", &mut records);
        }
        let big =
            [("size", size, OCTAL_SIZE), ("uid", about.uid().into(), OCTAL_ID), ("gid", about.gid().into(), OCTAL_ID)];
        let big = big.iter().filter(|(_, value, most)| value > most);
        records.extend(big.map(|(key, value, _)| ((*key).to_owned(), value.to_string().into_bytes())));
        if about.mtime_nsec() != 0 && about.mtime() >= 0 {
            records.push(("mtime".to_owned(), format!("{}.{:09}", about.mtime(), about.mtime_nsec()).into_bytes()));
        }
        let extensions = records.iter().map(|(key, value)| (key.as_str(), value.as_slice()));
        self.builder.append_pax_extensions(extensions).or_call("write", "the archive")?;
        header.set_cksum();
        let Some(file) = file else {
            return self.builder.append(&header, std::io::empty()).or_call("write", "the archive");
        };
        // The size stands before the bytes: of a file that changes meanwhile not a byte more is read, and what is
        // missing is zeroes.
        let exact = file.take(size).chain(std::io::repeat(0)).take(size);
        self.builder.append(&header, exact).or_call("copy", String::from_utf8_lossy(&name))
    }
}

/// What lies in a directory, sorted by bytes.
fn names(handle: &OwnedFd) -> Result<Vec<OsString>> {
    let entries = std::fs::read_dir(fd_path(handle)).or_call("open", "a directory")?;
    let names: std::io::Result<Vec<_>> = entries.map(|entry| Ok(entry?.file_name())).collect();
    let mut names = names.or_call("getdents64", "a directory")?;
    names.sort();
    Ok(names)
}

/// Extended attributes that mean something elsewhere: the users' own, and the capabilities of programs.
fn xattr_records(handle: &OwnedFd) -> Result<Vec<(String, Vec<u8>)>> {
    let path = fd_path(handle);
    let mut records = Vec::new();
    for name in sys::list(&path).or_call("listxattr", "")? {
        let bytes = name.as_bytes();
        let travels =
            bytes == b"security.capability" || (bytes.starts_with(b"user.") && !bytes.starts_with(b"user.overlay."));
        let Some(key) = name.to_str().filter(|_| travels) else { continue };
        if let Some(value) = sys::get(&path, &name).or_call("getxattr", key)? {
            records.push((format!("SCHILY.xattr.{key}"), value));
        }
    }
    Ok(records)
}

/// Writes `value` where it fits, and into a PAX record where it does not.
fn place(field: &mut [u8; NAME], value: &[u8], key: &str, records: &mut Vec<(String, Vec<u8>)>) {
    let length = value.len().min(NAME);
    field[..length].copy_from_slice(&value[..length]);
    if value.len() > NAME || (!value.is_ascii() && std::str::from_utf8(value).is_ok()) {
        records.push((key.to_owned(), value.to_vec()));
    }
}

/// Does the handle lie on a file system whose files are the kernel talking (proc(5), sysfs(5), cgroups(7), …)?
pub fn is_kernels(handle: BorrowedFd<'_>) -> Result<bool> {
    const KERNELS: [i64; 10] = [
        libc::PROC_SUPER_MAGIC,
        libc::SYSFS_MAGIC,
        libc::CGROUP_SUPER_MAGIC,
        libc::CGROUP2_SUPER_MAGIC,
        libc::DEBUGFS_MAGIC,
        libc::TRACEFS_MAGIC,
        libc::SECURITYFS_MAGIC,
        libc::BPF_FS_MAGIC,
        libc::SELINUX_MAGIC,
        libc::DEVPTS_SUPER_MAGIC,
    ];
    let place = nix::sys::statfs::fstatfs(handle).or_call("fstatfs", "")?;
    Ok(KERNELS.contains(&place.filesystem_type().0))
}

/// The bytes of a path's names.
pub fn os(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}
