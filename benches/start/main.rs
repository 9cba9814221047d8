//! From start to exit of `true`, by the programs of chapters 3, 5, 6 and 7: how far above the floor, how far below others.
//!
//! `cargo bench --bench start [-- ROUNDS]`, as root. The floor makes the same kernel calls and nothing else (floor/). All
//! run the same root, take turns, and are compared by their medians.

mod apart;
mod floor;
mod oci;
#[path = "../podman.rs"]
mod podman;
#[path = "../root.rs"]
mod root;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use harness::bench::{self, Medians, Peer, Spent, race, spend};
use harness::{Background, Outcome, Sandbox, step};

use apart::Apart;
use floor::{Recipe, network};
use oci::Runtime;
use podman::Podman;

const PATIENCE: Duration = Duration::from_secs(10);

/// The word by which this program is executed again, as the floor.
const FLOOR: &str = "floor";

/// What is measured: its name, the chapter, options, where, and the floor that belongs to it.
struct Case {
    name: &'static str,
    chapter: u8,
    options: &'static [&'static str],
    place: Place,
    recipe: &'static str,
}

/// Is another container running in the engine that the case uses?
enum Place {
    Alone,
    Beside,
}

const fn case(
    name: &'static str,
    chapter: u8,
    options: &'static [&'static str],
    place: Place,
    recipe: &'static str,
) -> Case {
    Case { name, chapter, options, place, recipe }
}

const NONE: &[&str] = &["--rm", "--network=none"];

const CASES: [Case; 7] = [
    case("03", 3, &[], Place::Alone, "root"),
    case("05", 5, &["--rm"], Place::Alone, "layers"),
    case("06 --network none", 6, NONE, Place::Alone, "loopback"),
    case("06 beside another", 6, &["--rm"], Place::Beside, "cable"),
    case("06 alone", 6, &["--rm"], Place::Alone, "bridge"),
    case("07 --network none", 7, NONE, Place::Alone, "loopback"),
    case("07 beside another", 7, &["--rm"], Place::Beside, "cable"),
];

fn main() {
    let words: Vec<_> = std::env::args().collect();
    let done = match words.get(1).map(String::as_str) {
        Some(FLOOR) => run_floor(&words[2..]),
        _ => compare(),
    };
    if let Err(failed) = done {
        eprintln!("{}", failed.message().unwrap_or("it failed"));
        std::process::exit(1);
    }
}

/// `floor RECIPE ROOT STATE [FILE …]`
fn run_floor(words: &[String]) -> Outcome {
    let [recipe, root, state, read @ ..] = words else { return Err("floor RECIPE ROOT STATE [FILE …]".into()) };
    let read: Vec<_> = read.iter().map(PathBuf::from).collect();
    Ok(floor::run(recipe, Path::new(root), Path::new(state), &read)?)
}

fn compare() -> Outcome {
    let rounds = bench::rounds(50);
    bench::own_host()?;
    let (alone, beside) = (Sandbox::new()?, Sandbox::new()?);
    let root = root::of_image(&alone)?;
    let apart = Apart::new()?;
    root::of_image(&beside)?;
    let _neighbour = apart.within(|| neighbour(&beside))?;
    network::add_bridge(network::STANDING)?;
    network::nft(&network::rules(network::STANDING))?;

    let floor_state = tempfile::tempdir()?;
    let image = image_files(&alone.data())?;
    let podman = Podman::find(&root);
    let runtimes: Vec<_> = ["crun", "runc"].into_iter().filter_map(|name| Runtime::find(name, &root)).collect();
    let mut peers = Vec::new();
    for case in &CASES {
        let program = step(case.chapter)?;
        let (root, alone, beside, apart) = (&root, &alone, &beside, &apart);
        peers.push(Peer::new(case.name, move || match case.place {
            Place::Alone => run_step(&program, case, alone, root),
            Place::Beside => apart.within(|| run_step(&program, case, beside, root)),
        }));
    }
    for (name, _) in Recipe::ALL {
        let (root, state) = (&root, floor_state.path());
        peers.push(Peer::new(floor_name(name, false), move || spend_floor(name, root, state, &[])));
        let image = &image;
        peers.push(Peer::new(floor_name(name, true), move || spend_floor(name, root, state, image)));
    }
    for runtime in &runtimes {
        peers.push(Peer::new(runtime.name, || runtime.run()));
    }
    for network in ["none", "bridge"] {
        let Some(podman) = &podman else { continue };
        let option = format!("--network={network}");
        let act = move || spend(&mut podman.run(&[&option], &["true"]), podman::PATIENCE);
        peers.push(Peer::new(format!("podman {network}"), act));
    }
    println!("{rounds} rounds; time as a part of the other's: 1.00 is the same, less is faster\n");
    print_table(&race(peers, rounds));
    drop(podman);
    network::nft(&format!("delete table inet {}\n", network::STANDING))?;
    Ok(network::delete_link(network::STANDING)?)
}

fn print_table(medians: &Medians) {
    let show = |name: &str, to: &str| medians.time(name, to).map_or("–".to_owned(), |ratio| format!("{ratio:.2}"));
    println!("{:<20}{:>8}{:>8}{:>8}{:>8}", "step", "floor", "crun", "runc", "podman");
    for case in &CASES {
        let without = ["root", "layers", "loopback"].contains(&case.recipe);
        let podman = if without { "podman none" } else { "podman bridge" };
        let floor = show(case.name, &floor_name(case.recipe, case.chapter == 7));
        let [crun, runc, podman] = ["crun", "runc", podman].map(|peer| show(case.name, peer));
        println!("{:<20}{floor:>8}{crun:>8}{runc:>8}{podman:>8}", case.name);
    }
    println!("\nthe network's part: a container with a network, as a multiple of the same with --network none");
    for (what, with, without) in [
        ("06 beside another", "06 beside another", "06 --network none"),
        ("06 alone", "06 alone", "06 --network none"),
        ("floor beside another", &floor_name("cable", false), &floor_name("loopback", false)),
        ("floor alone", &floor_name("bridge", false), &floor_name("loopback", false)),
        ("podman", "podman bridge", "podman none"),
    ] {
        println!("{what:<20}{:>8}", show(with, without));
    }
}

fn floor_name(recipe: &str, with_image: bool) -> String {
    format!("floor {recipe}{}", if with_image { " of an image" } else { "" })
}

fn run_step(program: &Path, case: &Case, sandbox: &Sandbox, root: &Path) -> Outcome<Spent> {
    let mut command = Command::new(program);
    command.env("COOPER_DATA", sandbox.data()).env("COOPER_RUN", sandbox.run_dir()).arg("run").args(case.options);
    match case.chapter {
        3 => command.arg("--root").arg(root),
        7 => command.arg("host"),
        _ => command.arg("--layer").arg(root),
    };
    spend(command.arg("/bin/true"), PATIENCE)
}

fn spend_floor(recipe: &str, root: &Path, state: &Path, read: &[PathBuf]) -> Outcome<Spent> {
    spend(Command::new(std::env::current_exe()?).args([FLOOR, recipe]).arg(root).arg(state).args(read), PATIENCE)
}

/// A container that runs in this engine until it is dropped.
fn neighbour(sandbox: &Sandbox) -> Outcome<Background> {
    let mut running = sandbox.step(7).args(["run", "--rm", "host", "sh", "-c", "echo runs; sleep 3600"]).spawn()?;
    running.says("runs")?;
    Ok(running)
}

/// What is read of an image that is there: the index, then all that is small among the blobs (manifest and config).
fn image_files(data: &Path) -> Outcome<Vec<PathBuf>> {
    let images = data.join("images");
    let blobs = std::fs::read_dir(images.join("blobs/sha256"))?.flatten();
    let small = blobs.filter(|blob| blob.metadata().is_ok_and(|about| about.len() < 16384)).map(|blob| blob.path());
    Ok(std::iter::once(images.join("index.json")).chain(small).collect())
}
