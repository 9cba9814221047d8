//! `save`, `load`, `import` and `export`, with our own archives and those of other tools.

#[path = "site/image.rs"]
#[allow(dead_code)] // each test file takes its part
mod image;
#[path = "site/mod.rs"]
#[allow(dead_code)]
mod site;

use std::path::{Path, PathBuf};
use std::time::Duration;

use harness::{Outcome, Run, Sandbox, Suite, busybox_image};
use image::{Layer, files, put};
use site::Site;
use tar::{Builder, Header};

fn main() {
    Suite::new()
        .user("many images in one archive, there and back", round)
        .user("skopeo reads ours and we read skopeo's", skopeo)
        .needs(&["skopeo", "busybox"])
        .root("podman reads ours and we read podman's", podman)
        .needs(&["podman"])
        .user("umoci reads ours and we read umoci's", umoci)
        .needs(&["umoci", "skopeo", "busybox"])
        .user("an archive of the old form", old_form)
        .user("bad archives leave nothing", bad)
        .root("root: export and import", || export(&Sandbox::new()?))
        .user("ordinary: export and import", || export(&Sandbox::ordinary()?))
        .needs(&["userns", "subuid"])
        .run();
}

fn step(sandbox: &Sandbox, args: &[&str]) -> Run {
    sandbox.step(7).args(args)
}

fn ok(sandbox: &Sandbox, args: &[&str]) -> Outcome<String> {
    Ok(step(sandbox, args).run()?.ok()?.stdout)
}

/// Two images that have a layer in common, pulled.
fn two(sandbox: &Sandbox) -> Outcome<[String; 2]> {
    let site = Site::start();
    let low = Layer::gzip(files(&[("low", "1")]));
    let names = ["one", "two"].map(|name| site.name(name));
    put(&site, "one", &[low.clone(), Layer::gzip(files(&[("high", "one")]))]);
    put(&site, "two", &[low, Layer::gzip(files(&[("high", "two")]))]);
    for name in &names {
        ok(sandbox, &["pull", "--quiet", name])?;
    }
    Ok(names)
}

fn id(sandbox: &Sandbox, name: &str) -> Outcome<String> {
    ok(sandbox, &["inspect", "--format", "{{.Id}} {{json .RootFS.Layers}}", name])
}

fn shown(path: &Path) -> &str {
    path.to_str().unwrap_or_default()
}

fn round() -> Outcome {
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

/// What `skopeo copy` makes of one image: the digest of its configuration is the image's ID.
fn copy(sandbox: &Sandbox, from: &str, to: &str) -> Outcome {
    sandbox.program("skopeo").args(["--insecure-policy", "copy", "--quiet", from, to]).run()?.ok().map(drop)
}

fn skopeo() -> Outcome {
    let sandbox = Sandbox::new()?;
    let path = |name: &str| sandbox.path().join(name).display().to_string();
    let busybox = format!("oci:{}", busybox_image()?.display());
    copy(&sandbox, &busybox, &format!("oci-archive:{}:docker.io/library/box:1", path("a.tar")))?;
    copy(&sandbox, &busybox, &format!("docker-archive:{}:box:2", path("b.tar")))?;
    for (file, name) in [("a.tar", "box:1"), ("b.tar", "box:2")] {
        assert_eq!(ok(&sandbox, &["load", "-i", &path(file)])?, format!("Loaded image: {name}\n"));
        let saved = path(&format!("saved-{file}"));
        ok(&sandbox, &["save", "-o", &saved, name])?;
        for form in ["docker-archive", "oci-archive"] {
            let (whole, copied) = (format!("docker.io/library/{name}"), format!("{form}-{file}"));
            copy(&sandbox, &format!("{form}:{saved}:{whole}"), &format!("oci:{}:x", path(&copied)))?;
            let inspect = ["inspect", "--format", "{{.Os}}", &format!("oci:{}:x", path(&copied))];
            sandbox.program("skopeo").args(inspect).run()?.ok()?.stdout_has("linux")?;
        }
    }
    // The same image, be it packed or not.
    assert_eq!(id(&sandbox, "box:1")?, id(&sandbox, "box:2")?);
    Ok(())
}

fn podman() -> Outcome {
    let sandbox = Sandbox::new()?;
    let [one, two] = two(&sandbox)?;
    let path = |name: &str| sandbox.path().join(name).display().to_string();
    let podman = |args: &[&str]| {
        let place = ["--root", &path("podman"), "--runroot", &path("podman-run"), "--storage-driver", "vfs"];
        sandbox.program("podman").args(place).args(args).timeout(Duration::from_secs(50)).run()?.ok()
    };
    ok(&sandbox, &["save", "-o", &path("a.tar"), &one, &two])?;
    podman(&["load", "--quiet", "--input", &path("a.tar")])?.stdout_has(&one)?.stdout_has(&two)?;
    podman(&["save", "--quiet", "--multi-image-archive", "--output", &path("b.tar"), &one, &two])?;
    podman(&["save", "--quiet", "--format", "oci-archive", "--output", &path("c.tar"), &one])?;
    // Podman may write the configuration anew, and the ID is its digest; the layers are the same.
    let layers = |sandbox: &Sandbox, name: &str| ok(sandbox, &["inspect", "-f", "{{json .RootFS.Layers}}", name]);
    for (file, count) in [("b.tar", 2), ("c.tar", 1)] {
        let fresh = Sandbox::new()?;
        let loaded = ok(&fresh, &["load", "-i", &path(file)])?;
        assert_eq!(loaded.matches("Loaded image: ").count(), count, "{loaded}");
        assert_eq!(layers(&fresh, &one)?, layers(&sandbox, &one)?);
        assert_eq!(
            count == 2,
            layers(&fresh, &two).is_ok_and(|found| layers(&sandbox, &two).is_ok_and(|ours| ours == found))
        );
    }
    Ok(())
}

fn umoci() -> Outcome {
    let sandbox = Sandbox::new()?;
    let [one, _] = two(&sandbox)?;
    let saved = sandbox.path().join("a.tar");
    ok(&sandbox, &["save", "-o", shown(&saved), &one])?;
    let layout = sandbox.dir("layout")?;
    tar::Archive::new(std::fs::File::open(&saved)?).unpack(&layout)?;
    let umoci = |args: &[&str]| sandbox.program("umoci").args(args).run()?.ok();
    umoci(&["ls", "--layout", shown(&layout)])?.stdout_has(&one)?;
    let (image, bundle) = (format!("{}:{one}:latest", layout.display()), sandbox.path().join("bundle"));
    umoci(&["unpack", "--rootless", "--image", &image, shown(&bundle)])?;
    assert_eq!(std::fs::read_to_string(bundle.join("rootfs/high"))?, "one");
    // Now one of theirs, with a tag that is no whole name.
    let (theirs, file) = (sandbox.path().join("theirs"), sandbox.file("hello", "hello")?);
    umoci(&["init", "--layout", shown(&theirs)])?;
    let image = format!("{}:tagged", theirs.display());
    umoci(&["new", "--image", &image])?;
    umoci(&["insert", "--rootless", "--image", &image, shown(&file), "/hello"])?;
    let mut archive = Builder::new(Vec::new());
    archive.append_dir_all(".", &theirs)?;
    let done = step(&sandbox, &["load"]).stdin(archive.into_inner()?).run()?.ok()?;
    let id = done.text().strip_prefix("Loaded image ID: ").ok_or("no ID")?.to_owned();
    ok(&sandbox, &["tag", &id, "theirs:1"])?;
    assert_eq!(ok(&sandbox, &["inspect", "-f", "{{len .RootFS.Layers}}", "theirs:1"])?, "1\n");
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
fn old_form() -> Outcome {
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

fn bad() -> Outcome {
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

fn export(sandbox: &Sandbox) -> Outcome {
    let script = "echo new > /new; rm -r /usr/share; mkdir /bin/sub; chmod 4711 /new; echo gone > /dev/shm/x";
    ok(sandbox, &["run", "--name", "box", "--network", "none", "host", "sh", "-c", script])?;
    let file = sandbox.dir("out")?.join("root.tar");
    ok(sandbox, &["export", "--output", shown(&file), "box"])?;
    let mut names = Vec::new();
    let mut archive = tar::Archive::new(std::fs::File::open(&file)?);
    for entry in archive.entries()? {
        let entry = entry?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if name == "new" {
            assert_eq!((entry.header().mode()?, entry.size()), (0o4711, 4));
        }
        names.push(name);
    }
    assert!(["new", "usr/bin/sub/"].iter().all(|name| names.iter().any(|found| found == name)));
    assert!(names.iter().any(|name| name.ends_with("/sh")), "the image's own files");
    let strange = |name: &&String| name.contains(".wh.") || name.starts_with("usr/share/") || name.contains("shm/");
    assert_eq!(names.iter().find(strange), None);
    step(sandbox, &["export", "nobody"]).run()?.code(125)?.stderr_has("no container is called")?;
    // And it becomes an image.
    let change = "CMD [\"sh\", \"-c\", \"cat /new; echo $A\"]";
    let import = ["import", "-c", change, "--change", "ENV A=set", "-m", "why", shown(&file), "mine:1"];
    let id = ok(sandbox, &import)?;
    assert_eq!(ok(sandbox, &["run", "--rm", "--network", "none", "mine:1"])?, "new\nset\n");
    assert_eq!(ok(sandbox, &["inspect", "-f", "{{.Id}} {{.Comment}}", "mine:1"])?.trim(), format!("{} why", id.trim()));
    ok(sandbox, &["history", "mine:1"])?.contains("imported archive").then_some(()).ok_or("the history")?;
    Ok(())
}
