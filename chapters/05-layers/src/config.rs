//! What is remembered of a container: a small text file in its directory that a reader can `cat`.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use process::{Error, Kind, Result};

/// A container as it was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// 64 hexadecimal digits.
    pub id: String,
    /// The name it was given, or the first 12 digits of the id.
    pub name: String,
    /// When it was made, to the second.
    pub created: SystemTime,
    /// The layers below it, topmost first.
    pub layers: Vec<PathBuf>,
    /// The program and its arguments.
    pub command: Vec<OsString>,
    /// The volumes that it uses.
    pub volumes: Vec<String>,
    /// What later chapters remember, such as the image's name.
    pub annotations: BTreeMap<String, String>,
}

impl Config {
    /// A container made now.
    pub fn new(id: impl Into<String>, name: impl Into<String>, layers: Vec<PathBuf>, command: Vec<OsString>) -> Self {
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let created = SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs());
        let (id, name) = (id.into(), name.into());
        Self { id, name, created, layers, command, volumes: Vec::new(), annotations: BTreeMap::new() }
    }

    /// Where the container's root is mounted, in its own mount namespace.
    pub fn rootfs(&self) -> PathBuf {
        crate::container::path_of(&self.id).join("rootfs")
    }

    /// The file's text: a key and a value a line.
    pub fn render(&self) -> Vec<u8> {
        let seconds = self.created.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut text = Vec::new();
        let mut line = |key: &str, value: &OsStr| {
            text.extend_from_slice(key.as_bytes());
            text.push(b' ');
            text.extend(escaped(value));
            text.push(b'\n');
        };
        line("id", self.id.as_ref());
        line("name", self.name.as_ref());
        line("created", seconds.to_string().as_ref());
        self.layers.iter().for_each(|layer| line("layer", layer.as_os_str()));
        self.command.iter().for_each(|word| line("command", word));
        self.volumes.iter().for_each(|volume| line("volume", volume.as_ref()));
        self.annotations.iter().for_each(|(key, value)| line(&format!("annotation.{key}"), value.as_ref()));
        text
    }

    /// Reads the file's text. Keys of a later engine are passed over.
    ///
    /// # Errors
    /// [`Kind::Corrupt`] if the id, the name or the time is missing.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let mut fields: BTreeMap<String, Vec<OsString>> = BTreeMap::new();
        for line in text.split(|&byte| byte == b'\n') {
            let Some(space) = line.iter().position(|&byte| byte == b' ') else { continue };
            let key = String::from_utf8_lossy(&line[..space]).into_owned();
            fields.entry(key).or_default().push(unescaped(&line[space + 1..]));
        }
        let annotations = fields.iter().filter_map(|(key, values)| {
            Some((key.strip_prefix("annotation.")?.to_owned(), values.first()?.to_string_lossy().into_owned()))
        });
        let annotations = annotations.collect();
        let mut take = |key: &str| fields.remove(key).unwrap_or_default();
        let mut one = |key: &str| {
            let first = take(key).into_iter().next().and_then(|value| value.into_string().ok());
            first.ok_or_else(|| Error::new(Kind::Corrupt, format!("a container's config has no {key}")))
        };
        let (id, name) = (one("id")?, one("name")?);
        let created =
            one("created")?.parse().map_err(|_| Error::new(Kind::Corrupt, "a container's config has no time"))?;
        Ok(Self {
            id,
            name,
            created: SystemTime::UNIX_EPOCH + Duration::from_secs(created),
            layers: take("layer").into_iter().map(PathBuf::from).collect(),
            command: take("command"),
            volumes: take("volume").into_iter().filter_map(|name| name.into_string().ok()).collect(),
            annotations,
        })
    }
}

/// A value stays on its line, whatever bytes are in it.
fn escaped(value: &OsStr) -> Vec<u8> {
    let mut text = Vec::new();
    for &byte in value.as_bytes() {
        match byte {
            b'\n' => text.extend(b"\\n"),
            b'\\' => text.extend(b"\\\\"),
            other => text.push(other),
        }
    }
    text
}

fn unescaped(text: &[u8]) -> OsString {
    let mut value = Vec::new();
    let mut bytes = text.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'\\' => match bytes.next() {
                Some(b'n') => value.push(b'\n'),
                Some(&other) => value.push(other),
                None => value.push(b'\\'),
            },
            other => value.push(other),
        }
    }
    OsString::from_vec(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_config_reads_as_it_was_written() {
        let odd = OsString::from_vec(b"two\nlines \\n \xff".to_vec());
        let mut config =
            Config::new("ab", "web", vec!["/top".into(), odd.clone().into()], vec!["sh".into(), odd, "".into()]);
        config.volumes = vec!["data".into()];
        config.annotations.insert("image".into(), "busybox:latest".into());
        let text = config.render();
        assert_eq!(text.split(|&byte| byte == b'\n').count(), 11, "one value a line");
        assert_eq!(Config::parse(&text).unwrap(), config);
    }

    #[test]
    fn half_a_config_is_none() {
        assert_eq!(Config::parse(b"id ab\nname").unwrap_err().kind(), Kind::Corrupt);
        assert_eq!(Config::parse(b"").unwrap_err().kind(), Kind::Corrupt);
    }
}
