//! A container's id and name, as Docker gives them: 64 hexadecimal digits, of which 12 are shown.

use std::fmt::Write as _;
use std::io::Read;

use process::{Error, OrCall, Result};

/// 256 random bits in hexadecimal.
///
/// # Errors
/// An unreadable /dev/urandom.
pub fn random_id() -> Result<String> {
    let mut bytes = [0; 32];
    let path = "/dev/urandom";
    std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut bytes)).or_call("read", path)?;
    Ok(bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// The first 12 digits, which is what people read and type.
pub fn short(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

/// Checks a container's name as Docker does.
///
/// # Errors
/// [`Kind::Invalid`](process::Kind::Invalid), with the rule.
pub fn check_name(name: &str) -> Result<String> {
    let mut characters = name.chars();
    let first = characters.next().is_some_and(|first| first.is_ascii_alphanumeric());
    let rest = characters.all(|other| other.is_ascii_alphanumeric() || "_.-".contains(other));
    if first && rest && name.len() > 1 {
        return Ok(name.to_owned());
    }
    Err(Error::invalid(format!("{name:?} is no name for a container"))
        .help("begin with a letter or digit, go on with those or with `_`, `.`, `-`; two characters at least"))
}
