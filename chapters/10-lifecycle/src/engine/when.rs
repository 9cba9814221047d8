//! Points in time as people write them on Docker's command line.

use std::str::FromStr;

use process::Error;

use crate::duration;
use crate::supervisor::stamp::Stamp;

/// A point in time: RFC 3339, seconds since 1970, or a duration that counts back from now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct When(pub Stamp);

impl FromStr for When {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if let Some(stamp) = Stamp::parse(text) {
            return Ok(Self(stamp));
        }
        if let Ok(ago) = duration::parse(text) {
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
    use std::time::Duration;

    use super::*;

    #[test]
    fn points_in_time() {
        let at = |text: &str| text.parse::<When>().unwrap().0;
        assert_eq!(at("1970-01-01T00:01:00Z"), Stamp::new(60, 0));
        assert_eq!(at("60.5"), Stamp::new(60, 500_000_000));
        assert!(at("10m") <= Stamp::now().before(Duration::from_secs(599)));
        assert!("yesterday".parse::<When>().is_err());
    }
}
