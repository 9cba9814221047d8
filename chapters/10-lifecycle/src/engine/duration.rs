//! Durations and points in time as people write them on Docker's command line.

use std::str::FromStr;
use std::time::Duration;

use process::Error;

use crate::supervisor::stamp::Stamp;

/// A duration as Go writes it: `30s`, `1h30m`, `1.5h`, `250ms`; a bare `0` too.
///
/// # Errors
/// [`Kind::Invalid`](process::Kind::Invalid) if it is none.
pub fn parse(text: &str) -> Result<Duration, Error> {
    let wrong = || Error::invalid(format!("{text:?} is no duration")).help("write 30s, 1h30m or 250ms");
    let (mut rest, mut total) = (text, 0.0);
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    while !rest.is_empty() || text.is_empty() {
        let digits = rest.find(|one: char| !one.is_ascii_digit() && one != '.').ok_or_else(wrong)?;
        let number: f64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let length = rest.find(|one: char| one.is_ascii_digit()).unwrap_or(rest.len());
        let seconds = match &rest[..length] {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" => 1e-6,
            "ns" => 1e-9,
            _ => return Err(wrong()),
        };
        total += number * seconds;
        rest = &rest[length..];
    }
    Duration::try_from_secs_f64(total).map_err(|_| wrong())
}

/// A point in time: RFC 3339, seconds since 1970, or a duration that counts back from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct When(pub Stamp);

impl FromStr for When {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if let Some(stamp) = Stamp::parse(text) {
            return Ok(Self(stamp));
        }
        if let Ok(ago) = parse(text) {
            return Ok(Self(Stamp::now().before(ago)));
        }
        let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let is_fraction = fraction.len() <= 9 && fraction.bytes().all(|byte| byte.is_ascii_digit());
        match (seconds.parse(), format!("{fraction:0<9}").parse()) {
            (Ok(seconds), Ok(nanos)) if is_fraction => Ok(Self(Stamp::new(seconds, nanos))),
            _ => Err(Error::invalid(format!("{text:?} is no point in time"))
                .help("write 2026-01-02T15:04:05Z, 1767366245 or, to count back from now, 10m")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        let millis = |text| parse(text).map(|duration| duration.as_millis()).ok();
        assert_eq!([millis("30s"), millis("1h30m"), millis("1.5h")], [Some(30_000), Some(5_400_000), Some(5_400_000)]);
        assert_eq!([millis("250ms"), millis("0"), millis("0s")], [Some(250), Some(0), Some(0)]);
        assert_eq!(["", "5", "s", "-1s", "1d", "1.2.3s"].map(millis), [None; 6]);
    }

    #[test]
    fn points_in_time() {
        let at = |text: &str| text.parse::<When>().unwrap().0;
        assert_eq!(at("1970-01-01T00:01:00Z"), Stamp::new(60, 0));
        assert_eq!(at("60.5"), Stamp::new(60, 500_000_000));
        assert!(at("10m") <= Stamp::now().before(Duration::from_secs(599)));
        assert!("yesterday".parse::<When>().is_err());
    }
}
