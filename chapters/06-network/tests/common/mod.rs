//! What the tests of this chapter share: a small root, a server, and someone who calls it.

#![allow(dead_code)] // each test program uses its part

use std::path::PathBuf;
use std::process::Command;

use harness::{Background, Done, Outcome, Run, Sandbox, find_program, outside_command};

/// The programs of the small root.
const PROGRAMS: [&str; 13] =
    ["cat", "echo", "grep", "hostname", "ip", "ls", "nc", "ping", "sh", "sleep", "tail", "touch", "true"];

/// A directory that serves as the root's only layer: busybox under the names of its programs.
pub fn layer(sandbox: &Sandbox) -> Outcome<String> {
    let layer = sandbox.path().join("layer");
    if !layer.exists() {
        sandbox.dir("layer")?;
        let bin = sandbox.dir("layer/bin")?;
        sandbox.dir("layer/tmp")?;
        std::fs::copy(find_program("busybox").ok_or("no busybox")?, bin.join("busybox"))?;
        for program in PROGRAMS {
            std::os::unix::fs::symlink("busybox", bin.join(program))?;
        }
    }
    Ok(layer.display().to_string())
}

/// `step06 run OPTIONS sh -c SCRIPT`, options given as one line.
pub fn container(sandbox: &Sandbox, options: &str, script: &str) -> Outcome<Run> {
    let run = sandbox.step(6).args(["run", "--rm", "--layer", &layer(sandbox)?]);
    Ok(run.args(options.split_whitespace()).args(["--", "sh", "-c", script]))
}

/// A container that runs, and the pid of its first process.
pub struct Running {
    engine: Background,
    pub pid: i32,
}

/// Starts a container called `name` and waits until its script has said `ready`.
pub fn start(sandbox: &Sandbox, name: &str, options: &str, script: &str) -> Outcome<Running> {
    let script = format!("{script}\necho ready; while true; do sleep 1; done");
    let mut engine = container(sandbox, &format!("--name {name} {options}"), &script)?.spawn()?;
    engine.says("ready")?;
    Ok(Running { engine, pid: pid_of(sandbox, name)? })
}

impl Running {
    /// Kills the container; its engine clears away.
    pub fn stop(self) -> Outcome {
        self.engine.signal(nix_signal_kill(self.pid))?;
        self.engine.wait()?;
        Ok(())
    }

    /// Its network.
    pub fn place(&self) -> Place {
        Place::Container(self.pid)
    }

    /// The engine's process id.
    pub fn engine(&self) -> i32 {
        self.engine.pid()
    }
}

/// The first process ignores what it has no handler for, so it is killed itself; its engine gets a harmless signal.
fn nix_signal_kill(pid: i32) -> nix::sys::signal::Signal {
    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
    nix::sys::signal::Signal::SIGCONT
}

/// The first process of container `name`, from the record that the engine keeps.
pub fn pid_of(sandbox: &Sandbox, name: &str) -> Outcome<i32> {
    for entry in std::fs::read_dir(sandbox.run_dir().join("containers"))? {
        let text = std::fs::read_to_string(entry?.path())?;
        if text.lines().any(|line| line == format!("name {name}")) {
            let pid = text.lines().find_map(|line| line.strip_prefix("pid "));
            return Ok(pid.ok_or("no pid in the record")?.parse()?);
        }
    }
    Err(format!("no record of {name}"))?
}

/// The ports of the host that lead to container `name`, from its lease.
pub fn host_ports(sandbox: &Sandbox, name: &str) -> Outcome<Vec<u16>> {
    let wanted = format!("\"name\": \"{name}\",");
    for entry in std::fs::read_dir(sandbox.run_dir().join("network/containers"))? {
        let text = std::fs::read_to_string(entry?.path().join("lease.json"))?;
        if text.lines().any(|line| line.trim() == wanted) {
            let ports = text.lines().filter_map(|line| line.trim().strip_prefix("\"host_port\": "));
            return Ok(ports.filter_map(|port| port.trim_end_matches(',').parse().ok()).collect());
        }
    }
    Err(format!("no lease of {name}"))?
}

/// Where a program of a test runs. The harness joins the host, 192.0.2.2, to the world outside, 192.0.2.1.
#[derive(Debug, Clone, Copy)]
pub enum Place {
    Host,
    Outside,
    /// In the network namespace of this process.
    Container(i32),
}

/// `ip WORDS` on the host.
pub fn ip(words: &str) -> Outcome<String> {
    let output = Command::new("ip").args(words.split_whitespace()).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("ip {words}: {}", String::from_utf8_lossy(&output.stderr)))?
}

/// A program of this machine in that network; as whoever runs the tests, since to enter one takes root.
pub fn inside(place: Place, program: &str) -> Run {
    Run::new(match place {
        Place::Host => Command::new(program),
        Place::Outside => outside_command(program),
        Place::Container(pid) => {
            let mut command = Command::new("nsenter");
            command.arg(format!("--net=/proc/{pid}/ns/net")).args(["--", program]);
            command
        }
    })
}

/// One ping from there, with a second to come back.
pub fn ping(from: Place, address: &str) -> Outcome<Done> {
    let program = if address.contains(':') { "ping6" } else { "ping" };
    inside(from, "busybox").args([program, "-c", "1", "-W", "1", address]).run()
}

// As with HTTP the caller speaks first and hangs up last: the pasta of Debian 12 loses what a server says unasked.
const SERVE_TCP: &str = r#"
    use IO::Socket::IP; $| = 1;
    $s = IO::Socket::IP->new(LocalHost => $ARGV[2], LocalPort => $ARGV[0], Listen => 9, ReuseAddr => 1) or die "$@ $!";
    print "ready\n";
    while ($c = $s->accept) { $l = <$c>; print $c "$ARGV[1] ", $c->peerhost, "\n"; $c->flush; $l = <$c>; close $c }
"#;
const SERVE_UDP: &str = r#"
    use IO::Socket::IP; use Socket; $| = 1;
    $s = IO::Socket::IP->new(LocalHost => $ARGV[2], LocalPort => $ARGV[0], Type => SOCK_DGRAM) or die "$@ $!";
    print "ready\n";
    while ($p = $s->recv($b, 99)) { (undef, $h) = Socket::getnameinfo($p, Socket::NI_NUMERICHOST()); $s->send("$ARGV[1] $h\n", 0, $p) }
"#;
const CALL: &str = r#"
    use IO::Socket::IP; use Socket; alarm 4;
    $t = $ARGV[0] eq "udp" ? SOCK_DGRAM : SOCK_STREAM;
    $s = IO::Socket::IP->new(PeerHost => $ARGV[1], PeerPort => $ARGV[2], Type => $t, Timeout => 2) or die "$@\n";
    if ($ARGV[0] eq "udp") { $s->send("hi"); $s->recv($b, 99); print $b } else { print $s "hi\n"; $s->flush; print scalar <$s> }
"#;

/// A server there that answers `NAME ADDRESS-OF-THE-CALLER`.
pub fn serve(place: Place, protocol: &str, port: u16, name: &str) -> Outcome<Background> {
    serve_at(place, protocol, "0.0.0.0", port, name)
}

/// The same at an address, `::` for IPv6.
pub fn serve_at(place: Place, protocol: &str, address: &str, port: u16, name: &str) -> Outcome<Background> {
    let program = if protocol == "udp" { SERVE_UDP } else { SERVE_TCP };
    let mut server = inside(place, "perl").args(["-e", program, &port.to_string(), name, address]).spawn()?;
    server.says("ready")?;
    Ok(server)
}

/// Calls from there; what was answered.
pub fn call(place: Place, protocol: &str, address: &str, port: u16) -> Outcome<Done> {
    inside(place, "perl").args(["-e", CALL, protocol, address, &port.to_string()]).run()
}

/// What is in the engine's state about networks; empty when nothing is left.
pub fn leftovers(sandbox: &Sandbox) -> Vec<PathBuf> {
    let network = sandbox.run_dir().join("network");
    let list = |dir: PathBuf| std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.path());
    let files = list(network.clone()).filter(|path| !path.ends_with("lock") && !path.ends_with("containers"));
    files.chain(list(network.join("containers"))).collect()
}
