//! `--network`: which network the container sees.

use std::fmt;
use std::str::FromStr;

use process::{Error, Result};

use crate::Network;

/// The kind of network that a container is given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Mode {
    /// A network namespace of its own, joined to the engine's bridge (as root) or to a [carrier](crate::carrier) (without).
    #[default]
    Bridge,
    /// A network namespace of its own with nothing but the loopback link.
    None,
    /// The host's network namespace.
    Host,
    /// The network namespace of another container, given by name or id.
    Container(String),
    /// A network that a person has made, by name or id.
    Named(String),
}

impl Mode {
    /// The network's name, if it is a network that several containers share by a link each.
    pub fn network(&self) -> Option<&str> {
        match self {
            Self::Bridge => Some(Network::DEFAULT),
            Self::Named(name) => Some(name),
            _ => None,
        }
    }
}

impl FromStr for Mode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once(':') {
            Some(("container", "")) => {
                Err(Error::invalid("network container: names no container")
                    .help("write container:NAME or container:ID"))
            }
            Some(("container", name)) => Ok(Self::Container(name.to_owned())),
            _ => match text {
                "bridge" | "default" => Ok(Self::Bridge),
                "none" => Ok(Self::None),
                "host" => Ok(Self::Host),
                "" => Err(Error::invalid("no network is called \"\"").help("leave out --network for the default one")),
                _ => Ok(Self::Named(text.to_owned())),
            },
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bridge => f.write_str("bridge"),
            Self::None => f.write_str("none"),
            Self::Host => f.write_str("host"),
            Self::Container(name) => write!(f, "container:{name}"),
            Self::Named(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kinds() {
        for text in ["bridge", "none", "host", "container:web", "blue"] {
            assert_eq!(text.parse::<Mode>().unwrap().to_string(), text);
        }
        assert_eq!("default".parse::<Mode>().unwrap(), Mode::Bridge);
        assert!("container:".parse::<Mode>().unwrap_err().what().contains("names no container"));
        assert_eq!("blue".parse::<Mode>().unwrap(), Mode::Named("blue".into()));
        assert!("".parse::<Mode>().is_err());
    }
}
