//! What a network is made of: `network create --driver`.

use std::fmt;
use std::str::FromStr;

use process::{Error, Result};
use serde::{Deserialize, Serialize};

/// The kinds of network that a person can make.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Driver {
    /// A bridge of its own, with NAT.
    #[default]
    Bridge,
    /// Links of a parent link's wire, each with a hardware address of its own.
    Macvlan,
    /// Links of a parent link, all with its hardware address.
    Ipvlan,
    /// A bridge whose wire goes on to other hosts, in UDP packets.
    Vxlan,
}

impl Driver {
    /// Is there a bridge of ours on this host, with a gateway's address and rules?
    pub fn is_bridged(self) -> bool {
        matches!(self, Self::Bridge | Self::Vxlan)
    }
}

impl FromStr for Driver {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "bridge" => Ok(Self::Bridge),
            "macvlan" => Ok(Self::Macvlan),
            "ipvlan" => Ok(Self::Ipvlan),
            "vxlan" => Ok(Self::Vxlan),
            "overlay" => Err(Error::unsupported("driver overlay: it belongs to Docker's swarm")
                .help("a network across hosts is made with --driver vxlan")),
            "host" | "null" | "none" => {
                Err(Error::invalid(format!("only one instance of \"{text}\" network is allowed"))
                    .help("it is there already: run --network host, run --network none"))
            }
            _ => Err(Error::not_found(format!("plugin {text:?} not found"))
                .help("the drivers are bridge, macvlan, ipvlan and vxlan")),
        }
    }
}

impl fmt::Display for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bridge => "bridge",
            Self::Macvlan => "macvlan",
            Self::Ipvlan => "ipvlan",
            Self::Vxlan => "vxlan",
        })
    }
}
