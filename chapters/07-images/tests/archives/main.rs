//! `save`, `load`, `import` and `export`, with our own archives and those of other tools.

mod export;
#[path = "../site/image.rs"]
#[allow(dead_code)] // each test file takes its part
mod image;
mod others;
mod ours;
#[path = "../site/mod.rs"]
#[allow(dead_code)]
mod site;

use std::path::Path;

use harness::{Outcome, Run, Sandbox, Suite};
use image::{Layer, files, put};
use site::Site;

fn main() {
    Suite::new()
        .user("many images in one archive, there and back", ours::round)
        .user("skopeo reads ours and we read skopeo's", others::skopeo)
        .needs(&["skopeo", "busybox"])
        .root("podman reads ours and we read podman's", others::podman)
        .needs(&["podman"])
        .user("umoci reads ours and we read umoci's", others::umoci)
        .needs(&["umoci", "skopeo", "busybox"])
        .root("dockerd reads ours and we read dockerd's", others::docker)
        .needs(&["dockerd", "docker", "containerd", "busybox", "skopeo"])
        .root("buildah reads the store as it lies", others::buildah)
        .needs(&["buildah", "busybox", "skopeo"])
        .user("an archive of the old form", ours::old_form)
        .user("bad archives leave nothing", ours::bad)
        .root("root: export and import", || export::export(&Sandbox::new()?))
        .user("ordinary: export and import", || export::export(&Sandbox::ordinary()?))
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
