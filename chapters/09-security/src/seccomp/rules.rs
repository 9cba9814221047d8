//! A decided profile, call by call: what one architecture's system calls get.
//!
//! Names become numbers, and of the rules that name a call those remain that can decide. As with libseccomp and runc:
//!
//! - a name that the architecture does not have is ignored, for profiles are written for many;
//! - a rule that says what the default says is ignored;
//! - a rule without arguments wins over those with some, the first of them over the others;
//! - arguments of a rule must all fit, but if two of them look at the same one, any of them is enough (runc).
//!
//! Of rules with arguments the most restrictive one that fits wins, in the kernel's order (seccomp(2)). There libseccomp
//! has no rule that can be told: what it answers depends on how the rules are written, and some pairs it refuses.

use std::collections::BTreeMap;

use nix::errno::Errno;
use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSyscall};
use process::{Error, Result};

use super::{Arch, numbers};

/// The greatest errno that the kernel returns (linux/err.h, `MAX_ERRNO`); it cuts off a greater one.
const MAX_ERRNO: u32 = 4095;

/// What a filter returns for a call: action and data (seccomp(2), "SECCOMP_RET_*").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdict(pub u32);

impl Verdict {
    /// The call is made.
    pub const ALLOW: Self = Self(libc::SECCOMP_RET_ALLOW);
    /// The thread dies: libseccomp's answer to programs of an architecture that the profile does not name.
    pub const KILL_THREAD: Self = Self(libc::SECCOMP_RET_KILL_THREAD);
    /// The kernel does not have the call: programs fall back to an older one.
    pub const NOSYS: Self = Self(libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32);

    /// What `action` of a profile means.
    ///
    /// # Errors
    /// An errno above 4095, or with an action that takes none (config-linux.md demands the error).
    pub fn of(action: LinuxSeccompAction, errno: Option<u32>, place: &str) -> Result<Self> {
        use LinuxSeccompAction as Action;
        let data = errno.unwrap_or(libc::EPERM.cast_unsigned());
        let takes_one = matches!(action, Action::ScmpActErrno | Action::ScmpActTrace);
        if errno.is_some() && !takes_one {
            return Err(Error::invalid(format!("seccomp: {place}: {action} takes no errnoRet"))
                .help("leave it out, or write SCMP_ACT_ERRNO"));
        }
        if action == Action::ScmpActErrno && data > MAX_ERRNO {
            return Err(Error::invalid(format!("seccomp: {place}: errnoRet {data}, expected 0 to {MAX_ERRNO}")));
        }
        Ok(Self(match action {
            Action::ScmpActKill | Action::ScmpActKillThread => libc::SECCOMP_RET_KILL_THREAD,
            Action::ScmpActKillProcess => libc::SECCOMP_RET_KILL_PROCESS,
            Action::ScmpActTrap => libc::SECCOMP_RET_TRAP,
            Action::ScmpActErrno => libc::SECCOMP_RET_ERRNO | data,
            Action::ScmpActNotify => libc::SECCOMP_RET_USER_NOTIF,
            Action::ScmpActTrace => libc::SECCOMP_RET_TRACE | (data & libc::SECCOMP_RET_DATA),
            Action::ScmpActLog => libc::SECCOMP_RET_LOG,
            Action::ScmpActAllow => libc::SECCOMP_RET_ALLOW,
        }))
    }

    fn action(self) -> u32 {
        self.0 & libc::SECCOMP_RET_ACTION_FULL
    }

    /// The kernel's order: what is less as a signed number is more restrictive (kernel/seccomp.c).
    fn rank(self) -> i32 {
        self.action().cast_signed()
    }

    /// Is a call made, or meant to be dealt with, that nobody knew when the profile was written? (runc)
    fn is_permissive(self) -> bool {
        [libc::SECCOMP_RET_ALLOW, libc::SECCOMP_RET_LOG, libc::SECCOMP_RET_TRACE].contains(&self.action())
    }
}

/// `EPERM`, `killed`, `allowed`: as a person says it.
impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let data = self.0 & libc::SECCOMP_RET_DATA;
        match self.action() {
            libc::SECCOMP_RET_ALLOW => write!(f, "allowed"),
            libc::SECCOMP_RET_LOG => write!(f, "allowed, and logged"),
            libc::SECCOMP_RET_TRACE => write!(f, "put to its tracer ({data}), ENOSYS without one"),
            libc::SECCOMP_RET_USER_NOTIF => write!(f, "put to the listener"),
            libc::SECCOMP_RET_ERRNO => write!(f, "{:?}", Errno::from_raw(data.cast_signed())),
            libc::SECCOMP_RET_TRAP => write!(f, "SIGSYS"),
            libc::SECCOMP_RET_KILL_THREAD => write!(f, "the thread is killed by SIGSYS"),
            _ => write!(f, "the process is killed by SIGSYS"),
        }
    }
}

/// What happens to a call.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Whatever its arguments.
    Always(Verdict),
    /// The first of these whose arguments all fit, or else the default.
    When(Vec<(Vec<LinuxSeccompArg>, Verdict)>),
}

/// What the calls of one architecture get.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Whose calls.
    pub arch: Arch,
    /// What calls without a rule get.
    pub default: Verdict,
    /// The others, by number.
    pub calls: BTreeMap<u32, Answer>,
    /// The greatest number that the profile names, if calls above it are to get `ENOSYS`: they are newer than the
    /// profile, and to a program the kernel shall look as old as it (runc, libcontainer/seccomp/patchbpf).
    pub newest: Option<u32>,
}

/// The profile's default.
///
/// # Errors
/// As [`Verdict::of`]; a listener for everything cannot be: it would have to answer for its own start.
pub fn default(profile: &LinuxSeccomp) -> Result<Verdict> {
    let verdict = Verdict::of(profile.default_action(), profile.default_errno_ret(), "defaultAction")?;
    match verdict.action() {
        libc::SECCOMP_RET_USER_NOTIF => Err(Error::invalid("seccomp: defaultAction SCMP_ACT_NOTIFY")
            .help("name the calls that the listener answers in a rule")),
        _ => Ok(verdict),
    }
}

/// What the calls of each of `arches` get.
///
/// # Errors
/// As [`Verdict::of`], for every rule, also one that has no part in the outcome.
pub fn decide(profile: &LinuxSeccomp, arches: &[Arch]) -> Result<Vec<Rules>> {
    let default = default(profile)?;
    let empty = |&arch| Rules { arch, default, calls: BTreeMap::new(), newest: None };
    let mut all: Vec<_> = arches.iter().map(empty).collect();
    for (at, rule) in profile.syscalls().iter().flatten().enumerate() {
        let verdict = Verdict::of(rule.action(), rule.errno_ret(), &format!("syscalls[{at}]"))?;
        check(rule, verdict, at)?;
        let clauses = clauses(rule);
        for numbers in rule.names().iter().filter_map(|name| numbers::numbers(name)) {
            for rules in &mut all {
                if let Some(number) = numbers[rules.arch as usize] {
                    rules.add(number, &clauses, verdict);
                }
            }
        }
    }
    all.iter_mut().for_each(Rules::finish);
    Ok(all)
}

/// The alternatives that fit a rule: any of them, each with all its arguments. No arguments: always.
fn clauses(rule: &LinuxSyscall) -> Vec<Vec<LinuxSeccompArg>> {
    let args = rule.args().as_deref().unwrap_or_default();
    let twice = args.iter().enumerate().any(|(at, arg)| args[..at].iter().any(|before| before.index() == arg.index()));
    if twice { args.iter().map(|&arg| vec![arg]).collect() } else { vec![args.to_vec()] }
}

fn check(rule: &LinuxSyscall, verdict: Verdict, at: usize) -> Result<()> {
    if let Some(arg) = rule.args().iter().flatten().find(|arg| arg.index() > 5) {
        let what = format!("seccomp: syscalls[{at}]: argument {}, expected 0 to 5", arg.index());
        return Err(Error::invalid(what).help("a system call has six arguments"));
    }
    let notify = verdict.action() == libc::SECCOMP_RET_USER_NOTIF;
    if notify && rule.names().iter().any(|name| name == "sendmsg") {
        // By sendmsg the listener gets the descriptor: nobody would be there to answer it.
        return Err(Error::invalid(format!("seccomp: syscalls[{at}]: SCMP_ACT_NOTIFY for sendmsg"))
            .help("let the listener answer other calls: nothing can be handed to it without sendmsg"));
    }
    Ok(())
}

impl Rules {
    fn add(&mut self, number: u32, clauses: &[Vec<LinuxSeccompArg>], verdict: Verdict) {
        self.newest = self.newest.max(Some(number));
        if verdict == self.default {
            return;
        }
        match self.calls.entry(number).or_insert_with(|| Answer::When(Vec::new())) {
            Answer::Always(_) => {}
            answer if clauses.iter().any(Vec::is_empty) => *answer = Answer::Always(verdict),
            Answer::When(cases) => cases.extend(clauses.iter().map(|args| (args.clone(), verdict))),
        }
    }

    fn finish(&mut self) {
        for answer in self.calls.values_mut() {
            if let Answer::When(cases) = answer {
                cases.sort_by_key(|(_, verdict)| verdict.rank());
            }
        }
        if self.default.is_permissive() || self.default == Verdict::NOSYS {
            self.newest = None;
        }
    }

    /// What the call gets, if it does not depend on its arguments.
    pub fn answer(&self, number: u32) -> Answer {
        match self.calls.get(&number) {
            Some(answer) => answer.clone(),
            None if self.newest.is_some_and(|newest| number > newest) => Answer::Always(Verdict::NOSYS),
            None => Answer::Always(self.default),
        }
    }
}
