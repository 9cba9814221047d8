//! Archives made byte by byte: of everything that tar(5) and pax(1) can say.

use tar::{EntryType, Header};

/// An archive that grows.
#[derive(Clone, Default)]
pub struct Archive(Vec<u8>);

impl Archive {
    /// A header with what most entries have.
    pub fn header(kind: EntryType, mode: u32, size: u64) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_size(size);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(1_700_000_000);
        header
    }

    /// The same for a name.
    pub fn header_of(name: &str, kind: EntryType, mode: u32, size: u64) -> Header {
        let mut header = Self::header(kind, mode, size);
        header.set_path(name).unwrap();
        header
    }

    /// A header as it is, and what follows it.
    pub fn raw(mut self, mut header: Header, data: &[u8]) -> Self {
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(data);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    /// An entry of any kind; name and link are whatever bytes fit into the header.
    pub fn entry(self, kind: EntryType, name: &[u8], link: &[u8], mode: u32, data: &[u8]) -> Self {
        let mut header = Self::header(kind, mode, data.len() as u64);
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link);
        self.raw(header, data)
    }

    pub fn file(self, name: &str, text: &str) -> Self {
        self.entry(EntryType::Regular, name.as_bytes(), b"", 0o644, text.as_bytes())
    }

    pub fn dir(self, name: &str, mode: u32) -> Self {
        self.entry(EntryType::Directory, name.as_bytes(), b"", mode, b"")
    }

    pub fn symlink(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Symlink, name.as_bytes(), target.as_bytes(), 0o777, b"")
    }

    pub fn link(self, name: &str, target: &str) -> Self {
        self.entry(EntryType::Link, name.as_bytes(), target.as_bytes(), 0o644, b"")
    }

    /// A link with the description of what it leads to, as tar(1) writes it. Most tools read only the first one's.
    pub fn link_like(self, name: &str, target: &str, mode: u32, mtime: u64) -> Self {
        let mut header = Self::header_of(name, EntryType::Link, mode, 0);
        header.set_link_name(target).unwrap();
        header.set_mtime(mtime);
        self.raw(header, b"")
    }

    /// A device or a named pipe.
    pub fn node(self, kind: EntryType, name: &str, (major, minor): (u32, u32)) -> Self {
        let mut header = Self::header(kind, 0o660, 0);
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_device_major(major).unwrap();
        header.set_device_minor(minor).unwrap();
        self.raw(header, b"")
    }

    /// An extended header for the next entry.
    pub fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let mut body = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let length = (rest + 1..).find(|length| length.to_string().len() + rest == *length).unwrap();
            body.extend_from_slice(format!("{length} {key}=").as_bytes());
            body.extend_from_slice(value);
            body.push(b'\n');
        }
        self.raw(Self::header(EntryType::XHeader, 0o644, body.len() as u64), &body)
    }

    /// GNU's way to give the next entry a long name (or a link a long target).
    pub fn gnu(self, kind: EntryType, name: &[u8]) -> Self {
        let name = [name, b"\0"].concat();
        self.raw(Self::header(kind, 0o644, name.len() as u64), &name)
    }

    /// A static shell with links for its commands.
    pub fn shell(self) -> harness::Outcome<Self> {
        let busybox = std::fs::read(harness::find_program("busybox").ok_or("no busybox")?)?;
        let archive = self.dir("bin/", 0o755).entry(EntryType::Regular, b"bin/busybox", b"", 0o755, &busybox);
        Ok(["sh", "sleep"].into_iter().fold(archive, |all, name| all.symlink(&format!("bin/{name}"), "busybox")))
    }

    /// The whole archive.
    pub fn end(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}
