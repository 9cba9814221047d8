//! Which failures pass by themselves, and how long to wait before the next try.

use std::io::ErrorKind;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ureq::Body;
use ureq::http::Response;

/// How often a request is made at most.
const TRIES: u32 = 4;
/// The first pause; each further one is twice as long.
const FIRST: Duration = Duration::from_millis(250);
/// A registry that wants a longer pause than this is not waited for: a person decides.
const LONGEST: Duration = Duration::from_secs(5);

/// How long to wait before request number `done + 1`; nothing if its outcome is to be taken as it is.
///
/// Trouble of the server's own and broken connections pass. A refused connection, an unknown name or a
/// silent host are told at once: a person without a network waits for nothing.
pub fn pause(outcome: &Result<Response<Body>, ureq::Error>, done: u32) -> Option<Duration> {
    let again = match outcome {
        Ok(answer) => return after(answer.status().as_u16(), |name| header(answer, name), done),
        Err(ureq::Error::Io(error)) => is_passing(error.kind()),
        // A connection kept open, which the server has closed in the meantime.
        Err(ureq::Error::Protocol(_)) => done < 2,
        Err(_) => false,
    };
    (again && done < TRIES).then(|| back_off(done))
}

/// Is it the connection that broke, rather than the way that is barred?
pub fn is_passing(kind: ErrorKind) -> bool {
    use ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    matches!(kind, BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
}

/// 250 ms, 500 ms, 1 s and so on, and up to a quarter more, so that many clients do not come back as one.
pub fn back_off(done: u32) -> Duration {
    let pause = FIRST * (1 << done.saturating_sub(1).min(4));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    pause + pause * (now.subsec_nanos() % 256) / 1024
}

/// What an answer says (RFC 9110 section 10.2.3, Retry-After).
fn after<'a>(status: u16, header: impl Fn(&str) -> Option<&'a str>, done: u32) -> Option<Duration> {
    if !matches!(status, 408 | 429 | 500 | 502..=504) || done >= TRIES {
        return None;
    }
    // A quota that is used up comes back in hours, not in seconds.
    let quota = header("ratelimit-remaining").is_some_and(|left| left.split(';').next() == Some("0"));
    match header("retry-after").map(|text| text.trim().parse().ok()) {
        Some(seconds) => seconds.map(Duration::from_secs).filter(|pause| *pause <= LONGEST),
        None => (!quota).then(|| back_off(done)),
    }
}

fn header<'a>(answer: &'a Response<Body>, name: &str) -> Option<&'a str> {
    answer.headers().get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_is_waited_for_and_nothing_else() {
        let pause = |status, headers: &'static [(&str, &str)], done| {
            after(status, |name| headers.iter().find(|(key, _)| *key == name).map(|(_, value)| *value), done)
        };
        assert!(pause(503, &[], 1).is_some_and(|pause| pause >= FIRST && pause < FIRST * 2));
        assert!(pause(503, &[], 3).is_some_and(|pause| pause >= FIRST * 4 && pause < FIRST * 8));
        assert_eq!(pause(503, &[], TRIES), None);
        assert_eq!(pause(404, &[], 1), None);
        assert_eq!(pause(429, &[("retry-after", "2")], 1), Some(Duration::from_secs(2)));
        assert_eq!(pause(429, &[("retry-after", "3600")], 1), None);
        assert_eq!(pause(429, &[("retry-after", "Fri, 31 Dec 1999 23:59:59 GMT")], 1), None);
        assert_eq!(pause(429, &[("ratelimit-remaining", "0;w=21600")], 1), None);
        assert!(pause(429, &[], 1).is_some());
    }
}
