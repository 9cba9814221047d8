//! Pull, list, read back: the store beside a real registry.

use harness::{Outcome, Registry, Sandbox, busybox_image};

use crate::{busybox, json, step};

pub fn commands() -> Outcome {
    let (sandbox, name) = (Sandbox::new()?, busybox("commands")?);
    let pulled = step(&sandbox, &["pull", &name]).run()?.ok()?;
    for line in
        ["latest: Pulling from commands", ": Pull complete", "Digest: sha256:", "Status: Downloaded newer image"]
    {
        assert!(pulled.stdout.contains(line), "{line}: {}", pulled.stdout);
    }
    let listed = step(&sandbox, &["images"]).run()?.ok()?.stdout;
    let heads: Vec<_> =
        listed.lines().next().unwrap().split("   ").map(str::trim).filter(|head| !head.is_empty()).collect();
    assert_eq!(heads, ["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"]);
    assert!(listed.contains(&name) && listed.contains("MB"), "{listed}");
    let id = step(&sandbox, &["images", "--quiet"]).run()?.ok()?.text().to_owned();
    assert_eq!(id.len(), 12);
    step(&sandbox, &["tag", &id, "mine:1"]).run()?.ok()?;
    step(&sandbox, &["tag", "mine:1", "host"]).run()?.code(125)?.stderr_has("is kept for")?;
    let shown = json(&step(&sandbox, &["inspect", "mine:1"]).run()?.ok()?.stdout)?;
    assert_eq!(shown[0]["RepoTags"].as_array().unwrap().len(), 2);
    assert_eq!(shown[0]["Config"]["Cmd"][0], "sh");
    let history = step(&sandbox, &["history", &id]).run()?.ok()?.stdout;
    assert!(history.contains("the tests") && history.contains(&id), "{history}");
    step(&sandbox, &["rmi", &id]).run()?.code(1)?.stderr_has("has several names")?;
    let removed = step(&sandbox, &["rmi", "mine:1", &name]).run()?.ok()?.stdout;
    assert_eq!((removed.matches("Untagged").count(), removed.matches("Deleted: sha256:").count()), (2, 2), "{removed}");
    step(&sandbox, &["rmi", &name]).run()?.code(1)?.stderr_has("there is no image")?;
    assert_eq!(std::fs::read_dir(sandbox.data().join("images/blobs/sha256"))?.count(), 0);
    assert_eq!(std::fs::read_dir(sandbox.data().join("layers"))?.count(), 0);
    let script = step(&sandbox, &["completion", "bash"]).run()?.ok()?.stdout;
    assert!(script.contains("--entrypoint"), "the options complete");
    Ok(())
}

pub fn nothing_twice() -> Outcome {
    let registry = Registry::start()?;
    let (sandbox, name) = (Sandbox::new()?, registry.push(busybox_image()?, "one")?);
    let other = registry.push(busybox_image()?, "two")?;
    step(&sandbox, &["pull", &name]).run()?.ok()?;
    for name in [&name, &other] {
        let again = step(&sandbox, &["--explain", "pull", name]).run()?.ok()?;
        assert!(again.stdout.contains("Already exists"), "{}", again.stdout);
        assert!(!again.stderr.contains("/blobs/"), "only the manifest is asked for: {}", again.stderr);
    }
    // What is here runs without the registry.
    drop(registry);
    step(&sandbox, &["inspect", &name]).run()?.ok()?;
    step(&sandbox, &["pull", &name]).run()?.code(125)?.stderr_has("cannot be reached")?.stderr_has("run host sh")?;
    Ok(())
}

pub fn read_back() -> Outcome {
    let (sandbox, name) = (Sandbox::new()?, busybox("back")?);
    step(&sandbox, &["pull", &name]).run()?.ok()?;
    step(&sandbox, &["pull", "host"]).run()?.ok()?;
    let layout = sandbox.data().join("images");
    let copies = sandbox.dir("copies")?;
    for image in [name.as_str(), "localhost/host:latest"] {
        let image = if image.contains("latest") { image.to_owned() } else { format!("{image}:latest") };
        let from = format!("oci:{}:{image}", layout.display());
        let to = format!("oci:{}:copy", copies.display());
        sandbox.program("skopeo").args(["--insecure-policy", "copy", "--quiet", &from, &to]).run()?.ok()?;
        let theirs = sandbox.program("skopeo").args(["inspect", "--raw", &to]).run()?.ok()?.stdout;
        let ours = json(&step(&sandbox, &["inspect", &image]).run()?.ok()?.stdout)?;
        assert_eq!(
            images::digest::of(theirs.as_bytes()).to_string(),
            ours[0]["Descriptor"]["digest"],
            "the same bytes"
        );
    }
    Ok(())
}

pub fn docker_media_types() -> Outcome {
    let sandbox = Sandbox::new()?;
    let name = Registry::shared()?.push_as(busybox_image()?, "v2s2", &["--format", "v2s2"])?;
    step(&sandbox, &["pull", &name]).run()?.ok()?;
    let shown = json(&step(&sandbox, &["inspect", &name]).run()?.ok()?.stdout)?;
    assert_eq!(shown[0]["Descriptor"]["mediaType"], "application/vnd.docker.distribution.manifest.v2+json");
    let missing = Registry::shared()?.name("v2s2:none");
    step(&sandbox, &["pull", &missing]).run()?.code(125)?.stderr_has("was not found")?;
    let digest = shown[0]["Descriptor"]["digest"].as_str().unwrap();
    let pinned = format!("{name}@{digest}");
    step(&sandbox, &["pull", &pinned]).run()?.ok()?;
    step(&sandbox, &["inspect", &pinned]).run()?.ok()?;
    Ok(())
}

pub fn damage() -> Outcome {
    let (sandbox, name) = (Sandbox::new()?, busybox("damage")?);
    step(&sandbox, &["pull", &name]).run()?.ok()?;
    let shown = json(&step(&sandbox, &["inspect", &name]).run()?.ok()?.stdout)?;
    let blob = |digest: &serde_json::Value| {
        let hex = digest.as_str().unwrap().trim_start_matches("sha256:").to_owned();
        sandbox.data().join("images/blobs/sha256").join(hex)
    };
    for file in [blob(&shown[0]["Descriptor"]["digest"]), blob(&shown[0]["Id"])] {
        let mut bytes = std::fs::read(&file)?;
        bytes[10] ^= 1;
        std::fs::write(&file, bytes)?;
        step(&sandbox, &["inspect", &name]).run()?.code(1)?.stderr_has("the digest is wrong")?;
        step(&sandbox, &["pull", &name]).run()?.ok()?;
        step(&sandbox, &["inspect", &name]).run()?.ok()?;
    }
    // A layer that has gone is fetched again.
    std::fs::remove_dir_all(sandbox.data().join("layers"))?;
    step(&sandbox, &["pull", &name]).run()?.ok()?;
    let layers = std::fs::read_dir(sandbox.data().join("layers"))?.count();
    assert_eq!(layers, 1);
    Ok(())
}
