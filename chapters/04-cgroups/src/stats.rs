//! What a group uses: the statistics of every controller, read from its files.
//!
//! The files come in a few formats (cgroup-v2.rst, "Format"): single values, `KEY VALUE` lines, and lines of
//! `KEY SUB=VALUE …`. New keys may come with any kernel, so unknown ones are passed over.

use process::Result;

use crate::Group;

/// One reading of a group. A part is missing where its controller is not enabled for the group.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Stats {
    /// CPU time; always there.
    pub cpu: Cpu,
    /// Memory.
    pub memory: Option<Memory>,
    /// Processes.
    pub pids: Option<Pids>,
    /// All disks together.
    pub io: Option<Io>,
    /// Time lost in waiting; missing if the kernel does not measure it.
    pub pressure: Option<Pressure>,
}

/// CPU time in microseconds, since the group was made (`cpu.stat`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cpu {
    /// All.
    pub usage_usec: u64,
    /// In programs.
    pub user_usec: u64,
    /// In the kernel.
    pub system_usec: u64,
    /// Periods of `cpu.max` that have passed.
    pub nr_periods: u64,
    /// Periods in which the quota was used up.
    pub nr_throttled: u64,
    /// How long it was then kept from running.
    pub throttled_usec: u64,
}

/// Memory in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// In use, with files that are only cached.
    pub current: u64,
    /// The most that was ever in use (from Linux 5.19 on).
    pub peak: Option<u64>,
    /// The limit, if any.
    pub max: Option<u64>,
    /// In swap.
    pub swap: u64,
    /// The limit of that, if any.
    pub swap_max: Option<u64>,
    /// Private memory of programs (`memory.stat`).
    pub anon: u64,
    /// Cached files.
    pub file: u64,
    /// Cached files that were not used for a while: the first to be given back.
    pub inactive_file: u64,
    /// How often usage hit the limit (`memory.events`).
    pub hit_max: u64,
    /// Processes that were killed for want of memory.
    pub oom_kill: u64,
}

/// Processes and threads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pids {
    /// Now.
    pub current: u64,
    /// The limit, if any.
    pub max: Option<u64>,
}

/// Bytes and operations since the group was made (`io.stat`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Io {
    /// Bytes read.
    pub rbytes: u64,
    /// Bytes written.
    pub wbytes: u64,
    /// Reads.
    pub rios: u64,
    /// Writes.
    pub wios: u64,
}

/// Percent of the last ten seconds in which some process of the group waited (accounting/psi.rst, `some avg10`).
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Pressure {
    /// For a CPU.
    pub cpu: f64,
    /// For memory.
    pub memory: f64,
    /// For a disk.
    pub io: f64,
}

impl Group {
    /// Reads them all.
    ///
    /// # Errors
    /// `ENODEV` or `ENOENT` if the group is gone.
    pub fn stats(&self) -> Result<Stats> {
        let text = |file: &str| self.read(file).ok();
        Ok(Stats {
            cpu: Cpu::parse(&self.read("cpu.stat")?),
            memory: text("memory.current").map(|current| Memory {
                current: single(&current).unwrap_or(0),
                peak: text("memory.peak").as_deref().and_then(single),
                max: text("memory.max").as_deref().and_then(single),
                swap: text("memory.swap.current").as_deref().and_then(single).unwrap_or(0),
                swap_max: text("memory.swap.max").as_deref().and_then(single),
                ..Memory::parse(&text("memory.stat").unwrap_or_default(), &text("memory.events").unwrap_or_default())
            }),
            pids: text("pids.current").map(|current| Pids {
                current: single(&current).unwrap_or(0),
                max: text("pids.max").as_deref().and_then(single),
            }),
            io: text("io.stat").as_deref().map(Io::parse),
            pressure: text("cpu.pressure").map(|cpu| Pressure {
                cpu: some_avg10(&cpu),
                memory: text("memory.pressure").as_deref().map_or(0.0, some_avg10),
                io: text("io.pressure").as_deref().map_or(0.0, some_avg10),
            }),
        })
    }
}

impl Cpu {
    fn parse(stat: &str) -> Self {
        Self {
            usage_usec: flat(stat, "usage_usec"),
            user_usec: flat(stat, "user_usec"),
            system_usec: flat(stat, "system_usec"),
            nr_periods: flat(stat, "nr_periods"),
            nr_throttled: flat(stat, "nr_throttled"),
            throttled_usec: flat(stat, "throttled_usec"),
        }
    }
}

impl Memory {
    fn parse(stat: &str, events: &str) -> Self {
        Self {
            anon: flat(stat, "anon"),
            file: flat(stat, "file"),
            inactive_file: flat(stat, "inactive_file"),
            hit_max: flat(events, "max"),
            oom_kill: flat(events, "oom_kill"),
            ..Self::default()
        }
    }

    /// What `docker stats` calls usage: without the files that are kept only because there is room.
    pub fn used(&self) -> u64 {
        self.current.saturating_sub(self.inactive_file)
    }
}

impl Io {
    /// One line a device. A disk and what is built on it (RAID, LVM) both appear, as in Docker's sum.
    fn parse(stat: &str) -> Self {
        let all = |key: &str| stat.split_whitespace().filter_map(|word| assigned(word, key)?.parse::<u64>().ok()).sum();
        Self { rbytes: all("rbytes"), wbytes: all("wbytes"), rios: all("rios"), wios: all("wios") }
    }
}

/// A single number; `max` is none.
fn single(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// `KEY VALUE` lines; 0 if the key is not there.
fn flat(text: &str, key: &str) -> u64 {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    value.and_then(single).unwrap_or(0)
}

/// `some avg10=0.12 avg60=… total=…`
fn some_avg10(text: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix("some "));
    let mut words = line.unwrap_or_default().split_whitespace();
    words.find_map(|word| assigned(word, "avg10")?.parse().ok()).unwrap_or(0.0)
}

/// The value of `KEY=VALUE`.
fn assigned<'a>(word: &'a str, key: &str) -> Option<&'a str> {
    word.strip_prefix(key)?.strip_prefix('=')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(files: &[(&str, &str)]) -> (tempfile::TempDir, Group) {
        let dir = tempfile::tempdir().unwrap();
        files.iter().for_each(|(name, text)| std::fs::write(dir.path().join(name), text).unwrap());
        let group = Group::open(dir.path()).unwrap();
        (dir, group)
    }

    #[test]
    fn every_file_is_read_and_new_keys_are_passed_over() {
        let (_dir, group) = group(&[
            ("cpu.stat", "usage_usec 300\nuser_usec 200\nsystem_usec 100\nnice_usec 1\nnr_throttled 4\nnr_periods 9\n"),
            ("memory.current", "1000\n"),
            ("memory.max", "max\n"),
            ("memory.peak", "2000\n"),
            ("memory.swap.max", "77\n"),
            ("memory.stat", "anon 10\nanon_thp 99\nfile 20\nfile_new 1\ninactive_file 300\n"),
            ("memory.events", "low 0\nmax 5\noom 1\noom_kill 2\noom_group_kill 0\n"),
            ("pids.current", "3\n"),
            ("pids.max", "20\n"),
            (
                "io.stat",
                "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0 new=x\n8:16 rbytes=5 wbytes=0 rios=1 wios=0\n7:0 \n",
            ),
            (
                "cpu.pressure",
                "some avg10=1.50 avg60=0.00 avg300=0.00 total=1\nfull avg10=9.00 avg60=0.00 avg300=0.00 total=0\n",
            ),
        ]);
        let stats = group.stats().unwrap();
        assert_eq!((stats.cpu.usage_usec, stats.cpu.nr_throttled, stats.cpu.throttled_usec), (300, 4, 0));
        let memory = stats.memory.unwrap();
        assert_eq!((memory.current, memory.max, memory.peak, memory.swap_max), (1000, None, Some(2000), Some(77)));
        assert_eq!((memory.anon, memory.file, memory.used(), memory.hit_max, memory.oom_kill), (10, 20, 700, 5, 2));
        assert_eq!(stats.pids, Some(Pids { current: 3, max: Some(20) }));
        assert_eq!(stats.io, Some(Io { rbytes: 15, wbytes: 20, rios: 2, wios: 2 }));
        assert_eq!(stats.pressure, Some(Pressure { cpu: 1.5, memory: 0.0, io: 0.0 }));
    }

    #[test]
    fn a_controller_that_is_not_enabled_leaves_its_part_out() {
        let (_dir, group) = group(&[("cpu.stat", "usage_usec 1\n")]);
        let stats = group.stats().unwrap();
        assert_eq!(stats, Stats { cpu: Cpu { usage_usec: 1, ..Cpu::default() }, ..Stats::default() });
    }

    #[test]
    fn a_group_that_is_gone_is_an_error() {
        let (dir, group) = group(&[]);
        drop(dir);
        assert!(group.stats().is_err());
    }
}
