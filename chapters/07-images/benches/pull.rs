//! How fast an image comes from a registry, as a ratio to its peers in the same run.
//!
//! `cargo bench -p step07 --bench pull [-- ROUNDS]`, as root. The image is Debian's smallest, made by mmdebstrap on
//! first use; the registry is a real one on loopback. Each round has every peer pull it into an empty store, in turn
//! ([`harness::bench`]). What is told is the ratio of medians: 0.40 means that ours takes 40 % of the peer's time.
//!
//! The stores are removed at the very end. A file system without a journal is slow for half a minute after many files
//! have been removed, to whoever makes files then.

use std::cell::Cell;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use harness::bench::{self, Peer, Spent, spend};
use harness::{Outcome, Registry};

/// How long one pull may take.
const PATIENCE: Duration = Duration::from_secs(120);

fn main() {
    let rounds = bench::rounds(5);
    if let Err(failed) = bench::own_host().and_then(|()| compare(rounds)) {
        println!("skipped: {}", failed.message().unwrap_or_default());
    }
}

fn compare(rounds: usize) -> Outcome {
    let (debian, registry) = (harness::debian_image()?, Registry::start()?);
    let stores = Stores { dir: tempfile::tempdir()?, count: Cell::new(0), image: registry.push(debian, "debian")? };
    println!("{rounds} rounds; time and peak memory of a pull, ours as a part of the peer's");
    let peers = vec![
        Peer::new("ours", || stores.ours()),
        Peer::new("podman", || stores.podman()),
        Peer::new("umoci", || stores.umoci()),
    ];
    bench::race(peers, rounds).print("pull", "ours");
    Ok(())
}

/// Empty stores for everybody.
struct Stores {
    dir: tempfile::TempDir,
    count: Cell<usize>,
    image: String,
}

impl Stores {
    /// A new directory.
    fn fresh(&self) -> Outcome<PathBuf> {
        self.count.set(self.count.get() + 1);
        let path = self.dir.path().join(self.count.get().to_string());
        std::fs::create_dir(&path)?;
        // What the one before has left to write is not this one's work.
        nix::unistd::sync();
        Ok(path)
    }

    fn ours(&self) -> Outcome<Spent> {
        let store = self.fresh()?;
        let mut pull = Command::new(env!("CARGO_BIN_EXE_step07"));
        pull.env("COOPER_DATA", store.join("data")).env("COOPER_RUN", store.join("run"));
        spend(pull.args(["pull", "--quiet", &self.image]), PATIENCE)
    }

    fn podman(&self) -> Outcome<Spent> {
        let store = self.fresh()?;
        let mut podman = Command::new("podman");
        for (option, place) in [("--root", "root"), ("--runroot", "run"), ("--tmpdir", "tmp")] {
            podman.arg(option).arg(store.join(place));
        }
        podman.args(["--events-backend=none", "pull", "--quiet", "--tls-verify=false", &self.image]);
        spend(&mut podman, PATIENCE)
    }

    /// The registry's image as a layout, and the layout's as a directory.
    fn umoci(&self) -> Outcome<Spent> {
        let store = self.fresh()?;
        let layout = format!("{}:image", store.join("layout").display());
        let mut skopeo = Command::new("skopeo");
        skopeo.args(["--insecure-policy", "copy", "--quiet", "--src-tls-verify=false"]);
        skopeo.arg(format!("docker://{}", self.image)).arg(format!("oci:{layout}"));
        let mut umoci = Command::new("umoci");
        umoci.args(["unpack", "--image", &layout]).arg(store.join("bundle"));
        Ok(spend(&mut skopeo, PATIENCE)?.and(spend(&mut umoci, PATIENCE)?))
    }
}
