//! Unpacking a layer: a tar archive becomes a directory that overlayfs can use as a lower one.
//!
//! The archive comes from a stranger. Every path of it is resolved by handle beneath the directory, so
//! neither `..` nor a link leads out; what marks a deletion is translated into overlayfs's own marks.

mod apply;
pub(crate) mod archive;
mod attributes;
mod complete;
mod name;
mod pax;
mod sparse;
mod tree;

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use process::{Error, Kind, Result};

pub use complete::complete;

/// How much a layer may unpack to: generous, but an end to every bomb. `COOPER_UNPACK_*` raises them.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of the archive (`COOPER_UNPACK_BYTES`).
    pub bytes: u64,
    /// Files of the archive (`COOPER_UNPACK_FILES`).
    pub files: u64,
    /// Names in one path (`COOPER_UNPACK_DEPTH`).
    pub depth: usize,
    /// Bytes unpacked for each byte packed, beyond the first GiB (`COOPER_UNPACK_RATIO`).
    pub ratio: u64,
}

impl Limits {
    /// The defaults, or what the environment says instead.
    pub fn from_env() -> Self {
        let from_env = |name: &str, usual: u64| {
            std::env::var(format!("COOPER_UNPACK_{name}")).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
        };
        Self {
            bytes: from_env("BYTES", 256 << 30),
            files: from_env("FILES", 8_000_000),
            depth: usize::try_from(from_env("DEPTH", 512)).unwrap_or(usize::MAX),
            ratio: from_env("RATIO", 200),
        }
    }

    /// The limit of bytes for a blob of `packed` bytes.
    #[must_use]
    pub fn for_blob(self, packed: u64) -> Self {
        Self { bytes: self.bytes.min(packed.saturating_mul(self.ratio).saturating_add(1 << 30)), ..self }
    }
}

/// What was unpacked, and what is left to do once the layers below are there too.
#[derive(Debug, Default)]
pub struct Unpacked {
    /// Bytes of all files, for a person to read.
    pub size: u64,
    /// Entries of the archive.
    pub files: u64,
    /// Directories that the archive uses but does not have: their owner and mode are the layers' below.
    pub implied: Vec<PathBuf>,
    /// Hard links to files of a layer below: the link and its target.
    pub links: Vec<(PathBuf, PathBuf)>,
    /// Device nodes that only root may make, and did not.
    pub devices: u64,
    /// Extended attributes that the file system or the user namespace refused.
    pub xattrs: u64,
}

/// Unpacks the tar archive `reader` into the empty directory `dir`, and reads it to its very end.
///
/// # Errors
/// [`Kind::Corrupt`] for an archive that is malformed, wants out or is a bomb; the kernel's own errors.
pub fn unpack(reader: impl Read, dir: &Path, limits: Limits) -> Result<Unpacked> {
    let mut archive = archive::Archive::new(Bounded { reader, left: limits.bytes });
    let mut apply = apply::Apply::new(dir, limits)?;
    while let Some(entry) = archive.next()? {
        apply.entry(&entry, &mut archive.data())?;
    }
    archive.finish()?;
    apply.finish()
}

/// What an archive is not supposed to be.
fn corrupt(what: &str) -> Error {
    Error::new(Kind::Corrupt, format!("the layer's archive is bad: {what}"))
}

/// An error that came up through a reader: our own comes out as it is, another is the data's fault.
pub fn read_error(error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(error) => error,
        Err(error) if error.raw_os_error().is_some() => Error::io("read", "the layer", &error),
        Err(error) => corrupt(&error.to_string()),
    }
}

/// Passes on at most so many bytes and then says what is wrong.
struct Bounded<R> {
    reader: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.reader.read(buffer)?;
        match self.left.checked_sub(length as u64) {
            Some(left) => self.left = left,
            None => return Err(io::Error::other(bomb("bytes", "BYTES or _RATIO"))),
        }
        Ok(length)
    }
}

fn bomb(what: &str, variable: &str) -> Error {
    corrupt(&format!("it unpacks to too many {what}"))
        .help(format!("if the image is to be trusted, raise the limit with COOPER_UNPACK_{variable}"))
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;

#[cfg(test)]
#[path = "whiteout_tests.rs"]
mod whiteout_tests;
