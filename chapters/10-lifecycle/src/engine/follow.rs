//! Reading a container's log while it is written and rotated.
//!
//! A file is known by its inode, not by its name: the writer renames under us. Nothing is lost or read twice as long as
//! the files are there; what was rotated away before we came to it is gone.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use process::{OrCall, Result};
use serde::Deserialize;

use crate::supervisor::log::older;
use crate::supervisor::stamp::Stamp;

/// How much is read at once.
const BLOCK: usize = 64 * 1024;

/// A longer line is no entry of ours (16 KiB, each byte escaped, is 96).
const LONGEST: usize = 1024 * 1024;

/// One entry of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// A line with its line feed, or a part of one.
    pub text: String,
    /// Did it come from standard error?
    pub is_error: bool,
    /// When it came.
    pub time: Stamp,
}

/// An entry as it stands in the file. Other fields are passed over.
#[derive(Deserialize)]
struct Line<'a> {
    #[serde(borrow, default)]
    log: Cow<'a, str>,
    #[serde(borrow, default)]
    stream: Cow<'a, str>,
    #[serde(borrow)]
    time: Cow<'a, str>,
}

impl Entry {
    fn parse(line: &[u8]) -> Option<Self> {
        let line: Line<'_> = serde_json::from_slice(line).ok()?;
        Some(Self { time: Stamp::parse(&line.time)?, is_error: line.stream == "stderr", text: line.log.into_owned() })
    }
}

/// A reader of the log at one path.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    /// The file that is being read; none if there was no log yet.
    file: Option<File>,
    /// The newer ones, the oldest first.
    newer: VecDeque<File>,
    /// What was read, and how much of it was given out.
    buffer: Vec<u8>,
    given: usize,
}

impl Reader {
    /// Opens the log at `path` with all its older files; only the last `tail` entries, if so many are enough.
    ///
    /// # Errors
    /// As open(2) and read(2); a log that is not there yet is no error.
    pub fn open(path: &Path, tail: Option<u64>) -> Result<Self> {
        let mut newer: VecDeque<_> = files(path, None)?.into();
        if let Some(count) = tail {
            skip(&mut newer, count).or_call("read", path.display())?;
        }
        let file = newer.pop_front();
        Ok(Self { path: path.to_owned(), file, newer, buffer: Vec::new(), given: 0 })
    }

    /// The next entry; none if there is none for now.
    ///
    /// # Errors
    /// As open(2) and read(2).
    pub fn take(&mut self) -> Result<Option<Entry>> {
        loop {
            let rest = &self.buffer[self.given..];
            if let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
                let entry = Entry::parse(&rest[..end]);
                self.given += end + 1;
                match entry {
                    Some(entry) => return Ok(Some(entry)),
                    None => continue, // half an entry of a supervisor that was killed
                }
            }
            if !self.fill()? && !self.advance()? {
                return Ok(None);
            }
        }
    }

    /// Reads on in the file. False at its end.
    fn fill(&mut self) -> Result<bool> {
        let Some(file) = &mut self.file else { return Ok(false) };
        self.buffer.drain(..self.given);
        self.given = 0;
        if self.buffer.len() > LONGEST {
            self.buffer.clear();
        }
        let before = self.buffer.len();
        self.buffer.resize(before + BLOCK, 0);
        let count = file.read(&mut self.buffer[before..]).or_call("read", self.path.display());
        self.buffer.truncate(before + *count.as_ref().unwrap_or(&0));
        Ok(count? > 0)
    }

    /// At the end of the file: goes on with the next one, if the writer has. False if there is nothing more for now.
    fn advance(&mut self) -> Result<bool> {
        if self.newer.is_empty() {
            let own = self.file.as_ref().and_then(|file| file.metadata().ok()).map(|about| about.ino());
            self.newer = files(&self.path, own)?.into();
            if self.newer.is_empty() {
                return Ok(false);
            }
            // The writer may have written between our reading and its renaming, but does no more now.
            if self.fill()? {
                return Ok(true);
            }
        }
        self.buffer.clear();
        self.given = 0;
        self.file = self.newer.pop_front();
        Ok(true)
    }
}

/// The log's files, the oldest first: those that are newer than the one with inode `own`, or all.
fn files(path: &Path, own: Option<u64>) -> Result<Vec<File>> {
    loop {
        let before = inode(path);
        let mut found: Vec<(u64, File)> = Vec::new();
        // Upwards, as the writer's renames go: a file may be met twice on the way, but none is missed. It leaves at
        // most one number out while it renames.
        let (mut n, mut missing) = (0, 0);
        while missing < 2 {
            match File::open(older(path, n)) {
                Ok(file) => {
                    missing = 0;
                    let inode = file.metadata().or_call("stat", path.display())?.ino();
                    if Some(inode) == own {
                        break;
                    }
                    if found.iter().all(|(other, _)| *other != inode) {
                        found.push((inode, file));
                    }
                }
                Err(error) if error.kind() == ErrorKind::NotFound => missing += 1,
                Err(error) => return Err(error).or_call("open", older(path, n).display()),
            }
            n += 1;
        }
        if inode(path) == before {
            return Ok(found.into_iter().rev().map(|(_, file)| file).collect());
        }
    }
}

fn inode(path: &Path) -> Option<u64> {
    std::fs::metadata(path).ok().map(|about| about.ino())
}

/// Leaves of `files` only the last `count` entries: drops those before, and moves to the place in the first that stays.
fn skip(files: &mut VecDeque<File>, count: u64) -> std::io::Result<()> {
    let mut left = count;
    for at in (0..files.len()).rev() {
        let file = &mut files[at];
        if let Some(offset) = last_lines(file, &mut left)? {
            file.seek(SeekFrom::Start(offset))?;
            files.drain(..at);
            return Ok(());
        }
    }
    Ok(())
}

/// Where the last `left` lines of a file begin; if it has fewer, `left` is what the files before it have to give.
fn last_lines(file: &File, left: &mut u64) -> std::io::Result<Option<u64>> {
    let mut end = file.metadata()?.len();
    let mut block = vec![0; BLOCK];
    let mut ends = 0;
    while end > 0 {
        let begin = end.saturating_sub(BLOCK as u64);
        let part = &mut block[..(end - begin) as usize];
        file.read_exact_at(part, begin)?;
        for at in (0..part.len()).rev().filter(|&at| part[at] == b'\n') {
            if ends == *left {
                return Ok(Some(begin + at as u64 + 1));
            }
            ends += 1;
        }
        end = begin;
    }
    if ends >= *left {
        return Ok(Some(0));
    }
    *left -= ends;
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::json::Stream;
    use crate::supervisor::lines::Lines;
    use crate::supervisor::log::{Log, Settings};
    use proptest::prelude::*;

    fn read_all(reader: &mut Reader) -> String {
        std::iter::from_fn(|| reader.take().unwrap()).map(|entry| entry.text).collect()
    }

    fn write(path: &Path, settings: Settings, parts: &[&str]) {
        let mut log = Log::open(path, settings).unwrap();
        parts.iter().for_each(|part| log.add(part.as_bytes(), Stream::Stdout, Stamp::new(1, 0)));
    }

    #[test]
    fn the_tail_is_found_across_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let settings = Settings { max_size: Some(100), max_file: 9, ..Settings::default() };
        write(&path, settings, &["1\n", "2\n", "3\n", "4\n", "5\n"]);
        assert!(older(&path, 1).exists());
        let tail = |count| read_all(&mut Reader::open(&path, Some(count)).unwrap());
        assert_eq!(tail(0), "");
        assert_eq!(tail(1), "5\n");
        assert_eq!(tail(4), "2\n3\n4\n5\n");
        assert_eq!(tail(50), "1\n2\n3\n4\n5\n");
    }

    #[test]
    fn a_log_that_is_not_there_yet_is_awaited() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        let mut reader = Reader::open(&path, None).unwrap();
        assert_eq!(reader.take().unwrap(), None);
        write(&path, Settings::default(), &["late\n"]);
        assert_eq!(read_all(&mut reader), "late\n");
    }

    #[test]
    fn half_an_entry_waits_and_a_broken_one_is_passed_over() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        std::fs::write(
            &path,
            "{\"log\":\"ha\n{\"log\":\"whole\\n\",\"stream\":\"stderr\",\"time\":\"1970-01-01T00:00:01Z\"",
        )
        .unwrap();
        let mut reader = Reader::open(&path, None).unwrap();
        assert_eq!(reader.take().unwrap(), None);
        std::io::Write::write_all(&mut File::options().append(true).open(&path).unwrap(), b"}\n").unwrap();
        let entry = reader.take().unwrap().unwrap();
        assert_eq!((entry.text.as_str(), entry.is_error, entry.time), ("whole\n", true, Stamp::new(1, 0)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Whatever the pieces, the sizes of the files and the moments of reading: every byte comes once, in order.
        #[test]
        fn a_reader_misses_nothing_and_repeats_nothing(
            chunks in prop::collection::vec(("[a-z\n\"é<]{0,40}", any::<bool>()), 1..60),
            max_size in 100u64..1000,
        ) {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("log");
            let settings = Settings { max_size: Some(max_size), max_file: 1000, ..Settings::default() };
            let mut log = Log::open(&path, settings).unwrap();
            let mut reader = Reader::open(&path, None).unwrap();
            let (mut lines, mut written, mut found) = (Lines::default(), String::new(), String::new());
            for (chunk, reads) in &chunks {
                written.push_str(chunk);
                lines.feed(chunk.as_bytes(), Stamp::now(), &mut |part, stamp| log.add(part, Stream::Stdout, stamp));
                log.flush();
                if *reads {
                    found.push_str(&read_all(&mut reader));
                }
            }
            lines.finish(Stamp::now(), &mut |part, stamp| log.add(part, Stream::Stdout, stamp));
            drop(log);
            found.push_str(&read_all(&mut reader));
            prop_assert_eq!(&found, &written);
            prop_assert_eq!(read_all(&mut Reader::open(&path, None).unwrap()), written);
        }
    }
}
