//! Identity maps of a user namespace: which ids inside mean which ids outside (user_namespaces(7)).

use std::path::Path;
use std::process::Command;
use std::str::FromStr;

use nix::errno::Errno;
use nix::unistd::{Gid, Pid, Uid, User, getegid, geteuid};
use process::{Error, Kind, OrCall, Result, explain};

/// `INSIDE:OUTSIDE:LENGTH`, one line of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdRange {
    /// The first id inside.
    pub inside: u32,
    /// The id it is outside.
    pub outside: u32,
    /// How many.
    pub length: u32,
}

/// The two maps of a user namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdMap {
    /// User ids.
    pub uids: Vec<IdRange>,
    /// Group ids.
    pub gids: Vec<IdRange>,
}

impl FromStr for IdRange {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let numbers: Vec<u32> = text.split(':').map(str::parse).collect::<Result<_, _>>().unwrap_or_default();
        match numbers[..] {
            [inside, outside, length] if length > 0 => Ok(Self { inside, outside, length }),
            _ => Err(Error::invalid(format!("{text:?} is no id range"))
                .help("write INSIDE:OUTSIDE:LENGTH, as in 0:100000:65536")),
        }
    }
}

impl IdMap {
    /// The map of an ordinary user: 0 is the user, the rest comes from /etc/subuid and /etc/subgid if it can.
    pub fn of_user() -> Self {
        let (uid, gid) = (geteuid(), getegid());
        let whole = |own: u32, ranges: Vec<(u32, u32)>| {
            let mut map = vec![IdRange { inside: 0, outside: own, length: 1 }];
            let mut inside = 1_u32;
            for (outside, length) in ranges {
                let Some(next) = inside.checked_add(length) else { break }; // more ids than there are
                map.push(IdRange { inside, outside, length });
                inside = next;
            }
            map
        };
        let (uids, gids) = (subordinate("/etc/subuid", uid), subordinate("/etc/subgid", uid));
        if uids.is_empty() || gids.is_empty() || !helpers_exist() {
            return Self::single(uid, gid);
        }
        Self { uids: whole(uid.as_raw(), uids), gids: whole(gid.as_raw(), gids) }
    }

    /// One id each: all that the kernel lets an ordinary user write without help.
    pub fn single(uid: Uid, gid: Gid) -> Self {
        let one = |outside| vec![IdRange { inside: 0, outside, length: 1 }];
        Self { uids: one(uid.as_raw()), gids: one(gid.as_raw()) }
    }

    /// For containers of root: 65,536 ids that nobody else has.
    pub fn of_root() -> Self {
        let (outside, length) =
            subordinate("/etc/subuid", Uid::from_raw(0)).first().copied().unwrap_or((100_000, 65_536));
        let range = vec![IdRange { inside: 0, outside, length }];
        Self { uids: range.clone(), gids: range }
    }

    /// Is it the user alone?
    pub fn is_single(&self) -> bool {
        self.uids.iter().map(|range| u64::from(range.length)).sum::<u64>() == 1
    }

    /// Writes the maps of process `pid`: straight where we may, by newuidmap(1) where only it may.
    ///
    /// # Errors
    /// `EPERM` if the ranges are not ours to give; what newuidmap says otherwise.
    pub fn write(&self, pid: Pid) -> Result<()> {
        if geteuid().is_root() || self.is_single() {
            return self.write_files(pid);
        }
        run_helper("newuidmap", pid, &self.uids)?;
        run_helper("newgidmap", pid, &self.gids)
    }

    fn write_files(&self, pid: Pid) -> Result<()> {
        let put = |file: &str, text: String| {
            let path = format!("/proc/{pid}/{file}");
            std::fs::write(&path, &text).or_call("write", &path)?;
            explain!(3, "who is who in the user namespace", "write({path}, {:?})", text.trim_end());
            Ok(())
        };
        if !geteuid().is_root() {
            // Else a user could drop a group that is there to deny something (CVE-2014-8989).
            put("setgroups", "deny".to_owned())?;
        }
        put("uid_map", lines(&self.uids)).map_err(no_namespaces)?;
        put("gid_map", lines(&self.gids)).map_err(no_namespaces)
    }
}

fn no_namespaces(error: Error) -> Error {
    let help = match error.errno() {
        Some(Errno::EINVAL) => {
            "ranges must not overlap nor go beyond 4294967294, and 340 are the most (user_namespaces(7))"
        }
        _ => {
            "the ids are not ours to give, or the host restricts user namespaces (AppArmor); `step04 doctor` tells which"
        }
    };
    error.help(help)
}

fn lines(ranges: &[IdRange]) -> String {
    ranges.iter().map(|range| format!("{} {} {}\n", range.inside, range.outside, range.length)).collect()
}

/// newuidmap(1) and newgidmap(1) check the range against /etc/subuid and write the map with their own privilege.
fn run_helper(program: &str, pid: Pid, ranges: &[IdRange]) -> Result<()> {
    let numbers = ranges.iter().flat_map(|range| [range.inside, range.outside, range.length]);
    let arguments: Vec<_> = std::iter::once(pid.to_string()).chain(numbers.map(|number| number.to_string())).collect();
    let output = Command::new(program).args(&arguments).output().or_call("exec", program)?;
    explain!(3, "a range of ids, by a trusted helper", "{program} {}", arguments.join(" "));
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Error::new(Kind::Unsupported, format!("{program} {}: {}", arguments.join(" "), said.trim())).help(
        "the range must stand in /etc/subuid and /etc/subgid, and the helper be set-user-ID root; `step04 doctor` checks both",
    ))
}

fn helpers_exist() -> bool {
    find_program("newuidmap").is_some() && find_program("newgidmap").is_some()
}

/// Where a program of the host lies, if PATH or the system's directories have it.
pub fn find_program(name: &str) -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = ["/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin", "/sbin"].map(Into::into);
    std::env::split_paths(&path).chain(system).map(|directory| directory.join(name)).find(|file| file.is_file())
}

/// The ranges that subuid(5) gives a user, by name or by number.
pub fn subordinate(file: &str, uid: Uid) -> Vec<(u32, u32)> {
    let name = User::from_uid(uid).ok().flatten().map(|user| user.name);
    parse_subordinate(&std::fs::read_to_string(Path::new(file)).unwrap_or_default(), name.as_deref(), uid.as_raw())
}

fn parse_subordinate(text: &str, name: Option<&str>, uid: u32) -> Vec<(u32, u32)> {
    let number = uid.to_string();
    let entries = text.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let owner = fields.next()?;
        let range = (fields.next()?.parse().ok()?, fields.next()?.trim().parse().ok()?);
        (Some(owner) == name || owner == number).then_some(range)
    });
    entries.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_subuid_5_says() {
        let text = "ada:100000:65536\n1000:300000:10\nbob:1:1\nbroken\n";
        assert_eq!(parse_subordinate(text, Some("ada"), 1000), [(100_000, 65_536), (300_000, 10)]);
        assert_eq!(parse_subordinate(text, None, 7), []);
    }

    #[test]
    fn a_map_is_three_numbers_a_line() {
        let range: IdRange = "0:100000:65536".parse().unwrap();
        assert_eq!(lines(&[range]), "0 100000 65536\n");
        assert!(
            "0:1".parse::<IdRange>().is_err()
                && "0:1:0".parse::<IdRange>().is_err()
                && "a:b:c".parse::<IdRange>().is_err()
        );
    }
}
