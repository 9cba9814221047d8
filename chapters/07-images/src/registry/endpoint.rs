//! Where a registry answers, and whether the way there must be encrypted.

use std::net::IpAddr;

use crate::reference::DOCKER_HUB;

/// Docker Hub's registry has another name than its images (moby, registry/config.go, `DefaultV2Registry`).
const DOCKER_HUB_REGISTRY: &str = "registry-1.docker.io";

/// How the way to a registry is protected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// TLS, and the certificate is verified.
    Verified,
    /// TLS if the registry has it, whoever signed its certificate; plain HTTP otherwise.
    Insecure,
    /// Plain HTTP.
    Plain,
}

/// Host and port of a registry, and the way there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    authority: String,
    way: Way,
}

impl Endpoint {
    /// The endpoint of a registry. Without a word in registries.conf (`insecure`), plain HTTP is for this
    /// very machine only, and not even here if a CA for the registry is `known`: then it speaks TLS.
    pub fn of(domain: &str, insecure: Option<bool>, known: bool) -> Self {
        let authority = if domain == DOCKER_HUB { DOCKER_HUB_REGISTRY } else { domain };
        let way = match insecure {
            Some(true) => Way::Insecure,
            None if is_loopback(authority) && !known => Way::Plain,
            _ => Way::Verified,
        };
        Self { authority: authority.to_owned(), way }
    }

    /// Host, and port if there is one.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The way there.
    pub fn way(&self) -> Way {
        self.way
    }

    /// May a password for it be sent to `authority` without encryption? Within this machine, and to an
    /// insecure registry itself: whoever declared it so has decided that.
    pub fn takes_plain(&self, authority: &str) -> bool {
        let within = is_loopback(authority) && is_loopback(&self.authority);
        within || (self.way == Way::Insecure && host(authority) == host(&self.authority))
    }
}

/// Does host, or host and port, mean this machine: 127.0.0.0/8, `::1`, `localhost`?
pub fn is_loopback(authority: &str) -> bool {
    let host = host(authority);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The host without port and brackets.
pub fn host(authority: &str) -> &str {
    if let Some(rest) = authority.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    authority.split(':').next().unwrap_or(authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_http_is_for_this_machine_only() {
        let way = |domain: &str| Endpoint::of(domain, None, false).way();
        for here in ["127.0.0.1:5000", "127.9.9.9", "[::1]:5000", "localhost:5000"] {
            assert_eq!(way(here), Way::Plain, "{here}");
        }
        for there in ["docker.io", "10.0.0.1:5000", "localhost.example.com", "127.0.0.1.example.com"] {
            assert_eq!(way(there), Way::Verified, "{there}");
        }
        assert_eq!(Endpoint::of("docker.io", None, false).authority(), "registry-1.docker.io");
    }

    #[test]
    fn what_was_set_up_comes_first() {
        let way = |domain: &str, insecure, known| Endpoint::of(domain, insecure, known).way();
        assert_eq!(way("127.0.0.1:5000", Some(false), false), Way::Verified);
        assert_eq!(way("127.0.0.1:5000", None, true), Way::Verified);
        assert_eq!(way("127.0.0.1:5000", Some(true), true), Way::Insecure);
        assert_eq!(way("10.0.0.1", Some(true), false), Way::Insecure);
        let insecure = Endpoint::of("10.0.0.1:5000", Some(true), false);
        assert!(insecure.takes_plain("10.0.0.1:5001") && !insecure.takes_plain("127.0.0.1"));
        assert!(!Endpoint::of("10.0.0.1", None, false).takes_plain("10.0.0.1"));
    }
}
