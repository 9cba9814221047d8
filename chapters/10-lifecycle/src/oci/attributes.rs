//! What else a process has: how it is scheduled, how its reads are, what machine it believes to be on.

use cgroups::NumberList;
use nix::errno::Errno;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use oci_spec::runtime::{
    IOPriorityClass, Linux, LinuxMemoryPolicy, LinuxPersonalityDomain, LinuxSchedulerFlag, LinuxSchedulerPolicy,
    MemoryPolicyFlagType, MemoryPolicyModeType, Process, Scheduler,
};
use process::{Error, OrCall, Program, Result, Stage, explain};

use super::bundle::invalid;
use super::sys::{self, SchedAttr};

/// The attributes of a process, in the kernel's numbers.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Attributes {
    scheduler: Option<SchedAttr>,
    io_priority: Option<i32>,
    personality: Option<u64>,
    memory_policy: Option<(i32, Vec<u64>)>,
    cpus: Option<NumberList>,
}

/// The stage that sets them, while there still is the right to.
pub struct Assume(pub Attributes);

/// The attributes in `process`.
///
/// # Errors
/// [`Kind::Invalid`](process::Kind::Invalid) for values that the kernel would refuse.
pub fn of(process: &Process) -> Result<Attributes> {
    let scheduler = process.scheduler().as_ref().map(scheduler).transpose()?;
    let io_priority = process.io_priority().as_ref().map(|io| io_priority(io.class(), io.priority())).transpose()?;
    Ok(Attributes { scheduler, io_priority, ..Attributes::default() })
}

impl Attributes {
    /// With those in `linux`.
    ///
    /// # Errors
    /// As [`of`].
    pub fn with(mut self, linux: Option<&Linux>) -> Result<Self> {
        let Some(linux) = linux else { return Ok(self) };
        if let Some(personality) = linux.personality() {
            if personality.flags().as_ref().is_some_and(|flags| !flags.is_empty()) {
                return Err(invalid("linux.personality.flags: the specification has none yet"));
            }
            self.personality = Some(match personality.domain() {
                LinuxPersonalityDomain::PerLinux => 0,
                LinuxPersonalityDomain::PerLinux32 => 8, // PER_LINUX32 (personality(2))
            });
        }
        self.memory_policy = linux.memory_policy().as_ref().map(memory_policy).transpose()?;
        Ok(self)
    }

    /// On these CPUs (`execCPUAffinity.final`).
    ///
    /// # Errors
    /// What is no list of numbers.
    pub fn on(mut self, cpus: Option<&str>) -> Result<Self> {
        self.cpus = cpus.filter(|cpus| !cpus.is_empty()).map(str::parse).transpose()?;
        Ok(self)
    }
}

impl Stage for Assume {
    fn name(&self) -> &'static str {
        "process attributes"
    }

    fn start_container(&mut self, _program: &mut Program) -> Result<()> {
        let wanted = &self.0;
        if let Some(attr) = &wanted.scheduler {
            sys::sched_setattr(attr).or_call("sched_setattr", format!("policy {}", attr.policy)).map_err(not_ours)?;
            explain!(10, "when it gets a CPU", "sched_setattr(policy {}, nice {})", attr.policy, attr.nice);
        }
        if let Some(value) = wanted.io_priority {
            sys::ioprio_set(value).or_call("ioprio_set", value).map_err(not_ours)?;
            explain!(10, "when a disk serves it", "ioprio_set({value:#x})");
        }
        if let Some(persona) = wanted.personality {
            sys::personality(persona).or_call("personality", format!("{persona:#x}"))?;
            explain!(10, "what machine it believes to be on", "personality({persona:#x})");
        }
        if let Some((mode, nodes)) = &wanted.memory_policy {
            sys::set_mempolicy(*mode, nodes).or_call("set_mempolicy", mode)?;
            explain!(10, "from which memory it gets its pages", "set_mempolicy({mode})");
        }
        wanted.cpus.as_ref().map_or(Ok(()), pin)
    }
}

/// Puts this process on these CPUs.
///
/// # Errors
/// As sched_setaffinity(2): `EINVAL` if none of them is there, or allowed by the cpuset.
pub fn pin(cpus: &NumberList) -> Result<()> {
    let mut set = CpuSet::new();
    for &cpu in &cpus.0 {
        set.set(cpu as usize).or_call("sched_setaffinity", cpus)?;
    }
    sched_setaffinity(Pid::from_raw(0), &set).or_call("sched_setaffinity", cpus)?;
    explain!(10, "on which CPUs it runs", "sched_setaffinity({cpus})");
    Ok(())
}

fn not_ours(error: Error) -> Error {
    match error.errno() {
        Some(Errno::EPERM) => {
            error.help("it needs CAP_SYS_NICE on the host, or a limit that allows it (RLIMIT_NICE, RLIMIT_RTPRIO)")
        }
        _ => error,
    }
}

/// `process.scheduler` (sched_setattr(2), sched(7)).
fn scheduler(wanted: &Scheduler) -> Result<SchedAttr> {
    use LinuxSchedulerPolicy::{SchedBatch, SchedDeadline, SchedFifo, SchedIdle, SchedIso, SchedOther, SchedRr};
    let policy = match wanted.policy() {
        SchedOther => libc::SCHED_OTHER,
        SchedFifo => libc::SCHED_FIFO,
        SchedRr => libc::SCHED_RR,
        SchedBatch => libc::SCHED_BATCH,
        SchedIdle => libc::SCHED_IDLE,
        SchedDeadline => libc::SCHED_DEADLINE,
        SchedIso => return Err(invalid("process.scheduler: SCHED_ISO is reserved, no kernel has it")),
    };
    let (nice, priority) = (wanted.nice().unwrap_or(0), wanted.priority().unwrap_or(0));
    if !(-20..=19).contains(&nice) {
        return Err(invalid(&format!("process.scheduler.nice {nice} is not from -20 to 19")));
    }
    let real_time = matches!(wanted.policy(), SchedFifo | SchedRr);
    if priority != 0 && !real_time {
        return Err(invalid("process.scheduler.priority is for SCHED_FIFO and SCHED_RR only"));
    }
    let times = [*wanted.runtime(), *wanted.deadline(), *wanted.period()];
    if times.iter().flatten().any(|&time| time != 0) && *wanted.policy() != SchedDeadline {
        return Err(invalid("process.scheduler: runtime, deadline and period are for SCHED_DEADLINE only"));
    }
    let [runtime, deadline, period] = times.map(Option::unwrap_or_default);
    let flags = wanted.flags().iter().flatten().fold(0, |all, flag| all | scheduler_flag(*flag));
    let priority = u32::try_from(priority).map_err(|_| invalid("process.scheduler.priority is below 0"))?;
    Ok(SchedAttr {
        policy: policy.cast_unsigned(),
        flags,
        nice,
        priority,
        runtime,
        deadline,
        period,
        ..SchedAttr::default()
    })
}

/// `SCHED_FLAG_*` of linux/sched.h.
fn scheduler_flag(flag: LinuxSchedulerFlag) -> u64 {
    match flag {
        LinuxSchedulerFlag::SchedResetOnFork => 0x01,
        LinuxSchedulerFlag::SchedFlagReclaim => 0x02,
        LinuxSchedulerFlag::SchedFlagDLOverrun => 0x04,
        LinuxSchedulerFlag::SchedFlagKeepPolicy => 0x08,
        LinuxSchedulerFlag::SchedFlagKeepParams => 0x10,
        LinuxSchedulerFlag::SchedFlagUtilClampMin => 0x20,
        LinuxSchedulerFlag::SchedFlagUtilClampMax => 0x40,
    }
}

/// `process.ioPriority` as ioprio_set(2) packs it: the class above 13 bits of priority.
fn io_priority(class: IOPriorityClass, priority: i64) -> Result<i32> {
    let class = match class {
        IOPriorityClass::IoprioClassRt => 1,
        IOPriorityClass::IoprioClassBe => 2,
        IOPriorityClass::IoprioClassIdle => 3,
    };
    match i32::try_from(priority) {
        Ok(priority @ 0..=7) => Ok(class << 13 | priority),
        _ => Err(invalid(&format!("process.ioPriority.priority {priority} is not from 0 to 7"))),
    }
}

/// `linux.memoryPolicy` (set_mempolicy(2)).
fn memory_policy(policy: &LinuxMemoryPolicy) -> Result<(i32, Vec<u64>)> {
    let mode = match policy.mode() {
        MemoryPolicyModeType::MpolDefault => 0,
        MemoryPolicyModeType::MpolPreferred => 1,
        MemoryPolicyModeType::MpolBind => 2,
        MemoryPolicyModeType::MpolInterleave => 3,
        MemoryPolicyModeType::MpolLocal => 4,
        MemoryPolicyModeType::MpolPreferredMany => 5,
        MemoryPolicyModeType::MpolWeightedInterleave => 6,
    };
    let flags = policy.flags().iter().flatten().fold(0, |all, flag| {
        all | match flag {
            MemoryPolicyFlagType::MpolFNumaBalancing => 1 << 13,
            MemoryPolicyFlagType::MpolFRelativeNodes => 1 << 14,
            MemoryPolicyFlagType::MpolFStaticNodes => 1 << 15,
        }
    });
    let list = policy.nodes().as_deref().filter(|nodes| !nodes.is_empty()).map(str::parse::<NumberList>).transpose()?;
    let mut mask = Vec::new();
    for node in list.iter().flat_map(|list| &list.0) {
        let (word, bit) = (*node as usize / 64, *node % 64);
        if word >= 16 {
            return Err(invalid(&format!("linux.memoryPolicy.nodes: {node} is more than a kernel has")));
        }
        mask.resize(mask.len().max(word + 1), 0_u64);
        mask[word] |= 1 << bit;
    }
    Ok((mode | flags, mask))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(more: &str) -> Result<Attributes> {
        let text = format!(r#"{{"user":{{"uid":0,"gid":0}},"cwd":"/","args":["sh"],{more}}}"#);
        of(&serde_json::from_str(&text).unwrap())
    }

    #[test]
    fn numbers_as_the_kernel_has_them() {
        let found = attributes(r#""ioPriority":{"class":"IOPRIO_CLASS_IDLE","priority":7}"#).unwrap();
        assert_eq!(found.io_priority, Some(0x6007));
        let found = attributes(r#""scheduler":{"policy":"SCHED_BATCH","nice":19}"#).unwrap();
        assert_eq!(found.scheduler.map(|attr| (attr.policy, attr.nice)), Some((3, 19)));
    }

    #[test]
    fn what_the_kernel_would_refuse_is_refused_first() {
        for bad in [
            r#""ioPriority":{"class":"IOPRIO_CLASS_BE","priority":8}"#,
            r#""scheduler":{"policy":"SCHED_OTHER","nice":20}"#,
            r#""scheduler":{"policy":"SCHED_OTHER","priority":1}"#,
            r#""scheduler":{"policy":"SCHED_FIFO","priority":1,"runtime":1}"#,
            r#""scheduler":{"policy":"SCHED_ISO"}"#,
        ] {
            assert!(attributes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn nodes_become_a_mask() {
        let policy = serde_json::from_str(r#"{"mode":"MPOL_BIND","nodes":"0-1,65","flags":["MPOL_F_STATIC_NODES"]}"#);
        assert_eq!(memory_policy(&policy.unwrap()).unwrap(), (2 | 1 << 15, vec![3, 2]));
    }
}
