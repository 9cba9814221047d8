//! Ages and sizes as Docker writes them (go-units).

/// `5 minutes`, from a number of seconds.
pub fn duration(seconds: u64) -> String {
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

/// `77.8MB`: powers of ten, three digits (`HumanSizeWithPrecision(size, 3)`).
pub fn size(bytes: u64) -> String {
    scaled(bytes as f64, 1000.0, &["B", "kB", "MB", "GB", "TB", "PB"], 3)
}

/// `76.29MiB`: powers of two, four digits (`BytesSize`).
pub fn binary_size(bytes: u64) -> String {
    scaled(bytes as f64, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB"], 4)
}

/// As Go's `%.Ng`: that many digits, without zeroes behind the point.
fn scaled(mut size: f64, base: f64, units: &[&str], digits: usize) -> String {
    let mut unit = 0;
    while size >= base && unit + 1 < units.len() {
        size /= base;
        unit += 1;
    }
    let whole = if size < 1.0 { 1 } else { size.log10().floor() as usize + 1 };
    let number = format!("{size:.*}", digits.saturating_sub(whole));
    let number = if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { &number };
    format!("{number}{}", units[unit])
}

/// At most `width` characters, the last of them an ellipsis if something was cut off.
pub fn ellipsis(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    text.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_ages_are_dockers() {
        assert_eq!(
            [0, 999, 1234, 77_800_000, 126_499_999, 1_050_000_000].map(size),
            ["0B", "999B", "1.23kB", "77.8MB", "126MB", "1.05GB"]
        );
        assert_eq!([0, 80_000_000, 1 << 30, 1500].map(binary_size), ["0B", "76.29MiB", "1GiB", "1.465KiB"]);
        assert_eq!(
            [0, 59, 61, 3599, 3600, 90_000].map(duration),
            ["Less than a second", "59 seconds", "About a minute", "59 minutes", "About an hour", "25 hours"]
        );
        assert_eq!(ellipsis("abcdef", 4), "abc…");
    }
}
