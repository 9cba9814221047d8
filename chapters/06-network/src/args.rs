//! The options of this chapter, as `docker run` has them.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use clap::Args;
use process::{Error, Result};

use crate::{Mac, Mode, Publish, Wanted};

/// Options about the container's network.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Network options")]
pub struct NetworkArgs {
    /// bridge, none, host or container:NAME|ID [default: bridge]
    #[arg(long, alias = "net", value_name = "NETWORK")]
    pub network: Option<Mode>,
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
    /// Take this hardware address [default: one that belongs to the address]
    #[arg(long, value_name = "MAC")]
    pub mac_address: Option<Mac>,
}

impl NetworkArgs {
    /// The kind of network asked for.
    pub fn mode(&self) -> Mode {
        self.network.clone().unwrap_or_default()
    }

    /// Every port asked for, ranges expanded.
    pub fn ports(&self) -> Vec<Wanted> {
        self.publish.iter().flat_map(|publish| publish.0.iter().cloned()).collect()
    }

    /// Is there an option that is of no use without a network?
    pub fn needs_network(&self) -> bool {
        !self.publish.is_empty() || self.ip.is_some() || self.mac_address.is_some()
    }

    /// Refuses options that contradict the kind of network, instead of ignoring them.
    ///
    /// # Errors
    /// Names the option and the network.
    pub fn check(&self) -> Result<()> {
        let mode = self.mode();
        let refuse = |option: &str, why: &str| {
            let help = format!("leave out {option}, or use --network bridge");
            Err(Error::invalid(format!("{option} with --network {mode}: {why}")).help(help))
        };
        if mode != Mode::Bridge {
            let why = match mode {
                Mode::Host => "the container's ports are the host's already",
                Mode::Container(_) => "ports, addresses and names are those of the other container",
                _ => "there is no network to reach it by",
            };
            for (option, given) in [
                ("--publish", !self.publish.is_empty()),
                ("--ip", self.ip.is_some()),
                ("--mac-address", self.mac_address.is_some()),
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
        let args = NetworkArgs { network: Some(Mode::Host), publish, ..Default::default() };
        assert!(args.check().unwrap_err().what().starts_with("--publish with --network host"));
        let dns = vec![IpAddr::from([9, 9, 9, 9])];
        let args = NetworkArgs { network: Some(Mode::Container("web".into())), dns, ..Default::default() };
        assert!(args.check().unwrap_err().what().starts_with("--dns with --network container:web"));
        assert!(NetworkArgs::default().check().is_ok());
    }
}
