//! Our own archives, those of old, and bad ones.

use std::path::PathBuf;

use harness::{Outcome, Sandbox};
use tar::{Builder, Header};

use crate::image::{self, Layer, files};
use crate::{id, ok, shown, step, two};

pub fn round() -> Outcome {
    let (from, to) = (Sandbox::new()?, Sandbox::new()?);
    let [one, two] = two(&from)?;
    ok(&from, &["tag", &one, "mine/again:2"])?;
    let file = from.path().join("both.tar");
    ok(&from, &["save", "--output", shown(&file), &one, &two, "mine/again"])?;
    let bytes = std::fs::read(&file)?;
    let again = from.path().join("again.tar");
    ok(&from, &["image", "save", "-o", shown(&again), "mine/again", &two, &one])?;
    assert_eq!(bytes, std::fs::read(&again)?, "the same images give the same bytes");
    // By standard input, packed.
    let done = step(&to, &["load"]).stdin(image::gzip(&bytes)).run()?.ok()?;
    let mut lines: Vec<_> = done.stdout.lines().collect();
    lines.sort_unstable();
    let mut wanted = vec![
        format!("Loaded image: {one}:latest"),
        format!("Loaded image: {two}:latest"),
        "Loaded image: mine/again:2".to_owned(),
    ];
    wanted.sort();
    assert_eq!(lines, wanted);
    for name in [&one, &two, "mine/again:2"] {
        assert_eq!(id(&from, name)?, id(&to, name)?);
    }
    let digest = ["inspect", "--format", "{{.Descriptor.digest}}", one.as_str()];
    assert_eq!(ok(&from, &digest)?, ok(&to, &digest)?, "the manifest is the same, byte by byte");
    // What is here is not needed in the archive, and a nameless image comes by its ID.
    let nameless = ok(&from, &["images", "--quiet", &two])?;
    let archive = from.path().join("nameless.tar");
    ok(&from, &["save", "--format", "oci-archive", "-o", shown(&archive), nameless.trim()])?;
    ok(&to, &["rmi", &two])?;
    let loaded = ok(&to, &["load", "-i", shown(&archive)])?;
    assert!(loaded.starts_with("Loaded image ID: sha256:") && loaded.contains(nameless.trim()), "{loaded}");
    assert_eq!(ok(&to, &["load", "-q", "-i", shown(&archive)])?, "");
    step(&from, &["save", "nothing"]).run()?.code(125)?.stderr_has("there is no image")?;
    Ok(())
}

/// An archive of these files and links.
fn archive(entries: &[(&str, &[u8], Option<&str>)]) -> Outcome<Vec<u8>> {
    let mut archive = Builder::new(Vec::new());
    for (name, data, link) in entries {
        let mut header = Header::new_gnu();
        header.set_mode(0o644);
        header.set_size(data.len() as u64);
        match link {
            None => archive.append_data(&mut header, name, *data)?,
            Some(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                archive.append_link(&mut header, name, target)?;
            }
        }
    }
    Ok(archive.into_inner()?)
}

fn config(layers: &[&Layer]) -> Vec<u8> {
    let ids: Vec<_> = layers.iter().map(|layer| layer.diff_id.as_str()).collect();
    let rootfs = serde_json::json!({"type": "layers", "diff_ids": ids});
    serde_json::json!({"architecture": "amd64", "os": "linux", "rootfs": rootfs}).to_string().into_bytes()
}

/// As Docker wrote them before 2023: a directory for each layer, and links where two images have one in common.
pub fn old_form() -> Outcome {
    let sandbox = Sandbox::new()?;
    let (low, high) = (Layer::gzip(files(&[("low", "1")])), Layer::gzip(files(&[("high", "2")])));
    let manifest = serde_json::json!([
        {"Config": "c.json", "RepoTags": ["old:1", "old:2"], "Layers": ["aa/layer.tar", "bb/layer.tar"]},
        {"Config": "d.json", "RepoTags": null, "Layers": ["cc/layer.tar"]},
    ]);
    let (both, first) = (config(&[&low, &high]), config(&[&low]));
    let bytes = archive(&[
        ("cc/layer.tar", b"", Some("../aa/layer.tar")),
        ("aa/layer.tar", &low.tar, None),
        ("bb/layer.tar", &high.blob, None),
        ("c.json", &both, None),
        ("d.json", &first, None),
        ("manifest.json", manifest.to_string().as_bytes(), None),
        ("repositories", b"{}", None),
    ])?;
    let done = step(&sandbox, &["load"]).stdin(bytes).run()?.ok()?;
    let id = image::sha256(&first);
    assert_eq!(done.stdout, format!("Loaded image: old:1\nLoaded image: old:2\nLoaded image ID: {id}\n"));
    assert_eq!(ok(&sandbox, &["inspect", "-f", "{{.Id}}", "old:2"])?.trim(), image::sha256(&both));
    assert_eq!(std::fs::read_dir(sandbox.data().join("layers"))?.count(), 2, "one layer is in both");
    assert_eq!(ok(&sandbox, &["images", "-q", "--filter", "dangling=true"])?.trim(), &id[7..19]);
    Ok(())
}

pub fn bad() -> Outcome {
    let sandbox = Sandbox::new()?;
    let layer = Layer::gzip(files(&[("file", "1")]));
    let other = Layer::gzip(files(&[("file", "2")]));
    let manifest = |layer: &str| format!(r#"[{{"Config":"c","RepoTags":["bad:1"],"Layers":["{layer}"]}}]"#);
    let of = |layer: &[u8], config: &[u8], manifest: &str| {
        archive(&[("l", layer, None), ("c", config, None), ("manifest.json", manifest.as_bytes(), None)])
    };
    let escape = image::tar(&[(tar::EntryType::Regular, "../escaped", "x")]);
    let wicked = Layer::gzip(escape.clone());
    let deep = "[".repeat(20_000);
    for (bytes, why) in [
        (b"no archive at all".to_vec(), "bad"),
        (archive(&[("x", b"", None)])?, "neither index.json nor manifest.json"),
        (of(&layer.tar, &config(&[&other]), &manifest("l"))?, "digest is wrong"),
        (of(&layer.tar, &config(&[&layer, &layer]), &manifest("l"))?, "names 2 layers"),
        (of(&layer.tar, &config(&[&layer]), &manifest("../../l"))?, "is missing"),
        (of(&layer.tar, b"{", &manifest("l"))?, "malformed"),
        (of(&layer.tar, b"{}", &deep)?, "malformed"),
        (of(&escape, &config(&[&wicked]), &manifest("l"))?, "leads out"),
        (escape, "leads out"),
        (of(&layer.blob[..40], &config(&[&layer]), &manifest("l"))?, "layer"),
        (archive(&[("index.json", br#"{"schemaVersion":2,"manifests":[]}"#, None)])?, "names no image"),
    ] {
        step(&sandbox, &["load"]).stdin(bytes).run()?.code(125)?.stderr_has(why)?;
        let left = |name: &str| std::fs::read_dir(sandbox.data().join(name)).map(Iterator::count);
        assert_eq!((ok(&sandbox, &["images", "-q"])?.as_str(), left("layers")?, left("tmp")?), ("", 0, 0), "{why}");
    }
    let file: PathBuf = sandbox.file("x.xz", b"\xfd7zXZ\0 and so on")?;
    step(&sandbox, &["import", shown(&file)]).run()?.code(125)?.stderr_has("xz --decompress")?;
    step(&sandbox, &["import", "https://x.example/a.tar"]).run()?.code(125)?.stderr_has("curl")?;
    Ok(())
}
