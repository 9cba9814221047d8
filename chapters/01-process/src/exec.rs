//! The program that the child becomes, and the search for it.

use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use nix::errno::Errno;

use crate::{Error, Kind, Result, explain, sys};

/// Where programs are looked for when the environment does not say (the engine's default, as Docker's).
pub const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What the child becomes.
#[derive(Debug, Clone, Default)]
pub struct Program {
    /// The command and its arguments; the first names the file.
    pub argv: Vec<OsString>,
    /// The whole environment, in order.
    pub env: Vec<(OsString, OsString)>,
    /// The working directory; where the child happens to stand if none.
    pub cwd: Option<PathBuf>,
    /// Run it under a small init that reaps orphans and forwards signals.
    pub init: bool,
    /// How many descriptors from 3 on the program inherits (`LISTEN_FDS`, sd_listen_fds(3)).
    pub keep_fds: u32,
}

impl Program {
    /// A program with this environment.
    pub fn new<A: Into<OsString>>(argv: impl IntoIterator<Item = A>, env: Vec<(OsString, OsString)>) -> Self {
        Self { argv: argv.into_iter().map(Into::into).collect(), env, ..Self::default() }
    }

    /// The value of an environment variable.
    pub fn var(&self, name: &str) -> Option<&OsStr> {
        self.env.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_os_str())
    }

    /// Sets an environment variable, in the place of an earlier one of that name.
    pub fn set_var(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        let (name, value) = (name.into(), value.into());
        match self.env.iter_mut().find(|(key, _)| *key == name) {
            Some(entry) => entry.1 = value,
            None => self.env.push((name, value)),
        }
    }

    /// Replaces this process by the program. Returns only if that failed.
    ///
    /// A name without a slash is looked for in the program's own PATH, as execvp(3) does.
    pub fn exec(&self) -> Error {
        let Some(name) = self.argv.first() else { return Error::invalid("no command was given") };
        let (argv, env) = match (strings(self.argv.iter().cloned()), strings(self.env.iter().map(join))) {
            (Ok(argv), Ok(env)) => (argv, env),
            (Err(error), _) | (_, Err(error)) => return error,
        };
        let mut worst = Errno::ENOENT;
        for path in self.candidates(name) {
            if explain::on() && !PathBuf::from(&path).exists() {
                continue; // not worth a line
            }
            explain!(1, "the program replaces this one", "execve({:?}, {:?})", path, self.argv);
            let Ok(file) = CString::new(path.as_bytes()) else { continue };
            match sys::execve(&file, &argv, &env) {
                Errno::ENOENT | Errno::ENOTDIR => {}
                // Found but refused: another directory of PATH may still have a better one.
                Errno::EACCES => worst = Errno::EACCES,
                errno => return failure(name, &path, errno),
            }
            if worst == Errno::ENOENT && PathBuf::from(&path).is_file() {
                return failure(name, &path, Errno::ENOENT);
            }
        }
        failure(name, name, worst)
    }

    fn candidates(&self, name: &OsStr) -> Vec<OsString> {
        if name.as_bytes().contains(&b'/') || name.is_empty() {
            return vec![name.to_owned()];
        }
        let path = self.var("PATH").unwrap_or(OsStr::new(DEFAULT_PATH));
        std::env::split_paths(path).map(|directory| directory.join(name).into_os_string()).collect()
    }
}

fn join((key, value): &(OsString, OsString)) -> OsString {
    let mut both = key.clone();
    both.push("=");
    both.push(value);
    both
}

fn strings(items: impl Iterator<Item = OsString>) -> Result<Vec<CString>> {
    let strings: std::result::Result<Vec<_>, _> = items.map(|item| CString::new(item.into_vec())).collect();
    strings.map_err(|_| Error::invalid("an argument or variable holds a NUL byte"))
}

/// Says why the program could not be executed, and what can be done about it.
fn failure(name: &OsStr, path: &OsStr, errno: Errno) -> Error {
    let exists = PathBuf::from(path).exists();
    let help = match errno {
        Errno::ENOENT if exists => {
            "the file is there, but the interpreter it names (its `#!` line, or its ELF loader) is not".to_owned()
        }
        Errno::ENOENT if name.as_bytes().contains(&b'/') => "there is no such file in this root".to_owned(),
        Errno::ENOENT => format!("no directory of PATH has a program {}", name.display()),
        Errno::EACCES => "it is not executable for this user: check its mode, its owner and `noexec`".to_owned(),
        Errno::ENOEXEC => "neither an ELF file for this machine nor a script that begins with `#!`".to_owned(),
        Errno::E2BIG => "arguments and environment together are too long (execve(2), ARG_MAX)".to_owned(),
        _ => "see execve(2)".to_owned(),
    };
    let what = format!("exec {}: {errno:?}: {}", name.display(), errno.desc());
    Error::new(Kind::Exec(errno), what).help(help)
}
