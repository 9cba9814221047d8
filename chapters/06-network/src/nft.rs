//! The firewall: one nft table of our own, rendered whole from who runs, replaced in one transaction.
//!
//! No rule is ever added or removed by itself, so the rules cannot drift from the leases, and after a
//! crash the next rendering is right again. Chains of others are never touched (nft(8)).

mod apply;
mod generation;

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};

pub use apply::{InForce, apply, apply_if_changed, remove};

use crate::{Endpoint, Lease, Network, Port};

/// The script that replaces table `table` by the rules for `networks` and the ports of `leases`. Networks without a
/// bridge of ours have no rules: their packets never pass through this host's routing.
pub fn render(table: &str, networks: &[Network], leases: &[Lease]) -> String {
    let networks: Vec<_> = networks.iter().filter(|network| network.driver.is_bridged()).collect();
    let mut script = remove_script(table);
    let _ = writeln!(script, "table inet {table} {{");
    let chains = [published(&networks, leases), masquerade(&networks), forward(&networks), guard(&networks)];
    for chain in chains.into_iter().chain(internal(&networks)) {
        script.push_str(&chain);
    }
    script.push_str("}\n");
    script
}

/// Names the table first, so that deleting it is no error where there is none.
fn remove_script(table: &str) -> String {
    format!("table inet {table}\ndelete table inet {table}\n")
}

/// Not to `::1`: for IPv6 there is no `route_localnet`, and the answer would be dropped. So a call is refused at once, and
/// who called `localhost` turns to 127.0.0.1.
const PUBLISHED6: &str = "\t\tip6 daddr != ::1 fib daddr type local jump published6\n";

/// Where published ports lead to.
fn published(networks: &[&Network], leases: &[Lease]) -> String {
    let (mut rules, mut rules6) = (String::new(), String::new());
    for lease in leases {
        let Some(endpoint) = entrance(networks, lease) else { continue };
        let comment: String = lease.container.chars().take(12).collect();
        for port in &lease.ports {
            let (family, to, rules) = match (port.host_ip, endpoint.address, endpoint.address6) {
                (IpAddr::V4(_), Some(address), _) => ("ip", IpAddr::V4(address), &mut rules),
                (IpAddr::V6(_), _, Some(address)) => ("ip6", IpAddr::V6(address), &mut rules6),
                _ => continue,
            };
            let to = SocketAddr::new(to, port.container_port);
            let Port { protocol, host_ip, host_port, .. } = port;
            let at = if host_ip.is_unspecified() { String::new() } else { format!("{family} daddr {host_ip} ") };
            let _ = writeln!(rules, "\t\t{at}{protocol} dport {host_port} dnat {family} to {to} comment \"{comment}\"");
        }
    }
    let jump6 = if rules6.is_empty() { "" } else { PUBLISHED6 };
    let chain6 = if rules6.is_empty() { String::new() } else { format!("\tchain published6 {{\n{rules6}\t}}\n") };
    format!(
        "\t# Ports that containers publish.
\tchain published {{
{rules}\t}}
{chain6}\t# Calls that come in from elsewhere to an address of this host …
\tchain prerouting {{
\t\ttype nat hook prerouting priority -100; policy accept;
\t\tmeta nfproto ipv4 fib daddr type local jump published
{jump6}\t}}
\t# … and those that this host makes itself, also to 127.0.0.1.
\tchain output {{
\t\ttype nat hook output priority -100; policy accept;
\t\tmeta nfproto ipv4 fib daddr type local jump published
{jump6}\t}}
"
    )
}

/// Where a container is reached from outside: the way by which its answers leave, if that is a bridge of ours.
pub fn entrance<'a>(networks: &[&Network], lease: &'a Lease) -> Option<&'a Endpoint> {
    let open = |endpoint: &&Endpoint| {
        networks
            .iter()
            .any(|network| network.name == endpoint.network && network.driver.is_bridged() && !network.internal)
    };
    let mut gateways = lease.endpoints.iter().filter(|endpoint| endpoint.gateway);
    gateways.find(open).or_else(|| lease.endpoints.iter().find(open))
}

/// Whose address a packet leaves with.
fn masquerade(networks: &[&Network]) -> String {
    let mut rules = String::new();
    for network in networks.iter().filter(|network| !network.internal) {
        let Network { link, subnet, subnet6, .. } = network;
        if network.masquerades() {
            let _ = write!(
                rules,
                "\t\t# out of {subnet}: with this host's address
\t\tip saddr {subnet} oifname != \"{link}\" masquerade
"
            );
        }
        let _ = write!(
            rules,
            "\t\t# from this host's loopback to a published port: the container could not answer 127.0.0.1
\t\tip saddr 127.0.0.0/8 oifname \"{link}\" masquerade
\t\t# from a container to a published port of itself or a neighbour: the answer must come back by here
\t\tip saddr {subnet} ip daddr {subnet} ct status dnat masquerade
"
        );
        let Some(subnet) = subnet6 else { continue };
        if network.masquerades() {
            let _ = writeln!(rules, "\t\tip6 saddr {subnet} oifname != \"{link}\" masquerade");
        }
        let _ = writeln!(rules, "\t\tip6 saddr {subnet} ip6 daddr {subnet} ct status dnat masquerade");
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
fn forward(networks: &[&Network]) -> String {
    let mut rules = String::new();
    // First, since to be accepted by one network must not open another.
    for Network { link, .. } in networks.iter().filter(|network| network.internal) {
        let _ = write!(
            rules,
            "\t\tiifname \"{link}\" oifname != \"{link}\" drop comment \"internal: no way out\"
\t\toifname \"{link}\" iifname != \"{link}\" drop comment \"internal: no way in\"
"
        );
    }
    for network in networks {
        let link = &network.link;
        if network.is_open_inside() {
            let _ = writeln!(rules, "\t\tiifname \"{link}\" oifname \"{link}\" accept");
        }
        let _ = write!(
            rules,
            "\t\toifname \"{link}\" ct state established,related accept
\t\toifname \"{link}\" ct status dnat accept
\t\toifname \"{link}\" drop comment \"not published\"
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
fn guard(networks: &[&Network]) -> String {
    let mut rules = String::new();
    for Network { link, .. } in networks {
        let _ = write!(
            rules,
            "\t\tiifname \"{link}\" ip daddr 127.0.0.0/8 drop
\t\tiifname \"{link}\" ip saddr 127.0.0.0/8 drop
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

/// Of this host an internal network knows the bridge's own address and no other.
fn internal(networks: &[&Network]) -> Option<String> {
    let mut rules = String::new();
    for Network { link, subnet, subnet6, .. } in networks.iter().filter(|network| network.internal) {
        let own6 = subnet6.map(|subnet| format!(", {subnet}")).unwrap_or_default();
        let _ = write!(
            rules,
            "\t\tiifname \"{link}\" ip daddr != {subnet} drop
\t\tiifname \"{link}\" ip6 daddr != {{ fe80::/10, ff00::/8{own6} }} drop
"
        );
    }
    let chain = format!(
        "\tchain input {{
\t\ttype filter hook input priority 0; policy accept;
{rules}\t}}
"
    );
    (!rules.is_empty()).then_some(chain)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::{Driver, Names, Protocol};

    fn network() -> Network {
        let names = Names { bridge: "cooper0".into(), table: "cooper".into() };
        Network::default_on("10.210.0.0/16".parse().unwrap(), &names)
    }

    fn named(name: &str, subnet: &str) -> Network {
        let link = format!("br-{name}");
        Network { link, ..Network::new("ab".repeat(32), name.into(), Driver::Bridge, subnet.parse().unwrap()) }
    }

    fn port(protocol: Protocol, ip: &str, host_port: u16, container_port: u16) -> Port {
        Port { protocol, host_ip: ip.parse().unwrap(), host_port, container_port }
    }

    fn endpoint(network: &str, address: [u8; 4]) -> Endpoint {
        Endpoint { network: network.into(), address: Some(Ipv4Addr::from(address)), ..Endpoint::default() }
    }

    fn lease(id: &str, last: u8, ports: Vec<Port>) -> Lease {
        let endpoints = vec![endpoint("bridge", [10, 210, 0, last])];
        Lease { endpoints, ports, ..Lease::new(id, "host", "bridge") }
    }

    #[test]
    fn no_ports() {
        insta::assert_snapshot!(render("cooper", &[network()], &[lease("4f2a", 2, vec![])]));
    }

    #[test]
    fn ports_of_two_containers() {
        let web = vec![port(Protocol::Tcp, "0.0.0.0", 8080, 80), port(Protocol::Tcp, "127.0.0.1", 8443, 443)];
        let names = vec![port(Protocol::Udp, "0.0.0.0", 53, 5353)];
        let leases = [lease("0123456789abcdef", 2, web), lease("fedcba9876543210", 3, names)];
        insta::assert_snapshot!(render("cooper", &[network()], &leases));
    }

    #[test]
    fn another_network_and_leases_without_a_bridge() {
        let blue = named("blue", "10.211.0.0/16");
        let ports = vec![port(Protocol::Tcp, "0.0.0.0", 80, 80)];
        let pasta = Lease { endpoints: vec![endpoint("pasta", [10, 210, 0, 2])], ..lease("aaaa", 2, ports.clone()) };
        let of_blue = Lease { endpoints: vec![endpoint("blue", [10, 211, 0, 2])], ..lease("bbbb", 2, ports) };
        insta::assert_snapshot!(render("cooper", &[network(), blue], &[pasta, of_blue]));
    }

    #[test]
    fn internal_with_a_way_round() {
        let inner = Network { internal: true, subnet6: "fd00:9::/64".parse().ok(), ..named("inner", "10.9.0.0/24") };
        let blue = named("blue", "10.211.0.0/24");
        let ports = vec![port(Protocol::Tcp, "0.0.0.0", 80, 80)];
        let endpoints = vec![endpoint("inner", [10, 9, 0, 2]), endpoint("blue", [10, 211, 0, 2])];
        let both = Lease { endpoints, ..lease("cccc", 2, ports) };
        insta::assert_snapshot!(render("cooper", &[blue, inner], &[both]));
    }

    #[test]
    fn ipv6_and_no_masquerade_and_a_driver_without_rules() {
        let mut blue = Network { subnet6: "fd00:9::/64".parse().ok(), ..named("blue", "10.211.0.0/24") };
        let ports = vec![
            port(Protocol::Tcp, "0.0.0.0", 8080, 80),
            port(Protocol::Tcp, "::", 8080, 80),
            port(Protocol::Udp, "2001:db8::1", 53, 53),
        ];
        let of_blue = Endpoint { address6: "fd00:9::2".parse().ok(), ..endpoint("blue", [10, 211, 0, 2]) };
        let lease = Lease { endpoints: vec![of_blue], ..lease("dddd", 2, ports) };
        let lan = Network { driver: Driver::Macvlan, ..named("lan", "192.0.2.0/24") };
        insta::assert_snapshot!(render("cooper", &[blue.clone(), lan], std::slice::from_ref(&lease)));
        blue.options.insert(Network::MASQUERADE.into(), "false".into());
        let script = render("cooper", &[blue], &[lease]);
        assert!(!script.contains("oifname != \"br-blue\" masquerade"), "{script}");
    }
}
