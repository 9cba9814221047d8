//! `linux.resources` as writes to the files of a control group (config-linux.md, "Control groups"; cgroup-v2.rst).
//!
//! The specification's words are version 1's. What version 2 calls otherwise is converted as runc and crun do it; what
//! it does not have is refused. `unified` names version 2's files itself and comes last, so that it has the last word.

use std::borrow::Cow;

use cgroups::{Group, weight_of_shares};
use nix::errno::Errno;
use oci_spec::runtime::{LinuxBlockIo, LinuxCpu, LinuxHugepageLimit, LinuxMemory, LinuxResources, LinuxThrottleDevice};
use process::{Error, Kind, Result, explain};

use super::bundle::invalid;

/// One write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The property that asks for it.
    pub property: Cow<'static, str>,
    /// The file and the value.
    pub file: Cow<'static, str>,
    /// What to write.
    pub value: String,
    /// Where the kernel may lack the file: another one that does the same, with its value.
    pub or: Option<(&'static str, String)>,
    /// Not to be set below what is in use (`memory.checkBeforeUpdate`).
    pub check: bool,
}

/// The writes for `resources`, in their order.
///
/// # Errors
/// [`Kind::Invalid`] for values that contradict each other, [`Kind::Unsupported`] for what only version 1 had.
pub fn writes(resources: Option<&LinuxResources>) -> Result<Vec<Write>> {
    let Some(resources) = resources else { return Ok(Vec::new()) };
    let mut list = List::default();
    resources.memory().as_ref().map_or(Ok(()), |memory| list.memory(memory))?;
    resources.cpu().as_ref().map_or(Ok(()), |cpu| list.cpu(cpu))?;
    match resources.pids().as_ref().map(|pids| pids.limit()) {
        None | Some(0) => {}
        Some(limit) => list.add("pids.limit", "pids.max", number(limit)),
    }
    resources.block_io().as_ref().map_or(Ok(()), |io| list.block_io(io))?;
    resources.hugepage_limits().iter().flatten().try_for_each(|limit| list.huge_pages(limit))?;
    if let Some(network) = resources.network() {
        let class = network.class_id().filter(|&class| class != 0);
        if class.is_some() || network.priorities().as_ref().is_some_and(|list| !list.is_empty()) {
            return Err(
                only_v1("network").help("net_cls and net_prio are of version 1; nft can match by `socket cgroupv2`")
            );
        }
    }
    for (device, limits) in resources.rdma().iter().flatten() {
        let part = |key: &str, limit: Option<u32>| limit.map_or(String::new(), |limit| format!(" {key}={limit}"));
        let value =
            format!("{device}{}{}", part("hca_handle", limits.hca_handles()), part("hca_object", limits.hca_objects()));
        list.add("rdma", "rdma.max", value);
    }
    let mut unified: Vec<_> = resources.unified().iter().flatten().collect();
    unified.sort();
    unified.into_iter().try_for_each(|(file, value)| list.unified(file, value))?;
    Ok(list.0)
}

/// Writes them.
///
/// # Errors
/// As openat(2) and write(2), each with the property that asked for it.
pub fn apply(group: &Group, writes: &[Write]) -> Result<()> {
    writes.iter().try_for_each(|write| {
        let at = |error: Error| error.at(format_args!("linux.resources.{}", write.property));
        if write.check {
            check_before(group, write).map_err(at)?;
        }
        let done = match (group.write(&write.file, &write.value), &write.or) {
            (Err(error), Some((file, value))) if error.errno() == Some(Errno::ENOENT) => group.write(file, value),
            (done, _) => done,
        };
        done.map_err(|error| at(helped(error, write)))?;
        explain!(4, "a limit is a write", "write({}, {:?})", write.file, write.value);
        Ok(())
    })
}

impl Write {
    /// The controller that has the file; none for files that every group has.
    pub fn controller(&self) -> Option<&str> {
        self.file.split_once('.').map(|(controller, _)| controller).filter(|&controller| controller != "cgroup")
    }
}

fn helped(error: Error, write: &Write) -> Error {
    match error.errno() {
        Some(Errno::ENOENT) if &*write.file == "memory.swap.max" => {
            error.help("boot with the kernel parameter swapaccount=1, or leave the limit out")
        }
        Some(Errno::ENOENT) if write.property.starts_with("blockIO.weight") => {
            error.help("a disk scheduler that knows weights is needed: modprobe bfq")
        }
        Some(Errno::ENOENT) => error.help("this kernel has no such file, or its controller is not enabled here"),
        Some(Errno::EINVAL | Errno::ERANGE) => error.help("the kernel does not take this value; see cgroup-v2.rst"),
        Some(Errno::ENODEV) => error.help("there is no such device, or it is no whole disk"),
        _ => error,
    }
}

/// "the runtime MUST check if a new memory limit is lower than the current usage, and MUST reject it".
fn check_before(group: &Group, write: &Write) -> Result<()> {
    let Ok(limit) = write.value.parse::<u64>() else { return Ok(()) };
    let used: u64 = group.read("memory.current")?.trim().parse().unwrap_or(0);
    if used > limit {
        return Err(Error::new(Kind::Conflict, format!("the limit {limit} is less than the {used} bytes in use"))
            .help("raise it, or leave checkBeforeUpdate out and let the kernel reclaim or kill"));
    }
    Ok(())
}

fn only_v1(property: &str) -> Error {
    Error::unsupported(format!(
        "config.json: linux.resources.{property} is of cgroup v1, version 2 has nothing like it"
    ))
}

fn number(limit: i64) -> String {
    if limit < 0 { "max".to_owned() } else { limit.to_string() }
}

#[derive(Default)]
struct List(Vec<Write>);

impl List {
    fn add(&mut self, property: &'static str, file: impl Into<Cow<'static, str>>, value: String) {
        self.0.push(Write { property: property.into(), file: file.into(), value, or: None, check: false });
    }

    fn memory(&mut self, memory: &LinuxMemory) -> Result<()> {
        let given = |limit: Option<i64>| limit.filter(|&limit| limit != 0);
        let limit = given(memory.limit());
        // Swap before memory where both shrink or grow would matter on v1 only: here they are two things.
        if let Some(swap) = swap(limit, given(memory.swap()))? {
            self.add("memory.swap", "memory.swap.max", swap);
        }
        if let Some(limit) = limit {
            self.add("memory.limit", "memory.max", number(limit));
            let last = self.0.len() - 1;
            self.0[last].check = memory.check_before_update() == Some(true);
        }
        if let Some(reserved) = given(memory.reservation()) {
            self.add("memory.reservation", "memory.low", number(reserved));
        }
        for (property, is_set) in [
            ("memory.kernel", memory.kernel().is_some_and(|limit| limit > 0)),
            ("memory.kernelTCP", memory.kernel_tcp().is_some_and(|limit| limit > 0)),
            ("memory.swappiness", memory.swappiness().is_some()),
            ("memory.disableOOMKiller", memory.disable_oom_killer() == Some(true)),
        ] {
            if is_set {
                return Err(only_v1(property).help("leave it out"));
            }
        }
        Ok(())
    }

    fn cpu(&mut self, cpu: &LinuxCpu) -> Result<()> {
        if let Some(idle) = cpu.idle() {
            if !(0..=1).contains(&idle) {
                return Err(invalid(&format!("linux.resources.cpu.idle {idle} is neither 0 nor 1")));
            }
            self.add("cpu.idle", "cpu.idle", idle.to_string());
        }
        // An idle group has no weight, and the kernel refuses one.
        if let Some(shares) = cpu.shares().filter(|&shares| shares > 0 && cpu.idle() != Some(1)) {
            self.add("cpu.shares", "cpu.weight", weight_of_shares(shares).to_string());
        }
        let (quota, period) = (cpu.quota().filter(|&quota| quota != 0), cpu.period().filter(|&period| period != 0));
        if quota.is_some() || period.is_some() {
            let quota = quota.map_or("max".to_owned(), number);
            self.add("cpu.quota", "cpu.max", format!("{quota} {}", period.unwrap_or(100_000)));
        }
        if let Some(burst) = cpu.burst() {
            self.add("cpu.burst", "cpu.max.burst", burst.to_string());
        }
        if cpu.realtime_runtime().is_some_and(|time| time != 0) || cpu.realtime_period().is_some_and(|time| time != 0) {
            return Err(only_v1("cpu.realtimeRuntime").help("leave realtimeRuntime and realtimePeriod out"));
        }
        for (property, file, list) in [("cpu.cpus", "cpuset.cpus", cpu.cpus()), ("cpu.mems", "cpuset.mems", cpu.mems())]
        {
            if let Some(list) = list.as_ref().filter(|list| !list.is_empty()) {
                list.parse::<cgroups::NumberList>()
                    .map_err(|error| error.at(format_args!("linux.resources.{property}")))?;
                self.add(property, file, list.clone());
            }
        }
        Ok(())
    }

    fn block_io(&mut self, io: &LinuxBlockIo) -> Result<()> {
        if io.leaf_weight().is_some_and(|weight| weight != 0) {
            return Err(only_v1("blockIO.leafWeight").help("leave it out"));
        }
        if let Some(weight) = io.weight().filter(|&weight| weight != 0) {
            self.weight("blockIO.weight", "", weight)?;
        }
        for device in io.weight_device().iter().flatten() {
            if device.leaf_weight().is_some_and(|weight| weight != 0) {
                return Err(only_v1("blockIO.weightDevice[].leafWeight").help("leave it out"));
            }
            if let Some(weight) = device.weight().filter(|&weight| weight != 0) {
                self.weight("blockIO.weightDevice", &format!("{}:{} ", device.major(), device.minor()), weight)?;
            }
        }
        for (property, key, devices) in [
            ("blockIO.throttleReadBpsDevice", "rbps", io.throttle_read_bps_device()),
            ("blockIO.throttleWriteBpsDevice", "wbps", io.throttle_write_bps_device()),
            ("blockIO.throttleReadIOPSDevice", "riops", io.throttle_read_iops_device()),
            ("blockIO.throttleWriteIOPSDevice", "wiops", io.throttle_write_iops_device()),
        ] {
            devices.iter().flatten().for_each(|device| self.throttle(property, key, device));
        }
        Ok(())
    }

    /// The scheduler BFQ counts weights as version 1 did; the cost model counts from 1 to 10000.
    fn weight(&mut self, property: &'static str, device: &str, weight: u16) -> Result<()> {
        if !(10..=1000).contains(&weight) {
            return Err(invalid(&format!("linux.resources.{property} {weight} is not from 10 to 1000")));
        }
        let of_cost_model = 1 + (u64::from(weight) - 10) * 9999 / 990;
        self.add(property, "io.bfq.weight", format!("{device}{weight}"));
        let default = if device.is_empty() { "default " } else { device };
        let last = self.0.len() - 1;
        self.0[last].or = Some(("io.weight", format!("{default}{of_cost_model}")));
        Ok(())
    }

    fn throttle(&mut self, property: &'static str, key: &str, device: &LinuxThrottleDevice) {
        // 0 takes a limit away again.
        let rate = if device.rate() == 0 { "max".to_owned() } else { device.rate().to_string() };
        self.add(property, "io.max", format!("{}:{} {key}={rate}", device.major(), device.minor()));
    }

    fn huge_pages(&mut self, limit: &LinuxHugepageLimit) -> Result<()> {
        let size = limit.page_size();
        let digits = size.trim_end_matches(|one: char| one.is_ascii_alphabetic());
        let is_size = !digits.is_empty()
            && digits.bytes().all(|one| one.is_ascii_digit())
            && matches!(&size[digits.len()..], "KB" | "MB" | "GB");
        if !is_size {
            return Err(invalid(&format!("linux.resources.hugepageLimits: {size:?} is no page size"))
                .help("as in 2MB, 64KB, 1GB"));
        }
        self.add("hugepageLimits", format!("hugetlb.{size}.max"), number(limit.limit()));
        Ok(())
    }

    fn unified(&mut self, file: &str, value: &str) -> Result<()> {
        if file.contains(['/', '\0']) || !file.contains('.') || file.starts_with('.') {
            return Err(
                invalid(&format!("linux.resources.unified: {file:?} is no file of a group")).help("as in memory.high")
            );
        }
        let property: Cow<'static, str> = Cow::Owned(format!("unified[{file:?}]"));
        // Several lines are several writes: the kernel takes one at a time.
        for line in value.lines() {
            let file = Cow::Owned(file.to_owned());
            self.0.push(Write { property: property.clone(), file, value: line.to_owned(), or: None, check: false });
        }
        Ok(())
    }
}

/// The specification counts memory and swap together, version 2 counts swap alone.
fn swap(memory: Option<i64>, total: Option<i64>) -> Result<Option<String>> {
    match (memory, total) {
        // Unlimited memory with nothing said of swap: unlimited swap, too (runc, ConvertMemorySwapToCgroupV2Value).
        (Some(-1), None) | (_, Some(-1)) => Ok(Some("max".to_owned())),
        (_, None) => Ok(None),
        (Some(memory), Some(total)) if memory > 0 && total >= memory => Ok(Some((total - memory).to_string())),
        (Some(memory), Some(total)) if memory > 0 => Err(invalid(&format!(
            "linux.resources.memory.swap {total} is less than the limit {memory}: it is the sum of memory and swap"
        ))),
        (_, Some(_)) => {
            Err(invalid("linux.resources.memory.swap needs a memory limit: it is the sum of memory and swap"))
        }
    }
}

#[cfg(test)]
#[path = "resources_tests.rs"]
mod tests;
