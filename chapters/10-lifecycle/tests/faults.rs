//! Kill -9 at any moment, of anybody: no orphan, no stuck state, no lost exit code, nothing left. And load.
//!
//! `COOPER_LOAD=5` does five times as much of everything.

use std::fs;
use std::time::{Duration, Instant};

use harness::{Outcome, Sandbox, Suite};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

type Make = fn() -> Outcome<Sandbox>;
type Test = fn(&World) -> Outcome;

fn main() {
    let mut suite = Suite::new();
    for (who, make) in [("root", Sandbox::new as Make), ("ordinary", Sandbox::ordinary as Make)] {
        for (name, test) in TESTS {
            let (name, test) = (format!("{who}: {name}"), move || test(&World { sandbox: make()? }));
            suite = if who == "root" { suite.root(name, test) } else { suite.user(name, test).needs(&["userns"]) };
        }
    }
    suite.run()
}

const TESTS: [(&str, Test); 4] = [
    ("kill -9 of supervisor, program or caller at random moments leaves nothing and loses no exit code", random_kills),
    ("containers start and stop, again and again", starts_and_stops),
    ("many containers run at once, each supervisor a small one", many),
    ("a machine that died: what was running is told as ended", reboot),
];

/// How many times as much as usual.
fn load() -> u32 {
    std::env::var("COOPER_LOAD").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

struct World {
    sandbox: Sandbox,
}

impl World {
    fn ok(&self, args: &[&str]) -> Outcome<String> {
        Ok(self.sandbox.step(10).args(args).timeout(Duration::from_secs(60)).run()?.ok()?.text().to_owned())
    }

    /// Status and exit code, as the next command tells them.
    fn state(&self, name: &str) -> Outcome<(String, i32)> {
        let text = self.ok(&["inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", name])?;
        let (status, code) = text.split_once(' ').ok_or("no state")?;
        Ok((status.to_owned(), code.parse()?))
    }

    fn wait_for(&self, name: &str, wanted: &str) -> Outcome<i32> {
        let deadline = Instant::now() + Duration::from_secs(15);
        loop {
            let (status, code) = self.state(name)?;
            if status == wanted {
                return Ok(code);
            }
            if Instant::now() > deadline {
                return Err(format!("{name} stays {status}, and never is {wanted}").into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// A test that fails leaves nothing running either.
impl Drop for World {
    fn drop(&mut self) {
        let all =
            self.sandbox.step(10).args(["ps", "-aq"]).run().map(|done| done.text().to_owned()).unwrap_or_default();
        if !all.is_empty() {
            let _ = self.sandbox.step(10).args(["rm", "--force"]).args(all.lines()).run();
        }
    }
}

/// A small generator (xorshift), so that a failure can be repeated.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % bound
    }
}

/// The processes whose command line has all of these words.
fn processes(words: &[&str]) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let fits = |pid: &i32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        words.iter().all(|word| line.contains(word))
    };
    pids.filter(fits).map(Pid::from_raw).collect()
}

fn supervisors(id: &str) -> Vec<Pid> {
    processes(&["cooper-supervisor", id])
}

fn random_kills(world: &World) -> Outcome {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..100 * load() {
        let name = format!("victim{round}");
        let program = "sleep 0.15; exit 7";
        let line = ["run", "--network", "none", "--name", &name, "host", "sh", "-c", program];
        let caller = world.sandbox.step(10).args(line).timeout(Duration::from_secs(60)).spawn()?;
        std::thread::sleep(Duration::from_micros(random.below(350_000)));
        let victim = round % 3;
        let id = world.sandbox.step(10).args(["inspect", "--format", "{{.Id}} {{.State.Pid}}", &name]).run()?;
        let (id, pid) =
            id.text().split_once(' ').map(|(id, pid)| (id.to_owned(), pid.parse().unwrap_or(0))).unwrap_or_default();
        match victim {
            0 => caller.signal(Signal::SIGKILL)?,
            1 if !id.is_empty() => {
                supervisors(&id).into_iter().for_each(|pid| kill(pid, Signal::SIGKILL).unwrap_or_default())
            }
            2 if pid > 1 => kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap_or_default(),
            _ => {}
        }
        drop(caller);
        settle(world, &name, victim).map_err(|error| format!("round {round}, victim {victim}: {error:?}"))?;
    }
    Ok(())
}

/// What the next commands find: nothing, or a container that has not begun, or one with a true exit code.
fn settle(world: &World, name: &str, victim: u32) -> Outcome {
    let found = world.sandbox.step(10).args(["inspect", "--format", "{{.State.Status}}", name]).run()?;
    if found.code != 0 {
        return Ok(()); // killed before there was a container
    }
    let deadline = Instant::now() + Duration::from_secs(15);
    let (status, code) = loop {
        let (status, code) = world.state(name)?;
        if matches!(status.as_str(), "exited" | "created") && supervisors(&id_of(world, name)?).is_empty() {
            break (status, code);
        }
        if Instant::now() > deadline {
            return Err(format!("{name} is {status} for ever").into());
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let truth: &[i32] = if status == "created" {
        &[0, 125, 137]
    } else if victim == 0 {
        &[7]
    } else {
        &[7, 137]
    };
    if !truth.contains(&code) {
        return Err(format!("{name} is {status} with exit code {code}").into());
    }
    world.ok(&["rm", name]).map(drop)
}

fn id_of(world: &World, name: &str) -> Outcome<String> {
    world.ok(&["inspect", "--format", "{{.Id}}", name])
}

fn starts_and_stops(world: &World) -> Outcome {
    world.ok(&[
        "create",
        "--network",
        "none",
        "--stop-timeout",
        "1",
        "--name",
        "again",
        "host",
        "sh",
        "-c",
        "trap 'exit 9' TERM; while :; do sleep 0.01; done",
    ])?;
    for _ in 0..40 * load() {
        world.ok(&["start", "again"])?;
        world.ok(&["stop", "again"])?;
        let (status, code) = world.state("again")?;
        assert!(status == "exited" && matches!(code, 9 | 137 | 143), "{status} {code}");
    }
    world.ok(&["rm", "again"]).map(drop)
}

fn many(world: &World) -> Outcome {
    let names: Vec<_> = (0..20 * load()).map(|number| format!("many{number}")).collect();
    for name in &names {
        world.ok(&[
            "run",
            "-d",
            "--network",
            "none",
            "--stop-signal",
            "KILL",
            "--name",
            name,
            "host",
            "sleep",
            "1000",
        ])?;
    }
    assert_eq!(world.ok(&["ps", "-q"])?.lines().count(), names.len());
    // The last of them may still be at its beginning, which is larger.
    let deadline = Instant::now() + Duration::from_secs(20);
    let (mut own, mut resident) = sizes(world, names.len());
    while own >= 3 * 1024 && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(200));
        (own, resident) = sizes(world, names.len());
    }
    println!("{} supervisors, at most {own} KiB of its own, {resident} KiB resident", names.len());
    assert!(own < 3 * 1024, "{own} KiB");
    // A program built for debugging has four times as much text.
    assert!(cfg!(debug_assertions) || resident < 3 * 1024, "{resident} KiB");
    let mut all = vec!["rm", "--force"];
    all.extend(names.iter().map(String::as_str));
    world.ok(&all)?;
    assert_eq!(world.ok(&["ps", "-aq"])?, "");
    Ok(())
}

/// The largest supervisor in KiB: of its own, and with all that is mapped, which counts pages of the program that all
/// supervisors share.
fn sizes(world: &World, count: usize) -> (u64, u64) {
    let mut told = Vec::new();
    for pid in processes(&["cooper-supervisor", "handover.json", &world.sandbox.run_dir().display().to_string()]) {
        let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
        let field = |name: &str| {
            rollup.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse::<u64>().ok())
        };
        let own = field("Private_Clean:").zip(field("Private_Dirty:")).map(|(clean, dirty)| clean + dirty);
        told.extend(own.zip(field("Rss:")));
    }
    assert_eq!(told.len(), count, "each has one supervisor");
    let largest = |size: fn(&(u64, u64)) -> u64| told.iter().map(size).max().unwrap_or_default();
    (largest(|told| told.0), largest(|told| told.1))
}

/// Everything of the container is killed in one moment, and the run directory is empty afterwards: a tmpfs.
fn reboot(world: &World) -> Outcome {
    world.ok(&[
        "run",
        "-d",
        "--network",
        "none",
        "--name",
        "server",
        "--restart",
        "always",
        "host",
        "sleep",
        "1000",
    ])?;
    let id = id_of(world, "server")?;
    supervisors(&id).into_iter().try_for_each(|pid| kill(pid, Signal::SIGKILL))?;
    let deadline = Instant::now() + Duration::from_secs(5);
    while !processes(&["sleep 1000"]).is_empty() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    fs::remove_dir_all(world.sandbox.run_dir())?;
    assert_eq!(world.wait_for("server", "exited")?, 137);
    world.ok(&["start", "server"])?;
    assert_eq!(world.state("server")?.0, "running");
    world.ok(&["rm", "-f", "server"]).map(drop)
}
