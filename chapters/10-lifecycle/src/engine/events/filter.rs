//! `--filter` of `events`: of one key any value fits, of several keys all must.

use std::collections::BTreeMap;
use std::str::FromStr;

use process::{Error, Result};

use super::shape::Shown;

/// One `--filter`.
#[derive(Debug, Clone)]
pub struct Filter {
    key: String,
    value: String,
}

const KEYS: [&str; 5] = ["container", "event", "image", "label", "type"];

impl FromStr for Filter {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once('=') {
            Some((key, value)) if KEYS.contains(&key) => Ok(Self { key: key.to_owned(), value: value.to_owned() }),
            _ => Err(Error::invalid(format!("invalid filter {text:?}"))
                .help(format!("write KEY=VALUE; the keys are {}", KEYS.join(", ")))),
        }
    }
}

/// Does the event pass them all?
pub fn passes(event: &Shown, filters: &[Filter]) -> bool {
    let mut by_key: BTreeMap<&str, bool> = BTreeMap::new();
    for filter in filters {
        *by_key.entry(&filter.key).or_default() |= filter.fits(event);
    }
    by_key.values().all(|&fits| fits)
}

impl Filter {
    fn fits(&self, event: &Shown) -> bool {
        let (value, attributes) = (&self.value, &event.actor.attributes);
        match self.key.as_str() {
            "type" => event.kind == *value,
            // `exec_create: sh` is an `exec_create`.
            "event" => event.action == *value || event.action.split_once(':').is_some_and(|(word, _)| word == value),
            "container" => {
                event.kind == "container"
                    && (attributes.get("name") == Some(value)
                        || (!value.is_empty() && event.actor.id.starts_with(value)))
            }
            "image" => {
                attributes.get("image").is_some_and(|image| image == value || image.split(':').next() == Some(value))
            }
            _ => match value.split_once('=') {
                Some((label, value)) => attributes.get(label).is_some_and(|found| found == value),
                None => attributes.contains_key(value),
            },
        }
    }
}
