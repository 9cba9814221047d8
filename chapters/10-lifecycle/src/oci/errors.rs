//! Errors in runc's words. Drivers read them: containerd, Podman and conmon decide by these very texts
//! what has happened (containerd: `pkg/process/utils.go`; Podman: `libpod/oci_util.go`).

use nix::errno::Errno;
use process::{Error, Kind};

/// There is a container, or what is left of one, with this id.
pub fn exists() -> Error {
    Error::new(Kind::Conflict, "container with given ID already exists").help("`delete` removes the old one")
}

/// No container has this id.
pub fn missing() -> Error {
    Error::not_found("container does not exist")
}

/// An id that would be no plain file name.
pub fn bad_id() -> Error {
    Error::invalid("invalid container ID format").help("letters, digits, and any of _ + - . are allowed")
}

/// What was asked needs a process.
pub fn not_running() -> Error {
    Error::new(Kind::Conflict, "container not running")
}

/// `resume` of what was never paused.
pub fn not_paused() -> Error {
    Error::new(Kind::Conflict, "container not paused")
}

/// `start` of what has ended.
pub fn start_stopped() -> Error {
    Error::new(Kind::Conflict, "cannot start a container that has stopped")
}

/// `start` of what runs.
pub fn start_running() -> Error {
    Error::new(Kind::Conflict, "cannot start an already running container")
}

/// `exec` where nothing runs.
pub fn exec_stopped() -> Error {
    Error::new(Kind::Conflict, "cannot exec in a stopped container")
}

/// `exec` where everything is held still.
pub fn exec_paused() -> Error {
    Error::new(Kind::Conflict, "cannot exec in a paused container (use --ignore-paused to override)")
}

/// `delete` of what still runs.
pub fn delete_running(id: &str, status: impl std::fmt::Display) -> Error {
    Error::new(Kind::Conflict, format!("cannot delete container {id} that is not stopped: {status}"))
        .help("end it first, or use --force")
}

/// The whole message on one line, as drivers get it.
pub fn line(error: &Error) -> String {
    match (exec_in_words(error), error.way_out()) {
        (Some(words), _) => words,
        (None, Some(help)) => format!("{} ({help})", error.what()),
        (None, None) => error.what().to_owned(),
    }
}

/// Docker shows this text, and its tests and everybody's scripts know it; exit codes 126 and 127 hang on it.
fn exec_in_words(error: &Error) -> Option<String> {
    let Kind::Exec(errno) = error.kind() else { return None };
    // The stage that looks for the program already at `create` puts its name before it.
    let what = error.what().strip_prefix("program: ").unwrap_or(error.what());
    let name = what.strip_prefix("exec ")?.rsplit_once(&format!(": {errno:?}"))?.0;
    Some(match errno {
        Errno::ENOENT if !name.contains('/') => format!("exec: {name:?}: executable file not found in $PATH"),
        Errno::ENOENT => format!("exec: {name:?}: stat {name}: no such file or directory"),
        Errno::EACCES => format!("exec: {name:?}: permission denied"),
        _ => format!("exec {name}: {}", errno.desc().to_lowercase()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exec(name: &str, errno: Errno) -> String {
        line(&Error::new(Kind::Exec(errno), format!("exec {name}: {errno:?}: {}", errno.desc())))
    }

    #[test]
    fn a_missing_program_is_told_as_runc_tells_it() {
        assert_eq!(exec("nope", Errno::ENOENT), r#"exec: "nope": executable file not found in $PATH"#);
        assert_eq!(exec("/a: b", Errno::ENOENT), r#"exec: "/a: b": stat /a: b: no such file or directory"#);
        assert_eq!(exec("/etc", Errno::EACCES), r#"exec: "/etc": permission denied"#);
        assert_eq!(exec("program: x", Errno::ENOENT), r#"exec: "program: x": executable file not found in $PATH"#);
        assert_eq!(exec("x", Errno::ENOEXEC), "exec x: exec format error");
    }

    #[test]
    fn other_errors_keep_their_words_and_their_way_out() {
        assert_eq!(line(&missing()), "container does not exist");
        assert_eq!(
            line(&Error::call("mount", "proc", Errno::EPERM).help("be root")),
            "mount proc: EPERM: Operation not permitted (be root)"
        );
    }
}
