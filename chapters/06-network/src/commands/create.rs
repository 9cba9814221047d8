//! `network create`: everything is checked and written down; links are made when the first container comes.

use std::net::IpAddr;
use std::process::ExitCode;

use clap::Args;
use ipnet::IpNet;
use namespaces::{id, rootless};
use process::{Error, Kind, Result};

use super::check::{check_link, check_name, families, first6, mtu, no_subnet, pairs, within};
use super::open;
use crate::netlink::Netlink;
use crate::state::State;
use crate::{Driver, Network, plug, pool, wired};

/// The arguments of `network create`.
#[derive(Debug, Clone, Args)]
pub struct CreateArgs {
    /// bridge, macvlan, ipvlan or vxlan
    #[arg(short, long, default_value_t, value_name = "DRIVER")]
    pub driver: Driver,
    /// Addresses to hand out, in CIDR form; one for IPv4 and one for IPv6 [default: a free one]
    #[arg(long, value_name = "SUBNET", value_delimiter = ',')]
    pub subnet: Vec<IpNet>,
    /// The containers' way out [default: the subnet's first address]
    #[arg(long, value_name = "IP", value_delimiter = ',')]
    pub gateway: Vec<IpAddr>,
    /// Hand out addresses of this part of the subnet only
    #[arg(long, value_name = "RANGE", value_delimiter = ',')]
    pub ip_range: Vec<IpNet>,
    /// An address that somebody else has: NAME=IP
    #[arg(long, value_name = "NAME=IP", value_delimiter = ',')]
    pub aux_address: Vec<String>,
    /// No way out, and none in
    #[arg(long)]
    pub internal: bool,
    /// IPv6, too
    #[arg(long)]
    pub ipv6: bool,
    /// An option of the driver: mtu=1400, parent=eth0
    #[arg(short, long = "opt", value_name = "KEY=VALUE")]
    pub option: Vec<String>,
    /// A label
    #[arg(long, value_name = "KEY=VALUE")]
    pub label: Vec<String>,
    /// As Docker; a container may be connected at any time
    #[arg(long, hide = true)]
    pub attachable: bool,
    /// As Docker; there is none but local
    #[arg(long, hide = true, value_name = "SCOPE", value_parser = ["local"])]
    pub scope: Option<String>,
    /// As Docker; there is none but default
    #[arg(long, hide = true, value_name = "DRIVER", value_parser = ["default"])]
    pub ipam_driver: Option<String>,
    /// Its name
    #[arg(value_name = "NETWORK")]
    pub name: String,
}

impl CreateArgs {
    /// Makes the network, and prints its id.
    ///
    /// # Errors
    /// As [`make`](Self::make).
    pub fn run(&self) -> Result<ExitCode> {
        let (state, ..) = open()?;
        println!("{}", self.make(&state)?.id);
        Ok(ExitCode::SUCCESS)
    }

    /// Makes the network.
    ///
    /// # Errors
    /// [`Kind::Conflict`] for a name or subnet that is taken, [`Kind::Invalid`] for options that make no sense.
    pub fn make(&self, state: &State) -> Result<Network> {
        let name = check_name(&self.name)?;
        if state.networks().iter().any(|network| network.name == name) {
            return Err(Error::new(Kind::Conflict, format!("network with name {name} already exists"))
                .help("choose another name, or `network rm` it first"));
        }
        if rootless::is_rootless() && self.driver != Driver::Bridge {
            let what = format!("driver {}: an ordinary user has no place on the wire of this host", self.driver);
            return Err(Error::unsupported(what).help("leave out --driver for a bridge of your own, or become root"));
        }
        let mut netlink = Netlink::open()?;
        let taken = wired::taken(state, &mut netlink)?;
        let network = self.describe(name, &taken, &state.networks())?;
        plug::check(&network)?;
        state.put_network(&network)?;
        Ok(network)
    }

    /// What the network is to be, beside the `others`, where `taken` is what this host has or has a route to.
    fn describe(&self, name: String, taken: &[IpNet], others: &[Network]) -> Result<Network> {
        let id = id::random_id()?;
        let (given, given6) = families(&self.subnet)?;
        for subnet in &self.subnet {
            self.check_subnet(*subnet, taken, others)?;
        }
        let subnet = given.map_or_else(|| pool::choose_subnet(pool::candidates_for_named(), taken), Ok)?;
        let mut network = Network::new(id, name, self.driver, subnet);
        network.subnet6 = given6.or_else(|| self.ipv6.then(|| pool::unique_local(&network.id)));
        network.gateway6 = network.subnet6.map(first6);
        network.internal = self.internal;
        self.ranges(&mut network, given.is_some())?;
        network.labels = pairs("label", &self.label, true)?;
        network.options = pairs("option", &self.option, false)?;
        network.mtu = mtu(&network.options)?;
        if let Some(link) = network.options.get("com.docker.network.bridge.name").filter(|_| self.driver.is_bridged()) {
            network.link = check_link(link)?;
        }
        Ok(network)
    }

    /// A bridge of ours must have a subnet for itself; on a parent's wire we are one of many.
    fn check_subnet(&self, subnet: IpNet, taken: &[IpNet], others: &[Network]) -> Result<()> {
        if subnet.addr() != subnet.network() {
            let help = format!("write {}", subnet.trunc());
            return Err(Error::invalid(format!("invalid subnet {subnet}: it should be {}", subnet.trunc())).help(help));
        }
        let all = others.iter().flat_map(|other| other.subnets().into_iter().map(move |(net, _)| (net, &other.name)));
        if let Some((net, name)) = all.into_iter().find(|(net, _)| pool::overlaps(*net, subnet)) {
            let what = format!("invalid pool request: {subnet} overlaps with {net} of network {name}");
            return Err(Error::new(Kind::Conflict, what).help("choose another one, or leave out --subnet"));
        }
        if !self.driver.is_bridged() {
            return Ok(());
        }
        match taken.iter().find(|net| pool::overlaps(**net, subnet)) {
            Some(net) => {
                Err(Error::new(Kind::Conflict, format!("subnet {subnet} overlaps the route {net} of this host"))
                    .help("`ip route show table all` lists them; choose another one, or leave out --subnet"))
            }
            None => Ok(()),
        }
    }

    /// Gateways, ranges and others' addresses, each in the subnet of its family.
    fn ranges(&self, network: &mut Network, own_subnet: bool) -> Result<()> {
        if !own_subnet && self.gateway.iter().any(IpAddr::is_ipv4) {
            return Err(no_subnet("--gateway"));
        }
        if !own_subnet && !self.ip_range.is_empty() {
            return Err(no_subnet("--ip-range"));
        }
        for gateway in &self.gateway {
            let (subnet, _) = within(network, (*gateway).into(), "gateway")?;
            match gateway {
                IpAddr::V4(address) => network.gateway = *address,
                IpAddr::V6(address) => network.gateway6 = Some(*address),
            }
            if subnet.addr() == *gateway && subnet.prefix_len() < subnet.max_prefix_len() - 1 {
                return Err(Error::invalid(format!("gateway {gateway} is the address of the subnet {subnet} itself"))
                    .help("leave it out for the first one"));
            }
        }
        for range in &self.ip_range {
            within(network, *range, "ip-range")?;
            match range {
                IpNet::V4(range) => network.ip_range = Some(range.trunc()),
                IpNet::V6(range) => {
                    return Err(Error::unsupported(format!(
                        "ip-range {range}: only IPv4 addresses are chosen from a range"
                    ))
                    .help("leave it out: 64 bits of addresses do not run out"));
                }
            }
        }
        for pair in pairs("aux-address", &self.aux_address, false)? {
            let address: IpAddr = pair.1.parse().map_err(|_| {
                Error::invalid(format!("aux-address {}: {:?} is no IP address", pair.0, pair.1)).help("write NAME=IP")
            })?;
            within(network, address.into(), "aux-address")?;
            network.reserved.insert(pair.0, address);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: CreateArgs,
    }

    fn describe(line: &str) -> Result<Network> {
        let args = Line::try_parse_from(format!("create {line}").split_whitespace()).unwrap().args;
        let taken = ["192.168.7.0/24".parse().unwrap()];
        let other = Network::new("cd".repeat(32), "red".into(), Driver::Bridge, "10.220.0.0/24".parse().unwrap());
        let all: Vec<_> = taken.into_iter().chain([other.subnet.into()]).collect();
        check_name(&args.name).and_then(|name| args.describe(name, &all, &[other]))
    }

    #[test]
    fn nothing_said() {
        let blue = describe("blue").unwrap();
        assert_eq!((blue.subnet.to_string(), blue.gateway.to_string()), ("10.220.1.0/24".into(), "10.220.1.1".into()));
        assert_eq!((blue.subnet6, blue.internal, blue.mtu, blue.driver), (None, false, None, Driver::Bridge));
        assert_eq!(blue.link, format!("br-{}", &blue.id[..12]));
    }

    #[test]
    fn everything_said() {
        let blue = describe(
            "--subnet 10.9.0.0/16 --subnet fd00:9::/64 --gateway 10.9.9.9 --gateway fd00:9::9 --ip-range 10.9.128.0/17 \
             --aux-address printer=10.9.0.7 --internal -o mtu=1400 -o com.docker.network.bridge.name=blue0 --label a=b \
             --label c -d vxlan blue",
        )
        .unwrap();
        assert_eq!(blue.gateway.to_string(), "10.9.9.9");
        assert_eq!(blue.gateway6.unwrap().to_string(), "fd00:9::9");
        assert_eq!(blue.ip_range.unwrap().to_string(), "10.9.128.0/17");
        assert_eq!(
            (blue.link.as_str(), blue.mtu, blue.internal, blue.driver),
            ("blue0", Some(1400), true, Driver::Vxlan)
        );
        assert_eq!(blue.labels["c"], "");
        assert_eq!(blue.reserved["printer"].to_string(), "10.9.0.7");
        let six = describe("--ipv6 six").unwrap();
        assert_eq!(six.gateway6.unwrap(), first6(pool::unique_local(&six.id)));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let table = [
            ("bridge", "not permitted on predefined bridge network"),
            ("a=b", "no name for a network"),
            ("--subnet 10.9.0.1/16 blue", "invalid subnet 10.9.0.1/16: it should be 10.9.0.0/16"),
            ("--subnet 10.220.0.128/25 blue", "overlaps with 10.220.0.0/24 of network red"),
            ("--subnet 192.168.0.0/16 blue", "overlaps the route 192.168.7.0/24 of this host"),
            ("--subnet 10.8.0.0/16 --subnet 10.9.0.0/16 blue", "one subnet of each family"),
            ("--subnet 10.9.0.0/32 blue", "two addresses at least"),
            ("--gateway 10.9.0.1 blue", "--gateway without --subnet"),
            ("--subnet 10.9.0.0/24 --gateway 10.8.0.1 blue", "no matching subnet for gateway 10.8.0.1"),
            ("--subnet 10.9.0.0/24 --gateway 10.9.0.0 blue", "is the address of the subnet"),
            ("--subnet 10.9.0.0/24 --ip-range 10.9.0.0/16 blue", "no matching subnet for ip-range 10.9.0.0/16"),
            ("--subnet 10.9.0.0/24 --aux-address a=10.8.0.1 blue", "no matching subnet for aux-address"),
            ("--aux-address a blue", "is no pair"),
            ("-o mtu=big blue", "is no size of a packet"),
            ("-o com.docker.network.bridge.name=a/b blue", "no name for a link"),
        ];
        for (line, expected) in table {
            let error = describe(line).unwrap_err();
            assert!(error.what().contains(expected), "{line}: {error}");
            assert!(error.way_out().is_some(), "{line}");
        }
        assert!(describe("-d macvlan --subnet 192.168.7.0/24 lan").is_ok(), "on a parent's wire we are one of many");
    }
}
