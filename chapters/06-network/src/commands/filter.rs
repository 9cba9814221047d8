//! `--filter` of `network ls` and `prune`: of one key any value fits, of several keys all must; but of `label` all must.

use std::collections::BTreeMap;
use std::str::FromStr;

use process::{Error, Result};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::PREDEFINED;
use crate::{Lease, Network, sweep};

/// One `--filter`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    key: String,
    value: String,
}

const KEYS: [&str; 9] = ["dangling", "driver", "id", "label", "label!", "name", "scope", "type", "until"];

impl FromStr for Filter {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found = text.split_once('=').filter(|(key, _)| KEYS.contains(key));
        let Some((key, value)) = found else {
            return Err(Error::invalid(format!("invalid filter {text:?}"))
                .help(format!("write KEY=VALUE; the keys are {}", KEYS.join(", "))));
        };
        let fits = match key {
            "dangling" => matches!(value, "true" | "false" | "1" | "0"),
            "type" => matches!(value, "custom" | "builtin"),
            "until" => moment(value, 0).is_some(),
            _ => true,
        };
        if fits {
            return Ok(Self { key: key.to_owned(), value: value.to_owned() });
        }
        Err(Error::invalid(format!("invalid value for filter '{key}': {value:?}"))
            .help("dangling=true|false, type=custom|builtin, until=24h or a time such as 2026-01-31T12:00:00Z"))
    }
}

/// Does the network pass them all? `leases` are those who live, `now` is in seconds since 1970.
pub fn passes(network: &Network, filters: &[Filter], leases: &[Lease], now: u64) -> bool {
    let mut by_key: BTreeMap<&str, bool> = BTreeMap::new();
    for filter in filters {
        let fits = filter.fits(network, leases, now);
        let all = filter.key.starts_with("label");
        let so_far = by_key.entry(&filter.key).or_insert(all);
        *so_far = if all { *so_far && fits } else { *so_far || fits };
    }
    by_key.values().all(|&fits| fits)
}

impl Filter {
    fn fits(&self, network: &Network, leases: &[Lease], now: u64) -> bool {
        let value = self.value.as_str();
        let predefined = PREDEFINED.contains(&network.name.as_str());
        match self.key.as_str() {
            "dangling" => (!predefined && !sweep::is_used(network, leases)) == matches!(value, "true" | "1"),
            "driver" => super::list::driver(network) == value,
            "id" => network.id.starts_with(value),
            "label" => has_label(network, value),
            "label!" => !has_label(network, value),
            "name" => network.name.contains(value),
            "scope" => value == "local",
            "type" => predefined == (value == "builtin"),
            _ => moment(value, now).is_some_and(|moment| network.created < moment),
        }
    }
}

fn has_label(network: &Network, wanted: &str) -> bool {
    match wanted.split_once('=') {
        Some((name, value)) => network.labels.get(name).is_some_and(|found| found == value),
        None => network.labels.contains_key(wanted),
    }
}

/// `1h30m` before `now`, seconds since 1970, or a time: in seconds since 1970.
fn moment(text: &str, now: u64) -> Option<u64> {
    if let Ok(seconds) = text.parse() {
        return Some(seconds);
    }
    if let Ok(time) = OffsetDateTime::parse(text, &Rfc3339) {
        return time.unix_timestamp().try_into().ok();
    }
    let (mut ago, mut digits) = (0_u64, String::new());
    for character in text.chars() {
        let unit = match character {
            '0'..='9' => {
                digits.push(character);
                continue;
            }
            's' => 1,
            'm' => 60,
            'h' => 3600,
            _ => return None,
        };
        ago = ago.checked_add(std::mem::take(&mut digits).parse::<u64>().ok()?.checked_mul(unit)?)?;
    }
    (digits.is_empty() && !text.is_empty()).then(|| now.saturating_sub(ago))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Driver;

    #[test]
    fn which_fit() {
        let mut blue = Network::new("ab".repeat(32), "blue".into(), Driver::Bridge, "10.9.0.0/24".parse().unwrap());
        blue.labels.insert("team".into(), "a".into());
        blue.created = 1000;
        let table = [
            ("name=lu", true),
            ("name=red", false),
            ("id=abab", true),
            ("driver=bridge", true),
            ("driver=vxlan", false),
            ("label=team", true),
            ("label=team=b", false),
            ("label!=team=b", true),
            ("type=custom", true),
            ("dangling=true", true),
            ("dangling=false", false),
            ("until=10m", true),
            ("until=1h", false),
            ("until=999", false),
            ("until=2026-01-31T12:00:00Z", true),
        ];
        for (text, fits) in table {
            assert_eq!(passes(&blue, &[text.parse().unwrap()], &[], 2000), fits, "{text}");
        }
        for wrong in ["colour=red", "name", "type=odd", "until=1y", "until=", "dangling=maybe"] {
            assert!(wrong.parse::<Filter>().is_err(), "{wrong}");
        }
    }
}
