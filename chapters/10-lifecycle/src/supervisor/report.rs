//! How the start went: one message from a supervisor to the command that spawned it, over a pipe.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use process::{Error, Kind, Result};
use serde::{Deserialize, Serialize};

/// The message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// The program runs, as this process.
    Started(i32),
    /// It does not.
    Failed {
        /// The class of the error, and its errno where it has one.
        kind: (String, i32),
        /// What failed.
        what: String,
        /// The way out.
        help: Option<String>,
    },
}

impl Report {
    /// The failure `error`.
    pub fn failed(error: &Error) -> Self {
        let (name, errno) = match error.kind() {
            Kind::Call(errno) => ("call", errno as i32),
            Kind::Exec(errno) => ("exec", errno as i32),
            Kind::NotFound => ("not found", 0),
            Kind::Conflict => ("conflict", 0),
            Kind::Invalid => ("invalid", 0),
            Kind::Unavailable => ("unavailable", 0),
            Kind::Corrupt => ("corrupt", 0),
            _ => ("unsupported", 0),
        };
        let (what, help) = (error.what().to_owned(), error.way_out().map(str::to_owned));
        Self::Failed { kind: (name.to_owned(), errno), what, help }
    }

    /// Sends it. That nobody waits for it any more is no failure of the container.
    pub fn send(&self, pipe: OwnedFd) {
        let text = serde_json::to_vec(self).unwrap_or_default();
        let _ = File::from(pipe).write_all(&text);
    }

    /// Waits for it, until the other end is closed.
    ///
    /// # Errors
    /// The failure that is reported; that there was no report.
    pub fn receive(pipe: OwnedFd) -> Result<i32> {
        let mut text = Vec::new();
        let _ = File::from(pipe).read_to_end(&mut text);
        match serde_json::from_slice(&text) {
            Ok(Self::Started(pid)) => Ok(pid),
            Ok(Self::Failed { kind: (name, errno), what, help }) => {
                let errno = Errno::from_raw(errno);
                let kind = match name.as_str() {
                    "call" => Kind::Call(errno),
                    "exec" => Kind::Exec(errno),
                    "not found" => Kind::NotFound,
                    "conflict" => Kind::Conflict,
                    "invalid" => Kind::Invalid,
                    "unavailable" => Kind::Unavailable,
                    "corrupt" => Kind::Corrupt,
                    _ => Kind::Unsupported,
                };
                let error = Error::new(kind, what);
                Err(match help {
                    Some(help) => error.help(help),
                    None => error,
                })
            }
            Err(_) => Err(Error::new(Kind::Unavailable, "the supervisor ended before the program was started")
                .help("it was killed from outside; `dmesg` tells if the kernel did it for want of memory")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_arrives_as_it_was() {
        let (read, write) = nix::unistd::pipe().unwrap();
        let error = Error::new(Kind::Exec(Errno::ENOENT), "exec x: ENOENT").help("no x");
        Report::failed(&error).send(write);
        let arrived = Report::receive(read).unwrap_err();
        assert_eq!(
            (arrived.kind(), arrived.what(), arrived.way_out()),
            (Kind::Exec(Errno::ENOENT), "exec x: ENOENT", Some("no x"))
        );
        let (read, write) = nix::unistd::pipe().unwrap();
        drop(write);
        assert!(Report::receive(read).is_err());
    }
}
