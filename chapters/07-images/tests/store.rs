//! The store: lists, filters, removal, pruning, and several processes at once.

#[path = "site/image.rs"]
#[allow(dead_code)] // each test file takes its part
mod image;
#[path = "site/mod.rs"]
#[allow(dead_code)]
mod site;

use std::time::Duration;

use harness::{Outcome, Run, Sandbox, Suite};
use image::{Layer, files, put};
use site::Site;

fn main() {
    Suite::new()
        .user("the list, its filters and formats", list)
        .user("everything under `image`, too", management)
        .user("digests name images", digests)
        .user("all tags of a repository", all_tags)
        .user("what nobody needs is pruned", prune)
        .root("a container keeps its image", in_use)
        .user("two pulls at once share the work", at_once)
        .user("a pull is safe from removal", beside_removal)
        .user("removals, tags and pulls at once tear nothing", storm)
        .run();
}

fn step(sandbox: &Sandbox, args: &[&str]) -> Run {
    sandbox.step(7).args(args)
}

fn ok(sandbox: &Sandbox, args: &[&str]) -> Outcome<String> {
    Ok(step(sandbox, args).run()?.ok()?.stdout)
}

fn layer(text: &str) -> Layer {
    Layer::gzip(files(&[(text, text)]))
}

/// An image `name` in the site, of a common layer and one of its own, pulled.
fn pulled(sandbox: &Sandbox, site: &Site, name: &str) -> Outcome<String> {
    put(site, name, &[layer("common"), layer(name)]);
    ok(sandbox, &["pull", "--quiet", &site.name(name)])?;
    Ok(site.name(name))
}

fn count(sandbox: &Sandbox, directory: &str) -> Outcome<usize> {
    Ok(std::fs::read_dir(sandbox.data().join(directory))?.count())
}

fn list() -> Outcome {
    let (sandbox, site) = (Sandbox::new()?, Site::start());
    let one = pulled(&sandbox, &site, "team/one")?;
    ok(&sandbox, &["tag", &one, "other:2"])?;
    let import = |name: &str, change: &str| {
        let archive = image::tar(&[(tar::EntryType::Regular, "file", name)]);
        step(&sandbox, &["import", "-c", change, "-", name]).stdin(archive).run()?.ok()
    };
    import("new:1", "LABEL kind=a")?;
    import("new:1", "LABEL kind=b")?; // the first one has no name now
    let names = |args: &[&str]| -> Outcome<Vec<String>> {
        let format = ["images", "--format", "{{.Repository}}:{{.Tag}}"];
        let mut lines: Vec<_> = ok(&sandbox, &[&format[..], args].concat())?.lines().map(str::to_owned).collect();
        lines.sort();
        Ok(lines)
    };
    let tag = |name: &str| format!("{name}:latest");
    let (first, none) = (tag(&one), "<none>:<none>".to_owned());
    let wanted = |all: &[&str]| {
        let mut all: Vec<_> = all.iter().map(|&name| name.to_owned()).collect();
        all.sort();
        all
    };
    for (args, found) in [
        (&[][..], &[first.as_str(), "other:2", "new:1", none.as_str()][..]),
        (&["other"], &["other:2"]),
        (&["oth*"], &["other:2"]),
        (&["other:3"], &[]),
        (&["--filter", "reference=*/*/one"], &[&first]),
        (&["--filter", "reference=other", "--filter", "reference=new"], &["other:2", "new:1"]),
        (&["--filter", "dangling=true"], &[&none]),
        (&["--filter", "label=kind=b"], &["new:1"]),
        (&["--filter", "label=kind"], &["new:1", &none]),
        (&["--filter", "since=other:2"], &["new:1", &none]),
        (&["--filter", "before=new:1", "--filter", "dangling=false"], &[&first, "other:2"]),
        (&["--filter", "until=2025-01-01"], &[&first, "other:2"]),
    ] {
        assert_eq!(names(args)?, wanted(found), "{args:?}");
    }
    let heads = |args: &[&str]| -> Outcome<String> {
        let text = ok(&sandbox, &[&["images"], args].concat())?;
        Ok(text.lines().next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" "))
    };
    assert_eq!(heads(&[])?, "REPOSITORY TAG IMAGE ID CREATED SIZE");
    assert_eq!(heads(&["--digests"])?, "REPOSITORY TAG DIGEST IMAGE ID CREATED SIZE");
    assert_eq!(heads(&["--format", "table {{.ID}}\\t{{.Size}}"])?, "IMAGE ID SIZE");
    let id = ok(&sandbox, &["images", "-q", "--no-trunc", "other"])?;
    assert_eq!(id.trim().len(), 71);
    let line: serde_json::Value = serde_json::from_str(&ok(&sandbox, &["images", "--format", "json", "other"])?)?;
    assert_eq!((&line["Repository"], &line["CreatedAt"]), (&"other".into(), &"2024-01-02 03:04:05 +0000 UTC".into()));
    let history = ok(&sandbox, &["history", "--no-trunc", "--format", "{{.CreatedBy}} {{.CreatedAt}}", "other:2"])?;
    assert_eq!(history, "by hand N/A\nby hand N/A\n");
    step(&sandbox, &["images", "--filter", "colour=red"]).run()?.fails()?.stderr_has("dangling")?;
    step(&sandbox, &["images", "--format", "{{.Nope}}"]).run()?.code(125)?.stderr_has("Repository")?;
    Ok(())
}

fn management() -> Outcome {
    let (sandbox, site) = (Sandbox::new()?, Site::start());
    let one = pulled(&sandbox, &site, "one")?;
    for verb in [["images"].as_slice(), &["image", "ls"], &["image", "list"]] {
        assert_eq!(ok(&sandbox, verb)?, ok(&sandbox, &["images"])?);
    }
    ok(&sandbox, &["image", "pull", "-q", &one])?;
    ok(&sandbox, &["image", "tag", &one, "two"])?;
    assert_eq!(ok(&sandbox, &["image", "inspect", "two"])?, ok(&sandbox, &["inspect", &one])?);
    assert_eq!(ok(&sandbox, &["image", "history", "two"])?, ok(&sandbox, &["history", "two"])?);
    assert_eq!(ok(&sandbox, &["image", "rm", "two"])?, "Untagged: two:latest\n");
    assert!(ok(&sandbox, &["image", "remove", &one])?.contains("Deleted: sha256:"));
    Ok(())
}

fn digests() -> Outcome {
    let (sandbox, site) = (Sandbox::new()?, Site::start());
    let digest = put(&site, "one", &[layer("a")]);
    let (name, pinned) = (site.name("one"), site.name(&format!("one@{digest}")));
    ok(&sandbox, &["pull", "-q", &pinned])?;
    assert_eq!(
        ok(&sandbox, &["images", "--format", "{{.Repository}} {{.Tag}} {{.Digest}}"])?,
        format!("{name} <none> {digest}\n")
    );
    assert_eq!(
        ok(&sandbox, &["inspect", "-f", "{{.RepoTags}} {{.RepoDigests}}", &pinned])?,
        format!("[] [{pinned}]\n")
    );
    ok(&sandbox, &["pull", "-q", &name])?;
    assert_eq!(ok(&sandbox, &["inspect", "-f", "{{.RepoTags}}", &pinned])?, format!("[{name}:latest]\n"));
    let other = site.name(&format!("two@{digest}"));
    step(&sandbox, &["inspect", &other]).run()?.code(1)?.stderr_has("there is no image")?;
    let removed = ok(&sandbox, &["rmi", &name])?;
    assert_eq!(removed, format!("Untagged: {name}:latest\n"), "the digest keeps it");
    assert!(ok(&sandbox, &["rmi", &pinned])?.contains("Deleted: "));
    assert_eq!(count(&sandbox, "images/blobs/sha256")?, 0);
    Ok(())
}

fn all_tags() -> Outcome {
    let (sandbox, site) = (Sandbox::new()?, Site::start());
    for tag in ["1", "2", "latest"] {
        let digest = put(&site, "many", &[layer("common"), layer(tag)]);
        let mut route = None;
        site.change(&image::manifest("many", &digest), |there| route = Some(there.clone()));
        site.set(&image::manifest("many", tag), route.ok_or("no manifest")?);
    }
    site.set("/v2/many/tags/list", site::Route::new(r#"{"name":"many","tags":["1","2","latest"]}"#));
    let name = site.name("many");
    let text = ok(&sandbox, &["pull", "--all-tags", &name])?;
    assert_eq!(text.matches("Status: Downloaded newer image for ").count(), 3, "{text}");
    let quiet = ok(&sandbox, &["pull", "--quiet", "-a", &name])?;
    assert_eq!(quiet, format!("{name}:1\n{name}:2\n{name}:latest\n"));
    assert_eq!(ok(&sandbox, &["images", "-q", &name])?.lines().count(), 3);
    step(&sandbox, &["pull", "-a", &format!("{name}:1")])
        .run()?
        .code(125)?
        .stderr_has("can't be used with --all-tags")?;
    // Saved without a tag, all of them are.
    let file = sandbox.path().join("many.tar");
    ok(&sandbox, &["save", "-o", file.to_str().ok_or("path")?, &name])?;
    let fresh = Sandbox::new()?;
    assert_eq!(ok(&fresh, &["load", "-i", file.to_str().ok_or("path")?])?.lines().count(), 3);
    Ok(())
}

fn prune() -> Outcome {
    let (sandbox, site) = (Sandbox::new()?, Site::start());
    let one = pulled(&sandbox, &site, "one")?;
    let old = ok(&sandbox, &["images", "-q", "--no-trunc"])?;
    put(&site, "one", &[layer("common"), layer("newer")]);
    ok(&sandbox, &["pull", "-q", &one])?;
    assert_eq!(count(&sandbox, "layers")?, 3);
    step(&sandbox, &["image", "prune"]).run()?.code(125)?.stderr_has("--force")?;
    assert_eq!(ok(&sandbox, &["image", "prune", "-f", "--filter", "label=none"])?, "Total reclaimed space: 0B\n");
    let text = ok(&sandbox, &["image", "prune", "-f"])?;
    assert!(text.starts_with(&format!("Deleted Images:\ndeleted: {}", old.trim())), "{text}");
    assert!(text.contains("\n\nTotal reclaimed space: ") && !text.contains(": 0B"), "{text}");
    assert_eq!(count(&sandbox, "layers")?, 2);
    ok(&sandbox, &["inspect", &one])?;
    assert_eq!(
        ok(&sandbox, &["image", "prune", "-af", "--filter", "until=2020-01-01"])?,
        "Total reclaimed space: 0B\n"
    );
    let text = ok(&sandbox, &["image", "prune", "--all", "--force"])?;
    assert!(text.contains(&format!("untagged: {one}:latest\n")), "{text}");
    assert_eq!((count(&sandbox, "layers")?, count(&sandbox, "images/blobs/sha256")?), (0, 0));
    Ok(())
}

fn in_use() -> Outcome {
    let sandbox = Sandbox::new()?;
    ok(&sandbox, &["pull", "-q", "host"])?;
    let id = ok(&sandbox, &["images", "-q"])?;
    let id = id.trim();
    let mut run =
        step(&sandbox, &["run", "--name", "box", "--network", "none", "host", "sh", "-c", "echo up; sleep 60"])
            .spawn()?;
    run.says("up")?;
    assert_eq!(ok(&sandbox, &["image", "prune", "-af"])?, "Total reclaimed space: 0B\n");
    step(&sandbox, &["rmi", "host"]).run()?.code(1)?.stderr_has("is used by the container")?;
    step(&sandbox, &["rmi", "-f", id]).run()?.code(1)?.stderr_has("cannot be forced")?;
    // A second name may go: the image stays.
    ok(&sandbox, &["tag", id, "second"])?;
    assert_eq!(ok(&sandbox, &["rmi", "second"])?, "Untagged: second:latest\n");
    ok(&sandbox, &["rm", "--force", "box"])?;
    let _ = run.wait();
    ok(&sandbox, &["rmi", id])?;
    assert_eq!(count(&sandbox, "layers")?, 0);
    Ok(())
}

fn at_once() -> Outcome {
    let (sandbox, site) = (Sandbox::new()?, Site::start());
    let noise: String = (0..60_000_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_string()).collect();
    let layers = [Layer::gzip(files(&[("big", &noise)])), layer("small")];
    put(&site, "one", &layers);
    put(&site, "two", &[layers[0].clone(), layer("other")]);
    site.change(&image::blob("one", &layers[0].digest), |route| route.pause = Duration::from_millis(3));
    let pull = |name: &str| step(&sandbox, &["pull", &site.name(name)]).spawn();
    let mut first = pull("one")?;
    first.says("Pulling from one")?;
    let others = [pull("one")?, pull("two")?, pull("one")?];
    first.wait()?.ok()?;
    for other in others {
        other.wait()?.ok()?;
    }
    let log = site.log();
    for layer in &layers {
        let fetched = log.iter().filter(|line| line.contains("/blobs/") && line.contains(&layer.digest)).count();
        assert_eq!(fetched, 1, "{log:#?}");
    }
    assert_eq!((count(&sandbox, "layers")?, count(&sandbox, "tmp")?), (3, 0));
    Ok(())
}

fn beside_removal() -> Outcome {
    let (sandbox, site) = (Sandbox::new()?, Site::start());
    let old = pulled(&sandbox, &site, "old")?;
    let noise: String = (0..30_000_u64).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_string()).collect();
    let slow = Layer::gzip(files(&[("big", &noise)]));
    put(&site, "new", &[layer("common"), layer("quick"), slow.clone()]);
    site.change(&image::blob("new", &slow.digest), |route| route.pause = Duration::from_millis(10));
    let mut pull = step(&sandbox, &["pull", &site.name("new")]).spawn()?;
    pull.says("Already exists")?;
    // It counts on the common layer, which only the old image has a name for.
    ok(&sandbox, &["rmi", &old])?;
    ok(&sandbox, &["image", "prune", "-af"])?;
    pull.wait()?.ok()?;
    ok(&sandbox, &["save", "-o", sandbox.path().join("new.tar").to_str().ok_or("path")?, &site.name("new")])?;
    ok(&sandbox, &["image", "prune", "-f"])?;
    assert_eq!(count(&sandbox, "layers")?, 3, "what was the old image's alone has gone now");
    Ok(())
}

fn storm() -> Outcome {
    let (sandbox, site) = (Sandbox::new()?, Site::start());
    let names = ["a", "b", "c"].map(|name| site.name(name));
    for name in ["a", "b", "c"] {
        put(&site, name, &[layer("common"), layer(name)]);
    }
    let mut all = Vec::new();
    for round in 0..4 {
        for name in &names {
            all.push(step(&sandbox, &["pull", "-q", name]).spawn()?);
            all.push(step(&sandbox, &["tag", name, &format!("t{round}")]).spawn()?);
            all.push(step(&sandbox, &["rmi", "-f", name]).spawn()?);
            all.push(step(&sandbox, &["image", "prune", "-f"]).spawn()?);
        }
    }
    for one in all {
        let done = one.wait()?;
        assert!(!done.stderr.contains("malformed") && !done.stderr.contains("warning"), "{}", done.stderr);
    }
    // Whatever won, each image that there is is whole.
    for id in ok(&sandbox, &["images", "-q"])?.lines() {
        ok(&sandbox, &["save", "-o", sandbox.path().join("x.tar").to_str().ok_or("path")?, id])?;
        ok(&sandbox, &["history", id])?;
    }
    for name in &names {
        ok(&sandbox, &["pull", "-q", name])?;
    }
    ok(&sandbox, &["image", "prune", "-af"])?;
    assert_eq!(
        (count(&sandbox, "layers")?, count(&sandbox, "images/blobs/sha256")?, count(&sandbox, "tmp")?),
        (0, 0, 0)
    );
    Ok(())
}
