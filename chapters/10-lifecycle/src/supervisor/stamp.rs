//! Points in time as Docker writes them: RFC 3339, UTC, to the nanosecond.

use std::fmt::{self, Display, Formatter};
use std::iter;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A point in time. Its text is Go's `time.RFC3339Nano`: zeros at the end of the fraction are left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Stamp {
    /// Since 1970, UTC.
    seconds: i64,
    nanos: u32,
}

impl Stamp {
    /// This moment (`CLOCK_REALTIME`).
    pub fn now() -> Self {
        SystemTime::now().into()
    }

    /// A point so many seconds and nanoseconds after the beginning of 1970.
    pub fn new(seconds: i64, nanos: u32) -> Self {
        Self { seconds, nanos }
    }

    /// Seconds since 1970, as Docker's events have them.
    pub fn seconds(self) -> i64 {
        self.seconds
    }

    /// Nanoseconds since 1970, as Docker's events have them.
    pub fn nanoseconds(self) -> i64 {
        self.seconds.saturating_mul(1_000_000_000).saturating_add(self.nanos.into())
    }

    /// The point this long before.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        let total = i128::from(self.seconds) * 1_000_000_000 + i128::from(self.nanos);
        let total = total - i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX);
        let seconds = i64::try_from(total.div_euclid(1_000_000_000)).unwrap_or(i64::MIN);
        Self { seconds, nanos: total.rem_euclid(1_000_000_000) as u32 }
    }

    /// How long it was from `earlier` until here; nothing if the clock was set back meanwhile.
    pub fn since(self, earlier: Self) -> Duration {
        let nanos = i128::from(self.seconds - earlier.seconds) * 1_000_000_000
            + (i128::from(self.nanos) - i128::from(earlier.nanos));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or_default())
    }

    /// With all nine digits, as `logs --timestamps` prints it: the lines stand in columns.
    pub fn fixed(self) -> String {
        let mut text = Vec::with_capacity(30);
        self.push(&mut text, true);
        String::from_utf8(text).unwrap_or_default()
    }

    /// Appends its text to `out`: what a log does a million times a second needs no formatting machine.
    pub fn push(self, out: &mut Vec<u8>, fixed: bool) {
        let (year, month, day) = civil(self.seconds.div_euclid(86400));
        let second = self.seconds.rem_euclid(86400);
        let mut digits = |number: i64, width: u32, before: &[u8]| {
            out.extend_from_slice(before);
            (0..width).rev().for_each(|place| out.push(b'0' + (number / 10i64.pow(place) % 10) as u8));
        };
        digits(year, 4, b"");
        digits(month, 2, b"-");
        digits(day, 2, b"-");
        digits(second / 3600, 2, b"T");
        digits(second / 60 % 60, 2, b":");
        digits(second % 60, 2, b":");
        if fixed || self.nanos != 0 {
            digits(self.nanos.into(), 9, b".");
        }
        while !fixed && self.nanos != 0 && out.last() == Some(&b'0') {
            out.pop();
        }
        out.push(b'Z');
    }

    /// Reads RFC 3339; the time of day, its seconds and the zone may be missing (then it is UTC).
    pub fn parse(text: &str) -> Option<Self> {
        let (date, rest) = text.split_at_checked(10)?;
        let days = days(number(date, 0, 4, "")?, number(date, 4, 2, "-")?, number(date, 7, 2, "-")?)?;
        let midnight = Self { seconds: days * 86400, nanos: 0 };
        let Some(rest) = rest.strip_prefix(['T', 't', ' ']) else { return rest.is_empty().then_some(midnight) };
        let (clock, offset) = zone(rest)?;
        let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
        let second = match clock.len() {
            5 => 0,
            8 => number(clock, 5, 2, ":")?,
            _ => return None,
        };
        let (hour, minute) = (number(clock, 0, 2, "")?, number(clock, 2, 2, ":")?);
        let is_time = hour < 24 && minute < 60 && second <= 60 && fraction.len() <= 9;
        if !is_time || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let nanos = fraction.bytes().chain(iter::repeat(b'0')).take(9);
        let nanos = nanos.fold(0, |nanos, digit| nanos * 10 + u32::from(digit - b'0'));
        Some(Self { seconds: midnight.seconds + hour * 3600 + minute * 60 + second - offset, nanos })
    }
}

/// The number of `width` digits that stands in `text` at `at`, behind `before`.
fn number(text: &str, at: usize, width: usize, before: &str) -> Option<i64> {
    let digits = text.get(at..)?.strip_prefix(before)?.get(..width)?;
    if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

/// Splits `23:59:59.5+02:00` into the time and the seconds that the zone is ahead.
fn zone(text: &str) -> Option<(&str, i64)> {
    if let Some(clock) = text.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let Some(at) = text.rfind(['+', '-']) else { return Some((text, 0)) };
    let (clock, offset) = text.split_at(at);
    let seconds = number(offset, 1, 2, "")? * 3600 + number(offset, 3, 2, ":")? * 60;
    (offset.len() == 6).then_some((clock, if offset.starts_with('-') { -seconds } else { seconds }))
}

/// Days since 1970 of a date of the Gregorian calendar. The year begins in March, so that the odd day comes last.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

/// The date of a day since 1970: year, month, day.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let of_era = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * of_era + of_era / 4 - of_era / 100);
    let from_march = (5 * of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + of_era + i64::from(month <= 2);
    (year, month, of_year - (153 * from_march + 2) / 5 + 1)
}

impl From<SystemTime> for Stamp {
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { seconds: since.as_secs().cast_signed(), nanos: since.subsec_nanos() }
    }
}

impl Display for Stamp {
    fn fmt(&self, to: &mut Formatter<'_>) -> fmt::Result {
        let mut text = Vec::with_capacity(30);
        self.push(&mut text, false);
        to.write_str(&String::from_utf8_lossy(&text))
    }
}

impl Serialize for Stamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Stamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom(format!("{text:?} is no RFC 3339 time")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_text_is_gos_rfc3339nano() {
        let text = |seconds, nanos| Stamp::new(seconds, nanos).to_string();
        assert_eq!(text(0, 0), "1970-01-01T00:00:00Z");
        assert_eq!(text(1_767_322_985, 123_456_789), "2026-01-02T03:03:05.123456789Z");
        assert_eq!(text(951_782_400, 120_000_000), "2000-02-29T00:00:00.12Z", "a leap year, zeros left out");
        assert_eq!(Stamp::new(0, 1).fixed(), "1970-01-01T00:00:00.000000001Z");
        assert_eq!(Stamp::new(5, 0).fixed(), "1970-01-01T00:00:05.000000000Z");
    }

    #[test]
    fn what_people_write_is_read() {
        let seconds = |text| Stamp::parse(text).map(|stamp| (stamp.seconds, stamp.nanos));
        assert_eq!(seconds("1970-01-02"), Some((86400, 0)));
        assert_eq!(seconds("1970-01-01T01:00"), Some((3600, 0)));
        assert_eq!(seconds("1970-01-01T02:00:00.5+02:00"), Some((0, 500_000_000)));
        assert_eq!(seconds("1969-12-31T23:30:00-00:30"), Some((0, 0)));
        for wrong in
            ["", "1970", "1970-13-01", "1970-01-01T", "1970-01-01T25:00", "1970-01-01T00:00:00.x", "yesterday!"]
        {
            assert_eq!(Stamp::parse(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn a_stamp_reads_as_it_was_written(seconds in 0i64..253_402_300_800, nanos in 0u32..1_000_000_000) {
            let stamp = Stamp::new(seconds, nanos);
            prop_assert_eq!(Stamp::parse(&stamp.to_string()), Some(stamp));
            prop_assert_eq!(Stamp::parse(&stamp.fixed()), Some(stamp));
        }
    }
}
