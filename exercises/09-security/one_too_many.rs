//! A container with one capability too many.
//!
//! This is a small engine for a service that watches the machine. It shares the host's processes, as such services do
//! (`--pid host`), and has an image as its root that holds nothing of the host's `/lab`. Somebody gave it a generous
//! list of capabilities.
//!
//! 1. Break. The file `/lab/work/secret` lies on the host, outside of the container's root. Write the line of shell, in
//!    `ATTACK`, that prints it from inside. What may root do with `/proc/PID/root` of a process that has another root?
//! 2. Close. Shorten `KEEP` to the smallest list with which the service still works. The service writes to a log that
//!    nobody may write to (mode 0444, and it is not going to change that), and has a worker in a root of its own:
//!    `sh -c 'echo line >> /srv/log && chroot /srv/jail /bin/true'`. It sees the host's processes without any capability.
//!
//! `one_too_many attack ROOT` runs your line with the list as it was, `one_too_many serve ROOT COMMAND…` runs a command
//! with yours. The check does both in a room, which is the host then. The parent of your shell is the engine.
//!
//! Read: the book, chapter 9, "One capability too many"; capabilities(7); proc_pid_root(5), ptrace(2) "Ptrace access
//! mode checking".

use std::path::PathBuf;
use std::process::ExitCode;

use namespaces::{BindRoot, Isolation, PivotRoot, SystemMounts};
use nix::sched::CloneFlags;
use process::{Container, OrCall, Program, Result, Stage};
use security::CapSet;
use security::capset::parse;
use security::capset::sys::{ThreadCaps, capset, drop_bounding};

/// What the service was given: part one is done with these.
const OPEN: &[&str] =
    &["CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "NET_BIND_SERVICE", "SETGID", "SETUID", "SYS_CHROOT", "SYS_PTRACE"];

/// Part one: prints the host's /lab/work/secret, from inside.
const ATTACK: &str = "cat /lab/work/secret";

/// Part two: what the service keeps.
const KEEP: &[&str] = OPEN;

fn main() -> Result<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["attack", root] => run(root, &["sh", "-c", ATTACK], OPEN),
        ["serve", root, command @ ..] => run(root, command, KEEP),
        _ => Err(process::Error::invalid("one_too_many attack ROOT | serve ROOT COMMAND…")),
    }
}

/// A container with the host's processes and with these capabilities.
fn run(root: &str, command: &[&str], keep: &[&str]) -> Result<ExitCode> {
    let (root, new) = (PathBuf::from(root), CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWIPC);
    let keep = keep.iter().map(|name| parse(name)).collect::<Result<CapSet>>()?;
    let stages: Vec<Box<dyn Stage>> = vec![
        Box::new(Isolation { flags: new, hostname: String::new(), boot_offset: 0 }),
        Box::new(BindRoot::new(root.clone())),
        Box::new(SystemMounts::new(root.clone(), new)),
        Box::new(PivotRoot::new(root)),
        Box::new(Keep(keep)),
    ];
    let env = vec![("PATH".into(), std::env::var_os("PATH").unwrap_or_default())];
    Ok(Container::new(Program::new(command, env), stages).run()?.exit.into())
}

/// The stage that takes all capabilities but these, from the process and from whatever it executes.
struct Keep(CapSet);

impl Stage for Keep {
    fn name(&self) -> &'static str {
        "capabilities"
    }

    fn start_container(&mut self, _program: &mut Program) -> Result<()> {
        for number in CapSet::of_ours().minus(self.0).numbers() {
            drop_bounding(number).or_call("prctl", CapSet::name(number))?;
        }
        let caps = ThreadCaps { effective: self.0, permitted: self.0, inheritable: CapSet::EMPTY };
        capset(caps).or_call("capset", self.0)
    }
}
