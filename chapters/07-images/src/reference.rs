//! References: what a person types for an image, and what it means.
//!
//! The grammar and the rules of completion are those of distribution/reference, as Docker has them:
//! `ubuntu` means `docker.io/library/ubuntu:latest`. A first part names a registry if it has a dot or
//! a colon, if it is `localhost`, or if it has an upper-case letter, which no repository may have.

use std::fmt;
use std::str::FromStr;

use oci_spec::image::Digest;
use process::{Error, Result};

use crate::digest;
use crate::registry::Short;

/// Where a name without a registry is looked for.
pub const DOCKER_HUB: &str = "docker.io";
/// The registry that the image `host` seems to come from; it is made on this machine, see the module `host`.
pub const HOST_DOMAIN: &str = "localhost";
/// The repository of the image `host`.
pub const HOST_PATH: &str = "host";

/// The whole name of an image: registry, repository, and a tag, a digest, or both.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

impl Reference {
    /// The registry, with its port if one was given: `docker.io`, `127.0.0.1:5000`.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository in the registry: `library/ubuntu`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag. Without a digest there always is one.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if the reference is pinned to one.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// Registry and repository without tag and digest: `docker.io/library/ubuntu`.
    pub fn name(&self) -> String {
        format!("{}/{}", self.domain, self.path)
    }

    /// What a registry is asked for: the digest if there is one, the tag otherwise.
    pub fn wanted(&self) -> &str {
        self.digest.as_ref().map_or_else(|| self.tag.as_deref().unwrap_or("latest"), AsRef::as_ref)
    }

    /// The same repository, pinned to a digest alone.
    #[must_use]
    pub fn with_digest(&self, digest: Digest) -> Self {
        Self { tag: None, digest: Some(digest), ..self.clone() }
    }

    /// The reference of the image that is made from this machine's own programs.
    pub fn host() -> Self {
        Self { domain: HOST_DOMAIN.into(), path: HOST_PATH.into(), tag: Some("latest".into()), digest: None }
    }

    /// Is it the repository of the image `host`, which no registry has?
    pub fn is_host(&self) -> bool {
        self.domain == HOST_DOMAIN && self.path == HOST_PATH
    }

    /// The short form of registry and repository, as Docker displays it: `ubuntu`.
    pub fn familiar_name(&self) -> String {
        let full = self.name();
        let short = match (self.domain.as_str(), self.path.strip_prefix("library/")) {
            _ if self.is_host() => HOST_PATH,
            (DOCKER_HUB, Some(official)) => official,
            (DOCKER_HUB, None) => &self.path,
            _ => return full,
        };
        // A few repositories of Docker Hub look like something else without their registry.
        let same = short.parse::<Self>().is_ok_and(|other| other.name() == full);
        if same { short.to_owned() } else { full }
    }

    /// The short form with tag and digest: `ubuntu:latest`.
    pub fn familiar(&self) -> String {
        self.with_suffix(self.familiar_name())
    }

    fn with_suffix(&self, mut name: String) -> String {
        if let Some(tag) = &self.tag {
            name.push(':');
            name.push_str(tag);
        }
        if let Some(digest) = &self.digest {
            name.push('@');
            name.push_str(digest.as_ref());
        }
        name
    }
}

impl fmt::Display for Reference {
    /// The full form, as the store records it: `docker.io/library/ubuntu:latest`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.with_suffix(self.name()))
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let bad = |why: &str| {
            Error::invalid(format!("{text:?} is no image reference: {why}"))
                .help("write [REGISTRY[:PORT]/]NAME[:TAG][@DIGEST], for example ubuntu:24.04")
        };
        if text.len() == 64 && text.bytes().all(is_lower_hex) {
            return Err(bad("64 hexadecimal digits are an image's ID, not its name"));
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest::parse(digest).map_err(|error| bad(error.what()))?)),
            None => (text, None),
        };
        let (name, tag) = split_tag(rest);
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(bad("a tag has 1 to 128 letters, digits, dots, dashes or underscores"));
        }
        let (domain, path) = complete(name);
        check_path(&path).map_err(|why| bad(&why))?;
        if !is_domain(&domain) {
            return Err(bad(&format!("{domain:?} is no registry's name")));
        }
        let tag = tag.map(str::to_owned).or_else(|| digest.is_none().then(|| "latest".to_owned()));
        Ok(Self { domain, path, tag, digest })
    }
}

/// The tag stands behind the last colon, unless a slash follows: then the colon was a port's.
fn split_tag(text: &str) -> (&str, Option<&str>) {
    match text.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
        _ => (text, None),
    }
}

/// Adds what was left out: the registry, and `library/` for Docker's official images.
fn complete(name: &str) -> (String, String) {
    if name == HOST_PATH {
        return (HOST_DOMAIN.into(), HOST_PATH.into());
    }
    let is_registry = |first: &str| {
        first.contains(['.', ':']) || first == "localhost" || first.bytes().any(|byte| byte.is_ascii_uppercase())
    };
    let whole = match name.split_once('/') {
        Some((first, _)) if is_registry(first) => None,
        _ => Short::get().complete(name),
    };
    let (domain, path) = match whole.as_deref().unwrap_or(name).split_once('/') {
        Some((first, path)) if is_registry(first) => (first, path),
        _ => (DOCKER_HUB, name),
    };
    let domain = if domain == "index.docker.io" { DOCKER_HUB } else { domain };
    let official = domain == DOCKER_HUB && !path.contains('/');
    (domain.to_owned(), if official { format!("library/{path}") } else { path.to_owned() })
}

/// The longest repository name (distribution/reference, `RepositoryNameTotalLengthMax`).
const LONGEST_PATH: usize = 255;

fn check_path(path: &str) -> Result<(), String> {
    if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(format!("the repository {path:?} must be lower case"));
    }
    if path.len() > LONGEST_PATH {
        return Err(format!("the repository's name is longer than {LONGEST_PATH} bytes"));
    }
    if !path.split('/').all(is_path_component) {
        return Err(format!(
            "in {path:?} each part between slashes must be letters and digits, with single dots, \
             one or two underscores, or dashes between them"
        ));
    }
    Ok(())
}

/// `[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*`
fn is_path_component(part: &str) -> bool {
    let separator = |byte: u8| matches!(byte, b'.' | b'_' | b'-');
    let bytes = part.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    ends.iter().all(|end| end.is_some_and(|&byte| !separator(byte)))
        && bytes.iter().all(|&byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || separator(byte))
        && bytes
            .split(|&byte| !separator(byte))
            .all(|run| matches!(run, b"" | b"." | b"_" | b"__") || run.iter().all(|&byte| byte == b'-'))
}

/// `\w[\w.-]{0,127}`
fn is_tag(tag: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    (1..=128).contains(&tag.len())
        && tag.bytes().enumerate().all(|(at, byte)| word(byte) || (at > 0 && matches!(byte, b'.' | b'-')))
}

/// A host's name or address, an IPv6 address in brackets, with a port or without.
fn is_domain(domain: &str) -> bool {
    let (host, port) = match domain.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (domain, None),
    };
    let port_ok = port.is_none_or(|port| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()));
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty() && !label.starts_with('-') && !label.ends_with('-') && label.bytes().all(inner)
    };
    let host_ok = match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host.split('.').all(label),
    };
    port_ok && host_ok
}

fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

#[cfg(test)]
#[path = "reference_tests.rs"]
mod tests;
