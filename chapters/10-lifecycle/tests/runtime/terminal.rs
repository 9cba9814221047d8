//! Terminals: over `--console-socket`, as conmon and containerd take them, and relayed by us.

use std::io::{IoSliceMut, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixListener;

use harness::Outcome;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use serde_json::json;

use crate::world::World;
use crate::{Test, sys};

pub const TESTS: &[(&str, Test)] = &[
    ("a terminal goes to the console socket", console_socket),
    ("exec's terminal goes to the console socket", exec_socket),
    ("without a socket an attached run relays its terminal", relayed),
    ("a terminal that nobody takes is refused", nobody),
];

/// Receives what a runtime sends.
fn receive(listener: &UnixListener) -> Outcome<std::fs::File> {
    let (stream, _) = listener.accept()?;
    let (mut bytes, mut space) = ([0; 4096], nix::cmsg_space!(RawFd));
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let message = recvmsg::<()>(stream.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::empty())?;
    let fd = message.cmsgs()?.find_map(|message| match message {
        ControlMessageOwned::ScmRights(fds) => fds.first().copied(),
        _ => None,
    });
    let fd = fd.ok_or("no descriptor came")?;
    Ok(sys::own(fd).into())
}

fn listen(world: &World) -> Outcome<(UnixListener, String)> {
    let path = world.sandbox.dir("sockets")?.join("console");
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path)?;
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o666))?;
    Ok((listener, path.to_str().ok_or("path")?.to_owned()))
}

/// All that the other end says until it is closed, which a master tells by EIO (pty(7)).
fn read_all(mut master: std::fs::File) -> String {
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    while let Ok(count) = master.read(&mut buffer) {
        if count == 0 {
            break;
        }
        all.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8_lossy(&all).into_owned()
}

fn console_socket(world: &mut World) -> Outcome {
    world.config["process"]["terminal"] = json!(true);
    world.config["process"]["consoleSize"] = json!({ "height": 24, "width": 91 });
    world.write(&["sh", "-c", "test -t 0 && test -t 1 && test -t 2 && stty size; read line; echo got $line"])?;
    let (listener, socket) = listen(world)?;
    world.with_bundle("create", &["--console-socket", &socket, "one"])?.ok()?;
    let mut master = receive(&listener)?;
    world.runtime(&["start", "one"])?.ok()?;
    master.write_all(b"words\n")?;
    let said = read_all(master);
    assert!(said.contains("24 91") && said.contains("got words"), "{said:?}");
    world.wait_for("one", "stopped")
}

fn exec_socket(world: &mut World) -> Outcome {
    world.write(&["sleep", "1000"])?;
    world.with_bundle("run", &["--detach", "one"])?.ok()?;
    let (listener, socket) = listen(world)?;
    let args = ["exec", "--tty", "--detach", "--console-socket", &socket, "one", "sh", "-c", "test -t 0 && echo tty"];
    world.runtime(&args)?.ok()?;
    let said = read_all(receive(&listener)?);
    assert!(said.contains("tty"), "{said:?}");
    Ok(())
}

fn relayed(world: &mut World) -> Outcome {
    world.config["process"]["terminal"] = json!(true);
    world.write(&["sh", "-c", "test -t 0 && test -t 1 && echo yes; read line; echo got $line; exit 4"])?;
    let bundle = world.bundle();
    let done =
        world.command(&["run", "--bundle", bundle.to_str().ok_or("path")?, "one"]).stdin("words\n").run()?.code(4)?;
    assert!(done.stdout.contains("yes") && done.stdout.contains("got words"), "{}", done.stdout);
    Ok(())
}

fn nobody(world: &mut World) -> Outcome {
    world.config["process"]["terminal"] = json!(true);
    world.write(&["true"])?;
    world.with_bundle("create", &["one"])?.code(1)?.stderr_has("--console-socket")?;
    world.with_bundle("run", &["--detach", "one"])?.code(1)?.stderr_has("--console-socket")?;
    world.with_bundle("create", &["--console-socket", "/nope", "one"])?.code(1)?.stderr_has("connect /nope")?;
    assert!(world.left().is_empty());
    Ok(())
}
