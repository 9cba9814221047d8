//! Sizes and times as Docker writes them (go-units).

use std::time::{Duration, SystemTime};

use oci_spec::image::ImageConfiguration;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// `77.8MB`: powers of ten, three digits.
pub fn human_size(bytes: u64) -> String {
    let (mut size, mut units) = (bytes as f64, ["B", "kB", "MB", "GB", "TB", "PB"].iter());
    let mut unit = units.next().unwrap_or(&"B");
    while size >= 1000.0 {
        let Some(next) = units.next() else { break };
        (size, unit) = (size / 1000.0, next);
    }
    let digits = if size < 10.0 { 2 } else { usize::from(size < 100.0) };
    let number = format!("{size:.digits$}");
    let number = if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { &number };
    format!("{number}{unit}")
}

/// When the image was built, if it says so.
pub fn created(config: &ImageConfiguration) -> Option<SystemTime> {
    parse_time(config.created().as_deref()?)
}

/// RFC 3339, with fractions and offset.
pub fn parse_time(text: &str) -> Option<SystemTime> {
    OffsetDateTime::parse(text, &Rfc3339).ok().map(SystemTime::from)
}

/// `2024-01-02 03:04:05 +0000 UTC`, as Go prints a time.
pub fn docker_time(time: SystemTime) -> String {
    let at = OffsetDateTime::from(time);
    let (date, clock) = (at.date(), at.time());
    format!("{date} {:02}:{:02}:{:02} +0000 UTC", clock.hour(), clock.minute(), clock.second())
}

/// `2 weeks ago`
pub fn ago(time: Option<SystemTime>) -> String {
    let Some(time) = time else { return "N/A".into() };
    let age = SystemTime::now().duration_since(time).unwrap_or(Duration::ZERO);
    format!("{} ago", human_duration(age.as_secs()))
}

fn human_duration(seconds: u64) -> String {
    let (minutes, hours) = (seconds / 60, (seconds + 1800) / 3600);
    match (seconds, minutes, hours) {
        (0, ..) => "Less than a second".into(),
        (1, ..) => "1 second".into(),
        (2..60, ..) => format!("{seconds} seconds"),
        (_, 1, _) => "About a minute".into(),
        (_, 2..60, _) => format!("{minutes} minutes"),
        (_, _, 1) => "About an hour".into(),
        (_, _, ..48) => format!("{hours} hours"),
        (_, _, ..336) => format!("{} days", hours / 24),
        (_, _, ..1440) => format!("{} weeks", hours / 24 / 7),
        (_, _, ..17520) => format!("{} months", hours / 24 / 30),
        _ => format!("{} years", hours / 24 / 365),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_ages_are_dockers() {
        let sizes = [0, 7, 999, 1000, 1234, 77_800_000, 126_499_999, 1_050_000_000].map(human_size);
        assert_eq!(sizes, ["0B", "7B", "999B", "1kB", "1.23kB", "77.8MB", "126MB", "1.05GB"]);
        let ages =
            [0, 59, 61, 3599, 3600, 90_000, 86_400 * 3, 86_400 * 20, 86_400 * 100, 86_400 * 800].map(human_duration);
        assert_eq!(ages[..5], ["Less than a second", "59 seconds", "About a minute", "59 minutes", "About an hour"]);
        assert_eq!(ages[5..], ["25 hours", "3 days", "2 weeks", "3 months", "2 years"]);
        assert!(parse_time("2024-01-02T03:04:05.678901234+02:00").is_some());
    }
}
