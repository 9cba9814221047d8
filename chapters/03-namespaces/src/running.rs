//! Who runs: one small file a container, `run/containers/ID`, that a reader can `cat`.
//!
//! A pid is used again one day; pid and start time together are not. A record whose process is gone
//! is what a killed engine left behind, and the next one sweeps it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg};
use nix::unistd::Pid;
use process::{Child, Error, Kind, OrCall, Result, Stage};
use rootfs::dirs;

use crate::Manner;

/// The way out where a directory of the engine's cannot be had.
const OTHER_PLACES: &str = "COOPER_DATA and COOPER_RUN name other places for the engine's things";

/// Of a process's flags: it is in exit(2) (`PF_EXITING`, linux/sched.h).
const EXITING: u64 = 0x4;

/// What is known of a running container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// 64 hexadecimal digits.
    pub id: String,
    /// The name it was given, or the first 12 digits of the id.
    pub name: String,
    /// Its first process, as the host sees it.
    pub pid: i32,
    /// When that process started, in clock ticks since boot (proc_pid_stat(5), field 22).
    pub start_time: u64,
    /// The engine's user namespace (its inode), to find one that can be shared.
    pub engine_userns: u64,
    /// How its program was started.
    pub manner: Manner,
}

impl Running {
    /// Is its first process still there?
    pub fn is_alive(&self) -> bool {
        start_time(self.pid) == Some(self.start_time)
    }

    /// The process id as nix has it.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(self.pid)
    }

    fn parse(id: &str, text: &str) -> Option<Self> {
        let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Some(Self {
            id: id.to_owned(),
            name: field("name")?.to_owned(),
            pid: field("pid")?.parse().ok()?,
            start_time: field("start-time")?.parse().ok()?,
            engine_userns: field("engine-userns")?.parse().ok()?,
            manner: Manner::parse(text),
        })
    }

    fn render(&self) -> String {
        let mut text = String::new();
        let _ = writeln!(text, "name {}\npid {}\nstart-time {}", self.name, self.pid, self.start_time);
        let _ = writeln!(text, "engine-userns {}", self.engine_userns);
        text + &self.manner.render()
    }
}

/// The start time of process `pid`, if there is one, and if it is not on its way out: a container whose engine was
/// killed has its SIGKILL by then, but may take a while to end.
pub fn start_time(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold spaces and brackets; what follows the last one does not.
    let fields: Vec<_> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    // The fields of the man page count from 1, and the first two are gone.
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    let (flags, pending) = (number(9)?, number(31)?);
    let is_ending = fields[0] == "Z" || flags & EXITING != 0 || pending & (1 << (libc::SIGKILL - 1)) != 0;
    if is_ending { None } else { number(22) }
}

/// Where the records lie.
pub fn directory() -> PathBuf {
    dirs().run.join("containers")
}

/// All containers that run; stale records are removed on the way.
///
/// # Errors
/// An unreadable directory; none at all is no error.
pub fn list() -> Result<Vec<Running>> {
    let directory = directory();
    let entries = match fs::read_dir(&directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.or_call("open", directory.display()).map_err(|error| error.help(OTHER_PLACES))?,
    };
    let mut found = Vec::new();
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        let id = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        match fs::read_to_string(&path).ok().and_then(|text| Running::parse(&id, &text)) {
            Some(running) if running.is_alive() => found.push(running),
            Some(_) => drop(fs::remove_file(&path)),
            None => {} // being written, or not ours
        }
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

/// The running container of this name, id, or unique beginning of an id.
///
/// # Errors
/// [`Kind::NotFound`], or [`Kind::Conflict`] if the beginning fits several.
pub fn find(name: &str) -> Result<Running> {
    let all = list()?;
    if let Some(exact) = all.iter().find(|running| running.name == name || running.id == name) {
        return Ok(exact.clone());
    }
    let mut fitting = all.iter().filter(|running| !name.is_empty() && running.id.starts_with(name));
    match (fitting.next(), fitting.next()) {
        (Some(one), None) => Ok(one.clone()),
        (Some(_), Some(_)) => {
            Err(Error::new(Kind::Conflict, format!("several containers' ids begin with {name}"))
                .help("give more digits"))
        }
        (None, _) => {
            let names: Vec<_> = all.iter().map(|running| running.name.as_str()).collect();
            let help = if names.is_empty() {
                "none is running".to_owned()
            } else {
                format!("running are: {}", names.join(", "))
            };
            Err(Error::not_found(format!("no running container is called {name:?}")).help(help))
        }
    }
}

/// The stage that keeps the record while the container runs.
pub struct Record {
    id: String,
    name: String,
    manner: Manner,
    written: Option<PathBuf>,
    /// Held from the look at the other names until ours is written, so that of two starts at once one gets it.
    lock: Option<Flock<fs::File>>,
}

impl Record {
    /// A record of container `id`, called `name`, whose program is started in this manner.
    pub fn new(id: impl Into<String>, name: impl Into<String>, manner: Manner) -> Self {
        Self { id: id.into(), name: name.into(), manner, written: None, lock: None }
    }

    fn write(&mut self, running: &Running) -> Result<()> {
        let path = directory().join(&self.id);
        let temporary = path.with_extension("new");
        let written = fs::write(&temporary, running.render()).or_call("write", temporary.display());
        let done = written.and_then(|()| fs::rename(&temporary, &path).or_call("rename", path.display()));
        done.inspect_err(|_| drop(fs::remove_file(&temporary)))?;
        self.written = Some(path);
        Ok(())
    }
}

impl Stage for Record {
    fn name(&self) -> &'static str {
        "record"
    }

    fn prepare(&mut self) -> Result<()> {
        make_private(&directory())?;
        let path = dirs().run.join("containers.lock");
        let file = fs::File::create(&path).or_call("open", path.display())?;
        let lock = Flock::lock(file, FlockArg::LockExclusive);
        self.lock = Some(lock.map_err(|(_, errno)| Error::call("flock", path.display(), errno))?);
        match list()?.into_iter().find(|running| running.name == self.name) {
            None => Ok(()),
            Some(other) => Err(Error::new(
                Kind::Conflict,
                format!("the name {:?} is taken by container {}", self.name, &other.id[..12]),
            )
            .help("choose another --name, or end that container")),
        }
    }

    fn create_runtime(&mut self, child: &Child) -> Result<()> {
        let pid = child.pid().as_raw();
        let start_time = start_time(pid).unwrap_or_default();
        let (id, name, manner) = (self.id.clone(), self.name.clone(), self.manner.clone());
        self.write(&Running { id, name, pid, start_time, engine_userns: own_user_namespace(), manner })?;
        self.lock = None;
        Ok(())
    }

    fn poststop(&mut self) -> Result<()> {
        self.lock = None;
        match self.written.take() {
            Some(path) => fs::remove_file(&path).or_call("unlink", path.display()),
            None => Ok(()),
        }
    }
}

/// The inode that identifies our user namespace (namespaces(7)).
pub fn own_user_namespace() -> u64 {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self/ns/user").map_or(0, |metadata| metadata.ino())
}

/// Makes a directory of the engine's with its parents, all of them closed to others.
///
/// # Errors
/// As mkdir(2); [`Kind::Invalid`] if somebody else was faster in a place like /tmp.
pub fn make_private(path: &Path) -> Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    for place in [&dirs().run, &dirs().data].into_iter().filter(|place| path.starts_with(place)) {
        check_owner(place)?;
    }
    let mut builder = fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(path).or_call("mkdir", path.display());
    made.map_err(|error| error.help(OTHER_PLACES))
}

/// Where anybody may make a directory (the sticky bit says so, inode(7)), somebody else may have made ours first, and
/// could then put into it what we would believe.
fn check_owner(place: &Path) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let is_open =
        place.parent().and_then(|above| above.metadata().ok()).is_some_and(|above| above.mode() & 0o1000 != 0);
    match place.symlink_metadata() {
        Ok(about) if is_open && about.uid() != nix::unistd::geteuid().as_raw() => {
            Err(Error::invalid(format!("{} belongs to somebody else", place.display()))
                .help("set COOPER_DATA and COOPER_RUN, or XDG_RUNTIME_DIR, to directories of your own"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_reads_as_it_was_written() {
        let pid = std::process::id() as i32;
        let name = "web".to_owned();
        let record = Running {
            id: "ab".into(),
            name,
            pid,
            start_time: start_time(pid).unwrap(),
            engine_userns: 7,
            manner: Manner::default(),
        };
        assert_eq!(Running::parse("ab", &record.render()), Some(record.clone()));
        assert!(record.is_alive());
        assert!(!Running { start_time: record.start_time + 1, ..record }.is_alive(), "the pid alone is not enough");
    }
}
