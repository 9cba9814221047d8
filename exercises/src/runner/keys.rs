//! Waits for what comes first: a key, or a file that was saved.

use std::fs;
use std::os::fd::AsFd;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, SystemTime};

use namespaces::Raw;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use process::{OrCall, Result};

use crate::Exercise;
use crate::lab::STOP;

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Came {
    /// A key, or in a pipe the first letter of a line.
    Key(char),
    /// The learner's file of the exercise with this number was saved.
    Saved(usize),
    /// Nothing more will come.
    End,
}

/// The learner's files as they were last seen.
pub struct Files(Vec<Option<(SystemTime, u64)>>);

impl Files {
    /// As they are now.
    pub fn look(all: &[Exercise]) -> Self {
        Self(all.iter().map(stamp).collect())
    }

    /// Is the file of this exercise another one by now?
    pub fn is_older(&self, exercise: &Exercise, number: usize) -> bool {
        let now = stamp(exercise);
        now.is_some() && now != self.0[number]
    }

    /// The first that has changed since.
    fn changed(&mut self, all: &[Exercise]) -> Option<usize> {
        let now: Vec<_> = all.iter().map(stamp).collect();
        // Editors remove a file and write it anew: one that is not there is looked at again.
        let changed = now.iter().zip(&self.0).position(|(now, then)| now.is_some() && now != then);
        if let Some(number) = changed {
            thread::sleep(SETTLE);
            self.0[number] = stamp(&all[number]);
        }
        changed
    }
}

fn stamp(exercise: &Exercise) -> Option<(SystemTime, u64)> {
    let meta = fs::metadata(exercise.file()).ok()?;
    Some((meta.modified().ok()?, meta.len()))
}

/// Some editors write a file in several steps.
const SETTLE: Duration = Duration::from_millis(50);

/// How often the files are looked at, in milliseconds.
const GLANCE: u16 = 100;

/// Waits. On a terminal each key comes at once, without Enter; the terminal is as before when this returns.
///
/// # Errors
/// As poll(2).
pub fn wait(all: &[Exercise], files: &mut Files) -> Result<Came> {
    let stdin = std::io::stdin();
    let raw = Raw::enter().ok(); // ENOTTY: a pipe
    loop {
        if STOP.load(Ordering::Relaxed) {
            return Ok(Came::End); // Ctrl-C while it was no key: during a check
        }
        let mut fds = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        match poll(&mut fds, PollTimeout::from(GLANCE)) {
            Err(nix::errno::Errno::EINTR) | Ok(0) => {}
            Err(errno) => return Err(errno).or_call("poll", "standard input"),
            Ok(_) => match byte()? {
                None | Some(3 | 4) => return Ok(Came::End), // Ctrl-C and Ctrl-D are keys like others here
                Some(byte) if raw.is_some() || !byte.is_ascii_whitespace() => return Ok(Came::Key(char::from(byte))),
                Some(_) => {}
            },
        }
        if let Some(number) = files.changed(all) {
            return Ok(Came::Saved(number));
        }
    }
}

/// One byte, unbuffered, so that poll(2) knows of the others.
fn byte() -> Result<Option<u8>> {
    let mut byte = [0];
    let count = nix::unistd::read(std::io::stdin(), &mut byte).or_call("read", "standard input")?;
    Ok((count == 1).then_some(byte[0]))
}
