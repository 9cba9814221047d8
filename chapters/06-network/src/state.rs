//! Who has which address and port: one small JSON file a container, under one lock.
//!
//! `run/network/lock` is held (flock(2)) by whoever changes links, leases or rules, so that twenty
//! containers can start at once. A lease names a process; when that process is gone, the lease is
//! what a killed engine left behind.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::net::Ipv4Addr;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use namespaces::running::start_time;
use nix::fcntl::{Flock, FlockArg};
use process::{Error, OrCall, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Mac, Network, Port};

/// What a container holds of the network, for as long as its process lives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The container's id.
    pub container: String,
    /// Its host name.
    pub hostname: String,
    /// `bridge`, `pasta`, `none`, `host` or `container:…`
    pub network: String,
    /// Its address, if it has one of its own.
    pub address: Option<Ipv4Addr>,
    /// Its hardware address, if it has one of its own.
    pub mac: Option<Mac>,
    /// The host's end of its cable.
    pub link: Option<String>,
    /// Its published ports.
    pub ports: Vec<Port>,
    /// The process that keeps the lease: the engine at first, then the container's first process.
    pub pid: i32,
    /// When that process started, in clock ticks since boot (proc_pid_stat(5), field 22).
    pub start_time: u64,
}

impl Lease {
    /// A lease of this process on behalf of `container`.
    pub fn new(container: &str, hostname: &str, network: &str) -> Self {
        let mut lease = Self {
            container: container.to_owned(),
            hostname: hostname.to_owned(),
            network: network.to_owned(),
            address: None,
            mac: None,
            link: None,
            ports: Vec::new(),
            pid: 0,
            start_time: 0,
        };
        lease.keep_with(std::process::id().cast_signed());
        lease
    }

    /// From now on the lease lives as long as process `pid`.
    pub fn keep_with(&mut self, pid: i32) {
        self.pid = pid;
        self.start_time = start_time(pid).unwrap_or_default();
    }

    /// Is its process gone?
    pub fn is_stale(&self) -> bool {
        start_time(self.pid) != Some(self.start_time)
    }
}

/// The recorded state, locked until it is dropped.
pub struct State {
    directory: PathBuf,
    _lock: Flock<File>,
}

impl State {
    /// Waits for the lock of the state beneath `run`.
    ///
    /// # Errors
    /// As open(2) and flock(2) of `run/network/lock`.
    pub fn lock(run: &Path) -> Result<Self> {
        let directory = run.join("network");
        make_dir(&directory)?;
        let path = directory.join("lock");
        // Close-on-exec (std's default) and no lock passed on: a child never prolongs it.
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
        let file = file.or_call("open", path.display())?;
        let lock = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno);
        Ok(Self { _lock: lock.or_call("flock", path.display())?, directory })
    }

    /// The default network, if it stands.
    pub fn network(&self) -> Option<Network> {
        read(&self.directory.join("bridge.json"))
    }

    /// Records the default network, or with `None` that it stands no more.
    ///
    /// # Errors
    /// As open(2), write(2), rename(2), unlink(2).
    pub fn set_network(&self, network: Option<&Network>) -> Result<()> {
        let path = self.directory.join("bridge.json");
        match network {
            Some(network) => write(&path, network),
            None => remove(fs::remove_file(&path), &path),
        }
    }

    /// The directory of a container: its lease and its files of `/etc`.
    pub fn container(&self, id: &str) -> PathBuf {
        self.directory.join("containers").join(id)
    }

    /// Every lease, stale ones too, by container id. What cannot be read is nobody's and removed.
    ///
    /// # Errors
    /// As opendir(3), unlink(2).
    pub fn leases(&self) -> Result<Vec<Lease>> {
        let directory = self.directory.join("containers");
        let entries = match fs::read_dir(&directory) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.or_call("open", directory.display())?,
        };
        let mut leases = Vec::new();
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            match read::<Lease>(&path.join("lease.json")) {
                Some(lease) => leases.push(lease),
                None => remove(fs::remove_dir_all(&path), &path)?,
            }
        }
        leases.sort_by(|one, other| one.container.cmp(&other.container));
        Ok(leases)
    }

    /// Writes or replaces a lease.
    ///
    /// # Errors
    /// As mkdir(2), open(2), write(2), rename(2).
    pub fn put(&self, lease: &Lease) -> Result<()> {
        let directory = self.container(&lease.container);
        make_dir(&directory)?;
        write(&directory.join("lease.json"), lease)
    }

    /// Removes a container's lease and files.
    ///
    /// # Errors
    /// As unlink(2); that there is none is no error.
    pub fn forget(&self, id: &str) -> Result<()> {
        let directory = self.container(id);
        remove(fs::remove_dir_all(&directory), &directory)
    }
}

/// A container's lease without the lock: replaced by rename, it is always whole.
pub fn peek(run: &Path, id: &str) -> Option<Lease> {
    read(&run.join("network/containers").join(id).join("lease.json"))
}

fn make_dir(path: &Path) -> Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).or_call("mkdir", path.display())
}

fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// By temporary file and rename: a reader, or a crash, sees the old state or the new one.
fn write(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|error| Error::invalid(format!("write {}: {error}", path.display())))?;
    text.push('\n');
    let temporary = path.with_extension("new");
    let done = File::create(&temporary).and_then(|mut file| file.write_all(text.as_bytes()));
    done.or_call("write", temporary.display())?;
    fs::rename(&temporary, path).or_call("rename", path.display())
}

fn remove(done: std::io::Result<()>, path: &Path) -> Result<()> {
    match done {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        done => done.or_call("unlink", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_lives_as_long_as_its_process() {
        let run = tempfile::tempdir().unwrap();
        let state = State::lock(run.path()).unwrap();
        assert_eq!(state.leases().unwrap(), []);
        let mut lease = Lease::new("abc", "web", "bridge");
        lease.ports = vec![Port {
            protocol: crate::Protocol::Udp,
            host_ip: Ipv4Addr::LOCALHOST,
            host_port: 53,
            container_port: 53,
        }];
        state.put(&lease).unwrap();
        assert_eq!(state.leases().unwrap(), [lease.clone()]);
        assert!(!lease.is_stale());
        lease.start_time += 1;
        assert!(lease.is_stale(), "the pid alone is not enough");
        state.forget("abc").unwrap();
        state.forget("abc").unwrap();
        assert_eq!(state.leases().unwrap(), []);
    }

    #[test]
    fn a_torn_lease_is_swept() {
        let run = tempfile::tempdir().unwrap();
        let state = State::lock(run.path()).unwrap();
        fs::create_dir_all(state.container("abc")).unwrap();
        fs::write(state.container("abc").join("lease.json"), "{").unwrap();
        assert_eq!(state.leases().unwrap(), []);
        assert!(!state.container("abc").exists());
    }
}
