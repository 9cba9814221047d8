//! One place that a repository is fetched from: the registry itself, or a mirror of it.

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use process::{Result, explain};
use ureq::http::Method;

use super::auth::Auth;
use super::conf::Place;
use super::endpoint::{Endpoint, Way};
use super::http::{Answer, Http};
use super::trust;

/// A repository in a registry, and what it takes to ask for it.
pub struct Source {
    http: Http,
    endpoint: Endpoint,
    /// Scheme and host, once it is known which scheme an insecure registry speaks.
    base: OnceLock<String>,
    path: String,
    /// What the image is called in messages.
    name: String,
    auth: Mutex<Auth>,
    /// Is it a mirror? Then another source stands behind it.
    pub mirror: bool,
}

impl Source {
    /// `name` is what a person calls the image. Nothing is sent yet.
    pub fn new(place: &Place, name: &str) -> Self {
        let known = trust::directory(&place.domain).is_some();
        let endpoint = Endpoint::of(&place.domain, place.insecure, known);
        let unverified = (endpoint.way() == Way::Insecure).then_some(endpoint.authority());
        Self {
            http: Http::new(unverified),
            base: OnceLock::new(),
            path: place.path.clone(),
            name: name.to_owned(),
            auth: Mutex::new(Auth::new(&place.domain, &place.path)),
            mirror: place.mirror,
            endpoint,
        }
    }

    /// The registry's host.
    pub fn host(&self) -> &str {
        self.endpoint.authority()
    }

    /// What a person calls the image.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The address of something in this repository: `manifests/…`, `blobs/…`, `tags/list`.
    pub fn url(&self, rest: &str) -> String {
        format!("{}/v2/{}/{rest}", self.base(), self.path)
    }

    /// The address that a `Link` header gives for the next page: of this registry, whatever it says.
    pub fn page(&self, link: &str) -> String {
        let absolute = link.strip_prefix("https://").or_else(|| link.strip_prefix("http://"));
        let path = absolute.map_or(link, |rest| rest.find('/').map_or("/", |at| &rest[at..]));
        format!("{}/{}", self.base(), path.trim_start_matches('/'))
    }

    /// Sends a request, with a token if the registry wants one; gives up after one refusal. A token that
    /// has expired in the middle of a pull is refused like a missing one, and fetched anew.
    ///
    /// # Errors
    /// There is no answer, or no way to satisfy the registry's challenge.
    pub fn get(&self, url: &str, headers: &[(&str, &str)]) -> Result<Answer> {
        self.request(&Method::GET, url, headers)
    }

    /// The same with another method.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn request(&self, method: &Method, url: &str, headers: &[(&str, &str)]) -> Result<Answer> {
        let token = self.auth().header();
        let answer = self.http.request(method, url, headers, token.as_deref())?;
        if answer.status() != 401 {
            return Ok(answer);
        }
        let token = {
            // One thread asks for a token; the others find it here when their turn comes.
            let mut auth = self.auth();
            if auth.header() == token {
                auth.answer(&self.http, &self.endpoint, &self.name, &answer)?;
            }
            auth.header()
        };
        self.http.request(method, url, headers, token.as_deref())
    }

    fn auth(&self) -> MutexGuard<'_, Auth> {
        self.auth.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn base(&self) -> &str {
        self.base.get_or_init(|| {
            let host = self.endpoint.authority();
            let scheme = match self.endpoint.way() {
                Way::Verified => "https",
                Way::Plain => "http",
                Way::Insecure => {
                    let tls = self.http.get(&format!("https://{host}/v2/"), &[], None).is_ok();
                    let scheme = if tls { "https" } else { "http" };
                    explain!(7, "declared insecure: TLS if it has any", "GET https://{host}/v2/: use {scheme}");
                    scheme
                }
            };
            format!("{scheme}://{host}")
        })
    }
}
