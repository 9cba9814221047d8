//! `linux.seccomp.listenerPath`: who listens there gets the descriptor and the state, and answers the container's calls.

use std::fs;
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::thread;

use harness::{Outcome, Suite};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use serde_json::{Value, json};

use crate::sys;
use crate::world::{Cooper, Crun, Runc, Who, World};

pub fn add(mut suite: Suite) -> Suite {
    for (who, name) in [
        (Cooper, "a seccomp listener answers the container's calls"),
        (Runc, "runc does the same: a seccomp listener answers the container's calls"),
        (Crun, "crun does the same: a seccomp listener answers the container's calls"),
    ] {
        suite = suite.root(name, move || answers(who)).needs(&["busybox", "unshare", program(who)]);
    }
    suite
        .root("a seccomp listener is told of exec too", joins)
        .needs(&["busybox"])
        .root("no seccomp listener, no container", nobody_listens)
        .needs(&["busybox"])
}

fn program(who: Who) -> &'static str {
    if who == Cooper { "busybox" } else { who.program() }
}

/// A world whose container's mkdir(2) is put to a listener.
fn world() -> Outcome<(World, UnixListener)> {
    let mut world = World::new()?;
    let path = world.sandbox.path().join("agent");
    let listener = UnixListener::bind(&path)?;
    let rule = json!({ "names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY" });
    world.set("/annotations", json!({ "color": "blue" }));
    world.set(
        "/linux/seccomp",
        json!({ "defaultAction": "SCMP_ACT_ALLOW", "listenerPath": path, "listenerMetadata": "for the test",
                "syscalls": [rule] }),
    );
    Ok((world, listener))
}

/// What comes over one connection: the descriptor, and what is said with it.
fn accept(listener: &UnixListener) -> (OwnedFd, Value) {
    let (socket, _) = listener.accept().expect("a call");
    let mut bytes = vec![0; 65536];
    let mut space = nix::cmsg_space!([std::os::fd::RawFd; 1]);
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut space), flags).expect("a message");
    let mut rights = message.cmsgs().expect("whole");
    let Some(ControlMessageOwned::ScmRights(fds)) = rights.next() else { panic!("no descriptor came") };
    let (fd, length) = (sys::own(fds[0]), message.bytes);
    (fd, serde_json::from_slice(&bytes[..length]).expect("JSON"))
}

fn answers(who: Who) -> Outcome {
    let (mut world, listener) = world()?;
    world.set("/process/args", json!(["sh", "-c", "mkdir /tmp/dir 2>&1; touch /tmp/file && ls /tmp"]));
    let agent = thread::spawn(move || {
        let (fd, about) = accept(&listener);
        let caller = sys::refuse_one(&fd, libc::ENOMEDIUM).expect("a notification");
        (about, caller)
    });
    let done = world.run(who)?.code(0)?;
    let (about, caller) = agent.join().map_err(|_| "the agent failed")?;
    assert_eq!(done.stdout.trim(), "mkdir: can't create directory '/tmp/dir': No medium found\nfile");
    assert_eq!(about["fds"], json!(["seccompFd"]));
    assert_eq!(about["metadata"], "for the test");
    assert!(about["pid"].as_u64().is_some_and(|pid| pid > 1), "{about}");
    assert!(caller > 1, "the number of the process that called mkdir, as the agent sees it");
    let state = &about["state"];
    assert_eq!((&state["id"], &state["pid"]), (&json!("case"), &about["pid"]));
    assert_eq!(state["bundle"], json!(world.bundle()));
    assert_eq!(state["status"], "creating");
    assert_eq!(state["annotations"]["color"], "blue");
    Ok(())
}

fn joins() -> Outcome {
    let (mut world, listener) = world()?;
    world.set("/process/args", json!(["sleep", "100"]));
    world.write()?;
    let bundle = world.bundle().to_string_lossy().into_owned();
    let agent = thread::spawn(move || {
        let (first, begun) = accept(&listener);
        let (second, joined) = accept(&listener);
        sys::refuse_one(&second, libc::ENOMEDIUM).expect("a notification");
        drop(first);
        (begun, joined)
    });
    world.command(Cooper, &["create", "--bundle", &bundle, "case"]).run()?.ok()?;
    world.command(Cooper, &["start", "case"]).run()?.ok()?;
    let exec = world.command(Cooper, &["exec", "case", "mkdir", "/tmp/dir"]).run()?.code(1)?;
    exec.stderr_has("No medium found")?;
    world.command(Cooper, &["delete", "--force", "case"]).run()?.ok()?;
    let (begun, joined) = agent.join().map_err(|_| "the agent failed")?;
    assert_eq!(joined["state"]["pid"], begun["pid"], "the container's first process");
    assert_ne!(joined["pid"], begun["pid"], "the process that joined it");
    assert_eq!(joined["state"]["status"], "running");
    Ok(())
}

fn nobody_listens() -> Outcome {
    let (mut world, listener) = world()?;
    world.set("/process/args", json!(["true"]));
    drop(listener);
    let done = world.run(Cooper)?;
    assert_ne!(done.code, 0);
    done.stderr_has("ECONNREFUSED")?.stderr_has("listenerPath")?;
    assert!(fs::read_dir(world.sandbox.path().join("state"))?.next().is_none(), "nothing is left");
    Ok(())
}
