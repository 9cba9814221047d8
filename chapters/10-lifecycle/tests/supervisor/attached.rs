//! Who is attached.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::time::{Duration, Instant};

use harness::{Outcome, Pty, Run};
use lifecycle::state::Status;
use lifecycle::supervisor::control::Request;

use crate::shim::{Shim, own, until};
use crate::stub::Spec;

/// One frame: which stream, and what it says.
fn frame(stream: &mut impl Read) -> Outcome<(u8, String)> {
    let mut header = [0; 8];
    stream.read_exact(&mut header)?;
    let mut text = vec![0; u32::from_be_bytes(header[4..].try_into()?) as usize];
    stream.read_exact(&mut text)?;
    Ok((header[0], String::from_utf8(text)?))
}

/// How many bytes of output come until the end of the stream.
fn count(stream: &mut impl Read) -> Outcome<usize> {
    let (mut all, mut total) = (Vec::new(), 0);
    stream.read_to_end(&mut all)?;
    let mut rest = &all[..];
    while !rest.is_empty() {
        let length = u32::from_be_bytes(rest[4..8].try_into()?) as usize;
        total += length.min(rest.len() - 8);
        rest = &rest[8 + length.min(rest.len() - 8)..];
    }
    Ok(total)
}

pub fn first_byte() -> Outcome {
    let mut shim = Shim::new(&Spec::shell("echo first; echo second >&2"))?;
    let clients = [shim.client()?, shim.client()?];
    let mut streams = [shim.attach(&clients[0], None)?, shim.attach(&clients[1], None)?];
    shim.go()?;
    for (client, stream) in clients.iter().zip(&mut streams) {
        let mut frames = [frame(stream)?, frame(stream)?];
        frames.sort();
        assert_eq!(frames, [(1, "first\n".to_owned()), (2, "second\n".to_owned())]);
        assert_eq!(stream.read(&mut [0])?, 0, "then it ends");
        let answer = client.receive()?.ok_or("no answer")?;
        assert_eq!((answer.op.as_ref(), answer.ok, answer.tty), ("attach", true, Some(false)));
    }
    shim.end()?;
    Ok(())
}

pub fn input() -> Outcome {
    let mut spec = Spec::shell("cat; echo over");
    spec.stdin = true;
    let mut shim = Shim::start(&spec)?;
    let (client, other) = (shim.client()?, shim.client()?);
    let mut watcher = shim.watch(&other)?;
    until("the watcher", || Ok(other.receive()?.is_some()))?;
    let mut stream = shim.attach(&client, None)?;
    stream.write_all(b"hello\n")?;
    assert_eq!(frame(&mut stream)?, (1, "hello\n".into()));
    assert_eq!(frame(&mut watcher)?, (1, "hello\n".into()));
    // Far more than the pipe and both sockets hold, while nothing is read: nothing may be lost, nobody may wait for ever.
    let much = "x".repeat(999) + "\n";
    let mut writer = stream.try_clone()?;
    let text = much.clone();
    let typing = std::thread::spawn(move || {
        (0..3000).try_for_each(|_| writer.write_all(text.as_bytes())).and_then(|()| writer.shutdown(Shutdown::Write))
    });
    drop(watcher);
    assert_eq!(count(&mut stream)?, 3000 * much.len() + "over\n".len());
    typing.join().map_err(|_| "the writer")??;
    assert_eq!(shim.end()?.exit_code, 0);
    Ok(())
}

pub fn slow() -> Outcome {
    let mut shim = Shim::new(&Spec::shell("head -c 5000000 /dev/zero | tr '\\0' '\\n'; sleep 0.5; echo over"))?;
    let client = shim.client()?;
    let stream = shim.attach(&client, Some(300))?;
    shim.go()?;
    shim.end()?;
    assert_eq!(shim.log()?.len(), 5_000_001, "the log has everything");
    assert!(shim.errors()?.contains("a client that did not read was disconnected"));
    let mut stream = stream;
    assert!(count(&mut stream)? < 1_000_000, "the client has what fitted into the socket");
    Ok(())
}

pub fn patient() -> Outcome {
    let mut shim = Shim::new(&Spec::shell("head -c 5000000 /dev/zero | tr '\\0' '\\n'"))?;
    let client = shim.client()?;
    let mut stream = shim.attach(&client, None)?;
    shim.go()?;
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(shim.until(Status::Running)?.exit_code, 0, "it waits");
    assert!(std::fs::metadata(shim.log_path())?.len() < 5_000_000 * 20);
    // It waits without a busy loop, once it has written what it has.
    std::thread::sleep(Duration::from_millis(1500));
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", shim.pid()))?;
    let ticks =
        |stat: &str| stat.split_whitespace().skip(13).take(2).filter_map(|one| one.parse::<u64>().ok()).sum::<u64>();
    std::thread::sleep(Duration::from_millis(500));
    let later = std::fs::read_to_string(format!("/proc/{}/stat", shim.pid()))?;
    assert!(ticks(&later) - ticks(&stat) <= 1, "{stat}{later}");
    assert_eq!(count(&mut stream)?, 5_000_000);
    shim.end()?;
    assert_eq!(shim.log()?.len(), 5_000_000);
    Ok(())
}

pub fn rest() -> Outcome {
    // More than the socket holds, less than socket, chunk and pipe together: the program can end.
    let mut shim = Shim::new(&Spec::shell("head -c 230000 /dev/zero | tr '\\0' x; exit 4"))?;
    let client = shim.client()?;
    let mut stream = shim.attach(&client, None)?;
    shim.go()?;
    assert_eq!(shim.end()?.exit_code, 4, "nobody waits for the reader");
    assert_eq!(count(&mut stream)?, 230_000);
    Ok(())
}

pub fn terminal() -> Outcome {
    let mut spec = Spec::shell("tty -s && echo yes; while read line; do stty size; done; printf bye");
    (spec.tty, spec.stdin) = (true, true);
    let mut shim = Shim::start(&spec)?;
    let client = shim.client()?;
    let mut stream = shim.attach(&client, None)?;
    let mut seen = String::new();
    let mut expect = |stream: &mut std::os::unix::net::UnixStream, wanted: &str| -> Outcome {
        until(wanted, || {
            let mut buffer = [0; 1000];
            let count = stream.read(&mut buffer)?;
            seen.push_str(&String::from_utf8_lossy(&buffer[..count]));
            Ok(seen.contains(wanted))
        })
    };
    assert_eq!(client.receive()?.and_then(|answer| answer.tty), Some(true));
    expect(&mut stream, "yes\r\n")?; // else what is typed is echoed before the program has said a word
    assert!(shim.ask(&Request::Resize { rows: 33, cols: 77 })?.ok);
    stream.write_all(b"x\n")?;
    expect(&mut stream, "33 77\r\n")?;
    stream.shutdown(Shutdown::Write)?; // Ctrl-D
    expect(&mut stream, "bye")?;
    assert_eq!(shim.end()?.exit_code, 0);
    let log = shim.log()?;
    assert_eq!(log.first().map(|entry| entry.log.as_str()), Some("yes\r\n"));
    assert_eq!(log.last().map(|entry| entry.log.as_str()), Some("bye"));
    // What is said right before the end is not lost.
    for _ in 0..20 {
        let mut spec = Spec::shell("printf last");
        spec.tty = true;
        let mut shim = Shim::start(&spec)?;
        shim.end()?;
        assert_eq!(shim.log()?[0].log, "last");
    }
    Ok(())
}

pub fn command() -> Outcome {
    let mut spec = Spec::shell("cat; echo err >&2; exit 9");
    spec.stdin = true;
    let mut shim = Shim::new(&spec)?;
    let mut attach = own(&["attach"])?;
    attach.arg(shim.path());
    let running = Run::new(attach).stdin(vec![b'x'; 300_000]).spawn()?;
    std::thread::sleep(Duration::from_millis(50));
    shim.go()?;
    let done = running.wait()?.code(9)?;
    assert_eq!(done.stdout.len(), 300_000);
    assert_eq!(done.stderr, "err\nExit(9)\n");
    shim.end()?;

    let mut spec = Spec::shell("stty size; while read line; do echo got $line; done");
    (spec.tty, spec.stdin) = (true, true);
    let mut shim = Shim::start(&spec)?;
    for _ in 0..2 {
        let mut attach = own(&["attach"])?;
        attach.arg(shim.path());
        let mut terminal = Pty::spawn(attach)?;
        terminal.send("one\n")?;
        terminal.expect("got one")?;
        terminal.send("\x10")?;
        terminal.send("\x11")?;
        terminal.expect("Detached")?;
        assert_eq!(terminal.wait()?, 100);
    }
    shim.until(Status::Running)?;
    let begin = Instant::now();
    shim.ask(&Request::Stop { signal: Some(9), timeout_ms: None })?;
    assert!(begin.elapsed() < Duration::from_secs(5));
    shim.end()?;
    Ok(())
}
