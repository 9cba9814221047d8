//! `/etc/resolv.conf`: the host's, made to fit, or what the options say (resolv.conf(5)).

use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;

use process::explain;

use crate::{NetworkArgs, dns};

/// Asked when the host has no name server that a container could reach (as Docker does).
const PUBLIC: [&str; 2] = ["8.8.8.8", "8.8.4.4"];
/// systemd-resolved keeps the real name servers here and puts 127.0.0.53 into /etc/resolv.conf.
const RESOLVED: &str = "/run/systemd/resolve/resolv.conf";

/// A resolver's configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resolv {
    /// Addresses, as written: IPv6 ones may have a zone (`fe80::1%eth0`).
    pub nameservers: Vec<String>,
    /// Domains in which short names are looked up.
    pub search: Vec<String>,
    /// `ndots:2` and the like.
    pub options: Vec<String>,
}

/// Which of the host's name servers a container can reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// All: it is in the host's network namespace.
    Host,
    /// Those of IPv4 that are not on the loopback link.
    Ipv4,
    /// As [`Ipv4`](Self::Ipv4), and at this address a forwarder to the host's own.
    Forwarded(IpAddr),
    /// All: the [name server](crate::dns) of its own asks them from the host's network namespace.
    Embedded,
}

impl Resolv {
    /// What a container shall use: the options first, the host's where they say nothing.
    pub fn new(args: &NetworkArgs, reach: &Reach) -> Self {
        let read = |path| fs::read_to_string(path).map(|text| Self::parse(&text)).unwrap_or_default();
        let mut resolv = read("/etc/resolv.conf");
        if args.dns.is_empty() && *reach != Reach::Host {
            resolv.nameservers = reachable(&resolv, &read(RESOLVED), reach);
        }
        resolv.apply(args);
        resolv
    }

    /// Reads the format of resolv.conf(5); of `domain` and `search` the last one counts.
    pub fn parse(text: &str) -> Self {
        let mut resolv = Self::default();
        for line in text.lines() {
            let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty()).map(str::to_owned);
            match words.next().as_deref() {
                Some("nameserver") => resolv.nameservers.extend(words.next()),
                Some("search" | "domain") => resolv.search = words.collect(),
                Some("options") => resolv.options.extend(words),
                _ => {}
            }
        }
        resolv
    }

    /// Has all questions go to the [name server](crate::dns) inside the container. Names of neighbours have no dot, and
    /// are asked as they are first, unless somebody wanted it otherwise.
    pub fn embed(&mut self) {
        self.nameservers = vec![dns::ADDRESS.to_string()];
        if !self.options.iter().any(|option| option.starts_with("ndots:")) {
            self.options.push("ndots:0".to_owned());
        }
    }

    fn apply(&mut self, args: &NetworkArgs) {
        if !args.dns.is_empty() {
            self.nameservers = args.dns.iter().map(ToString::to_string).collect();
        }
        if !args.dns_search.is_empty() {
            self.search = args.dns_search.iter().filter(|domain| *domain != ".").cloned().collect();
        }
        if !args.dns_option.is_empty() {
            self.options.clone_from(&args.dns_option);
        }
    }

    /// The file.
    pub fn render(&self) -> String {
        let mut text = String::new();
        for server in &self.nameservers {
            let _ = writeln!(text, "nameserver {server}");
        }
        for (keyword, words) in [("search", &self.search), ("options", &self.options)] {
            if !words.is_empty() {
                let _ = writeln!(text, "{keyword} {}", words.join(" "));
            }
        }
        text
    }
}

/// The name servers that a container with a network namespace of its own can reach.
fn reachable(host: &Resolv, resolved: &Resolv, reach: &Reach) -> Vec<String> {
    if *reach == Reach::Embedded && !host.nameservers.is_empty() {
        return host.nameservers.clone();
    }
    let usable = |resolv: &Resolv| -> Vec<String> {
        resolv.nameservers.iter().filter(|server| is_remote_ipv4(server)).cloned().collect()
    };
    let found = [usable(host), usable(resolved)].into_iter().find(|servers| !servers.is_empty());
    found.unwrap_or_else(|| match reach {
        Reach::Forwarded(forwarder) => vec![forwarder.to_string()],
        _ => {
            explain!(6, "the host's name server answers only itself", "nameserver {} instead", PUBLIC[0]);
            PUBLIC.map(str::to_owned).to_vec()
        }
    })
}

fn is_remote_ipv4(server: &str) -> bool {
    matches!(server.parse(), Ok(IpAddr::V4(address)) if !address.is_loopback() && !address.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn servers(host: &[&str], resolved: &[&str], reach: &Reach) -> Vec<String> {
        let resolv = |servers: &[&str]| Resolv {
            nameservers: servers.iter().map(|&server| server.to_owned()).collect(),
            ..Resolv::default()
        };
        reachable(&resolv(host), &resolv(resolved), reach)
    }

    #[test]
    fn loopback_resolvers_are_replaced() {
        assert_eq!(servers(&["192.0.2.1", "127.0.0.1"], &[], &Reach::Ipv4), ["192.0.2.1"]);
        assert_eq!(servers(&["127.0.0.53"], &["192.0.2.9"], &Reach::Ipv4), ["192.0.2.9"]);
        assert_eq!(servers(&["127.0.0.53", "::1", "2001:db8::1"], &[], &Reach::Ipv4), PUBLIC);
        assert_eq!(servers(&[], &[], &Reach::Ipv4), PUBLIC);
        assert_eq!(servers(&["127.0.0.53", "::1"], &[], &Reach::Embedded), ["127.0.0.53", "::1"]);
        assert_eq!(servers(&[], &[], &Reach::Embedded), PUBLIC);
        let forwarder = Reach::Forwarded("169.254.1.1".parse().unwrap());
        assert_eq!(servers(&["127.0.0.53"], &[], &forwarder), ["169.254.1.1"]);
        assert_eq!(servers(&["192.0.2.1"], &[], &forwarder), ["192.0.2.1"]);
    }

    #[test]
    fn search_and_options_are_kept_or_replaced() {
        let text = "# made by hand\nnameserver 192.0.2.1\ndomain old\nsearch\ta.test b.test\noptions ndots:2 rotate\n";
        let mut resolv = Resolv::parse(text);
        let kept = "nameserver 192.0.2.1\nsearch a.test b.test\noptions ndots:2 rotate\n";
        assert_eq!(resolv.render(), kept);
        resolv.apply(&NetworkArgs::default());
        assert_eq!(resolv.render(), kept);
        resolv.apply(&NetworkArgs {
            dns: vec![IpAddr::from([9, 9, 9, 9])],
            dns_search: vec![".".into()],
            dns_option: vec!["ndots:1".into()],
            ..Default::default()
        });
        assert_eq!(resolv.render(), "nameserver 9.9.9.9\noptions ndots:1\n");
    }
}
