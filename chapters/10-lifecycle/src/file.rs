//! Small files of JSON that a reader can `cat`: always whole, since they are replaced by rename(2).

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;

use process::{Error, Kind, OrCall, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Reads the value in `path`; none if there is no such file.
///
/// # Errors
/// [`Kind::Corrupt`] if it is not what it should be; as open(2) and read(2).
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        bytes => bytes.or_call("read", path.display())?,
    };
    let parsed = serde_json::from_slice(&bytes);
    parsed.map(Some).map_err(|error| Error::new(Kind::Corrupt, format!("{}: {error}", path.display())))
}

/// Writes `value` to `path` by temporary file, fsync(2) and rename(2): after a crash there is the old or the new one.
///
/// # Errors
/// As open(2), write(2), fsync(2), rename(2).
pub fn write(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_vec_pretty(value)
        .map_err(|error| Error::invalid(format!("write {}: {error}", path.display())))?;
    text.push(b'\n');
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".new");
    let temporary = path.with_file_name(name);
    let mut file = File::create(&temporary).or_call("open", temporary.display())?;
    file.write_all(&text).and_then(|()| file.sync_all()).or_call("write", temporary.display())?;
    fs::rename(&temporary, path).or_call("rename", path.display())
}
