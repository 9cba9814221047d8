//! A hundred containers started at once: how long until the last of them has ended.
//!
//! `cargo bench --bench parallel [-- ROUNDS]`, as root. Each engine is given the same root; the containers run `true`.

#[path = "../podman.rs"]
mod podman;
#[path = "../root.rs"]
mod root;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use harness::bench::{self, Peer, Spent, race, spend_together};
use harness::{Outcome, Sandbox, step};

use podman::Podman;

/// How many at once.
const CONTAINERS: usize = 100;

/// How long all of them may take.
const PATIENCE: Duration = Duration::from_secs(120);

fn main() {
    if let Err(failed) = compare() {
        eprintln!("{}", failed.message().unwrap_or("it failed"));
        std::process::exit(1);
    }
}

fn compare() -> Outcome {
    let rounds = bench::rounds(3);
    bench::own_host()?;
    let sandbox = Sandbox::new()?;
    let root = root::of_image(&sandbox)?;
    let podman = Podman::find(&root);
    let program = step(7)?;
    println!("{CONTAINERS} containers at once, {rounds} rounds; time as a part of the other's\n");
    for network in ["none", "bridge"] {
        let option = format!("--network={network}");
        let (option, program, sandbox) = (&option, &program, &sandbox);
        let mut peers = vec![
            Peer::new("step07", move || together(|_| ours(program, sandbox, option))),
            Peer::new("one by one", move || one_by_one(|| ours(program, sandbox, option))),
        ];
        if let Some(podman) = &podman {
            peers.push(Peer::new("podman", move || together(|_| podman.run(&[option], &["true"]))));
        }
        race(peers, rounds).print(&format!("network {network}"), "step07");
    }
    Ok(())
}

fn ours(program: &Path, sandbox: &Sandbox, network: &str) -> Command {
    let mut command = Command::new(program);
    command.env("COOPER_DATA", sandbox.data()).env("COOPER_RUN", sandbox.run_dir());
    command.args(["run", "--rm", network, "host", "true"]);
    command
}

fn together(command: impl Fn(usize) -> Command) -> Outcome<Spent> {
    spend_together((0..CONTAINERS).map(command), PATIENCE)
}

/// The same work without anything at the same time: what waiting for each other costs, or sharing the processors wins.
fn one_by_one(command: impl Fn() -> Command) -> Outcome<Spent> {
    let each = (0..CONTAINERS).map(|_| bench::spend(&mut command(), PATIENCE));
    Ok(each.collect::<Outcome<Vec<_>>>()?.into_iter().fold(Spent::NONE, Spent::and))
}
