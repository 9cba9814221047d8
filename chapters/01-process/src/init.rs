//! The child's checklist: everything between clone3 and exec, in order. No step of it may move.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;

use nix::unistd::{Pid, chdir, getcwd, getsid, setsid};

use crate::container::Stages;
use crate::sync::{Failure, Listener, Message, Sync};
use crate::{Error, Exit, OrCall, Program, Result, explain, reaper, signals::Signals, sys, terminal};

/// What the child knows from its parent: a copy of the parent's memory at the moment of clone3.
pub struct Init<'a> {
    pub stages: &'a mut Stages,
    pub program: &'a mut Program,
    pub foreground: bool,
    /// Where the order to start will come from, if not from the parent.
    pub start: Option<Listener>,
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
        let dies_with_parent = self.start.is_none();
        sys::die_with_parent().or_call("prctl", "PR_SET_PDEATHSIG")?;
        sync.wait_for_go();
        self.stages.each(|stage| stage.create_container())?;
        sync.send(&Message::Furnished)?;
        sync.wait_for_go();
        self.stages.each(|stage| stage.enter_root())?;
        match self.start.take() {
            None => {
                sync.send(&Message::Created)?;
                sync.wait_for_go();
            }
            Some(listener) => sync.wait_apart(&listener)?,
        }
        let program = &mut *self.program;
        self.stages.each(|stage| stage.start_container(program))?;
        if dies_with_parent {
            sync.stay_with_parent()?;
        }
        enter_directory(self.program)?;
        own_process_group(self.foreground)?;
        if self.program.init {
            reaper::become_parent(|| sync.close())?;
            own_process_group(self.foreground)?;
        }
        Signals::reset()?;
        let first = 3 + self.program.keep_fds;
        sys::cloexec_from(first).or_call("close_range", "CLOSE_RANGE_CLOEXEC")?;
        explain!(1, "no descriptor of ours reaches the program", "close_range({first}, ∞, CLOEXEC)");
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

    /// Changing the user clears the promise to die with the parent (PR_SET_PDEATHSIG(2const)), so it is given again; if
    /// the parent died just before, it came too late.
    fn stay_with_parent(&self) -> Result<()> {
        sys::die_with_parent().or_call("prctl", "PR_SET_PDEATHSIG")?;
        if self.with(Sync::is_alone) == Some(true) {
            sys::exit_now(Exit::ENGINE.into())
        }
        Ok(())
    }

    /// Tells the parent that it may go, and lets whoever calls at the socket take its place. Only who says so starts
    /// the program; a caller that hangs up without a word is forgotten.
    fn wait_apart(&self, listener: &Listener) -> Result<()> {
        nix::sys::prctl::set_pdeathsig(None).or_call("prctl", "PR_SET_PDEATHSIG")?;
        if getsid(None) != Ok(Pid::this()) {
            setsid().or_call("setsid", "")?; // no terminal of the caller's can end it
        }
        self.send(&Message::Created)?;
        loop {
            let caller = listener.accept()?;
            if matches!(caller.receive(), Ok(Message::Go)) {
                explain!(1, "somebody says that it shall start", "accept(start.sock)");
                self.cell.set(Some(caller));
                return Ok(());
            }
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
