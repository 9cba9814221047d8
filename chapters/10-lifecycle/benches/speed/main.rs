//! How fast the runtime is, and how much memory it takes, as a ratio to its peers in the same run.
//!
//! `cargo bench -p step10 --bench speed [-- ROUNDS]`, as root. Each round has every runtime do the same with the same
//! bundle, in turn, so that whatever else the machine does hits all of them alike. What is told is the ratio of medians:
//! 0.80 means that ours takes 80 % of the peer's time. Peers are those of crun, runc and youki that are installed.

mod bundle;
mod peer;
#[allow(unsafe_code)]
mod sys;

use std::path::Path;
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use bundle::Bundle;
use peer::{Peer, Spent};

type Deed = fn(&Peer, &Bundle) -> Spent;

/// What is measured.
const DEEDS: [(&str, Deed); 4] = [("run", run), ("create+start", create_start), ("exec", exec), ("kill", kill)];

fn main() {
    let rounds = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(100);
    if !nix::unistd::geteuid().is_root() {
        println!("skipped: the peers are compared as root");
        return;
    }
    show_one_hierarchy();
    let ours = Peer::new("cooper-runtime", env!("CARGO_BIN_EXE_cooper-runtime").into());
    let bundle = Bundle::make(&ours);
    let mut peers = vec![ours];
    for name in ["crun", "runc", "youki"] {
        match Peer::find(name, &bundle) {
            Some(peer) => peers.push(peer),
            None => println!("{name}: not here, or it cannot run this bundle on this machine"),
        }
    }
    println!("{rounds} rounds; time and peak memory of the commands themselves, ours as a part of the peer's");
    for (deed, act) in DEEDS {
        let mut spent: Vec<Vec<Spent>> = vec![Vec::new(); peers.len()];
        for round in 0..rounds {
            for turn in 0..peers.len() {
                let who = (round + turn) % peers.len();
                spent[who].push(act(&peers[who], &bundle));
            }
        }
        let medians: Vec<_> = spent.iter_mut().map(|all| median(all)).collect();
        for (peer, theirs) in peers.iter().zip(&medians).skip(1) {
            let time = medians[0].time.as_secs_f64() / theirs.time.as_secs_f64();
            let memory = medians[0].memory as f64 / theirs.memory as f64;
            println!("{deed:<14} to {:<6} time {time:.2}  memory {memory:.2}", peer.name);
        }
    }
}

/// A mount namespace in which the host has cgroup v2 and nothing else: crun and runc take a mixture in different ways.
fn show_one_hierarchy() {
    let place = "/sys/fs/cgroup";
    if Path::new(place).join("cgroup.controllers").exists() {
        return;
    }
    unshare(CloneFlags::CLONE_NEWNS).expect("unshare");
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).expect("mount");
    let _ = std::process::Command::new("umount").args(["--recursive", place]).status();
    mount(Some("none"), place, Some("cgroup2"), MsFlags::empty(), None::<&str>).expect("mount cgroup2");
}

fn median(all: &mut [Spent]) -> Spent {
    let middle = all.len() / 2;
    let time = {
        all.sort_by_key(|spent| spent.time);
        all[middle].time
    };
    let memory = {
        all.sort_by_key(|spent| spent.memory);
        all[middle].memory
    };
    Spent { time, memory }
}

/// From nothing to the end of `true`, and nothing left.
fn run(peer: &Peer, bundle: &Bundle) -> Spent {
    peer.spend(&["run", "--bundle", &bundle.of("true"), "speed"])
}

/// Until the program runs.
fn create_start(peer: &Peer, bundle: &Bundle) -> Spent {
    let create = peer.spend_apart(&["create", "--bundle", &bundle.of("sleep"), "speed"]);
    let start = peer.spend(&["start", "speed"]);
    peer.remove("speed");
    create.and(start)
}

/// One more `true` in a running container.
fn exec(peer: &Peer, bundle: &Bundle) -> Spent {
    peer.begin("speed", &bundle.of("sleep"));
    let spent = peer.spend(&["exec", "speed", "/bin/true"]);
    peer.remove("speed");
    spent
}

/// A signal to a running container.
fn kill(peer: &Peer, bundle: &Bundle) -> Spent {
    peer.begin("speed", &bundle.of("sleep"));
    let spent = peer.spend(&["kill", "speed", "KILL"]);
    std::thread::sleep(Duration::from_millis(2));
    peer.remove("speed");
    spent
}
