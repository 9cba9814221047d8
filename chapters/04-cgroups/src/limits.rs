//! The options of this chapter, and what is to be written where for them.

use std::path::{Component, PathBuf};

use clap::Args;
use process::{Error, Result};

use crate::{Bytes, Controller, DeviceRate, MemorySwap, NumberList, cpu, device, memory};

/// What a container may use, in the words of `docker run`.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Limits")]
pub struct Limits {
    /// Memory at most; beyond it the kernel kills (memory.max)
    #[arg(short, long, value_name = "SIZE")]
    pub memory: Option<Bytes>,
    /// Memory and swap together, -1 for unlimited swap; twice the memory if not given (memory.swap.max)
    #[arg(long, value_name = "SIZE", allow_negative_numbers = true)]
    pub memory_swap: Option<MemorySwap>,
    /// Memory that is spared while others have some to give back (memory.low)
    #[arg(long, value_name = "SIZE")]
    pub memory_reservation: Option<Bytes>,
    /// CPUs at most, with a fraction, as in 1.5 (cpu.max)
    #[arg(long, value_name = "NUMBER", value_parser = cpu::parse_cpus, conflicts_with_all = ["cpu_quota", "cpu_period"])]
    pub cpus: Option<f64>,
    /// Share of the CPU among neighbours that want it too, 2 to 262144, 1024 being everybody's (cpu.weight)
    #[arg(long, value_name = "NUMBER")]
    pub cpu_shares: Option<u64>,
    /// CPU time in every period, in microseconds; -1 for no limit (cpu.max)
    #[arg(long, value_name = "MICROSECONDS", allow_negative_numbers = true)]
    pub cpu_quota: Option<i64>,
    /// Length of the period, in microseconds; 100000 if not given (cpu.max)
    #[arg(long, value_name = "MICROSECONDS")]
    pub cpu_period: Option<u64>,
    /// CPUs to run on, as in 0-3,5 (cpuset.cpus)
    #[arg(long, value_name = "LIST")]
    pub cpuset_cpus: Option<NumberList>,
    /// Memory nodes to take memory from, on NUMA machines (cpuset.mems)
    #[arg(long, value_name = "LIST")]
    pub cpuset_mems: Option<NumberList>,
    /// Processes and threads at most; -1 for no limit (pids.max)
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    pub pids_limit: Option<i64>,
    /// Bytes a second read from a disk (io.max)
    #[arg(long, value_name = "PATH:RATE")]
    pub device_read_bps: Vec<DeviceRate>,
    /// Bytes a second written to a disk (io.max)
    #[arg(long, value_name = "PATH:RATE")]
    pub device_write_bps: Vec<DeviceRate>,
    /// Reads a second from a disk (io.max)
    #[arg(long, value_name = "PATH:RATE")]
    pub device_read_iops: Vec<DeviceRate>,
    /// Writes a second to a disk (io.max)
    #[arg(long, value_name = "PATH:RATE")]
    pub device_write_iops: Vec<DeviceRate>,
    /// Share of a disk among neighbours that want it too, 10 to 1000 (io.weight, io.bfq.weight)
    #[arg(long, value_name = "NUMBER")]
    pub blkio_weight: Option<u16>,
    /// The group to make the container's group in; `cooper` if not given
    #[arg(long, value_name = "PATH", value_parser = check_parent)]
    pub cgroup_parent: Option<PathBuf>,
}

/// What has to be known of the machine to judge a limit.
#[derive(Debug, Clone)]
pub struct Machine {
    /// CPUs that are online.
    pub cpus: NumberList,
    /// Memory nodes that are online.
    pub mems: NumberList,
}

/// One limit: what to write, where, and on whose behalf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The controller that must be there.
    pub controller: Controller,
    /// The option that asked for it.
    pub option: &'static str,
    /// The files and their values. Several mean: those of them that the kernel has, one at least.
    pub files: Vec<(&'static str, String)>,
    /// It follows from another option: a kernel without the file is no reason to refuse.
    pub implied: bool,
}

impl Setting {
    /// A limit that is one write.
    pub fn new(controller: Controller, option: &'static str, file: &'static str, value: String) -> Self {
        Self { controller, option, files: vec![(file, value)], implied: false }
    }

    /// The same, as a consequence that nobody asked for by name.
    #[must_use]
    pub fn implied(self) -> Self {
        Self { implied: true, ..self }
    }
}

impl Machine {
    /// This machine (sysfs; a kernel without NUMA has node 0 only).
    pub fn here() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).ok().and_then(|text| text.parse().ok());
        let first = || NumberList([0].into());
        Self {
            cpus: read("/sys/devices/system/cpu/online").unwrap_or_else(first),
            mems: read("/sys/devices/system/node/online").unwrap_or_else(first),
        }
    }
}

impl Limits {
    /// Checks that the options make sense on this machine, before anything is done for them.
    ///
    /// # Errors
    /// As [`settings`](Self::settings).
    pub fn check(&self) -> Result<()> {
        self.settings(&Machine::here()).map(drop)
    }

    /// What is to be written for these options, in the order of writing.
    ///
    /// # Errors
    /// [`Kind::Invalid`](process::Kind::Invalid) for values that make no sense here, alone or together.
    pub fn settings(&self, machine: &Machine) -> Result<Vec<Setting>> {
        let mut settings = memory::settings(self.memory, self.memory_swap, self.memory_reservation)?;
        settings.extend(self.cpus.map(|cpus| cpu::cpus(cpus, machine)).transpose()?);
        settings.extend(cpu::quota(self.cpu_quota, self.cpu_period)?);
        settings.extend(self.cpu_shares.and_then(cpu::shares));
        if let Some(list) = &self.cpuset_cpus {
            settings.push(cpu::set("--cpuset-cpus", "cpuset.cpus", list, &machine.cpus)?);
        }
        if let Some(list) = &self.cpuset_mems {
            settings.push(cpu::set("--cpuset-mems", "cpuset.mems", list, &machine.mems)?);
        }
        settings.extend(self.pids_limit.map(pids).transpose()?);
        for (option, key, rates) in [
            ("--device-read-bps", "rbps", &self.device_read_bps),
            ("--device-write-bps", "wbps", &self.device_write_bps),
            ("--device-read-iops", "riops", &self.device_read_iops),
            ("--device-write-iops", "wiops", &self.device_write_iops),
        ] {
            for rate in rates {
                settings.push(device::rate(option, key, rate)?);
            }
        }
        if let Some(weight) = self.blkio_weight {
            settings.extend(device::weight(weight)?);
        }
        Ok(settings)
    }
}

/// `pids.max`; Docker takes 0 for unlimited too.
fn pids(limit: i64) -> Result<Setting> {
    let value = match limit {
        -1 | 0 => "max".to_owned(),
        1.. => limit.to_string(),
        _ => {
            return Err(Error::invalid(format!("--pids-limit {limit} is no number of processes"))
                .help("give 1 or more, or -1 for no limit"));
        }
    };
    Ok(Setting::new(Controller::Pids, "--pids-limit", "pids.max", value))
}

/// A path of plain names: beginning with `/` it counts from the top of the hierarchy, else from our place in it.
fn check_parent(text: &str) -> Result<PathBuf> {
    let path = PathBuf::from(text);
    let plain = path.components().all(|part| matches!(part, Component::Normal(_) | Component::RootDir));
    if plain && path.file_name().is_some() {
        return Ok(path);
    }
    Err(Error::invalid(format!("{text:?} is no path of a group"))
        .help("write names with slashes between, as in /teams/blue, without `..`"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        limits: Limits,
    }

    fn writes(arguments: &[&str]) -> Vec<String> {
        let cli = Cli::try_parse_from([&["x"], arguments].concat()).unwrap();
        let machine = Machine { cpus: "0-3".parse().unwrap(), mems: "0".parse().unwrap() };
        let settings = cli.limits.settings(&machine).unwrap();
        let files = settings.iter().flat_map(|setting| &setting.files);
        files.map(|(file, value)| format!("{file}: {value}")).collect()
    }

    #[test]
    fn every_option_has_its_file() {
        let line = "-m 64m --memory-swap -1 --cpus 2 --cpu-shares 1024 --cpuset-cpus 0-1 --cpuset-mems 0 --pids-limit 9 --blkio-weight 100";
        let found = writes(&line.split(' ').collect::<Vec<_>>());
        assert_eq!(
            found,
            [
                "memory.max: 67108864",
                "memory.swap.max: max",
                "cpu.max: 200000 100000",
                "cpu.weight: 100",
                "cpuset.cpus: 0-1",
                "cpuset.mems: 0",
                "pids.max: 9",
                "io.bfq.weight: 100",
                "io.weight: default 910"
            ]
        );
        assert_eq!(writes(&["--pids-limit", "-1"]), ["pids.max: max"]);
        assert!(writes(&[]).is_empty());
    }

    #[test]
    fn what_excludes_each_other_is_refused() {
        assert!(Cli::try_parse_from(["x", "--cpus", "1", "--cpu-quota", "1000"]).is_err());
        for parent in ["..", "/a/../b", "/", ""] {
            assert!(Cli::try_parse_from(["x", "--cgroup-parent", parent]).is_err(), "{parent}");
        }
        assert!(pids(-2).is_err());
    }
}
