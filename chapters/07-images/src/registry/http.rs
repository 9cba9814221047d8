//! HTTP as registries need it: redirects that drop credentials, time limits, proxies, private CAs.

use std::time::Duration;

use process::{Error, Kind, Result};
use ureq::tls::{RootCerts, TlsConfig};
use ureq::{Agent, Body, Proxy, http::Response, http::Uri};

use super::endpoint::is_loopback;
use super::errors;

const CONNECT: Duration = Duration::from_secs(10);
/// How long a connection may say nothing. `COOPER_REGISTRY_TIMEOUT` (in seconds) changes it.
const SILENCE: u64 = 30;
const MOST_REDIRECTS: usize = 10;

/// The connections of one pull. Cheap to clone; every thread may use it.
pub struct Http {
    direct: Agent,
    proxied: Agent,
}

impl Http {
    /// Proxies are `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`; trust is the system's, or `SSL_CERT_FILE`'s.
    pub fn new() -> Self {
        Self { direct: agent(None), proxied: agent(Proxy::try_from_env()) }
    }

    /// Sends a GET request and follows redirects. `token` is the Authorization header, for `url`'s host only.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] if there is no answer. Statuses of 400 and above are answers.
    pub fn get(&self, url: &str, headers: &[(&str, &str)], token: Option<&str>) -> Result<Answer> {
        let mut uri = parse(url)?;
        let first = uri.clone();
        for _ in 0..MOST_REDIRECTS {
            // A storage host is somebody else; the token is not for it. Nor for the same host without TLS.
            let same = uri.authority() == first.authority() && uri.scheme() == first.scheme();
            let response = self.send(&uri, headers, token.filter(|_| same))?;
            let Some(next) = redirect(&response) else { return Ok(Answer { uri, response }) };
            let next = resolve(&uri, next)?;
            if next.scheme_str() != Some("https") && !(is_loopback(authority(&next)) && is_loopback(authority(&first)))
            {
                let what = format!("{} redirects to {next}, which is not encrypted", authority(&uri));
                return Err(Error::new(Kind::Unavailable, what).help("the registry must redirect to an https address"));
            }
            uri = next;
        }
        Err(Error::new(Kind::Unavailable, format!("{} redirects in a circle", authority(&first))))
    }

    fn send(&self, uri: &Uri, headers: &[(&str, &str)], token: Option<&str>) -> Result<Response<Body>> {
        let agent = if is_loopback(authority(uri)) { &self.direct } else { &self.proxied };
        let mut request = agent.get(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = token {
            request = request.header("authorization", token);
        }
        request.call().map_err(|error| errors::unreachable(authority(uri), &error))
    }
}

fn agent(proxy: Option<Proxy>) -> Agent {
    let silence = std::env::var("COOPER_REGISTRY_TIMEOUT").ok().and_then(|text| text.parse().ok()).unwrap_or(SILENCE);
    let silence = Duration::from_secs(silence.max(1));
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(proxy)
        .tls_config(tls)
        .timeout_connect(Some(CONNECT))
        .timeout_per_read(Some(silence))
        .timeout_per_write(Some(silence))
        .user_agent(concat!("cooper/", env!("CARGO_PKG_VERSION")))
        .accept_encoding("identity")
        .build()
        .new_agent()
}

fn parse(url: &str) -> Result<Uri> {
    url.parse().map_err(|_| Error::invalid(format!("{url} is no address")))
}

fn authority(uri: &Uri) -> &str {
    uri.authority().map_or("", |authority| authority.as_str().rsplit('@').next().unwrap_or_default())
}

fn redirect(response: &Response<Body>) -> Option<&str> {
    let moved = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = response.headers().get("location")?.to_str().ok()?;
    moved.then_some(location)
}

/// The address that a `Location` header means, which may leave out scheme and host.
fn resolve(base: &Uri, location: &str) -> Result<Uri> {
    let (scheme, host) = (base.scheme_str().unwrap_or("https"), authority(base));
    let location = location.split('#').next().unwrap_or(location);
    if location.starts_with("//") {
        parse(&format!("{scheme}:{location}"))
    } else if location.starts_with('/') {
        parse(&format!("{scheme}://{host}{location}"))
    } else if location.contains("://") {
        parse(location)
    } else {
        let directory = base.path().rsplit_once('/').map_or("", |(directory, _)| directory);
        parse(&format!("{scheme}://{host}{directory}/{location}"))
    }
}

/// What a server has answered, after all redirects.
pub struct Answer {
    uri: Uri,
    response: Response<Body>,
}

impl Answer {
    /// The status code.
    pub fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// A header's value; the name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.response.headers().get(name)?.to_str().ok()
    }

    /// All values of a header that may come several times.
    pub fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        self.response.headers().get_all(name).iter().filter_map(|value| value.to_str().ok())
    }

    /// The host that has answered, with its port if that is not the usual one.
    pub fn host(&self) -> &str {
        authority(&self.uri)
    }

    /// The body, of any length.
    pub fn into_body(self) -> ureq::BodyReader<'static> {
        self.response.into_body().into_reader()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_resolved() {
        let base = parse("https://a.example/v2/x/blobs/1?q").unwrap();
        let to = |location: &str| resolve(&base, location).unwrap().to_string();
        assert_eq!(to("https://b.example/y?z#f"), "https://b.example/y?z");
        assert_eq!(to("/y"), "https://a.example/y");
        assert_eq!(to("//c.example/y"), "https://c.example/y");
        assert_eq!(to("2"), "https://a.example/v2/x/blobs/2");
    }
}
