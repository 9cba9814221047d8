//! Messages over TCP: each after its length, in two bytes (RFC 1035, 4.2.2; RFC 7766).

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};

/// The most that waits to be sent, in bytes: who asks and does not read is not served for ever.
const MOST: usize = 256 * 1024;

/// A connection that never blocks.
#[derive(Debug)]
pub struct Framed {
    stream: TcpStream,
    received: Vec<u8>,
    unsent: Vec<u8>,
    ended: bool,
}

impl Framed {
    /// `stream` must be non-blocking.
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, received: Vec::new(), unsent: Vec::new(), ended: false }
    }

    /// Sends a message, as far as that goes now. False: the connection is of no more use.
    pub fn send(&mut self, message: &[u8]) -> bool {
        let Ok(length) = u16::try_from(message.len()) else { return false };
        self.unsent.extend(length.to_be_bytes());
        self.unsent.extend(message);
        self.unsent.len() <= MOST && self.flush()
    }

    /// Is something waiting to be sent?
    pub fn has_unsent(&self) -> bool {
        !self.unsent.is_empty()
    }

    /// Sends what waits, as far as that goes now. False: the connection is of no more use.
    pub fn flush(&mut self) -> bool {
        while !self.unsent.is_empty() {
            match self.stream.write(&self.unsent) {
                Ok(0) => return false,
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Not connected yet: poll(2) says when.
                Err(error) => return matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::NotConnected),
            }
        }
        true
    }

    /// Has the other side said all that it will say? It may still listen (shutdown(2), `SHUT_WR`).
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// The next message, if it is whole. An error: the connection is of no more use.
    pub fn receive(&mut self) -> Result<Option<Vec<u8>>, Closed> {
        loop {
            if let Some(length) = self.received.first_chunk::<2>() {
                let end = 2 + usize::from(u16::from_be_bytes(*length));
                if self.received.len() >= end {
                    let message = self.received[2..end].to_vec();
                    self.received.drain(..end);
                    return Ok(Some(message));
                }
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer) {
                Ok(0) => {
                    self.ended = true;
                    return Ok(None);
                }
                Ok(count) => self.received.extend(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(_) => return Err(Closed),
            }
        }
    }
}

impl AsFd for Framed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// The connection is broken.
#[derive(Debug, PartialEq, Eq)]
pub struct Closed;

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn messages_in_pieces() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let server = listener.accept().unwrap().0;
        server.set_nonblocking(true).unwrap();
        let mut server = Framed::new(server);
        assert_eq!(server.receive(), Ok(None));
        client.write_all(&[0, 3, 1, 2]).unwrap();
        assert_eq!(server.receive(), Ok(None));
        client.write_all(&[3, 0, 0, 0, 1, 9]).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        assert_eq!(server.receive(), Ok(Some(vec![1, 2, 3])));
        assert_eq!(server.receive(), Ok(Some(vec![])));
        assert_eq!(server.receive(), Ok(Some(vec![9])));
        assert!(server.send(&[7; 300]) && !server.has_unsent());
        let mut answer = [0; 302];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(answer[..3], [1, 44, 7]);
        client.write_all(&[0, 1, 5, 0]).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(20));
        assert_eq!((server.receive(), server.has_ended()), (Ok(Some(vec![5])), false));
        assert_eq!((server.receive(), server.has_ended()), (Ok(None), true));
        assert!(server.send(&[6]), "it may still listen");
        client.read_exact(&mut answer[..3]).unwrap();
        assert_eq!(answer[..3], [0, 1, 6]);
    }
}
