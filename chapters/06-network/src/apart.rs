//! A few calls in another network namespace without root: a child goes there, and tells what came of it.
//!
//! Who enters a network namespace with the rights of a user namespace only does not come back: the host's belongs to
//! the host's root (setns(2)).

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recvmsg, sendmsg, socketpair,
};
use nix::sys::wait::waitpid;
use nix::unistd::ForkResult;
use process::{Error, Kind, OrCall, Result};
use serde::{Deserialize, Serialize};

use crate::sys;

/// The most descriptors that come back, and the longest message, in bytes.
const MOST_FDS: usize = 8;
const LONGEST: usize = 1 << 16;

/// Calls `work` in a child that is in the network namespace `netns`; the descriptors that it makes are ours then. What
/// it does to memory is not seen here, what it does to files is.
///
/// # Errors
/// As fork(2) and setns(2), or those of `work`.
pub fn apart(netns: BorrowedFd<'_>, work: impl FnOnce() -> Result<Vec<OwnedFd>>) -> Result<Vec<OwnedFd>> {
    let (ours, childs) =
        socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC).or_call("socketpair", "")?;
    match process::sys::fork().or_call("fork", "a child for another network namespace")? {
        ForkResult::Child => {
            drop(ours);
            // The lock that we have is the child's, too: it must not go on with its work when we are gone.
            let entered = process::sys::die_with_parent().or_call("prctl", "PR_SET_PDEATHSIG").and_then(|()| {
                setns(netns, CloneFlags::CLONE_NEWNET).or_call("setns", "another network namespace").map_err(foreign)
            });
            let done = entered.and_then(|()| work());
            let _ = send(&childs, done);
            process::sys::exit_now(0)
        }
        ForkResult::Parent { child } => {
            drop(childs);
            let received = receive(&ours);
            while waitpid(child, None) == Err(Errno::EINTR) {}
            received
        }
    }
}

fn foreign(error: Error) -> Error {
    match error.errno() {
        Some(Errno::EPERM) => {
            error.help("it belongs to another user namespace; end the containers that run, and start them again")
        }
        _ => error,
    }
}

fn send(socket: &OwnedFd, done: Result<Vec<OwnedFd>>) -> Result<()> {
    let (fds, failure) = match done {
        Ok(fds) => (fds, None),
        Err(error) => (Vec::new(), Some(error)),
    };
    let text = encode(failure.as_ref());
    let numbers: Vec<RawFd> = fds.iter().map(AsRawFd::as_raw_fd).collect();
    let rights = [ControlMessage::ScmRights(&numbers)];
    let control = if numbers.is_empty() { &[][..] } else { &rights[..] };
    let text = [IoSlice::new(text.as_bytes())];
    sendmsg::<()>(socket.as_raw_fd(), &text, control, MsgFlags::MSG_NOSIGNAL, None).or_call("sendmsg", "").map(drop)
}

fn receive(socket: &OwnedFd) -> Result<Vec<OwnedFd>> {
    let (mut bytes, mut control) = (vec![0; LONGEST], cmsg_space!([RawFd; MOST_FDS]));
    let mut fds = Vec::new();
    let length = loop {
        let mut parts = [IoSliceMut::new(&mut bytes)];
        match recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::MSG_CMSG_CLOEXEC) {
            Err(Errno::EINTR) => {}
            received => {
                let message = received.or_call("recvmsg", "")?;
                for part in message.cmsgs().or_call("recvmsg", "")? {
                    if let ControlMessageOwned::ScmRights(numbers) = part {
                        fds.extend(numbers.into_iter().map(sys::own));
                    }
                }
                break message.bytes;
            }
        }
    };
    decode(&bytes[..length]).map(|()| fds)
}

/// An error as bytes can carry it.
#[derive(Serialize, Deserialize)]
struct Failure {
    kind: u8,
    errno: i32,
    what: String,
    help: Option<String>,
}

/// A failure as one line, for another process of ours; none as an empty one.
pub fn encode(failure: Option<&Error>) -> String {
    let failure = failure.map(|error| Failure {
        kind: match error.kind() {
            Kind::Call(_) | Kind::Exec(_) => 0,
            Kind::NotFound => 1,
            Kind::Conflict => 2,
            Kind::Invalid => 3,
            Kind::Unsupported => 4,
            Kind::Unavailable => 5,
            Kind::Corrupt => 6,
        },
        errno: error.errno().map_or(0, |errno| errno as i32),
        what: error.what().chars().take(LONGEST / 16).collect(),
        help: error.way_out().map(str::to_owned),
    });
    serde_json::to_string(&failure).unwrap_or_default() + "\n"
}

/// The failure that [`encode`] has written.
///
/// # Errors
/// The failure; or that there is no such line: who should have written it was killed.
pub fn decode(line: &[u8]) -> Result<()> {
    let ended = || Error::call("wait", "a process of ours that was killed from outside", Errno::ECHILD);
    let Some(failure) = serde_json::from_slice::<Option<Failure>>(line).map_err(|_| ended())? else { return Ok(()) };
    let kind = match failure.kind {
        0 => Kind::Call(Errno::from_raw(failure.errno)),
        1 => Kind::NotFound,
        2 => Kind::Conflict,
        3 => Kind::Invalid,
        4 => Kind::Unsupported,
        5 => Kind::Unavailable,
        _ => Kind::Corrupt,
    };
    let error = Error::new(kind, failure.what);
    Err(match failure.help {
        Some(help) => error.help(help),
        None => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_arrive_as_they_were() {
        assert!(decode(encode(None).as_bytes()).is_ok());
        let errors = [
            Error::call("link add", "br-1", Errno::EEXIST),
            Error::new(Kind::Conflict, "port 80 is taken").help("choose another one"),
            Error::unsupported("x"),
        ];
        for error in errors {
            let told = decode(encode(Some(&error)).as_bytes()).unwrap_err();
            assert_eq!((told.kind(), told.to_string()), (error.kind(), error.to_string()));
        }
        assert_eq!(decode(b"").unwrap_err().errno(), Some(Errno::ECHILD));
    }
}
