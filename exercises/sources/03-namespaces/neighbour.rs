//! A neighbour's key, through one shared namespace.
//!
//! `neighbour run PROGRAM…` is an engine: each of its containers has mounts, a host name, queues and a network of its
//! own. The process numbers are the host's, because somebody wanted to see the processes of all containers with one
//! `ps`. A container beside yours keeps a key in `/run/key`, on a tmpfs that is mounted there and nowhere else.
//!
//! **Break out.** Write [`steal`]. `neighbour steal` runs in a container of this engine, where there is no `/run/key`,
//! and prints what it finds: the neighbour's key. You do not know which process the neighbour is.
//!
//! **Close the way.** Then mend [`recipe`], so that no program in a container gets at a neighbour's files. An honest
//! program shall not notice: it still finds its own processes in `/proc`. (`SystemMounts` furnishes a root that is
//! taken later. These containers keep the host's, so a mount of your own on `/proc` is what is needed.)
//!
//! By hand, after `cargo build -p lab03`: `unshare --map-root-user sh`, and in that shell a neighbour, `unshare --mount
//! sh -c 'mount -t tmpfs k /run; echo mine > /run/key; sleep 300' &`, and then
//! `target/debug/neighbour run target/debug/neighbour steal`.
//!
//! Read: the book, chapter 3, "One namespace left out" and "/proc, /sys and /dev"; proc_pid_root(5), pid_namespaces(7).

//@ starter
#![allow(unused, reason = "until the gap is filled")]

//@ solution
//@ end
use std::ffi::OsString;
use std::fs;
use std::process::ExitCode;

use namespaces::Isolation;
use namespaces::mount::{Mount, NODEV, NOEXEC, NOSUID};
use nix::sched::CloneFlags;
use process::{Container, Error, OrCall, Program, Result, Stage};

/// The namespaces that each container has of its own.
const OWN: CloneFlags = CloneFlags::CLONE_NEWNS
    .union(CloneFlags::CLONE_NEWUTS)
    .union(CloneFlags::CLONE_NEWIPC)
    .union(CloneFlags::CLONE_NEWNET);

/// The content of a neighbour's /run/key, from inside a container.
fn steal() -> Option<String> {
    //@ starter
    None
    //@ solution
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes.into_iter().find_map(|process| fs::read_to_string(process.path().join("root/run/key")).ok())
    //@ wrong at-home
    fs::read_to_string("/run/key").ok()
    //@ wrong only-init
    fs::read_to_string("/proc/1/root/run/key").ok()
    //@ end
}

/// What a container is made of.
fn recipe() -> Vec<Box<dyn Stage>> {
    //@ starter, wrong at-home, wrong only-init
    let flags = OWN;
    vec![Box::new(Isolation { flags, hostname: "cell".into(), boot_offset: 0 })]
    //@ solution, wrong no-proc
    let flags = OWN | CloneFlags::CLONE_NEWPID;
    vec![Box::new(Isolation { flags, hostname: "cell".into(), boot_offset: 0 }), Box::new(Proc)]
    //@ wrong old-proc
    let flags = OWN | CloneFlags::CLONE_NEWPID;
    vec![Box::new(Isolation { flags, hostname: "cell".into(), boot_offset: 0 })]
    //@ end
}
//@ starter, wrong old-proc, wrong at-home, wrong only-init
//@ solution

/// The stage that mounts a /proc which shows the processes of the container's own PID namespace.
struct Proc;

impl Stage for Proc {
    fn name(&self) -> &'static str {
        "proc"
    }

    fn create_container(&mut self) -> Result<()> {
        let place = fs::File::open("/proc").or_call("open", "/proc")?;
        Mount::filesystem("proc", &[], NOSUID | NODEV | NOEXEC)?.attach(place, "/proc")
    }
}
//@ wrong no-proc

/// The stage that takes /proc away.
struct Proc;

impl Stage for Proc {
    fn name(&self) -> &'static str {
        "proc"
    }

    fn create_container(&mut self) -> Result<()> {
        nix::mount::umount2("/proc", nix::mount::MntFlags::MNT_DETACH).or_call("umount2", "/proc")
    }
}
//@ end

fn main() -> ExitCode {
    run().unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::from(125)
    })
}

fn run() -> Result<ExitCode> {
    let mut words = std::env::args_os().skip(1);
    match words.next().as_ref().and_then(|word| word.to_str()) {
        Some("steal") => {
            let key = steal().ok_or_else(|| Error::not_found("no key found"))?;
            println!("{}", key.trim_end());
            Ok(ExitCode::SUCCESS)
        }
        Some("run") => {
            let program = Program::new(words.collect::<Vec<OsString>>(), std::env::vars_os().collect());
            Ok(Container::new(program, recipe()).run()?.exit.into())
        }
        _ => Err(Error::invalid("what shall be done?").help("neighbour run PROGRAM…, or neighbour steal")),
    }
}
