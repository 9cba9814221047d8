//! `stats`: chapter 4's table; with `--format`, Docker's fields.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use cgroups::Stats;
use clap::Args;
use namespaces::rootless;
use process::{Result, cli};
use serde_json::{Value, json};

use super::container::{Kept, short};
use super::listing::Listing;
use super::text::{binary_size, size};

/// The arguments of `stats`.
#[derive(Debug, Clone, Args)]
#[group(skip)] // chapter 4's struct of the same name has one
pub struct StatsArgs {
    #[command(flatten)]
    table: cgroups::cli::StatsArgs,
    /// Also those that do not run
    #[arg(short, long)]
    all: bool,
    /// `json`, `table TEMPLATE` or a template such as '{{.Name}} {{.CPUPerc}}'
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
}

const HEADS: [(&str, &str); 9] = [
    ("ID", "CONTAINER ID"),
    ("Container", "CONTAINER"),
    ("Name", "NAME"),
    ("CPUPerc", "CPU %"),
    ("MemUsage", "MEM USAGE / LIMIT"),
    ("MemPerc", "MEM %"),
    ("NetIO", "NET I/O"),
    ("BlockIO", "BLOCK I/O"),
    ("PIDs", "PIDS"),
];
const TABLE: &str =
    "{{.ID}}\\t{{.Name}}\\t{{.CPUPerc}}\\t{{.MemUsage}}\\t{{.MemPerc}}\\t{{.NetIO}}\\t{{.BlockIO}}\\t{{.PIDs}}";
/// Between two readings: CPU use is a rate.
const SPAN: Duration = Duration::from_millis(500);

impl StatsArgs {
    /// Prints what the containers use, anew each second.
    ///
    /// # Errors
    /// No such container; a template that is none.
    pub fn run(self) -> Result<ExitCode> {
        cli::end_with_reader()?;
        rootless::enter()?;
        if self.format.is_none() && !self.all {
            return self.table.run().map(|()| ExitCode::SUCCESS);
        }
        let listing = Listing::new(self.format.as_deref(), TABLE)?;
        loop {
            let watched = self.watched()?;
            let before: Vec<_> = watched.iter().map(reading).collect();
            let then = Instant::now();
            std::thread::sleep(SPAN);
            let rows: Vec<_> =
                watched.iter().zip(&before).map(|(kept, before)| row(kept, before.as_ref(), then)).collect();
            print!("{}", listing.render(&HEADS, &rows)?);
            if self.table.no_stream {
                return Ok(ExitCode::SUCCESS);
            }
            std::thread::sleep(Duration::from_secs(1).saturating_sub(SPAN));
        }
    }

    fn watched(&self) -> Result<Vec<Kept>> {
        if !self.table.names.is_empty() {
            return self.table.names.iter().map(|name| Kept::find(name)).collect();
        }
        let mut all = Kept::all()?;
        all.retain(|kept| self.all || kept.is_alive());
        Ok(all)
    }
}

fn reading(kept: &Kept) -> Option<Stats> {
    kept.group().ok()?.stats().ok()
}

fn row(kept: &Kept, before: Option<&Stats>, then: Instant) -> Value {
    let now = reading(kept);
    let share = now.as_ref().zip(before).map_or(0.0, |(now, before)| {
        let used = now.cpu.usage_usec.saturating_sub(before.cpu.usage_usec);
        used as f64 / then.elapsed().as_micros().max(1) as f64 * 100.0
    });
    let memory = now.as_ref().and_then(|now| now.memory).unwrap_or_default();
    let limit = memory.max.unwrap_or_else(machine_memory);
    let percent = memory.used() as f64 * 100.0 / limit.max(1) as f64;
    let io = now.as_ref().and_then(|now| now.io).unwrap_or_default();
    let pids = now.and_then(|now| now.pids).map_or(0, |pids| pids.current);
    let (received, sent) = network(kept);
    json!({
        "ID": short(kept),
        "Container": short(kept),
        "Name": kept.name(),
        "CPUPerc": format!("{share:.2}%"),
        "MemUsage": format!("{} / {}", binary_size(memory.used()), binary_size(limit)),
        "MemPerc": format!("{percent:.2}%"),
        "NetIO": format!("{} / {}", size(received), size(sent)),
        "BlockIO": format!("{} / {}", size(io.rbytes), size(io.wbytes)),
        "PIDs": pids.to_string(),
    })
}

/// Without a limit a container may use all that the machine has (proc_meminfo(5)).
fn machine_memory() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kilobytes =
        text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// Bytes received and sent on all links but the loopback (proc_pid_net(5), `dev`).
fn network(kept: &Kept) -> (u64, u64) {
    if !kept.is_alive() {
        return (0, 0);
    }
    let text = std::fs::read_to_string(format!("/proc/{}/net/dev", kept.state.pid)).unwrap_or_default();
    let links = text.lines().filter_map(|line| line.split_once(':')).filter(|(name, _)| name.trim() != "lo");
    links.fold((0, 0), |(received, sent), (_, numbers)| {
        let number = |at: usize| numbers.split_whitespace().nth(at).and_then(|number| number.parse::<u64>().ok());
        (received + number(0).unwrap_or(0), sent + number(8).unwrap_or(0))
    })
}
