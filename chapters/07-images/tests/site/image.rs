//! Images made by hand, to be put into a [`Site`](super::site::Site).

use std::io::Write;

use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

use crate::site::{Route, Site};

/// A layer: its archive, how it is packed, and what is said of it.
#[derive(Clone)]
pub struct Layer {
    pub tar: Vec<u8>,
    pub blob: Vec<u8>,
    pub media_type: String,
    pub digest: String,
    pub diff_id: String,
    pub size: usize,
}

pub fn sha256(bytes: &[u8]) -> String {
    images::digest::of(bytes).to_string()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

impl Layer {
    pub fn gzip(tar: Vec<u8>) -> Self {
        let blob = gzip(&tar);
        Self::packed(tar, blob, "application/vnd.oci.image.layer.v1.tar+gzip")
    }

    pub fn packed(tar: Vec<u8>, blob: Vec<u8>, media_type: &str) -> Self {
        let (digest, diff_id, size) = (sha256(&blob), sha256(&tar), blob.len());
        Self { tar, blob, media_type: media_type.into(), digest, diff_id, size }
    }

    fn descriptor(&self) -> Value {
        json!({"mediaType": self.media_type, "digest": self.digest, "size": self.size})
    }
}

/// An archive of files; `("name", "text")`.
pub fn files(files: &[(&str, &str)]) -> Vec<u8> {
    let entries: Vec<_> = files.iter().map(|(name, text)| (EntryType::Regular, *name, *text)).collect();
    tar(&entries)
}

/// An archive of anything: files with a text, links with a target. The names may be wicked.
pub fn tar(entries: &[(EntryType, &str, &str)]) -> Vec<u8> {
    let mut archive = Builder::new(Vec::new());
    for (kind, name, text) in entries {
        let mut header = Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(*kind);
        header.set_mode(0o755);
        header.set_mtime(1_700_000_000);
        header.set_uid(0);
        header.set_gid(0);
        let data: &[u8] = if *kind == EntryType::Regular { text.as_bytes() } else { b"" };
        if *kind != EntryType::Regular {
            header.as_old_mut().linkname[..text.len()].copy_from_slice(text.as_bytes());
        }
        header.set_size(data.len() as u64);
        header.set_cksum();
        archive.append(&header, data).unwrap();
    }
    archive.into_inner().unwrap()
}

/// Puts an image of these layers into the site, under `name:latest`; gives the manifest's digest.
pub fn put(site: &Site, name: &str, layers: &[Layer]) -> String {
    put_for(site, name, layers, "amd64")
}

pub fn put_for(site: &Site, name: &str, layers: &[Layer], architecture: &str) -> String {
    let ids: Vec<_> = layers.iter().map(|layer| layer.diff_id.clone()).collect();
    let config = json!({
        "architecture": architecture, "os": "linux", "created": "2024-01-02T03:04:05Z",
        "config": {"Cmd": ["sh"], "Env": ["PATH=/bin"]},
        "rootfs": {"type": "layers", "diff_ids": ids},
        "history": layers.iter().map(|_| json!({"created_by": "by hand"})).collect::<Vec<_>>(),
    });
    let config = config.to_string().into_bytes();
    site.set(&blob(name, &sha256(&config)), Route::new(config.clone()));
    for layer in layers {
        site.set(&blob(name, &layer.digest), Route::new(layer.blob.clone()));
    }
    let manifest = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": sha256(&config), "size": config.len()},
        "layers": layers.iter().map(Layer::descriptor).collect::<Vec<_>>(),
    });
    put_document(site, name, &manifest)
}

/// Puts a manifest or an index under its digest and as `latest`.
pub fn put_document(site: &Site, name: &str, document: &Value) -> String {
    let bytes = document.to_string().into_bytes();
    let digest = sha256(&bytes);
    let media_type = document["mediaType"].as_str().unwrap_or("application/json");
    let route = Route::new(bytes).header("Content-Type", media_type);
    let route = route.header("Docker-Content-Digest", digest.clone());
    site.set(&manifest(name, &digest), route.clone());
    site.set(&manifest(name, "latest"), route);
    digest
}

pub fn blob(name: &str, digest: &str) -> String {
    format!("/v2/{name}/blobs/{digest}")
}

pub fn manifest(name: &str, tag: &str) -> String {
    format!("/v2/{name}/manifests/{tag}")
}
