//! Which of an index's images is taken.

use harness::Outcome;
use serde_json::json;

use crate::image::{Layer, files, manifest, put_document, put_for};
use crate::place::{Place, layer_of};

pub fn platforms() -> Outcome {
    let place = Place::new()?;
    let mut entries = Vec::new();
    for (architecture, text) in [("arm64", "arm"), ("amd64", "amd"), ("unknown", "statement")] {
        let digest = put_for(&place.site, "multi", &[Layer::gzip(files(&[("which", text)]))], architecture);
        entries.push((architecture, digest));
    }
    let size = |digest: &str| {
        // The documents were made here: their length is what the site serves.
        let mut length = 0;
        place.site.change(&manifest("multi", digest), |route| length = route.body.len());
        length
    };
    let manifests: Vec<_> = entries
        .iter()
        .map(|(architecture, digest)| {
            let os = if *architecture == "unknown" { "unknown" } else { "linux" };
            json!({"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": digest, "size": size(digest),
                   "platform": {"os": os, "architecture": architecture}})
        })
        .collect();
    let index =
        json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests});
    let digest = put_document(&place.site, "multi", &index);
    let name = place.site.name("multi");
    for (platform, text) in [("linux/amd64", "amd"), ("linux/arm64/v8", "arm")] {
        let done = place.step(&["pull", "--platform", platform, &name]).run()?.ok()?;
        assert!(done.stdout.contains(&format!("Digest: {digest}")), "{}", done.stdout);
        assert_eq!(std::fs::read_to_string(layer_of(&place, "multi")?.join("which"))?, text);
    }
    let done = place.step(&["pull", "--platform", "linux/s390x", &name]).run()?.code(125)?;
    done.stderr_has("no image for linux/s390x")?.stderr_has("it has linux/arm64, linux/amd64")?;
    // By the digest of the index it is found here again.
    place.step(&["inspect", &format!("{name}@{digest}")]).run()?.ok()?;
    Ok(())
}
