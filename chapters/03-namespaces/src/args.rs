//! The options of this chapter, and the stages that they ask for.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};
use nix::sched::CloneFlags;
use nix::unistd::geteuid;
use process::{Error, Program, Result, Stage, UserSpec};

use crate::isolation::{CLONE_NEWTIME, Isolation};
use crate::running::Record;
use crate::{IdMap, IdRange, Manner, PivotRoot, SystemMounts, UserNamespace, id};

/// Options about namespaces.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Namespace options")]
pub struct NamespaceArgs {
    /// A name for the container; the first digits of its id if none
    #[arg(long, value_parser = id::check_name)]
    pub name: Option<String>,
    /// Its host name; the first digits of its id if none
    #[arg(long, value_parser = check_hostname)]
    pub hostname: Option<String>,
    /// Namespaces that stay the host's instead of being new
    #[arg(long, value_name = "NAMESPACE", value_delimiter = ',')]
    pub share: Vec<Namespace>,
    /// Make root a user namespace too (an ordinary user always gets one)
    #[arg(long)]
    pub userns: bool,
    /// Map user ids: INSIDE:OUTSIDE:LENGTH, or `single` for the own id alone
    #[arg(long, value_name = "MAP")]
    pub uidmap: Vec<MapArg>,
    /// Map group ids, as --uidmap; the same as the user ids if none
    #[arg(long, value_name = "MAP")]
    pub gidmap: Vec<MapArg>,
    /// Seconds by which the container's monotonic and boot clocks run ahead of the host's
    #[arg(long, value_name = "SECONDS", default_value_t = 0, allow_negative_numbers = true)]
    pub boot_offset: i64,
}

/// The eight kinds (namespaces(7)).
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[allow(missing_docs)]
pub enum Namespace {
    Cgroup,
    Ipc,
    Mnt,
    Net,
    Pid,
    Time,
    User,
    Uts,
}

impl Namespace {
    /// All of them, in the order of namespaces(7).
    pub const ALL: [Self; 8] =
        [Self::Cgroup, Self::Ipc, Self::Mnt, Self::Net, Self::Pid, Self::Time, Self::User, Self::Uts];

    /// The flag of clone(2).
    pub fn flag(self) -> CloneFlags {
        match self {
            Self::Cgroup => CloneFlags::CLONE_NEWCGROUP,
            Self::Ipc => CloneFlags::CLONE_NEWIPC,
            Self::Mnt => CloneFlags::CLONE_NEWNS,
            Self::Net => CloneFlags::CLONE_NEWNET,
            Self::Pid => CloneFlags::CLONE_NEWPID,
            Self::Time => CLONE_NEWTIME,
            Self::User => CloneFlags::CLONE_NEWUSER,
            Self::Uts => CloneFlags::CLONE_NEWUTS,
        }
    }

    /// Its name in /proc/PID/ns.
    pub fn file(self) -> &'static str {
        match self {
            Self::Cgroup => "cgroup",
            Self::Ipc => "ipc",
            Self::Mnt => "mnt",
            Self::Net => "net",
            Self::Pid => "pid",
            Self::Time => "time",
            Self::User => "user",
            Self::Uts => "uts",
        }
    }
}

/// A `--uidmap`: a range, or the own id alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MapArg {
    /// Only the own id, as 0.
    Single,
    /// A range of ids.
    Range(IdRange),
}

impl FromStr for MapArg {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text == "single" { Ok(Self::Single) } else { text.parse().map(Self::Range) }
    }
}

/// Who the container is and what is its own: the options, decided.
#[derive(Debug, Clone)]
pub struct Plan {
    /// 64 hexadecimal digits.
    pub id: String,
    /// The name.
    pub name: String,
    /// The host name.
    pub hostname: String,
    /// The namespaces that are new.
    pub flags: CloneFlags,
    /// The maps of a new user namespace, if there is to be one.
    pub map: Option<IdMap>,
    boot_offset: i64,
    manner: Manner,
}

impl NamespaceArgs {
    /// Decides: draws an id, fills in what was not given.
    ///
    /// # Errors
    /// Options that exclude each other.
    pub fn plan(&self) -> Result<Plan> {
        let id = id::random_id()?;
        let mut flags = CloneFlags::empty();
        for namespace in Namespace::ALL.into_iter().filter(|namespace| !self.share.contains(namespace)) {
            flags |= namespace.flag();
        }
        flags -= CloneFlags::CLONE_NEWUSER;
        if !flags.contains(CloneFlags::CLONE_NEWNS) {
            return Err(Error::invalid(
                "the mount namespace cannot be shared: taking a new root would take the host's away",
            )
            .help("leave `mnt` out of --share, or see step02, which only changes the root of one process"));
        }
        let map = self.map()?;
        Ok(Plan {
            name: self.name.clone().unwrap_or_else(|| id::short(&id).to_owned()),
            hostname: self.hostname.clone().unwrap_or_else(|| id::short(&id).to_owned()),
            id,
            flags,
            map,
            boot_offset: self.boot_offset,
            manner: Manner::default(),
        })
    }

    fn map(&self) -> Result<Option<IdMap>> {
        let shared = self.share.contains(&Namespace::User);
        let wanted = self.userns || !self.uidmap.is_empty() || !self.gidmap.is_empty();
        match (shared, geteuid().is_root(), wanted) {
            (true, _, true) => Err(Error::invalid("--share user excludes --userns, --uidmap and --gidmap")),
            (true, false, _) => Err(Error::unsupported("only root can make namespaces without a user namespace")
                .help("leave `user` out of --share, or run as root")),
            (true, true, _) | (_, true, false) => Ok(None),
            _ => self.explicit_map().map(Some),
        }
    }

    fn explicit_map(&self) -> Result<IdMap> {
        let own = IdMap::single(geteuid(), nix::unistd::getegid());
        let ranges = |args: &[MapArg], single: &[IdRange]| -> Vec<IdRange> {
            let each = args.iter().flat_map(|arg| match arg {
                MapArg::Single => single.to_vec(),
                MapArg::Range(range) => vec![*range],
            });
            each.collect()
        };
        let uids = ranges(&self.uidmap, &own.uids);
        let same = if self.gidmap.is_empty() { &self.uidmap } else { &self.gidmap };
        let gids = ranges(same, &own.gids);
        match (uids.is_empty(), gids.is_empty()) {
            (true, true) if geteuid().is_root() => Ok(IdMap::of_root()),
            (true, true) => Ok(IdMap::of_user()),
            (true, false) => Err(Error::invalid("--gidmap without --uidmap").help("give both")),
            _ => Ok(IdMap { uids, gids }),
        }
    }
}

impl Plan {
    /// The plan of a container that has its id and name already, and its host name too unless `hostname` is given.
    #[must_use]
    pub fn again(mut self, id: &str, name: &str, hostname: Option<&str>) -> Self {
        id.clone_into(&mut self.id);
        name.clone_into(&mut self.name);
        hostname.unwrap_or(id::short(id)).clone_into(&mut self.hostname);
        self
    }

    /// Tells `program` its host name, and remembers how it is started, for what `exec` runs beside it.
    pub fn remember(&mut self, program: &mut Program, user: Option<&UserSpec>) {
        if program.var("HOSTNAME").is_none() && self.flags.contains(CloneFlags::CLONE_NEWUTS) {
            program.set_var("HOSTNAME", &self.hostname);
        }
        self.manner = Manner::of(program, user);
    }

    /// The first stages of every list: the user namespace if there is one, the record, the namespaces.
    pub fn isolate(&self) -> Vec<Box<dyn Stage>> {
        let mut stages: Vec<Box<dyn Stage>> = Vec::new();
        if let Some(map) = &self.map {
            stages.push(Box::new(UserNamespace::new(map.clone())));
        }
        stages.push(Box::new(Record::new(&self.id, &self.name, self.manner.clone())));
        let (flags, hostname, boot_offset) = (self.flags, self.hostname.clone(), self.boot_offset);
        stages.push(Box::new(Isolation { flags, hostname, boot_offset }));
        stages
    }

    /// The stage that mounts /proc, /sys and /dev beneath `root`.
    pub fn system_mounts(&self, root: PathBuf) -> SystemMounts {
        SystemMounts::new(root, self.flags)
    }

    /// The stage that takes `root`.
    pub fn pivot_root(&self, root: PathBuf) -> PivotRoot {
        PivotRoot::new(root)
    }
}

/// A host name as hostname(7) has it: labels of letters, digits and hyphens, 64 bytes at most.
fn check_hostname(name: &str) -> Result<String> {
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && label.chars().all(|one| one.is_ascii_alphanumeric() || one == '-' || one == '_')
    };
    if name.len() <= 64 && name.split('.').all(label) {
        return Ok(name.to_owned());
    }
    Err(Error::invalid(format!("{name:?} is no host name")).help("letters, digits, hyphens and dots, 64 bytes at most"))
}
