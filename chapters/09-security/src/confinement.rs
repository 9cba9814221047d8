//! What a container may do: decided, as data.
//!
//! Two sources make a [`Confinement`]: the options of a person ([`SecurityArgs`](crate::SecurityArgs)) and, in chapter
//! 10, an OCI bundle's config.json. One set of stages carries it out. It is kept with the container as
//! [`security.json`](Confinement::FILE), so that `exec` confines what it starts as the container is confined, and
//! `audit` knows what was meant.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use oci_spec::runtime::LinuxSeccomp;
use process::{Error, Kind, OrCall, Result};
use serde::{Deserialize, Serialize};

use crate::{CapSet, Rlimit};

/// What a container may do. The default is: nothing is taken away and nothing given.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Confinement {
    /// The five sets of capabilities; none: they stay as they are.
    pub capabilities: Option<Capabilities>,
    /// No exec gives more rights than there were before (`PR_SET_NO_NEW_PRIVS(2const)`).
    pub no_new_privs: bool,
    /// The filter of system calls; none: unconfined.
    pub seccomp: Option<LinuxSeccomp>,
    /// Paths in the container that are covered, so that they can be neither read nor written.
    pub masked: Vec<PathBuf>,
    /// Paths in the container that can only be read.
    pub readonly: Vec<PathBuf>,
    /// Resource limits of the process (setrlimit(2)).
    pub rlimits: Vec<Rlimit>,
    /// Kernel settings of the container's own namespaces, by their dotted names.
    pub sysctls: BTreeMap<String, String>,
    /// Nodes to make in the container's /dev, beside the usual ones.
    pub devices: Vec<Device>,
    /// Which devices may be used, the last rule that fits deciding; none: no rules are set, everything may.
    pub device_rules: Vec<DeviceRule>,
    /// The AppArmor profile, where the host has AppArmor.
    pub apparmor: Option<String>,
    /// The SELinux labels, where the host has SELinux.
    pub selinux: Option<SelinuxLabels>,
    /// A Landlock ruleset; none: no such restriction.
    pub landlock: Option<Landlock>,
    /// Keep the engine's session keyring instead of beginning an empty one (keyrings(7)).
    pub keep_keyring: bool,
    /// How readily the kernel ends it for want of memory, -1000 to 1000 (proc_pid_oom_score_adj(5)).
    pub oom_score_adj: Option<i32>,
    /// Supplementary groups beside the user's own, by number or by a name of the root's /etc/group.
    pub groups: Vec<String>,
    /// Everything is allowed: `--privileged`. What it means is in the other fields; this is for `inspect` and `exec`.
    pub privileged: bool,
}

/// The five sets of capabilities(7).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Capabilities {
    /// What an exec can gain at most.
    pub bounding: CapSet,
    /// What counts in the kernel's checks.
    pub effective: CapSet,
    /// What may be made effective.
    pub permitted: CapSet,
    /// What may survive the exec of a file that inherits it.
    pub inheritable: CapSet,
    /// What survives the exec of a plain file, also for a user who is not root.
    pub ambient: CapSet,
}

impl Capabilities {
    /// What Docker makes of a set: bounding, permitted and effective. Root keeps it over an exec; for another user the
    /// kernel empties the last two there, since nothing is inheritable or ambient.
    pub fn of(set: CapSet) -> Self {
        Self { bounding: set, effective: set, permitted: set, ..Self::default() }
    }
}

/// A device node in the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Device {
    /// Where it is in the container.
    pub path: PathBuf,
    /// Where it is on the host, if it was named so: what an ordinary user's engine mounts, as it may make no nodes.
    #[serde(default)]
    pub source: Option<PathBuf>,
    /// What it is.
    pub kind: DeviceKind,
    /// Its major number; 0 for a FIFO.
    pub major: u32,
    /// Its minor number; 0 for a FIFO.
    pub minor: u32,
    /// The permission bits of the node.
    pub mode: u32,
    /// Its owner, as the container counts.
    pub uid: u32,
    /// Its group, as the container counts.
    pub gid: u32,
}

/// The kinds of nodes (mknod(2)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum DeviceKind {
    /// A character device; also what OCI calls `u`.
    #[serde(rename = "c")]
    Char,
    /// A block device.
    #[serde(rename = "b")]
    Block,
    /// A FIFO, which needs no rule.
    #[serde(rename = "p")]
    Fifo,
}

/// A rule about devices: `a *:* rwm`, `c 1:3 rw`. The last one that fits decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceRule {
    /// Allow, or deny?
    pub allow: bool,
    /// Which kind; none: both (`a`).
    pub kind: Option<DeviceKind>,
    /// The major number; none: all.
    pub major: Option<u32>,
    /// The minor number; none: all.
    pub minor: Option<u32>,
    /// What for.
    pub access: Access,
}

/// What is done with a device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    /// `r`
    pub read: bool,
    /// `w`
    pub write: bool,
    /// `m`: make a node for it.
    pub mknod: bool,
}

impl Access {
    /// `rwm`
    pub const ALL: Self = Self { read: true, write: true, mknod: true };
}

/// What SELinux knows a container's processes and files by.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelinuxLabels {
    /// The label of its processes.
    pub process: String,
    /// The label of its mounts.
    pub mount: String,
}

/// Paths that may be used; with a ruleset, all others may not (landlock(7)).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Landlock {
    /// What is below may be read and executed.
    pub read_only: Vec<PathBuf>,
    /// What is below may be written too.
    pub read_write: Vec<PathBuf>,
}

impl Confinement {
    /// The name of the file in a container's directory.
    pub const FILE: &'static str = "security.json";

    /// Reads the confinement of the container whose directory is `directory`; none if it has been given none.
    ///
    /// # Errors
    /// As open(2) and read(2); [`Kind::Corrupt`] for a file that is not what it should be.
    pub fn load(directory: &Path) -> Result<Option<Self>> {
        let file = directory.join(Self::FILE);
        let bytes = match std::fs::read(&file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            bytes => bytes.or_call("read", file.display())?,
        };
        let parsed = serde_json::from_slice(&bytes);
        parsed.map(Some).map_err(|error| Error::new(Kind::Corrupt, format!("{}: {error}", file.display())))
    }

    /// Writes it into the directory `directory`, whole or not at all.
    ///
    /// # Errors
    /// As open(2), write(2), fsync(2) and rename(2).
    pub fn save(&self, directory: &Path) -> Result<()> {
        use std::io::Write;
        let (file, half) = (directory.join(Self::FILE), directory.join(".security.json"));
        let bytes = serde_json::to_vec_pretty(self).map_err(|error| Error::invalid(error.to_string()))?;
        let mut out = std::fs::File::create(&half).or_call("open", half.display())?;
        out.write_all(&bytes).and_then(|()| out.sync_all()).or_call("write", half.display())?;
        std::fs::rename(&half, &file).or_call("rename", file.display())
    }
}
