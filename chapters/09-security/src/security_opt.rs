//! `--security-opt NAME[=VALUE]`: Docker's drawer of everything else.

use std::path::PathBuf;
use std::str::FromStr;

use process::{Error, Result};

/// One `--security-opt`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecurityOpt {
    /// `no-new-privileges[=true|false]`
    NoNewPrivileges(bool),
    /// `seccomp=unconfined`, `seccomp=builtin`, `seccomp=FILE`
    Seccomp(SeccompOpt),
    /// `apparmor=PROFILE`; `unconfined` is one
    Apparmor(String),
    /// `label=disable`, `label=type:TYPE`, and so on
    Label(String),
    /// `systempaths=unconfined`: nothing is masked or read-only
    Unmasked,
    /// `landlock=ro:PATH`, `landlock=rw:PATH`
    Landlock {
        /// May it be written?
        write: bool,
        /// What is below it.
        path: PathBuf,
    },
}

/// Which filter of system calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SeccompOpt {
    /// None.
    Unconfined,
    /// The default one.
    Builtin,
    /// Of a file, in Docker's format or OCI's.
    File(PathBuf),
}

impl FromStr for SecurityOpt {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // Docker still takes a colon in the place of the equals sign.
        let at = text.find(['=', ':']);
        let (name, value) = at.map_or((text, None), |at| (&text[..at], Some(&text[at + 1..])));
        match (name, value.unwrap_or_default()) {
            ("no-new-privileges", _) => match value {
                None | Some("true") => Ok(Self::NoNewPrivileges(true)),
                Some("false") => Ok(Self::NoNewPrivileges(false)),
                Some(_) => Err(wrong(text, "no-new-privileges, no-new-privileges=true or no-new-privileges=false")),
            },
            ("seccomp", "unconfined") => Ok(Self::Seccomp(SeccompOpt::Unconfined)),
            ("seccomp", "builtin") => Ok(Self::Seccomp(SeccompOpt::Builtin)),
            ("seccomp", file) if !file.is_empty() => Ok(Self::Seccomp(SeccompOpt::File(file.into()))),
            ("seccomp", _) => Err(wrong(text, "seccomp=FILE, seccomp=builtin or seccomp=unconfined")),
            ("apparmor", profile) if !profile.is_empty() => Ok(Self::Apparmor(profile.to_owned())),
            ("apparmor", _) => Err(wrong(text, "apparmor=PROFILE or apparmor=unconfined")),
            ("label", label) if !label.is_empty() => Ok(Self::Label(label.to_owned())),
            ("label", _) => Err(wrong(
                text,
                "label=disable, or label=type:TYPE, label=level:LEVEL, label=user:USER, label=role:ROLE",
            )),
            ("systempaths", "unconfined") => Ok(Self::Unmasked),
            ("systempaths", _) => Err(wrong(text, "systempaths=unconfined")),
            ("landlock", rule) => match rule.split_once(':') {
                Some((way @ ("ro" | "rw"), path)) if path.starts_with('/') => {
                    Ok(Self::Landlock { write: way == "rw", path: path.into() })
                }
                _ => Err(wrong(text, "landlock=ro:/PATH or landlock=rw:/PATH, of the container")),
            },
            _ => Err(wrong(
                text,
                "no-new-privileges, seccomp=…, apparmor=…, label=…, systempaths=unconfined or landlock=…",
            )),
        }
    }
}

fn wrong(text: &str, form: &str) -> Error {
    Error::invalid(format!("--security-opt {text:?} is not understood")).help(format!("write {form}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> SecurityOpt {
        text.parse().unwrap()
    }

    #[test]
    fn dockers_forms() {
        assert_eq!(parse("no-new-privileges"), SecurityOpt::NoNewPrivileges(true));
        assert_eq!(parse("no-new-privileges:true"), SecurityOpt::NoNewPrivileges(true));
        assert_eq!(parse("no-new-privileges=false"), SecurityOpt::NoNewPrivileges(false));
        assert_eq!(parse("seccomp=unconfined"), SecurityOpt::Seccomp(SeccompOpt::Unconfined));
        assert_eq!(parse("seccomp=/a:b=c"), SecurityOpt::Seccomp(SeccompOpt::File("/a:b=c".into())));
        assert_eq!(parse("apparmor=docker-default"), SecurityOpt::Apparmor("docker-default".into()));
        assert_eq!(parse("label=type:svirt_t"), SecurityOpt::Label("type:svirt_t".into()));
        assert_eq!(parse("label:disable"), SecurityOpt::Label("disable".into()));
        assert_eq!(parse("landlock=rw:/tmp"), SecurityOpt::Landlock { write: true, path: "/tmp".into() });
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let odd = ["", "no-new-privileges=maybe", "seccomp", "seccomp=", "systempaths=x", "landlock=/tmp", "selinux=1"];
        for text in odd {
            assert!(text.parse::<SecurityOpt>().is_err(), "{text}");
        }
    }
}
