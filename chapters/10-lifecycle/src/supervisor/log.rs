//! The container's log: Docker's json-file, rotated by renaming under its readers.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use process::{Error, OrCall, Result};
use serde::{Deserialize, Serialize};

use super::json::{Entries, Stream};
use super::stamp::Stamp;

/// How much is gathered before it is written. An entry may be six times as long as its text, at the worst.
const BATCH: usize = 64 * 1024;

/// Where what the program says is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Driver {
    /// In files of JSON lines, as Docker's log driver of that name writes them.
    #[default]
    JsonFile,
    /// Nowhere; it reaches only who is attached.
    None,
}

/// How the log is kept: `--log-driver` and `--log-opt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Where.
    pub driver: Driver,
    /// At how many bytes a file is full; none means never.
    pub max_size: Option<u64>,
    /// How many files there are at most, the one that is written included.
    pub max_file: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { driver: Driver::JsonFile, max_size: None, max_file: 1 }
    }
}

impl Settings {
    /// Settings as the command line has them: a driver's name, and options `max-size=10m` and `max-file=3`.
    ///
    /// # Errors
    /// [`Kind::Invalid`](process::Kind::Invalid) for a driver or an option that we do not have.
    pub fn parse(driver: &str, options: &[impl AsRef<str>]) -> Result<Self> {
        let driver = match driver {
            "json-file" => Driver::JsonFile,
            "none" => Driver::None,
            other => {
                return Err(
                    Error::invalid(format!("no log driver is called {other:?}")).help("there are json-file and none")
                );
            }
        };
        let mut settings = Self { driver, ..Self::default() };
        for option in options.iter().map(AsRef::as_ref) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let wrong = |what: &str| Error::invalid(format!("the log option {option:?} is not {what}"));
            match name {
                "max-size" if value == "-1" => settings.max_size = None, // Docker's word for no limit
                "max-size" => {
                    let size = size(value).filter(|&size| size > 0);
                    settings.max_size = Some(size.ok_or_else(|| wrong("a size").help("write 500k, 10m or 1g"))?);
                }
                "max-file" => {
                    let count = value.parse().ok().filter(|&count: &u32| count > 0);
                    settings.max_file = count.ok_or_else(|| wrong("a number from 1 on"))?;
                }
                _ => return Err(wrong("known").help("there are max-size and max-file")),
            }
        }
        if driver == Driver::None && !options.is_empty() {
            return Err(Error::invalid("the log driver none has no options"));
        }
        Ok(settings)
    }
}

/// A size as Docker's log options have it: `10m` is ten million bytes (go-units, FromHumanSize).
fn size(text: &str) -> Option<u64> {
    let text = text.to_ascii_lowercase();
    let text = text.strip_suffix('b').unwrap_or(&text);
    let (digits, factor) = match text.char_indices().last()? {
        (at, 'k') => (&text[..at], 1e3),
        (at, 'm') => (&text[..at], 1e6),
        (at, 'g') => (&text[..at], 1e9),
        _ => (text, 1.0),
    };
    let number: f64 = digits.parse().ok().filter(|number: &f64| *number >= 0.0 && number.is_finite())?;
    Some((number * factor) as u64)
}

/// The file that is written: `log/ID-json.log` in the container's directory.
pub fn path_of(dir: &Path, id: &str) -> PathBuf {
    dir.join("log").join(format!("{id}-json.log"))
}

/// The `n`th older file: the name with `.n` behind it.
pub fn older(path: &Path, n: u32) -> PathBuf {
    if n == 0 { path.to_owned() } else { PathBuf::from(format!("{}.{n}", path.display())) }
}

/// The log that is being written.
pub struct Log {
    path: PathBuf,
    settings: Settings,
    file: File,
    /// Of the file, what was gathered not included.
    size: u64,
    batch: Vec<u8>,
    entries: Entries,
    /// Bytes of entries that could not be written: told once, when it fails and when it works again.
    lost: u64,
}

impl Log {
    /// Opens the log at `path` for appending, and makes it and its directory if needed.
    ///
    /// # Errors
    /// As mkdir(2), open(2) and write(2).
    pub fn open(path: &Path, settings: Settings) -> Result<Self> {
        if let Some(dir) = path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(dir).or_call("mkdir", dir.display())?;
        }
        let file = open(path)?;
        let mut log = Self {
            path: path.to_owned(),
            settings,
            file,
            size: 0,
            batch: Vec::new(),
            entries: Entries::default(),
            lost: 0,
        };
        log.size = log.mend().or_call("read", path.display())?;
        Ok(log)
    }

    /// A supervisor that was killed may have left half an entry: a line feed makes it one that readers pass over.
    fn mend(&mut self) -> std::io::Result<u64> {
        let size = self.file.metadata()?.len();
        if size == 0 {
            return Ok(0);
        }
        let mut last = [0];
        self.file.seek(SeekFrom::Start(size - 1))?;
        self.file.read_exact(&mut last)?;
        if last != *b"\n" {
            self.file.write_all(b"\n")?;
        }
        Ok(size + u64::from(last != *b"\n"))
    }

    /// Adds one part of a line.
    pub fn add(&mut self, part: &[u8], stream: Stream, stamp: Stamp) {
        // As Docker: what a full file has is whole, so it may be longer than allowed by one entry.
        if self.settings.max_size.is_some_and(|max| self.size + self.batch.len() as u64 >= max) {
            self.flush();
            if let Err(error) = self.rotate() {
                eprintln!("{} {}", Stamp::now(), error.what()); // the full file goes on then
            }
        }
        self.entries.push(&mut self.batch, part, stream, stamp);
        if self.batch.len() >= BATCH {
            self.flush();
        }
    }

    /// Writes what was gathered. A full disk costs entries, but never stops the container.
    pub fn flush(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        let length = self.batch.len() as u64;
        match self.file.write_all(&self.batch) {
            Ok(()) => {
                self.size += length;
                if self.lost > 0 {
                    eprintln!("{} the log is written again; {} bytes of it are lost", Stamp::now(), self.lost);
                    self.lost = 0;
                }
            }
            Err(error) => {
                let _ = self.file.set_len(self.size); // half an entry is none
                if self.lost == 0 {
                    eprintln!("{} {}", Stamp::now(), Error::io("write", self.path.display(), &error).what());
                }
                self.lost += length;
            }
        }
        self.batch.clear();
    }

    /// Renames the full file and begins a new one. Who reads the old one keeps it, whatever it is called.
    fn rotate(&mut self) -> Result<()> {
        let last = self.settings.max_file.saturating_sub(1);
        let there = (0..last).take_while(|&n| older(&self.path, n).exists()).count() as u32;
        // From the oldest on: at every moment at most one number is missing, which a reader can count on.
        for n in (0..there).rev() {
            let (from, to) = (older(&self.path, n), older(&self.path, n + 1));
            fs::rename(&from, &to).or_call("rename", from.display())?;
        }
        if self.settings.max_file <= 1 {
            fs::remove_file(&self.path).or_call("unlink", self.path.display())?;
        }
        self.file = open(&self.path)?;
        self.size = 0;
        Ok(())
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.flush();
    }
}

fn open(path: &Path) -> Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).append(true).create(true).mode(0o640).open(path).or_call("open", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_dockers() {
        let settings = Settings::parse("json-file", &["max-size=10m", "max-file=3"]).unwrap();
        assert_eq!(settings, Settings { driver: Driver::JsonFile, max_size: Some(10_000_000), max_file: 3 });
        assert_eq!(Settings::parse("none", &[""; 0]).unwrap().driver, Driver::None);
        for (driver, option) in
            [("syslog", "max-file=1"), ("json-file", "max-size=x"), ("json-file", "max-file=0"), ("none", "max-file=2")]
        {
            assert!(Settings::parse(driver, &[option]).is_err(), "{driver} {option}");
        }
        let sizes: Vec<_> = ["12", "1.5k", "2M", "1gb", "-1", "k", ""].map(size).into();
        assert_eq!(sizes, [Some(12), Some(1500), Some(2_000_000), Some(1_000_000_000), None, None, None]);
    }

    #[test]
    fn full_files_are_renamed_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = path_of(dir.path(), "id");
        let settings = Settings { max_size: Some(1), max_file: 3, ..Settings::default() };
        let mut log = Log::open(&path, settings).unwrap();
        for part in ["one", "two", "three", "four"] {
            log.add(part.as_bytes(), Stream::Stdout, Stamp::new(0, 0));
        }
        drop(log);
        let holds = |n| fs::read_to_string(older(&path, n)).unwrap_or_default();
        assert!(holds(0).contains("four") && holds(1).contains("three") && holds(2).contains("two"));
        assert!(!older(&path, 3).exists());
    }

    #[test]
    fn half_an_entry_of_a_killed_writer_is_closed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("log");
        fs::write(&path, "{\"log\":\"ha").unwrap();
        let mut log = Log::open(&path, Settings::default()).unwrap();
        log.add(b"x\n", Stream::Stdout, Stamp::new(0, 0));
        drop(log);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 2, "{text}");
    }
}
