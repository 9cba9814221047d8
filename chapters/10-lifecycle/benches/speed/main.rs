//! How fast the runtime is, and how much memory it takes, as a ratio to its peers in the same run.
//!
//! `cargo bench -p step10 --bench speed [-- ROUNDS]`, as root. Each round has every runtime do the same with the same
//! bundle, in turn ([`harness::bench`]). What is told is the ratio of medians: 0.80 means that ours takes 80 % of the
//! peer's time. Peers are those of crun, runc and youki that are installed.

mod bundle;
mod runtime;

use harness::Outcome;
use harness::bench::{self, Peer, Spent};

use bundle::Bundle;
use runtime::Runtime;

type Deed = fn(&Runtime, &Bundle) -> Outcome<Spent>;

/// What is measured.
const DEEDS: [(&str, Deed); 4] = [("run", run), ("create+start", create_start), ("exec", exec), ("kill", kill)];

fn main() {
    let rounds = bench::rounds(100);
    if let Err(failed) = bench::own_host() {
        println!("skipped: {}", failed.message().unwrap_or_default());
        return;
    }
    let bundle = Bundle::make();
    let ours = Runtime::new("ours", env!("CARGO_BIN_EXE_cooper-runtime").into());
    let others = ["crun", "runc", "youki"].into_iter().filter_map(Runtime::find);
    let runtimes: Vec<_> = std::iter::once(ours).chain(others).collect();
    println!("{rounds} rounds; time and peak memory of the commands themselves, ours as a part of the peer's");
    for (deed, act) in DEEDS {
        let peers = runtimes
            .iter()
            .map(|runtime| Peer::new(runtime.name, || act(runtime, &bundle).inspect_err(|_| runtime.remove("speed"))));
        bench::race(peers.collect(), rounds).print(deed, "ours");
    }
}

/// From nothing to the end of `true`, and nothing left.
fn run(runtime: &Runtime, bundle: &Bundle) -> Outcome<Spent> {
    runtime.spend(&["run", "--bundle", &bundle.of("true"), "speed"])
}

/// Until the program runs.
fn create_start(runtime: &Runtime, bundle: &Bundle) -> Outcome<Spent> {
    let spent = runtime.begin("speed", bundle)?;
    runtime.remove("speed");
    Ok(spent)
}

/// One more `true` in a running container.
fn exec(runtime: &Runtime, bundle: &Bundle) -> Outcome<Spent> {
    runtime.begin("speed", bundle)?;
    let spent = runtime.spend(&["exec", "speed", "/bin/true"])?;
    runtime.remove("speed");
    Ok(spent)
}

/// A signal to a running container.
fn kill(runtime: &Runtime, bundle: &Bundle) -> Outcome<Spent> {
    runtime.begin("speed", bundle)?;
    let spent = runtime.spend(&["kill", "speed", "KILL"])?;
    std::thread::sleep(std::time::Duration::from_millis(2));
    runtime.remove("speed");
    Ok(spent)
}
