//! `spec`: a config.json to begin with.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use nix::unistd::{getegid, geteuid};
use process::{Error, Kind, OrCall, Result};
use serde_json::{Value, json};

use super::{Context, Verb, state};
use crate::oci::state::OCI_VERSION;

/// Write a config.json to begin with
#[derive(Debug, Args)]
pub(super) struct Spec {
    /// The bundle to write it into
    #[arg(short, long, value_name = "DIR", default_value = ".")]
    bundle: PathBuf,
    /// One that an ordinary user can run
    #[arg(long)]
    rootless: bool,
}

impl Verb for Spec {
    fn run(self, _context: &Context) -> Result<ExitCode> {
        let path = self.bundle.join("config.json");
        let mut spec = example();
        if self.rootless {
            make_rootless(&mut spec);
        }
        let file = OpenOptions::new().write(true).create_new(true).open(&path);
        if file.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::AlreadyExists) {
            let what = format!("{} exists", path.display());
            return Err(Error::new(Kind::Conflict, what).help("remove it first"));
        }
        let mut text = state::json(&spec)?;
        text.push('\n');
        file.and_then(|mut file| file.write_all(text.as_bytes())).or_call("write", path.display())?;
        Ok(ExitCode::SUCCESS)
    }
}

/// What runc's own `spec` gives.
pub(super) fn example() -> Value {
    let capabilities = json!(["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]);
    let namespaces = ["pid", "network", "ipc", "uts", "mount", "cgroup"].map(|kind| json!({ "type": kind }));
    json!({
        "ociVersion": OCI_VERSION,
        "process": {
            "terminal": true,
            "user": { "uid": 0, "gid": 0 },
            "args": ["sh"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": { "bounding": capabilities, "effective": capabilities, "permitted": capabilities },
            "rlimits": [{ "type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024 }],
            "noNewPrivileges": true,
        },
        "root": { "path": "rootfs", "readonly": true },
        "hostname": "cooper",
        "mounts": mounts(),
        "linux": {
            "resources": { "devices": [{ "allow": false, "access": "rwm" }] },
            "namespaces": namespaces,
            "maskedPaths": [
                "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
                "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi",
            ],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    })
}

fn mounts() -> Value {
    let mount = |destination: &str, kind: &str, options: &[&str]| json!({ "destination": destination, "type": kind, "source": kind, "options": options });
    let shm = json!({
        "destination": "/dev/shm", "type": "tmpfs", "source": "shm",
        "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"],
    });
    json!([
        mount("/proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount("/dev/pts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
        shm,
        mount("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        mount("/sys", "sysfs", &["nosuid", "noexec", "nodev", "ro"]),
        mount("/sys/fs/cgroup", "cgroup", &["nosuid", "noexec", "nodev", "relatime", "ro"]),
    ])
}

/// A user namespace in which the user is root; no network namespace, whose /sys would need one's own, and no limits.
fn make_rootless(spec: &mut Value) {
    let linux = &mut spec["linux"];
    let namespaces = ["pid", "ipc", "uts", "mount", "cgroup", "user"].map(|kind| json!({ "type": kind }));
    linux["namespaces"] = json!(namespaces);
    linux["uidMappings"] = json!([{ "containerID": 0, "hostID": geteuid().as_raw(), "size": 1 }]);
    linux["gidMappings"] = json!([{ "containerID": 0, "hostID": getegid().as_raw(), "size": 1 }]);
    if let Some(linux) = linux.as_object_mut() {
        linux.remove("resources");
    }
    let Some(mounts) = spec["mounts"].as_array_mut() else { return };
    mounts.retain(|mount| mount["destination"] != "/sys/fs/cgroup");
    for mount in mounts {
        if mount["destination"] == "/sys" {
            *mount = json!({
                "destination": "/sys", "type": "none", "source": "/sys",
                "options": ["rbind", "nosuid", "noexec", "nodev", "ro"],
            });
        }
        // The terminal group is not mapped.
        if let Some(options) = mount["options"].as_array_mut() {
            options.retain(|option| option != "gid=5");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_are_specifications() {
        let mut spec = example();
        assert!(serde_json::from_value::<oci_spec::runtime::Spec>(spec.clone()).is_ok());
        make_rootless(&mut spec);
        let read = serde_json::from_value::<oci_spec::runtime::Spec>(spec).unwrap();
        let linux = read.linux().as_ref().unwrap();
        assert_eq!(linux.uid_mappings().as_ref().unwrap().len(), 1);
        assert!(linux.resources().is_none());
    }
}
