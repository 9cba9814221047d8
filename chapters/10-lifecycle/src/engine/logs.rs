//! `logs`: what a container has said, and what it goes on saying.

use std::io::{BufWriter, ErrorKind, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use process::{Error, OrCall, Result};

use super::follow::{Entry, Reader};
use super::when::When;
use crate::supervisor::control::{Client, Request};
use crate::supervisor::log::path_of;
use crate::supervisor::stamp::Stamp;

/// `logs`
#[derive(Debug, Clone, Default, Args)]
pub struct LogsArgs {
    /// Go on with what comes, until the container ends
    #[arg(short, long)]
    pub follow: bool,
    /// Only so many entries from the end
    #[arg(short = 'n', long, value_name = "N|all", default_value = "all", value_parser = tail)]
    pub tail: Tail,
    /// Only what came since then: a time, or a duration that counts back from now
    #[arg(long, value_name = "TIME")]
    pub since: Option<When>,
    /// Only what came until then
    #[arg(long, value_name = "TIME")]
    pub until: Option<When>,
    /// Begin each line with its time
    #[arg(short, long)]
    pub timestamps: bool,
}

/// How many entries from the end; none means all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tail(pub Option<u64>);

fn tail(text: &str) -> Result<Tail> {
    match text {
        "all" => Ok(Tail(None)),
        number => {
            let count =
                number.parse::<i64>().map_err(|_| Error::invalid(format!("{number:?} is no number of lines")))?;
            Ok(Tail(u64::try_from(count).ok())) // negative is all, as in Docker
        }
    }
}

impl LogsArgs {
    /// Prints the log of container `id`, whose directory is `dir`; `socket` is its supervisor's.
    ///
    /// # Errors
    /// As open(2), read(2), inotify_init(2) and write(2).
    pub fn print(&self, dir: &Path, id: &str, socket: &Path) -> Result<()> {
        let path = path_of(dir, id);
        let mut sink = Sink::new(self);
        // Watched before it is read, so that nothing comes unseen between the two.
        let mut life = if self.follow { Some(Life::new(&path, socket)?) } else { None };
        let mut reader = Reader::open(&path, self.tail.0)?;
        loop {
            let is_over = life.as_ref().is_none_or(|life| life.is_over());
            while let Some(entry) = reader.take()? {
                if !sink.take(&entry).or_call("write", "standard output")? {
                    return Ok(());
                }
            }
            sink.flush().or_call("write", "standard output")?;
            match &mut life {
                Some(life) if !is_over => life.wait(self.until.map(|until| until.0))?,
                _ => return Ok(()),
            }
        }
    }
}

/// Where the entries go: standard output and error, as the program wrote them.
struct Sink<'a> {
    args: &'a LogsArgs,
    out: BufWriter<std::io::StdoutLock<'static>>,
    err: BufWriter<std::io::StderrLock<'static>>,
    /// Of both: is the next part the beginning of a line?
    begins: [bool; 2],
}

impl<'a> Sink<'a> {
    fn new(args: &'a LogsArgs) -> Self {
        let (out, err) = (BufWriter::new(std::io::stdout().lock()), BufWriter::new(std::io::stderr().lock()));
        Self { args, out, err, begins: [true; 2] }
    }

    /// Prints an entry, if it is asked for. False if what follows is not, either.
    fn take(&mut self, entry: &Entry) -> std::io::Result<bool> {
        if self.args.until.is_some_and(|until| entry.time > until.0) {
            return self.flush().map(|()| false);
        }
        if self.args.since.is_some_and(|since| entry.time < since.0) {
            return Ok(true);
        }
        let out: &mut dyn Write = if entry.is_error { &mut self.err } else { &mut self.out };
        let begins = &mut self.begins[usize::from(entry.is_error)];
        if self.args.timestamps && *begins {
            write!(out, "{} ", entry.time.fixed())?;
        }
        *begins = entry.text.ends_with('\n');
        match out.write_all(entry.text.as_bytes()) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false), // `… | head` has enough
            written => written.map(|()| true),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()?;
        self.err.flush()
    }
}

/// Tells when the log has grown, and when the container has ended.
struct Life {
    inotify: Inotify,
    socket: PathBuf,
    /// A request to be told of the end; none when it has come.
    client: Option<Client>,
}

impl Life {
    fn new(log: &Path, socket: &Path) -> Result<Self> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK).or_call("inotify_init", "")?;
        let dir = log.parent().unwrap_or(Path::new("/"));
        // The directory: files come and go in it.
        let what = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
        match inotify.add_watch(dir, what) {
            Err(Errno::ENOENT) => {} // no log was ever written, so nothing runs that writes it
            watched => drop(watched.or_call("inotify_add_watch", dir.display())?),
        }
        let mut life = Self { inotify, socket: socket.to_owned(), client: None };
        life.call();
        Ok(life)
    }

    fn is_over(&self) -> bool {
        self.client.is_none()
    }

    /// Asks the supervisor to be told of the end. If there is none, it has come.
    fn call(&mut self) {
        let client = Client::connect(&self.socket).ok();
        self.client = client.filter(|client| client.send(&Request::Wait, None).is_ok());
    }

    /// Sleeps until the log has grown, the container has ended, or `until` has come.
    fn wait(&mut self, until: Option<Stamp>) -> Result<()> {
        let Some(client) = &self.client else { return Ok(()) };
        let left = until.map(|until| until.since(Stamp::now()) + Duration::from_millis(1));
        let timeout = left.map_or(PollTimeout::NONE, |left| PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX));
        let mut fds = [&self.inotify.as_fd(), &client.as_fd()].map(|fd| PollFd::new(*fd, PollFlags::POLLIN));
        match poll(&mut fds, timeout) {
            Ok(0) => {
                self.client = None; // what comes now is later than asked for
                return Ok(());
            }
            Err(Errno::EINTR) => return Ok(()),
            ready => ready.or_call("poll", "")?,
        };
        let has_answer = fds[1].any().unwrap_or_default();
        while self.inotify.read_events().is_ok() {}
        if has_answer {
            match client.receive() {
                Ok(Some(answer)) if answer.restarting == Some(true) => self.call(),
                Ok(Some(_)) => self.client = None,
                // The supervisor is gone, or starts the container again: then it listens still.
                Ok(None) | Err(_) => self.call(),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_many_from_the_end() {
        let count = |text| tail(text).map(|tail| tail.0).ok();
        assert_eq!(
            [count("all"), count("5"), count("0"), count("-1")],
            [Some(None), Some(Some(5)), Some(Some(0)), Some(None)]
        );
        assert_eq!(count("x"), None);
    }
}
