//! `__guest`: in the virtual machine, starts sandboxes and hands requests on. The requests are lines of a file that the
//! machine outside writes on, in the directory which both share.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, ExitCode, Stdio};
use std::time::Duration;

use process::OrCall;

use crate::Result;
use crate::run::{Event, Request};

/// Where the directory lies in the guest (tests/vm/run), and the file in it.
pub const SPOOL: &str = "/run/vm/requests";

/// Is this the inside of the virtual machine?
pub fn is_here() -> bool {
    std::path::Path::new("/run/vm/share").exists()
}

/// `__guest`: until it is told to end.
///
/// # Errors
/// The file cannot be read.
pub fn serve(_words: &[String]) -> Result<ExitCode> {
    // What is mounted over it in a sandbox does not concern us: we stay outside.
    Event::Output(String::new()).say();
    let mut spool = loop {
        match File::open(SPOOL) {
            Ok(file) => break file,
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    };
    let mut inner: Option<Child> = None;
    let mut text = Vec::new();
    loop {
        let mut buffer = [0; 8192];
        match spool.read(&mut buffer).or_call("read", SPOOL)? {
            0 => std::thread::sleep(Duration::from_millis(20)),
            count => text.extend(&buffer[..count]),
        }
        while let Some(end) = text.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = text.drain(..=end).collect();
            match serde_json::from_slice::<Request>(&line) {
                Ok(Request::Open { words }) => {
                    close(inner.take());
                    inner = Some(open(&words)?);
                }
                Ok(Request::End) => {
                    close(inner.take());
                    return Ok(ExitCode::SUCCESS);
                }
                _ => pass(inner.as_mut(), &line),
            }
        }
    }
}

fn open(words: &[String]) -> Result<Child> {
    let mut sandbox = super::myself("__sandbox", &words.iter().map(String::as_str).collect::<Vec<_>>());
    sandbox.stdin(Stdio::piped()).spawn().or_call("execve", "__sandbox")
}

fn close(inner: Option<Child>) {
    if let Some(mut child) = inner {
        drop(child.stdin.take());
        let _ = child.wait();
    }
}

fn pass(inner: Option<&mut Child>, line: &[u8]) {
    if let Some(pipe) = inner.and_then(|child| child.stdin.as_mut()) {
        let _ = pipe.write_all(line).and_then(|()| pipe.flush());
    }
}
