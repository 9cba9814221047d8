//! The child's checklist: everything between clone3 and exec, in order. No step of it may move.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;

use nix::unistd::{Pid, chdir, getcwd, getsid};

use crate::container::Stages;
use crate::sync::{Failure, Message, Sync};
use crate::{Error, Exit, OrCall, Program, Result, explain, reaper, signals::Signals, sys, terminal};

/// What the child knows from its parent: a copy of the parent's memory at the moment of clone3.
pub struct Init<'a> {
    pub stages: &'a mut Stages,
    pub program: &'a mut Program,
    pub foreground: bool,
}

impl Init<'_> {
    /// Runs the checklist; reports what fails. Never returns into the parent's code, not even by a panic.
    pub fn run(mut self, sync: Sync) -> ! {
        let sync = std::cell::Cell::new(Some(sync));
        let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| self.checklist(&sync)));
        let error = match outcome {
            Ok(Err(error)) => error,
            Ok(Ok(never)) => match never {},
            Err(_) => Error::invalid("a panic in the child: a bug of the engine, told above"),
        };
        if let Some(sync) = sync.take() {
            let _ = sync.send(&Message::Failed(Failure::new(&error)));
        }
        sys::exit_now(Exit::ENGINE.into())
    }

    fn checklist(&mut self, cell: &std::cell::Cell<Option<Sync>>) -> Result<Infallible> {
        let sync = Lent::new(cell);
        sys::die_with_parent().or_call("prctl", "PR_SET_PDEATHSIG")?;
        sync.wait_for_go();
        self.stages.each(|stage| stage.create_container())?;
        sync.send(&Message::Created)?;
        sync.wait_for_go();
        let program = &mut *self.program;
        self.stages.each(|stage| stage.start_container(program))?;
        sync.check_parent();
        enter_directory(self.program)?;
        own_process_group(self.foreground)?;
        if self.program.init {
            reaper::become_parent(|| sync.close())?;
            own_process_group(self.foreground)?;
        }
        Signals::reset()?;
        sys::cloexec_from(3).or_call("close_range", "CLOSE_RANGE_CLOEXEC")?;
        explain!(1, "no descriptor of ours reaches the program", "close_range(3, ∞, CLOEXEC)");
        Err(self.program.exec())
    }
}

/// The child's end of the socket, lent to the checklist and left in its cell for the report of a failure.
struct Lent<'a> {
    cell: &'a std::cell::Cell<Option<Sync>>,
}

impl<'a> Lent<'a> {
    fn new(cell: &'a std::cell::Cell<Option<Sync>>) -> Self {
        Self { cell }
    }

    fn with<T>(&self, use_it: impl FnOnce(&Sync) -> T) -> Option<T> {
        let sync = self.cell.take()?;
        let result = use_it(&sync);
        self.cell.set(Some(sync));
        Some(result)
    }

    fn send(&self, message: &Message) -> Result<()> {
        self.with(|sync| sync.send(message)).unwrap_or(Ok(()))
    }

    /// Waits until the parent says so; if the parent is gone there is nobody left to serve.
    fn wait_for_go(&self) {
        if !matches!(self.with(Sync::receive), Some(Ok(Message::Go))) {
            sys::exit_now(Exit::ENGINE.into())
        }
    }

    /// A stage that changed the user has renewed the promise to die with the parent; if the parent died just before,
    /// the promise came too late (PR_SET_PDEATHSIG(2const), CAVEATS).
    fn check_parent(&self) {
        if self.with(Sync::is_alone) == Some(true) {
            sys::exit_now(Exit::ENGINE.into())
        }
    }

    fn close(&self) {
        drop(self.cell.take());
    }
}

/// Stands where the program shall stand, and makes sure that it is inside the root (CVE-2024-21626).
fn enter_directory(program: &Program) -> Result<()> {
    if let Some(cwd) = &program.cwd {
        chdir(cwd.as_path())
            .or_call("chdir", cwd.display())
            .map_err(|error| error.help("the working directory must exist in the root and be open to the user"))?;
        explain!(1, "the working directory", "chdir({:?})", cwd);
    }
    // Outside the root the kernel prefixes "(unreachable)", and the C library reports ENOENT (getcwd(3)), as it does
    // for a directory that was deleted.
    match getcwd() {
        Ok(path) if path.is_absolute() => Ok(()),
        _ => Err(Error::invalid("the working directory lies outside the root, or was deleted")
            .help("give an absolute path with --workdir")),
    }
}

/// A process group of its own, in the terminal's foreground: Ctrl-C now reaches the program only.
fn own_process_group(foreground: bool) -> Result<()> {
    let myself = Pid::this();
    if getsid(None) == Ok(myself) {
        return Ok(()); // a session of its own (a terminal was made for it) has its own group
    }
    nix::unistd::setpgid(myself, myself).or_call("setpgid", "0")?;
    explain!(1, "a process group of its own", "setpgid(0, 0)");
    if foreground { terminal::take_foreground() } else { Ok(()) }
}
