//! macvlan and ipvlan: neighbours on a parent's wire. vxlan: one network on two hosts, which are this suite's own and the
//! world outside of it.

use std::time::{Duration, Instant};

use harness::{Background, Outcome, Run, Sandbox, Suite, step};

mod common;
use common::Place::{Host, Outside};
use common::{Place, call, container, inside, ip, layer, leftovers, pid_of, ping, serve, start};

const NEEDS: &[&str] = &["nft", "ip", "perl", "busybox"];

fn main() {
    Suite::new()
        .root("macvlan: the parent's neighbours are the container's", macvlan)
        .needs(NEEDS)
        .root("macvlan: private ones do not see each other", macvlan_private)
        .needs(NEEDS)
        .root("options that make no sense are refused", refused)
        .needs(NEEDS)
        .vm("ipvlan: the parent's neighbours are the container's", ipvlan)
        .needs(NEEDS)
        .vm("a parent is made where there is none, and goes with the last container", parents)
        .needs(NEEDS)
        .root("vxlan: two hosts, who is where stands in a file", vxlan_file)
        .needs(NEEDS)
        .root("vxlan: two hosts, who is where comes by HTTP, and changes", vxlan_http)
        .needs(NEEDS)
        .root("vxlan: a source that says nothing, or nonsense, is no end", vxlan_without)
        .needs(NEEDS)
        .run();
}

/// `step06 network WORDS`
fn network(sandbox: &Sandbox, words: &str) -> Run {
    sandbox.step(6).arg("network").args(words.split_whitespace())
}

/// A part of the uplink's own network.
const UPLINK: &str = "--subnet 192.0.2.0/24 --gateway 192.0.2.1 --aux-address host=192.0.2.2 -o parent=uplink";

fn macvlan() -> Outcome {
    let sandbox = Sandbox::new()?;
    network(&sandbox, &format!("create -d macvlan {UPLINK} lan")).run()?.ok()?;
    on_the_wire(&sandbox)?;
    let web = start(&sandbox, "web", "--network lan --ip 192.0.2.9 --mac-address 02:00:00:00:00:09", "")?;
    let shown = inside(web.place(), "ip").args(["-d", "link", "show", "eth0"]).run()?.ok()?;
    shown.stdout_has("02:00:00:00:00:09")?.stdout_has("macvlan mode bridge")?;
    web.stop()?;
    let done = container(&sandbox, "--network lan -p 8080:80", "true")?.run()?.code(125)?;
    done.stderr_has("--publish with --network lan (macvlan)")?;
    assert_eq!(leftovers(&sandbox), Vec::<std::path::PathBuf>::new());
    Ok(())
}

/// A container of network `lan` calls the world outside and is called by it, with its own address; a sibling, too.
fn on_the_wire(sandbox: &Sandbox) -> Outcome {
    let web = start(sandbox, "web", "--network lan --ip 192.0.2.9", "")?;
    let servers = [serve(web.place(), "tcp", 80, "web")?, serve(Outside, "tcp", 7, "outside")?];
    call(Outside, "tcp", "192.0.2.9", 80)?.ok()?.stdout_has("web 192.0.2.1")?;
    call(web.place(), "tcp", "192.0.2.1", 7)?.ok()?.stdout_has("outside 192.0.2.9")?;
    let done =
        container(sandbox, "--network lan --ip 192.0.2.10", "echo hi | nc 192.0.2.9 80; ip -4 route")?.run()?.ok()?;
    done.stdout_has("web 192.0.2.10")?.stdout_has("default via 192.0.2.1 dev eth0")?;
    drop(servers);
    web.stop()
}

fn macvlan_private() -> Outcome {
    let sandbox = Sandbox::new()?;
    network(&sandbox, &format!("create -d macvlan {UPLINK} -o macvlan_mode=private -o mtu=1400 lan")).run()?.ok()?;
    let web = start(&sandbox, "web", "--network lan --ip 192.0.2.9", "")?;
    let script =
        "ping -c 1 -W 2 192.0.2.1 >/dev/null && ip link show eth0; ping -c 1 -W 1 192.0.2.9 >/dev/null || echo alone";
    let done = container(&sandbox, "--network lan --ip 192.0.2.10", script)?.run()?.ok()?;
    done.stdout_has("mtu 1400")?.stdout_has("alone")?;
    web.stop()
}

fn refused() -> Outcome {
    let sandbox = Sandbox::new()?;
    let table = [
        ("-d macvlan -o parent=nowhere0", "no link nowhere0", "it has"),
        ("-d macvlan -o parent=uplink -o macvlan_mode=loud", "macvlan_mode=loud", "bridge, vepa, private, passthru"),
        ("-d ipvlan -o parent=uplink -o ipvlan_mode=l4", "ipvlan_mode=l4", "l2, l3, l3s"),
        ("-d macvlan -o parnet=uplink", "no option parnet", "parent"),
        ("-d vxlan", "who is where", "peers="),
        ("-d vxlan -o peers=https://a/b", "peers=https://a/b", "http"),
        ("-d vxlan -o peers=/a -o id=16777216", "id=16777216", "16777215"),
    ];
    for (words, what, help) in table {
        let done = network(&sandbox, &format!("create {words} lan")).run()?.fails()?;
        done.stderr_has(what)?.stderr_has(help)?;
    }
    // What is right now may be wrong later.
    ip("link add other0 type veth peer name other1")?;
    network(&sandbox, "create -d macvlan --subnet 10.9.0.0/24 -o parent=other0 lan").run()?.ok()?;
    let done = container(&sandbox, "--network lan", "true")?.run();
    ip("link delete other0")?;
    done?.code(125)?.stderr_has("other0 is switched off")?.stderr_has("ip link set other0 up")?;
    container(&sandbox, "--network lan", "true")?.run()?.code(125)?.stderr_has("no link other0")?;
    assert_eq!(leftovers(&sandbox), Vec::<std::path::PathBuf>::new());
    Ok(())
}

fn ipvlan() -> Outcome {
    let sandbox = Sandbox::new()?;
    network(&sandbox, &format!("create -d ipvlan {UPLINK} lan")).run()?.ok()?;
    on_the_wire(&sandbox)?;
    let done = container(&sandbox, "--network lan --mac-address 02:00:00:00:00:09", "true")?.run()?.fails()?;
    done.stderr_has("all have the parent's")?;
    network(&sandbox, "rm lan").run()?.ok()?;
    // Behind a router nobody answers ARP: who is outside needs a route by way of the parent.
    network(&sandbox, "create -d ipvlan --subnet 10.9.0.0/24 -o parent=uplink -o ipvlan_mode=l3 lan").run()?.ok()?;
    let web = start(&sandbox, "web", "--network lan --ip 10.9.0.9", "")?;
    inside(Outside, "ip").args(["route", "add", "10.9.0.0/24", "via", "192.0.2.2"]).run()?.ok()?;
    let server = serve(web.place(), "tcp", 80, "web")?;
    let called = call(Outside, "tcp", "10.9.0.9", 80);
    drop(server);
    inside(Outside, "ip").args(["route", "del", "10.9.0.0/24"]).run()?.ok()?;
    web.stop()?;
    called?.stdout_has("web 192.0.2.1").map(drop)
}

fn parents() -> Outcome {
    let sandbox = Sandbox::new()?;
    network(&sandbox, "create -d macvlan --subnet 10.9.0.0/24 island").run()?.ok()?;
    let web = start(&sandbox, "web", "--network island", "")?;
    container(&sandbox, "--network island", "ping -c 1 -W 2 10.9.0.2")?.run()?.ok()?;
    web.stop()?;
    network(&sandbox, "create -d macvlan --subnet 10.8.0.0/24 -o parent=uplink.50 fifty").run()?.ok()?;
    let web = start(&sandbox, "web", "--network fifty", "")?;
    inside(Outside, "ip").args("link add link eth0 name fifty type vlan id 50".split(' ')).run()?.ok()?;
    inside(Outside, "ip").args("addr add 10.8.0.99/24 dev fifty".split(' ')).run()?.ok()?;
    inside(Outside, "ip").args("link set fifty up".split(' ')).run()?.ok()?;
    let reached = ping(web.place(), "10.8.0.99");
    inside(Outside, "ip").args("link del fifty".split(' ')).run()?.ok()?;
    web.stop()?;
    reached?.ok()?;
    assert_eq!(leftovers(&sandbox), Vec::<std::path::PathBuf>::new());
    Ok(())
}

/// An engine of one of the two hosts, with directories of its own.
struct Engine {
    place: Place,
    sandbox: Sandbox,
}

impl Engine {
    fn new(place: Place) -> Outcome<Self> {
        Ok(Self { place, sandbox: Sandbox::new()? })
    }

    fn step(&self) -> Outcome<Run> {
        let program = inside(self.place, &step(6)?.display().to_string());
        Ok(program.env("COOPER_DATA", self.sandbox.data()).env("COOPER_RUN", self.sandbox.run_dir()))
    }

    /// The same network on either host; each hands out a part of it.
    fn create(&self, range: &str, peers: &str) -> Outcome {
        let words = format!("network create -d vxlan --subnet 10.9.0.0/24 --ip-range {range} -o peers={peers} blue");
        self.step()?.args(words.split(' ')).run()?.ok()?;
        Ok(())
    }

    fn run(&self, options: &str, script: &str) -> Outcome<Run> {
        let run = self.step()?.args(["run", "--rm", "--layer", &layer(&self.sandbox)?, "--network", "blue"]);
        Ok(run.args(options.split_whitespace()).args(["--", "sh", "-c", script]))
    }

    /// A container that runs until it is dropped, and its network.
    fn start(&self, name: &str, options: &str) -> Outcome<(Background, Place)> {
        let script = "echo ready; while true; do sleep 1; done";
        let mut engine = self.run(&format!("--name {name} {options}"), script)?.spawn()?;
        engine.says("ready")?;
        Ok((engine, Place::Container(pid_of(&self.sandbox, name)?)))
    }

    /// Ends containers; then nothing may be left.
    fn end(self, containers: Vec<(Background, Place)>) -> Outcome {
        for (engine, place) in containers {
            let Place::Container(pid) = place else { continue };
            nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL)?;
            engine.wait()?;
        }
        assert_eq!(leftovers(&self.sandbox), Vec::<std::path::PathBuf>::new());
        let links = inside(self.place, "ip").args(["-o", "link"]).run()?.ok()?.stdout;
        assert!(!links.contains("br-") && !links.contains("vx-") && !links.contains("veth"), "{links}");
        Ok(())
    }
}

/// `web` on this host, `db` on the other one.
const DOCUMENT: &str = r#"{"peers": [
    {"host": "192.0.2.2", "containers": [{"name": "web", "address": "10.9.0.9", "aliases": ["www"]}]},
    {"host": "192.0.2.1", "containers": [{"name": "db", "address": "10.9.0.200", "mac": "02:00:00:00:00:99"}]}]}"#;

/// The same with one container more on the other host.
fn document_with(name: &str, address: &str) -> String {
    let before = r#""db", "address": "10.9.0.200""#;
    DOCUMENT.replace(before, &format!(r#""{name}", "address": "{address}"}}, {{"name": {before}"#))
}

/// Waits until `check` holds, as long as a change of the source may take, and some.
fn eventually(what: &str, mut check: impl FnMut() -> Outcome) -> Outcome {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        match check() {
            Err(error) if Instant::now() > deadline => {
                return Err(format!("{what}: {}", error.message().unwrap_or_default()).into());
            }
            Err(_) => std::thread::sleep(Duration::from_millis(200)),
            Ok(()) => return Ok(()),
        }
    }
}

fn vxlan_file() -> Outcome {
    let (here, there) = (Engine::new(Host)?, Engine::new(Outside)?);
    let peers = here.sandbox.file("peers.json", DOCUMENT)?.display().to_string();
    here.create("10.9.0.0/25", &peers)?;
    // The other one's document may well be another copy.
    let copy = there.sandbox.file("peers.json", DOCUMENT)?.display().to_string();
    // The world outside has no way out, by whose address it would be known.
    there.create("10.9.0.128/25", &format!("{copy} -o local=192.0.2.1"))?;
    let web = here.start("web", "--ip 10.9.0.9")?;
    let db = there.start("db", "--ip 10.9.0.200 --mac-address 02:00:00:00:00:99")?;
    let servers = [serve(web.1, "tcp", 80, "web")?, serve(db.1, "udp", 53, "db")?];
    call(db.1, "tcp", "10.9.0.9", 80)?.ok()?.stdout_has("web 10.9.0.200")?;
    call(web.1, "udp", "10.9.0.200", 53)?.ok()?.stdout_has("db 10.9.0.9")?;
    // By name, and by alias with the network's name behind it.
    let named = document_with("caller", "10.9.0.201");
    write(&here, "peers.json", &named)?;
    eventually("a call by name", || {
        let done = there.run("--ip 10.9.0.201", "ping -c 1 -W 1 www.blue >/dev/null && echo hi | nc web 80")?.run()?;
        done.ok()?.stdout_has("web 10.9.0.201").map(drop)
    })?;
    // The largest packet that the network carries, there and back. One who is not in the document is not answered.
    let sized = |size: &str| inside(db.1, "busybox").args(["ping", "-c", "1", "-W", "2", "-s", size, "10.9.0.9"]).run();
    sized("1422")?.ok()?;
    there.run("--ip 10.9.0.202", "ping -c 1 -W 1 10.9.0.9")?.run()?.code(1)?;
    let out = there.run("", "ip link show eth0; ping -c 1 -W 2 192.0.2.2")?.run()?.ok()?;
    out.stdout_has("mtu 1450")?;
    // The other host's addresses are not handed out.
    let done = there.run("--ip 10.9.0.9", "true")?.run()?.fails()?;
    done.stderr_has("10.9.0.9 is taken")?;
    drop(servers);
    here.end(vec![web])?;
    there.end(vec![db])
}

const SERVE_FILE: &str = r#"
    use IO::Socket::INET; $| = 1;
    $s = IO::Socket::INET->new(LocalPort => $ARGV[0], Listen => 9, ReuseAddr => 1) or die $!;
    print "ready\n";
    while ($c = $s->accept) {
        while (($l = <$c>) =~ /\S/) { print $l if $l =~ /^GET/ }
        open $f, "<", $ARGV[1]; local $/; $b = <$f>; $/ = "\n";
        print $c "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ", length $b, "\r\n\r\n$b"; close $c
    }
"#;

fn vxlan_http() -> Outcome {
    let (here, there) = (Engine::new(Host)?, Engine::new(Outside)?);
    let file = here.sandbox.file("peers.json", DOCUMENT)?;
    let mut store = inside(Outside, "perl").args(["-e", SERVE_FILE, "8500"]).arg(&file).spawn()?;
    store.says("ready")?;
    let peers = "http://192.0.2.1:8500/v1/kv/blue?raw";
    here.create("10.9.0.0/25", peers)?;
    there.create("10.9.0.128/25", &format!("{peers} -o local=192.0.2.1"))?;
    let web = here.start("web", "--ip 10.9.0.9")?;
    let db = there.start("db", "--ip 10.9.0.200 --mac-address 02:00:00:00:00:99")?;
    ping(db.1, "10.9.0.9")?.ok()?;
    // The container gets another address and a neighbour; the old entry goes.
    let more = document_with("more", "10.9.0.201");
    write(&here, "peers.json", &more)?;
    let more = there.start("more", "--ip 10.9.0.201")?;
    eventually("a container that came later", || ping(web.1, "10.9.0.201")?.ok().map(drop))?;
    eventually("by its name", || here.run("", "ping -c 1 -W 1 more")?.run()?.stdout_has("(10.9.0.201)").map(drop))?;
    write(&here, "peers.json", &DOCUMENT.replace("10.9.0.200", "10.9.0.222"))?;
    let link =
        |words: &str| inside(Host, "sh").args(["-c", &format!("{words} dev $(basename /sys/class/net/vx-*)")]).run();
    eventually("a container that left", || {
        let known = link("ip neigh show")?.ok()?.stdout;
        if known.contains("10.9.0.222") && !known.contains("10.9.0.201") { Ok(()) } else { Err(known.into()) }
    })?;
    drop(store);
    here.end(vec![web])?;
    there.end(vec![db, more])
}

/// As everybody should write such a file: whole at any moment.
fn write(engine: &Engine, name: &str, text: &str) -> Outcome {
    let new = engine.sandbox.file(&format!("{name}.new"), text)?;
    Ok(std::fs::rename(&new, engine.sandbox.path().join(name))?)
}

fn vxlan_without() -> Outcome {
    let here = Engine::new(Host)?;
    let file = here.sandbox.path().join("peers.json");
    here.create("10.9.0.0/25", &file.display().to_string())?;
    let web = here.start("web", "--ip 10.9.0.9")?;
    for (text, why) in [
        ("", "EOF"),
        ("[[[", "EOF"),
        (r#"{"peers":[{"host":"192.0.2.1","containers":[{"name":"x","address":"10.8.0.1"}]}]}"#, "not one of"),
    ] {
        write(&here, "peers.json", text)?;
        here.run("", "true")?.run()?.ok()?.stderr_has("warning: ")?.stderr_has(why)?;
    }
    // What holds for the local part holds without any source.
    here.run("", "ping -c 1 -W 2 10.9.0.9")?.run()?.ok()?;
    here.end(vec![web])
}
