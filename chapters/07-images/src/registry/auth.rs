//! Answering a registry's challenge: a token for this repository, or user and password.

use std::io::Read;

use process::{Error, Kind, Result, explain};

use super::challenge::Challenge;
use super::credentials::Credentials;
use super::endpoint::{Endpoint, host, is_loopback};
use super::errors;
use super::http::{Answer, Http};
use crate::Reference;

/// What we know and what we have been given.
#[derive(Debug)]
pub struct Auth {
    credentials: Option<Credentials>,
    header: Option<String>,
}

impl Auth {
    /// Anonymous at first; `credentials` are used when the registry asks.
    pub fn new(credentials: Option<Credentials>) -> Self {
        Self { credentials, header: None }
    }

    /// The Authorization header that the last challenge was answered with.
    pub fn header(&self) -> Option<String> {
        self.header.clone()
    }

    /// Answers the challenge of a 401.
    ///
    /// # Errors
    /// A challenge of an unknown kind, credentials that we lack, or a realm that gives us nothing.
    pub fn answer(&mut self, http: &Http, endpoint: &Endpoint, reference: &Reference, answer: &Answer) -> Result<()> {
        let challenge = Challenge::parse(answer.headers("www-authenticate"));
        self.header = Some(match challenge {
            Some(Challenge::Basic) => match &self.credentials {
                Some(credentials) if self.header.is_none() => credentials.basic(),
                known => return Err(login(endpoint, known.is_some())),
            },
            Some(Challenge::Bearer { realm, service, scope }) => {
                let scope = scope.unwrap_or_else(|| format!("repository:{}:pull", reference.path()));
                let url = address(&realm, service.as_deref(), &scope);
                self.token(http, endpoint, &realm, &url, reference)?
            }
            None => return Err(login(endpoint, self.credentials.is_some())),
        });
        Ok(())
    }

    fn token(&self, http: &Http, endpoint: &Endpoint, realm: &str, url: &str, reference: &Reference) -> Result<String> {
        let trusted = may_have_credentials(endpoint, realm)?;
        let basic = self.credentials.as_ref().filter(|_| trusted).map(Credentials::basic);
        let answer = http.get(url, &[], basic.as_deref())?;
        if answer.status() != 200 {
            let withheld = self.credentials.is_some() && !trusted;
            let error = errors::status(answer, reference);
            return Err(if withheld {
                error.help(format!("the password was not sent: {realm} is not of {}", endpoint.authority()))
            } else {
                error
            });
        }
        let mut bytes = Vec::new();
        let host = answer.host().to_owned();
        answer.into_body().take(1 << 20).read_to_end(&mut bytes).map_err(|error| errors::broken(&host, &error))?;
        let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
        // Docker's name for it, and OAuth's.
        let token =
            ["token", "access_token"].iter().find_map(|key| json.get(key)?.as_str().filter(|text| !text.is_empty()));
        let is_plain = |token: &&str| token.bytes().all(|byte| byte.is_ascii_graphic());
        let token = token.filter(is_plain).ok_or_else(|| {
            Error::new(Kind::Unavailable, format!("{host} gave no token for {}", reference.familiar()))
        })?;
        explain!(7, "a token to read this repository", "GET {url} = {} bytes", token.len());
        Ok(format!("Bearer {token}"))
    }
}

/// May the realm see our password? It must be encrypted, and the registry's own host or a neighbour of it.
///
/// # Errors
/// A realm that nothing at all may be asked of: plain HTTP to another machine.
fn may_have_credentials(endpoint: &Endpoint, realm: &str) -> Result<bool> {
    let (scheme, rest) = realm.split_once("://").unwrap_or(("", realm));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let encrypted = scheme == "https" || (scheme == "http" && is_loopback(authority) && endpoint.is_loopback());
    if !encrypted || authority.contains('@') {
        let what = format!("{} wants a token fetched from {realm}, which is not encrypted", endpoint.authority());
        return Err(Error::new(Kind::Unavailable, what).help("its realm must be an https address"));
    }
    let (ours, theirs) = (host(endpoint.authority()), host(authority));
    if ours == theirs {
        return Ok(true);
    }
    // registry-1.docker.io and auth.docker.io: the same domain, one label below.
    let domain = ours.split_once('.').map(|(_, domain)| domain).filter(|domain| domain.contains('.'));
    let is_address = ours.parse::<std::net::IpAddr>().is_ok();
    Ok(!is_address && domain.is_some_and(|domain| theirs == domain || theirs.ends_with(&format!(".{domain}"))))
}

/// The realm with the question in it.
fn address(realm: &str, service: Option<&str>, scope: &str) -> String {
    let mark = if realm.contains('?') { '&' } else { '?' };
    let service = service.map(|service| format!("service={}&", encode(service))).unwrap_or_default();
    // A scope of several parts is written as several (distribution, spec/auth/token.md).
    let scopes: Vec<_> = scope.split_whitespace().map(|scope| format!("scope={}", encode(scope))).collect();
    format!("{realm}{mark}{service}{}", scopes.join("&"))
}

/// Percent-encoding of a query's value (RFC 3986).
fn encode(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~:/,".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn login(endpoint: &Endpoint, known: bool) -> Error {
    let host = endpoint.authority();
    let why = if known { "refuses the login that we have" } else { "needs a login" };
    Error::not_found(format!("the registry {host} {why}"))
        .help(format!("log in with any tool that writes ~/.docker/config.json, for example: docker login {host}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_go_to_the_registrys_own_people_only() {
        let may = |domain: &str, realm: &str| may_have_credentials(&Endpoint::of(domain), realm);
        assert!(may("docker.io", "https://auth.docker.io/token").unwrap());
        assert!(may("registry.gitlab.example.com", "https://gitlab.example.com/jwt/auth").unwrap());
        assert!(may("127.0.0.1:5000", "http://127.0.0.1:5001/token").unwrap());
        assert!(!may("docker.io", "https://evil.example/token").unwrap());
        assert!(!may("example.com", "https://other.com/token").unwrap());
        assert!(!may("r.example.com", "https://r.example.com.evil.io/token").unwrap());
        assert!(may("docker.io", "http://auth.docker.io/token").is_err());
        assert!(may("docker.io", "http://127.0.0.1/token").is_err());
        assert!(may("docker.io", "https://user@auth.docker.io/token").is_err());
        assert!(may("docker.io", "auth.docker.io").is_err());
    }

    #[test]
    fn the_question_is_encoded() {
        let url = address("https://a.example/token?x=1", Some("r & s"), "repository:a/b:pull repository:c:push");
        assert_eq!(
            url,
            "https://a.example/token?x=1&service=r%20%26%20s&scope=repository:a/b:pull&scope=repository:c:push"
        );
    }
}
