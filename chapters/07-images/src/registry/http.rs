//! HTTP as registries need it: redirects that drop credentials, time limits, proxies, private CAs.

use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use process::{Error, Kind, Result, explain};
use ureq::http::{Method, Response, Uri};
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, Body, Proxy};

use super::endpoint::is_loopback;
use super::patience::Patience;
use super::reach::{Guard, Guarded, Known};
use super::redirect::{self, authority, parse};
use super::{errors, retry, trust};

const CONNECT: Duration = Duration::from_secs(10);
/// How long a connection may say nothing. `COOPER_REGISTRY_TIMEOUT` (in seconds) changes it.
const SILENCE: u64 = 30;
const MOST_REDIRECTS: usize = 10;

/// The connections of one pull; every thread may use them.
pub struct Http {
    /// One agent for each host and port, as trust and proxy may differ, and for where its name may lead: a connection
    /// that a person asked for is not a redirect's to use.
    agents: Mutex<HashMap<(String, Guard), Agent>>,
    known: Known,
    /// The one whose certificate is not verified (`insecure` in registries.conf).
    unverified: Option<String>,
}

impl Http {
    /// Proxies are `HTTPS_PROXY`, `HTTP_PROXY` and `NO_PROXY`; trust is the system's, or `SSL_CERT_FILE`'s, and
    /// what [`trust`] finds.
    pub fn new(unverified: Option<&str>) -> Self {
        Self { agents: Mutex::default(), known: Known::default(), unverified: unverified.map(str::to_owned) }
    }

    /// Sends a GET request and follows redirects. `token` is the Authorization header, for `url`'s host only.
    ///
    /// # Errors
    /// [`Kind::Unavailable`] if there is no answer. Statuses of 400 and above are answers, those that may
    /// pass ([`retry`]) after some tries.
    pub fn get(&self, url: &str, headers: &[(&str, &str)], token: Option<&str>) -> Result<Answer> {
        self.request(&Method::GET, url, headers, token)
    }

    /// Sends a request without a body: [`get`](Self::get), or the same for another method.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn request(&self, method: &Method, url: &str, headers: &[(&str, &str)], token: Option<&str>) -> Result<Answer> {
        let (mut uri, mut guard) = (parse(url)?, Guard::OFF);
        let first = uri.clone();
        for _ in 0..MOST_REDIRECTS {
            // A storage host is somebody else; the token is not for it. Nor for the same host without TLS.
            let same = uri.authority() == first.authority() && uri.scheme() == first.scheme();
            let agent = self.agent(&uri, guard)?;
            let response = send(&agent, method, &uri, headers, token.filter(|_| same))?;
            let Some(location) = location(&response) else { return Ok(Answer { uri, response }) };
            let next = redirect::resolve(&uri, location)?;
            guard = redirect::allowed(&first, self.known.reach(authority(&first)), &next, token.is_some())?;
            uri = next;
        }
        let what = format!("{} redirects in a circle", authority(&first));
        Err(Error::new(Kind::Unavailable, what).help("is this the address of a registry?"))
    }

    /// Sends a form, as OAuth wants it. Redirects are not followed: the form holds a secret.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn post(&self, url: &str, form: &[(&str, &str)]) -> Result<Answer> {
        let uri = parse(url)?;
        let sent = self.agent(&uri, Guard::OFF)?.post(&uri).send_form(form.iter().copied());
        let response = sent.map_err(|error| errors::unreachable(authority(&uri), &error))?;
        Ok(Answer { uri, response })
    }

    fn agent(&self, uri: &Uri, guard: Guard) -> Result<Agent> {
        let host = authority(uri);
        let key = (host.to_owned(), guard);
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(agent) = agents.get(&key) {
            return Ok(agent.clone());
        }
        let proxy = if is_loopback(host) { None } else { Proxy::try_from_env() };
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(proxy)
            .tls_config(trust::config(host, self.unverified.as_deref() != Some(host))?)
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(silence()))
            .timeout_per_read(Some(silence()))
            .timeout_per_write(Some(silence()))
            .user_agent(concat!("cooper/", env!("CARGO_PKG_VERSION")))
            .accept_encoding("identity")
            .build();
        let (authority, known) = (host.to_owned(), self.known.clone());
        let resolver = Guarded { authority, guard, known, system: DefaultResolver::default() };
        let agent = Agent::with_parts(config, DefaultConnector::default(), resolver);
        agents.insert(key, agent.clone());
        Ok(agent)
    }
}

fn send(
    agent: &Agent,
    method: &Method,
    uri: &Uri,
    headers: &[(&str, &str)],
    token: Option<&str>,
) -> Result<Response<Body>> {
    let mut done = 0;
    loop {
        let mut request = if method == Method::HEAD { agent.head(uri) } else { agent.get(uri) };
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(token) = token {
            request = request.header("authorization", token);
        }
        let outcome = request.call();
        done += 1;
        // Some registries have trouble with HEAD alone: any answer to it is taken, and patience is for GET.
        let pause = retry::pause(&outcome, done).filter(|_| method != Method::HEAD || outcome.is_err());
        let Some(pause) = pause else {
            return outcome.map_err(|error| errors::unreachable(authority(uri), &error));
        };
        let why = outcome.map_or_else(|error| error.to_string(), |answer| answer.status().to_string());
        explain!(7, "trouble that may pass: another try", "{}: {why}; sleep({pause:.1?})", authority(uri));
        std::thread::sleep(pause);
    }
}

fn silence() -> Duration {
    let seconds = std::env::var("COOPER_REGISTRY_TIMEOUT").ok().and_then(|text| text.parse().ok()).unwrap_or(SILENCE);
    Duration::from_secs(seconds.max(1))
}

fn location(response: &Response<Body>) -> Option<&str> {
    let moved = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    let location = response.headers().get("location")?.to_str().ok()?;
    moved.then_some(location)
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
    pub fn into_body(self) -> Incoming {
        let host = self.host().to_owned();
        Incoming { reader: self.response.into_body().into_reader(), patience: Patience::new(silence()), host }
    }
}

/// A body as it arrives.
pub struct Incoming {
    reader: ureq::BodyReader<'static>,
    patience: Patience,
    /// The host that sends it.
    pub host: String,
}

impl Read for Incoming {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.patience.read(|| self.reader.read(buffer))
    }
}
