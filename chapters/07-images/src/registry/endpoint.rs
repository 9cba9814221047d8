//! Where a registry answers, and whether the way there must be encrypted.

use std::net::IpAddr;

use crate::reference::DOCKER_HUB;

/// Docker Hub's registry has another name than its images (moby, registry/config.go, `DefaultV2Registry`).
const DOCKER_HUB_REGISTRY: &str = "registry-1.docker.io";

/// Scheme, host and port of a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    scheme: &'static str,
    authority: String,
}

impl Endpoint {
    /// The endpoint of the registry that a reference names. Plain HTTP is for this very machine only.
    pub fn of(domain: &str) -> Self {
        let authority = if domain == DOCKER_HUB { DOCKER_HUB_REGISTRY } else { domain };
        let scheme = if is_loopback(authority) { "http" } else { "https" };
        Self { scheme, authority: authority.to_owned() }
    }

    /// `https://registry-1.docker.io`
    pub fn base(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }

    /// Host, and port if there is one.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Is it this machine?
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.authority)
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
        let base = |domain: &str| Endpoint::of(domain).base();
        assert_eq!(base("docker.io"), "https://registry-1.docker.io");
        assert_eq!(base("127.0.0.1:5000"), "http://127.0.0.1:5000");
        assert_eq!(base("127.9.9.9"), "http://127.9.9.9");
        assert_eq!(base("[::1]:5000"), "http://[::1]:5000");
        assert_eq!(base("localhost:5000"), "http://localhost:5000");
        assert_eq!(base("10.0.0.1:5000"), "https://10.0.0.1:5000");
        assert_eq!(base("localhost.example.com"), "https://localhost.example.com");
        assert_eq!(base("127.0.0.1.example.com"), "https://127.0.0.1.example.com");
    }
}
