//! Nothing leaks: an engine that is killed between two kernel calls, and many containers, in a row and at once.
//!
//! `COOPER_LOAD` multiplies: with 8 or more every single call is a place to die, with 25 it is a thousand containers in
//! a row and fifty at once.

use std::collections::{BTreeMap, BTreeSet};

use harness::{Outcome, Run, Sandbox, Suite, step};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

mod common;
use common::{container, inside, ip, layer, leftovers, pid_of, start};

const NEEDS: &[&str] = &["nft", "ip", "busybox", "strace"];

/// The calls that change something, for which a thing waits, or by which others learn of it; reading is none.
const CALLS: &str = "bind,chmod,chown,clone,clone3,fchmod,fchown,flock,kill,listen,mkdir,mkdirat,mount,mount_setattr,\
                     move_mount,open_tree,rename,renameat,renameat2,rmdir,sendmsg,sendto,setns,socket,symlinkat,\
                     umount2,unlink,unlinkat,vfork,wait4,waitid,write,writev";

fn main() {
    Suite::new()
        .root("killed between any two calls: the default network and a port", default_network)
        .needs(NEEDS)
        .root("killed between any two calls: what a neighbour has stays, and nothing more", neighbour)
        .needs(NEEDS)
        .root("killed between any two calls: two networks of one's own", named_networks)
        .needs(NEEDS)
        .root("killed between any two calls: macvlan and vxlan", drivers)
        .needs(NEEDS)
        .root("killed between any two calls: connect and disconnect", connect)
        .needs(NEEDS)
        .root("killed between any two calls: network create, rm and prune", create)
        .needs(NEEDS)
        .root("killed between any two calls: an ordinary user's network", ordinary)
        .needs(&["nft", "ip", "busybox", "strace", "pasta", "userns", "subuid", "tun"])
        .root("containers one after the other", in_a_row)
        .needs(NEEDS)
        .root("containers at once", at_once)
        .needs(NEEDS)
        .run();
}

/// What `COOPER_LOAD` says.
fn load() -> usize {
    std::env::var("COOPER_LOAD").ok().and_then(|text| text.parse().ok()).unwrap_or(1).max(1)
}

/// The same command again and again, killed as it is about to make the first of its calls, the second … the last;
/// `after` looks at what is left each time. How many calls there are.
///
/// Without `COOPER_LOAD` every eighth call only, and by `first` others in each test.
fn walk(first: usize, command: &dyn Fn(&str, &str) -> Outcome<Run>, after: &dyn Fn() -> Outcome) -> Outcome<usize> {
    let directory = tempfile::tempdir()?;
    std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777))?;
    let log = directory.path().join("log");
    command(&log.display().to_string(), "trace=")?.run()?.ok()?;
    after()?;
    // strace counts each call by itself: what is the tenth call of all may be the first mkdir.
    let mut counts = BTreeMap::new();
    let text = std::fs::read_to_string(log)?;
    let names: Vec<_> = text.lines().filter_map(|line| line.split_once('(')).map(|(name, _)| name).collect();
    let points = names.iter().map(|name| {
        let count = counts.entry(*name).or_insert(0);
        *count += 1;
        (*name, *count)
    });
    let stride = 8_usize.div_ceil(load());
    let points: Vec<_> = points.skip(first % stride).step_by(stride).collect();
    let mut killed = 0;
    for (name, number) in &points {
        let done = command("/dev/null", &format!("inject={name}:signal=KILL:when={number}"))?.run()?;
        let told = |why: &str| format!("killed at {name} number {number}: {why}\nit said: {}", done.stderr);
        after().map_err(|error| told(error.message().unwrap_or_default()))?;
        match done.code {
            137 => killed += 1,
            0 => {} // this time there were fewer: others were quicker
            code => Err(told(&format!("neither killed nor well: {code}")))?,
        }
    }
    assert!(killed * 4 >= points.len() * 3, "{killed} of {} were killed", points.len());
    Ok(names.len())
}

/// `step06 …` under strace, which writes its calls into `log`, and with `inject=…` kills it. Its children are not traced.
fn doomed(sandbox: &Sandbox, log: &str, what: &str) -> Outcome<Run> {
    let what = if what == "trace=" { format!("trace={CALLS}") } else { what.to_owned() };
    let options = ["-qq", "-e", "signal=none", "-o", log, "-e", &what, "--"];
    Ok(sandbox.program("strace").args(options).arg(step(6)?))
}

fn doomed_container(sandbox: &Sandbox, options: &str, log: &str, what: &str) -> Outcome<Run> {
    let run = doomed(sandbox, log, what)?.args(["run", "--rm", "--layer", &layer(sandbox)?]);
    Ok(run.args(options.split_whitespace()).args(["--", "true"]))
}

/// The next start finds whatever was left, and removes it.
fn swept(sandbox: &Sandbox) -> Outcome {
    container(sandbox, "--network none", "true")?.run()?.ok()?;
    let left = leftovers(sandbox);
    if !left.is_empty() {
        Err(format!("state is left: {left:?}"))?;
    }
    bare()
}

/// No link, address or rule of ours on this host.
fn bare() -> Outcome {
    let links: Vec<_> = ip("-o link")?
        .lines()
        .filter(|line| !line.contains(" lo:") && !line.contains(" uplink"))
        .map(str::to_owned)
        .collect();
    let rules = inside(common::Place::Host, "nft").args(["list", "tables"]).run()?.ok()?.stdout;
    if links.is_empty() && rules.is_empty() { Ok(()) } else { Err(format!("left: {links:?} {rules}"))? }
}

fn neighbour() -> Outcome {
    let sandbox = Sandbox::new()?;
    let web = start(&sandbox, "web", "-p 8080:80", "")?;
    let look = || {
        sandbox.step(6).args(["network", "ls"]).run()?.ok()?;
        let rules = inside(common::Place::Host, "nft").args(["list", "ruleset"]).run()?.ok()?.stdout;
        let links = ip("-br link")?;
        let links: Vec<_> =
            links.lines().filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect();
        Outcome::Ok((rules, links, leftovers(&sandbox)))
    };
    let before = look()?;
    walk(1, &|log, what| doomed_container(&sandbox, "-p 8081:80", log, what), &|| {
        // What the container has itself goes with its process, a moment later than the engine.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(2);
        loop {
            let now = look()?;
            if now == before {
                return Ok(());
            }
            if std::time::Instant::now() > deadline {
                return Err(format!("before: {before:?}\nafter: {now:?}").into());
            }
        }
    })?;
    web.stop()?;
    swept(&sandbox)
}

fn default_network() -> Outcome {
    let sandbox = Sandbox::new()?;
    let calls =
        walk(0, &|log, what| doomed_container(&sandbox, "-p 8080:80 -p 5353:53/udp", log, what), &|| swept(&sandbox))?;
    assert!(calls > 50, "{calls} calls: strace saw too little");
    Ok(())
}

fn named_networks() -> Outcome {
    let sandbox = Sandbox::new()?;
    for words in ["create --ipv6 --subnet 10.9.0.0/24 blue", "create --internal --subnet 10.8.0.0/24 red"] {
        sandbox.step(6).arg("network").args(words.split(' ')).run()?.ok()?;
    }
    let options = "--network name=blue,alias=b --network red -p 8080:80";
    walk(1, &|log, what| doomed_container(&sandbox, options, log, what), &|| swept(&sandbox)).map(drop)
}

fn drivers() -> Outcome {
    let sandbox = Sandbox::new()?;
    let peers = r#"{"peers":[{"host":"192.0.2.1","containers":[{"name":"far","address":"10.8.0.9"}]}]}"#;
    let peers = sandbox.file("peers.json", peers)?;
    for words in [
        "create -d macvlan --subnet 10.9.0.0/24 -o parent=uplink lan".to_owned(),
        format!("create -d vxlan --subnet 10.8.0.0/24 -o peers={} far", peers.display()),
    ] {
        sandbox.step(6).arg("network").args(words.split(' ')).run()?.ok()?;
    }
    walk(2, &|log, what| doomed_container(&sandbox, "--network far --network lan", log, what), &|| swept(&sandbox))
        .map(drop)
}

fn connect() -> Outcome {
    let sandbox = Sandbox::new()?;
    for (name, subnet) in [("blue", "10.9.0.0/24"), ("red", "10.8.0.0/24")] {
        sandbox.step(6).args(["network", "create", "--subnet", subnet, name]).run()?.ok()?;
    }
    let web = start(&sandbox, "web", "--network blue -p 8080:80", "")?;
    let network = |words: &str| sandbox.step(6).arg("network").args(words.split(' ')).run();
    let doom =
        |words: &str, log: &str, what: &str| Ok(doomed(&sandbox, log, what)?.arg("network").args(words.split(' ')));
    // Whatever came of it, after the next command the container is in the network with all that belongs to it, or not.
    let either = |present: bool| {
        network("ls")?.ok()?;
        let links = inside(web.place(), "ip").args(["-o", "link"]).run()?.ok()?.stdout;
        let inside = network("inspect red")?.ok()?.stdout.contains("\"Name\": \"web\"");
        let wired = links.contains(" eth1@");
        let bridges = ip("-o link show type bridge")?.lines().count();
        if inside != wired || bridges != 1 + usize::from(inside) {
            Err(format!("in the network: {inside}, link there: {wired}, bridges: {bridges}"))?;
        }
        match (inside, present) {
            (true, false) => network("disconnect red web")?.ok().map(drop),
            (false, true) => network("connect red web")?.ok().map(drop),
            _ => Ok(()),
        }
    };
    walk(3, &|log, what| doom("connect --alias w red web", log, what), &|| either(false))?;
    network("connect red web")?.ok()?;
    walk(0, &|log, what| doom("disconnect red web", log, what), &|| either(true))?;
    web.stop()?;
    swept(&sandbox)
}

fn create() -> Outcome {
    let sandbox = Sandbox::new()?;
    let network = |words: &str| sandbox.step(6).arg("network").args(words.split(' ')).run();
    let doom =
        |words: &str, log: &str, what: &str| Ok(doomed(&sandbox, log, what)?.arg("network").args(words.split(' ')));
    // It is there or it is not; half of one would break every later command.
    let there = || network("ls -q --no-trunc --filter name=blue")?.ok().map(|done| !done.stdout.is_empty());
    let without = || if there()? { network("rm blue")?.ok().map(drop) } else { Ok(()) };
    let with = || if there()? { Ok(()) } else { network("create blue")?.ok().map(drop) };
    walk(0, &|log, what| doom("create blue", log, what), &without)?;
    with()?;
    walk(1, &|log, what| doom("rm blue", log, what), &with)?;
    walk(2, &|log, what| doom("prune -f", log, what), &with)?;
    without()?;
    network("ls")?.ok()?;
    let kept = std::fs::read_dir(sandbox.data().join("networks"))?.count();
    assert_eq!(kept, 0, "a file that nobody reads is left");
    Ok(())
}

fn ordinary() -> Outcome {
    let sandbox = Sandbox::ordinary()?;
    sandbox.step(6).args(["network", "create", "--subnet", "10.9.0.0/24", "blue"]).run()?.ok()?;
    walk(5, &|log, what| doomed_container(&sandbox, "--network blue -p 8080:80", log, what), &|| swept(&sandbox))?;
    let web = start(&sandbox, "web", "--network blue", "")?;
    walk(3, &|log, what| doomed_container(&sandbox, "--network blue", log, what), &|| {
        sandbox.step(6).args(["network", "ls"]).run()?.ok()?;
        let left = leftovers(&sandbox)
            .iter()
            .filter(|path| path.parent().is_some_and(|it| it.ends_with("containers")))
            .count();
        if left == 1 { Ok(()) } else { Err(format!("{left} leases, and one container"))? }
    })?;
    web.stop()?;
    swept(&sandbox)
}

fn in_a_row() -> Outcome {
    let sandbox = Sandbox::new()?;
    sandbox.step(6).args(["network", "create", "--subnet", "10.9.0.0/24", "blue"]).run()?.ok()?;
    for number in 0..40 * load() {
        // All the same: what the one before had is free again.
        let options = if number % 2 == 0 { "-p 8080:80" } else { "--network blue -p 8080:80" };
        let done = container(&sandbox, options, "ip -4 address show eth0")?.run()?.ok()?;
        done.stdout_has(if number % 2 == 0 { "10.210.0.2/16" } else { "10.9.0.2/24" })?;
    }
    assert_eq!(leftovers(&sandbox), Vec::<std::path::PathBuf>::new());
    bare()
}

fn at_once() -> Outcome {
    let sandbox = Sandbox::new()?;
    sandbox.step(6).args(["network", "create", "--subnet", "10.9.0.0/24", "blue"]).run()?.ok()?;
    let count = (10 * load()).min(50);
    let script = "ip -4 address show; echo ready; while true; do sleep 1; done";
    let options = |number| format!("--name c{number} --network bridge --network blue -p 80 -p 53/udp");
    let engines: Vec<_> =
        (0..count).map(|number| container(&sandbox, &options(number), script)?.spawn()).collect::<Outcome<_>>()?;
    let mut engines = engines;
    for engine in &mut engines {
        engine.says("ready")?;
    }
    let mut seen = BTreeSet::new();
    for (number, engine) in engines.into_iter().enumerate() {
        kill(Pid::from_raw(pid_of(&sandbox, &format!("c{number}"))?), Signal::SIGKILL)?;
        let done = engine.wait()?;
        let addresses = done.stdout.lines().filter_map(|line| line.trim().strip_prefix("inet ")?.split(' ').next());
        for address in addresses.filter(|address| !address.starts_with("127.")) {
            assert!(seen.insert(address.to_owned()), "{address} twice");
        }
    }
    assert_eq!(seen.len(), 2 * count, "{seen:?}");
    assert_eq!(leftovers(&sandbox), Vec::<std::path::PathBuf>::new());
    bare()
}
