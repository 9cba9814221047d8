//! The bundles that every runtime is given: a root with busybox, and what `spec` writes.

use std::path::Path;
use std::process::Command;

/// Bundles for several programs.
pub struct Bundle {
    directory: tempfile::TempDir,
}

impl Bundle {
    /// Makes them; `spec` is by ours, with what a hybrid host cannot give taken out.
    pub fn make() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        for (name, args) in [("true", vec!["/bin/true"]), ("sleep", vec!["/bin/sleep", "1000"])] {
            furnish(&directory.path().join(name), &args);
        }
        Self { directory }
    }

    /// The bundle for a program, as a word.
    pub fn of(&self, program: &str) -> String {
        self.directory.path().join(program).to_string_lossy().into_owned()
    }
}

fn furnish(bundle: &Path, args: &[&str]) {
    let bin = bundle.join("rootfs/bin");
    std::fs::create_dir_all(&bin).expect("mkdir");
    for name in ["proc", "sys", "dev", "tmp"] {
        std::fs::create_dir_all(bundle.join("rootfs").join(name)).expect("mkdir");
    }
    std::fs::copy("/bin/busybox", bin.join("busybox")).expect("busybox-static is needed: apt-get install it");
    for name in ["true", "sleep"] {
        std::os::unix::fs::symlink("busybox", bin.join(name)).expect("symlink");
    }
    let runtime = env!("CARGO_BIN_EXE_cooper-runtime");
    let spec = Command::new(runtime).arg("spec").arg("--bundle").arg(bundle).status().expect("spec");
    assert!(spec.success());
    let file = bundle.join("config.json");
    let text = std::fs::read(&file).expect("config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&text).expect("JSON");
    config["process"]["terminal"] = false.into();
    config["process"]["args"] = args.into();
    config["ociVersion"] = "1.0.2".into(); // Debian's crun knows no later one
    config["linux"]["resources"] = serde_json::json!({}); // not every host can set them
    std::fs::write(&file, config.to_string()).expect("config.json");
}
