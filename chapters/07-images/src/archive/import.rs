//! `import`: a file system in a tar archive becomes an image of one layer.

use std::io::Read;
use std::time::SystemTime;

use oci_spec::image::{Descriptor, ImageManifestBuilder, MediaType};
use process::{Error, Result};
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::docker::describe;
use super::load::{Found, keep};
use super::spool::put_aside;
use super::{Loaded, corrupt};
use crate::digest::{self, Hashing};
use crate::manifest;
use crate::pull::decompress;
use crate::store::Store;
use crate::{Platform, Reference};

/// What is said of an image that is imported.
#[derive(Debug, Default)]
pub struct Import {
    /// Its name, if it gets one.
    pub name: Option<Reference>,
    /// What it is for, if not for this machine.
    pub platform: Option<Platform>,
    /// The comment of its history.
    pub message: String,
    /// Its `Config`, in the shape of an image's configuration.
    pub config: Value,
}

/// Makes an image of the archive. Its bytes are kept as they are: packed, if they came so.
///
/// # Errors
/// [`Kind::Corrupt`](process::Kind::Corrupt) if it is no tar archive or a wicked one; as write(2).
pub fn import(store: &Store, archive: impl Read, what: &Import) -> Result<Loaded> {
    store.cleanly(|| attempt(store, archive, what))
}

fn attempt(store: &Store, mut archive: impl Read, what: &Import) -> Result<Loaded> {
    let work = store.work()?;
    let file = put_aside(&mut archive, &work.path().join("import"))?;
    if file.size == 0 {
        return Err(
            Error::invalid("the archive is empty").help("import reads a tar archive: tar -c -C DIR . | … import -")
        );
    }
    let layer = describe(&file)?;
    let config = configuration(&layer.descriptor, &diff_id(&file.path, &layer.descriptor)?, what);
    let config_bytes = serde_json::to_vec(&config).map_err(corrupt)?;
    let config = Descriptor::new(MediaType::ImageConfig, config_bytes.len() as u64, digest::of(&config_bytes));
    let manifest = ImageManifestBuilder::default()
        .schema_version(2_u32)
        .media_type(MediaType::ImageManifest)
        .config(config)
        .layers(vec![layer.descriptor.clone()])
        .build()
        .map_err(corrupt)?;
    let config = manifest::parse_config("the configuration", &config_bytes, &manifest)?;
    let bytes = serde_json::to_vec(&manifest).map_err(corrupt)?;
    let descriptor = Descriptor::new(MediaType::ImageManifest, bytes.len() as u64, digest::of(&bytes));
    let names = what.name.clone().into_iter().collect();
    let found = Found { manifest, bytes, descriptor, config, config_bytes, layers: vec![layer], index: None, names };
    keep(store, &work, &found)
}

/// The digest of the unpacked archive, which is what the configuration names.
fn diff_id(path: &std::path::Path, layer: &Descriptor) -> Result<String> {
    use process::OrCall;
    let file = std::fs::File::open(path).or_call("open", path.display())?;
    let mut archive = Hashing::new(decompress(manifest::compression(layer)?, file));
    std::io::copy(&mut archive, &mut std::io::sink()).map_err(crate::unpack::read_error)?;
    Ok(archive.finish().0.to_string())
}

fn configuration(layer: &Descriptor, diff_id: &str, what: &Import) -> Value {
    let here = Platform::here();
    let platform = what.platform.as_ref().unwrap_or(&here);
    let created = OffsetDateTime::from(SystemTime::now()).format(&Rfc3339).unwrap_or_default();
    let mut config = json!({
        "created": created,
        "architecture": platform.architecture,
        "os": platform.os,
        "config": what.config,
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        "history": [{
            "created": created,
            "created_by": format!("imported archive {}", digest::short(layer.digest())),
            "comment": what.message,
        }],
    });
    if let Some(variant) = &platform.variant {
        config["variant"] = variant.as_str().into();
    }
    config
}
