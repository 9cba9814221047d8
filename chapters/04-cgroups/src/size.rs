//! Sizes in bytes, written and read as Docker does.

use std::fmt;
use std::str::FromStr;

use process::Error;

/// A number of bytes. Reads `64m`, `1.5g`, `512k`, `1048576`, `32MiB`; every unit is a power of 1024.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

const UNITS: &str = "bkmgtp";

impl FromStr for Bytes {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        parse(text).map(Self).ok_or_else(|| {
            Error::invalid(format!("{text:?} is no size"))
                .help("write a number with b, k, m or g behind it, as in 64m; a unit is 1024 of the one before")
        })
    }
}

fn parse(text: &str) -> Option<u64> {
    let lower = text.trim().to_ascii_lowercase();
    let digits = lower.find(|one: char| !one.is_ascii_digit() && one != '.').unwrap_or(lower.len());
    let (number, unit) = lower.split_at(digits);
    let unit = unit.trim();
    let power = match unit.chars().next() {
        None => 0,
        Some(first) => {
            let rest = &unit[first.len_utf8()..];
            let power = UNITS.find(first)?;
            let known = rest.is_empty() || (power > 0 && (rest == "b" || rest == "ib"));
            if known { power } else { return None }
        }
    };
    let factor = 1_u64 << (10 * power);
    match number.parse::<u64>() {
        Ok(whole) => whole.checked_mul(factor),
        Err(_) => {
            let bytes = number.parse::<f64>().ok()? * factor as f64;
            // Beyond 2^63 nothing is meant; the kernel counts in signed words.
            (bytes < i64::MAX as f64).then_some(bytes as u64)
        }
    }
}

/// `64 MiB`, `1.5 GiB`: at most four characters of number.
impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
        let mut value = self.0 as f64;
        let mut unit = 0;
        while value >= 1024.0 && unit + 1 < NAMES.len() {
            value /= 1024.0;
            unit += 1;
        }
        let decimals = if value.fract() == 0.0 || value >= 100.0 { 0 } else { 1 };
        f.pad(&format!("{value:.decimals$} {}", NAMES[unit]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_docker_reads() {
        for (text, bytes) in [
            ("0", 0),
            ("32", 32),
            ("32b", 32),
            ("32k", 32 << 10),
            ("32KB", 32 << 10),
            ("32kib", 32 << 10),
            ("64m", 64 << 20),
            ("1.5g", 3 << 29),
            ("2 GiB", 2 << 30),
            ("1t", 1 << 40),
        ] {
            assert_eq!(text.parse::<Bytes>().unwrap(), Bytes(bytes), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_size() {
        for text in ["", "m", "-1", "64x", "64mm", "1.2.3m", "64 m b", "99999999999g", "nan", "32bb", "1e3"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }

    #[test]
    fn shows_short() {
        for (bytes, text) in
            [(0, "0 B"), (1023, "1023 B"), (64 << 20, "64 MiB"), (3 << 29, "1.5 GiB"), (150_000, "146 KiB")]
        {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }
}
