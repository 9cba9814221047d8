//! What an upper layer takes away is gone in the container, for root and for an ordinary user alike.

#[path = "site/image.rs"]
#[allow(dead_code)] // each test file takes its part
mod image;
#[path = "site/mod.rs"]
#[allow(dead_code)]
mod site;

use harness::{Outcome, Sandbox, Suite};
use image::{Layer, put, tar};
use site::Site;
use tar::{Builder, EntryType, Header};

fn main() {
    Suite::new()
        .root("root: whiteouts and opaque directories", || hidden(&Sandbox::new()?))
        .needs(&["busybox"])
        .user("ordinary: whiteouts and opaque directories", || hidden(&Sandbox::ordinary()?))
        .needs(&["busybox", "userns", "subuid"])
        .root("root: owners, set-user-ID bits and devices", || kept(&Sandbox::new()?, true))
        .needs(&["busybox"])
        .user("ordinary: owners, set-user-ID bits, and devices left out", || kept(&Sandbox::ordinary()?, false))
        .needs(&["busybox", "userns", "subuid"])
        .run();
}

fn header_of(kind: EntryType, mode: u32, owner: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(owner);
    header.set_gid(owner);
    header.set_mtime(1_700_000_000);
    header.set_size(0);
    header
}

/// A layer with a shell, and more entries behind it.
fn base(entries: &[(EntryType, &str, &str)]) -> Outcome<Layer> {
    let mut archive = Builder::new(Vec::new());
    let busybox = std::fs::read(harness::find_program("busybox").ok_or("no busybox")?)?;
    let mut header = header_of(EntryType::Regular, 0o755, 0);
    header.set_size(busybox.len() as u64);
    archive.append_data(&mut header, "bin/busybox", &busybox[..])?;
    for applet in ["sh", "ls", "stat"] {
        let mut header = header_of(EntryType::Symlink, 0o777, 0);
        archive.append_link(&mut header, format!("bin/{applet}"), "busybox")?;
    }
    let mut bytes = archive.into_inner()?;
    // Without the two empty blocks at its end, an archive goes on with the next one.
    bytes.truncate(bytes.len() - 1024);
    bytes.extend(tar(entries));
    Ok(Layer::gzip(bytes))
}

fn hidden(sandbox: &Sandbox) -> Outcome {
    let file = |name| (EntryType::Regular, name, "text");
    let site = Site::start();
    let low = base(&[file("gone"), file("kept"), file("dir/low"), file("turned"), file("back"), file("tree/a/b")])?;
    let middle = [
        file(".wh.gone"),
        // The mark hides what is below, also when the layer's own entries come first (OCI image-spec, layer.md).
        file("dir/high"),
        file("dir/.wh..wh..opq"),
        file("dir/higher"),
        (EntryType::Directory, "turned/", ""),
        file("turned/inside"),
        file(".wh.back"),
        file(".wh.tree"),
    ];
    let high = [file("back"), file("tree/c")];
    put(&site, "hidden", &[low, Layer::gzip(tar(&middle)), Layer::gzip(tar(&high))]);
    let script = "ls / /dir /turned; ls -R /tree";
    let run = ["run", "--rm", "--network", "none", &site.name("hidden"), "sh", "-c", script];
    let done = sandbox.step(7).args(run).run()?.ok()?;
    let lines: Vec<_> =
        done.stdout.lines().filter(|line| !["bin", "dev", "etc", "proc", "sys"].contains(line)).collect();
    let expected = [
        "/:", "back", "dir", "kept", "tree", "turned", "", "/dir:", "high", "higher", "", "/turned:", "inside",
        "/tree:", "c",
    ];
    assert_eq!(lines, expected);
    Ok(())
}

fn kept(sandbox: &Sandbox, devices: bool) -> Outcome {
    let site = Site::start();
    let mut archive = Builder::new(Vec::new());
    for (name, kind, mode, owner) in [
        ("setuid", EntryType::Regular, 0o4755, 0),
        ("owned", EntryType::Regular, 0o640, 1234),
        ("device", EntryType::Char, 0o666, 0),
    ] {
        let mut header = header_of(kind, mode, owner);
        header.set_device_major(1)?;
        header.set_device_minor(3)?;
        archive.append_data(&mut header, name, &b""[..])?;
    }
    put(&site, "kept", &[base(&[])?, Layer::gzip(archive.into_inner()?)]);
    let script = "stat -c '%a %u:%g %n' /setuid /owned; ls /device";
    let run = ["run", "--rm", "--network", "none", &site.name("kept"), "sh", "-c", script];
    let done = sandbox.step(7).args(run).run()?;
    let (files, code) = ("4755 0:0 /setuid\n640 1234:1234 /owned\n", if devices { 0 } else { 1 });
    let done = done.code(code)?;
    assert_eq!(done.stdout, if devices { format!("{files}/device\n") } else { files.to_owned() });
    if !devices {
        done.stderr_has("device")?;
    }
    Ok(())
}
