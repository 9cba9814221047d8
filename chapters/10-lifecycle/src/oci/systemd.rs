//! `--systemd-cgroup`: systemd makes the control group, as a transient scope, and nobody else may.
//!
//! cgroupsPath is then no path but `slice:prefix:name`, as runc has it: the unit `prefix-name.scope` in that slice.
//! The request goes over D-Bus, by the program busctl: one call is no reason for a client library.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cgroups::{Group, Hierarchy};
use nix::unistd::{Pid, geteuid};
use process::{Child, Error, Kind, OrCall, Result, Stage, explain};

use super::resources::{self, Write};
use super::{Bundle, store};

/// How long systemd may take to move the process.
const PATIENCE: Duration = Duration::from_secs(10);

/// The unit that shall hold the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    slice: String,
    name: String,
    /// Of the user's own systemd.
    user: bool,
}

/// The stage that has systemd move the container into its scope, and sets the limits.
pub struct ScopeStage {
    scope: Scope,
    writes: Vec<Write>,
}

impl ScopeStage {
    /// The scope of `bundle`'s container `id`.
    ///
    /// # Errors
    /// As [`Scope::parse`] and [`resources::writes`].
    pub fn new(bundle: &Bundle, id: &str) -> Result<Self> {
        let linux = bundle.linux();
        let path = linux.and_then(|linux| linux.cgroups_path().as_deref()).and_then(Path::to_str);
        let writes = resources::writes(linux.and_then(|linux| linux.resources().as_ref()))?;
        Ok(Self { scope: Scope::parse(path, id)?, writes })
    }
}

impl Stage for ScopeStage {
    fn name(&self) -> &'static str {
        "systemd scope"
    }

    // The child waits and has done nothing yet: what it will do counts in the group from the start.
    fn create_runtime(&mut self, child: &Child) -> Result<()> {
        let limits: Vec<_> = self.writes.iter().map(|write| (&*write.file, write.value.as_str())).collect();
        let path = self.scope.start(child.pid(), &limits)?;
        resources::apply(&Group::open(path)?, &self.writes)
    }
}

/// A property of a unit, as busctl takes it: name, type, values.
type Property = Vec<String>;

impl Scope {
    /// The one that `cgroups_path` names, for the container `id`.
    ///
    /// # Errors
    /// [`Kind::Invalid`] if it is not `slice:prefix:name`.
    pub fn parse(cgroups_path: Option<&str>, id: &str) -> Result<Self> {
        let user = is_ordinary();
        let default = if user { "user.slice" } else { "system.slice" };
        let Some(path) = cgroups_path.filter(|path| !path.is_empty()) else {
            return Ok(Self { slice: default.to_owned(), name: format!("cooper-{id}.scope"), user });
        };
        let parts: Vec<_> = path.split(':').collect();
        let [slice, prefix, name] = parts[..] else {
            let what = format!(
                "expected cgroupsPath to be of format \"slice:prefix:name\" for systemd cgroups, got {path:?} instead"
            );
            return Err(Error::invalid(what).help("leave --systemd-cgroup out to have it taken for a path"));
        };
        let slice = if slice.is_empty() { default } else { slice };
        let plain = |text: &str| !text.contains(['/', '\0']);
        if !slice.ends_with(".slice")
            || !plain(slice)
            || slice.contains("--")
            || slice.starts_with('-')
            || !plain(prefix)
            || !plain(name)
            || name.is_empty()
        {
            return Err(Error::invalid(format!("cgroupsPath {path:?} names no unit of systemd's")));
        }
        let name = if prefix.is_empty() { format!("{name}.scope") } else { format!("{prefix}-{name}.scope") };
        Ok(Self { slice: slice.to_owned(), name, user })
    }

    /// Has systemd move process `pid` into the new scope, with those limits that systemd would otherwise set back;
    /// gives the group's directory.
    ///
    /// # Errors
    /// [`Kind::Unsupported`] if there is no systemd to ask, [`Kind::Invalid`] with what it answered.
    pub fn start(&self, pid: Pid, limits: &[(&str, &str)]) -> Result<PathBuf> {
        let hierarchy = Hierarchy::find()?;
        let before = group_of(pid);
        self.call(pid, limits)?;
        explain!(10, "systemd moves it into a group of its own", "StartTransientUnit({}, {pid})", self.name);
        // The answer is a job; the process is moved when that is done.
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            let now = group_of(pid);
            if now != before && now.as_deref().is_some_and(|group| group.ends_with(&self.name)) {
                let path = now.as_deref().and_then(|group| hierarchy.path_of(group));
                return path
                    .ok_or_else(|| Error::unsupported("the scope lies outside of what is mounted of the cgroups"));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let what = format!("systemd has not moved process {pid} into {} within {} s", self.name, PATIENCE.as_secs());
        Err(Error::new(Kind::Unavailable, what).help(format!("`systemctl status {}` tells more", self.name)))
    }

    fn call(&self, pid: Pid, limits: &[(&str, &str)]) -> Result<()> {
        let mut command = Command::new("busctl");
        if self.user {
            command.arg("--user");
        }
        command.args([
            "--quiet",
            "--expect-reply=yes",
            "call",
            "org.freedesktop.systemd1",
            "/org/freedesktop/systemd1",
        ]);
        command.args([
            "org.freedesktop.systemd1.Manager",
            "StartTransientUnit",
            "ssa(sv)a(sa(sv))",
            &self.name,
            "fail",
        ]);
        let properties = self.properties(pid, limits);
        command.arg(properties.len().to_string()).args(properties.concat()).arg("0");
        let done = command.stdin(Stdio::null()).output();
        let help = "systemd has to run and its program busctl to be installed; without them leave --systemd-cgroup out";
        let done = done
            .or_call("exec", "busctl")
            .map_err(|error| Error::unsupported(format!("--systemd-cgroup: {}", error.what())).help(help))?;
        if done.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&done.stderr).trim().to_owned();
        Err(Error::unsupported(format!("--systemd-cgroup: StartTransientUnit {}: {said}", self.name)).help(help))
    }

    fn properties(&self, pid: Pid, limits: &[(&str, &str)]) -> Vec<Property> {
        let texts = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let mut all = vec![
            texts(&["Description", "s", "a container of cooper-runtime"]),
            texts(&["Slice", "s", &self.slice]),
            // What is below the scope is the container's own affair.
            texts(&["Delegate", "b", "true"]),
            texts(&["DefaultDependencies", "b", "false"]),
            texts(&["CollectMode", "s", "inactive-or-failed"]),
            texts(&["PIDs", "au", "1", &pid.to_string()]),
        ];
        for accounting in ["CPUAccounting", "MemoryAccounting", "TasksAccounting", "IOAccounting"] {
            all.push(texts(&[accounting, "b", "true"]));
        }
        all.extend(limits.iter().flat_map(|(file, value)| property(file, value)));
        all
    }
}

/// A limit as systemd knows it. Limits are written into the group as well; but what systemd does not know of, it sets
/// back when it next looks at its units.
fn property(file: &str, value: &str) -> Vec<Property> {
    let number = |name: &str, value: &str| {
        let number = if value == "max" { u64::MAX.to_string() } else { value.to_owned() };
        vec![vec![name.to_owned(), "t".to_owned(), number]]
    };
    match file {
        "memory.max" => number("MemoryMax", value),
        "memory.high" => number("MemoryHigh", value),
        "memory.low" => number("MemoryLow", value),
        "memory.min" => number("MemoryMin", value),
        "memory.swap.max" => number("MemorySwapMax", value),
        "pids.max" => number("TasksMax", value),
        "cpu.weight" => number("CPUWeight", value),
        "io.weight" | "io.bfq.weight" => number("IOWeight", value.trim_start_matches("default ")),
        "cpu.max" => cpu_quota(value),
        "cpuset.cpus" => bit_mask("AllowedCPUs", value),
        "cpuset.mems" => bit_mask("AllowedMemoryNodes", value),
        _ => Vec::new(),
    }
}

/// `QUOTA PERIOD` in microseconds; systemd wants the quota for a second.
fn cpu_quota(value: &str) -> Vec<Property> {
    let mut words = value.split_whitespace();
    let quota = words.next().unwrap_or("max");
    let period: u64 = words.next().and_then(|word| word.parse().ok()).unwrap_or(100_000);
    let each_second = match quota.parse::<u64>() {
        // Rounded up to its steps of 10 ms, as runc does.
        Ok(quota) => (quota * 1_000_000 / period.max(1)).div_ceil(10_000) * 10_000,
        Err(_) => u64::MAX,
    };
    let number = |name: &str, value: u64| vec![name.to_owned(), "t".to_owned(), value.to_string()];
    vec![number("CPUQuotaPerSecUSec", each_second), number("CPUQuotaPeriodUSec", period)]
}

/// `0-2,5` as bytes whose bits are the numbers, bit 0 of the first one being number 0.
fn bit_mask(name: &str, list: &str) -> Vec<Property> {
    let mut bytes: Vec<u8> = Vec::new();
    for part in list.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (Ok(first), Ok(last)) = (first.trim().parse::<u16>(), last.trim().parse::<u16>()) else {
            return Vec::new();
        };
        for bit in first..=last {
            let byte = usize::from(bit / 8);
            bytes.resize(bytes.len().max(byte + 1), 0);
            bytes[byte] |= 1 << (bit % 8);
        }
    }
    let mut property = vec![name.to_owned(), "ay".to_owned(), bytes.len().to_string()];
    property.extend(bytes.iter().map(u8::to_string));
    vec![property]
}

/// Not root, or root of a user namespace only: then the user's own systemd is the one to ask.
fn is_ordinary() -> bool {
    !geteuid().is_root() || store::is_mapped()
}

fn group_of(pid: Pid) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    text.lines().find_map(|line| line.strip_prefix("0::")).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_parts_name_a_unit() {
        let scope = Scope::parse(Some("machine.slice:libpod:ab"), "x").unwrap();
        assert_eq!((scope.slice.as_str(), scope.name.as_str()), ("machine.slice", "libpod-ab.scope"));
        assert_eq!(Scope::parse(Some("a-b.slice::ab"), "x").unwrap().name, "ab.scope");
        let default = Scope::parse(None, "x").unwrap();
        assert_eq!(default.name, "cooper-x.scope");
        assert!(Scope::parse(Some(":p:n"), "x").unwrap().slice.ends_with(".slice"));
        for bad in ["/a/b", "a:b", "a:b:c:d", "a:b:c", "a.slice:b:", "../a.slice:b:c", "-.slice:a:b"] {
            assert!(Scope::parse(Some(bad), "x").is_err(), "{bad}");
        }
    }

    #[test]
    fn limits_are_told_in_systemds_words() {
        let words = |file, value| property(file, value).concat().join(" ");
        assert_eq!(words("memory.max", "1048576"), "MemoryMax t 1048576");
        assert_eq!(words("pids.max", "max"), "TasksMax t 18446744073709551615");
        assert_eq!(words("cpu.max", "50000 100000"), "CPUQuotaPerSecUSec t 500000 CPUQuotaPeriodUSec t 100000");
        assert_eq!(
            words("cpu.max", "max 100000"),
            "CPUQuotaPerSecUSec t 18446744073709551615 CPUQuotaPeriodUSec t 100000"
        );
        assert_eq!(words("cpuset.cpus", "0-2,9"), "AllowedCPUs ay 2 7 2");
        assert_eq!(words("hugetlb.2MB.max", "0"), "");
    }
}
