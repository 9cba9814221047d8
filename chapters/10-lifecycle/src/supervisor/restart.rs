//! Restart policies: whether a container that has ended is started again, and after how long.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;
use std::time::Duration;

use process::Error;
use serde::{Deserialize, Serialize};

/// Before the first restart (these three as moby, restartmanager.go).
const FIRST: Duration = Duration::from_millis(100);
/// Before any.
const LONGEST: Duration = Duration::from_secs(60);
/// Who ran this long ran well: its next failure is a first one.
const GOOD_RUN: Duration = Duration::from_secs(10);

/// `--restart`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Policy {
    /// Never.
    #[default]
    No,
    /// If its exit code is not 0; so many times at most, or without end if none is given.
    OnFailure(Option<u32>),
    /// Whenever it ends, and when the engine starts; but not right after `stop`.
    Always,
    /// As `always`, but one that was stopped stays stopped when the engine starts.
    UnlessStopped,
}

impl Policy {
    /// Is a container started again that ended like this, and that was started again `count` times before?
    pub fn wants(self, exit_code: i32, manually_stopped: bool, count: u32) -> bool {
        if manually_stopped {
            return false;
        }
        match self {
            Self::No => false,
            Self::OnFailure(max) => exit_code != 0 && max.is_none_or(|max| count < max),
            Self::Always | Self::UnlessStopped => true,
        }
    }
}

/// How long to wait before the next restart, after one that waited `before` (zero if there was none) and ran for `ran`.
pub fn back_off(before: Duration, ran: Duration) -> Duration {
    if before.is_zero() || ran >= GOOD_RUN { FIRST } else { (before * 2).min(LONGEST) }
}

impl FromStr for Policy {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (name, count) = text.split_once(':').map_or((text, None), |(name, count)| (name, Some(count)));
        match (name, count) {
            ("no" | "", None) => Ok(Self::No),
            ("always", None) => Ok(Self::Always),
            ("unless-stopped", None) => Ok(Self::UnlessStopped),
            ("on-failure", None) => Ok(Self::OnFailure(None)),
            ("on-failure", Some(count)) => match count.parse() {
                Ok(0) => Ok(Self::OnFailure(None)), // as Docker
                Ok(count) => Ok(Self::OnFailure(Some(count))),
                Err(_) => Err(Error::invalid(format!("{count:?} is no number of restarts"))),
            },
            ("no" | "always" | "unless-stopped", Some(_)) => {
                Err(Error::invalid(format!("the restart policy {name} has no number")).help("only on-failure has one"))
            }
            _ => Err(Error::invalid(format!("no restart policy is called {name:?}"))
                .help("there are no, on-failure[:N], always and unless-stopped")),
        }
    }
}

impl Display for Policy {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::No => to.write_str("no"),
            Self::OnFailure(None) => to.write_str("on-failure"),
            Self::OnFailure(Some(count)) => write!(to, "on-failure:{count}"),
            Self::Always => to.write_str("always"),
            Self::UnlessStopped => to.write_str("unless-stopped"),
        }
    }
}

impl TryFrom<String> for Policy {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Policy> for String {
    fn from(policy: Policy) -> Self {
        policy.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_read_as_they_are_written() {
        for text in ["no", "on-failure", "on-failure:3", "always", "unless-stopped"] {
            assert_eq!(text.parse::<Policy>().unwrap().to_string(), text);
        }
        assert_eq!("on-failure:0".parse::<Policy>().unwrap(), Policy::OnFailure(None));
        for text in ["never", "always:3", "on-failure:x", "on-failure:-1"] {
            assert!(text.parse::<Policy>().is_err(), "{text}");
        }
    }

    #[test]
    fn who_is_started_again() {
        assert!(!Policy::No.wants(1, false, 0));
        assert!(Policy::Always.wants(0, false, 1000) && !Policy::Always.wants(0, true, 0));
        assert!(Policy::UnlessStopped.wants(0, false, 0) && !Policy::UnlessStopped.wants(137, true, 0));
        assert!(Policy::OnFailure(None).wants(1, false, 1000) && !Policy::OnFailure(None).wants(0, false, 0));
        assert!(Policy::OnFailure(Some(2)).wants(1, false, 1) && !Policy::OnFailure(Some(2)).wants(1, false, 2));
    }

    #[test]
    fn the_wait_doubles_up_to_a_minute_and_begins_anew_after_a_good_run() {
        let mut waits = vec![Duration::ZERO];
        for _ in 0..12 {
            waits.push(back_off(*waits.last().unwrap(), Duration::from_secs(9)));
        }
        let millis: Vec<_> = waits[1..].iter().map(Duration::as_millis).collect();
        assert_eq!(millis, [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000]);
        assert_eq!(back_off(LONGEST, GOOD_RUN), FIRST);
    }
}
