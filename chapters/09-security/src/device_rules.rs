//! Which devices a container may use: a small program that the kernel asks at each open and mknod.
//!
//! cgroup v2 has no file for devices. Instead a BPF program is attached to the group (`BPF_PROG_TYPE_CGROUP_DEVICE`);
//! it is asked "may one read, write or make a node of the device MAJOR:MINOR?", and answers 0 or 1. Several may be
//! attached, to a group and to those above it: all must say 1. So what a container attaches itself can only take away.

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::str::FromStr;

use cgroups::{Group, Hierarchy};
use nix::errno::Errno;
use process::{Child, Error, Kind, OrCall, Result, Stage, explain};

use crate::bpf::{ANSWER, CONTEXT, Op, Reg};
use crate::{Access, DeviceKind, DeviceRule, sys};

// What the kernel asks (struct bpf_cgroup_dev_ctx, linux/bpf.h): access << 16 | kind, major, minor.
const KIND: Reg = Reg(2);
const WANTED: Reg = Reg(3);
const MAJOR: Reg = Reg(4);
const MINOR: Reg = Reg(5);

const BLOCK: u32 = 1;
const CHAR: u32 = 2;
const MKNOD: u32 = 1;
const READ: u32 = 2;
const WRITE: u32 = 4;

/// What Docker and runc allow every container, before what it is given by option. The rest is denied.
pub fn default_rules() -> Vec<DeviceRule> {
    // Nodes of any device may be made: as long as they cannot be opened they are names, and archives have them.
    const ALLOWED: [&str; 12] = [
        "c *:* m",
        "b *:* m",
        "c 1:3 rwm",    // null
        "c 1:5 rwm",    // zero
        "c 1:7 rwm",    // full
        "c 1:8 rwm",    // random
        "c 1:9 rwm",    // urandom
        "c 5:0 rwm",    // tty
        "c 5:1 rwm",    // console
        "c 5:2 rwm",    // ptmx
        "c 136:* rwm",  // pts/N
        "c 10:200 rwm", // net/tun
    ];
    let deny_all = DeviceRule { allow: false, kind: None, major: None, minor: None, access: Access::ALL };
    std::iter::once(deny_all).chain(ALLOWED.iter().filter_map(|rule| rule.parse().ok())).collect()
}

/// As OCI hands over a list that names no rule for them: what a runtime must allow in any case (runc, `AllowedDevices`).
pub fn with_defaults(rules: Vec<DeviceRule>) -> Vec<DeviceRule> {
    let defaults = default_rules().into_iter().skip(1);
    rules.into_iter().chain(defaults).collect()
}

/// The program for `rules`. For each thing that is wanted (`r`, `w`, `m`) the last rule decides that names the device
/// and the thing; what no rule names is denied; all must be allowed.
pub fn render(rules: &[DeviceRule]) -> Vec<Op> {
    let mut program = vec![
        Op::Load { to: KIND, offset: 0 },
        Op::Copy { to: WANTED, from: KIND },
        Op::And { reg: KIND, mask: 0xffff },
        Op::Shift { reg: WANTED, by: 16 },
        Op::Load { to: MAJOR, offset: 4 },
        Op::Load { to: MINOR, offset: 8 },
    ];
    program.extend(allow_if_nothing_is_left());
    // From the last to the first: what one decides is taken out of what is wanted.
    for rule in rules.iter().rev().filter(|rule| rule.kind != Some(DeviceKind::Fifo)) {
        program.extend(block(rule));
        if is_about_everything(rule) {
            return program; // the verifier refuses instructions that nothing leads to
        }
    }
    program.extend(answer(0));
    program
}

fn is_about_everything(rule: &DeviceRule) -> bool {
    (rule.kind, rule.major, rule.minor, rule.access) == (None, None, None, Access::ALL)
}

fn answer(value: u32) -> [Op; 2] {
    [Op::Set { to: ANSWER, value }, Op::Exit]
}

fn allow_if_nothing_is_left() -> [Op; 3] {
    let [set, exit] = answer(1);
    [Op::Unless { reg: WANTED, value: 0, skip: 2 }, set, exit]
}

/// One rule: tests that jump behind it, then what it decides.
fn block(rule: &DeviceRule) -> Vec<Op> {
    let bits = rule.access.bits();
    let body = match (rule.allow, rule.access == Access::ALL) {
        (allow, true) => answer(u32::from(allow)).to_vec(),
        (false, false) => {
            [Op::IfAny { reg: WANTED, bits, skip: 1 }, Op::Jump { skip: 2 }].into_iter().chain(answer(0)).collect()
        }
        (true, false) => {
            std::iter::once(Op::And { reg: WANTED, mask: !bits }).chain(allow_if_nothing_is_left()).collect()
        }
    };
    let kind = rule.kind.map(|kind| (KIND, if kind == DeviceKind::Block { BLOCK } else { CHAR }));
    let tests = [kind, rule.major.map(|major| (MAJOR, major)), rule.minor.map(|minor| (MINOR, minor))];
    let mut block = body;
    for (reg, value) in tests.into_iter().flatten().rev() {
        block.insert(0, Op::Unless { reg, value, skip: block.len() as u16 });
    }
    block
}

/// Attaches the program for `rules` to `group`, in the place of the one that was there. Gives its length.
///
/// # Errors
/// As bpf(2): `EPERM` for all but root of the machine's first user namespace.
pub fn attach(group: &Group, rules: &[DeviceRule]) -> Result<usize> {
    debug_assert_eq!(CONTEXT, Reg(1));
    let program: Vec<u64> = render(rules).into_iter().map(Op::encode).collect();
    let loaded = sys::bpf_load_device_program(&program, c"cooper_devices");
    let loaded = loaded.or_call("bpf", format!("PROG_LOAD, {} instructions", program.len()))?;
    let there = sys::bpf_device_programs(group.as_fd()).or_call("bpf", "PROG_QUERY")?;
    let place = || format!("PROG_ATTACH to {}", group.path().display());
    sys::bpf_attach(group.as_fd(), loaded.as_fd(), there.first().map(OwnedFd::as_fd)).or_call("bpf", place())?;
    for old in there.iter().skip(1) {
        sys::bpf_detach(group.as_fd(), old.as_fd()).or_call("bpf", "PROG_DETACH")?;
    }
    explain!(9, "the kernel asks it at each open of a device", "bpf(PROG_ATTACH, {} rules)", rules.len());
    Ok(program.len())
}

/// The stage that attaches the rules to the container's group, once the container's own nodes are made.
pub struct DeviceRules {
    rules: Vec<DeviceRule>,
    asked: bool,
}

impl DeviceRules {
    /// These rules; with `asked` they were given by option, and it is an error if they cannot be enforced.
    pub fn new(rules: Vec<DeviceRule>, asked: bool) -> Self {
        Self { rules, asked }
    }
}

impl Stage for DeviceRules {
    fn name(&self) -> &'static str {
        "device rules"
    }

    // Not before: the nodes of --device are made by then, whatever the rules say about `m`.
    fn furnished(&mut self, child: &Child) -> Result<()> {
        if self.rules.last().is_none_or(|rule| rule.allow && is_about_everything(rule)) {
            return Ok(()); // nothing is denied: no need to ask at each open
        }
        let done = own_group(child).and_then(|group| attach(&group, &self.rules).map(drop));
        match done {
            Err(error) if !self.asked && is_mild(&error) => {
                explain!(9, "no device rules: what may not be made cannot be opened", "{}", error.what());
                Ok(())
            }
            Err(error) => Err(explained(error)),
            Ok(()) => Ok(()),
        }
    }
}

fn is_mild(error: &Error) -> bool {
    let refused = [Errno::EPERM, Errno::EACCES, Errno::ENOSYS, Errno::EINVAL];
    error.kind() == Kind::Unsupported || error.errno().is_some_and(|errno| refused.contains(&errno))
}

fn explained(error: Error) -> Error {
    match error.errno() {
        Some(Errno::EPERM) => {
            error.help("device rules are for root's containers: bpf(2) needs CAP_BPF and CAP_SYS_ADMIN")
        }
        Some(Errno::ENOSYS | Errno::EINVAL) => error.help("a kernel with CONFIG_CGROUP_BPF is needed"),
        _ => error,
    }
}

/// The group of the child, if it is not ours: a program attached to that would hold us, too.
fn own_group(child: &Child) -> Result<Group> {
    let hierarchy = Hierarchy::find()?;
    let (childs, ours) = (group_in(&child.proc("cgroup"))?, group_in(Path::new("/proc/self/cgroup"))?);
    if Path::new(&ours).starts_with(&childs) {
        return Err(Error::unsupported("device rules need a control group of the container's own")
            .help("see `doctor`: cgroup v2, and the right to make groups there"));
    }
    let path = hierarchy.path_of(&childs);
    Group::open(
        path.ok_or_else(|| Error::unsupported(format!("the group {childs} lies outside what is mounted here")))?,
    )
}

fn group_in(file: &Path) -> Result<String> {
    let text = std::fs::read_to_string(file).or_call("read", file.display())?;
    let line = text.lines().find_map(|line| line.strip_prefix("0::"));
    line.map(str::to_owned).ok_or_else(|| {
        Error::unsupported("device rules need cgroup v2").help("boot with systemd.unified_cgroup_hierarchy=1")
    })
}

/// Can device rules be enforced here? Where not, root's containers must not be able to make nodes, since nothing would
/// keep them from opening what they made: they keep no `CAP_MKNOD`.
pub fn enforceable() -> bool {
    nix::unistd::geteuid().is_root() && !layers::in_user_namespace() && cgroups::Place::find().is_ok()
}

impl Access {
    fn bits(self) -> u32 {
        let bit = |is_set, bit| if is_set { bit } else { 0 };
        bit(self.read, READ) | bit(self.write, WRITE) | bit(self.mknod, MKNOD)
    }
}

impl FromStr for Access {
    type Err = Error;

    /// Reads `r`, `rw`, `mrw` and so on.
    fn from_str(text: &str) -> Result<Self> {
        let mut access = Self::default();
        for letter in text.chars() {
            match letter {
                'r' => access.read = true,
                'w' => access.write = true,
                'm' => access.mknod = true,
                _ => return Err(not_access(text)),
            }
        }
        if access == Self::default() || text.len() > 3 { Err(not_access(text)) } else { Ok(access) }
    }
}

fn not_access(text: &str) -> Error {
    Error::invalid(format!("{text:?} says not what may be done with a device"))
        .help("r to read, w to write, m to make a node: for example rwm")
}

impl fmt::Display for Access {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letters = [(self.read, "r"), (self.write, "w"), (self.mknod, "m")];
        letters.iter().filter(|(is_set, _)| *is_set).try_for_each(|(_, letter)| out.write_str(letter))
    }
}

impl FromStr for DeviceRule {
    type Err = Error;

    /// Reads `TYPE MAJOR:MINOR ACCESS`, as `--device-cgroup-rule` has it: something more that is allowed.
    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::invalid(format!("{text:?} is no rule for devices")).help(
                "write TYPE MAJOR:MINOR ACCESS, as in 'c 10:229 rwm'; TYPE is a, b or c, and * stands for any number",
            )
        };
        let words: Vec<_> = text.split(' ').collect();
        let [kind, numbers, access] = words[..] else { return Err(wrong()) };
        let kind = match kind {
            "a" => None,
            "b" => Some(DeviceKind::Block),
            "c" => Some(DeviceKind::Char),
            _ => return Err(wrong()),
        };
        let number = |text: &str| match text {
            "*" => Ok(None),
            digits => digits.parse().map(Some).map_err(|_| wrong()),
        };
        let (major, minor) = numbers.split_once(':').ok_or_else(wrong)?;
        Ok(Self { allow: true, kind, major: number(major)?, minor: number(minor)?, access: access.parse()? })
    }
}

impl fmt::Display for DeviceRule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            None => 'a',
            Some(DeviceKind::Block) => 'b',
            Some(DeviceKind::Char) => 'c',
            Some(DeviceKind::Fifo) => 'p',
        };
        let number = |number: Option<u32>| number.map_or("*".to_owned(), |number| number.to_string());
        write!(out, "{kind} {}:{} {}", number(self.major), number(self.minor), self.access)
    }
}

#[cfg(test)]
#[path = "device_rules_tests.rs"]
mod tests;
