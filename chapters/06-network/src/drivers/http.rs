//! One GET, bounded in time and size: enough for a key-value store next door, and no more.
//!
//! HTTP/1.0 on purpose: the answer then comes in one piece and ends with the connection (RFC 1945). TLS, redirects and
//! proxies come with chapter 7, which depends on this one; who needs them here writes the answer into a file.

use std::io::{Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use process::{Error, Kind, OrCall, Result};

/// `http://HOST[:PORT]/PATH`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Url {
    /// Host and port, as for the `Host` field.
    authority: String,
    path: String,
}

impl Url {
    /// Reads an address.
    ///
    /// # Errors
    /// That it is another kind of address, or holds what would not fit into a request.
    pub fn parse(text: &str) -> Result<Self> {
        let wrong = |why: &str| {
            Error::invalid(format!("address {text}: {why}")).help("for example http://192.0.2.1:8500/v1/kv/blue?raw")
        };
        let rest = text.strip_prefix("http://").ok_or_else(|| wrong("it does not begin with http://"))?;
        if text.bytes().any(|byte| byte <= b' ' || byte >= 0x7f) {
            return Err(wrong("it holds a space or a character that is not ASCII"));
        }
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(at);
        if authority.is_empty() || authority.contains('@') {
            return Err(wrong("it names no host, or has credentials"));
        }
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Self { authority: authority.to_owned(), path })
    }

    /// The body of the answer, at most `limit` bytes of it, all within `time`, name look-up aside.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] if nobody answers in time or the answer is not 200; [`Kind::Corrupt`] if it is too long
    /// or cut short.
    pub fn get(&self, limit: usize, time: Duration) -> Result<Vec<u8>> {
        let deadline = Instant::now() + time;
        let mut stream = self.connect(deadline)?;
        let Self { authority, path } = self;
        let request = format!(
            "GET {path} HTTP/1.0\r\nHost: {authority}\r\nAccept: application/json\r\nUser-Agent: cooper\r\n\r\n"
        );
        stream.set_write_timeout(Some(left(deadline))).or_call("setsockopt", "SO_SNDTIMEO")?;
        stream.write_all(request.as_bytes()).map_err(|error| self.unavailable(&error))?;
        let mut answer = Vec::new();
        let mut part = [0; 16 * 1024];
        loop {
            stream.set_read_timeout(Some(left(deadline))).or_call("setsockopt", "SO_RCVTIMEO")?;
            match stream.read(&mut part) {
                Ok(0) => return self.body(&answer),
                Ok(count) => answer.extend_from_slice(&part[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.unavailable(&error)),
            }
            if answer.len() > limit {
                return Err(Error::new(Kind::Corrupt, format!("GET {self}: the answer is longer than {limit} bytes")));
            }
        }
    }

    fn connect(&self, deadline: Instant) -> Result<TcpStream> {
        let has_port = self.authority.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        let place = if has_port { self.authority.clone() } else { format!("{}:80", self.authority) };
        let mut last = std::io::Error::from(std::io::ErrorKind::NotFound);
        for address in place.to_socket_addrs().map_err(|error| self.unavailable(&error))? {
            match TcpStream::connect_timeout(&address, left(deadline)) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = error,
            }
        }
        Err(self.unavailable(&last))
    }

    fn body(&self, answer: &[u8]) -> Result<Vec<u8>> {
        let corrupt = |why: &str| Error::new(Kind::Corrupt, format!("GET {self}: {why}"));
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").ok_or_else(|| corrupt("no answer of HTTP"))?;
        let head = String::from_utf8_lossy(&answer[..end]);
        let mut lines = head.split("\r\n");
        let status = lines.next().unwrap_or_default();
        if status.split(' ').nth(1) != Some("200") {
            return Err(Error::new(Kind::Unavailable, format!("GET {self}: {}", printable(status))));
        }
        let body = &answer[end + 4..];
        let length = lines.filter_map(|line| line.split_once(':')).find_map(|(name, value)| {
            name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
        });
        match length {
            Some(length) if length != body.len() => Err(corrupt("the answer is cut short")),
            _ => Ok(body.to_vec()),
        }
    }

    fn unavailable(&self, error: &std::io::Error) -> Error {
        Error::new(Kind::Unavailable, format!("GET {self}: {error}"))
    }
}

/// A timeout of nothing would mean none at all.
fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1))
}

/// What others say goes to a terminal: short, and without its commands.
fn printable(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(80).collect()
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "http://{}{}", self.authority, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn addresses() {
        for (text, shown) in [
            ("http://a", "http://a/"),
            ("http://a:1/b?c", "http://a:1/b?c"),
            ("http://[::1]:8/x", "http://[::1]:8/x"),
            ("http://a?raw", "http://a/?raw"),
        ] {
            assert_eq!(Url::parse(text).unwrap().to_string(), shown);
        }
        for wrong in
            ["https://a/", "ftp://a", "http://", "http:///x", "http://u:p@a/", "http://a/\r\nX: y", "http://a/b c"]
        {
            assert!(Url::parse(wrong).unwrap_err().way_out().is_some(), "{wrong}");
        }
    }

    /// What becomes of this answer?
    fn answered(answer: &'static [u8]) -> std::result::Result<String, String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = Url::parse(&format!("http://{}/x", listener.local_addr().unwrap())).unwrap();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 512];
            let _ = stream.read(&mut request);
            let _ = stream.write_all(answer);
            if answer.is_empty() {
                std::thread::sleep(Duration::from_millis(600)); // says nothing
            }
        });
        let body = url.get(100, Duration::from_millis(300));
        server.join().unwrap();
        body.map(|body| String::from_utf8(body).unwrap()).map_err(|error| error.what().to_owned())
    }

    #[test]
    fn answers() {
        assert_eq!(answered(b"HTTP/1.1 200 OK\r\ncontent-LENGTH: 2\r\n\r\n{}").unwrap(), "{}");
        assert_eq!(answered(b"HTTP/1.0 200 OK\r\n\r\n{}").unwrap(), "{}");
        for (answer, why) in [
            (&b"HTTP/1.1 404 Not\x1b Found\r\n\r\n"[..], "404 Not Found"),
            (b"HTTP/1.1 301 Moved\r\nLocation: file:///etc/shadow\r\n\r\n", "301 Moved"),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", "cut short"),
            (b"\r\n\r\n", "GET"),
            (b"garbage", "no answer of HTTP"),
            (&[b'x'; 200], "longer than 100 bytes"),
            (b"", "GET"),
        ] {
            let error = answered(answer).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
