//! One `--network` option: a network, and what is asked of the place in it.

use std::fmt;
use std::str::FromStr;

use process::{Error, Result};

use crate::{EndpointOptions, Mode};

/// `NETWORK`, or in long form `name=NETWORK,alias=…,ip=…,ip6=…,mac-address=…,gw-priority=…`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Attachment {
    /// The network.
    pub mode: Mode,
    /// What is asked of the place in it.
    pub options: EndpointOptions,
}

/// The one driver option that Docker has for endpoints of bridges: the link's name inside.
const IFNAME: &str = "com.docker.network.endpoint.ifname";
const FORM: &str =
    "the long form is name=NETWORK,alias=NAME,ip=ADDRESS,ip6=ADDRESS,mac-address=ADDRESS,gw-priority=NUMBER";

impl FromStr for Attachment {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // `container:NAME` has no `=`, and no name of a network has one.
        if !text.contains('=') {
            return Ok(text.parse::<Mode>()?.into());
        }
        let wrong = |what: String| Error::invalid(format!("network {text}: {what}")).help(FORM);
        let (mut mode, mut options) = (None, EndpointOptions::default());
        for field in text.split(',') {
            let (key, value) = field.split_once('=').ok_or_else(|| wrong(format!("invalid field {field:?}")))?;
            let bad = || wrong(format!("{value:?} is no {key}"));
            match key.trim().to_ascii_lowercase().as_str() {
                "name" => mode = Some(value.parse()?),
                "alias" => options.aliases.push(alias(value)?),
                "ip" => options.ip = Some(value.parse().map_err(|_| bad())?),
                "ip6" => options.ip6 = Some(value.parse().map_err(|_| bad())?),
                "mac-address" => options.mac = Some(value.parse()?),
                "gw-priority" => options.gateway_priority = value.parse().map_err(|_| bad())?,
                "driver-opt" => options.interface = Some(interface(value).ok_or_else(bad)?),
                "link-local-ip" => return Err(link_local()),
                _ => return Err(wrong(format!("invalid field key {key}"))),
            }
        }
        let mode = mode.ok_or_else(|| wrong("network name/id is not specified".into()))?;
        Ok(Self { mode, options })
    }
}

/// A name that the resolver can answer for.
///
/// # Errors
/// [`Kind::Invalid`](process::Kind::Invalid) with the rule.
pub fn alias(name: &str) -> Result<String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let label = |label: &str| !label.is_empty() && label.len() <= 63;
    if name.len() <= 253 && name.bytes().all(fits) && name.split('.').all(label) {
        return Ok(name.to_owned());
    }
    Err(Error::invalid(format!("alias {name:?} is no host name"))
        .help("it is made of letters, digits, hyphens, underscores and dots, 63 at most between two dots"))
}

fn interface(option: &str) -> Option<String> {
    let name = option.strip_prefix(IFNAME)?.strip_prefix('=')?;
    let fits = !name.is_empty()
        && name.len() <= 15
        && !name.contains(['/', ' ', ':', '%'])
        && !matches!(name, "." | ".." | "lo");
    fits.then(|| name.to_owned())
}

/// Why an address of the kernel's own choosing is not set.
pub fn link_local() -> Error {
    Error::unsupported("link-local addresses are the kernel's to choose").help("use --ip and --ip6")
}

impl From<Mode> for Attachment {
    fn from(mode: Mode) -> Self {
        Self { mode, options: EndpointOptions::default() }
    }
}

impl fmt::Display for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.mode.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms() {
        let plain: Attachment = "container:web".parse().unwrap();
        assert_eq!(plain.mode, Mode::Container("web".into()));
        let text = "name=blue,alias=a,alias=b.test,ip=10.0.0.9,ip6=fd00::9,mac-address=02:00:00:00:00:09,gw-priority=-1,\
                    driver-opt=com.docker.network.endpoint.ifname=foo0";
        let long: Attachment = text.parse().unwrap();
        assert_eq!(long.mode, Mode::Named("blue".into()));
        assert_eq!(long.options.aliases, ["a", "b.test"]);
        assert_eq!(long.options.ip, Some([10, 0, 0, 9].into()));
        assert_eq!(long.options.ip6, Some("fd00::9".parse().unwrap()));
        assert_eq!(long.options.gateway_priority, -1);
        assert_eq!(long.options.interface.as_deref(), Some("foo0"));
    }

    #[test]
    fn what_is_wrong_is_named() {
        let table = [
            ("alias=a", "network name/id is not specified"),
            ("name=a,colour=red", "invalid field key colour"),
            ("name=a,b", "invalid field \"b\""),
            ("name=a,ip=fd00::9", "\"fd00::9\" is no ip"),
            ("name=a,alias=a b", "is no host name"),
            ("name=a,alias=a..b", "is no host name"),
            ("name=a,link-local-ip=169.254.0.9", "link-local"),
            ("name=a,driver-opt=com.docker.network.endpoint.ifname=a/b", "is no driver-opt"),
        ];
        for (text, expected) in table {
            let error = text.parse::<Attachment>().unwrap_err();
            assert!(error.what().contains(expected), "{text}: {error}");
            assert!(error.way_out().is_some());
        }
    }
}
