//! The process: one thread, one poll(2) loop, until the container ends.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use caps::CapSet;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::prctl::set_no_new_privs;
use nix::unistd::{Pid, dup};
use process::sys::pidfd_open;
use process::{Error, OrCall, Result};
use rootfs::dirs;

use super::directory::Directory;
use super::framed::Framed;
use super::message::{Answer, Question, Received, read};
use super::upstream::{Asked, Progress, servers};
use super::{ADDRESS, UPSTREAM};
use crate::state;

/// How many questions are on their way to others; one more fails at once, and may be asked again.
const MOST_ASKED: usize = 128;
/// How many TCP connections are open; others wait.
const MOST_CONNECTIONS: usize = 64;
/// How long a connection may be idle (RFC 7766 wants seconds).
const IDLE: Duration = Duration::from_secs(10);
/// How many messages are read before others have their turn.
const BATCH: usize = 64;
/// The largest message (RFC 1035).
const LARGEST: usize = 65535;

/// Who asked.
#[derive(Clone, Copy)]
enum Client {
    Udp(SocketAddr),
    Tcp(u64),
}

struct Connection {
    framed: Framed,
    used: Instant,
}

struct Server {
    udp: UdpSocket,
    tcp: TcpListener,
    /// Readable when the container's first process has ended.
    container: OwnedFd,
    directory: Directory,
    upstream: Vec<SocketAddr>,
    asked: BTreeMap<u64, (Client, Asked)>,
    connections: BTreeMap<u64, Connection>,
    next: u64,
}

/// What a descriptor of the loop is.
#[derive(Clone, Copy)]
enum Source {
    Container,
    Udp,
    Tcp,
    Connection(u64),
    Asked(u64),
}

/// The process: `directory` is the container's, and the sockets are its standard input and output.
pub fn run(directory: &Path) {
    // There is nobody to be told of an error: names that are not answered are noticed.
    if let Ok(mut server) = Server::new(directory)
        && renounce().is_ok()
    {
        while server.turn() {}
    }
}

/// Gives up all that root may do and a process like this does not need: it reads what strangers send. What it opens from
/// now on are its user's own files, and sockets without privilege. For good: not even execve(2) brings it back.
pub fn renounce() -> Result<()> {
    let refused = |error: caps::errors::CapsError| Error::unsupported(format!("capset: {error}"));
    // The bounding set first: to drop from it takes CAP_SETPCAP (capabilities(7)).
    for set in [CapSet::Bounding, CapSet::Ambient, CapSet::Inheritable, CapSet::Effective, CapSet::Permitted] {
        caps::clear(None, set).map_err(refused)?;
    }
    set_no_new_privs().or_call("prctl", "PR_SET_NO_NEW_PRIVS")
}

impl Server {
    fn new(directory: &Path) -> Result<Self> {
        let take = |fd: nix::Result<OwnedFd>| fd.or_call("dup", "a socket");
        let udp = UdpSocket::from(take(dup(std::io::stdin()))?);
        let tcp = TcpListener::from(take(dup(std::io::stdout()))?);
        udp.set_nonblocking(true).and_then(|()| tcp.set_nonblocking(true)).or_call("ioctl", "FIONBIO")?;
        let run = &dirs().run;
        let id = directory.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let lease = state::peek(run, &id).ok_or_else(|| Error::not_found(format!("container {id}")))?;
        let container = pidfd_open(Pid::from_raw(lease.pid)).or_call("pidfd_open", lease.pid)?;
        // Looked at after opening: had the process ended before, this would be a stranger.
        if lease.is_stale() {
            return Err(Error::not_found(format!("container {id} has just ended")));
        }
        Ok(Self {
            udp,
            tcp,
            container,
            directory: Directory::new(run, &id),
            upstream: servers(&directory.join(UPSTREAM)),
            asked: BTreeMap::new(),
            connections: BTreeMap::new(),
            next: 0,
        })
    }

    /// Waits, and does what there is to do. False: the container has ended.
    fn turn(&mut self) -> bool {
        let mut sources = vec![(Source::Container, PollFlags::POLLIN), (Source::Udp, PollFlags::POLLIN)];
        if self.connections.len() < MOST_CONNECTIONS {
            sources.push((Source::Tcp, PollFlags::POLLIN));
        }
        for (id, connection) in &self.connections {
            let unsent = if connection.framed.has_unsent() { PollFlags::POLLOUT } else { PollFlags::empty() };
            // The end would be readable for ever.
            let more = if connection.framed.has_ended() { PollFlags::empty() } else { PollFlags::POLLIN };
            sources.push((Source::Connection(*id), more | unsent));
        }
        sources.extend(self.asked.iter().map(|(id, (_, asked))| (Source::Asked(*id), asked.interest())));
        for source in self.wait(&sources) {
            match source {
                Source::Container => return false,
                Source::Udp => self.receive(),
                Source::Tcp => self.accept(),
                Source::Connection(id) => self.tend_connection(id),
                Source::Asked(id) => self.tend_asked(id, Asked::tend),
            }
        }
        self.expire();
        true
    }

    /// Those that are ready.
    fn wait(&self, sources: &[(Source, PollFlags)]) -> Vec<Source> {
        let fd = |source: &Source| match source {
            Source::Container => self.container.as_fd(),
            Source::Udp => self.udp.as_fd(),
            Source::Tcp => self.tcp.as_fd(),
            Source::Connection(id) => self.connections[id].framed.as_fd(),
            Source::Asked(id) => self.asked[id].1.as_fd(),
        };
        let mut fds: Vec<_> = sources.iter().map(|(source, flags)| PollFd::new(fd(source), *flags)).collect();
        let idle = self.connections.values().map(|connection| connection.used + IDLE);
        let deadline = self.asked.values().map(|(_, asked)| asked.deadline()).chain(idle).min();
        let timeout = deadline.map_or(PollTimeout::NONE, |deadline| {
            // One more than is left, rather than to wake too early and again.
            let left = deadline.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
            PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
        });
        if poll(&mut fds, timeout).is_err() {
            return Vec::new(); // EINTR
        }
        let ready = |fd: &PollFd<'_>| fd.any().unwrap_or(true);
        sources.iter().zip(&fds).filter(|(_, fd)| ready(fd)).map(|((source, _), _)| *source).collect()
    }

    fn receive(&mut self) {
        let mut buffer = [0; 4096];
        for _ in 0..BATCH {
            let Ok((count, client)) = self.udp.recv_from(&mut buffer) else { return };
            // Whoever is not in the container cannot reach this address; it does no harm to look.
            if client.ip().is_loopback() || client.ip() == ADDRESS {
                self.serve(Client::Udp(client), &buffer[..count]);
            }
        }
    }

    fn accept(&mut self) {
        while self.connections.len() < MOST_CONNECTIONS {
            let Ok((stream, _)) = self.tcp.accept() else { return };
            if stream.set_nonblocking(true).is_ok() {
                self.next += 1;
                let connection = Connection { framed: Framed::new(stream), used: Instant::now() };
                self.connections.insert(self.next, connection);
            }
        }
    }

    fn tend_connection(&mut self, id: u64) {
        for _ in 0..BATCH {
            let Some(connection) = self.connections.get_mut(&id) else { return };
            if !connection.framed.flush() {
                self.connections.remove(&id);
                return;
            }
            match connection.framed.receive() {
                Ok(None) => return,
                Ok(Some(message)) => {
                    connection.used = Instant::now();
                    self.serve(Client::Tcp(id), &message);
                }
                Err(_) => {
                    self.connections.remove(&id);
                }
            }
        }
    }

    /// A message of a client: answered, refused, or asked of others.
    fn serve(&mut self, client: Client, message: &[u8]) {
        let question = match read(message) {
            Received::Question(question) => *question,
            Received::Refuse(reply) => return self.reply(client, &reply),
            Received::Garbage => return,
        };
        if let Some(answer) = self.directory.answer(&question) {
            return self.answer(client, &question, answer);
        }
        if !self.directory.may_ask_others() || self.asked.len() >= MOST_ASKED {
            return self.answer(client, &question, Answer::Failed);
        }
        let whole = matches!(client, Client::Tcp(_));
        match Asked::new(question.clone(), &self.upstream, whole) {
            Some(asked) => {
                self.next += 1;
                self.asked.insert(self.next, (client, asked));
            }
            None => self.answer(client, &question, Answer::Failed),
        }
    }

    fn tend_asked(&mut self, id: u64, tend: impl FnOnce(&mut Asked) -> Progress) {
        let Some((client, asked)) = self.asked.get_mut(&id) else { return };
        let (client, progress) = (*client, tend(asked));
        if matches!(progress, Progress::Waiting) {
            return;
        }
        let Some((_, asked)) = self.asked.remove(&id) else { return };
        let question = asked.question;
        match progress {
            Progress::Done(mut reply) => {
                reply[..2].copy_from_slice(&question.id.to_be_bytes());
                match client {
                    Client::Udp(_) if reply.len() > question.limit => {
                        // A server that sends more than was asked for.
                        let cut = question.cut();
                        self.reply(client, &cut);
                    }
                    _ => self.reply(client, &reply),
                }
            }
            _ => self.answer(client, &question, Answer::Failed),
        }
    }

    fn answer(&mut self, client: Client, question: &Question, answer: Answer) {
        let limit = if matches!(client, Client::Tcp(_)) { LARGEST } else { question.limit };
        self.reply(client, &question.answer(answer, limit));
    }

    /// As it is. Whoever does not take it asks again.
    fn reply(&mut self, client: Client, message: &[u8]) {
        match client {
            Client::Udp(address) => drop(self.udp.send_to(message, address)),
            Client::Tcp(id) => {
                let sent = self.connections.get_mut(&id).is_some_and(|connection| connection.framed.send(message));
                if !sent {
                    self.connections.remove(&id);
                }
            }
        }
    }

    /// Servers that do not answer, and connections that nobody uses, or that have said all and been told all.
    fn expire(&mut self) {
        let now = Instant::now();
        let late: Vec<_> =
            self.asked.iter().filter(|(_, (_, asked))| asked.deadline() <= now).map(|(id, _)| *id).collect();
        late.into_iter().for_each(|id| self.tend_asked(id, Asked::ask_next));
        let waits = |id: u64| self.asked.values().any(|(client, _)| matches!(client, Client::Tcp(own) if *own == id));
        self.connections.retain(|id, Connection { framed, used }| {
            *used + IDLE > now && (!framed.has_ended() || framed.has_unsent() || waits(*id))
        });
    }
}
