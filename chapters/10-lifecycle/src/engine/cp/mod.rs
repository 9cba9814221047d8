//! `cp`: files between a container and this machine.
//!
//! A container may change its files while they are copied, and it may want to be somewhere else by then: a directory
//! that was checked becomes a link to the host's /etc before it is used (CVE-2018-15664, CVE-2026-41568, -42306). So
//! nothing is checked here and used there. The container's root is a handle; every path in it is one openat2(2) with
//! `RESOLVE_IN_ROOT`; below that every name is opened without following links, and what is done is done to the
//! descriptor. No program of the image is run, nor is any of its libraries loaded.
//!
//! | module | |
//! |---|---|
//! | [`place`] | what the two paths mean together: Docker's rules |
//! | [`inside`] | a child process that has the container's root, and no more rights than it takes |
//! | [`pack`], [`unpack`] | files to a tar archive and back; one side writes into a pipe, the other reads from it |

mod inside;
mod pack;
mod place;
#[allow(unsafe_code)]
mod sys;
mod unpack;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{IsTerminal, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use namespaces::rootless;
use nix::fcntl::OFlag;
use nix::unistd::pipe2;
use process::{Error, OrCall, Result};
use rootfs::RootDir;

use super::container::Kept;
use super::text;
use super::transitions::Action;
use inside::Inside;
use place::{Destination, Origin};
use unpack::Manner;

/// The arguments of `cp`.
#[derive(Debug, Clone, Args)]
pub struct CpArgs {
    /// Keep owners and groups, and extended attributes
    #[arg(short, long)]
    archive: bool,
    /// If the source itself is a symbolic link, copy what it leads to
    #[arg(short = 'L', long)]
    follow_link: bool,
    /// Do not say how much was copied
    #[arg(short, long)]
    quiet: bool,
    /// NAME:PATH in a container, PATH here, or - for a tar archive from standard input
    #[arg(value_name = "SOURCE")]
    source: PathBuf,
    /// The same; - for a tar archive to standard output
    #[arg(value_name = "DESTINATION")]
    destination: PathBuf,
}

/// One of the two ends.
#[derive(Debug, PartialEq, Eq)]
enum End {
    /// A path in a container.
    Container(String, PathBuf),
    /// A path of this machine.
    Here(PathBuf),
    /// Standard input or output.
    Stream,
}

impl End {
    /// As Docker reads it: what begins with a slash or a dot is a path, also with a colon in it.
    fn parse(text: &Path) -> Self {
        let bytes = text.as_os_str().as_bytes();
        if bytes == b"-" {
            return Self::Stream;
        }
        let colon = bytes.iter().position(|&byte| byte == b':');
        let name = colon.and_then(|at| std::str::from_utf8(&bytes[..at]).ok());
        match (name, colon) {
            (Some(name), Some(at)) if !name.is_empty() && !name.starts_with(['/', '.']) => {
                Self::Container(name.to_owned(), PathBuf::from(OsStr::from_bytes(&bytes[at + 1..])))
            }
            _ => Self::Here(text.to_owned()),
        }
    }
}

impl CpArgs {
    /// Copies.
    ///
    /// # Errors
    /// Paths that do not go together; whatever the files say.
    pub fn run(self) -> Result<ExitCode> {
        // What is relative counts from here, and the user namespace keeps us here.
        let here = std::env::current_dir().or_call("getcwd", "")?;
        rootless::enter()?;
        let bytes = match (End::parse(&self.source), End::parse(&self.destination)) {
            (End::Container(name, path), End::Here(to)) => self.copy_out(&name, &path, &join(&here, &to))?,
            (End::Container(name, path), End::Stream) => return self.copy_to_stdout(&name, &path),
            (End::Here(from), End::Container(name, path)) => self.copy_in(&join(&here, &from), &name, &path)?,
            (End::Stream, End::Container(name, path)) => return self.copy_stdin(&name, &path),
            (End::Container(..), End::Container(..)) => {
                return Err(Error::invalid("copying between containers is not supported")
                    .help("pipe it: cp ONE:PATH - | … cp - OTHER:DIRECTORY"));
            }
            _ => {
                return Err(Error::invalid("neither end is in a container").help("write one of them as NAME:PATH"));
            }
        };
        if !self.quiet && std::io::stderr().is_terminal() {
            let to = self.destination.display();
            eprintln!("Successfully copied {} to {to}", text::size(bytes));
        }
        Ok(ExitCode::SUCCESS)
    }

    fn container(&self, name: &str) -> Result<Inside> {
        let kept = Kept::find(name)?;
        kept.may(Action::Files)?;
        Inside::of(kept)
    }

    fn manner(&self) -> Manner {
        Manner { keep_owners: self.archive, devices: false }
    }

    /// The child packs, we unpack.
    fn copy_out(&self, name: &str, path: &Path, to: &Path) -> Result<u64> {
        let (read, write) = pipe2(OFlag::O_CLOEXEC).or_call("pipe2", "")?;
        let (follow, xattrs) = (self.follow_link, self.archive);
        let mut child = self.container(name)?.spawn(Some(read), move |root, tell| {
            let origin = Origin::find(root, path, follow)?;
            tell.origin(&origin)?;
            pack::pack(&origin, &mut File::from(write), xattrs, true)
        })?;
        let origin = child.origin()?;
        let mut stream = Counted { inner: child.stream.take(), bytes: 0 };
        let unpacked = Destination::decide(&RootDir::open("/")?, to, &origin)
            .and_then(Destination::confined)
            .and_then(|destination| unpack::unpack(&mut stream, &destination, &self.manner()));
        let bytes = stream.bytes;
        drop(stream); // a child that is still writing ends
        // Its own reason is the better one, unless we were what stopped it.
        let packed = child.finish();
        unpacked.and(packed).map(|()| bytes)
    }

    /// We pack, the child unpacks.
    fn copy_in(&self, from: &Path, name: &str, path: &Path) -> Result<u64> {
        let (read, write) = pipe2(OFlag::O_CLOEXEC).or_call("pipe2", "")?;
        let here = RootDir::open("/")?;
        let origin = Origin::find(&here, from, self.follow_link)?;
        let (about, manner) = (origin.about(), Manner { devices: true, ..self.manner() });
        let mut child = self.container(name)?.spawn(Some(write), move |root, _| {
            let destination = Destination::decide(root, path, &about)?;
            unpack::unpack(&mut File::from(read), &destination, &manner)
        })?;
        let mut stream = Counted { inner: child.stream.take(), bytes: 0 };
        let packed = pack::pack(&origin, &mut stream, self.archive, false);
        let bytes = stream.bytes;
        drop(stream);
        // If it has stopped reading, it says why; our EPIPE would not.
        child.finish().and(packed).map(|()| bytes)
    }

    fn copy_to_stdout(&self, name: &str, path: &Path) -> Result<ExitCode> {
        let out = std::io::stdout();
        if out.is_terminal() {
            return Err(Error::invalid("a tar archive is no text for a terminal").help("pipe it: … | tar -tv"));
        }
        process::cli::end_with_reader()?;
        let follow = self.follow_link;
        let child = self.container(name)?.spawn(None, move |root, _| {
            let origin = Origin::find(root, path, follow)?;
            pack::pack(&origin, &mut std::io::stdout().lock(), true, true)
        })?;
        child.finish().map(|()| ExitCode::SUCCESS)
    }

    fn copy_stdin(&self, name: &str, path: &Path) -> Result<ExitCode> {
        let shown = format!("{name}:{}", path.display());
        let manner = Manner { keep_owners: true, devices: true };
        let child = self.container(name)?.spawn(None, move |root, _| {
            let destination = Destination::directory(root, path)
                .map_err(|error| error.help(format!("destination {shown:?} must be a directory")))?;
            unpack::unpack(&mut std::io::stdin().lock(), &destination, &manner)
        })?;
        child.finish().map(|()| ExitCode::SUCCESS)
    }
}

/// An absolute path; the slash or dot that it ends with is kept, since it means something.
fn join(here: &Path, path: &Path) -> PathBuf {
    here.join(path)
}

/// A stream whose bytes are counted.
struct Counted {
    inner: Option<File>,
    bytes: u64,
}

impl Read for Counted {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.inner.as_ref().map_or(Ok(0), |mut file| file.read(buffer))?;
        self.bytes += read as u64;
        Ok(read)
    }
}

impl Write for Counted {
    fn write(&mut self, buffer: &[u8]) -> std::io::Result<usize> {
        let written = self.inner.as_ref().map_or(Ok(0), |mut file| file.write(buffer))?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_ends_are_read_as_docker_does() {
        let end = |text: &str| End::parse(Path::new(text));
        let container = |name: &str, path: &str| End::Container(name.into(), path.into());
        assert_eq!(end("web:/etc/"), container("web", "/etc/"));
        assert_eq!(end("web:etc"), container("web", "etc"));
        assert_eq!(end("web:"), container("web", ""));
        assert_eq!(end("-"), End::Stream);
        for here in ["file", "/a:b", "./a:b", "../a:b", ":x"] {
            assert_eq!(end(here), End::Here(here.into()), "{here}");
        }
    }
}
