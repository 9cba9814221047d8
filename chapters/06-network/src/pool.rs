//! Which subnet, and which address in it: free of everything that this host already routes.

use std::net::Ipv4Addr;

use ipnet::{IpNet, Ipv4Net};
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

/// The first candidate that overlaps nothing in `taken`: the host's routes and addresses, other networks.
///
/// # Errors
/// [`Kind::Conflict`] if every candidate does.
pub fn choose_subnet(taken: &[IpNet]) -> Result<Ipv4Net> {
    let free = |candidate: &Ipv4Net| !taken.iter().any(|net| overlaps(net, *candidate));
    candidates().find(free).ok_or_else(|| {
        Error::new(Kind::Conflict, "every subnet for the bridge network overlaps a route of this host")
            .help("`ip route show table all` lists them; use --network host or none meanwhile")
    })
}

/// A default route covers everything and yet collides with nothing: more specific routes win.
fn overlaps(net: &IpNet, candidate: Ipv4Net) -> bool {
    match net {
        IpNet::V4(net) if net.prefix_len() > 0 => net.contains(&candidate) || candidate.contains(net),
        _ => false,
    }
}

/// The address asked for, or the lowest free one.
///
/// # Errors
/// [`Kind::Invalid`] for one that no container of this network can have, [`Kind::Conflict`] if it is
/// taken or none is left.
pub fn choose_address(network: &Network, taken: &[Ipv4Addr], wanted: Option<Ipv4Addr>) -> Result<Ipv4Addr> {
    let Network { subnet, gateway, name, .. } = network;
    let free = |address: &Ipv4Addr| address != gateway && !taken.contains(address);
    let Some(wanted) = wanted else {
        return subnet.hosts().find(free).ok_or_else(|| {
            Error::new(Kind::Conflict, format!("network {name} has no free address left in {subnet}"))
                .help("end some containers")
        });
    };
    let usable = subnet.contains(&wanted) && wanted != subnet.network() && wanted != subnet.broadcast();
    if !usable {
        let help = format!("choose one of {subnet}, other than its first and last");
        return Err(Error::invalid(format!("address {wanted} is not one of network {name}")).help(help));
    }
    if wanted == *gateway {
        return Err(Error::new(Kind::Conflict, format!("address {wanted} is the gateway of network {name}")));
    }
    if taken.contains(&wanted) {
        let help = "leave out --ip to get a free one";
        return Err(Error::new(Kind::Conflict, format!("address {wanted} is taken by another container")).help(help));
    }
    Ok(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Names;

    fn subnet(taken: &[&str]) -> String {
        let taken: Vec<IpNet> = taken.iter().map(|net| net.parse().unwrap()).collect();
        choose_subnet(&taken).map_or_else(|error| error.what().to_owned(), |net| net.to_string())
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
}
