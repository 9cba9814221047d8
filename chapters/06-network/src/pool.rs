//! Which subnet, and which address in it: free of everything that this host already routes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use process::{Error, Kind, Result};

use crate::Network;

/// Where the default network may lie, best first: private addresses (RFC 1918) that neither Docker
/// (172.17.0.0/16 and up), Podman (10.88.0.0/16) nor a home router (192.168.0.0/24) takes by default.
pub fn candidates() -> impl Iterator<Item = Ipv4Net> {
    let tens = (210..=219).map(|second| (Ipv4Addr::new(10, second, 0, 0), 16));
    let seventeens = (24..=31).rev().map(|second| (Ipv4Addr::new(172, second, 0, 0), 16));
    let nineteens = (210..=219).map(|third| (Ipv4Addr::new(192, 168, third, 0), 24));
    tens.chain(seventeens).chain(nineteens).map(|(address, prefix)| Ipv4Net::new_assert(address, prefix))
}

/// Where a network that a person makes may lie: a thousand small ones, then what the default network left.
pub fn candidates_for_named() -> impl Iterator<Item = Ipv4Net> {
    let small = (220..=223).flat_map(|second| (0..=255).map(move |third| Ipv4Addr::new(10, second, third, 0)));
    small.map(|address| Ipv4Net::new_assert(address, 24)).chain(candidates())
}

/// An IPv6 subnet that nobody else in the world is likely to have: 40 random bits, here those of the network's id
/// (RFC 4193, section 3.2).
pub fn unique_local(id: &str) -> Ipv6Net {
    let digits = id.get(..10).and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or_default();
    Ipv6Net::new_assert(Ipv6Addr::from((0xfd << 120) | u128::from(digits) << 80), 64)
}

/// The first candidate that overlaps nothing in `taken`: the host's routes and addresses, other networks.
///
/// # Errors
/// [`Kind::Conflict`] if every candidate does.
pub fn choose_subnet(mut candidates: impl Iterator<Item = Ipv4Net>, taken: &[IpNet]) -> Result<Ipv4Net> {
    let free = |candidate: &Ipv4Net| !taken.iter().any(|net| overlaps(*net, IpNet::V4(*candidate)));
    candidates.find(free).ok_or_else(|| {
        Error::new(Kind::Conflict, "every subnet for a bridge network overlaps a route of this host or another network")
            .help("`ip route show table all` and `network ls` list them; use --network host or none meanwhile")
    })
}

/// A default route covers everything and yet collides with nothing: more specific routes win.
pub fn overlaps(net: IpNet, candidate: IpNet) -> bool {
    net.prefix_len() > 0 && (net.contains(&candidate) || candidate.contains(&net))
}

/// The address asked for, or the lowest free one of the network's range.
///
/// # Errors
/// [`Kind::Invalid`] for one that no container of this network can have, [`Kind::Conflict`] if it is
/// taken or none is left.
pub fn choose_address(network: &Network, taken: &[Ipv4Addr], wanted: Option<Ipv4Addr>) -> Result<Ipv4Addr> {
    let subnet = network.subnet;
    if let Some(wanted) = wanted {
        let usable = in_hosts(subnet, wanted);
        return check_wanted(network, wanted.into(), usable, taken.contains(&wanted)).map(|()| wanted);
    }
    let range = network.ip_range.unwrap_or(subnet);
    // The hosts of a range do not count its ends, which are ordinary addresses of a larger subnet.
    let all = (u32::from(range.network())..=u32::from(range.broadcast())).map(Ipv4Addr::from);
    let mut usable = all.filter(|address| in_hosts(subnet, *address));
    usable.find(|address| !is_reserved(network, (*address).into()) && !taken.contains(address)).ok_or_else(|| {
        Error::new(Kind::Conflict, format!("network {} has no free address left in {range}", network.name))
            .help("end some containers, or make a network with a larger --subnet")
    })
}

/// The same for IPv6; none where the network has none.
///
/// # Errors
/// As [`choose_address`].
pub fn choose_address6(network: &Network, taken: &[Ipv6Addr], wanted: Option<Ipv6Addr>) -> Result<Option<Ipv6Addr>> {
    let Some(subnet) = network.subnet6 else {
        return match wanted {
            None => Ok(None),
            Some(wanted) => Err(Error::invalid(format!("address {wanted}: network {} has no IPv6", network.name))
                .help("make it with `network create --ipv6`")),
        };
    };
    if let Some(wanted) = wanted {
        let usable = subnet.contains(&wanted) && wanted != subnet.network();
        return check_wanted(network, wanted.into(), usable, taken.contains(&wanted)).map(|()| Some(wanted));
    }
    // The first address of a subnet means its routers (RFC 4291, section 2.6.1).
    let mut usable = (u128::from(subnet.network()) + 1..=u128::from(subnet.broadcast())).map(Ipv6Addr::from);
    let free = usable.find(|address| !is_reserved(network, (*address).into()) && !taken.contains(address));
    free.map(Some).ok_or_else(|| {
        Error::new(Kind::Conflict, format!("network {} has no free address left in {subnet}", network.name))
            .help("end some containers, or make a network with a larger --subnet")
    })
}

/// An address that a host may have: the first means the subnet, the last all of it, unless there are no others
/// (RFC 3021).
fn in_hosts(subnet: Ipv4Net, address: Ipv4Addr) -> bool {
    let ends = subnet.prefix_len() < 31 && (address == subnet.network() || address == subnet.broadcast());
    subnet.contains(&address) && !ends
}

/// Does it belong to the gateway, or to somebody whom `--aux-address` names?
fn is_reserved(network: &Network, address: IpAddr) -> bool {
    address == IpAddr::V4(network.gateway)
        || network.gateway6.is_some_and(|gateway| address == gateway)
        || network.reserved.values().any(|other| *other == address)
}

fn check_wanted(network: &Network, wanted: IpAddr, usable: bool, taken: bool) -> Result<()> {
    let name = &network.name;
    if !usable {
        let subnets: Vec<_> = network.subnets().into_iter().map(|(subnet, _)| subnet.to_string()).collect();
        let help = format!("choose one of {}, other than its first and last", subnets.join(" or "));
        return Err(Error::invalid(format!("address {wanted} is not one of network {name}")).help(help));
    }
    let conflict = |what: String, help: &str| Err(Error::new(Kind::Conflict, what).help(help));
    let gateways = [Some(IpAddr::V4(network.gateway)), network.gateway6.map(IpAddr::V6)];
    if gateways.contains(&Some(wanted)) {
        return conflict(format!("address {wanted} is the gateway of network {name}"), "choose another one");
    }
    if let Some((who, _)) = network.reserved.iter().find(|(_, address)| **address == wanted) {
        return conflict(format!("address {wanted} is kept for {who} (--aux-address)"), "choose another one");
    }
    if taken {
        let help = "leave out --ip to get a free one";
        return conflict(format!("address {wanted} is taken by another container"), help);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Driver, Names};

    fn subnet(taken: &[&str]) -> String {
        let taken: Vec<IpNet> = taken.iter().map(|net| net.parse().unwrap()).collect();
        choose_subnet(candidates(), &taken).map_or_else(|error| error.what().to_owned(), |net| net.to_string())
    }

    #[test]
    fn the_hosts_routes_are_avoided() {
        assert_eq!(subnet(&[]), "10.210.0.0/16");
        assert_eq!(subnet(&["0.0.0.0/0", "::/0", "10.88.0.0/16"]), "10.210.0.0/16");
        assert_eq!(subnet(&["10.210.7.0/24"]), "10.211.0.0/16", "a part of it");
        assert_eq!(subnet(&["10.210.0.9/32", "10.211.0.1/30"]), "10.212.0.0/16");
        assert_eq!(subnet(&["10.0.0.0/8"]), "172.31.0.0/16", "a whole of which it is a part");
        assert_eq!(subnet(&["10.0.0.0/8", "172.16.0.0/12"]), "192.168.210.0/24");
        assert!(subnet(&["0.0.0.0/1", "128.0.0.0/1"]).contains("overlaps"));
    }

    #[test]
    fn addresses_are_given_once() {
        let names = Names { bridge: "b".into(), table: "t".into() };
        let network = Network::default_on("10.210.0.0/29".parse().unwrap(), &names);
        assert_eq!(network.gateway, Ipv4Addr::new(10, 210, 0, 1));
        let mut taken = Vec::new();
        for last in 2..=6 {
            let address = choose_address(&network, &taken, None).unwrap();
            assert_eq!(address, Ipv4Addr::new(10, 210, 0, last));
            taken.push(address);
        }
        assert!(choose_address(&network, &taken, None).unwrap_err().what().contains("no free address"));
        taken.remove(1);
        assert_eq!(choose_address(&network, &taken, None).unwrap(), Ipv4Addr::new(10, 210, 0, 3));
        let ask = |last| choose_address(&network, &taken, Some(Ipv4Addr::new(10, 210, 0, last)));
        assert_eq!(ask(3).unwrap(), Ipv4Addr::new(10, 210, 0, 3));
        for (last, why) in [(0, "not one of"), (7, "not one of"), (9, "not one of"), (1, "gateway"), (2, "taken")] {
            assert!(ask(last).unwrap_err().what().contains(why), "{last}");
        }
    }

    #[test]
    fn a_range_of_the_subnet_and_addresses_of_others() {
        let mut network = Network::new("ab".repeat(32), "blue".into(), Driver::Bridge, "10.9.0.0/24".parse().unwrap());
        network.ip_range = Some("10.9.0.128/30".parse().unwrap());
        network.reserved.insert("printer".into(), "10.9.0.129".parse().unwrap());
        let mut taken = Vec::new();
        while let Ok(address) = choose_address(&network, &taken, None) {
            taken.push(address);
        }
        assert_eq!(taken.iter().map(|address| address.octets()[3]).collect::<Vec<_>>(), [128, 130, 131]);
        let outside = Ipv4Addr::new(10, 9, 0, 9);
        assert_eq!(choose_address(&network, &taken, Some(outside)).unwrap(), outside, "a range binds only us");
        let printer = Some(Ipv4Addr::new(10, 9, 0, 129));
        assert!(choose_address(&network, &[], printer).unwrap_err().what().contains("kept for printer"));
    }

    #[test]
    fn two_hosts_on_a_wire_of_two() {
        let network = Network::new("ab".repeat(32), "wire".into(), Driver::Macvlan, "10.9.0.0/31".parse().unwrap());
        let address = choose_address(&network, &[], None).unwrap();
        assert_eq!((network.gateway, address), (Ipv4Addr::new(10, 9, 0, 0), Ipv4Addr::new(10, 9, 0, 1)));
    }

    #[test]
    fn ipv6() {
        let mut network = Network::new("ab".repeat(32), "blue".into(), Driver::Bridge, "10.9.0.0/24".parse().unwrap());
        assert_eq!(choose_address6(&network, &[], None).unwrap(), None);
        assert!(choose_address6(&network, &[], Some("fd00::9".parse().unwrap())).is_err());
        network.subnet6 = Some(unique_local(&network.id));
        assert_eq!(network.subnet6.unwrap().to_string(), "fdab:abab:abab::/64");
        network.gateway6 = Some("fdab:abab:abab::1".parse().unwrap());
        let first = choose_address6(&network, &[], None).unwrap().unwrap();
        assert_eq!(first.to_string(), "fdab:abab:abab::2");
        let second = choose_address6(&network, &[first], None).unwrap().unwrap();
        assert_eq!(second.to_string(), "fdab:abab:abab::3");
        assert!(choose_address6(&network, &[first], Some(first)).unwrap_err().what().contains("taken"));
        assert!(choose_address6(&network, &[], network.gateway6).unwrap_err().what().contains("gateway"));
    }
}
