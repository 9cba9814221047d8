//! Reading the events as they come: inotify(7) tells when the file has grown or another took its place.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use process::{OrCall, Result, explain};

use super::{before, file, is};
use crate::supervisor::exit::Event;

/// A reader of the file, from its beginning (and that of the one before) on.
pub struct Follow {
    file: Option<File>,
    /// What was read of a line that is not whole yet.
    rest: Vec<u8>,
    inotify: Inotify,
}

impl Follow {
    /// Begins to watch; nothing that happens from here on is missed.
    ///
    /// # Errors
    /// As inotify_init1(2) and inotify_add_watch(2).
    pub fn new() -> Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).or_call("inotify_init1", "")?;
        let path = file();
        let directory = path.parent().unwrap_or(Path::new("/"));
        std::fs::create_dir_all(directory).or_call("mkdir", directory.display())?;
        let flags = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CREATE;
        inotify.add_watch(directory, flags).or_call("inotify_add_watch", directory.display())?;
        explain!(10, "the kernel tells when a line is added", "inotify_add_watch({})", directory.display());
        Ok(Self { file: open(&before(&path))?, rest: Vec::new(), inotify })
    }

    /// All events that have been recorded since the last call.
    ///
    /// # Errors
    /// As open(2) and read(2).
    pub fn read(&mut self) -> Result<Vec<Event>> {
        let path = file();
        let mut events = Vec::new();
        loop {
            if let Some(file) = &mut self.file {
                file.read_to_end(&mut self.rest).or_call("read", path.display())?;
                events.extend(lines(&mut self.rest));
                if is(file, &path) {
                    return Ok(events);
                }
            }
            // That one will not grow any more: a writer appends to what has the name. Go on with the next.
            self.file = open(&path)?;
            if self.file.is_none() {
                return Ok(events);
            }
        }
    }

    /// Sleeps until something may have been recorded, or `limit` is over.
    ///
    /// # Errors
    /// As poll(2).
    pub fn wait(&self, limit: Option<Duration>) -> Result<()> {
        let timeout = limit.map_or(PollTimeout::NONE, |limit| {
            let millis = u32::try_from(limit.as_millis() + 1).unwrap_or(u32::MAX);
            PollTimeout::try_from(millis).unwrap_or(PollTimeout::MAX)
        });
        match poll(&mut [PollFd::new(self.inotify.as_fd(), PollFlags::POLLIN)], timeout) {
            Err(Errno::EINTR) => {}
            done => drop(done.or_call("poll", "inotify")?),
        }
        match self.inotify.read_events() {
            Err(Errno::EAGAIN) | Ok(_) => Ok(()),
            Err(errno) => Err(process::Error::call("read", "inotify", errno)),
        }
    }
}

fn open(path: &Path) -> Result<Option<File>> {
    match File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        file => file.or_call("open", path.display()).map(Some),
    }
}

/// Takes the whole lines out of `rest`. A line that is no event is passed over: a machine may lose power in one.
fn lines(rest: &mut Vec<u8>) -> Vec<Event> {
    let end = rest.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let whole: Vec<u8> = rest.drain(..end).collect();
    whole.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect()
}
