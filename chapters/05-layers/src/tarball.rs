//! A layer's tar archive, entry by entry: POSIX ustar headers, and PAX records for what does not fit into them.
//!
//! The same tree gives the same bytes: no user names, no clock, no order but that of the names. Records are
//! those that Docker and the other tools of OCI write (image-spec, layer.md; pax(1), "pax Extended Header").

use std::fs::Metadata;
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use nix::sys::stat::{major, minor};
use process::{Error, OrCall, Result};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

/// Room for a name in a ustar header.
const NAME: usize = 100;
/// The largest number that eight octal digits less the NUL can hold.
const OCTAL_ID: u64 = 0o7_777_777;
/// The largest size that eleven octal digits can hold.
const OCTAL_SIZE: u64 = 0o77_777_777_777;

/// What an entry holds besides its attributes.
pub enum Content<'a> {
    /// Nothing: a directory, a device, a pipe.
    None,
    /// A regular file's bytes.
    File(&'a mut dyn Read),
    /// The target of a symbolic link.
    Symlink(Vec<u8>),
    /// The archive's earlier name of the same file.
    HardLink(&'a [u8]),
}

/// The bytes on their way out: counted and hashed.
pub struct Hashing<W> {
    out: W,
    hash: Sha256,
    size: u64,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
}

/// The archive while it is written.
pub struct Tarball<W: Write> {
    builder: Builder<Hashing<W>>,
}

impl<W: Write> Tarball<W> {
    /// An archive that goes to `out`.
    pub fn new(out: W) -> Self {
        Self { builder: Builder::new(Hashing { out, hash: Sha256::new(), size: 0 }) }
    }

    /// Ends the archive; gives its SHA-256 in hexadecimal, and its size in bytes.
    ///
    /// # Errors
    /// As write(2).
    pub fn finish(self) -> Result<(String, u64)> {
        let finish = || -> std::io::Result<_> {
            let mut hashing = self.builder.into_inner()?;
            hashing.flush()?;
            Ok(hashing)
        };
        let hashing = finish().or_call("write", "the layer")?;
        let hex = hashing.hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
        Ok((hex, hashing.size))
    }

    /// Appends the entry `name` with the attributes of `about` and these extended attributes.
    ///
    /// # Errors
    /// As write(2) of the archive and read(2) of the content.
    pub fn entry(
        &mut self,
        name: &[u8],
        about: &Metadata,
        content: Content<'_>,
        xattrs: &[(String, Vec<u8>)],
    ) -> Result<()> {
        let (kind, link, data, size): (_, &[u8], Option<&mut dyn Read>, _) = match content {
            Content::HardLink(first) => (EntryType::Link, first, None, 0),
            Content::Symlink(ref target) => (EntryType::Symlink, target, None, 0),
            Content::File(data) => (EntryType::Regular, b"", Some(data), about.len()),
            Content::None => (plain_kind(about), b"", None, 0),
        };
        let mut header = Header::new_ustar();
        let mut records: Vec<(String, Vec<u8>)> = Vec::new();
        header.set_entry_type(kind);
        header.set_mode(about.mode() & 0o7777);
        header.set_size(size);
        header.set_mtime(about.mtime().max(0).cast_unsigned());
        header.set_uid(about.uid().into());
        header.set_gid(about.gid().into());
        if kind == EntryType::Char || kind == EntryType::Block {
            let numbers = (major(about.rdev()) as u32, minor(about.rdev()) as u32);
            header.set_device_major(numbers.0).or_call("tar", "device number")?;
            header.set_device_minor(numbers.1).or_call("tar", "device number")?;
        }
        if let Some(ustar) = header.as_ustar_mut() {
            place(&mut ustar.name, name, "path", &mut records);
            place(&mut ustar.linkname, link, "linkpath", &mut records);
        }
        let big =
            [("size", size, OCTAL_SIZE), ("uid", about.uid().into(), OCTAL_ID), ("gid", about.gid().into(), OCTAL_ID)];
        let big = big.iter().filter(|(_, value, most)| value > most);
        records.extend(big.map(|(key, value, _)| ((*key).to_owned(), value.to_string().into_bytes())));
        if let Some(time) = exact_time(about) {
            records.push(("mtime".to_owned(), time.into_bytes()));
        }
        records.extend(xattrs.iter().map(|(key, value)| (format!("SCHILY.xattr.{key}"), value.clone())));
        self.append(header, &records, data, size, name)
    }

    /// Appends an empty file, which is how a layer writes a whiteout.
    ///
    /// # Errors
    /// As write(2).
    pub fn marker(&mut self, name: &[u8]) -> Result<()> {
        let mut header = Header::new_ustar();
        let mut records = Vec::new();
        header.set_entry_type(EntryType::Regular);
        header.set_mode(0);
        for set in [Header::set_size, Header::set_mtime, Header::set_uid, Header::set_gid] {
            set(&mut header, 0);
        }
        if let Some(ustar) = header.as_ustar_mut() {
            place(&mut ustar.name, name, "path", &mut records);
        }
        self.append(header, &records, None, 0, name)
    }

    fn append(
        &mut self,
        mut header: Header,
        records: &[(String, Vec<u8>)],
        data: Option<&mut dyn Read>,
        size: u64,
        name: &[u8],
    ) -> Result<()> {
        let shown = String::from_utf8_lossy(name);
        let extensions = records.iter().map(|(key, value)| (key.as_str(), value.as_slice()));
        self.builder.append_pax_extensions(extensions).or_call("write", "the layer")?;
        header.set_cksum();
        let Some(data) = data else {
            return self.builder.append(&header, std::io::empty()).or_call("write", "the layer");
        };
        // The size stands before the bytes: a file that changes meanwhile must not shift what comes after it.
        let mut exact = data.take(size).chain(std::io::repeat(0)).take(size);
        self.builder.append(&header, &mut exact).or_call("copy", &shown)?;
        let (first, _) = exact.into_inner().into_inner();
        if first.limit() != 0 {
            return Err(Error::new(process::Kind::Conflict, format!("{shown} became shorter while it was read"))
                .help("end or pause the container first"));
        }
        Ok(())
    }
}

/// Writes `value` where it fits, and into a PAX record where it does not.
fn place(field: &mut [u8; NAME], value: &[u8], key: &str, records: &mut Vec<(String, Vec<u8>)>) {
    let length = value.len().min(NAME);
    field[..length].copy_from_slice(&value[..length]);
    // A header's name is ASCII; in a record it is UTF-8. Bytes that are neither are kept as they are, as Go does.
    if value.len() > NAME || (!value.is_ascii() && std::str::from_utf8(value).is_ok()) {
        records.push((key.to_owned(), value.to_vec()));
    }
}

/// The kind of an entry that has no content.
fn plain_kind(about: &Metadata) -> EntryType {
    let kind = about.file_type();
    match () {
        () if kind.is_dir() => EntryType::Directory,
        () if kind.is_char_device() => EntryType::Char,
        () if kind.is_block_device() => EntryType::Block,
        () if kind.is_fifo() => EntryType::Fifo,
        () => EntryType::Regular,
    }
}

/// `seconds.nanoseconds` where whole seconds from 1970 on would not tell it all.
fn exact_time(about: &Metadata) -> Option<String> {
    let (seconds, nanos) = (about.mtime(), about.mtime_nsec());
    match (seconds, nanos) {
        (0.., 0) => None,
        (0.., _) => Some(format!("{seconds}.{nanos:09}")),
        (_, 0) => Some(seconds.to_string()),
        // stat(2) counts nanoseconds upwards from a negative second, a decimal number counts away from zero.
        _ => Some(format!("-{}.{:09}", -(seconds + 1), 1_000_000_000 - nanos)),
    }
}
