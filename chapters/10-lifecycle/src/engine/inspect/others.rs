//! Volumes, in Docker's shape.

use layers::Volume;
use serde_json::{Value, json};

use crate::supervisor::stamp::Stamp;

/// A volume.
pub fn volume(volume: &Volume) -> Value {
    let made = volume.data().metadata().and_then(|about| about.created()).map(Stamp::from);
    json!({
        "CreatedAt": made.map_or_else(|_| Value::Null, |made| made.to_string().into()),
        "Driver": "local",
        "Labels": Value::Null,
        "Mountpoint": volume.data(),
        "Name": volume.name,
        "Options": Value::Null,
        "Scope": "local",
    })
}
