//! A container's life, typed: [`Container`] → [`Created`] → [`Running`] → [`Exited`].
//!
//! What a state does not allow does not compile, and every state undoes itself when dropped.

use std::path::Path;

use nix::errno::Errno;
use nix::sched::CloneFlags;
use nix::sys::signal::Signal;
use nix::sys::wait::waitpid;

use crate::init::Init;
use crate::signals::Signals;
use crate::sync::{Listener, Message, Sync};
use crate::sys::{self, Cloned};
use crate::terminal::Foreground;
use crate::{Attend, Child, Error, Exit, Keep, Program, Result, Stage, explain};

/// A container that is only planned: a program and the stages that will prepare its place.
pub struct Container {
    stages: Stages,
    program: Program,
}

/// Its process exists, in its namespaces, everything prepared; the program has not been executed.
pub struct Created {
    // Dropped in this order: the process ends before what it stands on is taken away.
    child: Owned,
    foreground: Foreground,
    signals: Signals,
    stages: Stages,
    sync: Sync,
}

/// The program runs.
pub struct Running {
    pub(crate) attends: Vec<Box<dyn Attend>>,
    pub(crate) child: Owned,
    pub(crate) foreground: Foreground,
    pub(crate) signals: Signals,
    pub(crate) stages: Stages,
}

/// A running container's process, let go by its stages: what is needed to go on with it under another program.
#[derive(Debug)]
pub struct Handed {
    /// The container's first process.
    pub child: Child,
    /// What must stay with whoever goes on with it: descriptors, other processes.
    pub keep: Vec<Keep>,
}

/// The program has ended and the stages are undone.
#[derive(Debug)]
pub struct Exited {
    /// How it ended.
    pub exit: Exit,
    /// What could not be undone, if anything.
    pub leftovers: Vec<Error>,
}

impl Container {
    /// A plan to run `program` behind `stages`, in their order.
    pub fn new(program: Program, stages: Vec<Box<dyn Stage>>) -> Self {
        Self { stages: Stages { list: stages, prepared: 0 }, program }
    }

    /// Makes the child and lets every stage prepare it: the OCI runtime's `create`.
    ///
    /// # Errors
    /// Whatever a stage reports, from either side, and what clone3(2) does. Everything is undone then.
    pub fn create(self) -> Result<Created> {
        self.make(None)
    }

    /// Makes the child and has every stage prepare it, but lets go of it: this process may end, and any other one
    /// calls [`start`](crate::start) with the same `socket`, a path at which the child waits from now on. What the
    /// stages have made is not undone by this process either: the OCI runtime's `create` on the command line.
    ///
    /// # Errors
    /// As [`create`](Self::create), and as bind(2) of `socket`. Everything is undone then.
    pub fn create_apart(self, socket: &Path) -> Result<Child> {
        let mut created = self.make(Some(Listener::bind(socket)?))?;
        created.stages.forget();
        created.child.0.take().ok_or_else(|| Error::invalid("the child is gone"))
    }

    fn make(mut self, start: Option<Listener>) -> Result<Created> {
        only_one_thread()?;
        self.stages.prepare()?;
        let foreground = if start.is_none() { Foreground::find() } else { Foreground::none() };
        let (sync, childs) = Sync::pair()?;
        let signals = Signals::block()?;
        let flags = self.stages.list.iter().fold(CloneFlags::empty(), |all, stage| all | stage.namespaces());
        let cgroup = self.stages.list.iter().find_map(|stage| stage.cgroup());
        let into = if cgroup.is_some() { "|INTO_CGROUP" } else { "" };
        let user = self.stages.list.iter().find_map(|stage| stage.user_namespace());
        match sys::clone3_within(user, flags, cgroup).map_err(|errno| refused(flags, errno))? {
            Cloned::Child => {
                drop(sync);
                let foreground = foreground.is_ours();
                let (stages, program) = (&mut self.stages, &mut self.program);
                Init { stages, program, foreground, start }.run(childs)
            }
            Cloned::Parent(pid, pidfd) => {
                drop(childs);
                explain!(1, "a child, a copy of this process", "clone3({}{into}) = {pid}", names(flags));
                let child = Owned(Some(Child::new(pid, pidfd)));
                self.stages.each(|stage| stage.create_runtime(child.get()))?;
                sync.send(&Message::Go)?;
                expect(&sync, &Message::Furnished)?;
                self.stages.each(|stage| stage.furnished(child.get()))?;
                sync.send(&Message::Go)?;
                expect(&sync, &Message::Created)?;
                Ok(Created { child, foreground, signals, stages: self.stages, sync })
            }
        }
    }

    /// Creates, starts and waits: the whole life.
    ///
    /// # Errors
    /// As [`create`](Self::create), [`start`](Created::start) and [`wait`](Running::wait).
    pub fn run(self) -> Result<Exited> {
        self.create()?.start()?.wait()
    }
}

impl Created {
    /// The container's first process.
    pub fn child(&self) -> &Child {
        self.child.get()
    }

    /// Executes the program: the OCI runtime's `start`. Returns once the kernel has accepted it.
    ///
    /// # Errors
    /// [`Kind::Exec`](crate::Kind::Exec) with execve(2)'s own errno, or whatever a stage reports.
    pub fn start(mut self) -> Result<Running> {
        self.sync.start()?;
        let Self { child, foreground, signals, .. } = self;
        let mut attends = Vec::new();
        self.stages.each(|stage| {
            attends.extend(stage.poststart(child.get())?);
            Ok(())
        })?;
        Ok(Running { attends, child, foreground, signals, stages: self.stages })
    }
}

impl Running {
    /// Lets go of the process: nothing is undone by this program any more, which is about to become another one
    /// (execve(2) keeps children). What it leaves when it ends, whoever finds that out sweeps.
    pub fn hand_over(mut self) -> Handed {
        let keep = self.stages.hand_over();
        self.stages.forget();
        let child = self.child.0.take().expect("the child is there until it is reaped");
        Handed { child, keep }
    }
}

/// Executes the program of a container that was [created apart](Container::create_apart) and waits at `socket`.
/// Returns once the kernel has accepted it.
///
/// # Errors
/// As [`Created::start`], and as connect(2): `ENOENT` or `ECONNREFUSED` if nobody waits there any more.
pub fn start(socket: &Path) -> Result<()> {
    Sync::connect(socket)?.start()
}

impl Sync {
    /// The socket is close-on-exec: its end is the proof that the program runs.
    fn start(&self) -> Result<()> {
        self.send(&Message::Go)?;
        expect(self, &Message::Closed)
    }
}

/// Waits for `wanted`; a failure that the child reports comes out as the error that it is.
fn expect(sync: &Sync, wanted: &Message) -> Result<()> {
    match sync.receive()? {
        message if message == *wanted => Ok(()),
        Message::Failed(failure) => Err(failure.into()),
        _ => Err(Error::call("clone3", "the child ended before the program was executed", Errno::ECHILD)
            .help("it was killed from outside; `dmesg` tells if the kernel did it for want of memory")),
    }
}

/// After clone3 the child has one thread; a lock that another one held would never be released in it.
fn only_one_thread() -> Result<()> {
    for _ in 0..50 {
        let threads = std::fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
        if threads == 1 {
            return Ok(());
        }
        // A thread that was joined a moment ago may still be on its way out.
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    Err(Error::invalid("a container must be made by a process of one thread").help("join the other threads first"))
}

fn refused(flags: CloneFlags, errno: Errno) -> Error {
    let error = Error::call("clone3", names(flags), errno);
    match errno {
        Errno::EPERM => error.help("making namespaces needs root or, for an ordinary user, a user namespace; `step04 doctor` tells what this machine allows"),
        Errno::ENOSPC => error.help("a limit in /proc/sys/user (max_user_namespaces and the like) is reached or set to 0"),
        Errno::EAGAIN => error.help("too many processes: see `ulimit -u`, and pids.max of the cgroup"),
        _ => error,
    }
}

/// Namespaces as people write them: `NEWPID|NEWNS`, or `0` for none.
pub fn names(flags: CloneFlags) -> String {
    let names: Vec<_> = flags.iter_names().map(|(name, _)| name.trim_start_matches("CLONE_")).collect();
    if names.is_empty() { "0".to_owned() } else { names.join("|") }
}

/// The stages, and how many of them have something to undo.
pub struct Stages {
    list: Vec<Box<dyn Stage>>,
    prepared: usize,
}

impl Stages {
    fn prepare(&mut self) -> Result<()> {
        for stage in &mut self.list {
            self.prepared += 1; // also when it fails half-way: then there is half to undo
            stage.prepare().map_err(|error| error.at(stage.name()))?;
        }
        Ok(())
    }

    /// Calls one hook on every stage, in order; an error says whose it was.
    pub fn each(&mut self, mut call: impl FnMut(&mut dyn Stage) -> Result<()>) -> Result<()> {
        self.list.iter_mut().try_for_each(|stage| {
            let name = stage.name();
            call(stage.as_mut()).map_err(|error| error.at(name))
        })
    }

    /// Nothing of what was prepared will be undone by this process.
    pub fn forget(&mut self) {
        self.prepared = 0;
        std::mem::forget(std::mem::take(&mut self.list));
    }

    /// What has to stay with the process when its program is replaced.
    pub fn hand_over(&mut self) -> Vec<Keep> {
        self.list.iter_mut().flat_map(|stage| stage.hand_over()).collect()
    }

    /// Undoes what was prepared, last first, once; goes on when a stage cannot.
    pub fn undo(&mut self) -> Vec<Error> {
        let prepared = std::mem::take(&mut self.prepared);
        let stages = self.list[..prepared].iter_mut().rev();
        stages.filter_map(|stage| stage.poststop().map_err(|error| error.at(stage.name())).err()).collect()
    }
}

impl Drop for Stages {
    fn drop(&mut self) {
        for error in self.undo() {
            eprintln!("warning: {error}");
        }
    }
}

/// The child as long as it is ours to reap: dropped unreaped, it is killed.
pub struct Owned(pub(crate) Option<Child>);

impl Owned {
    pub(crate) fn get(&self) -> &Child {
        self.0.as_ref().expect("the child is there until it is reaped")
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if let Some(child) = &self.0 {
            let _ = sys::pidfd_send_signal(child.pidfd(), Signal::SIGKILL);
            while waitpid(child.pid(), None) == Err(Errno::EINTR) {}
        }
    }
}
