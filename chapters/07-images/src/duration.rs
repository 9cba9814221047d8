//! Durations as Go, and so Docker's command line, writes them.

use std::time::Duration;

use process::Error;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_gos() {
        let millis = |text| parse(text).map(|duration| duration.as_millis()).ok();
        assert_eq!([millis("30s"), millis("1h30m"), millis("1.5h")], [Some(30_000), Some(5_400_000), Some(5_400_000)]);
        assert_eq!([millis("250ms"), millis("0"), millis("0s")], [Some(250), Some(0), Some(0)]);
        assert_eq!(millis("1h2m3.5s"), Some(3_723_500));
        assert_eq!(["", "5", "s", "-1s", "1d", "1.2.3s"].map(millis), [None; 6]);
    }
}
