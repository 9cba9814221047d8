//! `--filter` of `ps` and `prune`: of one key any value fits, of several keys all must; but of `label` all must.

use std::collections::BTreeMap;
use std::str::FromStr;

use process::{Error, Result};

use super::container::Kept;
use super::ports;
use crate::state::Status;

/// One `--filter`.
#[derive(Debug, Clone)]
pub struct Filter {
    key: String,
    value: String,
}

const KEYS: [&str; 11] =
    ["ancestor", "before", "exited", "health", "id", "label", "name", "network", "since", "status", "volume"];
const STATES: [Status; 7] = [
    Status::Created,
    Status::Running,
    Status::Paused,
    Status::Restarting,
    Status::Removing,
    Status::Exited,
    Status::Dead,
];

impl FromStr for Filter {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |what: String, help: String| Error::invalid(what).help(help);
        let Some((key, value)) = text.split_once('=').filter(|(key, _)| KEYS.contains(key)) else {
            return Err(wrong(
                format!("invalid filter {text:?}"),
                format!("write KEY=VALUE; the keys are {}", KEYS.join(", ")),
            ));
        };
        if key == "status" && !STATES.iter().any(|status| status.name() == value) {
            let names: Vec<_> = STATES.iter().map(|status| status.name()).collect();
            return Err(wrong(format!("no state is called {value:?}"), format!("there are {}", names.join(", "))));
        }
        if key == "exited" && value.parse::<i32>().is_err() {
            return Err(wrong(format!("{value:?} is no exit code"), "give a number: exited=0".to_owned()));
        }
        Ok(Self { key: key.to_owned(), value: value.to_owned() })
    }
}

/// Does the container pass them all? `all` are those that it may be compared with.
pub fn passes(kept: &Kept, filters: &[Filter], all: &[Kept]) -> bool {
    let mut by_key: BTreeMap<&str, bool> = BTreeMap::new();
    for filter in filters {
        let fits = filter.fits(kept, all);
        let so_far = by_key.entry(&filter.key).or_insert(filter.key == "label");
        *so_far = if filter.key == "label" { *so_far && fits } else { *so_far || fits };
    }
    by_key.values().all(|&fits| fits)
}

impl Filter {
    /// Does it ask for containers that have ended?
    pub fn means_ended(&self) -> bool {
        matches!(self.key.as_str(), "status" | "exited" | "before" | "since")
    }

    fn fits(&self, kept: &Kept, all: &[Kept]) -> bool {
        let value = self.value.as_str();
        match self.key.as_str() {
            "id" => kept.id().starts_with(value),
            "name" => name_fits(kept.name(), value),
            "status" => kept.state.status.name() == value,
            "exited" => kept.state.status == Status::Exited && value.parse() == Ok(kept.state.exit_code),
            "label" => kept.options().is_ok_and(|options| match value.split_once('=') {
                Some((name, value)) => options.labels.get(name).is_some_and(|found| found == value),
                None => options.labels.contains_key(value),
            }),
            "ancestor" => is_from(kept, value),
            "network" => ports::networks(kept).iter().any(|name| name == value),
            "health" => kept.state.health.as_ref().map_or("none", |health| health.status.name()) == value,
            "volume" => super::inspect::mounts(kept).unwrap_or_default().iter().any(|mount| mount.is(value)),
            // The newest first: what stands behind it is older.
            key => {
                let at = |one: &dyn Fn(&Kept) -> bool| all.iter().position(one);
                let other = at(&|one| one.name() == value || (!value.is_empty() && one.id().starts_with(value)));
                match (at(&|one| one.id() == kept.id()), other) {
                    (Some(ours), Some(other)) => {
                        if key == "before" {
                            ours > other
                        } else {
                            ours < other
                        }
                    }
                    _ => false,
                }
            }
        }
    }
}

/// Part of the name; `^` and `$` stand for its ends.
fn name_fits(name: &str, wanted: &str) -> bool {
    let (begins, wanted) = wanted.strip_prefix('^').map_or((false, wanted), |rest| (true, rest));
    let (ends, wanted) = wanted.strip_suffix('$').map_or((false, wanted), |rest| (true, rest));
    let wanted = wanted.strip_prefix('/').unwrap_or(wanted);
    match (begins, ends) {
        (true, true) => name == wanted,
        (true, false) => name.starts_with(wanted),
        (false, true) => name.ends_with(wanted),
        (false, false) => name.contains(wanted),
    }
}

/// The image by its name, with or without a tag, or by its id.
fn is_from(kept: &Kept, image: &str) -> bool {
    let name = kept.annotation("image");
    let id = kept.options().map(|options| options.image).unwrap_or_default();
    let hex = id.strip_prefix("sha256:").unwrap_or(&id);
    name == image
        || name.strip_suffix(":latest") == Some(image)
        || id == image
        || (image.len() > 3 && hex.starts_with(image))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_filter_is_refused() {
        for text in ["colour=red", "status", "status=up", "exited=x"] {
            assert!(text.parse::<Filter>().is_err(), "{text}");
        }
        assert!("status=paused".parse::<Filter>().unwrap().means_ended());
    }

    #[test]
    fn parts_of_names() {
        for (name, wanted, fits) in
            [("web1", "web", true), ("web1", "^web$", false), ("web1", "^/web1$", true), ("myweb", "^web", false)]
        {
            assert_eq!(name_fits(name, wanted), fits, "{name} {wanted}");
        }
    }
}
