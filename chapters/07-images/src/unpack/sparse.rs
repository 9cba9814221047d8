//! Sparse files: which parts of them an archive stores, in each of GNU tar's four ways of saying so.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use process::{OrCall, Result};

use super::archive::BLOCK;
use super::corrupt;

/// A part of a file that is not a hole: offset and length in bytes.
pub type Segment = (u64, u64);

/// More parts than any file has that is not meant to exhaust memory.
const MOST: usize = 1 << 20;
/// The largest file with holes: 16 TiB, which is ext4's largest too.
const LARGEST: u64 = 1 << 44;

/// # Errors
/// There are too many parts.
pub fn bounded(count: usize) -> Result<()> {
    if count > MOST { Err(corrupt("an extended header has too many records")) } else { Ok(()) }
}

/// The offsets and lengths of the old format's header.
///
/// # Errors
/// A field that is no number.
pub fn numbers(fields: &[tar::GnuSparseHeader]) -> Result<Vec<u64>> {
    let bad = |_| corrupt("the map of a sparse file is malformed");
    let mut numbers = Vec::new();
    for field in fields.iter().filter(|field| !field.is_empty()) {
        numbers.push(field.offset().map_err(bad)?);
        numbers.push(field.length().map_err(bad)?);
    }
    Ok(numbers)
}

/// Format 1.0: decimal numbers before the data, each on a line, first their count; filled up to a block.
///
/// # Errors
/// A line that is no number.
pub fn read_map(mut data: impl Read) -> Result<Vec<u64>> {
    let bad = || corrupt("the map of a sparse file is malformed");
    let (mut numbers, mut line, mut count) = (Vec::new(), Vec::new(), None);
    let mut block = [0; BLOCK];
    while count.is_none_or(|count| numbers.len() < count) {
        match data.read_exact(&mut block) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(bad()),
            done => done.map_err(super::read_error)?,
        }
        for &byte in &block {
            match byte {
                b'\n' => {
                    let text = std::str::from_utf8(&std::mem::take(&mut line)).ok().map(str::to_owned);
                    let number: u64 = text.and_then(|text| text.parse().ok()).ok_or_else(bad)?;
                    match count {
                        None => count = Some(usize::try_from(number).ok().filter(|&n| n <= MOST).ok_or_else(bad)? * 2),
                        Some(count) if numbers.len() < count => numbers.push(number),
                        Some(_) => {}
                    }
                }
                0 => {}
                byte if line.len() < 20 => line.push(byte),
                _ => return Err(bad()),
            }
        }
    }
    Ok(numbers)
}

/// Checks the map against the file's size and the bytes that are stored.
///
/// # Errors
/// Parts that overlap, lie outside the file or are not all there.
pub fn segments(numbers: &[u64], size: u64, stored: u64) -> Result<Vec<Segment>> {
    let bad = || corrupt("the map of a sparse file does not fit the file");
    let (mut end, mut sum, mut segments) = (0_u64, 0_u64, Vec::new());
    if size > LARGEST {
        return Err(corrupt(&format!("a sparse file of {size} bytes is too large")));
    }
    if !numbers.len().is_multiple_of(2) {
        return Err(bad());
    }
    for pair in numbers.chunks_exact(2) {
        let (offset, length) = (pair[0], pair[1]);
        if offset < end {
            return Err(bad());
        }
        end = offset.checked_add(length).filter(|&end| end <= size).ok_or_else(bad)?;
        sum += length;
        segments.push((offset, length));
    }
    if sum == stored { Ok(segments) } else { Err(bad()) }
}

/// Writes the stored parts to their places; what lies between stays a hole.
///
/// # Errors
/// Of reading or writing; `what` names the file.
pub fn write(mut data: impl Read, file: &mut File, segments: &[Segment], size: u64, what: &str) -> Result<()> {
    for &(offset, length) in segments {
        file.seek(SeekFrom::Start(offset)).or_call("lseek", what)?;
        copy(&mut (&mut data).take(length), file, length, what)?;
    }
    file.set_len(size).or_call("ftruncate", what)
}

/// Copies exactly `length` bytes.
///
/// # Errors
/// Of reading, of writing, or that the data ends too early.
pub fn copy(data: &mut impl Read, file: &mut File, length: u64, what: &str) -> Result<()> {
    use std::io::Write;
    let mut buffer = vec![0; usize::try_from(length.clamp(1, 128 << 10)).unwrap_or(1)];
    let mut left = length;
    while left > 0 {
        let got = match data.read(&mut buffer) {
            Ok(0) => return Err(corrupt(&format!("it ends in the middle of {what}"))),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            got => got.map_err(super::read_error)?,
        };
        file.write_all(&buffer[..got]).or_call("write", what)?;
        left = left.saturating_sub(got as u64);
    }
    Ok(())
}
