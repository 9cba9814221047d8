//! What takes a network to make, and is kept: the kernel of the virtual machine, and real images, made from this
//! machine's packages, in `target/fixtures`.
//!
//! Each image is an OCI layout with one image, tagged `latest`: one gzip layer, `Cmd` and `Env` set.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Outcome, isolate, target_dir};

/// The kernel that `tests/vm/run` boots, so that a test without a way out can boot it. Needs an archive the first time.
///
/// # Errors
/// What the program says.
pub fn second_kernel() -> Outcome {
    let run = Path::new(env!("CARGO_MANIFEST_DIR")).join("vm/run");
    let mut fetch = isolate::host_command(&run.to_string_lossy());
    let target = target_dir()?;
    fetch.arg("--fetch").env("CARGO_TARGET_DIR", target.parent().unwrap_or(&target));
    said(&mut fetch).map(drop)
}

/// Debian, the smallest that apt works in. About half a minute the first time. Needs `mmdebstrap` and an archive.
///
/// # Errors
/// What the programs say; for example that there is no package archive to reach.
pub fn debian_image() -> Outcome<PathBuf> {
    cached("debian", "bash", |tar| {
        let mut mmdebstrap = isolate::host_command("mmdebstrap");
        mmdebstrap.args(["--quiet", "--variant=minbase", "--skip=output/dev"]);
        for unread in ["doc", "info", "locale", "man"] {
            mmdebstrap.arg(format!("--dpkgopt=path-exclude=/usr/share/{unread}/*"));
        }
        said(mmdebstrap.arg(codename()?).arg(tar)).map(drop)
    })
}

/// Busybox, alone: one static program and its links. Needs `busybox` of the package busybox-static.
///
/// # Errors
/// What the programs say.
pub fn busybox_image() -> Outcome<PathBuf> {
    cached("busybox", "sh", |tar| {
        let busybox = crate::find_program("busybox").ok_or("no busybox: apt-get install busybox-static")?;
        let root = tempfile::tempdir()?;
        let root = root.path();
        fs::set_permissions(root, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        for dir in ["bin", "etc", "root", "tmp", "var"] {
            fs::create_dir(root.join(dir))?;
        }
        fs::set_permissions(root.join("tmp"), std::os::unix::fs::PermissionsExt::from_mode(0o1777))?;
        fs::copy(&busybox, root.join("bin/busybox"))?;
        for name in said(Command::new(busybox).arg("--list"))?.lines().filter(|name| *name != "busybox") {
            std::os::unix::fs::symlink("busybox", root.join("bin").join(name))?;
        }
        fs::write(root.join("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/sh\n")?;
        fs::write(root.join("etc/group"), "root:x:0:\nnobody:x:65534:\n")?;
        let mut pack = Command::new("tar");
        pack.args(["--create", "--gzip", "--owner=0", "--group=0", "--numeric-owner", "--file"]).arg(tar);
        said(pack.arg("--directory").arg(root).arg(".")).map(drop)
    })
}

/// The layout of this name; made from the gzipped tar that `fill` writes, if it is not there yet.
fn cached(name: &str, shell: &str, fill: impl FnOnce(&Path) -> Outcome) -> Outcome<PathBuf> {
    let cache = target_dir()?.parent().map(|target| target.join("fixtures")).unwrap_or_default();
    let done = cache.join(name);
    if done.is_dir() {
        return Ok(done);
    }
    fs::create_dir_all(&cache)?;
    // Made aside and renamed: two test programs may want it at once, and one may be killed.
    let aside = tempfile::Builder::new().prefix(name).tempdir_in(&cache)?;
    fs::set_permissions(aside.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    let tar = aside.path().join("layer.tar.gz");
    fill(&tar)?;
    let image = aside.path().join("layout");
    write_layout(&image, &tar, shell)?;
    match fs::rename(&image, &done) {
        Err(_) if done.is_dir() => {} // somebody was faster
        renamed => renamed?,
    }
    Ok(done)
}

/// An image of one layer, as the OCI image layout wants it, by hand: the engine's own code is what it shall test.
fn write_layout(dir: &Path, tar: &Path, shell: &str) -> Outcome {
    fs::create_dir_all(dir.join("blobs/sha256"))?;
    let diff_id = sha256(Command::new("sh").args(["-c", "gzip -dc \"$1\" | sha256sum", "sh"]).arg(tar))?;
    let layer = blob(dir, tar)?;
    let config = format!(
        r#"{{"architecture":"{}","os":"linux","config":{{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"Cmd":["{shell}"]}},"rootfs":{{"type":"layers","diff_ids":["sha256:{diff_id}"]}},"history":[{{"created_by":"the tests"}}]}}"#,
        architecture()
    );
    let config = text_blob(dir, &config)?;
    let (config, layer) = (descriptor("image.config.v1+json", &config), descriptor("image.layer.v1.tar+gzip", &layer));
    let manifest = format!(
        r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{{config}}},"layers":[{{{layer}}}]}}"#
    );
    let manifest = descriptor("image.manifest.v1+json", &text_blob(dir, &manifest)?);
    let tag = r#""annotations":{"org.opencontainers.image.ref.name":"latest"}"#;
    fs::write(dir.join("index.json"), format!(r#"{{"schemaVersion":2,"manifests":[{{{manifest},{tag}}}]}}"#))?;
    Ok(fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?)
}

/// A blob's digest (hexadecimal) and its size in bytes.
type Blob = (String, u64);

fn descriptor(kind: &str, (digest, size): &Blob) -> String {
    format!(r#""mediaType":"application/vnd.oci.{kind}","digest":"sha256:{digest}","size":{size}"#)
}

fn text_blob(dir: &Path, text: &str) -> Outcome<Blob> {
    let file = dir.join("blobs/new");
    fs::write(&file, text)?;
    blob(dir, &file)
}

/// Moves the file to where its digest belongs.
fn blob(dir: &Path, file: &Path) -> Outcome<Blob> {
    let digest = sha256(Command::new("sha256sum").arg(file))?;
    let size = fs::metadata(file)?.len();
    fs::rename(file, dir.join("blobs/sha256").join(&digest))?;
    Ok((digest, size))
}

fn sha256(command: &mut Command) -> Outcome<String> {
    let text = said(command)?;
    Ok(text.split_whitespace().next().ok_or("sha256sum said nothing")?.to_owned())
}

/// Its standard output, or its standard error as the failure.
fn said(command: &mut Command) -> Outcome<String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        return Err(format!("{command:?}: {}\n{stderr}", output.status).into());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// This machine's release (os-release(5)): the one whose archive is known to be configured.
fn codename() -> Outcome<String> {
    let text = fs::read_to_string("/etc/os-release")?;
    let name = text.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME="));
    Ok(name.ok_or("no VERSION_CODENAME in /etc/os-release: this is no Debian")?.trim_matches('"').to_owned())
}

/// As OCI names it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
