//! One error type for the whole engine: which call, on what object, why, and the way out.

use nix::errno::Errno;

/// The result of anything that the engine does.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What class of failure it is. A program turns it into an exit code, the daemon into a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The kernel refused a call.
    Call(Errno),
    /// The kernel refused to execute the program: the errno of `execve(2)`.
    Exec(Errno),
    /// What was named does not exist.
    NotFound,
    /// It exists already, or its state does not allow this.
    Conflict,
    /// The request makes no sense as it stands.
    Invalid,
    /// This machine cannot do it as it is set up.
    Unsupported,
    /// Something outside this machine did not answer.
    Unavailable,
    /// Data is not what it claims to be.
    Corrupt,
}

/// A failure, told so that the reader can act on it.
///
/// `Display` gives one line, `call object: ERRNO: what that means`, and a second one that begins
/// with `help:` where there is a way out.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{what}{}", .help.as_ref().map(|help| format!("\n  help: {help}")).unwrap_or_default())]
pub struct Error {
    kind: Kind,
    what: String,
    help: Option<String>,
}

impl Error {
    /// A failure of class `kind`; `what` names the object in lower case, without a full stop.
    pub fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self { kind, what: what.into(), help: None }
    }

    /// The kernel call `call` on `object` failed with `errno`.
    pub fn call(call: &str, object: impl std::fmt::Display, errno: Errno) -> Self {
        let object = object.to_string();
        let space = if object.is_empty() { "" } else { " " };
        Self::new(Kind::Call(errno), format!("{call}{space}{object}: {}", describe(errno)))
    }

    /// A program of this machine or a file said no through `std::io`.
    pub fn io(call: &str, object: impl std::fmt::Display, error: &std::io::Error) -> Self {
        match error.raw_os_error() {
            Some(errno) => Self::call(call, object, Errno::from_raw(errno)),
            None => Self::new(Kind::Call(Errno::EIO), format!("{call} {object}: {error}")),
        }
    }

    /// Shorthand for [`Kind::NotFound`].
    pub fn not_found(what: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, what)
    }

    /// Shorthand for [`Kind::Invalid`].
    pub fn invalid(what: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, what)
    }

    /// Shorthand for [`Kind::Unsupported`].
    pub fn unsupported(what: impl Into<String>) -> Self {
        Self::new(Kind::Unsupported, what)
    }

    /// Adds the way out: what the reader can do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Puts the place where it happened before the message: `place: message`.
    #[must_use]
    pub fn at(mut self, place: impl std::fmt::Display) -> Self {
        self.what = format!("{place}: {}", self.what);
        self
    }

    /// The class of the failure.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The errno behind it, if a kernel call failed.
    pub fn errno(&self) -> Option<Errno> {
        match self.kind {
            Kind::Call(errno) | Kind::Exec(errno) => Some(errno),
            _ => None,
        }
    }

    /// The message without the help.
    pub fn what(&self) -> &str {
        &self.what
    }

    /// The way out, if one is known.
    pub fn way_out(&self) -> Option<&str> {
        self.help.as_deref()
    }
}

/// `ENOENT: No such file or directory`
fn describe(errno: Errno) -> String {
    format!("{errno:?}: {}", errno.desc())
}

/// Names the call and the object of a bare errno: `mount(…).or_call("mount", "proc on /proc")?`.
pub trait OrCall<T> {
    /// Turns the error into [`Error::call`].
    fn or_call(self, call: &str, object: impl std::fmt::Display) -> Result<T>;
}

impl<T> OrCall<T> for std::result::Result<T, Errno> {
    fn or_call(self, call: &str, object: impl std::fmt::Display) -> Result<T> {
        self.map_err(|errno| Error::call(call, object, errno))
    }
}

impl<T> OrCall<T> for std::io::Result<T> {
    fn or_call(self, call: &str, object: impl std::fmt::Display) -> Result<T> {
        self.map_err(|error| Error::io(call, object, &error))
    }
}
