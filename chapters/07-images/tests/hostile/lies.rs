//! Documents and blobs that are not what they are called.

use harness::Outcome;
use serde_json::json;

use crate::image::{Layer, blob, files, manifest, put, put_document, sha256};
use crate::place::Place;
use crate::site::Route;

pub fn wrong_digest() -> Outcome {
    let place = Place::new()?;
    let good = Layer::gzip(files(&[("a", "one")]));
    let evil = Layer::gzip(files(&[("a", "two")]));
    put(&place.site, "evil", std::slice::from_ref(&good));
    place.site.set(&blob("evil", &good.digest), Route::new(evil.blob.clone()));
    assert_eq!(good.blob.len(), evil.blob.len());
    place.refuses("evil", &["the digest is wrong", &format!("expected {}, got {}", good.digest, evil.digest)])?;
    // Rubbish is a wrong blob first of all, whatever it does to the decompressor.
    place.site.set(&blob("evil", &good.digest), Route::new(vec![b'x'; good.blob.len()]));
    place.refuses("evil", &["the digest is wrong", &good.digest])?;
    Ok(())
}

pub fn wrong_size() -> Outcome {
    let place = Place::new()?;
    let honest = Layer::gzip(files(&[("a", "one")]));
    for lie in [-3_isize, 3] {
        let layer = Layer { size: honest.size.checked_add_signed(lie).unwrap(), ..honest.clone() };
        put(&place.site, "evil", std::slice::from_ref(&layer));
        let wanted = format!("expected {} bytes, got {}", layer.size, honest.size);
        place.refuses("evil", &["the size is wrong", &wanted])?;
    }
    // Content-Length agrees with the manifest, and the body with neither.
    put(&place.site, "evil", std::slice::from_ref(&honest));
    place.site.change(&blob("evil", &honest.digest), |route| {
        route.length = Some(route.body.len());
        route.body.truncate(20);
    });
    place.refuses("evil", &["ended early"])?;
    Ok(())
}

pub fn wrong_diff_id() -> Outcome {
    let place = Place::new()?;
    let layer = Layer { diff_id: sha256(b"another"), ..Layer::gzip(files(&[("a", "one")])) };
    put(&place.site, "evil", std::slice::from_ref(&layer));
    let got = format!("expected {}, got {}", layer.diff_id, sha256(&layer.tar));
    place.refuses("evil", &["the unpacked layer", &got])?;
    // Of several layers one is wrong: the others are not seen either.
    let fine = Layer::gzip(files(&[("b", "fine")]));
    put(&place.site, "evil", &[fine, layer]);
    let done = place.pull("evil").run()?.code(125)?.stderr_has("the unpacked layer")?;
    assert!(!done.stdout.contains("Digest:"), "{}", done.stdout);
    place.step(&["inspect", &place.site.name("evil")]).run()?.code(1)?.stderr_has("there is no image")?;
    Ok(())
}

pub fn wrong_manifest() -> Outcome {
    let place = Place::new()?;
    let digest = put(&place.site, "evil", &[Layer::gzip(files(&[("a", "one")]))]);
    place.site.change(&manifest("evil", &digest), |route| route.body.push(b' '));
    place.refuses(&format!("evil@{digest}"), &["the digest is wrong", &digest])?;
    place.site.change(&manifest("evil", "latest"), |route| route.body = vec![b' '; (4 << 20) + 1]);
    place.refuses("evil", &["larger than 4 MiB"])?;
    place.site.set(&manifest("evil", "latest"), Route::new("<html>hello</html>").header("Content-Type", "text/html"));
    place.refuses("evil", &["malformed"])?;
    place.site.set(&manifest("evil", "latest"), Route::new("{}").header("Docker-Content-Digest", digest.clone()));
    place.refuses("evil", &["the digest is wrong", &digest])?;
    place.refuses("nothing", &["was not found", "unknown here", "check the name"])?;
    Ok(())
}

pub fn no_image() -> Outcome {
    let place = Place::new()?;
    put_document(&place.site, "old", &json!({"schemaVersion": 1, "fsLayers": []}));
    place.refuses("old", &["schema 1"])?;
    let layer = Layer::packed(vec![], vec![1], "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
    put(&place.site, "foreign", &[layer]);
    place.refuses("foreign", &["not in the registry"])?;
    put(
        &place.site,
        "encrypted",
        &[Layer::packed(vec![], vec![1], "application/vnd.oci.image.layer.v1.tar+gzip+encrypted")],
    );
    place.refuses("encrypted", &["encrypted"])?;
    let chart = json!({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "layers": [],
        "config": {"mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": sha256(b""), "size": 0}});
    put_document(&place.site, "chart", &chart);
    place.refuses("chart", &["no container image", "helm"])?;
    for bad in ["UPPER", "a//b", "a:b:c"] {
        place.step(&["pull", bad]).run()?.fails()?.stderr_has("is no image reference")?;
    }
    Ok(())
}

/// Documents that want all memory, or all of the stack.
pub fn too_much() -> Outcome {
    let place = Place::new()?;
    // 100 MB, announced or not.
    let huge = vec![b'['; 100 << 20];
    let unannounced = Route { raw: true, ..Route::new([b"HTTP/1.1 200 OK\r\n\r\n", &huge[..]].concat()) };
    for route in [Route::new(huge), unannounced] {
        place.site.set(&manifest("evil", "latest"), route);
        let done = place.pull("evil").env("COOPER_REGISTRY_TIMEOUT", "30").run()?;
        place.is_refused(done, &["larger than 4 MiB"])?;
    }
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let deep = format!("{}1{}", open.repeat(10_000), close.repeat(10_000));
        place.site.set(&manifest("evil", "latest"), Route::new(deep.clone()));
        place.refuses("evil", &["malformed"])?;
        let annotated = format!(r#"{{"schemaVersion":2,"layers":[],"annotations":{deep}}}"#);
        place.site.set(&manifest("evil", "latest"), Route::new(annotated));
        place.refuses("evil", &["malformed"])?;
        // An error's text is a document too, and so is a token.
        place.site.set(&manifest("evil", "latest"), Route::status(400, &deep));
        place.refuses("evil", &["answered 400"])?;
        let challenge = format!(r#"Bearer realm="http://{}/token""#, place.site.address);
        place.site.set(&manifest("evil", "latest"), Route::status(401, "{}").header("WWW-Authenticate", challenge));
        place.site.set("/token", Route::new(deep));
        place.refuses("evil", &["gave no token"])?;
    }
    Ok(())
}
