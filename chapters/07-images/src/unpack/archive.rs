//! A tar archive as a stream of entries (tar(5)).
//!
//! The crate `tar` decodes the blocks. The stream around them is ours for three reasons: an extended
//! header's size must be bounded before it is read into memory; attributes are binary, and their
//! values may hold line feeds; and sparse files are to stay sparse.

use std::io::{self, Read};

use process::Result;
use tar::{EntryType, Header};

use super::corrupt;
use super::pax::Pax;
use super::sparse::{self, Segment};

/// The size of a block.
pub const BLOCK: usize = 512;
/// The largest extended header: a path is at most 4 KiB and an attribute 64 KiB (path_resolution(7), xattr(7)).
const LARGEST_EXTENSION: u64 = 4 << 20;
/// The largest headers for all entries: each entry has a copy of them. What is in use is a line of text.
const LARGEST_GLOBAL: usize = 64 << 10;

/// One file of the archive, with what its extended headers say applied.
#[derive(Debug)]
pub struct Entry {
    /// The path as it stands in the archive, any bytes.
    pub path: Vec<u8>,
    /// What a link points to.
    pub link: Vec<u8>,
    /// What it is.
    pub kind: EntryType,
    /// Permissions with setuid, setgid and sticky bit.
    pub mode: u32,
    /// Owner.
    pub uid: u64,
    /// Group.
    pub gid: u64,
    /// Last change: seconds and nanoseconds.
    pub mtime: (i64, i64),
    /// Major and minor number of a device.
    pub device: (u32, u32),
    /// Extended attributes.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// The size that the file shall have, in bytes.
    pub size: u64,
    /// The parts of a sparse file that are stored.
    pub sparse: Option<Vec<Segment>>,
}

/// A tar archive that is read once, from front to back.
pub struct Archive<R> {
    reader: R,
    /// What is left of the current entry's data.
    left: u64,
    /// What fills its last block.
    padding: u64,
    /// Attributes that hold for every entry to come.
    global: Pax,
}

impl<R: Read> Archive<R> {
    /// An archive that begins where `reader` stands.
    pub fn new(reader: R) -> Self {
        Self { reader, left: 0, padding: 0, global: Pax::default() }
    }

    /// The next file. What was not read of the one before is passed over.
    ///
    /// # Errors
    /// [`Kind::Corrupt`](process::Kind::Corrupt) if it is no tar archive; whatever the reader reports.
    pub fn next(&mut self) -> Result<Option<Entry>> {
        let (mut pax, mut long_path, mut long_link) = (self.global.clone(), None, None);
        loop {
            self.skip()?;
            let Some(header) = self.header()? else { return Ok(None) };
            let kind = header.entry_type();
            // Four types describe the entry that follows.
            match kind {
                EntryType::XHeader => pax.read(&self.extension(&header)?, LARGEST_EXTENSION as usize)?,
                EntryType::XGlobalHeader => {
                    let bytes = self.extension(&header)?;
                    self.global.read(&bytes, LARGEST_GLOBAL)?;
                    pax.read(&bytes, LARGEST_EXTENSION as usize)?;
                }
                EntryType::GNULongName => long_path = Some(until_nul(self.extension(&header)?)),
                EntryType::GNULongLink => long_link = Some(until_nul(self.extension(&header)?)),
                _ => {
                    let mut entry = describe(&header)?;
                    entry.path = long_path.unwrap_or(entry.path);
                    entry.link = long_link.unwrap_or(entry.link);
                    let stored = pax.apply(&mut entry)?;
                    self.begin(stored.unwrap_or(entry.size));
                    self.sparse(&header, &pax, &mut entry)?;
                    return Ok(Some(entry));
                }
            }
        }
    }

    /// The current entry's stored bytes.
    pub fn data(&mut self) -> impl Read + '_ {
        Data { archive: self }
    }

    /// Reads whatever stands behind the archive's end, so that a digest over all of it is right.
    ///
    /// # Errors
    /// Whatever the reader reports.
    pub fn finish(mut self) -> Result<R> {
        io::copy(&mut self.reader, &mut io::sink()).map_err(super::read_error)?;
        Ok(self.reader)
    }

    fn begin(&mut self, stored: u64) {
        self.left = stored;
        self.padding = stored.wrapping_neg() % BLOCK as u64;
    }

    fn skip(&mut self) -> Result<()> {
        let rest = u128::from(self.left) + u128::from(self.padding);
        let rest = u64::try_from(rest).map_err(|_| corrupt("an entry's size is absurd"))?;
        let got = io::copy(&mut (&mut self.reader).take(rest), &mut io::sink()).map_err(super::read_error)?;
        // The last entry of an archive may lack what fills its block: umoci leaves it out, and Go does not mind.
        let whole = got == rest || got == self.left;
        self.begin(0);
        if whole { Ok(()) } else { Err(corrupt("it ends in the middle of an entry")) }
    }

    /// The next header block; none at the end of the archive or of the stream.
    fn header(&mut self) -> Result<Option<Header>> {
        let mut header = Header::new_old();
        if !self.block(header.as_mut_bytes())? || header.as_bytes().iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        let stored = header.cksum().map_err(|_| corrupt("a header's checksum is unreadable"))?;
        let field = 148..156;
        let sum = |(at, &byte): (usize, &u8)| u32::from(if field.contains(&at) { b' ' } else { byte });
        if header.as_bytes().iter().enumerate().map(sum).sum::<u32>() != stored {
            return Err(corrupt("a header's checksum is wrong"));
        }
        Ok(Some(header))
    }

    /// Fills a block; false at the end of the stream.
    fn block(&mut self, block: &mut [u8; BLOCK]) -> Result<bool> {
        let mut filled = 0;
        while filled < BLOCK {
            match self.reader.read(&mut block[filled..]) {
                Ok(0) if filled == 0 => return Ok(false),
                Ok(0) => return Err(corrupt("it ends in the middle of a header")),
                Ok(length) => filled += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(super::read_error(error)),
            }
        }
        Ok(true)
    }

    /// The contents of an extended header, which must fit into memory.
    fn extension(&mut self, header: &Header) -> Result<Vec<u8>> {
        let size = header.entry_size().map_err(|_| corrupt("an extended header's size is unreadable"))?;
        if size > LARGEST_EXTENSION {
            return Err(corrupt(&format!("an extended header of {size} bytes is too large")));
        }
        self.begin(size);
        let mut bytes = Vec::new();
        self.data().read_to_end(&mut bytes).map_err(super::read_error)?;
        if bytes.len() as u64 == size { Ok(bytes) } else { Err(corrupt("it ends in the middle of an extended header")) }
    }

    /// Finds out which parts of a sparse file are stored, in whichever of the four ways it is written.
    fn sparse(&mut self, header: &Header, pax: &Pax, entry: &mut Entry) -> Result<()> {
        let numbers = if entry.kind == EntryType::GNUSparse {
            let gnu = header.as_gnu().ok_or_else(|| corrupt("a sparse file in an archive that is not GNU's"))?;
            entry.size = gnu.real_size().map_err(|_| corrupt("a sparse file's size is unreadable"))?;
            let (mut numbers, mut more) = (sparse::numbers(&gnu.sparse)?, gnu.is_extended());
            while more {
                let mut extended = tar::GnuExtSparseHeader::new();
                if !self.block(extended.as_mut_bytes())? {
                    return Err(corrupt("it ends in the middle of a sparse file"));
                }
                numbers.extend(sparse::numbers(&extended.sparse)?);
                sparse::bounded(numbers.len())?;
                more = extended.is_extended();
            }
            entry.kind = EntryType::Regular;
            numbers
        } else if pax.sparse_in_data() {
            sparse::read_map(self.data())?
        } else if let Some(numbers) = pax.sparse_numbers()? {
            numbers
        } else {
            return Ok(());
        };
        entry.sparse = Some(sparse::segments(&numbers, entry.size, self.left)?);
        Ok(())
    }
}

struct Data<'a, R> {
    archive: &'a mut Archive<R>,
}

impl<R: Read> Read for Data<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.archive.left).unwrap_or(usize::MAX).min(buffer.len());
        let length = self.archive.reader.read(&mut buffer[..most])?;
        self.archive.left -= length as u64;
        Ok(length)
    }
}

/// What the header alone says.
fn describe(header: &Header) -> Result<Entry> {
    let bad = |field: &'static str| move |_| corrupt(&format!("a header's {field} is unreadable"));
    let number = |field: io::Result<Option<u32>>| field.map(Option::unwrap_or_default);
    let kind = match header.entry_type() {
        // Before POSIX a directory was a file whose name ends in a slash.
        EntryType::Regular if header.path_bytes().ends_with(b"/") => EntryType::Directory,
        EntryType::Continuous => EntryType::Regular,
        kind => kind,
    };
    let (major, minor) = (number(header.device_major()), number(header.device_minor()));
    let is_device = matches!(kind, EntryType::Char | EntryType::Block);
    // Other entries often have rubbish in the fields that only devices use.
    let device = if is_device { (major.map_err(bad("device"))?, minor.map_err(bad("device"))?) } else { (0, 0) };
    let has_data = matches!(kind, EntryType::Regular | EntryType::GNUSparse);
    let size = header.entry_size().map_err(bad("size"))?;
    let fields = header.as_old();
    Ok(Entry {
        path: header.path_bytes().into_owned(),
        link: header.link_name_bytes().map(|link| link.into_owned()).unwrap_or_default(),
        kind,
        mode: or_zero(&fields.mode, header.mode()).map_err(bad("mode"))? & 0o7777,
        uid: or_zero(&fields.uid, header.uid()).map_err(bad("owner"))?,
        gid: or_zero(&fields.gid, header.gid()).map_err(bad("group"))?,
        mtime: (or_zero(&fields.mtime, header.mtime()).map_err(bad("time"))?.cast_signed(), 0),
        device,
        xattrs: Vec::new(),
        // POSIX lets links and directories carry a size that means nothing.
        size: if has_data { size } else { 0 },
        sparse: None,
    })
}

/// A field that was left blank counts as 0, as other readers have it.
fn or_zero<T: Default>(field: &[u8], value: io::Result<T>) -> io::Result<T> {
    let is_blank = field.iter().all(|byte| matches!(byte, 0 | b' '));
    if is_blank { Ok(T::default()) } else { value }
}

fn until_nul(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len()));
    bytes
}
