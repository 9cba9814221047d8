//! The options of this chapter, as `docker run` has them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use clap::Args;
use process::{Error, Result};

use crate::{Attachment, EndpointOptions, Mac, Mode, Publish, Wanted, attachment};

/// Options about the container's network.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Network options")]
pub struct NetworkArgs {
    /// bridge, none, host, container:NAME|ID, or networks of your own, each with one --network; the long form
    /// is name=NETWORK,alias=NAME,ip=IP,ip6=IP [default: bridge]
    #[arg(long, alias = "net", value_name = "NETWORK")]
    pub network: Vec<Attachment>,
    /// Be known by this name, too, in a network of your own
    #[arg(long, alias = "net-alias", value_name = "NAME", value_parser = attachment::alias)]
    pub network_alias: Vec<String>,
    /// Publish ports, [IP:][HOST]:CONTAINER[/udp]; without HOST a free one is taken; ranges as 80-90
    #[arg(short, long, value_name = "PORTS")]
    pub publish: Vec<Publish>,
    /// Ask this name server instead of the host's
    #[arg(long, value_name = "IP")]
    pub dns: Vec<IpAddr>,
    /// Look up short names below this domain; "." for none
    #[arg(long, value_name = "DOMAIN")]
    pub dns_search: Vec<String>,
    /// An option for the resolver, for example ndots:2 (resolv.conf(5))
    #[arg(long, alias = "dns-opt", value_name = "OPTION")]
    pub dns_option: Vec<String>,
    /// Add a line to /etc/hosts; the address host-gateway means the host
    #[arg(long, value_name = "NAME:IP")]
    pub add_host: Vec<ExtraHost>,
    /// Take this address of the network
    #[arg(long, value_name = "IPV4")]
    pub ip: Option<Ipv4Addr>,
    /// Take this IPv6 address of the network
    #[arg(long, value_name = "IPV6")]
    pub ip6: Option<Ipv6Addr>,
    #[arg(long, hide = true, value_name = "IP")]
    #[allow(missing_docs)] // it is there to be refused with a reason
    pub link_local_ip: Vec<IpAddr>,
    /// Take this hardware address [default: one that belongs to the address]
    #[arg(long, value_name = "MAC")]
    pub mac_address: Option<Mac>,
}

impl NetworkArgs {
    /// The kind of network asked for; of several the first.
    pub fn mode(&self) -> Mode {
        self.network.first().map(|attachment| attachment.mode.clone()).unwrap_or_default()
    }

    /// Every network asked for, with what is asked of the place in it. Options of their own mean the first one.
    pub fn attachments(&self) -> Vec<Attachment> {
        let mut all = self.network.clone();
        if all.is_empty() {
            all.push(Attachment::default());
        }
        let EndpointOptions { aliases, ip, ip6, mac, .. } = &mut all[0].options;
        aliases.extend(self.network_alias.iter().cloned());
        (*ip, *ip6, *mac) = (self.ip.or(*ip), self.ip6.or(*ip6), self.mac_address.or(*mac));
        all
    }

    /// Every port asked for, ranges expanded.
    pub fn ports(&self) -> Vec<Wanted> {
        self.publish.iter().flat_map(|publish| publish.0.iter().cloned()).collect()
    }

    /// Is there an option that is of no use without a network?
    pub fn needs_network(&self) -> bool {
        !self.publish.is_empty()
            || self.ip.is_some()
            || self.ip6.is_some()
            || self.mac_address.is_some()
            || !self.network_alias.is_empty()
    }

    /// Refuses options that contradict the kind of network, instead of ignoring them.
    ///
    /// # Errors
    /// Names the option and the network.
    pub fn check(&self) -> Result<()> {
        if !self.link_local_ip.is_empty() {
            return Err(attachment::link_local());
        }
        self.check_several()?;
        let mode = self.mode();
        let refuse = |option: &str, why: &str| {
            let help = format!("leave out {option}, or use --network bridge");
            Err(Error::invalid(format!("{option} with --network {mode}: {why}")).help(help))
        };
        if mode.network().is_none() {
            let why = match mode {
                Mode::Host => "the container's ports are the host's already",
                Mode::Container(_) => "ports, addresses and names are those of the other container",
                _ => "there is no network to reach it by",
            };
            let long = self.network.iter().any(|attachment| attachment.options != EndpointOptions::default());
            for (option, given) in [
                ("--publish", !self.publish.is_empty()),
                ("--ip", self.ip.is_some()),
                ("--ip6", self.ip6.is_some()),
                ("--mac-address", self.mac_address.is_some()),
                ("--network-alias", !self.network_alias.is_empty()),
                ("the long form", long),
            ] {
                if given {
                    return refuse(option, why);
                }
            }
        }
        if matches!(mode, Mode::Container(_)) {
            for (option, given) in [
                ("--dns", !self.dns.is_empty()),
                ("--dns-search", !self.dns_search.is_empty()),
                ("--dns-option", !self.dns_option.is_empty()),
                ("--add-host", !self.add_host.is_empty()),
            ] {
                if given {
                    return refuse(option, "its files are those of the other container");
                }
            }
        }
        Ok(())
    }

    /// What contradicts itself when there are several networks, or an option stands twice.
    fn check_several(&self) -> Result<()> {
        if let Some(first) = self.network.first() {
            let both = |option: &str, one: bool, other: bool| match one && other {
                true => Err(Error::invalid(format!(
                    "conflicting options: cannot specify both --{option} and per-network {option}"
                ))
                .help("leave out one of them")),
                false => Ok(()),
            };
            let EndpointOptions { aliases, ip, ip6, mac, .. } = &first.options;
            both("network-alias", !self.network_alias.is_empty(), !aliases.is_empty())?;
            both("ip", self.ip.is_some(), ip.is_some())?;
            both("ip6", self.ip6.is_some(), ip6.is_some())?;
            both("mac-address", self.mac_address.is_some(), mac.is_some())?;
        }
        for (index, attachment) in self.network.iter().enumerate() {
            let mode = &attachment.mode;
            if self.network.len() > 1 && mode.network().is_none() {
                let what = "conflicting options: cannot attach both user-defined and non-user-defined network-modes";
                return Err(Error::invalid(what).help(format!("--network {mode} excludes every other one")));
            }
            if self.network[..index].iter().any(|other| other.mode == *mode) {
                return Err(Error::invalid(format!(
                    "network {mode:?} is specified multiple times",
                    mode = mode.to_string()
                ))
                .help("name each network once; --network-alias gives it several names"));
            }
        }
        let aliased =
            self.attachments().into_iter().find(|one| one.mode == Mode::Bridge && !one.options.aliases.is_empty());
        match aliased {
            Some(_) => {
                Err(Error::invalid("network-scoped alias is supported only for containers in user defined networks")
                    .help("`network create NAME`, then --network NAME"))
            }
            None => Ok(()),
        }
    }
}

/// A line for `/etc/hosts`: `NAME:IP` or `NAME=IP`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtraHost {
    /// The name.
    pub name: String,
    /// Its address; none means the host's, as the container sees it (`host-gateway`).
    pub address: Option<IpAddr>,
}

impl FromStr for ExtraHost {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let fail = |why: &str| {
            Error::invalid(format!("add-host {text}: {why}"))
                .help("the form is NAME:IP, or NAME:host-gateway for the host")
        };
        // The first mark ends the name: an IPv6 address has colons itself.
        let at = text.find(['=', ':']).ok_or_else(|| fail("no address"))?;
        let (name, address) = (&text[..at], &text[at + 1..]);
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)) {
            return Err(fail("a host name is made of letters, digits, dots, hyphens and underscores"));
        }
        let address = match address {
            "host-gateway" => None,
            _ => Some(
                address
                    .trim_start_matches('[')
                    .trim_end_matches(']')
                    .parse()
                    .map_err(|_| fail(&format!("{address:?} is no IP address")))?,
            ),
        };
        Ok(Self { name: name.to_owned(), address })
    }
}

impl fmt::Display for ExtraHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(address) => write!(f, "{}:{address}", self.name),
            None => write!(f, "{}:host-gateway", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extra_hosts() {
        let table = [
            ("db:10.0.0.1", "db:10.0.0.1"),
            ("db=10.0.0.1", "db:10.0.0.1"),
            ("db:::1", "db:::1"),
            ("db:[::1]", "db:::1"),
            ("host.docker.internal:host-gateway", "host.docker.internal:host-gateway"),
        ];
        for (text, expected) in table {
            assert_eq!(text.parse::<ExtraHost>().unwrap().to_string(), expected);
        }
        for wrong in ["db", "db:", ":10.0.0.1", "db:10.0.0", "d b:10.0.0.1", "db\n:10.0.0.1"] {
            let error = wrong.parse::<ExtraHost>().unwrap_err();
            assert!(error.way_out().unwrap().contains("NAME:IP"), "{wrong}");
        }
    }

    #[test]
    fn options_that_would_do_nothing_are_refused() {
        let publish = vec!["80".parse().unwrap()];
        let args = NetworkArgs { network: vec!["host".parse().unwrap()], publish, ..Default::default() };
        assert!(args.check().unwrap_err().what().starts_with("--publish with --network host"));
        let dns = vec![IpAddr::from([9, 9, 9, 9])];
        let args = NetworkArgs { network: vec!["container:web".parse().unwrap()], dns, ..Default::default() };
        assert!(args.check().unwrap_err().what().starts_with("--dns with --network container:web"));
        assert!(NetworkArgs::default().check().is_ok());
    }

    #[test]
    fn several_networks() {
        let args = |networks: &[&str]| {
            let network = networks.iter().map(|text| text.parse().unwrap()).collect();
            NetworkArgs { network, ..Default::default() }
        };
        assert!(args(&["red", "name=blue,alias=b"]).check().is_ok());
        assert!(args(&["bridge", "blue"]).check().is_ok());
        for (networks, why) in [
            (&["host", "blue"][..], "conflicting options"),
            (&["blue", "container:web"], "conflicting options"),
            (&["blue", "blue"], "multiple times"),
            (&["name=bridge,alias=a"], "network-scoped alias"),
            (&["name=none,alias=a"], "the long form with --network none"),
        ] {
            assert!(args(networks).check().unwrap_err().what().contains(why), "{networks:?}");
        }
        let first =
            NetworkArgs { network_alias: vec!["a".into()], ip6: "fd00::9".parse().ok(), ..args(&["red", "blue"]) };
        let all = first.attachments();
        assert_eq!((all[0].options.aliases.len(), all[1].options.aliases.len()), (1, 0));
        let both = NetworkArgs { network_alias: vec!["a".into()], ..args(&["name=red,alias=b"]) };
        assert!(both.check().unwrap_err().what().contains("both --network-alias and per-network network-alias"));
    }
}
