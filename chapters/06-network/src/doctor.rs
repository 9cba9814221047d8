//! What this chapter needs from the machine.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};

use namespaces::find_program;
use nix::sched::{CloneFlags, unshare};
use nix::unistd::geteuid;
use process::OrCall;
use process::doctor::{Check, in_child};

use crate::netlink::{Netlink, VethPeer};
use crate::{carrier, sysctl};

const CHAPTER: u8 = 6;

/// Checks the firewall, links, forwarding and, for an ordinary user, pasta or slirp4netns.
pub fn doctor() -> Vec<Check> {
    let mut checks = vec![nft(), links(), forwarding()];
    checks.extend(foreign_drop());
    checks.push(carriers());
    checks.push(tun());
    checks
}

/// Does nft answer, and does the kernel take rules such as ours? `-c` only checks them.
fn nft() -> Check {
    const WHAT: &str = "nft";
    let rules = "table inet cooper-doctor {
        chain a { type nat hook prerouting priority -100; fib daddr type local tcp dport 1 dnat ip to 192.0.2.1:1; }
        chain b { type nat hook postrouting priority 100; ip saddr 192.0.2.0/24 masquerade; }
    }";
    let Some(nft) = find_program("nft") else {
        return Check::missing(CHAPTER, WHAT, "not installed", "apt-get install nftables");
    };
    if !geteuid().is_root() {
        return Check::works(CHAPTER, WHAT, "installed; an ordinary user's own networks use it");
    }
    match try_rules(&nft, rules) {
        Ok(()) => Check::works(CHAPTER, WHAT, "nat, masquerade and fib rules are accepted"),
        Err(why) => {
            let mend = "modprobe -a nf_tables nft_chain_nat nft_masq nft_fib_inet";
            Check::missing(CHAPTER, WHAT, why, mend)
        }
    }
}

fn try_rules(nft: &Path, rules: &str) -> Result<(), String> {
    let echo = Command::new(nft).args(["-c", "-f", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = echo.map_err(|error| error.to_string())?;
    if let Some(mut stdin) = child.stdin.take() {
        let _ = std::io::Write::write_all(&mut stdin, rules.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| error.to_string())?;
    let said = String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or("refused").to_owned();
    if output.status.success() { Ok(()) } else { Err(said) }
}

/// Can bridges and veth pairs be made? Tried in a network namespace that ends with the attempt.
fn links() -> Check {
    const WHAT: &str = "bridge and veth links";
    // An ordinary user has the right to it in a user namespace.
    let user = if geteuid().is_root() { CloneFlags::empty() } else { CloneFlags::CLONE_NEWUSER };
    let tried = in_child(|| {
        unshare(user | CloneFlags::CLONE_NEWNET).or_call("unshare", "NEWNET")?;
        let mut netlink = Netlink::open()?;
        netlink.add_bridge("bridge", [2, 0, 0, 0, 0, 1], 1500)?;
        let here = File::open("/proc/self/ns/net").or_call("open", "/proc/self/ns/net")?;
        netlink.add_veth("veth", 1500, &VethPeer { name: "peer", netns: here.as_fd(), mac: [2, 0, 0, 0, 0, 2] })
    });
    if tried {
        return Check::works(CHAPTER, WHAT, "both made for a try");
    }
    let mend = if geteuid().is_root() { "modprobe -a bridge veth" } else { "as root: modprobe -a bridge veth" };
    Check::missing(CHAPTER, WHAT, "could not be made in a trial", mend)
}

fn forwarding() -> Check {
    const WHAT: &str = "ip_forward";
    match (sysctl::forwarding(), geteuid().is_root()) {
        (true, _) => Check::works(CHAPTER, WHAT, "on"),
        (false, true) => Check::works(CHAPTER, WHAT, "off; switched on by the first container with a bridge"),
        (false, false) => Check::works(CHAPTER, WHAT, "off; an ordinary user's containers do not need it"),
    }
}

/// A drop in anybody's forward chain beats our accept: nft(8) has every base chain agree.
fn foreign_drop() -> Option<Check> {
    let output = Command::new(find_program("nft")?).args(["list", "chains"]).stderr(Stdio::null()).output().ok()?;
    let table = dropping_table(&String::from_utf8_lossy(&output.stdout))?;
    Some(Check::limited(
        CHAPTER,
        "forwarding by others' rules",
        format!("{table} drops what it does not know"),
        "allow the bridge there, with Docker: iptables -I DOCKER-USER -i cooper0 -j ACCEPT; \
         iptables -I DOCKER-USER -o cooper0 -j ACCEPT; with ufw: ufw route allow in on cooper0",
    ))
}

/// The first table, not ours, whose chain in the forward hook has the policy drop.
fn dropping_table(chains: &str) -> Option<String> {
    let mut table = "";
    for line in chains.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("table ") {
            table = name.trim_end_matches(" {");
        } else if line.contains("hook forward") && line.contains("policy drop") && !table.contains("cooper") {
            return Some(format!("table {table}"));
        }
    }
    None
}

fn carriers() -> Check {
    const WHAT: &str = "pasta or slirp4netns";
    const MEND: &str = "apt-get install passt";
    match (find_program("pasta"), find_program("slirp4netns")) {
        (Some(path), _) => Check::works(CHAPTER, WHAT, path.display().to_string()),
        (None, Some(path)) => {
            let why = format!("{}; pasta is quicker, and shows a container who calls it", path.display());
            Check::limited(CHAPTER, WHAT, why, MEND)
        }
        _ => Check::limited(CHAPTER, WHAT, "neither is installed; an ordinary user's network needs one", MEND),
    }
}

fn tun() -> Check {
    const WHAT: &str = "/dev/net/tun";
    let mode = std::fs::metadata("/dev/net/tun").map(|it| std::os::unix::fs::MetadataExt::mode(&it) & 0o777);
    match (carrier::tun_usable(), mode) {
        // Root can always open it; what counts is whether an ordinary user could.
        (Ok(()), Ok(mode)) if mode & 0o006 != 0o006 && geteuid().is_root() => {
            Check::limited(CHAPTER, WHAT, format!("mode {mode:04o}: for root only"), "chmod 0666 /dev/net/tun")
        }
        (Ok(()), _) => Check::works(CHAPTER, WHAT, "usable"),
        (Err(error), _) => {
            Check::limited(CHAPTER, WHAT, error.what().to_owned(), error.way_out().unwrap_or_default().to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_drop_policy_is_found() {
        let ours = "table inet cooper {\n\tchain forward {\n\t\ttype filter hook forward priority filter; policy drop;\n\t}\n}\n";
        assert_eq!(dropping_table(ours), None);
        let docker = "table ip filter {\n\tchain FORWARD {\n\t\ttype filter hook forward priority filter; policy drop;\n\t}\n}\n";
        assert_eq!(dropping_table(&format!("{ours}{docker}")).as_deref(), Some("table ip filter"));
        let accept = docker.replace("policy drop", "policy accept");
        assert_eq!(dropping_table(&accept), None);
    }
}
