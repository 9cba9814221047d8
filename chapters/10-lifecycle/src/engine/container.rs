//! A container as it is kept: its directory, its state file, and whether its supervisor lives. Reconciled on every look.
//!
//! The state file says what was true when it was written. Whoever wrote it may have been killed since. So it is
//! believed only while its supervisor lives, and that is told by a lock which ends with the process.

use std::fs::File;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use cgroups::Group;
use layers::ContainerDir;
use namespaces::running::{self, Running, start_time};
use namespaces::{Manner, id};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use process::{Error, Kind, OrCall, Result};

use super::events;
use super::options::Options;
use super::orphan;
use super::transitions::{Action, Next};
use crate::state::{State, Status};
use crate::supervisor::control::Client;
use crate::supervisor::stamp::Stamp;

/// How long a supervisor may take to clear up.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// What a container whose supervisor was killed has for an exit code: that of SIGKILL.
const KILLED: i32 = 137;

/// A container, and the truth about it at the moment of the look.
#[derive(Debug)]
pub struct Kept {
    /// Its directory.
    pub dir: ContainerDir,
    /// Its state.
    pub state: State,
}

impl Kept {
    /// All containers, the newest first.
    ///
    /// # Errors
    /// An unreadable directory.
    pub fn all() -> Result<Vec<Self>> {
        // One that is removed between the look at the list and the look at it is none.
        let mut all: Vec<_> =
            ContainerDir::list()?.into_iter().filter_map(|dir| Self::look(dir).ok().flatten()).collect();
        all.sort_by_key(|kept| std::cmp::Reverse(kept.created())); // chapter 5 counts seconds only
        Ok(all)
    }

    /// The container of this name, id, or unique beginning of an id.
    ///
    /// # Errors
    /// [`Kind::NotFound`]; [`Kind::Conflict`] if the beginning fits several; an unreadable state.
    pub fn find(name: &str) -> Result<Self> {
        Self::look(find(name)?)?.ok_or_else(|| no_such(name))
    }

    /// What is true of the container in `dir`; none if it was not to stay, and has ended.
    fn look(dir: ContainerDir) -> Result<Option<Self>> {
        let mut kept = Self { state: read(&dir)?, dir };
        if !is_live(kept.state.status) || is_held(&kept.dir)? {
            return Ok(Some(kept));
        }
        // Nobody is responsible for it. From here on we are, if nobody else is faster.
        match kept.dir.lock() {
            Ok(()) => {}
            Err(_) if !kept.dir.path().exists() => return Ok(None),
            Err(error) if error.kind() == Kind::Conflict => {
                kept.state = read(&kept.dir)?;
                return Ok(Some(kept));
            }
            Err(error) => return Err(error),
        }
        kept.state = read(&kept.dir)?; // it may have ended in the regular way meanwhile
        if is_live(kept.state.status) && kept.mend()? {
            return Ok(None);
        }
        kept.reopen().map(Some)
    }

    /// Its supervisor was killed: writes down what that means. True if the container was not to stay.
    fn mend(&mut self) -> Result<bool> {
        orphan::end(self)?;
        orphan::sweep(self)?;
        let state = &mut self.state;
        if state.status == Status::Removing {
            state.status = Status::Dead;
            state.error = "its removal was cut short".to_owned();
        } else {
            state.status = Status::Exited;
            state.exit_code = KILLED;
            state.error = "its supervisor was killed".to_owned();
            state.finished_at = Some(Stamp::now());
        }
        (state.pid, state.start_time) = (0, 0);
        state.write(self.dir.path())?;
        events::of(self, "die", &[("exitCode", &KILLED.to_string())]);
        let transient = self.options().and_then(|options| options.parse()).is_ok_and(|args| args.life.rm);
        if transient {
            events::of(self, "destroy", &[]);
            let again = find(self.id())?;
            let dir = std::mem::replace(&mut self.dir, again);
            layers::remove_with_volumes(dir)?;
        }
        Ok(transient)
    }

    /// The same without the lock.
    fn reopen(self) -> Result<Self> {
        let Self { dir, state } = self;
        let id = dir.config().id.clone();
        drop(dir);
        Ok(Self { dir: find(&id)?, state })
    }

    /// Its id: 64 hexadecimal digits.
    pub fn id(&self) -> &str {
        &self.dir.config().id
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.dir.config().name
    }

    /// When it was made. Chapter 5 remembers the second; the file system, as long as nobody copies the directory, more.
    pub fn created(&self) -> Stamp {
        let told = self.dir.config().created;
        let born = self.dir.path().metadata().and_then(|about| about.created()).ok();
        let near = born.filter(|born| born.duration_since(told).is_ok_and(|later| later < Duration::from_secs(2)));
        near.unwrap_or(told).into()
    }

    /// Takes it for this process, once its supervisor has cleared up behind its last run. False if it is gone by then.
    ///
    /// # Errors
    /// [`Kind::Conflict`] if it is in use for longer than that takes.
    pub fn take(&mut self) -> Result<bool> {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.dir.lock() {
                Ok(()) => return Ok(self.dir.path().exists()),
                Err(_) if !self.dir.path().exists() => return Ok(false),
                Err(error) if error.kind() != Kind::Conflict || Instant::now() > end => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }

    /// Waits until its supervisor has cleared up, for a while: whoever looks next shall find what is to stay.
    pub fn settle(&self) {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end && self.dir.path().exists() && is_held(&self.dir).unwrap_or(false) {
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The options that it was created with.
    ///
    /// # Errors
    /// As [`Options::load`].
    pub fn options(&self) -> Result<Options> {
        Options::load(self.dir.path())
    }

    /// The annotation `key` of its directory.
    pub fn annotation(&self, key: &str) -> &str {
        self.dir.config().annotations.get(key).map_or("", String::as_str)
    }

    /// Does it have processes?
    pub fn is_alive(&self) -> bool {
        matches!(self.state.status, Status::Running | Status::Paused)
    }

    /// What `action` leads to.
    ///
    /// # Errors
    /// As [`Action::check`].
    pub fn may(&self, action: Action) -> Result<Next> {
        action.check(self.name(), self.state.status)
    }

    /// The record of its running, as the earlier chapters know it.
    ///
    /// # Errors
    /// [`Kind::Conflict`] if it does not run.
    pub fn running(&self) -> Result<Running> {
        if !self.is_alive() || start_time(self.state.pid) != Some(self.state.start_time) {
            return Err(Error::new(Kind::Conflict, format!("container {} is not running", self.name()))
                .help("start it first: `start`"));
        }
        let recorded = running::find(self.id()).ok().filter(|record| record.pid == self.state.pid);
        Ok(recorded.unwrap_or_else(|| self.as_record()))
    }

    /// A record made of what the state file says.
    pub(super) fn as_record(&self) -> Running {
        Running {
            id: self.id().to_owned(),
            name: self.name().to_owned(),
            pid: self.state.pid,
            start_time: self.state.start_time,
            engine_userns: running::own_user_namespace(),
            manner: Manner::default(),
        }
    }

    /// Its control group.
    ///
    /// # Errors
    /// As [`Group::of_container`].
    pub fn group(&self) -> Result<Group> {
        Group::of_container(&self.running()?)
    }

    /// A connection to its supervisor.
    ///
    /// # Errors
    /// [`Kind::Conflict`] if it has none, as containers that an earlier chapter's program started.
    pub fn supervisor(&self) -> Result<Client> {
        Client::connect(&crate::supervisor::socket(self.id())).map_err(|error| match error.errno() {
            Some(Errno::ENOENT | Errno::ECONNREFUSED) => {
                let what = format!("container {} has no supervisor", self.name());
                Error::new(Kind::Conflict, what)
                    .help("it is just starting or ending, or an earlier step's `run` has started it: end it there")
            }
            _ => error,
        })
    }
}

/// The directory of the container of this name, id, or unique beginning of an id. A slash before a name is Docker's.
///
/// # Errors
/// [`Kind::NotFound`], or [`Kind::Conflict`] if the beginning fits several.
pub fn find(name: &str) -> Result<ContainerDir> {
    let wanted = name.strip_prefix('/').unwrap_or(name);
    let mut all = ContainerDir::list()?;
    if let Some(at) = all.iter().position(|one| one.config().name == wanted || one.config().id == wanted) {
        return Ok(all.swap_remove(at));
    }
    all.retain(|one| !wanted.is_empty() && one.config().id.starts_with(wanted));
    match (all.pop(), all.len()) {
        (Some(one), 0) => Ok(one),
        (Some(_), _) => {
            Err(Error::new(Kind::Conflict, format!("several containers' ids begin with {wanted}"))
                .help("give more digits"))
        }
        (None, _) => Err(no_such(name)),
    }
}

/// Docker's words.
fn no_such(name: &str) -> Error {
    Error::not_found(format!("no such container: {name}")).help("`ps -a` lists those there are")
}

/// What the state file says; of a container that an earlier chapter's program made, what the running record says.
fn read(dir: &ContainerDir) -> Result<State> {
    match State::read(dir.path()) {
        Err(error) if error.errno() == Some(Errno::ENOENT) && dir.path().exists() => {
            let record = running::list()?.into_iter().find(|one| one.id == dir.config().id);
            let created = Some(Stamp::from(dir.config().created));
            Ok(match record {
                Some(record) => State {
                    status: Status::Running,
                    pid: record.pid,
                    start_time: record.start_time,
                    started_at: created,
                    ..State::default()
                },
                None => State { status: Status::Exited, started_at: created, ..State::default() },
            })
        }
        read => read,
    }
}

/// Does this state promise that somebody looks after the container?
fn is_live(status: Status) -> bool {
    matches!(status, Status::Running | Status::Paused | Status::Restarting | Status::Removing)
}

/// Does a process hold the container's lock? Asked with a shared lock: of two that ask neither disturbs the other.
fn is_held(dir: &ContainerDir) -> Result<bool> {
    let file = match File::open(dir.path()) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(true), // by who removed it
        file => file.or_call("open", dir.path().display())?,
    };
    match Flock::lock(file, FlockArg::LockSharedNonblock) {
        Ok(_) => Ok(false),
        Err((_, Errno::EWOULDBLOCK)) => Ok(true),
        Err((_, errno)) => Err(Error::call("flock", dir.path().display(), errno)),
    }
}

/// The short form of an id.
pub fn short(kept: &Kept) -> &str {
    id::short(kept.id())
}

/// Where its log lies.
pub fn log_path(kept: &Kept) -> PathBuf {
    kept.dir.path().join("log").join(format!("{}-json.log", kept.id()))
}
