//! The same image unpacked by us, by umoci and by buildah.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use harness::{Outcome, Run, Sandbox};
use serde_json::Value;

use super::archive::Archive;
use super::image::{Layer, put};
use super::site::{Route, Site};
use super::tree::{self, Tree};

/// The only directory that is compared: the rest is for the container to run.
const DATA: &str = "data";

/// An image in a registry, and where it is unpacked.
pub struct Both {
    sandbox: Sandbox,
    site: Site,
}

impl Both {
    /// Puts an image of these archives into a registry, and pulls it.
    pub fn new(archives: Vec<Archive>) -> Outcome<Self> {
        let both = Self::unpulled(Sandbox::new()?, archives);
        both.pull().run()?.ok()?;
        Ok(both)
    }

    /// Puts it there, for the user of the sandbox to pull.
    pub fn unpulled(sandbox: Sandbox, archives: Vec<Archive>) -> Self {
        let both = Self { sandbox, site: Site::start() };
        let layers: Vec<_> = archives.into_iter().map(|archive| Layer::gzip(archive.end())).collect();
        put(&both.site, "image", &layers);
        both.site.set("/v2/", Route::new("{}"));
        both
    }

    pub fn pull(&self) -> Run {
        self.sandbox.step(7).args(["pull", &self.name()])
    }

    /// As umoci has it for the ordinary user of the sandbox.
    pub fn theirs_rootless(&self) -> Outcome<Tree> {
        let (layout, bundle) = (self.layout()?, self.sandbox.dir("rootless")?.join("bundle"));
        let umoci = self.sandbox.program("umoci").args(["unpack", "--rootless", "--image"]);
        umoci.arg(format!("{}:image", layout.display())).arg(&bundle).run()?.ok()?;
        tree::read(&bundle.join("rootfs").join(DATA))
    }

    fn name(&self) -> String {
        self.site.name("image")
    }

    /// The image as an OCI layout, by skopeo.
    fn layout(&self) -> Outcome<PathBuf> {
        let layout = self.sandbox.path().join("layout");
        let mut skopeo = Command::new("skopeo");
        skopeo.args(["--insecure-policy", "copy", "--quiet", "--src-tls-verify=false"]);
        skopeo.arg(format!("docker://{}", self.name())).arg(format!("oci:{}:image", layout.display()));
        Run::new(skopeo).run()?.ok()?;
        Ok(layout)
    }

    /// As buildah has it, with a store of its own.
    pub fn buildahs(&self) -> Outcome<Tree> {
        let layout = self.layout()?;
        let buildah = |args: &[&str]| {
            let mut buildah = Command::new("buildah");
            // It makes a name of the layout's path, which has to be in lower case.
            buildah.current_dir(layout.parent().unwrap_or(&layout));
            buildah.args(["--root", "buildah", "--runroot", "buildah-run", "--storage-driver", "vfs"]).args(args);
            Run::new(buildah).timeout(Duration::from_secs(50)).run()?.ok()
        };
        buildah(&["from", "--name", "box", "oci:layout:image"])?;
        let root = PathBuf::from(buildah(&["mount", "box"])?.text());
        let tree = tree::read(&root.join(DATA));
        buildah(&["umount", "box"])?;
        buildah(&["rm", "box"])?;
        tree
    }

    /// As umoci has it.
    pub fn theirs(&self) -> Outcome<Tree> {
        let (layout, bundle) = (self.layout()?, self.sandbox.path().join("bundle"));
        let layout = layout.display();
        let mut umoci = Command::new("umoci");
        umoci.args(["unpack", "--image"]).arg(format!("{layout}:image")).arg(&bundle);
        Run::new(umoci).run()?.ok()?;
        tree::read(&bundle.join("rootfs").join(DATA))
    }

    /// The directories of our layers, topmost first.
    pub fn layers(&self) -> Outcome<Vec<PathBuf>> {
        let shown = self.sandbox.step(7).args(["inspect", &self.name()]).run()?.ok()?.stdout;
        let json: Value = serde_json::from_str(&shown)?;
        let lowers = json[0]["GraphDriver"]["Data"]["LowerDir"].as_str().ok_or("no LowerDir")?.to_owned();
        Ok(lowers.split(':').map(|layer| PathBuf::from(layer).join(DATA)).collect())
    }

    /// As a container sees it.
    pub fn ours(&self) -> Outcome<Tree> {
        let script = "echo ready; until [ -e /stop ]; do sleep 0.02; done";
        let run = ["run", "--rm", "--network", "none", &self.name(), "sh", "-c", script];
        let mut container = self.sandbox.step(7).args(run).spawn()?;
        container.says("ready")?;
        let root = root_of(container.pid())?;
        let tree = tree::read(&root.join(DATA));
        fs::write(root.join("stop"), "")?;
        container.wait()?.ok()?;
        tree
    }
}

/// The root directory of the container that this process runs: that of the one with another root.
fn root_of(pid: i32) -> Outcome<PathBuf> {
    let mut open = vec![pid];
    while let Some(pid) = open.pop() {
        let root = PathBuf::from(format!("/proc/{pid}/root"));
        if root.join(DATA).is_dir() && root.join("bin/busybox").is_file() && !root.join("usr").exists() {
            return Ok(root);
        }
        for task in fs::read_dir(Path::new("/proc").join(pid.to_string()).join("task"))? {
            let children = fs::read_to_string(task?.path().join("children"))?;
            open.extend(children.split_whitespace().filter_map(|word| word.parse::<i32>().ok()));
        }
    }
    Err("no container among its descendants".into())
}
