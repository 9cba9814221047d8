//! As much of HTTP and of WebSocket as the tests speak (RFC 9112, RFC 6455).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use harness::Outcome;

/// What a server answered.
pub struct Answer {
    /// The number of the status line.
    pub status: u16,
    /// The header lines, in small letters.
    pub head: String,
    /// The body.
    pub body: String,
}

/// Sends `METHOD PATH` with these header lines to a port of this machine.
pub fn ask(port: u16, method: &str, path: &str, headers: &[&str], body: &str) -> Outcome<Answer> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    let length = body.len();
    let head = headers.iter().map(|line| format!("{line}\r\n")).collect::<String>();
    write!(stream, "{method} {path} HTTP/1.1\r\n{head}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}")?;
    // Some servers leave the connection open, whatever they are asked: the head says where the body ends.
    let mut bytes = Vec::new();
    let mut buffer = [0; 16 * 1024];
    while !is_whole(&bytes) {
        match stream.read(&mut buffer)? {
            0 => break,
            count => bytes.extend(&buffer[..count]),
        }
    }
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| format!("no answer but {text:?}"))?;
    let status =
        head.split(' ').nth(1).and_then(|word| word.parse().ok()).ok_or_else(|| format!("no status: {head}"))?;
    Ok(Answer { status, head: head.to_lowercase(), body: body.to_owned() })
}

fn is_whole(bytes: &[u8]) -> bool {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return false };
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
    length.is_some_and(|length| bytes.len() >= end + 4 + length)
}

/// An open socket of a page.
pub struct Socket {
    stream: TcpStream,
}

impl Socket {
    /// Opens it, as a page of `origin` would.
    pub fn open(port: u16, path: &str, origin: &str) -> Outcome<Self> {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: {origin}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
        )?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut one = [0];
            stream.read_exact(&mut one)?;
            head.extend(one);
        }
        let head = String::from_utf8_lossy(&head).into_owned();
        if head.starts_with("HTTP/1.1 101") { Ok(Self { stream }) } else { Err(head.into()) }
    }

    /// Sends a text.
    pub fn send(&mut self, text: &str) -> Outcome {
        let mut frame = vec![0x81];
        match u8::try_from(text.len()) {
            Ok(length @ ..126) => frame.push(0x80 | length),
            _ => {
                frame.push(0x80 | 126);
                frame.extend(u16::try_from(text.len())?.to_be_bytes());
            }
        }
        frame.extend([0; 4]); // a mask of zeros leaves the text as it is
        frame.extend(text.bytes());
        Ok(self.stream.write_all(&frame)?)
    }

    /// The next text.
    pub fn next(&mut self) -> Outcome<String> {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head)?;
        let length = match head[1] & 0x7f {
            126 => {
                let mut bytes = [0; 2];
                self.stream.read_exact(&mut bytes)?;
                u16::from_be_bytes(bytes).into()
            }
            127 => {
                let mut bytes = [0; 8];
                self.stream.read_exact(&mut bytes)?;
                usize::try_from(u64::from_be_bytes(bytes))?
            }
            short => short.into(),
        };
        let mut text = vec![0; length];
        self.stream.read_exact(&mut text)?;
        if head[0] & 0x0f == 8 { Err("the server closed the socket".into()) } else { Ok(String::from_utf8(text)?) }
    }

    /// All texts until one begins with `mark`, that one included.
    pub fn until(&mut self, mark: &str) -> Outcome<String> {
        let mut all = String::new();
        loop {
            let text = self.next().map_err(|error| format!("no {mark:?}: {error:?} after {all}"))?;
            all += &text;
            all.push('\n');
            if text.starts_with(mark) {
                return Ok(all);
            }
        }
    }
}
