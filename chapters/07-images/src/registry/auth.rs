//! Answering a registry's challenge: a token for this repository, or user and password.

use std::io::Read;

use process::{Error, Kind, Result, explain};

use super::challenge::Challenge;
use super::credentials::{self, Credentials};
use super::endpoint::{Endpoint, host};
use super::errors;
use super::http::{Answer, Http};

/// No token is longer.
const LONGEST: u64 = 1 << 20;

/// What we know and what we have been given.
#[derive(Debug)]
pub struct Auth {
    domain: String,
    path: String,
    /// Looked up at the first challenge: most pulls from open registries need no keychain.
    credentials: Option<Option<Credentials>>,
    header: Option<String>,
}

impl Auth {
    /// Anonymous at first; the credentials for the repository `path` in `domain` are used when the registry asks.
    pub fn new(domain: &str, path: &str) -> Self {
        Self { domain: domain.to_owned(), path: path.to_owned(), credentials: None, header: None }
    }

    /// The Authorization header that the last challenge was answered with.
    pub fn header(&self) -> Option<String> {
        self.header.clone()
    }

    /// Answers the challenge of a 401. `name` is what a person calls the image.
    ///
    /// # Errors
    /// A challenge of an unknown kind, credentials that we lack, or a realm that gives us nothing.
    pub fn answer(&mut self, http: &Http, endpoint: &Endpoint, name: &str, answer: &Answer) -> Result<()> {
        let credentials = match self.credentials.take() {
            Some(known) => known,
            None => credentials::find(&self.domain, &self.path)?,
        };
        let known = self.credentials.insert(credentials).as_ref();
        let first = self.header.is_none();
        self.header = Some(match (Challenge::parse(answer.headers("www-authenticate")), known) {
            (Some(Challenge::Bearer { .. }), Some(Credentials::Bearer(token))) if first => format!("Bearer {token}"),
            (Some(Challenge::Bearer { realm, service, scope }), _) => {
                let scope = scope.unwrap_or_else(|| format!("repository:{}:pull", self.path));
                let question = Question { realm: &realm, service: service.as_deref(), scope: &scope };
                question.token(http, endpoint, known, name)?
            }
            (Some(Challenge::Basic), Some(known)) if first => {
                known.basic().ok_or_else(|| login(endpoint, &self.domain, true))?
            }
            _ => return Err(login(endpoint, &self.domain, known.is_some())),
        });
        Ok(())
    }
}

/// What a realm is asked (distribution, spec/auth/token.md and oauth.md).
struct Question<'a> {
    realm: &'a str,
    service: Option<&'a str>,
    scope: &'a str,
}

impl Question<'_> {
    fn token(&self, http: &Http, endpoint: &Endpoint, known: Option<&Credentials>, name: &str) -> Result<String> {
        let trusted = may_have_credentials(endpoint, self.realm)?;
        let answer = match known.filter(|_| trusted) {
            Some(Credentials::Identity(token)) => http.post(self.realm, &self.form(token))?,
            other => {
                let basic = other.and_then(Credentials::basic);
                http.get(&address(self.realm, self.service, self.scope), &[], basic.as_deref())?
            }
        };
        if answer.status() != 200 {
            let error = errors::status(answer, name);
            let withheld = format!("the password was not sent: {} is not of {}", self.realm, endpoint.authority());
            return Err(if known.is_some() && !trusted { error.help(withheld) } else { error });
        }
        let token = read(answer, name)?;
        explain!(7, "a token to read this repository", "GET {} = {} bytes", self.realm, token.len());
        Ok(format!("Bearer {token}"))
    }

    /// A login without a password: `docker login` has got a refresh token for it.
    fn form<'a>(&'a self, token: &'a str) -> [(&'a str, &'a str); 5] {
        [
            ("grant_type", "refresh_token"),
            ("service", self.service.unwrap_or_default()),
            ("client_id", "cooper"),
            ("scope", self.scope),
            ("refresh_token", token),
        ]
    }
}

/// The token in a realm's answer.
fn read(answer: Answer, name: &str) -> Result<String> {
    let mut bytes = Vec::new();
    let body = answer.into_body();
    let host = body.host.clone();
    body.take(LONGEST).read_to_end(&mut bytes).map_err(|error| errors::broken(&host, &error))?;
    let json: serde_json::Value = serde_json::from_slice(&bytes).unwrap_or_default();
    // Docker's name for it, and OAuth's.
    let token =
        ["token", "access_token"].iter().find_map(|key| json.get(key)?.as_str().filter(|text| !text.is_empty()));
    let is_plain = |token: &&str| token.bytes().all(|byte| byte.is_ascii_graphic());
    let none = || Error::new(Kind::Unavailable, format!("{host} gave no token for {name}"));
    Ok(token.filter(is_plain).ok_or_else(none)?.to_owned())
}

/// May the realm see our password? It must be encrypted, and the registry's own host or a neighbour of it.
///
/// # Errors
/// A realm that nothing at all may be asked of: plain HTTP to another machine.
fn may_have_credentials(endpoint: &Endpoint, realm: &str) -> Result<bool> {
    let (scheme, rest) = realm.split_once("://").unwrap_or(("", realm));
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let encrypted = scheme == "https" || (scheme == "http" && endpoint.takes_plain(authority));
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

fn login(endpoint: &Endpoint, domain: &str, known: bool) -> Error {
    let host = endpoint.authority();
    let why = if known { "refuses the login that we have" } else { "needs a login" };
    Error::not_found(format!("the registry {host} {why}"))
        .help(format!("log in with any tool that writes ~/.docker/config.json, for example: docker login {domain}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_go_to_the_registrys_own_people_only() {
        let may = |domain: &str, realm: &str| may_have_credentials(&Endpoint::of(domain, None, false), realm);
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
