//! Who is who: the maps of a user namespace.
//!
//! `id_maps UID GID PROGRAM…` runs a program in a user namespace of its own, in which you are the user UID with the
//! group GID: `id_maps 0 0 id` shall say that you are root. The child is made and waits; the function [`write_maps`] is
//! to give its namespace a map, and does nothing yet. So everybody in there is `nobody`.
//!
//! Each map is one line of one id: UID inside is your own user id outside, GID inside your own group. Mind three
//! things:
//! - an ordinary user may write the map of groups only after `deny` stands in `/proc/PID/setgroups`;
//! - root may write it without, and should: `deny` is for ever, and programs of root's container may want to call
//!   setgroups(2);
//! - the kernel takes a map in one write(2), and only once.
//!
//! By hand, after `cargo build -p lab03`: `target/debug/id_maps 0 0 sh -c 'id; cat /proc/self/setgroups'`, as you and,
//! if you can be, as root.
//!
//! Read: the book, chapter 3, "user: who is who"; user_namespaces(7).

//@ starter
#![allow(unused, reason = "until the gap is filled")]

//@ solution
//@ end
use std::ffi::OsString;
use std::fs;
use std::process::ExitCode;

use nix::sched::CloneFlags;
use nix::unistd::{getegid, geteuid};
use process::{Child, Container, Error, OrCall, Program, Result, Stage};

/// Writes the maps of the child's user namespace: the ids of the caller are `uid` and `gid` in there.
fn write_maps(child: &Child, uid: u32, gid: u32) -> Result<()> {
    //@ starter
    // `child.proc("uid_map")` is the path of the map of users.
    Ok(())
    //@ solution
    if !geteuid().is_root() {
        put(child, "setgroups", "deny")?;
    }
    put(child, "uid_map", &format!("{uid} {} 1\n", geteuid()))?;
    put(child, "gid_map", &format!("{gid} {} 1\n", getegid()))
    //@ wrong no-deny
    put(child, "uid_map", &format!("{uid} {} 1\n", geteuid()))?;
    put(child, "gid_map", &format!("{gid} {} 1\n", getegid()))
    //@ wrong deny-last
    put(child, "uid_map", &format!("{uid} {} 1\n", geteuid()))?;
    put(child, "gid_map", &format!("{gid} {} 1\n", getegid()))?;
    put(child, "setgroups", "deny")
    //@ wrong deny-always
    put(child, "setgroups", "deny")?;
    put(child, "uid_map", &format!("{uid} {} 1\n", geteuid()))?;
    put(child, "gid_map", &format!("{gid} {} 1\n", getegid()))
    //@ wrong turned-round
    if !geteuid().is_root() {
        put(child, "setgroups", "deny")?;
    }
    put(child, "uid_map", &format!("{} {uid} 1\n", geteuid()))?;
    put(child, "gid_map", &format!("{} {gid} 1\n", getegid()))
    //@ wrong in-pieces
    use std::io::Write;
    if !geteuid().is_root() {
        put(child, "setgroups", "deny")?;
    }
    for (file, inside, outside) in [("uid_map", uid, geteuid().as_raw()), ("gid_map", gid, getegid().as_raw())] {
        let path = child.proc(file);
        let mut map = fs::File::options().write(true).open(&path).or_call("open", path.display())?;
        writeln!(map, "{inside} {outside} 1").or_call("write", path.display())?;
    }
    Ok(())
    //@ end
}
//@ starter
//@ solution

/// Writes `text` into a file of the child's in /proc, in one call.
fn put(child: &Child, file: &str, text: &str) -> Result<()> {
    let path = child.proc(file);
    fs::write(&path, text).or_call("write", format!("{:?} to {}", text.trim_end(), path.display()))
}
//@ end

/// The stage that asks for the namespace, and has its maps written while the child waits.
struct Maps {
    uid: u32,
    gid: u32,
}

impl Stage for Maps {
    fn name(&self) -> &'static str {
        "maps"
    }

    fn namespaces(&self) -> CloneFlags {
        CloneFlags::CLONE_NEWUSER
    }

    fn create_runtime(&mut self, child: &Child) -> Result<()> {
        write_maps(child, self.uid, self.gid)
    }
}

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::from(125)
    })
}

fn run() -> Result<ExitCode> {
    let mut words = std::env::args_os().skip(1);
    let mut id = || words.next()?.to_str()?.parse().ok();
    let (Some(uid), Some(gid)) = (id(), id()) else {
        return Err(Error::invalid("two ids are needed").help("id_maps UID GID PROGRAM ARGUMENTS…"));
    };
    let program = Program::new(words.collect::<Vec<OsString>>(), std::env::vars_os().collect());
    let stages: Vec<Box<dyn Stage>> = vec![Box::new(Maps { uid, gid })];
    Ok(Container::new(program, stages).run()?.exit.into())
}
