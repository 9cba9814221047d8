//! A host name of the container's own.
//!
//! `host_name green sh` shall start a shell in which `uname -n` says `green`, while the machine keeps its own name. The
//! stage that should see to that, [`HostName`], does nothing yet. It needs two methods of [`Stage`]: one says which
//! namespace the child is to be made in, the other gives that namespace its name. Think about which of the two sides,
//! parent or child, has to make the call.
//!
//! A name of more than 64 bytes cannot be set. Then the program must not run, and the user must be told.
//!
//! By hand: `cargo build -p lab03`, then `unshare --map-root-user target/debug/host_name green uname -n`.
//!
//! Read: the book, chapter 3, "uts: the host name"; chapter 1, "The seam"; uts_namespaces(7), sethostname(2).

//@ starter
#![allow(unused, reason = "until the gap is filled")]

//@ solution
//@ end
use std::ffi::OsString;
use std::process::ExitCode;

use nix::sched::CloneFlags;
use nix::unistd::sethostname;
use process::{Container, Error, OrCall, Program, Result, Stage};

/// The stage that gives the container a host name.
struct HostName {
    name: String,
}

impl Stage for HostName {
    fn name(&self) -> &'static str {
        "host name"
    }
    //@ starter

    // Two methods are missing here.
    //@ solution

    fn namespaces(&self) -> CloneFlags {
        CloneFlags::CLONE_NEWUTS
    }

    fn create_container(&mut self) -> Result<()> {
        sethostname(&self.name).or_call("sethostname", &self.name)
    }
    //@ wrong no-namespace

    fn create_container(&mut self) -> Result<()> {
        sethostname(&self.name).or_call("sethostname", &self.name)
    }
    //@ wrong in-the-parent

    fn namespaces(&self) -> CloneFlags {
        CloneFlags::CLONE_NEWUTS
    }

    fn create_runtime(&mut self, _child: &process::Child) -> Result<()> {
        sethostname(&self.name).or_call("sethostname", &self.name)
    }
    //@ wrong error-ignored

    fn namespaces(&self) -> CloneFlags {
        CloneFlags::CLONE_NEWUTS
    }

    fn create_container(&mut self) -> Result<()> {
        let _ = sethostname(&self.name);
        Ok(())
    }
    //@ end
}

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::from(125)
    })
}

fn run() -> Result<ExitCode> {
    let mut words = std::env::args_os().skip(1);
    let name = words.next().and_then(|name| name.into_string().ok());
    let name = name.ok_or_else(|| Error::invalid("no name").help("host_name NAME PROGRAM ARGUMENTS…"))?;
    let program = Program::new(words.collect::<Vec<OsString>>(), std::env::vars_os().collect());
    let stages: Vec<Box<dyn Stage>> = vec![Box::new(HostName { name })];
    Ok(Container::new(program, stages).run()?.exit.into())
}
