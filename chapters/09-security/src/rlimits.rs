//! Resource limits: how much one process may use, which the kernel counted long before there were cgroups.
//!
//! `--ulimit NAME=SOFT[:HARD]` is Docker's syntax (github.com/docker/go-units, ulimit.go); names, units and meaning are
//! setrlimit(2)'s.

use std::str::FromStr;

use nix::errno::Errno;
use nix::sys::resource::{Resource, setrlimit};
use process::{Error, OrCall, Result, explain};
use serde::{Deserialize, Serialize};

/// A limit of one resource. The process may raise the soft one up to the hard one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rlimit {
    /// Of what.
    #[serde(rename = "type")]
    pub kind: RlimitKind,
    /// What counts, in the unit of the resource; [`u64::MAX`] for no limit.
    pub soft: u64,
    /// What the soft limit may be raised to.
    pub hard: u64,
}

/// A resource that setrlimit(2) limits, by its name there: `RLIMIT_NOFILE`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RlimitKind(Resource);

/// All of them, as `--ulimit` calls them.
const KINDS: [(&str, Resource); 16] = [
    ("as", Resource::RLIMIT_AS),
    ("core", Resource::RLIMIT_CORE),
    ("cpu", Resource::RLIMIT_CPU),
    ("data", Resource::RLIMIT_DATA),
    ("fsize", Resource::RLIMIT_FSIZE),
    ("locks", Resource::RLIMIT_LOCKS),
    ("memlock", Resource::RLIMIT_MEMLOCK),
    ("msgqueue", Resource::RLIMIT_MSGQUEUE),
    ("nice", Resource::RLIMIT_NICE),
    ("nofile", Resource::RLIMIT_NOFILE),
    ("nproc", Resource::RLIMIT_NPROC),
    ("rss", Resource::RLIMIT_RSS),
    ("rtprio", Resource::RLIMIT_RTPRIO),
    ("rttime", Resource::RLIMIT_RTTIME),
    ("sigpending", Resource::RLIMIT_SIGPENDING),
    ("stack", Resource::RLIMIT_STACK),
];

impl RlimitKind {
    /// As `--ulimit` calls it: `nofile`.
    pub fn short(self) -> &'static str {
        KINDS.iter().find(|(_, resource)| *resource == self.0).map_or("", |(name, _)| name)
    }
}

impl FromStr for RlimitKind {
    type Err = Error;

    /// `nofile`, `RLIMIT_NOFILE`
    fn from_str(text: &str) -> Result<Self> {
        let short = text.to_ascii_lowercase();
        let short = short.strip_prefix("rlimit_").unwrap_or(&short);
        KINDS.iter().find(|(name, _)| *name == short).map(|(_, resource)| Self(*resource)).ok_or_else(|| {
            let names = KINDS.map(|(name, _)| name).join(", ");
            Error::invalid(format!("there is no resource limit {text:?}")).help(format!("one of {names}"))
        })
    }
}

impl TryFrom<String> for RlimitKind {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<RlimitKind> for String {
    fn from(kind: RlimitKind) -> Self {
        format!("RLIMIT_{}", kind.short().to_ascii_uppercase())
    }
}

impl FromStr for Rlimit {
    type Err = Error;

    /// `nofile=1024`, `nofile=1024:4096`, `core=-1`
    fn from_str(text: &str) -> Result<Self> {
        let form =
            || Error::invalid(format!("{text:?} is no ulimit")).help("write NAME=SOFT[:HARD], as nofile=1024:4096");
        let (name, values) = text.split_once('=').ok_or_else(form)?;
        let kind = name.parse()?;
        let (soft, hard) = values.split_once(':').unwrap_or((values, values));
        let limit = Self { kind, soft: value(soft).ok_or_else(form)?, hard: value(hard).ok_or_else(form)? };
        limit.check()?;
        Ok(limit)
    }
}

/// A number in the resource's own unit; `-1` or `unlimited` for no limit.
fn value(text: &str) -> Option<u64> {
    match text {
        "-1" | "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

impl Rlimit {
    /// # Errors
    /// [`Kind::Invalid`](process::Kind::Invalid) if the soft limit is above the hard one.
    pub fn check(&self) -> Result<()> {
        if self.soft > self.hard {
            let (soft, hard) = (show(self.soft), show(self.hard));
            let what = format!("ulimit {}: the soft limit {soft} is above the hard limit {hard}", self.kind.short());
            return Err(Error::invalid(what).help("the soft one may be at most the hard one: NAME=SOFT:HARD"));
        }
        Ok(())
    }

    /// Sets it for this process, and what it executes.
    ///
    /// # Errors
    /// As setrlimit(2): `EPERM` for a hard limit above the present one, without `CAP_SYS_RESOURCE` on the host.
    pub fn apply(&self) -> Result<()> {
        let name = String::from(self.kind);
        let call = format!("{name} to {}:{}", show(self.soft), show(self.hard));
        let set = setrlimit(self.kind.0, self.soft, self.hard).or_call("setrlimit", &call);
        set.map_err(|error| match (error.errno(), self.kind.0) {
            (Some(Errno::EPERM), Resource::RLIMIT_NOFILE) => error.help(
                "the hard limit may be raised by the host's root only, and never above fs.nr_open: see `ulimit -Hn`",
            ),
            (Some(Errno::EPERM), _) => {
                error.help("the hard limit may be raised by the host's root only: see `ulimit -Ha`")
            }
            _ => error,
        })?;
        explain!(
            9,
            "a limit of this process and its children",
            "setrlimit({name}, {}, {})",
            show(self.soft),
            show(self.hard)
        );
        Ok(())
    }
}

fn show(value: u64) -> String {
    if value == u64::MAX { "unlimited".to_owned() } else { value.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dockers_syntax() {
        let nofile: Rlimit = "nofile=1024:4096".parse().unwrap();
        assert_eq!((nofile.kind.short(), nofile.soft, nofile.hard), ("nofile", 1024, 4096));
        let core: Rlimit = "core=0".parse().unwrap();
        assert_eq!((core.soft, core.hard), (0, 0));
        let memlock: Rlimit = "memlock=-1:-1".parse().unwrap();
        assert_eq!((memlock.soft, memlock.hard), (u64::MAX, u64::MAX));
        assert!("RLIMIT_STACK=1:2".parse::<Rlimit>().is_ok());
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for text in ["nofile", "nofile=", "nofile=a", "nofile=1:", "nofile=1:2:3", "nofile=-2", "=1"] {
            assert!(text.parse::<Rlimit>().is_err(), "{text}");
        }
        let over = "nofile=2:1".parse::<Rlimit>().unwrap_err();
        assert!(over.what().contains("soft limit 2 is above the hard limit 1"));
        assert!("nofile=-1:5".parse::<Rlimit>().is_err());
        let unknown = "files=1".parse::<Rlimit>().unwrap_err();
        assert!(unknown.way_out().unwrap().contains("nofile"));
    }

    #[test]
    fn stored_as_in_config_json() {
        let text = serde_json::to_string(&"nofile=1:2".parse::<Rlimit>().unwrap()).unwrap();
        assert_eq!(text, r#"{"type":"RLIMIT_NOFILE","soft":1,"hard":2}"#);
        assert_eq!(serde_json::from_str::<Rlimit>(&text).unwrap().hard, 2);
    }
}
