//! Extended headers: what does not fit into a tar header's fields (pax(1), "pax Extended Header").

use process::Result;

use super::archive::Entry;
use super::{corrupt, sparse};

/// The records of extended headers, in order; a later one supersedes an earlier one of the same key.
#[derive(Debug, Clone, Default)]
pub struct Pax {
    records: Vec<(Vec<u8>, Vec<u8>)>,
    /// Bytes of all headers so far.
    size: usize,
}

impl Pax {
    /// Adds the records of one header: each `LENGTH KEY=VALUE\n`, with any bytes in the value.
    /// One entry may have several headers; together they have at most `most` bytes.
    ///
    /// # Errors
    /// A record that is not of that form; more bytes than that.
    pub fn read(&mut self, mut bytes: &[u8], most: usize) -> Result<()> {
        self.size = self.size.saturating_add(bytes.len());
        if self.size > most {
            return Err(corrupt(&format!("the extended headers of an entry have more than {most} bytes")));
        }
        let bad = || corrupt("an extended header is malformed");
        while !bytes.is_empty() {
            let space = bytes.iter().position(|&byte| byte == b' ').ok_or_else(bad)?;
            let length: usize = number(&bytes[..space]).ok_or_else(bad)?;
            // The shortest record is "5 a=\n".
            let record = bytes.get(space + 1..length).ok_or_else(bad)?;
            let record = record.strip_suffix(b"\n").ok_or_else(bad)?;
            let equals = record.iter().position(|&byte| byte == b'=').ok_or_else(bad)?;
            self.records.push((record[..equals].to_vec(), record[equals + 1..].to_vec()));
            sparse::bounded(self.records.len())?;
            bytes = &bytes[length..];
        }
        Ok(())
    }

    /// Puts into `entry` what is said here; gives the number of bytes stored if the header's was too small for it.
    ///
    /// # Errors
    /// A value that is no number where one belongs.
    pub fn apply(&self, entry: &mut Entry) -> Result<Option<u64>> {
        let mut stored = None;
        let set = |place: &mut Vec<u8>, key: &[u8]| {
            if let Some(value) = self.get(key) {
                *place = value.to_vec();
            }
        };
        set(&mut entry.path, b"path");
        set(&mut entry.path, b"GNU.sparse.name");
        set(&mut entry.link, b"linkpath");
        if let Some(size) = self.number(b"size")? {
            (entry.size, stored) = (size, Some(size));
        } else if self.get(b"GNU.sparse.realsize").is_some() || self.get(b"GNU.sparse.size").is_some() {
            stored = Some(entry.size);
        }
        for key in [&b"GNU.sparse.size"[..], b"GNU.sparse.realsize"] {
            entry.size = self.number(key)?.unwrap_or(entry.size);
        }
        entry.uid = self.number(b"uid")?.unwrap_or(entry.uid);
        entry.gid = self.number(b"gid")?.unwrap_or(entry.gid);
        if let Some(value) = self.get(b"mtime") {
            entry.mtime = time(value).ok_or_else(|| corrupt("an extended header's time is no number"))?;
        }
        for (key, value) in &self.records {
            if let Some(name) = key.strip_prefix(b"SCHILY.xattr.") {
                entry.xattrs.retain(|(other, _)| other != name);
                entry.xattrs.push((name.to_vec(), value.clone()));
            }
        }
        Ok(stored)
    }

    /// Does the map of a sparse file stand before its data (GNU's format 1.0)?
    pub fn sparse_in_data(&self) -> bool {
        self.get(b"GNU.sparse.major") == Some(b"1")
    }

    /// The map of a sparse file in GNU's formats 0.0 and 0.1: offsets and lengths in turn.
    ///
    /// # Errors
    /// A value that is no number.
    pub fn sparse_numbers(&self) -> Result<Option<Vec<u64>>> {
        let bad = || corrupt("the map of a sparse file is malformed");
        if let Some(map) = self.get(b"GNU.sparse.map") {
            let numbers: Option<Vec<_>> = map.split(|&byte| byte == b',').map(number).collect();
            return numbers.map(Some).ok_or_else(bad);
        }
        let is_part = |key: &[u8]| key == b"GNU.sparse.offset" || key == b"GNU.sparse.numbytes";
        let parts = self.records.iter().filter(|(key, _)| is_part(key)).map(|(_, value)| number(value));
        let numbers = parts.collect::<Option<Vec<u64>>>().ok_or_else(bad)?;
        Ok((!numbers.is_empty()).then_some(numbers))
    }

    fn get(&self, key: &[u8]) -> Option<&[u8]> {
        let found = self.records.iter().rev().find(|(other, _)| other == key);
        found.map(|(_, value)| value.as_slice()).filter(|value| !value.is_empty())
    }

    fn number(&self, key: &[u8]) -> Result<Option<u64>> {
        let parse = |value| {
            number(value)
                .ok_or_else(|| corrupt(&format!("{} of an extended header is no number", String::from_utf8_lossy(key))))
        };
        self.get(key).map(parse).transpose()
    }
}

fn number<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// `1700000000.123456789`, also before 1970: seconds and the nanoseconds after them.
fn time(value: &[u8]) -> Option<(i64, i64)> {
    let text = std::str::from_utf8(value).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let nanoseconds: i64 = digits.parse().ok()?;
    Some(match (text.starts_with('-'), nanoseconds) {
        (_, 0) => (seconds, 0),
        (true, _) => (seconds.checked_sub(1)?, 1_000_000_000 - nanoseconds),
        (false, _) => (seconds, nanoseconds),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_hold_any_bytes() {
        let mut pax = Pax::default();
        pax.read(b"33 SCHILY.xattr.user.x=a\nb\xff c=d\0\n6 a=b\n", 99).unwrap();
        assert_eq!(pax.get(b"SCHILY.xattr.user.x").unwrap(), b"a\nb\xff c=d\0");
        assert_eq!(pax.get(b"a").unwrap(), b"b");
        for bad in [&b"6 a=b"[..], b"99 a=b\n", b"0 a=b\n", b"x a=b\n", b"5 ab\n", b"3 "] {
            assert!(Pax::default().read(bad, 99).is_err(), "{bad:?}");
        }
        assert!(pax.read(&b"6 a=b\n".repeat(10), 98).is_err(), "many small headers are a large one");
    }

    #[test]
    fn times_have_fractions() {
        assert_eq!(time(b"1.5"), Some((1, 500_000_000)));
        assert_eq!(time(b"-1.25"), Some((-2, 750_000_000)));
        assert_eq!(time(b"7"), Some((7, 0)));
        assert_eq!(time(b"x"), None);
    }
}
