//! Files where somebody whom nobody trusts may have been: no link leads out, nothing blocks, nothing is too much.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::fcntl::OFlag;
use nix::sys::stat::Mode;
use process::{Error, OrCall, Result};
use rootfs::RootDir;

/// The most that is read of a file.
const MOST: u64 = 4 << 20;

/// The most files and directories that a program may leave.
const ENTRIES: usize = 50_000;

/// The most directories that may lie within each other.
const DEPTH: usize = 100;

/// What is in the file `name` of the directory `dir`, which is its root for links; `None` if it is no regular file.
pub fn read(dir: &Path, name: &Path) -> Option<String> {
    let file = RootDir::open(dir).ok()?.open_at(name, OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY).ok()?;
    let file = File::from(file);
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(MOST).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Writes the file `name` of the directory `dir`; directories above it are made.
///
/// # Errors
/// As openat2(2) and write(2); something else than a file is there.
pub fn write(dir: &Path, name: &Path, bytes: &[u8]) -> Result<()> {
    let root = RootDir::open(dir)?;
    if let Some(above) = name.parent().filter(|above| !above.as_os_str().is_empty()) {
        root.make_dir(above)?;
    }
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let mut file = File::from(root.create_at(name, flags, Mode::from_bits_truncate(0o666))?);
    if !file.metadata().or_call("fstat", name.display())?.is_file() {
        return Err(Error::invalid(format!("{}: something else than a file is there", name.display())));
    }
    file.set_len(0).and_then(|()| file.write_all(bytes)).or_call("write", name.display())
}

/// Is there more in and below this directory than so many bytes, or more files than anybody needs, or deeper ones?
/// Holes in files do not count.
pub fn more_than(dir: &Path, bytes: u64) -> bool {
    let (mut sum, mut entries) = (0, 0);
    let mut next: Vec<(PathBuf, usize)> = vec![(dir.to_owned(), 0)];
    while let Some((dir, depth)) = next.pop() {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let Ok(meta) = entry.metadata() else { continue }; // as lstat(2)
            sum += meta.blocks() * 512;
            entries += 1;
            if sum > bytes || entries > ENTRIES || depth > DEPTH {
                return true;
            }
            if meta.is_dir() {
                next.push((entry.path(), depth + 1));
            }
        }
    }
    false
}

/// Removes a directory, however deep what is in it: rm(1) neither recurses nor runs out of descriptors.
pub fn remove(dir: &Path) {
    let _ = Command::new("rm").arg("-rf").arg(dir).stdin(Stdio::null()).stderr(Stdio::null()).status();
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn no_link_leads_out_and_no_pipe_blocks() {
        let outside = tempfile::tempdir().unwrap();
        let canary = outside.path().join("canary");
        fs::write(&canary, "sings").unwrap();
        let work = tempfile::tempdir().unwrap();
        symlink(&canary, work.path().join("file")).unwrap();
        symlink(outside.path(), work.path().join("dir")).unwrap();
        symlink("/there", work.path().join("inside")).unwrap();
        assert!(Command::new("mkfifo").arg(work.path().join("pipe")).status().unwrap().success());
        for name in ["file", "dir/canary", "pipe", ".", "../canary"] {
            assert_eq!(read(work.path(), Path::new(name)), None, "{name}");
            let _ = write(work.path(), Path::new(name), b"broken");
        }
        assert_eq!(fs::read_to_string(canary).unwrap(), "sings");
        write(work.path(), Path::new("inside"), b"text").unwrap();
        write(work.path(), Path::new("a/b"), b"text").unwrap();
        for name in ["there", "inside", "a/b"] {
            assert_eq!(read(work.path(), Path::new(name)).as_deref(), Some("text"), "{name}");
        }
    }

    #[test]
    fn how_much_there_is() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("a")).unwrap();
        fs::write(dir.path().join("a/b"), [1; 100_000]).unwrap();
        File::create(dir.path().join("hole")).unwrap().set_len(1 << 30).unwrap();
        assert!(more_than(dir.path(), 50_000) && !more_than(dir.path(), 200_000));
        remove(dir.path());
        assert!(!dir.path().exists());
    }
}
