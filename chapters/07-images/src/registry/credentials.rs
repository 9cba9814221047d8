//! Credentials that `docker login`, `podman login` or `skopeo login` have left.

use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use process::{Error, Result};
use serde_json::Value;

use super::{conf_files, helper};
use crate::reference::DOCKER_HUB;

/// How Docker Hub is called in that file, for historical reasons.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// What proves who we are.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A user and a password, or a token that serves as one.
    Password {
        /// The user.
        user: String,
        /// The password.
        password: String,
    },
    /// A token that other tokens are got with (OAuth's refresh token, `identitytoken`).
    Identity(String),
    /// The token itself (`registrytoken`).
    Bearer(String),
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Password { user, .. } => write!(f, "Password({user}, …)"),
            Self::Identity(_) => f.write_str("Identity(…)"),
            Self::Bearer(_) => f.write_str("Bearer(…)"),
        }
    }
}

impl Credentials {
    /// The header of the Basic scheme (RFC 7617), if there is a password.
    pub fn basic(&self) -> Option<String> {
        let Self::Password { user, password } = self else { return None };
        Some(format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))))
    }
}

/// The credentials for the repository `path` of the registry `domain`, if any of the files has some.
///
/// # Errors
/// A file that is there but cannot be understood, or a helper program that fails.
pub fn find(domain: &str, path: &str) -> Result<Option<Credentials>> {
    for file in files() {
        let Some(text) = conf_files::read(&file)? else { continue };
        let bad = |()| Error::invalid(format!("{} is malformed", file.display())).help("mend or remove the file");
        let json: Value = serde_json::from_str(&text).map_err(|_| bad(()))?;
        let found = match in_config(&json, domain, path).map_err(bad)? {
            Found::Here(credentials) => Some(credentials),
            Found::Helper(name) => helper::ask(&name, server(domain))?,
            Found::Nothing => None,
        };
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// Docker's file, then Podman's. Who names one (`REGISTRY_AUTH_FILE`, containers-auth.json(5)) means no other.
fn files() -> Vec<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(file) = variable("REGISTRY_AUTH_FILE") {
        return vec![file];
    }
    let docker = variable("DOCKER_CONFIG").or_else(|| Some(variable("HOME")?.join(".docker")));
    let running = variable("XDG_RUNTIME_DIR").map(|directory| directory.join("containers/auth.json"));
    let own = conf_files::user().map(|directory| directory.join("auth.json"));
    docker.map(|directory| directory.join("config.json")).into_iter().chain(running).chain(own).collect()
}

/// What helpers know the registry as.
fn server(domain: &str) -> &str {
    if domain == DOCKER_HUB { DOCKER_HUB_KEY } else { domain }
}

/// What a file says about a registry.
#[derive(Debug, PartialEq, Eq)]
enum Found {
    Here(Credentials),
    /// The program to ask.
    Helper(String),
    Nothing,
}

fn in_config(json: &Value, domain: &str, path: &str) -> Result<Found, ()> {
    let name = |value: Option<&Value>| value?.as_str().filter(|name| !name.is_empty()).map(str::to_owned);
    let helpers = json.get("credHelpers");
    if let Some(name) = name(helpers.and_then(|all| all.get(domain).or_else(|| all.get(server(domain))))) {
        return Ok(Found::Helper(name));
    }
    if let Some(entry) = entry(json, domain, path)
        && let Some(credentials) = credentials(entry)?
    {
        return Ok(Found::Here(credentials));
    }
    Ok(name(json.get("credsStore")).map_or(Found::Nothing, Found::Helper))
}

/// The entry of the repository, or of what is above it, or of the whole registry.
fn entry<'a>(json: &'a Value, domain: &str, path: &str) -> Option<&'a Value> {
    let auths = json.get("auths")?.as_object()?;
    let whole = format!("{domain}/{path}");
    let above = std::iter::successors(Some(whole.as_str()), |name| Some(name.rsplit_once('/')?.0));
    // Old versions wrote addresses with scheme and path.
    let bare = |key: &str| {
        let rest = key.trim_start_matches("https://").trim_start_matches("http://");
        (rest.len() < key.len()).then(|| rest.split('/').next().unwrap_or(rest).to_owned())
    };
    let fits = |key: &str| match domain {
        DOCKER_HUB => key == DOCKER_HUB_KEY,
        _ => bare(key).is_some_and(|host| host == domain),
    };
    let mut above = above;
    above.find_map(|name| auths.get(name)).or_else(|| auths.iter().find(|(key, _)| fits(key)).map(|(_, entry)| entry))
}

fn credentials(entry: &Value) -> Result<Option<Credentials>, ()> {
    let field = |name: &str| entry.get(name)?.as_str().filter(|text| !text.is_empty());
    if let Some(token) = field("registrytoken") {
        return Ok(Some(Credentials::Bearer(token.to_owned())));
    }
    if let Some(token) = field("identitytoken") {
        return Ok(Some(Credentials::Identity(token.to_owned())));
    }
    let Some(auth) = field("auth") else { return Ok(None) };
    let text = String::from_utf8(BASE64_STANDARD.decode(auth).map_err(|_| ())?).map_err(|_| ())?;
    let (user, password) = text.split_once(':').ok_or(())?;
    let password = password.trim_end_matches('\0').to_owned();
    Ok(Some(Credentials::Password { user: user.to_owned(), password }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(found: Found) -> String {
        match found {
            Found::Here(Credentials::Password { user, password }) => format!("{user}:{password}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn credentials_are_for_one_registry() {
        let json = serde_json::json!({"auths": {
            "https://index.docker.io/v1/": {"auth": BASE64_STANDARD.encode("ada:secret:1")},
            "https://r.example/v2/": {"auth": BASE64_STANDARD.encode("bob:b")},
            "q.example": {"auth": BASE64_STANDARD.encode("all:q")},
            "q.example/team": {"auth": BASE64_STANDARD.encode("team:t")},
            "empty.example": {},
            "token.example": {"auth": "", "identitytoken": "i"},
            "bad.example": {"auth": "%%%"},
        }});
        let find = |domain: &str, path: &str| in_config(&json, domain, path);
        assert_eq!(password(find("docker.io", "library/x").unwrap()), "ada:secret:1");
        assert_eq!(password(find("r.example", "x").unwrap()), "bob:b");
        assert_eq!(password(find("q.example", "team/x").unwrap()), "team:t");
        assert_eq!(password(find("q.example", "teams/x").unwrap()), "all:q");
        assert_eq!(find("token.example", "x"), Ok(Found::Here(Credentials::Identity("i".into()))));
        assert_eq!(find("empty.example", "x"), Ok(Found::Nothing));
        assert_eq!(find("other.example", "x"), Ok(Found::Nothing));
        assert!(find("bad.example", "x").is_err());
        assert!(!format!("{:?}", find("r.example", "x")).contains("\"b\""));
    }

    #[test]
    fn helpers_are_found_for_their_registry() {
        let json = serde_json::json!({"credsStore": "store", "credHelpers": {"r.example": "special"},
            "auths": {"plain.example": {"auth": "YTpi"}, "kept.example": {}}});
        let find = |domain: &str| in_config(&json, domain, "x").unwrap();
        assert_eq!(find("r.example"), Found::Helper("special".into()));
        assert_eq!(find("kept.example"), Found::Helper("store".into()));
        assert_eq!(find("docker.io"), Found::Helper("store".into()));
        assert_eq!(password(find("plain.example")), "a:b");
        assert_eq!(server("docker.io"), DOCKER_HUB_KEY);
    }
}
