//! What is not ours is asked of the host's name servers, from the host's network namespace.
//!
//! Each question has a socket of its own, so a port of the kernel's choosing and a number that nobody else has seen: who
//! wants to answer in a server's stead has to guess both (RFC 5452).

use std::fs;
use std::io::{ErrorKind, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::poll::PollFlags;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, connect, socket};

use super::framed::Framed;
use super::message::{Question, is_refusal, is_truncated};
use crate::Resolv;

/// How long a server may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How many servers are asked, as by the C library (resolv.conf(5)).
const MOST_SERVERS: usize = 3;
const PORT: u16 = 53;
/// How long an answer by UDP may be for everybody, in bytes (RFC 1035, 2.3.4).
const LEAST: usize = 512;

/// The name servers of the file at `path`, at most three.
pub fn servers(path: &Path) -> Vec<SocketAddr> {
    let resolv = Resolv::parse(&fs::read_to_string(path).unwrap_or_default());
    resolv.nameservers.iter().filter_map(|server| server_address(server)).take(MOST_SERVERS).collect()
}

/// The address, with the link that it is on, if it says so: `fe80::1%eth0`.
fn server_address(text: &str) -> Option<SocketAddr> {
    match text.split_once('%') {
        None => Some(SocketAddr::new(text.parse().ok()?, PORT)),
        Some((address, link)) => {
            let address: Ipv6Addr = address.parse().ok()?;
            let scope = link.parse().ok().or_else(|| if_nametoindex(link).ok())?;
            Some(SocketAddrV6::new(address, PORT, 0, scope).into())
        }
    }
}

/// A question on its way: to one server after the other, by UDP, and by TCP if the answer was cut.
pub struct Asked {
    /// What is asked.
    pub question: Question,
    servers: Vec<SocketAddr>,
    /// Does the client take answers of any length?
    whole: bool,
    id: u16,
    socket: Socket,
    deadline: Instant,
    /// What a server said that would not answer; the best that there is if no other one does.
    refusal: Option<Vec<u8>>,
}

enum Socket {
    Udp(UdpSocket),
    Tcp(Framed),
}

/// How far it has come.
pub enum Progress {
    /// Nowhere new.
    Waiting,
    /// To an answer, which still has our number.
    Done(Vec<u8>),
    /// To the end: nobody has answered.
    Failed,
}

impl Asked {
    /// Asks the first of `servers` that can be asked. `whole`: the client takes answers of any length.
    pub fn new(question: Question, servers: &[SocketAddr], whole: bool) -> Option<Self> {
        let mut rest = servers.to_vec();
        while !rest.is_empty() {
            let id = random()?;
            if let Some(socket) = ask_udp(&question, rest[0], id) {
                let deadline = Instant::now() + PATIENCE;
                return Some(Self { question, servers: rest, whole, id, socket, deadline, refusal: None });
            }
            rest.remove(0);
        }
        None
    }

    /// When to look again, if nothing comes.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// What to wait for.
    pub fn interest(&self) -> PollFlags {
        match &self.socket {
            Socket::Tcp(framed) if framed.has_unsent() => PollFlags::POLLIN | PollFlags::POLLOUT,
            _ => PollFlags::POLLIN,
        }
    }

    /// Something has come, or can be sent.
    pub fn tend(&mut self) -> Progress {
        let mut buffer = [0; 4096];
        loop {
            let received = match &mut self.socket {
                Socket::Udp(socket) => socket.recv(&mut buffer).map(|count| Some(buffer[..count].to_vec())),
                Socket::Tcp(framed) => match framed.flush() {
                    true => match framed.receive() {
                        Ok(None) if framed.has_ended() => Err(ErrorKind::UnexpectedEof.into()),
                        received => received.map_err(|_| ErrorKind::ConnectionAborted.into()),
                    },
                    false => return self.ask_next(),
                },
            };
            match received {
                Ok(Some(reply)) if self.question.is_answered_by(&reply, self.id) => return self.take(reply),
                Ok(Some(_)) => {} // somebody else's, or a liar's
                Ok(None) => return Progress::Waiting,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Progress::Waiting,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return self.ask_next(),
            }
        }
    }

    fn take(&mut self, reply: Vec<u8>) -> Progress {
        let by_udp = matches!(self.socket, Socket::Udp(_));
        // What does not fit into the least that everybody takes is cut for whoever takes no more.
        let has_room = self.whole || self.question.limit > LEAST;
        if by_udp && is_truncated(&reply) && has_room {
            // It is as good as no other: kept, in case that the server does not speak TCP.
            self.refusal = Some(reply);
            return match ask_tcp(&self.question, self.servers[0], self.id) {
                Some(framed) => {
                    self.socket = Socket::Tcp(framed);
                    self.deadline = Instant::now() + PATIENCE;
                    Progress::Waiting
                }
                None => self.ask_next(),
            };
        }
        if is_refusal(&reply) && self.servers.len() > 1 {
            self.refusal = Some(reply);
            return self.ask_next();
        }
        Progress::Done(reply)
    }

    /// The server does not answer: the next one is asked.
    pub fn ask_next(&mut self) -> Progress {
        while self.servers.len() > 1 {
            self.servers.remove(0);
            let Some(id) = random() else { break };
            if let Some(socket) = ask_udp(&self.question, self.servers[0], id) {
                (self.socket, self.id, self.deadline) = (socket, id, Instant::now() + PATIENCE);
                return Progress::Waiting;
            }
        }
        self.refusal.take().map_or(Progress::Failed, Progress::Done)
    }
}

impl AsFd for Asked {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Socket::Udp(socket) => socket.as_fd(),
            Socket::Tcp(framed) => framed.as_fd(),
        }
    }
}

fn ask_udp(question: &Question, server: SocketAddr, id: u16) -> Option<Socket> {
    let any: IpAddr = if server.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.set_nonblocking(true).ok()?;
    socket.connect(server).ok()?;
    socket.send(&question.numbered(id)).ok()?;
    Some(Socket::Udp(socket))
}

fn ask_tcp(question: &Question, server: SocketAddr, id: u16) -> Option<Framed> {
    let family = if server.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let fd = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK, None).ok()?;
    match connect(fd.as_raw_fd(), &SockaddrStorage::from(server)) {
        Ok(()) | Err(Errno::EINPROGRESS) => {}
        Err(_) => return None,
    }
    let mut framed = Framed::new(fd.into());
    framed.send(&question.numbered(id)).then_some(framed)
}

fn random() -> Option<u16> {
    let mut bytes = [0; 2];
    fs::File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).ok()?;
    Some(u16::from_ne_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_of_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("upstream.conf");
        assert_eq!(servers(&path), []);
        let text = "nameserver 192.0.2.1\nnameserver fe80::1%lo\nnameserver x\nnameserver ::1\nnameserver 9.9.9.9\n";
        fs::write(&path, text).unwrap();
        let found: Vec<_> = servers(&path).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["192.0.2.1:53", "[fe80::1%1]:53", "[::1]:53"]);
    }
}
