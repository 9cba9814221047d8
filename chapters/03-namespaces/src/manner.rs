//! How a container's program was started. What is run in the container later begins the same way.

use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use process::cli::Env;
use process::{Program, UserSpec};

/// The environment, the directory and the user of a container's program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Manner {
    /// Its variables.
    pub env: Env,
    /// Where it was started, if not at `/`.
    pub cwd: Option<PathBuf>,
    /// Who it was started as, if not root.
    pub user: Option<UserSpec>,
}

impl Manner {
    /// The manner in which `program` is about to be started.
    pub fn of(program: &Program, user: Option<&UserSpec>) -> Self {
        Self { env: program.env.clone(), cwd: program.cwd.clone(), user: user.cloned() }
    }

    /// As lines of a record: a word, then a value in which odd bytes are escaped.
    pub(crate) fn render(&self) -> String {
        let mut text = String::new();
        let mut line = |word: &str, value: &OsStr| {
            let _ = writeln!(text, "{word} {}", value.as_bytes().escape_ascii());
        };
        for (name, value) in &self.env {
            line("env", &[name.as_os_str(), value].join(OsStr::new("=")));
        }
        self.cwd.iter().for_each(|cwd| line("workdir", cwd.as_os_str()));
        if let Some(user) = &self.user {
            let group = user.group.as_ref().map(|group| format!(":{group}")).unwrap_or_default();
            line("user", OsStr::new(&format!("{}{group}", user.user)));
        }
        text
    }

    /// The lines that [`render`](Self::render) wrote, among others.
    pub(crate) fn parse(text: &str) -> Self {
        let mut manner = Self::default();
        for (word, value) in text.lines().filter_map(|line| line.split_once(' ')) {
            let value = unescape(value);
            match word {
                "env" => {
                    let bytes = value.as_bytes();
                    let at = bytes.iter().position(|&byte| byte == b'=').unwrap_or(bytes.len());
                    let part = |bytes: &[u8]| OsStr::from_bytes(bytes).to_owned();
                    manner.env.push((part(&bytes[..at]), part(bytes.get(at + 1..).unwrap_or_default())));
                }
                "workdir" => manner.cwd = Some(value.into()),
                "user" => manner.user = value.to_str().and_then(|user| user.parse().ok()),
                _ => {}
            }
        }
        manner
    }
}

/// The reverse of [`slice::escape_ascii`].
fn unescape(text: &str) -> OsString {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let escaped = if byte == b'\\' { rest.next() } else { None };
        bytes.push(match escaped {
            None => byte,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'x') => {
                let digits: String = rest.by_ref().take(2).map(char::from).collect();
                u8::from_str_radix(&digits, 16).unwrap_or(b'?')
            }
            Some(other) => other,
        });
    }
    OsString::from_vec(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_bytes_survive() {
        let odd = OsString::from_vec(b"a\\b\n\xff=\"c'\t\x01".to_vec());
        let env = vec![("PATH".into(), "/bin".into()), ("ODD".into(), odd), ("EMPTY".into(), "".into())];
        let manner = Manner { env, cwd: Some("/srv/a b".into()), user: Some("web:www".parse().unwrap()) };
        assert_eq!(Manner::parse(&manner.render()), manner);
        assert_eq!(manner.render().lines().count(), 5);
    }
}
