//! The root that all are given: that of the image `host`.

use std::path::PathBuf;

use harness::{Outcome, Sandbox};

/// Has the image `host` made by its first use, and gives the directory of its one layer.
pub fn of_image(sandbox: &Sandbox) -> Outcome<PathBuf> {
    sandbox.step(7).args(["run", "--rm", "--network=none", "host", "true"]).run()?.ok()?;
    let layers = std::fs::read_dir(sandbox.data().join("layers"))?.flatten().map(|entry| entry.path().join("diff"));
    Ok(layers.into_iter().find(|path| path.is_dir()).ok_or("the image host has no layer")?)
}
