//! A bundle: the directory with config.json, read and checked before anything is made (bundle.md, config.md).

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

use oci_spec::runtime::{Linux, LinuxIdMapping, LinuxNamespace, LinuxNamespaceType, Process, Spec};
use process::{Error, Kind, OrCall, Result};
use serde::Deserialize;

use super::{lenient, namespaces as spaces, process as program};

/// The name of the configuration in a bundle.
pub const CONFIG: &str = "config.json";

/// A bundle whose configuration makes sense. What is translated on the way, mounts, limits and rights, is checked by
/// [`recipe`](super::recipe()), which also comes before anything is made.
#[derive(Debug, Clone)]
pub struct Bundle {
    /// Its directory, absolute.
    pub dir: PathBuf,
    /// The container's root, absolute.
    pub root: PathBuf,
    /// config.json.
    pub spec: Spec,
    /// The identity maps of each mount, which oci-spec's types do not have.
    maps: Vec<MountMaps>,
}

/// `mounts[].uidMappings` and `mounts[].gidMappings`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct MountMaps {
    /// Of user ids.
    pub uid_mappings: Vec<LinuxIdMapping>,
    /// Of group ids.
    pub gid_mappings: Vec<LinuxIdMapping>,
}

impl Bundle {
    /// Reads config.json in `dir` and checks it.
    ///
    /// # Errors
    /// [`Kind::NotFound`] without a config.json or root, [`Kind::Invalid`] for what the specification does not allow,
    /// [`Kind::Unsupported`] for what this runtime cannot do.
    pub fn load(dir: &Path) -> Result<Self> {
        let dir = std::path::absolute(dir).or_call("getcwd", dir.display())?;
        let file = dir.join(CONFIG);
        let bytes = match std::fs::read(&file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let what = format!("JSON specification file {} not found", file.display());
                return Err(Error::not_found(what).help("--bundle names the directory that has it; `spec` writes one"));
            }
            bytes => bytes.or_call("read", file.display())?,
        };
        Self::parse(dir, &bytes)
    }

    /// As [`load`](Self::load), of the bytes of a config.json that belongs into `dir`.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn parse(dir: PathBuf, bytes: &[u8]) -> Result<Self> {
        let spec = lenient::spec(bytes).map_err(|error| error.at(CONFIG))?;
        let maps = if lenient::contains(bytes, b"\"uidMappings\"") { mount_maps(bytes) } else { Vec::new() };
        let path = spec.root().as_ref().map(|root| root.path().clone()).unwrap_or_default();
        if path.as_os_str().is_empty() {
            return Err(invalid("root.path is missing").help("name the directory that becomes the container's /"));
        }
        let joined = dir.join(path);
        // The kernel's own name of it: later a link in it would be one in the mount table's eyes.
        let root = std::fs::canonicalize(&joined).map_err(|error| no_root(&joined, &error))?;
        let bundle = Self { dir, root, spec, maps };
        bundle.check()?;
        Ok(bundle)
    }

    /// `process`, which [`load`](Self::load) has found.
    pub fn process(&self) -> &Process {
        self.spec.process().as_ref().expect("checked when it was read")
    }

    /// `linux`, if there is any.
    pub fn linux(&self) -> Option<&Linux> {
        self.spec.linux().as_ref()
    }

    /// `linux.namespaces`
    pub fn namespaces(&self) -> &[LinuxNamespace] {
        self.linux().and_then(|linux| linux.namespaces().as_deref()).unwrap_or_default()
    }

    /// The entry for one kind of namespace: the container has one of its own, new or by path.
    pub fn namespace(&self, kind: LinuxNamespaceType) -> Option<&LinuxNamespace> {
        self.namespaces().iter().find(|namespace| namespace.typ() == kind)
    }

    /// Is it to be made?
    pub fn makes(&self, kind: LinuxNamespaceType) -> bool {
        self.namespace(kind).is_some_and(|namespace| path_of(namespace).is_none())
    }

    /// The identity maps of the mount number `index`.
    pub(super) fn mount_maps(&self, index: usize) -> Option<&MountMaps> {
        self.maps.get(index).filter(|maps| !maps.uid_mappings.is_empty() || !maps.gid_mappings.is_empty())
    }

    fn check(&self) -> Result<()> {
        check_version(self.spec.version())?;
        let Some(process) = self.spec.process() else {
            return Err(
                invalid("process property must not be empty").help("say what to run: process.args and process.cwd")
            );
        };
        program::check(process)?;
        if !self.root.is_dir() {
            return Err(invalid(&format!("root.path: {} is no directory", self.root.display())));
        }
        spaces::check(self)?;
        let hooks = self.spec.hooks().as_ref();
        hooks.map_or(Ok(()), super::hooks::check)?;
        let annotations = self.spec.annotations().iter().flatten();
        if annotations.into_iter().any(|(key, _)| key.is_empty()) {
            return Err(invalid("annotations: a key is empty"));
        }
        self.linux().map_or(Ok(()), |linux| self.check_linux(linux))
    }

    fn check_linux(&self, linux: &Linux) -> Result<()> {
        if linux.intel_rdt().is_some() {
            let what = format!("{CONFIG}: linux.intelRdt is not supported");
            return Err(Error::unsupported(what).help("leave it out: caches and memory bandwidth are not divided here"));
        }
        if linux.net_devices().as_ref().is_some_and(|devices| !devices.is_empty()) {
            let what = format!("{CONFIG}: linux.netDevices is not supported");
            return Err(Error::unsupported(what).help(
                "leave it out and move the link with a createRuntime hook: ip link set DEV netns /proc/PID/ns/net",
            ));
        }
        let hides = |paths: &Option<Vec<String>>| paths.as_ref().is_some_and(|paths| !paths.is_empty());
        let changes = hides(linux.masked_paths()) || hides(linux.readonly_paths());
        let mounts = self.spec.mounts().as_ref().is_some_and(|mounts| !mounts.is_empty());
        if (changes || mounts) && self.namespace(LinuxNamespaceType::Mount).is_none() {
            return Err(invalid(
                "mounts, maskedPaths and readonlyPaths need a mount namespace, or the host would get them",
            )
            .help("add {\"type\": \"mount\"} to linux.namespaces"));
        }
        super::root::propagation(linux.rootfs_propagation().as_deref())?;
        super::devices::check(linux)
    }
}

/// The path of a namespace that exists already; an empty one is none.
pub(super) fn path_of(namespace: &LinuxNamespace) -> Option<&Path> {
    namespace.path().as_deref().filter(|path| !path.as_os_str().is_empty())
}

/// A mistake in config.json.
pub(super) fn invalid(what: &str) -> Error {
    Error::invalid(format!("{CONFIG}: {what}"))
}

/// The path as it counts inside the root: absolute and without dots (a relative one counts from `/`).
pub(super) fn inside(path: &Path) -> PathBuf {
    let mut clean = PathBuf::from("/");
    for part in path.components() {
        match part {
            Component::Normal(name) => clean.push(name),
            Component::ParentDir => drop(clean.pop()),
            _ => {}
        }
    }
    clean
}

/// The first name that stands twice.
pub(super) fn twice<T: std::hash::Hash + Eq + Copy>(names: impl Iterator<Item = T>) -> Option<T> {
    let mut seen = HashSet::new();
    names.into_iter().find(|name| !seen.insert(*name))
}

/// The specification's major version says what may be understood ("ociVersion", config.md). Without one, it is tried.
fn check_version(version: &str) -> Result<()> {
    match version.split('.').next() {
        Some("1" | "") => Ok(()),
        _ => Err(Error::unsupported(format!("{CONFIG}: ociVersion {version:?} is not one of 1.x"))
            .help("this runtime reads configurations of version 1 of the OCI runtime specification")),
    }
}

fn no_root(path: &Path, error: &std::io::Error) -> Error {
    if error.kind() == std::io::ErrorKind::NotFound {
        let what = format!("{CONFIG}: root.path: {} does not exist", path.display());
        return Error::new(Kind::NotFound, what).help("unpack an image there; a relative path counts from the bundle");
    }
    Error::io("open", path.display(), error)
}

fn mount_maps(bytes: &[u8]) -> Vec<MountMaps> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Only {
        mounts: Vec<MountMaps>,
    }
    serde_json::from_slice::<Only>(bytes).unwrap_or_default().mounts
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bundle of a configuration that has only what it must have, and `more`.
    pub fn bundle(more: &str) -> Result<Bundle> {
        let comma = if more.is_empty() { "" } else { "," };
        let process = if more.contains("\"process\"") {
            ""
        } else {
            r#","process":{"user":{"uid":0,"gid":0},"cwd":"/","args":["sh"]}"#
        };
        let text = format!(r#"{{"ociVersion":"1.2.0","root":{{"path":"/"}}{process}{comma}{more}}}"#);
        Bundle::parse("/nowhere".into(), text.as_bytes())
    }

    #[test]
    fn the_least_is_enough() {
        assert_eq!(bundle("").unwrap().root, Path::new("/"));
        assert!(bundle(r#""unknown":{"fields":["are ignored"]}"#).is_ok());
    }

    #[test]
    fn what_makes_no_sense_is_refused_and_says_where() {
        for (more, words) in [
            (r#""process":{"user":{"uid":0,"gid":0},"cwd":"x","args":["sh"]}"#, "process.cwd"),
            (r#""process":{"user":{"uid":0,"gid":0},"cwd":"/","args":[]}"#, "process.args"),
            (r#""process":{"user":{"uid":0,"gid":0},"cwd":"/","args":["sh"],"env":["NOVALUE"]}"#, "missing '='"),
            (r#""hostname":"x""#, "uts"),
            (r#""domainname":"x""#, "uts"),
            (r#""linux":{"maskedPaths":["/proc/kcore"]}"#, "mount namespace"),
            (r#""mounts":[{"destination":"/x","type":"tmpfs"}],"linux":{}"#, "mount namespace"),
            (r#""linux":{"namespaces":[{"type":"uts"},{"type":"uts"}]}"#, "twice"),
            (r#""linux":{"namespaces":[{"type":"user"}]}"#, "uidMappings"),
            (r#""linux":{"uidMappings":[{"containerID":0,"hostID":0,"size":1}]}"#, "user namespace"),
            (r#""linux":{"intelRdt":{"closID":"x"}}"#, "intelRdt"),
            (r#""linux":{"netDevices":{"eth0":{}}}"#, "netDevices"),
            (r#""linux":{"timeOffsets":{"boottime":{"secs":1}}}"#, "time namespace"),
            (r#""linux":{"rootfsPropagation":"sideways"}"#, "sideways"),
            (r#""linux":{"namespaces":[{"type":"sideways"}]}"#, "sideways"),
            (r#""annotations":{"":"x"}"#, "annotations"),
            (r#""hooks":{"createRuntime":[{"path":"bin/x"}]}"#, "absolute"),
            (r#""hooks":{"poststop":[{"path":"/bin/x","timeout":0}]}"#, "timeout"),
        ] {
            let error = bundle(more).expect_err(more);
            assert!(error.what().contains(words), "{more}: {error}");
        }
    }

    #[test]
    fn versions() {
        for version in ["1.0.0", "1.0.2-dev", "1.3.0", ""] {
            assert!(check_version(version).is_ok(), "{version}");
        }
        assert!(check_version("2.0.0").is_err() && check_version("0.5.0").is_err());
    }

    #[test]
    fn paths_inside() {
        for (path, clean) in [("/a/../b", "/b"), ("a//b/.", "/a/b"), ("../../x", "/x"), ("", "/")] {
            assert_eq!(inside(Path::new(path)), Path::new(clean));
        }
    }
}
