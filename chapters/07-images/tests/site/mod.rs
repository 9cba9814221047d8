//! A registry made by hand, which tells whatever lies a test wants told.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// The first byte of whoever speaks TLS (RFC 8446 section 5.1, a handshake).
const TLS: u8 = 22;

/// One answer.
#[derive(Debug, Clone)]
pub struct Route {
    pub status: u16,
    /// The status for HEAD, if it is another.
    pub head: Option<u16>,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// What Content-Length says, if it is to lie.
    pub length: Option<usize>,
    /// The connection breaks after so many bytes of each answer.
    pub cut: Option<usize>,
    /// The connection says nothing any more after so many bytes.
    pub stall: Option<usize>,
    /// So long between two pieces.
    pub pause: Duration,
    /// Is a range served?
    pub ranges: bool,
    /// What the Authorization header must be.
    pub secret: Option<String>,
    /// The body is all that is sent, without status and headers.
    pub raw: bool,
    /// How large a piece is.
    pub piece: usize,
    /// The answer to all that ask later.
    pub then: Option<Box<Route>>,
}

impl Route {
    pub fn new(body: impl Into<Vec<u8>>) -> Self {
        Self {
            status: 200,
            head: None,
            headers: Vec::new(),
            body: body.into(),
            length: None,
            cut: None,
            stall: None,
            pause: Duration::ZERO,
            ranges: false,
            secret: None,
            raw: false,
            piece: 4096,
            then: None,
        }
    }

    /// This answer once, then the other.
    pub fn then(self, next: Route) -> Self {
        Self { then: Some(Box::new(next)), ..self }
    }

    pub fn status(status: u16, body: &str) -> Self {
        Self { status, ..Self::new(body) }
    }

    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

#[derive(Default)]
struct State {
    routes: Mutex<HashMap<String, Route>>,
    log: Mutex<Vec<String>>,
    stop: AtomicBool,
}

/// The server; it ends when it is dropped.
pub struct Site {
    pub address: String,
    state: Arc<State>,
    thread: Option<JoinHandle<()>>,
}

impl Site {
    pub fn start() -> Self {
        Self::at("127.0.0.1")
    }

    /// The same at another address of this machine.
    pub fn at(address: &str) -> Self {
        let listener = TcpListener::bind((address, 0)).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let state = Arc::new(State::default());
        let shared = state.clone();
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if shared.stop.load(Ordering::Relaxed) {
                    return;
                }
                let (stream, shared) = (stream.unwrap(), shared.clone());
                std::thread::spawn(move || {
                    let _ = shared.serve(stream);
                });
            }
        });
        Self { address, state, thread: Some(thread) }
    }

    pub fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    pub fn set(&self, path: &str, route: Route) {
        self.state.routes.lock().unwrap().insert(path.into(), route);
    }

    /// Changes a route that is there.
    pub fn change(&self, path: &str, change: impl FnOnce(&mut Route)) {
        change(self.state.routes.lock().unwrap().get_mut(path).expect("a route to change"));
    }

    /// The requests so far, each with its Authorization header: `GET /v2/… Basic …`.
    pub fn log(&self) -> Vec<String> {
        self.state.log.lock().unwrap().clone()
    }
}

impl Site {
    /// The requests since this was asked last.
    #[allow(dead_code)] // each test file takes its part
    pub fn news(&self) -> Vec<String> {
        std::mem::take(&mut self.state.log.lock().unwrap())
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.state.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(&self.address);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl State {
    fn route(&self, path: &str) -> Option<Route> {
        let mut routes = self.routes.lock().unwrap();
        let route = routes.get(path).cloned();
        if let Some(next) = route.as_ref().and_then(|route| route.then.clone()) {
            routes.insert(path.to_owned(), *next);
        }
        route
    }

    fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut head = Vec::new();
        let mut reader = BufReader::new(stream.try_clone()?);
        if reader.fill_buf()?.first() == Some(&TLS) {
            return stream.write_all(b"HTTP/1.1 400 x\r\n\r\n"); // or both would wait for the other
        }
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 || line == "\r\n" {
                break;
            }
            head.push(line.trim_end().to_owned());
        }
        let field = |name: &str| {
            let found = head.iter().find(|line| line.to_ascii_lowercase().starts_with(&format!("{name}:")));
            found.map(|line| line[name.len() + 1..].trim().to_owned())
        };
        let request = head.first().cloned().unwrap_or_default();
        let path = request.split(' ').nth(1).unwrap_or_default().to_owned();
        let secret = field("authorization").unwrap_or_default();
        let method = request.split(' ').next().unwrap_or_default();
        let mut form = vec![0; field("content-length").and_then(|length| length.parse().ok()).unwrap_or(0)];
        reader.read_exact(&mut form)?;
        let line = format!("{method} {path} {secret}{}", String::from_utf8_lossy(&form));
        self.log.lock().unwrap().push(line.trim_end().to_owned());
        let route = self.route(path.split('?').next().unwrap());
        let mut route =
            route.unwrap_or_else(|| Route::status(404, r#"{"errors":[{"code":"X","message":"unknown here"}]}"#));
        if route.secret.as_ref().is_some_and(|wanted| *wanted != secret) {
            route = Route { status: 401, body: b"{}".to_vec(), ..route };
        }
        let from =
            field("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
        if let Some(status) = route.head.filter(|_| method == "HEAD") {
            route = Route { headers: Vec::new(), ..Route::status(status, "") };
        }
        let mut body = &route.body[..];
        if let Some(from) = from.filter(|_| route.ranges) {
            route.headers.push(("Content-Range".into(), format!("bytes {from}-{}/{}", body.len() - 1, body.len())));
            route.status = 206;
            body = &body[from..];
        }
        if route.raw {
            return stream.write_all(body);
        }
        let length = route.length.unwrap_or(body.len());
        write!(stream, "HTTP/1.1 {} x\r\nContent-Length: {length}\r\nConnection: close\r\n", route.status)?;
        for (name, value) in &route.headers {
            write!(stream, "{name}: {value}\r\n")?;
        }
        stream.write_all(b"\r\n")?;
        if method == "HEAD" {
            return Ok(());
        }
        let end = route.cut.or(route.stall).unwrap_or(body.len()).min(body.len());
        for piece in body[..end].chunks(route.piece) {
            stream.write_all(piece)?;
            std::thread::sleep(route.pause);
        }
        if route.stall.is_some() {
            while !self.stop.load(Ordering::Relaxed) && stream.set_read_timeout(Some(Duration::from_millis(50))).is_ok()
            {
                if stream.read(&mut [0]).is_ok_and(|length| length == 0) {
                    break; // the client has given up
                }
            }
        }
        Ok(())
    }
}
