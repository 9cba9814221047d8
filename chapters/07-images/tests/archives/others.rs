//! Other people's tools read what we write, and we read what they write.

use std::path::Path;
use std::time::Duration;

use harness::{Dockerd, Outcome, Registry, Sandbox, busybox_image};
use tar::Builder;

use crate::{id, ok, shown, step, two};

/// What `skopeo copy` makes of one image: the digest of its configuration is the image's ID.
fn copy(sandbox: &Sandbox, from: &str, to: &str) -> Outcome {
    sandbox.program("skopeo").args(["--insecure-policy", "copy", "--quiet", from, to]).run()?.ok().map(drop)
}

pub fn skopeo() -> Outcome {
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

pub fn podman() -> Outcome {
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

pub fn umoci() -> Outcome {
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

/// A real dockerd, whose unpacking checks each layer's digest anew.
pub fn docker() -> Outcome {
    let (sandbox, back) = (Sandbox::new()?, Sandbox::new()?);
    let [one, two] = two(&sandbox)?;
    let busybox = Registry::shared()?.push(busybox_image()?, "docker-box")?;
    ok(&sandbox, &["pull", "--quiet", &busybox])?;
    ok(&sandbox, &["tag", &one, "mine/again:2"])?;
    let (ours, theirs) = (sandbox.path().join("ours.tar"), sandbox.path().join("theirs.tar"));
    ok(&sandbox, &["save", "-o", shown(&ours), &one, &two, "mine/again:2", &busybox])?;
    let daemon = Dockerd::start(&sandbox, &[])?;
    let docker = |args: &[&str]| Ok::<_, harness::Failed>(daemon.docker(args).run()?.ok()?.stdout);
    let loaded = docker(&["load", "--input", shown(&ours)])?;
    let format = "{{.Id}} {{json .RootFS.Layers}}";
    for name in [&one, &two, "mine/again:2", &busybox] {
        assert!(loaded.contains(name), "{name}: {loaded}");
        assert_eq!(docker(&["inspect", "--format", format, name])?, id(&sandbox, name)?, "{name}");
    }
    docker(&["create", "--name", "box", &busybox, "sh"])?;
    assert!(docker(&["diff", "box"])?.is_empty());
    docker(&["save", "--output", shown(&theirs), &one, &two, "mine/again:2", &busybox])?;
    let loaded = ok(&back, &["load", "-i", shown(&theirs)])?;
    for name in [&one, &two, "mine/again:2", &busybox] {
        assert!(loaded.contains(name), "{name}: {loaded}");
        assert_eq!(id(&back, name)?, id(&sandbox, name)?, "{name}");
    }
    let say = ["run", "--rm", "--network", "none", &busybox, "echo", "there and back"];
    assert_eq!(ok(&back, &say)?, "there and back\n");
    Ok(())
}

/// The store is an OCI image layout: nothing has to be saved for a tool that reads one.
pub fn buildah() -> Outcome {
    let sandbox = Sandbox::new()?;
    let name = Registry::shared()?.push(busybox_image()?, "buildah-box")?;
    ok(&sandbox, &["pull", "--quiet", &name])?;
    let path = |name: &str| sandbox.path().join(name).display().to_string();
    let buildah = |args: &[&str]| {
        let place = ["--root", &path("buildah"), "--runroot", &path("buildah-run"), "--storage-driver", "vfs"];
        // It makes a name of the layout's path, which has to be in lower case.
        let run = sandbox.program("buildah").current_dir(sandbox.data()).timeout(Duration::from_secs(50));
        run.args(place).args(args).run()?.ok()
    };
    buildah(&["from", "--name", "box", &format!("oci:images:{name}:latest")])?;
    let root = buildah(&["mount", "box"])?.text().to_owned();
    let theirs = std::fs::read(Path::new(&root).join("bin/busybox"));
    let ours = ok(&sandbox, &["inspect", "-f", "{{.GraphDriver.Data.LowerDir}}", &name])?;
    assert!(theirs? == std::fs::read(Path::new(ours.trim()).join("bin/busybox"))?);
    buildah(&["umount", "box"])?;
    buildah(&["rm", "box"])?;
    Ok(())
}
