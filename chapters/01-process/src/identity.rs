//! Who the program runs as: user, group, supplementary groups. The files read are the root's own.

use std::fs::File;
use std::io::Read;
use std::str::FromStr;

use nix::fcntl::{AT_FDCWD, OFlag, OpenHow, ResolveFlag, openat2};
use nix::unistd::{Gid, Uid, setgroups, setresgid, setresuid};

use crate::{Error, OrCall, Program, Result, Stage, explain};

/// How much of /etc/passwd and /etc/group is read, in bytes.
const LONGEST: u64 = 16 << 20;

/// `USER[:GROUP]`, each a name or a number, as `docker run --user` takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserSpec {
    /// A name of /etc/passwd, or a number.
    pub user: String,
    /// A name of /etc/group, or a number.
    pub group: Option<String>,
}

impl std::fmt::Display for UserSpec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.group {
            Some(group) => write!(f, "{}:{group}", self.user),
            None => f.write_str(&self.user),
        }
    }
}

impl FromStr for UserSpec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (user, group) = match text.split_once(':') {
            Some((user, group)) => (user, Some(group.to_owned())),
            None => (text, None),
        };
        if user.is_empty() || group.as_deref() == Some("") {
            return Err(
                Error::invalid(format!("{text:?} is no user")).help("write USER or USER:GROUP, as names or numbers")
            );
        }
        Ok(Self { user: user.to_owned(), group })
    }
}

/// A user with everything that the kernel wants to know.
#[derive(Debug, PartialEq, Eq)]
struct Account {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
    home: String,
}

/// The stage that becomes the user, in the container's own root: the last thing that needs privilege.
pub struct Identity {
    spec: Option<UserSpec>,
}

impl Identity {
    /// Becomes `spec`; without one the program stays who it is.
    pub fn new(spec: Option<UserSpec>) -> Self {
        Self { spec }
    }
}

impl Stage for Identity {
    fn name(&self) -> &'static str {
        "identity"
    }

    fn start_container(&mut self, program: &mut Program) -> Result<()> {
        let (passwd, group) = (read("/etc/passwd"), read("/etc/group"));
        if let Some(spec) = &self.spec {
            let account = Account::find(spec, &passwd, &group)?;
            account.assume()?;
            if program.var("HOME").is_none() {
                program.set_var("HOME", &account.home);
            }
        } else if program.var("HOME").is_none() {
            program.set_var("HOME", home_of(&passwd, Uid::current().as_raw()));
        }
        Ok(())
    }
}

impl Account {
    /// Looks the names up in the contents of /etc/passwd and /etc/group (passwd(5), group(5)).
    fn find(spec: &UserSpec, passwd: &str, group: &str) -> Result<Self> {
        let entry = lines(passwd).find(|entry| entry.first() == Some(&spec.user.as_str()));
        let by_number = || id(&spec.user);
        let (uid, name) = match (&entry, by_number()) {
            (Some(entry), _) => (number(entry, 2), entry[0]),
            (None, Some(uid)) => {
                (Some(uid), lines(passwd).find(|entry| number(entry, 2) == Some(uid)).map_or("", |entry| entry[0]))
            }
            (None, None) => (None, ""),
        };
        let uid = uid.ok_or_else(|| missing("user", &spec.user, "/etc/passwd"))?;
        let own = lines(passwd).find(|entry| number(entry, 2) == Some(uid)).and_then(|entry| number(&entry, 3));
        let gid = match &spec.group {
            None => own.unwrap_or(0),
            Some(wanted) => lines(group)
                .find(|entry| entry.first() == Some(&wanted.as_str()))
                .and_then(|entry| number(&entry, 2))
                .or_else(|| id(wanted))
                .ok_or_else(|| missing("group", wanted, "/etc/group"))?,
        };
        // An explicit group means: that one alone, as Docker does.
        let groups = match spec.group {
            Some(_) => vec![gid],
            None => std::iter::once(gid).chain(memberships(group, name).filter(|&other| other != gid)).collect(),
        };
        Ok(Self { uid, gid, groups, home: home_of(passwd, uid) })
    }

    /// Groups first: once the user is given up, the right to change groups is gone too.
    fn assume(&self) -> Result<()> {
        let groups: Vec<_> = self.groups.iter().copied().map(Gid::from_raw).collect();
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(self.gid));
        if !Uid::effective().is_root() && (uid, gid) == (Uid::effective(), Gid::effective()) {
            return Ok(()); // it is us already, and an ordinary user has no other groups to give
        }
        let help = "this user namespace does not know the id, or only root may change it";
        let set = setgroups(&groups).or_call("setgroups", format!("{:?}", self.groups));
        // In a user namespace with a single id, setgroups is denied (user_namespaces(7)); there is nothing to give up.
        if !groups_are_denied() {
            set.map_err(|error| error.help(help))?;
            explain!(1, "supplementary groups", "setgroups({:?})", self.groups);
        }
        setresgid(gid, gid, gid).or_call("setresgid", gid).map_err(|error| error.help(help))?;
        setresuid(uid, uid, uid).or_call("setresuid", uid).map_err(|error| error.help(help))?;
        explain!(1, "no way back to the old user", "setresuid({uid}) and setresgid({gid})");
        Ok(())
    }
}

/// A file of the root, which may be anything: no FIFO is waited for, no `/dev/zero` read for ever, and no link of /proc
/// followed to a descriptor that the engine has of the host (openat2(2)).
fn read(path: &str) -> String {
    let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let how = OpenHow::new().flags(flags).resolve(ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let Ok(file) = openat2(AT_FDCWD, path, how).map(File::from) else { return String::new() };
    let is_file = file.metadata().is_ok_and(|about| about.is_file());
    let mut bytes = Vec::new();
    let _ = file.take(if is_file { LONGEST } else { 0 }).read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn groups_are_denied() -> bool {
    std::fs::read_to_string("/proc/self/setgroups").is_ok_and(|text| text.trim() == "deny")
}

fn lines(file: &str) -> impl Iterator<Item = Vec<&str>> {
    file.lines().filter(|line| !line.starts_with('#')).map(|line| line.split(':').collect())
}

fn number(entry: &[&str], field: usize) -> Option<u32> {
    id(entry.get(field)?)
}

/// The greatest number is no id: to setresuid(2) it means "leave it as it is", so its bearer would stay root.
fn id(text: &str) -> Option<u32> {
    text.parse().ok().filter(|&id| id != u32::MAX)
}

fn memberships<'a>(group: &'a str, name: &'a str) -> impl Iterator<Item = u32> + 'a {
    lines(group)
        .filter(move |entry| {
            !name.is_empty() && entry.get(3).is_some_and(|m| m.split(',').any(|member| member == name))
        })
        .filter_map(|entry| number(&entry, 2))
}

fn home_of(passwd: &str, uid: u32) -> String {
    let home = lines(passwd).find(|entry| number(entry, 2) == Some(uid)).and_then(|entry| entry.get(5).copied());
    home.filter(|home| !home.is_empty()).unwrap_or("/").to_owned()
}

fn missing(what: &str, name: &str, file: &str) -> Error {
    Error::not_found(format!("no {what} {name:?} in the root's {file}"))
        .help("give a number, or a name that the file has")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0::/root:/bin/sh\nada:x:1000:1001::/home/ada:/bin/sh\n7:x:70:70::/:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nada:x:1001:\nvideo:x:44:ada,bob\n";

    fn find(spec: &str) -> Result<Account> {
        Account::find(&spec.parse()?, PASSWD, GROUP)
    }

    #[test]
    fn a_name_brings_its_groups_and_home() {
        let ada = Account { uid: 1000, gid: 1001, groups: vec![1001, 44], home: "/home/ada".into() };
        assert_eq!(find("ada").unwrap(), ada);
        assert_eq!(find("1000").unwrap(), ada);
    }

    #[test]
    fn an_explicit_group_stands_alone() {
        assert_eq!(find("ada:video").unwrap().groups, [44]);
        assert_eq!(find("ada:99").unwrap().gid, 99);
    }

    #[test]
    fn a_number_needs_no_entry_and_a_name_wins_over_a_number() {
        let stranger = Account { uid: 4242, gid: 0, groups: vec![0], home: "/".into() };
        assert_eq!(find("4242").unwrap(), stranger);
        assert_eq!(find("7").unwrap().uid, 70);
    }

    #[test]
    fn minus_one_is_nobody() {
        for spec in ["4294967295", "7:4294967295", "-1", "4294967296"] {
            assert!(find(spec).is_err(), "{spec}");
        }
        let all = Account::find(&"eve".parse().unwrap(), "eve:x:4294967295:0::/:/bin/sh\n", "");
        assert!(all.is_err(), "an image's own /etc/passwd must not make root of a user");
    }

    #[test]
    fn what_is_missing_is_named() {
        assert!(find("eve").unwrap_err().what().contains("\"eve\" in the root's /etc/passwd"));
        assert!(find("ada:eve").unwrap_err().what().contains("group"));
        assert!(find(":1").is_err() && find("ada:").is_err() && find("").is_err());
    }
}
