//! The firewall: one nft table of our own, rendered whole from who runs, replaced in one transaction.
//!
//! No rule is ever added or removed by itself, so the rules cannot drift from the leases, and after a
//! crash the next rendering is right again. Chains of others are never touched (nft(8)).

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::{Command, Stdio};

use namespaces::find_program;
use process::{Error, Kind, OrCall, Result, explain};

use crate::{Lease, Network};

/// The script that replaces table `table` by the rules for `networks` and the ports of `leases`.
pub fn render(table: &str, networks: &[Network], leases: &[Lease]) -> String {
    let mut script = remove_script(table);
    let _ = writeln!(script, "table inet {table} {{");
    for chain in [published(networks, leases), masquerade(networks), forward(networks), guard(networks)] {
        script.push_str(&chain);
    }
    script.push_str("}\n");
    script
}

/// Names the table first, so that deleting it is no error where there is none.
fn remove_script(table: &str) -> String {
    format!("table inet {table}\ndelete table inet {table}\n")
}

/// Where published ports lead to.
fn published(networks: &[Network], leases: &[Lease]) -> String {
    let mut rules = String::new();
    for lease in leases.iter().filter(|lease| networks.iter().any(|network| network.name == lease.network)) {
        let Some(address) = lease.address else { continue };
        for port in &lease.ports {
            let to = if port.host_ip.is_unspecified() { String::new() } else { format!("ip daddr {} ", port.host_ip) };
            let (protocol, from, to_port) = (port.protocol, port.host_port, port.container_port);
            let comment: String = lease.container.chars().take(12).collect();
            let _ =
                writeln!(rules, "\t\t{to}{protocol} dport {from} dnat ip to {address}:{to_port} comment \"{comment}\"");
        }
    }
    format!(
        "\t# Ports that containers publish.
\tchain published {{
{rules}\t}}
\t# Calls that come in from elsewhere to an address of this host …
\tchain prerouting {{
\t\ttype nat hook prerouting priority -100; policy accept;
\t\tmeta nfproto ipv4 fib daddr type local jump published
\t}}
\t# … and those that this host makes itself, also to 127.0.0.1.
\tchain output {{
\t\ttype nat hook output priority -100; policy accept;
\t\tmeta nfproto ipv4 fib daddr type local jump published
\t}}
"
    )
}

/// Whose address a packet leaves with.
fn masquerade(networks: &[Network]) -> String {
    let mut rules = String::new();
    for Network { bridge, subnet, .. } in networks {
        let _ = write!(
            rules,
            "\t\t# out of {subnet}: with this host's address
\t\tip saddr {subnet} oifname != \"{bridge}\" masquerade
\t\t# from this host's loopback to a published port: the container could not answer 127.0.0.1
\t\tip saddr 127.0.0.0/8 oifname \"{bridge}\" masquerade
\t\t# from a container to a published port of itself or a neighbour: the answer must come back by here
\t\tip saddr {subnet} ip daddr {subnet} ct status dnat masquerade
"
        );
    }
    format!(
        "\tchain postrouting {{
\t\ttype nat hook postrouting priority 100; policy accept;
{rules}\t}}
"
    )
}

/// Who may call whom: neighbours each other, everybody a published port, other networks nobody. The
/// policy stays accept: what does not go to our bridges is not our business.
fn forward(networks: &[Network]) -> String {
    let mut rules = String::new();
    for Network { bridge, .. } in networks {
        let _ = write!(
            rules,
            "\t\tiifname \"{bridge}\" oifname \"{bridge}\" accept
\t\toifname \"{bridge}\" ct state established,related accept
\t\toifname \"{bridge}\" ct status dnat accept
\t\toifname \"{bridge}\" drop comment \"not published\"
"
        );
    }
    format!(
        "\tchain forward {{
\t\ttype filter hook forward priority 0; policy accept;
{rules}\t}}
"
    )
}

/// `route_localnet` lets the bridge carry 127.0.0.0/8 for our own sake; nobody on it may use that.
fn guard(networks: &[Network]) -> String {
    let mut rules = String::new();
    for Network { bridge, .. } in networks {
        let _ = write!(
            rules,
            "\t\tiifname \"{bridge}\" ip daddr 127.0.0.0/8 drop
\t\tiifname \"{bridge}\" ip saddr 127.0.0.0/8 drop
"
        );
    }
    format!(
        "\tchain guard {{
\t\ttype filter hook prerouting priority -300; policy accept;
{rules}\t}}
"
    )
}

/// Replaces the table by what `script` says, all of it or nothing.
///
/// # Errors
/// [`Kind::Unsupported`] without the program nft; what nft says otherwise, for example `EPERM`.
pub fn apply(table: &str, script: &str) -> Result<()> {
    run(script)?;
    explain!(6, "the rules as a whole, in one transaction", "nft -f - < table inet {table}");
    Ok(())
}

/// Removes the table, if it is there.
///
/// # Errors
/// As [`apply`]. Without nft there is no table, and nothing to do.
pub fn remove(table: &str) -> Result<()> {
    match run(&remove_script(table)) {
        Err(error) if error.kind() == Kind::Unsupported => Ok(()),
        Ok(()) => {
            explain!(6, "no rule of ours is left", "nft delete table inet {table}");
            Ok(())
        }
        refused => refused,
    }
}

fn run(script: &str) -> Result<()> {
    // Looked for where the system keeps it: after `su` root's PATH may lack /usr/sbin.
    let program = find_program("nft").ok_or_else(missing)?;
    let mut child = Command::new(program)
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .or_call("exec", "nft")?;
    if let Some(mut stdin) = child.stdin.take() {
        // Whether all of it was read shows in nft's exit status.
        let _ = stdin.write_all(script.as_bytes());
    }
    let output = child.wait_with_output().or_call("wait", "nft")?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let line = said.lines().find(|line| line.contains("Error")).or(said.lines().next()).unwrap_or("no reason given");
    Err(Error::new(Kind::Unavailable, format!("nft -f -: {}", line.trim()))
        .help("the kernel needs nf_tables with nat, masquerade and fib (modprobe nft_masq nft_fib_inet); `doctor` checks them"))
}

fn missing() -> Error {
    Error::unsupported("the program nft is not installed")
        .help("apt install nftables, or run with --network none or host")
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::{Names, Port, Protocol};

    fn network() -> Network {
        let names = Names { bridge: "cooper0".into(), table: "cooper".into() };
        Network::default_on("10.210.0.0/16".parse().unwrap(), &names)
    }

    fn port(protocol: Protocol, ip: [u8; 4], host_port: u16, container_port: u16) -> Port {
        Port { protocol, host_ip: Ipv4Addr::from(ip), host_port, container_port }
    }

    fn lease(id: &str, last: u8, ports: Vec<Port>) -> Lease {
        Lease { address: Some(Ipv4Addr::new(10, 210, 0, last)), ports, ..Lease::new(id, "host", "bridge") }
    }

    #[test]
    fn no_ports() {
        insta::assert_snapshot!(render("cooper", &[network()], &[lease("4f2a", 2, vec![])]));
    }

    #[test]
    fn ports_of_two_containers() {
        let web = vec![port(Protocol::Tcp, [0; 4], 8080, 80), port(Protocol::Tcp, [127, 0, 0, 1], 8443, 443)];
        let names = vec![port(Protocol::Udp, [0; 4], 53, 5353)];
        let leases = [lease("0123456789abcdef", 2, web), lease("fedcba9876543210", 3, names)];
        insta::assert_snapshot!(render("cooper", &[network()], &leases));
    }

    #[test]
    fn another_network_and_leases_without_a_bridge() {
        let names = Names { bridge: "br-blue".into(), table: "cooper".into() };
        let blue = Network { name: "blue".into(), ..Network::default_on("10.211.0.0/16".parse().unwrap(), &names) };
        let ports = vec![port(Protocol::Tcp, [0; 4], 80, 80)];
        let pasta = Lease { network: "pasta".into(), ..lease("aaaa", 2, ports.clone()) };
        let of_blue = Lease { network: "blue".into(), ..lease("bbbb", 2, ports) };
        insta::assert_snapshot!(render("cooper", &[network(), blue], &[pasta, of_blue]));
    }
}
