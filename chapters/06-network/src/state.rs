//! Who has which address and port: one small JSON file a container, under one lock.
//!
//! `run/network/lock` is held (flock(2)) by whoever changes links, leases or rules, so that twenty
//! containers can start at once. A lease names a process; when that process is gone, the lease is
//! what a killed engine left behind.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use process::{Error, Kind, OrCall, Result};
use rootfs::dirs;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::nft::InForce;
use crate::{Lease, Network};

/// The recorded state, locked until it is dropped.
pub struct State {
    directory: PathBuf,
    networks: PathBuf,
    _lock: Flock<File>,
}

impl State {
    /// Waits for the lock of the state beneath `run`. The networks that people have made lie with the engine's data.
    ///
    /// # Errors
    /// As open(2) and flock(2) of `run/network/lock`.
    pub fn lock(run: &Path) -> Result<Self> {
        Self::lock_at(run, &dirs().data)
    }

    /// The same, for networks that are kept beneath `data`.
    ///
    /// # Errors
    /// As [`lock`](Self::lock).
    pub fn lock_at(run: &Path, data: &Path) -> Result<Self> {
        let directory = run.join("network");
        make_dir(&directory)?;
        let path = directory.join("lock");
        // Close-on-exec (std's default) and no lock passed on: a child never prolongs it.
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
        let file = file.or_call("open", path.display())?;
        let lock = Flock::lock(file, FlockArg::LockExclusive).map_err(|(_, errno)| errno);
        Ok(Self { _lock: lock.or_call("flock", path.display())?, directory, networks: data.join("networks") })
    }

    /// The default network, if it stands.
    pub fn default_network(&self) -> Option<Network> {
        read(&self.directory.join("standing").join(Network::DEFAULT))
    }

    /// The networks whose link and rules are there, or are about to be, or were when an engine was killed.
    pub fn standing(&self) -> Vec<Network> {
        networks_in(&self.directory.join("standing"))
    }

    /// Notes that a network stands: before anything is made of it.
    ///
    /// # Errors
    /// As mkdir(2), open(2), write(2), rename(2).
    pub fn set_standing(&self, network: &Network) -> Result<()> {
        let path = self.standing_file(network);
        if read::<Network>(&path).as_ref() == Some(network) {
            return Ok(());
        }
        make_dir(&self.directory.join("standing"))?;
        write(&path, network)
    }

    /// Notes that nothing is left of it.
    ///
    /// # Errors
    /// As unlink(2); that it did not stand is no error.
    pub fn set_gone(&self, network: &Network) -> Result<()> {
        let path = self.standing_file(network);
        remove(fs::remove_file(&path), &path)?;
        // With the last one goes the directory; while there are others, it is not empty.
        let _ = fs::remove_dir(self.directory.join("standing"));
        Ok(())
    }

    /// Removes what was being written when an engine was killed: nobody writes but who has the lock.
    ///
    /// # Errors
    /// As unlink(2).
    pub fn clear_torn(&self) -> Result<()> {
        let standing = self.directory.join("standing");
        for directory in [&self.directory, &standing, &self.directory.join("peers"), &self.networks] {
            let entries = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
            for path in entries.filter(|path| path.extension() == Some("new".as_ref())) {
                remove(fs::remove_file(&path), &path)?;
            }
        }
        // It was made for the first network that stands; while one does, it is not empty.
        let _ = fs::remove_dir(standing);
        Ok(())
    }

    /// A file beside the lock.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// The rules that were in force when this was written.
    pub fn rules(&self) -> Option<InForce> {
        read(&self.directory.join("rules.json"))
    }

    /// Notes which rules are in force, or that nothing is sure.
    ///
    /// # Errors
    /// As write(2), rename(2), unlink(2).
    pub fn set_rules(&self, rules: Option<&InForce>) -> Result<()> {
        let path = self.directory.join("rules.json");
        match rules {
            Some(rules) if self.rules().as_ref() == Some(rules) => Ok(()),
            Some(rules) => write(&path, rules),
            None => remove(fs::remove_file(&path), &path),
        }
    }

    fn standing_file(&self, network: &Network) -> PathBuf {
        self.directory.join("standing").join(if network.is_default() { Network::DEFAULT } else { &network.id })
    }

    /// The networks that people have made, by name.
    pub fn networks(&self) -> Vec<Network> {
        networks_in(&self.networks)
    }

    /// The network that is called `name`, has this id, or is the only one whose id begins so. Of the default network
    /// only what stands is known.
    ///
    /// # Errors
    /// [`Kind::NotFound`], or [`Kind::Conflict`] if the beginning fits several.
    pub fn network(&self, name: &str) -> Result<Network> {
        let mut all = self.networks();
        all.extend(self.default_network());
        if let Some(at) = all.iter().position(|network| network.name == name || network.id == name) {
            return Ok(all.swap_remove(at));
        }
        let mut fitting = all.into_iter().filter(|network| !name.is_empty() && network.id.starts_with(name));
        match (fitting.next(), fitting.next()) {
            (Some(network), None) => Ok(network),
            (Some(_), Some(_)) => Err(Error::new(Kind::Conflict, format!("network {name} is ambiguous"))
                .help("several networks' ids begin so; give more digits, or the name")),
            (None, _) => Err(Error::not_found(format!("network {name} not found"))
                .help("`network ls` lists them; `network create` makes one")),
        }
    }

    /// Writes or replaces a network that a person has made. It is on the disk when this returns.
    ///
    /// # Errors
    /// As mkdir(2), open(2), write(2), fsync(2), rename(2).
    pub fn put_network(&self, network: &Network) -> Result<()> {
        make_dir(&self.networks)?;
        let path = self.networks.join(format!("{}.json", network.id));
        write(&path, network)?;
        let synced = File::open(&path).and_then(|file| file.sync_all());
        let synced = synced.and_then(|()| File::open(&self.networks)?.sync_all());
        synced.or_call("fsync", path.display())
    }

    /// Removes a network that a person has made.
    ///
    /// # Errors
    /// As unlink(2); that there is none is no error.
    pub fn remove_network(&self, id: &str) -> Result<()> {
        let path = self.networks.join(format!("{id}.json"));
        remove(fs::remove_file(&path), &path)
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

/// Every lease without the lock, each whole; those of processes that are gone too.
pub fn peek_all(run: &Path) -> Vec<Lease> {
    let entries = fs::read_dir(run.join("network/containers")).into_iter().flatten();
    let leases = entries.filter_map(|entry| read(&entry.ok()?.path().join("lease.json")));
    let mut leases: Vec<Lease> = leases.collect();
    leases.sort_by(|one, other| one.container.cmp(&other.container));
    leases
}

/// Every network that stands, without the lock.
pub fn peek_networks(run: &Path) -> Vec<Network> {
    networks_in(&run.join("network/standing"))
}

fn networks_in(directory: &Path) -> Vec<Network> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let whole =
        entries.filter_map(|entry| Some(entry.ok()?.path()).filter(|path| path.extension() != Some("new".as_ref())));
    let mut networks: Vec<Network> = whole.filter_map(|path| read(&path)).collect();
    networks.sort_by(|one, other| one.name.cmp(&other.name));
    networks
}

fn make_dir(path: &Path) -> Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).or_call("mkdir", path.display())
}

pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

/// By temporary file and rename: a reader, or a crash, sees the old state or the new one.
pub(crate) fn write(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut text = serde_json::to_string_pretty(value)
        .map_err(|error| Error::invalid(format!("write {}: {error}", path.display())))?;
    text.push('\n');
    let temporary = path.with_extension("new");
    let done = File::create(&temporary).and_then(|mut file| file.write_all(text.as_bytes()));
    done.or_call("write", temporary.display())?;
    fs::rename(&temporary, path).or_call("rename", path.display())
}

pub(crate) fn remove(done: std::io::Result<()>, path: &Path) -> Result<()> {
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
        let state = State::lock_at(run.path(), run.path()).unwrap();
        assert_eq!(state.leases().unwrap(), []);
        let mut lease = Lease::new("abc", "web", "bridge");
        lease.ports = vec![crate::Port {
            protocol: crate::Protocol::Udp,
            host_ip: std::net::Ipv4Addr::LOCALHOST.into(),
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
        let state = State::lock_at(run.path(), run.path()).unwrap();
        fs::create_dir_all(state.container("abc")).unwrap();
        fs::write(state.container("abc").join("lease.json"), "{").unwrap();
        assert_eq!(state.leases().unwrap(), []);
        assert!(!state.container("abc").exists());
    }
}
