//! Credentials that `docker login` or `skopeo login` have left: `~/.docker/config.json`.

use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use process::{Error, OrCall, Result};

use crate::reference::DOCKER_HUB;

/// How Docker Hub is called in that file, for historical reasons.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// A user and a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub user: String,
    /// The password, or a token that serves as one.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Credentials({}, …)", self.user)
    }
}

impl Credentials {
    /// The header of the Basic scheme (RFC 7617).
    pub fn basic(&self) -> String {
        format!("Basic {}", BASE64_STANDARD.encode(format!("{}:{}", self.user, self.password)))
    }
}

/// The credentials for the registry `domain`, if the file has any.
///
/// # Errors
/// A file that is there but cannot be understood.
pub fn find(domain: &str) -> Result<Option<Credentials>> {
    let Some(path) = path() else { return Ok(None) };
    let text = match std::fs::read_to_string(&path) {
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        // Another user's file, as after sudo: then there are none for us.
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return Ok(None),
        text => text.or_call("read", path.display())?,
    };
    let bad = || Error::invalid(format!("{} is malformed", path.display())).help("mend or remove the file");
    let json: serde_json::Value = serde_json::from_str(&text).map_err(|_| bad())?;
    in_config(&json, domain).transpose().ok_or(()).map_or(Ok(None), |found| found.map(Some).map_err(|()| bad()))
}

fn path() -> Option<PathBuf> {
    let directory = std::env::var_os("DOCKER_CONFIG").map(PathBuf::from);
    let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".docker"));
    Some(directory.or_else(home)?.join("config.json"))
}

fn in_config(json: &serde_json::Value, domain: &str) -> Result<Option<Credentials>, ()> {
    let Some(auths) = json.get("auths").and_then(serde_json::Value::as_object) else { return Ok(None) };
    // Old versions wrote addresses with scheme and path.
    let bare = |key: &str| {
        let key = key.trim_start_matches("https://").trim_start_matches("http://");
        key.split('/').next().unwrap_or(key).to_owned()
    };
    let fits =
        |key: &str| if domain == DOCKER_HUB { key == DOCKER_HUB_KEY || key == DOCKER_HUB } else { bare(key) == domain };
    let entry = auths.get(domain).or_else(|| auths.iter().find(|(key, _)| fits(key)).map(|(_, entry)| entry));
    let Some(auth) = entry.and_then(|entry| entry.get("auth")?.as_str()).filter(|auth| !auth.is_empty()) else {
        return Ok(None); // kept by a helper program (credsStore), which is not asked
    };
    let decoded = BASE64_STANDARD.decode(auth).map_err(|_| ())?;
    let text = String::from_utf8(decoded).map_err(|_| ())?;
    let (user, password) = text.split_once(':').ok_or(())?;
    Ok(Some(Credentials { user: user.to_owned(), password: password.trim_end_matches('\0').to_owned() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_for_one_registry() {
        let json = serde_json::json!({"auths": {
            "https://index.docker.io/v1/": {"auth": BASE64_STANDARD.encode("ada:secret:1")},
            "https://r.example/v2/": {"auth": BASE64_STANDARD.encode("bob:b")},
            "helper.example": {},
            "bad.example": {"auth": "%%%"},
        }});
        let find = |domain: &str| in_config(&json, domain);
        assert_eq!(find("docker.io").unwrap().unwrap().password, "secret:1");
        assert_eq!(find("r.example").unwrap().unwrap().basic(), "Basic Ym9iOmI=");
        assert_eq!(find("helper.example"), Ok(None));
        assert_eq!(find("other.example"), Ok(None));
        assert!(find("bad.example").is_err());
        assert!(!format!("{:?}", find("r.example")).contains("\"b\""));
    }
}
