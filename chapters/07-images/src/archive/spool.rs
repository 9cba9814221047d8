//! An archive comes as a stream, and what explains it stands at its end: so its files are put aside first.
//!
//! They are numbered, not named: no path of the archive is ever a path of this machine.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use oci_spec::image::Digest;
use process::{Error, OrCall, Result, explain};
use tar::EntryType;

use super::corrupt;
use crate::digest::{self, Hashing};
use crate::manifest;
use crate::media::Compression;
use crate::pull::decompress;
use crate::unpack;

/// More files than any archive of images has.
const MOST_FILES: usize = 100_000;
/// Links that lead to links, before it is a circle.
const MOST_LINKS: usize = 8;

/// A file of the archive, in a file of ours.
#[derive(Debug, Clone)]
pub struct Spooled {
    /// Where it lies.
    pub path: PathBuf,
    /// Its bytes' digest.
    pub digest: Digest,
    /// How many they are.
    pub size: u64,
}

enum Entry {
    File(Spooled),
    Link(String),
}

/// All files of an archive, by their names in it.
pub struct Spool {
    entries: HashMap<String, Entry>,
}

impl Spool {
    /// Puts the files of the archive aside in `directory`; it may be packed.
    ///
    /// # Errors
    /// [`Kind::Corrupt`](process::Kind::Corrupt) if it is no tar archive; as write(2).
    pub fn read(archive: impl Read, directory: &Path) -> Result<Self> {
        let (compression, packed) = sniff(archive)?;
        let mut archive = unpack::archive::Archive::new(decompress(compression, packed));
        let mut spool = Self { entries: HashMap::new() };
        while let Some(entry) = archive.next()? {
            let Some(name) = normal("", &entry.path) else {
                return Err(corrupt(format!("the name {:?} leads out of it", String::from_utf8_lossy(&entry.path))));
            };
            let found = match entry.kind {
                EntryType::Regular | EntryType::Continuous if entry.sparse.is_none() => {
                    let path = directory.join(format!("spooled-{}", spool.entries.len()));
                    Entry::File(put_aside(&mut archive.data(), &path)?)
                }
                EntryType::Symlink => match normal(parent(&name), &entry.link) {
                    Some(target) => Entry::Link(target),
                    None => continue, // leads nowhere in the archive
                },
                EntryType::Link => match normal("", &entry.link) {
                    Some(target) => Entry::Link(target),
                    None => continue,
                },
                _ => continue,
            };
            spool.entries.insert(name, found);
            if spool.entries.len() > MOST_FILES {
                return Err(corrupt(format!("it holds more than {MOST_FILES} files")));
            }
        }
        archive.finish()?;
        explain!(7, "the archive's files, put aside until its index is known", "{} files", spool.entries.len());
        Ok(spool)
    }

    /// The file of this name; a link is followed.
    pub fn get(&self, name: &str) -> Option<&Spooled> {
        let mut name = name.strip_prefix("./").unwrap_or(name);
        for _ in 0..MOST_LINKS {
            match self.entries.get(name)? {
                Entry::File(file) => return Some(file),
                Entry::Link(target) => name = target,
            }
        }
        None
    }

    /// The blob of this digest, where a layout has it.
    pub fn blob(&self, digest: &Digest) -> Option<&Spooled> {
        self.get(&format!("blobs/sha256/{}", digest::hex(digest))).filter(|file| file.digest == *digest)
    }

    /// A small file whole: one of the JSON documents.
    ///
    /// # Errors
    /// It is not there, or too large.
    pub fn document(&self, name: &str) -> Result<Vec<u8>> {
        self.get(name).ok_or_else(|| corrupt(format!("{name} is missing"))).and_then(|file| file.read(name))
    }
}

impl Spooled {
    /// Its bytes.
    ///
    /// # Errors
    /// It is larger than a document may be; as read(2).
    pub fn read(&self, name: &str) -> Result<Vec<u8>> {
        if self.size > manifest::LARGEST {
            return Err(corrupt(format!("{name} is larger than {} MiB", manifest::LARGEST >> 20)));
        }
        std::fs::read(&self.path).or_call("read", self.path.display())
    }

    /// How it is packed, from its first bytes.
    ///
    /// # Errors
    /// As read(2); a packing that we do not know.
    pub fn compression(&self) -> Result<Compression> {
        Ok(sniff(File::open(&self.path).or_call("open", self.path.display())?)?.0)
    }
}

/// Copies what `reader` gives into a new file, and computes its digest.
///
/// # Errors
/// As write(2); whatever the reader reports.
pub fn put_aside(reader: &mut dyn Read, path: &Path) -> Result<Spooled> {
    let mut file = File::create_new(path).or_call("create", path.display())?;
    let mut hashing = Hashing::new(reader);
    io::copy(&mut hashing, &mut file).map_err(|error| match error.raw_os_error() {
        Some(_) => Error::io("write", path.display(), &error),
        None => unpack::read_error(error),
    })?;
    let size = hashing.count();
    Ok(Spooled { path: path.to_owned(), digest: hashing.finish().0, size })
}

/// How a stream is packed, told by the magic numbers at its beginning, and the whole stream.
///
/// # Errors
/// A packing that is known but not ours; as read(2).
pub fn sniff<R: Read>(stream: R) -> Result<(Compression, BufReader<R>)> {
    let mut stream = BufReader::with_capacity(1 << 16, stream);
    let first = stream.fill_buf().or_call("read", "the archive")?;
    let other = |name: &str| {
        Err(Error::unsupported(format!("the archive is packed with {name}"))
            .help(format!("unpack it on the way: {name} --decompress --stdout FILE | …")))
    };
    let compression = match first {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Compression::Zstd,
        [0xfd, b'7', b'z', b'X', b'Z', ..] => return other("xz"),
        [b'B', b'Z', b'h', ..] => return other("bzip2"),
        [] => return Err(corrupt("it is empty")),
        _ => Compression::None,
    };
    Ok((compression, stream))
}

fn parent(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// A path of the archive without `.` and `..`, seen from the directory `from`; none if it leads out.
fn normal(from: &str, path: &[u8]) -> Option<String> {
    let path = String::from_utf8_lossy(path);
    let from = if path.starts_with('/') { "" } else { from };
    let mut parts: Vec<&str> = from.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_in_the_archive() {
        let seen = |from, path: &str| normal(from, path.as_bytes());
        assert_eq!(seen("", "./blobs//sha256/a").as_deref(), Some("blobs/sha256/a"));
        assert_eq!(seen("abc", "../def/layer.tar").as_deref(), Some("def/layer.tar"));
        assert_eq!(seen("abc", "/x").as_deref(), Some("x"));
        assert_eq!((seen("abc", "../../etc"), seen("", "../etc")), (None, None));
    }

    #[test]
    fn links_are_followed_and_circles_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(2);
        header.set_mode(0o600);
        tar.append_data(&mut header.clone(), "a/layer.tar", &b"hi"[..]).unwrap();
        header.set_size(0);
        header.set_entry_type(EntryType::Symlink);
        tar.append_link(&mut header.clone(), "b/layer.tar", "../a/layer.tar").unwrap();
        tar.append_link(&mut header.clone(), "c", "c").unwrap();
        tar.append_link(&mut header, "d", "/etc/passwd").unwrap();
        let spool = Spool::read(&tar.into_inner().unwrap()[..], dir.path()).unwrap();
        assert_eq!(spool.get("b/layer.tar").unwrap().digest, digest::of(b"hi"));
        assert!(spool.get("c").is_none() && spool.get("d").is_none() && spool.get("nope").is_none());
        assert!(Spool::read(&b""[..], dir.path()).is_err());
        assert!(Spool::read(&b"BZh9"[..], dir.path()).is_err_and(|error| error.way_out().unwrap().contains("bzip2")));
    }

    proptest::proptest! {
        #[test]
        fn no_name_leads_out_of_the_archive(from in "([a-c]{1,2}/){0,2}[a-c]{0,2}", path in "(\\.\\.|\\.|/|[a-c]|\\PC){0,12}") {
            if let Some(name) = normal(&from, path.as_bytes()) {
                proptest::prop_assert!(!name.starts_with('/'));
                proptest::prop_assert!(name.is_empty() || name.split('/').all(|part| !matches!(part, "" | "." | "..")));
                proptest::prop_assert_eq!(normal("", name.as_bytes()), Some(name));
            } else {
                proptest::prop_assert!(path.contains(".."));
            }
        }
    }
}
