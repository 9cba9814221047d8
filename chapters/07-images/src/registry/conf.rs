//! `containers-registries.conf(5)`: which registries are mirrored, blocked, or not to be verified.
//!
//! It is the file of Podman, Buildah and skopeo, so a machine is set up once for all of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use process::{Error, Result};
use serde::Deserialize;

use super::conf_files;

/// All that the files say, put together.
#[derive(Debug, Default)]
pub struct Conf {
    /// Where names without a registry are looked for; empty means Docker Hub, as for Docker.
    pub search: Vec<String>,
    /// What some names without a registry mean.
    pub aliases: BTreeMap<String, String>,
    entries: Vec<Entry>,
}

/// One `[[registry]]`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Entry {
    /// Which names it is about; the location's if there is none.
    #[serde(default)]
    prefix: String,
    /// Where they really are.
    #[serde(default)]
    location: String,
    /// May the way there be open to others: a certificate that nobody signed, or none?
    pub insecure: Option<bool>,
    /// Is nothing to be fetched from there?
    #[serde(default)]
    pub blocked: bool,
    /// Mirrors are asked first, in this order.
    #[serde(default, rename = "mirror")]
    mirrors: Vec<Mirror>,
    /// Are the mirrors only for names with a digest?
    #[serde(default)]
    mirror_by_digest_only: bool,
    /// The file that says so.
    #[serde(skip)]
    pub origin: PathBuf,
}

/// One `[[registry.mirror]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Mirror {
    location: String,
    insecure: Option<bool>,
    #[serde(default)]
    pull_from_mirror: Which,
}

/// What a mirror is asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Which {
    #[default]
    #[serde(alias = "")]
    All,
    DigestOnly,
    TagOnly,
}

/// A file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct File {
    unqualified_search_registries: Option<Vec<String>>,
    #[serde(default, rename = "registry")]
    entries: Vec<Entry>,
    #[serde(default)]
    aliases: BTreeMap<String, String>,
    /// The first version's table, which has not been read by anybody for years.
    registries: Option<toml::Value>,
}

/// A place to fetch a repository from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The registry there.
    pub domain: String,
    /// The repository there.
    pub path: String,
    /// What the file says of the way to it, if anything.
    pub insecure: Option<bool>,
    /// Is it a mirror, which another place stands behind?
    pub mirror: bool,
}

impl Conf {
    /// What this machine's files say; they are read once.
    ///
    /// # Errors
    /// A file that is there but cannot be read or understood: mirrors and blocks must not be lost silently.
    pub fn get() -> Result<&'static Self> {
        conf_files::get()
    }

    /// Takes in one more file; what it says comes before what was said until now.
    ///
    /// # Errors
    /// It is no TOML, or says what it must not.
    pub fn add(&mut self, text: &str, origin: &Path) -> Result<()> {
        let bad = |why: &str| {
            Error::invalid(format!("{}: {why}", origin.display())).help("see containers-registries.conf(5)")
        };
        let file: File = toml::from_str(text).map_err(|error| bad(error.to_string().trim()))?;
        if file.registries.is_some() {
            return Err(bad("[registries.…] is version 1 of the format, which is no longer read: write [[registry]]"));
        }
        self.search = file.unqualified_search_registries.unwrap_or(std::mem::take(&mut self.search));
        self.aliases.extend(file.aliases);
        for mut entry in file.entries {
            if entry.prefix.is_empty() {
                entry.prefix.clone_from(&entry.location);
            }
            let wild = entry.prefix.strip_prefix("*.");
            if entry.prefix.is_empty() || wild.unwrap_or(&entry.prefix).contains('*') {
                return Err(bad(&format!("{:?} is no prefix: write host, host/path or *.domain", entry.prefix)));
            }
            entry.origin = origin.to_owned();
            self.entries.retain(|other| other.prefix != entry.prefix);
            self.entries.push(entry);
        }
        Ok(())
    }

    /// The entry about `domain/path`: of several the one with the longest prefix.
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        let fitting = self.entries.iter().filter(|entry| entry.rest(name).is_some());
        fitting.max_by_key(|entry| entry.prefix.len())
    }

    /// Where to fetch `domain/path` from, the most wanted place first.
    ///
    /// # Errors
    /// It is blocked.
    pub fn places(&self, domain: &str, path: &str, by_digest: bool) -> Result<Vec<Place>> {
        let name = format!("{domain}/{path}");
        let Some(entry) = self.entry(&name) else {
            return Ok(vec![Place { domain: domain.into(), path: path.into(), insecure: None, mirror: false }]);
        };
        if entry.blocked {
            let what = format!("the registry {domain} is blocked by {}", entry.origin.display());
            return Err(Error::invalid(what).help("take the image from another registry, or lift the block there"));
        }
        let mut places = Vec::new();
        for mirror in entry.mirrors.iter().filter(|mirror| entry.uses(mirror, by_digest)) {
            places.push(entry.place(&mirror.location, &name, mirror.insecure, true)?);
        }
        let insecure = entry.insecure;
        places.push(match entry.location.as_str() {
            "" => Place { domain: domain.into(), path: path.into(), insecure, mirror: false },
            location => entry.place(location, &name, insecure, false)?,
        });
        Ok(places)
    }
}

impl Entry {
    /// What follows the prefix in `name`, if it begins with it: whole parts only.
    fn rest<'a>(&self, name: &'a str) -> Option<&'a str> {
        if let Some(domain) = self.prefix.strip_prefix('*') {
            // `*.example.com` is about all hosts below example.com, not about itself.
            let host = name.split('/').next()?;
            let bare = host.split(':').next()?;
            return bare.ends_with(domain).then(|| &name[host.len()..]);
        }
        let rest = name.strip_prefix(self.prefix.as_str())?;
        (rest.is_empty() || rest.starts_with('/')).then_some(rest)
    }

    /// The same repository below `location`.
    fn place(&self, location: &str, name: &str, insecure: Option<bool>, mirror: bool) -> Result<Place> {
        let whole = format!("{location}{}", self.rest(name).unwrap_or_default());
        match whole.split_once('/') {
            Some((domain, path)) if !domain.is_empty() && !path.is_empty() && !whole.contains("://") => {
                Ok(Place { domain: domain.into(), path: path.into(), insecure, mirror })
            }
            _ => Err(Error::invalid(format!(
                "{}: {name} would be {whole:?}, which names no repository",
                self.origin.display()
            ))
            .help("a location is host[:port][/path], without https://")),
        }
    }

    fn uses(&self, mirror: &Mirror, by_digest: bool) -> bool {
        match mirror.pull_from_mirror {
            Which::All => by_digest || !self.mirror_by_digest_only,
            Which::DigestOnly => by_digest,
            Which::TagOnly => !by_digest,
        }
    }
}

#[cfg(test)]
#[path = "conf_tests.rs"]
mod tests;
