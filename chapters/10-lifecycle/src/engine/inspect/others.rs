//! Images and volumes, in Docker's shape.

use images::{Image, Reference, Store};
use layers::Volume;
use process::Result;
use serde_json::{Value, json};

use crate::supervisor::stamp::Stamp;

/// An image, from the raw bytes of its configuration: a field that we do not know is still shown.
///
/// # Errors
/// A blob that is missing or damaged.
pub fn image(store: &Store, image: &Image) -> Result<Value> {
    let bytes = store.read_blob("the configuration", image.id())?;
    let config: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let digest = image.from_index().map_or_else(|| image.descriptor.digest().to_string(), str::to_owned);
    let mut digests: Vec<_> = image.names.iter().map(|name| format!("{}@{digest}", name.familiar_name())).collect();
    digests.sort();
    digests.dedup();
    let tags: Vec<_> = image.names.iter().filter(|name| name.tag().is_some()).map(Reference::familiar).collect();
    let sizes = image.chain.iter().filter_map(|id| store.layer_info(id).ok());
    let lowers: Vec<_> = image.lowers(store).iter().map(|path| path.display().to_string()).collect();
    Ok(json!({
        "Id": image.id().as_ref(),
        "RepoTags": tags,
        "RepoDigests": digests,
        "Created": config.get("created"),
        "Author": config.get("author").cloned().unwrap_or_else(|| "".into()),
        "Architecture": config.get("architecture"),
        "Variant": config.get("variant"),
        "Os": config.get("os"),
        "Size": sizes.map(|info| info.size).sum::<u64>(),
        "Config": config.get("config"),
        "RootFS": { "Type": "layers", "Layers": image.config.rootfs().diff_ids() },
        "GraphDriver": { "Name": "overlayfs", "Data": { "LowerDir": lowers.join(":") } },
    }))
}

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
