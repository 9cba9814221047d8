//! `--publish`: which port of the host leads to which port of the container.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::str::FromStr;

use process::{Error, Result};
use serde::{Deserialize, Serialize};

/// A transport protocol that has ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// Connections.
    Tcp,
    /// Datagrams.
    Udp,
}

/// One published port: what arrives at `host_ip:host_port` goes to `container_port`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// The transport protocol.
    pub protocol: Protocol,
    /// The address of the host that listens; 0.0.0.0 is every IPv4 address, `::` every IPv6 address.
    pub host_ip: IpAddr,
    /// The port on the host.
    pub host_port: u16,
    /// The port in the container.
    pub container_port: u16,
}

/// What the host side of a port may be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostPort {
    /// Whichever is free, the kernel's choice.
    Any,
    /// The first free one of these.
    FirstOf(RangeInclusive<u16>),
}

/// One `--publish` option, ranges expanded: host ports that are still to be found free.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The transport protocol.
    pub protocol: Protocol,
    /// The address of the host that listens; none: every address by which the container can be reached.
    pub host_ip: Option<IpAddr>,
    /// The port on the host.
    pub host: HostPort,
    /// The port in the container.
    pub container_port: u16,
}

/// A `--publish` option: `[IP:][HOST]:CONTAINER[/tcp|udp]` or `CONTAINER`, ports or ranges of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publish(pub Vec<Wanted>);

const FORM: &str =
    "the form is [IP:][HOST]:CONTAINER[/tcp|udp], for example 8080:80, 127.0.0.1::80, [::1]:8080:80 or 53:53/udp";

impl FromStr for Publish {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let fail = |why: String| Error::invalid(format!("publish {text}: {why}")).help(FORM);
        let (rest, protocol) = match text.rsplit_once('/') {
            Some((rest, name)) => (rest, name.parse().map_err(fail)?),
            None => (text, Protocol::Tcp),
        };
        let (host_ip, host, container) = split(rest).map_err(fail)?;
        let container = range(container).map_err(fail)?;
        // As for bind(2), 0 means whichever is free.
        let host = if matches!(host, "" | "0") { None } else { Some(range(host).map_err(fail)?) };
        let length = container.len();
        let wanted = |(offset, container_port): (usize, u16)| {
            let host = match &host {
                None => HostPort::Any,
                // One port of the container and several of the host: the first free one (as Docker does).
                Some(range) if length == 1 => HostPort::FirstOf(range.clone()),
                Some(range) => {
                    let port = range.start() + offset as u16;
                    HostPort::FirstOf(port..=port)
                }
            };
            Wanted { protocol, host_ip, host, container_port }
        };
        if let Some(host) = &host
            && length > 1
            && host.len() != length
        {
            return Err(fail(format!("{} ports of the host for {length} of the container", host.len())));
        }
        Ok(Self(container.enumerate().map(wanted).collect()))
    }
}

/// Takes `IP:HOST:CONTAINER` apart; the address comes out parsed. An empty one, or `*`, is none.
fn split(text: &str) -> Result<(Option<IpAddr>, &str, &str), String> {
    let Some((front, container)) = text.rsplit_once(':') else {
        return Ok((None, "", text));
    };
    let Some((ip, host)) = front.rsplit_once(':') else {
        return Ok((None, front, container));
    };
    let bare = ip.strip_prefix('[').and_then(|ip| ip.strip_suffix(']')).unwrap_or(ip);
    match bare.parse() {
        _ if matches!(ip, "" | "*") => Ok((None, host, container)),
        Ok(ip) => Ok((Some(ip), host, container)),
        Err(_) => Err(format!("{ip:?} is no IP address")),
    }
}

/// `80` or `8000-8010`
fn range(text: &str) -> Result<RangeInclusive<u16>, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    if first > last {
        return Err(format!("the range {text} runs backwards"));
    }
    Ok(first..=last)
}

fn port(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(port) if port > 0 && !text.starts_with('+') => Ok(port),
        _ => Err(format!("{text:?} is no port; ports are 1 to 65535")),
    }
}

impl FromStr for Protocol {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "tcp" | "TCP" => Ok(Self::Tcp),
            "udp" | "UDP" => Ok(Self::Udp),
            _ => Err(format!("{text:?} is no protocol that can be published; tcp and udp can")),
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

impl fmt::Display for Port {
    /// As `docker ps` shows it: `0.0.0.0:8080->80/tcp`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}->{}/{}", self.host(), self.container_port, self.protocol)
    }
}

impl Port {
    /// Where it listens: `0.0.0.0:8080`, `[::]:8080`.
    pub fn host(&self) -> SocketAddr {
        SocketAddr::new(self.host_ip, self.host_port)
    }

    /// Would both listen at the same place?
    pub fn collides(&self, other: &Self) -> bool {
        let everywhere = self.host_ip.is_unspecified() || other.host_ip.is_unspecified();
        self.protocol == other.protocol
            && self.host_port == other.host_port
            && self.host_ip.is_ipv4() == other.host_ip.is_ipv4()
            && (everywhere || self.host_ip == other.host_ip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `ip host->container/protocol`, one for each port.
    fn show(text: &str) -> String {
        let publish: Publish = text.parse().unwrap();
        let one = |wanted: &Wanted| {
            let host = match &wanted.host {
                HostPort::Any => "*".to_owned(),
                HostPort::FirstOf(range) if range.len() == 1 => range.start().to_string(),
                HostPort::FirstOf(range) => format!("{}-{}", range.start(), range.end()),
            };
            let ip = wanted.host_ip.map_or("*".to_owned(), |ip| ip.to_string());
            format!("{ip} {host}->{}/{}", wanted.container_port, wanted.protocol)
        };
        publish.0.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn every_form_that_docker_knows() {
        let table = [
            ("80", "* *->80/tcp"),
            (":80", "* *->80/tcp"),
            ("0:80", "* *->80/tcp"),
            ("::80", "* *->80/tcp"),
            ("8080:80", "* 8080->80/tcp"),
            ("53:5353/udp", "* 53->5353/udp"),
            ("0.0.0.0:8080:80", "0.0.0.0 8080->80/tcp"),
            ("127.0.0.1:8080:80", "127.0.0.1 8080->80/tcp"),
            ("127.0.0.1::80/UDP", "127.0.0.1 *->80/udp"),
            ("127.0.0.1:0:80", "127.0.0.1 *->80/tcp"),
            ("[::1]:8080:80", "::1 8080->80/tcp"),
            ("[::]::80", ":: *->80/tcp"),
            ("2001:db8::1:8080:80", "2001:db8::1 8080->80/tcp"),
            ("8000-8001:9000-9001", "* 8000->9000/tcp, * 8001->9001/tcp"),
            ("80-81", "* *->80/tcp, * *->81/tcp"),
            ("8000-8010:80", "* 8000-8010->80/tcp"),
            ("65535:65535", "* 65535->65535/tcp"),
        ];
        for (text, expected) in table {
            assert_eq!(show(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        let table = [
            ("", r#""" is no port"#),
            ("0", r#""0" is no port"#),
            ("0-9:80", r#""0" is no port"#),
            ("65536:80", r#""65536" is no port"#),
            ("+80:80", r#""+80" is no port"#),
            ("80:http", r#""http" is no port"#),
            ("80:", r#""" is no port"#),
            ("80:80/sctp", r#""sctp" is no protocol"#),
            ("host:80:80", r#""host" is no IP address"#),
            ("[::1:80:80", r#""[::1" is no IP address"#),
            ("[192.0.2.1::]:80:80", r#"is no IP address"#),
            ("8010-8000:80", "runs backwards"),
            ("8000-8002:80-81", "3 ports of the host for 2"),
            ("8000:80-81", "1 ports of the host for 2"),
        ];
        for (text, expected) in table {
            let error = text.parse::<Publish>().unwrap_err();
            assert!(error.what().contains(expected), "{text}: {error}");
            assert_eq!(error.way_out(), Some(FORM));
        }
    }

    #[test]
    fn an_address_collides_with_every_address() {
        let port =
            |ip: &str, protocol| Port { protocol, host_ip: ip.parse().unwrap(), host_port: 80, container_port: 1 };
        let tcp = |ip| port(ip, Protocol::Tcp);
        assert!(tcp("0.0.0.0").collides(&tcp("127.0.0.1")));
        assert!(tcp("127.0.0.1").collides(&tcp("127.0.0.1")));
        assert!(!tcp("127.0.0.1").collides(&tcp("127.0.0.2")));
        assert!(!tcp("0.0.0.0").collides(&port("0.0.0.0", Protocol::Udp)));
        assert!(!tcp("0.0.0.0").collides(&tcp("::")));
        assert!(tcp("::1").collides(&tcp("::")));
    }
}
