//! Media types: what a blob is. The OCI's names and Docker's older ones for the same things.

use oci_spec::image::MediaType;
use process::{Error, Result};

/// Docker's index.
pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker's manifest.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";

/// What a registry is told that we understand, best first. A registry that is told less converts.
pub const ACCEPT: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.v2+json";

/// What a document fetched by the name of an image can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Document {
    /// A list of manifests, one per platform.
    Index,
    /// One image's configuration and layers.
    Manifest,
}

/// How a layer's tar is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip(1), by far the most common.
    Gzip,
    /// zstd(1).
    Zstd,
}

/// Decides by the document's own `mediaType`, then by the registry's header, then by its content.
///
/// # Errors
/// The manifests of Docker before 2015 (schema 1) and documents that are no image at all.
pub fn document(json: &serde_json::Value, header: Option<&str>) -> Result<Document> {
    let own = json.get("mediaType").and_then(serde_json::Value::as_str);
    let schema = json.get("schemaVersion").and_then(serde_json::Value::as_u64);
    let old = |name: &str| name.starts_with("application/vnd.docker.distribution.manifest.v1+");
    if schema == Some(1) || own.or(header).is_some_and(old) {
        return Err(Error::unsupported("the manifest is of schema 1, which Docker gave up in 2015")
            .help("push the image again with a newer tool"));
    }
    let known = |name: &str| match MediaType::from(name) {
        MediaType::ImageIndex => Some(Document::Index),
        MediaType::ImageManifest => Some(Document::Manifest),
        MediaType::Other(name) if name == DOCKER_INDEX => Some(Document::Index),
        MediaType::Other(name) if name == DOCKER_MANIFEST => Some(Document::Manifest),
        _ => None,
    };
    if let Some(own) = own {
        let document = known(own).ok_or_else(|| not_an_image(own))?;
        // One body must not be read as two things (OCI image-spec, GHSA-77vh-xpmg-72qh).
        let stranger = if document == Document::Index { "layers" } else { "manifests" };
        return if json.get(stranger).is_some() {
            Err(not_an_image("both an index and a manifest"))
        } else {
            Ok(document)
        };
    }
    let by_content = match (json.get("manifests"), json.get("layers")) {
        (Some(_), None) => Some(Document::Index),
        (None, Some(_)) => Some(Document::Manifest),
        _ => None,
    };
    by_content.ok_or_else(|| not_an_image(header.unwrap_or("of no known type")))
}

/// Is this the type of an image's configuration?
///
/// # Errors
/// A registry also holds charts, signatures and other things; they cannot be run.
pub fn config(media_type: &MediaType) -> Result<()> {
    match media_type {
        MediaType::ImageConfig => Ok(()),
        MediaType::Other(name) if name == "application/vnd.docker.container.image.v1+json" => Ok(()),
        other => Err(not_an_image(other.as_ref())),
    }
}

/// How the layer is compressed, by its media type.
///
/// # Errors
/// Encrypted layers, and foreign ones, which lie at a vendor's address outside the registry.
pub fn layer(media_type: &MediaType) -> Result<Compression> {
    let name = media_type.as_ref();
    match name {
        "application/vnd.oci.image.layer.v1.tar" | "application/vnd.docker.image.rootfs.diff.tar" => {
            Ok(Compression::None)
        }
        "application/vnd.oci.image.layer.v1.tar+gzip" | "application/vnd.docker.image.rootfs.diff.tar.gzip" => {
            Ok(Compression::Gzip)
        }
        "application/vnd.oci.image.layer.v1.tar+zstd" | "application/vnd.docker.image.rootfs.diff.tar.zstd" => {
            Ok(Compression::Zstd)
        }
        _ if name.ends_with("+encrypted") => Err(Error::unsupported(format!("the layer is encrypted ({name})"))
            .help("decrypt the image first, for example with skopeo copy --decryption-key")),
        // Following a layer's foreign URL has leaked credentials (CVE-2020-15157); it is not done at all.
        _ if name.contains("foreign") || name.contains("nondistributable") => {
            Err(Error::unsupported(format!("the layer is not in the registry ({name})"))
                .help("such layers are Windows' base images; choose another image"))
        }
        _ => Err(not_an_image(name)),
    }
}

fn not_an_image(found: &str) -> Error {
    Error::unsupported(format!("this is no container image: {found}"))
        .help("a registry holds other things too, such as charts and signatures; only images can be run")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(json: &str, header: Option<&str>) -> Result<Document> {
        document(&serde_json::from_str(json).unwrap(), header)
    }

    #[test]
    fn the_documents_own_word_comes_first() {
        let oci = r#"{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}"#;
        assert_eq!(kind(oci, Some("application/json")).unwrap(), Document::Index);
        let bare = r#"{"schemaVersion":2,"layers":[]}"#;
        assert_eq!(kind(bare, Some(DOCKER_MANIFEST)).unwrap(), Document::Manifest);
        let both = r#"{"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[],"layers":[]}"#;
        assert!(kind(both, None).is_err());
    }

    #[test]
    fn old_and_foreign_things_are_refused_clearly() {
        assert!(kind(r#"{"schemaVersion":1,"fsLayers":[]}"#, None).unwrap_err().what().contains("schema 1"));
        assert!(kind("{}", Some("text/html")).unwrap_err().what().contains("text/html"));
        let refused = |name: &str| layer(&MediaType::from(name)).unwrap_err().what().to_owned();
        assert!(refused("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip").contains("not in the registry"));
        assert!(refused("application/vnd.oci.image.layer.v1.tar+gzip+encrypted").contains("encrypted"));
        assert!(config(&MediaType::from("application/vnd.cncf.helm.config.v1+json")).is_err());
    }
}
