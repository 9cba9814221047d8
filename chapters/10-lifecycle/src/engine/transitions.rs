//! The life cycle as one table: which command may follow in which state, and what it leads to.
//!
//! ```text
//!            create            start                 its program ends
//! (nothing) ───────▶ created ───────▶ running ─────────────────────────▶ exited ──▶ (rm) removing ─▶ (nothing)
//!                                     ▲  │ pause      │ a restart policy   │ start            │ it failed
//!                             unpause │  ▼            ▼                    ▼                  ▼
//!                                     paused      restarting ─▶ running   running            dead
//! ```
//! What is refused is refused in Docker's words (moby, daemon/*.go), since scripts read them, and with a way out.

use process::{Error, Kind, Result};

use crate::state::Status;

/// What a command wants to do with a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// `start`
    Start,
    /// `stop`
    Stop,
    /// `kill`
    Kill,
    /// `restart`
    Restart,
    /// `pause`
    Pause,
    /// `unpause`
    Unpause,
    /// `rm`
    Remove,
    /// `rm --force`
    ForceRemove,
    /// `rename`
    Rename,
    /// `exec`
    Exec,
    /// `attach`
    Attach,
    /// `top`
    Top,
    /// `update`
    Update,
    /// `cp`, `diff`, `commit`
    Files,
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It is done, and the container is in this state then.
    To(Status),
    /// The container is as the command wants it already: nothing is done, and that is no error.
    Already,
    /// It is done, and the state stays.
    Stays,
    /// It cannot be: why, and the way out.
    Refused(&'static str, &'static str),
}

// The ways out.
const START: &str = "start it first: `start`";
const UNPAUSE: &str = "let it go on first: `unpause`";
const WAIT: &str = "it is between two runs; wait until it runs, or end it: `stop`";
const REMOVE: &str = "finish the removal: `rm --force`";

impl Action {
    /// All of them, for tables and tests.
    pub const ALL: [Self; 14] = [
        Self::Start,
        Self::Stop,
        Self::Kill,
        Self::Restart,
        Self::Pause,
        Self::Unpause,
        Self::Remove,
        Self::ForceRemove,
        Self::Rename,
        Self::Exec,
        Self::Attach,
        Self::Top,
        Self::Update,
        Self::Files,
    ];

    /// The table.
    pub fn next(self, status: Status) -> Next {
        use Next::{Already, Refused, Stays, To};
        use Status::{Created, Dead, Exited, Paused, Removing, Restarting, Running};
        match (self, status) {
            (Self::ForceRemove, _) => To(Removing),
            (Self::Remove, _) => removal(status),
            (Self::Attach, _) => attachment(status),

            (Self::Start, Created | Exited) => To(Running),
            (Self::Start, Running | Restarting) => Already,
            (Self::Start, Paused) => Refused("cannot start a paused container, try unpause instead", UNPAUSE),
            (Self::Start | Self::Restart, Dead | Removing) => {
                Refused("container is marked for removal and cannot be started", REMOVE)
            }
            (Self::Restart, _) => To(Running),

            (Self::Stop, Running | Paused | Restarting) => To(Exited),
            (Self::Stop, Created | Exited | Dead | Removing) => Already,
            (Self::Kill, Running | Paused) => Stays, // what the signal does is the program's affair
            (Self::Kill, Restarting) => To(Exited),

            (Self::Pause, Running) => To(Paused),
            (Self::Pause, Paused) => Refused("container is already paused", UNPAUSE),
            (Self::Unpause, Paused) => To(Running),
            (Self::Unpause, _) => Refused("container is not paused", "`ps -a` shows the states"),

            (Self::Exec, Paused) => Refused("container is paused, unpause the container before exec", UNPAUSE),
            (Self::Pause | Self::Exec | Self::Top, Restarting) => {
                Refused("container is restarting, wait until the container is running", WAIT)
            }
            (Self::Kill | Self::Pause | Self::Exec | Self::Top, Created | Exited) => {
                Refused("container is not running", START)
            }
            (Self::Kill | Self::Pause | Self::Exec | Self::Top, Dead | Removing) => {
                Refused("container is not running", REMOVE)
            }
            (Self::Exec, Running) | (Self::Top, Running | Paused) => Stays,

            (Self::Rename | Self::Update, Dead | Removing) => {
                Refused("container is marked for removal and cannot be changed", REMOVE)
            }
            (Self::Files, Removing) => Refused("container is marked for removal", REMOVE),
            (Self::Rename | Self::Update | Self::Files, _) => Stays,
        }
    }

    /// What is to be done with container `name` in state `status`.
    ///
    /// # Errors
    /// [`Kind::Conflict`] if the table refuses it.
    pub fn check(self, name: &str, status: Status) -> Result<Next> {
        match self.next(status) {
            Next::Refused(why, way_out) => {
                let verb = match self {
                    Self::Kill => "cannot kill container",
                    Self::Pause => "cannot pause container",
                    Self::Unpause => "cannot unpause container",
                    Self::Remove => "cannot remove container",
                    Self::Start => "cannot start container",
                    Self::Restart => "cannot restart container",
                    Self::Rename => "cannot rename container",
                    Self::Update => "cannot update container",
                    _ => "container",
                };
                Err(Error::new(Kind::Conflict, format!("{verb} {name}: {why}")).help(way_out))
            }
            next => Ok(next),
        }
    }
}

/// The row of `rm`.
fn removal(status: Status) -> Next {
    const STOP: &str = "end it first with `stop`, or `rm --force`";
    match status {
        Status::Created | Status::Exited | Status::Dead | Status::Removing => Next::To(Status::Removing),
        Status::Running => {
            Next::Refused("container is running: stop the container before removing or force remove", STOP)
        }
        Status::Paused => Next::Refused(
            "container is paused and must be unpaused first",
            "let it go on with `unpause` and end it with `stop`, or `rm --force`",
        ),
        Status::Restarting => {
            Next::Refused("container is restarting: stop the container before removing or force remove", STOP)
        }
    }
}

/// The row of `attach`.
fn attachment(status: Status) -> Next {
    match status {
        Status::Running => Next::Stays,
        Status::Created | Status::Exited | Status::Dead | Status::Removing => Next::Refused(
            "cannot attach to a stopped container, start it first",
            "start it with its output: `start --attach`; what it has said is in `logs`",
        ),
        Status::Paused => Next::Refused("cannot attach to a paused container, unpause it first", UNPAUSE),
        Status::Restarting => Next::Refused("cannot attach to a restarting container, wait until it is running", WAIT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [Status; 7] = [
        Status::Created,
        Status::Running,
        Status::Paused,
        Status::Restarting,
        Status::Exited,
        Status::Dead,
        Status::Removing,
    ];

    #[test]
    fn every_refusal_says_why_and_the_way_out() {
        for action in Action::ALL {
            for status in STATES {
                if let Next::Refused(why, way_out) = action.next(status) {
                    assert!(why.len() > 10 && way_out.contains('`') || way_out.contains("`"), "{action:?} {status:?}");
                    assert_eq!(action.check("web", status).unwrap_err().kind(), Kind::Conflict);
                }
            }
        }
    }

    #[test]
    fn no_state_is_a_trap() {
        // From everywhere there is a way to be removed, and from every state of a life a way to run again.
        for status in STATES {
            assert_eq!(Action::ForceRemove.next(status), Next::To(Status::Removing));
        }
        for (from, action, to) in [
            (Status::Created, Action::Start, Status::Running),
            (Status::Running, Action::Pause, Status::Paused),
            (Status::Paused, Action::Unpause, Status::Running),
            (Status::Paused, Action::Stop, Status::Exited),
            (Status::Restarting, Action::Stop, Status::Exited),
            (Status::Exited, Action::Start, Status::Running),
            (Status::Paused, Action::Restart, Status::Running),
        ] {
            assert_eq!(action.next(from), Next::To(to), "{action:?} {from:?}");
        }
    }
}
