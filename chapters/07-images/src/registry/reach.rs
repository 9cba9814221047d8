//! Who can reach an address, and a resolver that takes care where a redirect's name leads.
//!
//! Whoever owns a name decides what it resolves to. So the addresses are judged, all of them, after the name has been
//! looked up, and those that were judged are connected to: nobody looks the name up again.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use process::{Error, Kind};
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use super::endpoint::{host, is_loopback};
use super::redirect::authority;

/// What to do if a redirect is refused.
pub const WAY_OUT: &str =
    "if that is right, call the registry by an address of the same network, or pull without a login";

/// Who can reach an address, from the fewest to the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// This machine, or its neighbours on one link: 169.254.169.254 gives out a cloud machine's keys.
    Own,
    /// An organisation's network (RFC 1918, RFC 4193, RFC 6598).
    Private,
    /// Everybody.
    Anywhere,
}

impl Reach {
    /// What the text of host and port tells; a name may still lead anywhere.
    pub fn of(authority: &str) -> Self {
        match host(authority).parse() {
            _ if is_loopback(authority) => Self::Own,
            Ok(address) => Self::of_address(address),
            Err(_) => Self::Anywhere,
        }
    }

    fn of_address(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => of_v4(address),
            IpAddr::V6(address) => of_v6(address),
        }
    }
}

fn of_v4(address: Ipv4Addr) -> Reach {
    let shared = address.octets()[0] == 100 && address.octets()[1] & 0xc0 == 64;
    if address.is_loopback() || address.is_link_local() || address.is_unspecified() {
        Reach::Own
    } else if address.is_private() || shared {
        Reach::Private
    } else {
        Reach::Anywhere
    }
}

fn of_v6(address: Ipv6Addr) -> Reach {
    match address.to_ipv4_mapped() {
        Some(mapped) => of_v4(mapped),
        None if address.is_loopback() || address.is_unspecified() || address.is_unicast_link_local() => Reach::Own,
        None if address.is_unique_local() => Reach::Private,
        None => Reach::Anywhere,
    }
}

/// Where a name may lead, besides to where everybody can go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Guard {
    /// To this machine, or to this link alone?
    pub own: bool,
    /// To a private network?
    pub private: bool,
}

impl Guard {
    /// Anywhere: a person named it.
    pub const OFF: Self = Self { own: true, private: true };

    /// For a redirect by somebody who is there himself. `secret`: he knows our credentials.
    pub fn against(redirecting: Reach, secret: bool) -> Self {
        Self { own: redirecting == Reach::Own, private: redirecting == Reach::Private || !secret }
    }

    /// Why a destination is out of bounds, if it is.
    pub fn refuses(self, reach: Reach) -> Option<&'static str> {
        match reach {
            Reach::Own if !self.own => Some("an address of this machine or this link alone"),
            Reach::Private if !self.private => Some("a private address, while it knows our credentials"),
            _ => None,
        }
    }
}

/// What names have led to so far, by host and port: the widest of their addresses.
#[derive(Debug, Clone, Default)]
pub struct Known(Arc<Mutex<HashMap<String, Reach>>>);

impl Known {
    /// Who can reach that host. Behind a proxy, which looks names up itself, only what the text tells.
    pub fn reach(&self, authority: &str) -> Reach {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(authority).copied().unwrap_or_else(|| Reach::of(authority))
    }

    fn learn(&self, authority: &str, addresses: &[SocketAddr]) {
        if let Some(widest) = addresses.iter().map(|address| Reach::of_address(address.ip())).max() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(authority.to_owned(), widest);
        }
    }
}

/// The system's resolver, and the guard over what it says of one host.
#[derive(Debug)]
pub struct Guarded {
    /// Host and port that the guard is for. A proxy's name is the user's own choice.
    pub authority: String,
    /// What it lets pass.
    pub guard: Guard,
    /// Where to note what came.
    pub known: Known,
    /// Who looks names up.
    pub system: DefaultResolver,
}

impl Resolver for Guarded {
    fn resolve(&self, uri: &Uri, config: &Config, timeout: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let addresses = self.system.resolve(uri, config, timeout)?;
        if authority(uri) != self.authority {
            return Ok(addresses);
        }
        let ips = addresses.iter().map(SocketAddr::ip);
        let refused = ips.map(|ip| (ip, self.guard.refuses(Reach::of_address(ip)))).find(|(_, why)| why.is_some());
        if let Some((address, Some(why))) = refused {
            let what = format!("the registry redirects to {}, which is {address}: {why}", self.authority);
            let error = Error::new(Kind::Unavailable, what).help(WAY_OUT);
            return Err(ureq::Error::Io(std::io::Error::other(error)));
        }
        self.known.learn(&self.authority, &addresses);
        Ok(addresses)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_judged_and_the_widest_counts() {
        let of = |address: &str| Reach::of_address(address.parse().unwrap());
        for own in ["127.0.0.53", "::1", "169.254.169.254", "fe80::1", "0.0.0.0", "::", "::ffff:127.0.0.1"] {
            assert_eq!(of(own), Reach::Own, "{own}");
        }
        for private in ["10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "fd00::1", "::ffff:10.0.0.1"] {
            assert_eq!(of(private), Reach::Private, "{private}");
        }
        for public in ["9.9.9.9", "100.128.0.1", "2620:fe::fe"] {
            assert_eq!(of(public), Reach::Anywhere, "{public}");
        }
        let known = Known::default();
        let addresses = |list: &[&str]| list.iter().map(|text| SocketAddr::new(text.parse().unwrap(), 443)).collect();
        let both: Vec<_> = addresses(&["10.0.0.1", "9.9.9.9"]);
        known.learn("both.test", &both);
        let inside: Vec<_> = addresses(&["10.0.0.1", "127.0.0.1"]);
        known.learn("inside.test", &inside);
        assert_eq!((known.reach("both.test"), known.reach("inside.test")), (Reach::Anywhere, Reach::Private));
        assert_eq!((known.reach("other.test"), known.reach("10.0.0.1:5000")), (Reach::Anywhere, Reach::Private));
    }
}
