//! Scripts: the interpreter that a `#!` line names (execve(2), "Interpreter scripts").

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// As much of a script as the kernel looks at (`BINPRM_BUF_SIZE`, linux/binfmts.h).
const LINE: usize = 256;

/// The first line of a script.
#[derive(Debug, PartialEq, Eq)]
pub struct Script {
    /// What the kernel runs in the script's place.
    pub interpreter: PathBuf,
    /// What that one looks for in PATH, if it is env(1).
    pub command: Option<OsString>,
}

/// Reads the first line; none if it names no interpreter by an absolute path.
pub fn parse(bytes: &[u8]) -> Option<Script> {
    let line = bytes.strip_prefix(b"#!")?;
    let line = line[..line.len().min(LINE)].split(|&byte| byte == b'\n').next()?;
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).map(OsStr::from_bytes);
    let interpreter = PathBuf::from(words.next()?);
    // `env -S NAME=value python3 -u`: the first word that is neither an option nor a variable.
    let is_command = |word: &&OsStr| !word.as_bytes().starts_with(b"-") && !word.as_bytes().contains(&b'=');
    let command = interpreter.ends_with("env").then(|| words.find(is_command)).flatten().map(OsStr::to_owned);
    interpreter.is_absolute().then_some(Script { interpreter, command })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<(String, Option<String>)> {
        let text = |path: OsString| path.into_string().unwrap();
        parse(line.as_bytes()).map(|script| (text(script.interpreter.into()), script.command.map(text)))
    }

    #[test]
    fn interpreters() {
        assert_eq!(read("#!/bin/sh\necho"), Some(("/bin/sh".into(), None)));
        assert_eq!(read("#! /bin/sh -e"), Some(("/bin/sh".into(), None)));
        assert_eq!(read("#!/usr/bin/env python3\n"), Some(("/usr/bin/env".into(), Some("python3".into()))));
        assert_eq!(read("#!/usr/bin/env -S A=b awk -f\n"), Some(("/usr/bin/env".into(), Some("awk".into()))));
    }

    #[test]
    fn what_is_no_script() {
        for text in ["", "#", "#!", "#!\n/bin/sh", "#!sh", "echo", "\u{7f}ELF"] {
            assert_eq!(read(text), None, "{text:?}");
        }
    }
}
