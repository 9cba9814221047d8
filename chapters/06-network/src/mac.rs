//! Hardware addresses: `--mac-address`, and the one that belongs to an IPv4 address.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use process::{Error, Result};
use serde::{Deserialize, Serialize};

/// An Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// `02:42` and the four bytes of the address, as Docker does: locally administered, and distinct
    /// wherever the addresses are, so that no neighbour remembers a wrong pair.
    pub fn of(address: Ipv4Addr) -> Self {
        let [a, b, c, d] = address.octets();
        Self([0x02, 0x42, a, b, c, d])
    }
}

impl FromStr for Mac {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let fail = |why| {
            Error::invalid(format!("{text:?} is no hardware address: {why}")).help("for example 02:42:ac:11:00:02")
        };
        let mut bytes = [0; 6];
        let mut parts = text.split([':', '-']);
        for byte in &mut bytes {
            let part =
                parts.next().filter(|part| part.len() == 2).ok_or_else(|| fail("it has six bytes of two digits"))?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| fail("the digits are 0 to 9 and a to f"))?;
        }
        match parts.next() {
            Some(_) => Err(fail("it has six bytes of two digits")),
            None if bytes[0] & 1 == 1 => Err(fail("the first byte is odd, which means a group of receivers")),
            None if bytes == [0; 6] => Err(fail("all zeroes is nobody")),
            None => Ok(Self(bytes)),
        }
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl TryFrom<String> for Mac {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Mac> for String {
    fn from(mac: Mac) -> Self {
        mac.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        assert_eq!(Mac::of(Ipv4Addr::new(172, 17, 0, 2)).to_string(), "02:42:ac:11:00:02");
        assert_eq!("02-42-AC-11-00-02".parse::<Mac>().unwrap(), Mac::of(Ipv4Addr::new(172, 17, 0, 2)));
        for wrong in
            ["", "02:42", "02:42:ac:11:00:02:03", "03:42:ac:11:00:02", "00:00:00:00:00:00", "zz:42:ac:11:00:02"]
        {
            assert!(wrong.parse::<Mac>().is_err(), "{wrong}");
        }
    }
}
