//! What a registry's answer means for the person who waits for it.

use std::io::Read;

use process::{Error, Kind};

use super::endpoint::is_loopback;
use super::http::Answer;

/// The way out that needs nobody else (the image `host` is made of this machine's own programs).
const OFFLINE: &str = "without a network, `run host sh` runs this machine's own programs";

/// There was no answer at all.
pub fn unreachable(host: &str, error: &ureq::Error) -> Error {
    // Nor was there a question, if it is ours.
    let ours = |error: &std::io::Error| error.get_ref().and_then(|inner| inner.downcast_ref::<Error>()).cloned();
    if let ureq::Error::Io(io) = error
        && let Some(ours) = ours(io)
    {
        return ours;
    }
    let (why, help) = match error {
        ureq::Error::HostNotFound => ("its name is not known".to_owned(), "check the name and the DNS settings"),
        ureq::Error::Timeout(_) => ("it did not answer in time".to_owned(), "check the network and HTTPS_PROXY"),
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) => (error.to_string(), certificate(&error.to_string())),
        ureq::Error::ConnectProxyFailed(_) | ureq::Error::InvalidProxyUrl => {
            (error.to_string(), "check HTTPS_PROXY and NO_PROXY")
        }
        ureq::Error::Io(io) if io.to_string().contains("certificate") => (io.to_string(), certificate(&io.to_string())),
        ureq::Error::Io(io) if io.raw_os_error().is_none() && io.to_string().contains("lookup") => {
            ("its name is not known".to_owned(), "check the name and the DNS settings")
        }
        ureq::Error::Io(io) if is_loopback(host) => (io.to_string(), "does a registry run there?"),
        ureq::Error::Io(io) => (io.to_string(), "check the network and HTTPS_PROXY"),
        other => (other.to_string(), "check the network and HTTPS_PROXY"),
    };
    Error::new(Kind::Unavailable, format!("the registry {host} cannot be reached: {why}"))
        .help(format!("{help}; {OFFLINE}"))
}

fn certificate(why: &str) -> &'static str {
    // `openssl req -x509` makes a CA unless it is told not to, and a CA must not serve (RFC 5280 section 4.2.1.9).
    if why.contains("CaUsedAsEndEntity") {
        "the registry's certificate is its own CA: make one with -addext basicConstraints=CA:FALSE"
    } else {
        "a private CA's certificate is trusted as /etc/containers/certs.d/HOST:PORT/ca.crt, or when SSL_CERT_FILE names it"
    }
}

/// The answer broke off.
pub fn broken(host: &str, error: &std::io::Error) -> Error {
    let why = match error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>()) {
        Some(ureq::Error::Timeout(_)) => "it said nothing for too long".to_owned(),
        _ if error.kind() == std::io::ErrorKind::TimedOut => "it said next to nothing for too long".to_owned(),
        _ if error.kind() == std::io::ErrorKind::UnexpectedEof => "the connection ended early".to_owned(),
        _ => error.to_string(),
    };
    Error::new(Kind::Unavailable, format!("the registry {host} stopped in the middle of an answer: {why}"))
        .help(format!("pull again, what is complete is kept; {OFFLINE}"))
}

/// The registry said no, or that it has no such thing.
pub fn status(answer: Answer, name: &str) -> Error {
    let (code, host) = (answer.status(), answer.host().to_owned());
    match code {
        429 => too_many(&answer, &host),
        401 | 403 => Error::not_found(format!("{host} does not give us {name}: {}", said(answer)))
            .help("it may not exist under this name, or need a login: see `auths` in ~/.docker/config.json"),
        404 => Error::not_found(format!("{name} was not found in {host}: {}", said(answer))).help(
            "check the name and the tag; a private image also needs a login, see `auths` in ~/.docker/config.json",
        ),
        500.. => Error::new(Kind::Unavailable, format!("{host} has trouble of its own ({code}): {}", said(answer)))
            .help(format!("try again later; {OFFLINE}")),
        _ => Error::new(Kind::Unavailable, format!("{host} answered {code} for {name}: {}", said(answer)))
            .help("is this the address of a registry?"),
    }
}

/// What remains, and when more will be allowed.
fn too_many(answer: &Answer, host: &str) -> Error {
    let field = |name: &str| answer.header(name).map(Quota::parse);
    let mut what = format!("{host} allows no more pulls for now");
    if let Some(limit) = field("ratelimit-limit") {
        let remaining = field("ratelimit-remaining").map_or(0, |left| left.count);
        let window = limit.window.map(|seconds| format!(" in {}", duration(seconds))).unwrap_or_default();
        what.push_str(&format!(": {remaining} of {}{window} remain", limit.count));
    }
    let wait = answer.header("retry-after").or_else(|| answer.header("ratelimit-reset"));
    let when = match wait.and_then(|text| text.trim().parse().ok()) {
        Some(seconds) => format!("try again in {}", duration(seconds)),
        None => "try again later".to_owned(),
    };
    Error::new(Kind::Unavailable, what).help(format!(
        "{when}, or log in: who is logged in may pull more (`auths` in ~/.docker/config.json); {OFFLINE}"
    ))
}

/// `100;w=21600`: so many requests in so many seconds.
#[derive(Debug, PartialEq, Eq)]
struct Quota {
    count: u64,
    window: Option<u64>,
}

impl Quota {
    fn parse(value: &str) -> Self {
        let mut parts = value.split(';').map(str::trim);
        let count = parts.next().and_then(|count| count.parse().ok()).unwrap_or(0);
        Self { count, window: parts.find_map(|part| part.strip_prefix("w=")?.parse().ok()) }
    }
}

fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} seconds"),
        60..7200 => format!("{} minutes", seconds.div_ceil(60)),
        _ => format!("{} hours", seconds.div_ceil(3600)),
    }
}

/// The registry's own words: `{"errors":[{"code":…,"message":…}]}`, or the beginning of whatever it sent.
pub fn said(answer: Answer) -> String {
    let status = answer.status();
    let mut bytes = Vec::new();
    let _ = answer.into_body().take(64 << 10).read_to_end(&mut bytes);
    let json: Option<serde_json::Value> = serde_json::from_slice(&bytes).ok();
    let first = json.as_ref().and_then(|json| json.get("errors")?.get(0));
    let word = |key: &str| first.and_then(|error| error.get(key)?.as_str()).filter(|text| !text.is_empty());
    let details = json.as_ref().and_then(|json| json.get("details").or(json.get("message"))?.as_str());
    match word("message").or(details).or_else(|| word("code")) {
        // Control characters could rewrite the reader's terminal.
        Some(text) => text.chars().filter(|one| !one.is_control()).take(300).collect(),
        None => format!("HTTP status {status}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotas_and_durations_are_readable() {
        assert_eq!(Quota::parse("100;w=21600"), Quota { count: 100, window: Some(21600) });
        assert_eq!(Quota::parse("x"), Quota { count: 0, window: None });
        assert_eq!(
            (duration(21600), duration(90), duration(5)),
            ("6 hours".into(), "2 minutes".into(), "5 seconds".into())
        );
    }
}
