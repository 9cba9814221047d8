//! What `network create` refuses, and why.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use process::{Error, Kind, Result};

use super::PREDEFINED;
use crate::Network;

/// An option that means a part of a subnet that is not known yet.
pub fn no_subnet(option: &str) -> Error {
    Error::invalid(format!("{option} without --subnet: it has to be a part of it")).help("add --subnet")
}

/// The subnet of the network in which `part` lies.
pub fn within(network: &Network, part: IpNet, what: &str) -> Result<(IpNet, IpAddr)> {
    let subnets = network.subnets();
    subnets.iter().find(|(subnet, _)| subnet.contains(&part)).copied().ok_or_else(|| {
        let shown = if part.prefix_len() == part.max_prefix_len() { part.addr().to_string() } else { part.to_string() };
        let names: Vec<_> = subnets.iter().map(|(subnet, _)| subnet.to_string()).collect();
        Error::invalid(format!("no matching subnet for {what} {shown}"))
            .help(format!("it has to be a part of {}", names.join(" or ")))
    })
}

/// At most one of each family.
pub fn families(subnets: &[IpNet]) -> Result<(Option<Ipv4Net>, Option<Ipv6Net>)> {
    let mut found = (None, None);
    for subnet in subnets {
        let (twice, small) = match subnet {
            IpNet::V4(net) => (found.0.replace(*net).is_some(), net.prefix_len() > 31 || net.prefix_len() < 8),
            IpNet::V6(net) => (found.1.replace(*net).is_some(), net.prefix_len() > 127 || net.prefix_len() < 8),
        };
        if twice {
            return Err(Error::invalid("a network has one subnet of each family")
                .help("give one --subnet of IPv4, one of IPv6"));
        }
        if small {
            return Err(Error::invalid(format!(
                "subnet {subnet}: a gateway and a container need two addresses at least"
            ))
            .help("a prefix of 8 to 31 bits, or 8 to 127 for IPv6"));
        }
    }
    Ok(found)
}

/// The address that the gateway has unless another one is given.
pub fn first6(subnet: Ipv6Net) -> Ipv6Addr {
    Ipv6Addr::from(u128::from(subnet.network()) + 1)
}

/// `KEY=VALUE` each; without a value a label is empty, and anything else is wrong.
pub fn pairs(what: &str, given: &[String], may_be_bare: bool) -> Result<BTreeMap<String, String>> {
    let pair = |text: &String| match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        None if may_be_bare && !text.is_empty() => Ok((text.clone(), String::new())),
        _ => Err(Error::invalid(format!("{what} {text:?} is no pair")).help("write KEY=VALUE")),
    };
    given.iter().map(pair).collect()
}

/// By either of the names that Docker and Podman have for it, in bytes. IPv4 needs 68 at least (RFC 791).
pub fn mtu(options: &BTreeMap<String, String>) -> Result<Option<u32>> {
    let given = options.get("com.docker.network.driver.mtu").or(options.get("mtu"));
    let parsed = given.map(|text| text.parse().ok().filter(|mtu| (68..=65535).contains(mtu)).ok_or(text)).transpose();
    parsed.map_err(|text| Error::invalid(format!("mtu {text:?} is no size of a packet")).help("68 to 65535 bytes"))
}

/// A link's name (dev_valid_name in the kernel's net/core/dev.c).
pub fn check_link(name: &str) -> Result<String> {
    let fits =
        (1..=15).contains(&name.len()) && !name.contains(['/', ':', ' ', '"', '%']) && !matches!(name, "." | "..");
    if fits && name.is_ascii() {
        return Ok(name.to_owned());
    }
    Err(Error::invalid(format!("{name:?} is no name for a link")).help("1 to 15 characters, no slash, colon or space"))
}

/// A name that `--network` can take for nothing else.
pub fn check_name(name: &str) -> Result<String> {
    if PREDEFINED.contains(&name) || name == "default" {
        return Err(Error::new(Kind::Conflict, format!("operation is not permitted on predefined {name} network"))
            .help("it is there already; choose another name"));
    }
    let fits = |character: char| character.is_ascii_alphanumeric() || "_.-".contains(character);
    let begins = name.starts_with(|first: char| first.is_ascii_alphanumeric());
    if begins && name.chars().all(fits) {
        return Ok(name.to_owned());
    }
    Err(Error::invalid(format!("{name:?} is no name for a network"))
        .help("begin with a letter or digit, go on with those or with `_`, `.`, `-`"))
}
