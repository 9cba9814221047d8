//! Who may ask: whoever knows the token, from a page of this server, by this server's own name.

use std::fs::File;
use std::io::Read;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use process::OrCall;
use subtle::ConstantTimeEq;

use super::Served;
use crate::Result;

/// The token and the names of this server.
pub struct Guard {
    token: String,
    hosts: [String; 2],
}

impl Guard {
    /// A new token for the server on this port.
    ///
    /// # Errors
    /// No randomness.
    pub fn new(port: u16) -> Result<Self> {
        let mut bytes = [0; 16];
        let random = File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes));
        random.or_call("read", "/dev/urandom")?;
        let token = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        Ok(Self { token, hosts: [format!("127.0.0.1:{port}"), format!("localhost:{port}")] })
    }

    /// The first part of every path.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Why this request is refused, if it is. What it asks for is looked at last, so that a foreign page learns nothing.
    pub fn refuses(&self, method: &Method, path: &str, headers: &HeaderMap) -> Option<&'static str> {
        let value = |name: &HeaderName| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
        if !value(&header::HOST).is_some_and(|host| self.hosts.iter().any(|own| own == host)) {
            return Some("that is not this server's name");
        }
        let own_origin =
            |origin: &str| origin.strip_prefix("http://").is_some_and(|host| self.hosts.iter().any(|own| own == host));
        if !value(&header::ORIGIN).is_none_or(own_origin) {
            return Some("another site has no business here");
        }
        // A browser tells where a request comes from (Fetch Metadata); typed addresses and bookmarks are `none`.
        let site = headers.get("sec-fetch-site").map(|value| value.to_str().unwrap_or("?"));
        if !site.is_none_or(|site| matches!(site, "same-origin" | "none")) {
            return Some("another site has no business here");
        }
        if headers.contains_key(header::UPGRADE) && value(&header::ORIGIN).is_none() {
            return Some("a socket is opened by a page of the book");
        }
        if method != Method::GET && method != Method::HEAD {
            return Some("the book is only read");
        }
        let token = path.split('/').nth(1).unwrap_or_default();
        let same = bool::from(token.as_bytes().ct_eq(self.token.as_bytes()));
        if same { None } else { Some("the address lacks its token: it is printed where the book is served") }
    }
}

/// What a page may load and who may hold it in a frame. Styles are also written into pages, by pictures and terminals.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      font-src 'self'; connect-src 'self'; frame-src 'self'; frame-ancestors 'self'; base-uri 'none'; \
                      form-action 'none'";

/// Refuses or passes on, and says in every answer what browsers shall keep to.
pub async fn check(State(served): State<Arc<Served>>, request: Request, next: Next) -> Response {
    let refused = served.guard.refuses(request.method(), request.uri().path(), request.headers());
    let mut response = match refused {
        Some(why) => (StatusCode::FORBIDDEN, format!("{why}\n")).into_response(),
        None => next.run(request).await,
    };
    let rules = [
        ("content-security-policy", POLICY),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"), // the address is the key
        ("cross-origin-resource-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cache-control", "no-store"),
    ];
    for (name, value) in rules {
        response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asks(path: &str, pairs: &[(&'static str, &'static str)]) -> Option<&'static str> {
        let guard = Guard { token: "secret".into(), hosts: ["127.0.0.1:80".into(), "localhost:80".into()] };
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        guard.refuses(&Method::GET, path, &headers)
    }

    #[test]
    fn only_the_books_own_pages_are_served() {
        let host = ("host", "127.0.0.1:80");
        assert_eq!(asks("/secret/x", &[host]), None);
        assert_eq!(asks("/secret/x", &[("host", "localhost:80"), ("origin", "http://localhost:80")]), None);
        assert_eq!(asks("/secret/x", &[host, ("sec-fetch-site", "none")]), None);
        assert!(asks("/secre/x", &[host]).is_some());
        assert!(asks("/secrets/x", &[host]).is_some());
        assert!(asks("/", &[host]).is_some());
        assert!(asks("/secret/x", &[]).is_some());
        assert!(asks("/secret/x", &[("host", "evil.example")]).is_some());
        assert!(asks("/secret/x", &[("host", "127.0.0.1:81")]).is_some());
        assert!(asks("/secret/x", &[host, ("origin", "http://evil.example")]).is_some());
        assert!(asks("/secret/x", &[host, ("origin", "null")]).is_some());
        assert!(asks("/secret/x", &[host, ("origin", "https://127.0.0.1:80")]).is_some());
        assert!(asks("/secret/x", &[host, ("sec-fetch-site", "cross-site")]).is_some());
        assert!(asks("/secret/x", &[host, ("upgrade", "websocket")]).is_some());
    }
}
