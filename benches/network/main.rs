//! How much goes from one container to another over the bridge, against podman's bridge.
//!
//! `cargo bench --bench network [-- ROUNDS]`, as root. It needs iperf3 (`apt-get install iperf3`), which is copied into
//! the root that both engines are given.

#[path = "../podman.rs"]
mod podman;
#[path = "../root.rs"]
mod root;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use harness::bench::{self, Peer, Spent, race};
use harness::{Background, Outcome, Run, Sandbox, step};

use podman::Podman;

/// The server tells its address, then serves.
const SERVE: &str = "ip -4 -oneline address show dev eth0 && exec iperf3 --server --forceflush";

fn main() {
    if let Err(failed) = compare() {
        eprintln!("{}", failed.message().unwrap_or("it failed"));
        std::process::exit(1);
    }
}

fn compare() -> Outcome {
    let rounds = bench::rounds(5);
    bench::own_host()?;
    let sandbox = Sandbox::new()?;
    let root = root_with_iperf(&sandbox)?;
    let podman = Podman::find(&root);
    let program = step(6)?;
    let ours = |words: &[&str]| ours(&program, &sandbox, &root, words);

    let (_server, address) = serve(ours(&["sh", "-c", SERVE]))?;
    let theirs = podman.as_ref().map(|podman| serve(podman.run(&["--network=bridge"], &["sh", "-c", SERVE])));
    let theirs = theirs.transpose()?;
    let mut peers = vec![Peer::new("step06", || measure(ours(&client(&address))))];
    if let (Some(podman), Some((_, address))) = (&podman, &theirs) {
        peers.push(Peer::new("podman", || measure(podman.run(&["--network=bridge"], &client(address)))));
    }
    let medians = race(peers, rounds);
    println!("{rounds} rounds of two seconds; more than 1 is faster\n");
    // A race is about time, here that of a gigabit: the other way round it is throughput.
    match medians.time("podman", "step06") {
        Some(ratio) => println!("throughput between two containers, step06 to podman: {ratio:.2}"),
        None => println!("nothing to compare with"),
    }
    Ok(())
}

fn ours(program: &Path, sandbox: &Sandbox, root: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.env("COOPER_DATA", sandbox.data()).env("COOPER_RUN", sandbox.run_dir());
    command.args(["run", "--rm", "--layer"]).arg(root).args(words);
    command
}

fn client(address: &str) -> [&str; 6] {
    ["iperf3", "--json", "--time", "2", "--client", address]
}

/// Starts a server; it ends when what is given back is dropped.
fn serve(command: Command) -> Outcome<(Background, String)> {
    let mut server = Run::new(command).spawn()?;
    server.says("Server listening")?;
    let (said, _) = server.output();
    let address = said.split_whitespace().skip_while(|word| *word != "inet").nth(1).unwrap_or_default();
    let address = address.split('/').next().unwrap_or_default().to_owned();
    Ok((server, address))
}

/// The time that a gigabit takes.
fn measure(command: Command) -> Outcome<Spent> {
    let done = Run::new(command).run()?.ok()?;
    let report: serde_json::Value = serde_json::from_str(&done.stdout)?;
    let rate = report["end"]["sum_received"]["bits_per_second"].as_f64().filter(|rate| *rate > 0.0);
    Ok(Spent { time: Duration::from_secs_f64(1e9 / rate.ok_or("iperf3 tells no rate")?), memory: 1 })
}

/// The root of the image `host`, and iperf3 with the libraries that it needs (ldd(1)).
fn root_with_iperf(sandbox: &Sandbox) -> Outcome<PathBuf> {
    let iperf = harness::find_program("iperf3").ok_or("iperf3 is needed: apt-get install iperf3")?;
    let root = sandbox.dir("root")?;
    let copy = |from: &Path, to: &Path| Run::new(Command::new("cp")).args(["-aL"]).arg(from).arg(to).run()?.ok();
    let image = root::of_image(sandbox)?;
    Run::new(Command::new("cp")).args(["-a", "--"]).arg(image.join(".")).arg(&root).run()?.ok()?;
    copy(&iperf, &root.join("usr/bin/iperf3"))?;
    let needed = Run::new(Command::new("ldd")).arg(&iperf).run()?.ok()?;
    for library in needed.stdout.split_whitespace().filter(|word| word.starts_with('/')) {
        let place = root.join(library.trim_start_matches('/'));
        if let Some(directory) = place.parent().filter(|_| !place.exists()) {
            std::fs::create_dir_all(directory)?;
            copy(Path::new(library), &place)?;
        }
    }
    Ok(root)
}
