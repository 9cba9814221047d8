//! Devices: a disk of the host's, and the memory of the machine, by a node of one's own making.

use std::fs;
use std::path::Path;

use harness::{Outcome, Sandbox};

use crate::place::{Case, Place};

const PRIVILEGED: &[&str] = &["--privileged"];
const MARK: &str = "the host's disk";

/// A disk of the host's: a loop device over a file, gone on drop.
struct Disk {
    node: String,
    minor: String,
}

impl Disk {
    fn new(sandbox: &Sandbox) -> Outcome<Self> {
        let file = sandbox.file("disk", format!("{MARK}\n"))?;
        fs::File::options().write(true).open(&file)?.set_len(1 << 20)?;
        let done = Sandbox::new()?.program("losetup").args(["--find", "--show"]).arg(&file).run()?.ok()?;
        let node = done.text().to_owned();
        let name = Path::new(&node).file_name().unwrap_or_default();
        let number = fs::read_to_string(Path::new("/sys/class/block").join(name).join("dev"))?;
        let minor = number.trim().rsplit(':').next().unwrap_or_default().to_owned();
        Ok(Self { node, minor })
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("losetup").args(["--detach", &self.node]).status();
    }
}

/// What is not given cannot be opened, whoever may make a node of it.
pub fn not_given(place: &Place) -> Outcome {
    let disk = Disk::new(&place.sandbox)?;
    let node = format!("mknod:b:7:{}", disk.minor);
    let nodes = [node.as_str(), "mknod:c:1:1", "mknod:c:1:4", "mknod:c:10:237"];
    assert_eq!(place.tries(&[], &nodes)?, ["EPERM"; 4]);
    let privileged = place.tries(PRIVILEGED, &nodes)?;
    if place.is_ordinary() {
        return if privileged == ["EPERM"; 4] { Ok(()) } else { Err(format!("{privileged:?}").into()) };
    }
    assert_eq!(privileged[0], MARK, "{privileged:?}");
    assert!(privileged[1..].iter().all(|end| end != "EPERM" || !Path::new("/dev/mem").exists()), "{privileged:?}");
    // Also where the right to make nodes was asked for; or it is refused, where no rules can be set.
    let asked = place.container(&["--cap-add", "MKNOD"], &["/attack", "act", &node]).run()?;
    if asked.code == 125 {
        asked.stderr_has("device rules")?;
    } else {
        assert_eq!(asked.ok()?.text(), format!("{node}: EPERM"));
    }
    Ok(())
}

/// What is given is given as far as it was said, and nothing beside it.
pub fn beyond(place: &Place) -> Outcome {
    let (disk, other) = (Disk::new(&place.sandbox)?, Disk::new(&place.sandbox)?);
    let beside = format!("mknod:b:7:{}", other.minor);
    let attacks = ["read:/dev/disk", "open-write:/dev/disk", &beside];
    if place.is_ordinary() {
        // The node is the host's own, and so is what it says about who may open it.
        let device = format!("{}:/dev/disk", disk.node);
        assert_eq!(place.tries(&["--device", &device], &attacks)?, ["EACCES", "EACCES", "EPERM"]);
        return Ok(());
    }
    let device = format!("{}:/dev/disk:r", disk.node);
    let run = place.container(&["--device", &device], &["true"]).run()?;
    if run.code == 125 {
        run.stderr_has("device rules")?; // no cgroup v2 here: said, not passed over
        let whole = format!("{}:/dev/disk", disk.node);
        assert_eq!(place.tries(&["--device", &whole], &attacks)?, [MARK, "done", "EPERM"]);
        return Ok(());
    }
    assert_eq!(place.tries(&["--device", &device], &attacks)?, [MARK, "EPERM", "EPERM"]);
    let whole = format!("{}:/dev/disk", disk.node);
    assert_eq!(place.tries(&["--device", &whole], &attacks)?, [MARK, "done", "EPERM"]);
    Ok(())
}

/// Nothing of the host's nodes is there by itself, and a container's own cannot be used to reach them.
pub fn nodes(place: &Place) -> Outcome {
    let said = place.inside(&[], "cd /dev; find . -type b; find . -type c | sort; true")?;
    let mut wanted =
        vec!["./full", "./null", "./ptmx", "./pts/ptmx", "./random", "./tty", "./urandom", "./zero", "./console"];
    wanted.retain(|name| said.lines().any(|line| line == *name));
    let mut found: Vec<_> = said.lines().collect();
    found.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(found, wanted);
    let case = |attack, held, root| Case { attack, held, without: PRIVILEGED, root, ordinary: "" };
    place.hold(&[case("open-read:/dev/mem", "ENOENT", ""), case("open-read:/dev/kmsg", "ENOENT", "done")])
}
